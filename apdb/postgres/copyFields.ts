/** Rows of few and large fields out of a COPY while it runs: each field is copied once, into a buffer of its size. */

/** Signature, flags, and length of the extension, which Postgres leaves empty (`copyBinary.ts`). */
const HEADER_BYTES = 19;
const COUNT_BYTES = 2, LENGTH_BYTES = 4;
const END_OF_ROWS = -1;

/** Takes the pieces of `COPY (SELECT …) TO STDOUT (FORMAT binary)`, wherever they are cut. */
export class CopyFieldStream {
  readonly #fieldCount: number;
  readonly #take: (fields: readonly (Buffer | null)[]) => void;
  #skip = HEADER_BYTES;
  readonly #count = Buffer.alloc(COUNT_BYTES);
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  /** What is being filled, and how far. */
  #target: Buffer = this.#count;
  #filled = 0;
  #isEnded = false;
  #fields: (Buffer | null)[] = [];

  /** @param take Told of each row; the buffers are the taker's, and null is a field's null. */
  constructor(fieldCount: number, take: (fields: readonly (Buffer | null)[]) => void) {
    this.#fieldCount = fieldCount;
    this.#take = take;
  }

  take(piece: Buffer): void {
    let from = Math.min(this.#skip, piece.length);
    this.#skip -= from;
    while (from < piece.length && !this.#isEnded) {
      const size = Math.min(piece.length - from, this.#target.length - this.#filled);
      piece.copy(this.#target, this.#filled, from, from + size);
      this.#filled += size;
      from += size;
      while (!this.#isEnded && this.#filled === this.#target.length) this.#next();
    }
  }

  #next(): void {
    if (this.#target === this.#count) this.#beginRow(this.#count.readInt16BE(0));
    else if (this.#target === this.#length) this.#beginField(this.#length.readInt32BE(0));
    else this.#endField(this.#target);
  }

  #beginRow(fieldCount: number): void {
    this.#isEnded = fieldCount === END_OF_ROWS;
    if (!this.#isEnded && fieldCount !== this.#fieldCount) {
      throw new Error(`rows of ${fieldCount} columns, where ${this.#fieldCount} were asked for`);
    }
    this.#fill(this.#length);
  }

  #beginField(length: number): void {
    if (length < 0) this.#endField(null); else this.#fill(Buffer.allocUnsafeSlow(length));
  }

  #endField(field: Buffer | null): void {
    this.#fields.push(field);
    if (this.#fields.length < this.#fieldCount) return this.#fill(this.#length);
    const fields = this.#fields;
    this.#fields = [];
    this.#fill(this.#count);
    this.#take(fields);
  }

  #fill(target: Buffer): void {
    this.#target = target;
    this.#filled = 0;
  }
}
