/**
 * Postgres's binary COPY format, both ways (PostgreSQL manual, COPY, "Binary Format"): all big-endian; a header, then
 * rows of an int16 count of fields, each an int32 length (−1: null) and its bytes, then an int16 −1.
 *
 * The writer fills one buffer and the reader walks one, without a record or an allocation per row.
 */

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Signature, int32 flags, int32 length of the header's extension; both zero. */
const HEADER_BYTES = SIGNATURE.length + 8;
const NULL_LENGTH = -1;
const END_OF_ROWS = -1;

/** Rows into one buffer, field by field: `row(n)` and then n fields. */
export class CopyBinaryWriter {
  #buffer: Buffer;
  #length = HEADER_BYTES;

  /** @param capacityBytes First size of the buffer; it doubles when it is full. */
  constructor(capacityBytes: number) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacityBytes, 64));
    SIGNATURE.copy(this.#buffer);
    this.#buffer.fill(0, SIGNATURE.length, HEADER_BYTES);
  }

  row(fieldCount: number): void {
    this.#length = this.#reserve(2).writeInt16BE(fieldCount, this.#length);
  }

  smallint(value: number): void {
    this.#length = this.#field(2).writeInt16BE(value, this.#length);
  }

  integer(value: number): void {
    this.#length = this.#field(4).writeInt32BE(value, this.#length);
  }

  bigint(value: bigint | null): void {
    if (value === null) this.#null();
    else this.#length = this.#field(8).writeBigInt64BE(value, this.#length);
  }

  /** A bigint column from a number: an integer within ±2^53, as commit positions and flags are. */
  bigintOfNumber(value: number | null): void {
    if (value === null) return this.#null();
    if (!Number.isSafeInteger(value)) throw new Error(`${value} is not a safe integer`);
    const buffer = this.#field(8);
    const high = Math.floor(value / 2 ** 32);
    buffer.writeInt32BE(high, this.#length);
    this.#length = buffer.writeUInt32BE(value - high * 2 ** 32, this.#length + 4);
  }

  /** Rounded to the nearest float32. */
  real(value: number | null): void {
    if (value === null) this.#null();
    else this.#length = this.#field(4).writeFloatBE(value, this.#length);
  }

  double(value: number | null): void {
    if (value === null) this.#null();
    else this.#length = this.#field(8).writeDoubleBE(value, this.#length);
  }

  text(value: string | null): void {
    if (value === null) return this.#null();
    const size = Buffer.byteLength(value);
    this.#field(size).write(value, this.#length);
    this.#length += size;
  }

  bytes(value: Uint8Array): void {
    this.#field(value.length).set(value, this.#length);
    this.#length += value.length;
  }

  /** The whole stream. The writer must not be used after. */
  finish(): Buffer {
    this.#length = this.#reserve(2).writeInt16BE(END_OF_ROWS, this.#length);
    return this.#buffer.subarray(0, this.#length);
  }

  #null(): void {
    this.#length = this.#reserve(4).writeInt32BE(NULL_LENGTH, this.#length);
  }

  /** Writes a field's length and makes room for it. */
  #field(size: number): Buffer {
    const buffer = this.#reserve(4 + size);
    this.#length = buffer.writeInt32BE(size, this.#length);
    return buffer;
  }

  #reserve(size: number): Buffer {
    if (this.#length + size > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + size));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

/**
 * Walks a whole stream: while `next()`, take every field of the row in order. Throws where the bytes are not what was
 * asked for.
 */
export class CopyBinaryReader {
  readonly bytes: Buffer;
  #offset: number;
  #fieldsLeft = 0;

  constructor(bytes: Buffer) {
    if (bytes.length < HEADER_BYTES || SIGNATURE.compare(bytes, 0, SIGNATURE.length) !== 0) {
      throw new Error(`${bytes.length} bytes that are not a binary COPY`);
    }
    this.bytes = bytes;
    this.#offset = HEADER_BYTES + bytes.readInt32BE(HEADER_BYTES - 4);
  }

  /** Moves to the next row; false after the last. */
  next(): boolean {
    if (this.#fieldsLeft !== 0) throw new Error(`${this.#fieldsLeft} fields of the row were not read`);
    const fieldCount = this.bytes.readInt16BE(this.#offset);
    this.#offset += 2;
    if (fieldCount === END_OF_ROWS) return false;
    this.#fieldsLeft = fieldCount;
    return true;
  }

  /** Rows from here to the end; does not move. */
  countRows(): number {
    let count = 0;
    let offset = this.#offset;
    for (;;) {
      const fieldCount = this.bytes.readInt16BE(offset);
      if (fieldCount === END_OF_ROWS) return count;
      offset += 2;
      for (let k = 0; k < fieldCount; k++) offset += 4 + Math.max(0, this.bytes.readInt32BE(offset));
      count++;
    }
  }

  integer(): number {
    return this.bytes.readInt32BE(this.#fixed(4));
  }

  bigint(): bigint {
    return this.bytes.readBigInt64BE(this.#fixed(8));
  }

  /** A bigint column as a number, where its values are known to lie within ±2^53. */
  numberOfBigint(): number {
    const at = this.#fixed(8);
    return this.bytes.readInt32BE(at) * 2 ** 32 + this.bytes.readUInt32BE(at + 4);
  }

  real(): number {
    return this.bytes.readFloatBE(this.#fixed(4));
  }

  double(): number {
    return this.bytes.readDoubleBE(this.#fixed(8));
  }

  /** Place of a bytea or text field: its length; it ends at `offset`, which this moves past it. */
  skipSized(): number {
    const length = this.#fieldLength();
    if (length === NULL_LENGTH) throw new Error('null in a column that has none');
    this.#offset += length;
    return length;
  }

  /** Bytes of a bytea or text field: a view, not a copy. */
  sized(): Uint8Array {
    const length = this.skipSized();
    return this.bytes.subarray(this.#offset - length, this.#offset);
  }

  /** True, and past it, when the field is null; else the field is still to be read. */
  skipNull(): boolean {
    if (this.bytes.readInt32BE(this.#offset) !== NULL_LENGTH) return false;
    this.#fieldLength();
    return true;
  }

  /** Where the next field or row begins. */
  get offset(): number {
    return this.#offset;
  }

  #fieldLength(): number {
    if (this.#fieldsLeft-- <= 0) throw new Error('the row has no further field');
    const length = this.bytes.readInt32BE(this.#offset);
    this.#offset += 4;
    return length;
  }

  #fixed(size: number): number {
    const length = this.#fieldLength();
    if (length !== size) throw new Error(`a field of ${length} bytes where ${size} were expected`);
    const at = this.#offset;
    this.#offset += size;
    return at;
  }
}
