/** Histories out of a COPY while it runs: rows are found in the bytes as they come, which are kept in blocks. */
import { HistoryCollector, type HistoryKind, type HistoryRows } from '../historyRows.ts';
import { readForcedNames, readSourceNames } from '../../schemas/lightCurve.ts';

/** Large enough that few rows are cut by an end; small enough that the last one wastes little. */
const BLOCK_BYTES = 4 * 1024 * 1024;
/** Signature, flags, and length of the extension, which Postgres leaves empty (`copyBinary.ts`). */
const HEADER_BYTES = 19;
/** Count of fields, then length and value of commitFrom, then length of the payload. */
const ROW_HEAD_BYTES = 2 + 4 + 8 + 4;

/**
 * Takes the pieces of `COPY (SELECT "commitFrom", payload …) TO STDOUT (FORMAT binary)`. The payload names its object,
 * its id and its time: sending them again as columns would cost a fifth of the time.
 */
export class HistoryStream {
  readonly #collector: HistoryCollector;
  readonly #readNames: typeof readSourceNames;
  readonly #places: ReadonlyMap<bigint, number>;
  readonly #blocks: Buffer[] = [];
  #block = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  /** Bytes of the block that are filled, and those of whole rows. */
  #filled = 0;
  #parsed = 0;
  #headerLeft = HEADER_BYTES;
  /** Of the row before: rows of an object come together. */
  #lastObject = 0n;
  #lastPlace: number | undefined = undefined;
  readonly #names = new BigInt64Array(2);
  readonly #time = new Float64Array(1);

  /** @param places Place of each object wanted, by diaObjectId. Rows of others are passed over. */
  constructor(kind: HistoryKind, places: ReadonlyMap<bigint, number>) {
    this.#collector = new HistoryCollector(kind, places.size);
    this.#readNames = kind === 'source' ? readSourceNames : readForcedNames;
    this.#places = places;
  }

  take(piece: Buffer): void {
    let from = Math.min(this.#headerLeft, piece.length);
    this.#headerLeft -= from;
    while (from < piece.length) {
      if (this.#filled === this.#block.length) this.#openBlock();
      const size = Math.min(piece.length - from, this.#block.length - this.#filled);
      piece.copy(this.#block, this.#filled, from, from + size);
      this.#filled += size;
      from += size;
      this.#parse();
    }
  }

  /** One window for each object, by its place. */
  finish(): HistoryRows[] {
    return this.#collector.finish(this.#blocks);
  }

  /** A new block, which begins with the row that the last one had no room for. */
  #openBlock(): void {
    const rest = this.#block.subarray(this.#parsed, this.#filled);
    const next = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, 2 * rest.length));
    rest.copy(next);
    this.#block = next;
    this.#view = new DataView(next.buffer, next.byteOffset, next.length);
    this.#blocks.push(next);
    this.#parsed = 0;
    this.#filled = rest.length;
  }

  #parse(): void {
    const view = this.#view;
    while (this.#filled - this.#parsed >= ROW_HEAD_BYTES) {
      const row = this.#parsed;
      const length = view.getInt32(row + 14);
      if (view.getInt16(row) !== 2 || view.getInt32(row + 2) !== 8 || length < 0) {
        throw new Error('a COPY with other columns than were asked for');
      }
      if (this.#filled - row - ROW_HEAD_BYTES < length) return;
      const position = view.getInt32(row + 6) * 2 ** 32 + view.getUint32(row + 10);
      this.#add(row + ROW_HEAD_BYTES, length, position);
      this.#parsed = row + ROW_HEAD_BYTES + length;
    }
  }

  #add(offset: number, length: number, position: number): void {
    this.#readNames(this.#block, this.#view, offset, this.#time, 0, this.#names);
    const [id, object] = this.#names;
    if (object !== this.#lastObject) {
      this.#lastObject = object;
      this.#lastPlace = this.#places.get(object);
    }
    if (this.#lastPlace === undefined) return;
    this.#collector.add(this.#lastPlace, id, this.#time[0], position, this.#blocks.length - 1, offset, length);
  }
}
