/** Histories out of a COPY while it runs: rows are found in the bytes as they come, which are kept in blocks. */
import { HistoryCollector, type HistoryKind, type HistoryRows } from '../historyRows.ts';
import { readForcedNames, readSourceNames, viewOf } from '../../schemas/lightCurve.ts';

/** Large enough that few rows are cut by an end; small enough that the last one wastes little. */
const BLOCK_BYTES = 4 * 1024 * 1024;
/** Signature, flags, and length of the extension, which Postgres leaves empty (`copyBinary.ts`). */
const HEADER_BYTES = 19;
/** Count of fields, then with their lengths the range's first pixel and commitFrom, and the length of the payload. */
const ROW_HEAD_BYTES = 2 + 4 + 4 + 4 + 8 + 4;

/** Rows of one table that lie together in a block. */
type Span = Readonly<{ block: number; from: number; to: number }>;

/**
 * Takes the pieces of `COPY (SELECT asked.low, "commitFrom", payload …) TO STDOUT (FORMAT binary)`, and such rows as a
 * cache has kept them. The payload names its object, its id and its time: sending them again as columns would cost a
 * fifth of the time.
 */
export class HistoryStream {
  readonly #collector: HistoryCollector;
  readonly #readNames: typeof readSourceNames;
  readonly #places: ReadonlyMap<bigint, number>;
  readonly #sinceMjdTai: number;
  readonly #asOf: number;
  readonly #blocks: Buffer[] = [];
  readonly #spans = new Map<number, Span[]>();
  #block = Buffer.alloc(0);
  /** Bytes of the block that are filled, and those of whole rows. */
  #filled = 0;
  #parsed = 0;
  #headerLeft = HEADER_BYTES;
  /** Of the row before: rows of an object come together. */
  #lastObject = 0n;
  #lastPlace: number | undefined = undefined;
  readonly #names = new BigInt64Array(2);
  readonly #time = new Float64Array(1);

  /**
   * @param places Place of each object wanted, by diaObjectId. Rows of others are passed over, and so are those of
   *   earlier times and of commits above `asOf`.
   */
  constructor(kind: HistoryKind, places: ReadonlyMap<bigint, number>, sinceMjdTai: number, asOf: number) {
    this.#collector = new HistoryCollector(kind, places.size);
    this.#readNames = kind === 'source' ? readSourceNames : readForcedNames;
    this.#places = places;
    this.#sinceMjdTai = sinceMjdTai;
    this.#asOf = asOf;
  }

  /** A piece of a COPY that runs. */
  take(piece: Buffer): void {
    let from = Math.min(this.#headerLeft, piece.length);
    this.#headerLeft -= from;
    while (from < piece.length) {
      if (this.#filled === this.#block.length) this.#openBlock();
      const size = Math.min(piece.length - from, this.#block.length - this.#filled);
      piece.copy(this.#block, this.#filled, from, from + size);
      this.#filled += size;
      from += size;
      this.#parsed = this.#parse(this.#blocks.length - 1, this.#parsed, this.#filled, -1);
    }
  }

  /** Whole rows, which are kept where they are. Those of commits up to `through` are known already. */
  takeRows(rows: Buffer, through: number): void {
    this.#blocks.push(rows);
    const end = this.#parse(this.#blocks.length - 1, 0, rows.length, through);
    if (end !== rows.length) throw new Error(`${rows.length - end} bytes behind the last row of a tile`);
    this.#block = Buffer.alloc(0); // A COPY that follows begins a block of its own.
    this.#filled = this.#parsed = 0;
  }

  /** One window for each object, by its place. */
  finish(): HistoryRows[] {
    return this.#collector.finish(this.#blocks);
  }

  /** All rows that came of the range with this first pixel, wanted or not, as they came. */
  rowsOfRange(low: number): Uint8Array[] {
    return (this.#spans.get(low) ?? []).map(({ block, from, to }) => this.#blocks[block].subarray(from, to));
  }

  /** A new block, which begins with the row that the last one had no room for. */
  #openBlock(): void {
    const rest = this.#block.subarray(this.#parsed, this.#filled);
    const next = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, 2 * rest.length));
    rest.copy(next);
    this.#block = next;
    this.#blocks.push(next);
    this.#parsed = 0;
    this.#filled = rest.length;
  }

  /** @returns Where the last whole row ends. */
  #parse(block: number, from: number, to: number, through: number): number {
    const bytes = this.#blocks[block];
    const view = viewOf(bytes);
    let row = from;
    while (to - row >= ROW_HEAD_BYTES) {
      const length = view.getInt32(row + 22);
      if (view.getInt16(row) !== 3 || view.getInt32(row + 2) !== 4 || view.getInt32(row + 10) !== 8 || length < 0) {
        throw new Error('rows with other columns than were asked for');
      }
      if (to - row - ROW_HEAD_BYTES < length) break;
      const end = row + ROW_HEAD_BYTES + length;
      const position = view.getInt32(row + 14) * 2 ** 32 + view.getUint32(row + 18);
      this.#note(view.getInt32(row + 6), block, row, end);
      if (position > through && position <= this.#asOf) {
        this.#add(bytes, view, block, row + ROW_HEAD_BYTES, length, position);
      }
      row = end;
    }
    return row;
  }

  #note(low: number, block: number, from: number, to: number): void {
    const spans = this.#spans.get(low) ?? [];
    if (spans.length === 0) this.#spans.set(low, spans);
    const last = spans.at(-1);
    if (last?.block === block && last.to === from) spans[spans.length - 1] = { block, from: last.from, to };
    else spans.push({ block, from, to });
  }

  #add(bytes: Buffer, view: DataView, block: number, offset: number, length: number, position: number): void {
    this.#readNames(bytes, view, offset, this.#time, 0, this.#names);
    if (this.#time[0] < this.#sinceMjdTai) return;
    const [id, object] = this.#names;
    if (object !== this.#lastObject) {
      this.#lastObject = object;
      this.#lastPlace = this.#places.get(object);
    }
    if (this.#lastPlace === undefined) return;
    this.#collector.add(this.#lastPlace, id, this.#time[0], position, block, offset, length);
  }
}

/** One row as `takeRows` takes it. */
export function historyRow(low: number, position: number, payload: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(ROW_HEAD_BYTES + payload.length);
  row.writeInt16BE(3, 0);
  row.writeInt32BE(4, 2);
  row.writeInt32BE(low, 6);
  row.writeInt32BE(8, 10);
  row.writeBigInt64BE(BigInt(position), 14);
  row.writeInt32BE(payload.length, 22);
  row.set(payload, ROW_HEAD_BYTES);
  return row;
}
