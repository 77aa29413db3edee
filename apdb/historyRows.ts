/**
 * History as columns: a year of a crowded field is millions of rows, too many for a record each.
 *
 * `HistoryColumns` holds the rows of many objects; `HistoryRows` is a window on those of one.
 */
import type { CommitPosition } from '../schemas/ids.ts';
import {
  FORCED_POINT_SIZE, readForcedPoint, readSourcePoint, SOURCE_POINT_SIZE, viewOf, type LightCurve,
} from '../schemas/lightCurve.ts';

/** One row of a light curve: of DiaSource or DiaForcedSource. */
export type HistoryRow = Readonly<{
  /** diaSourceId or diaForcedSourceId. */
  id: bigint;
  midpointMjdTai: number;
  /** Commit that brought it. */
  position: CommitPosition;
  /** The encoded row, to be spliced. Read only. */
  payload: Uint8Array;
}>;

/** Columns of equal length, by object. Payload i is `lengths[i]` bytes of `blocks[blockOf[i]]` at `offsets[i]`. */
export type HistoryColumns = Readonly<{
  ids: BigInt64Array;
  midpointMjdTai: Float64Array;
  positions: Float64Array;
  blockOf: Uint32Array;
  offsets: Uint32Array;
  lengths: Uint32Array;
  /** Encoded rows as they came, with other bytes between them. */
  blocks: readonly Uint8Array[];
  /** [rows × pointSize] row-major: the point of each row (`schemas/lightCurve.ts`). */
  points: Float64Array;
  pointSize: number;
}>;

/** Which table the rows are of. */
export type HistoryKind = 'source' | 'forced';

/** Rows of one object in one table, by ascending (position, id). Iterating makes a record of each. */
export class HistoryRows implements Iterable<HistoryRow>, LightCurve {
  readonly length: number;
  readonly #columns: HistoryColumns;
  readonly #start: number;

  constructor(columns: HistoryColumns, start: number, end: number) {
    this.length = end - start;
    this.#columns = columns;
    this.#start = start;
  }

  id(index: number): bigint {
    return this.#columns.ids[this.#at(index)];
  }

  midpointMjdTai(index: number): number {
    return this.#columns.midpointMjdTai[this.#at(index)];
  }

  position(index: number): CommitPosition {
    return this.#columns.positions[this.#at(index)] as CommitPosition; // The column was filled from positions.
  }

  payload(index: number): Uint8Array {
    const { blockOf, offsets, lengths, blocks } = this.#columns;
    const row = this.#at(index);
    return blocks[blockOf[row]].subarray(offsets[row], offsets[row] + lengths[row]);
  }

  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void {
    const { points: from, pointSize, ids: ownIds } = this.#columns;
    points.set(from.subarray(this.#start * pointSize, (this.#start + this.length) * pointSize), row * pointSize);
    ids.set(ownIds.subarray(this.#start, this.#start + this.length), row);
  }

  /** Whether all rows are of this time or later. */
  isSince(mjdTai: number): boolean {
    const { midpointMjdTai } = this.#columns;
    for (let row = this.#start; row < this.#start + this.length; row++) if (midpointMjdTai[row] < mjdTai) return false;
    return true;
  }

  /** The encoded rows, as a packet takes them. */
  payloads(): Uint8Array[] {
    return Array.from({ length: this.length }, (_, index) => this.payload(index));
  }

  *[Symbol.iterator](): Iterator<HistoryRow> {
    for (let i = 0; i < this.length; i++) {
      const [id, midpointMjdTai] = [this.id(i), this.midpointMjdTai(i)];
      yield { id, midpointMjdTai, position: this.position(i), payload: this.payload(i) };
    }
  }

  #at(index: number): number {
    if (!(index >= 0 && index < this.length)) throw new Error(`row ${index} of ${this.length}`);
    return this.#start + index;
  }
}

type RowColumns = Pick<
  HistoryColumns, 'ids' | 'midpointMjdTai' | 'positions' | 'blockOf' | 'offsets' | 'lengths'
>;

const ROWS_AT_FIRST = 1024;

/** Takes rows in any order and groups them by object. */
export class HistoryCollector {
  readonly #kind: HistoryKind;
  readonly #objectCount: number;
  #objects = new Int32Array(ROWS_AT_FIRST);
  #unordered = emptyColumns(ROWS_AT_FIRST);
  #count = 0;

  constructor(kind: HistoryKind, objectCount: number) {
    this.#kind = kind;
    this.#objectCount = objectCount;
  }

  /** @param object 0-based index of the row's object. `block`, `offset` and `length` [bytes] place the payload. */
  add(
    object: number, id: bigint, midpointMjdTai: number, position: number, block: number, offset: number, length: number,
  ): void {
    const row = this.#count++;
    if (row === this.#objects.length) this.#grow();
    const { ids, midpointMjdTai: times, positions, blockOf, offsets, lengths } = this.#unordered;
    this.#objects[row] = object;
    ids[row] = id;
    times[row] = midpointMjdTai;
    positions[row] = position;
    blockOf[row] = block;
    offsets[row] = offset;
    lengths[row] = length;
  }

  /** One window for each object, in order. The blocks are kept, not copied. */
  finish(blocks: readonly Uint8Array[]): HistoryRows[] {
    const from = this.#unordered;
    const { order, starts } = this.#grouped();
    const pointSize = this.#kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE;
    const readPoint = this.#kind === 'source' ? readSourcePoint : readForcedPoint;
    const points = new Float64Array(this.#count * pointSize);
    const columns: HistoryColumns = { ...emptyColumns(this.#count), blocks, points, pointSize };
    const views = blocks.map(viewOf);
    for (let i = 0; i < this.#count; i++) {
      const row = order[i], block = from.blockOf[row];
      columns.ids[i] = from.ids[row];
      columns.midpointMjdTai[i] = from.midpointMjdTai[row];
      columns.positions[i] = from.positions[row];
      columns.blockOf[i] = block;
      columns.offsets[i] = from.offsets[row];
      columns.lengths[i] = from.lengths[row];
      readPoint(blocks[block], views[block], from.offsets[row], points, i * pointSize);
    }
    return Array.from({ length: this.#objectCount }, (_, k) => new HistoryRows(columns, starts[k], starts[k + 1]));
  }

  /**
   * Rows by (object, position, id). A counting sort by object, then insertion within each: a store returns the rows
   * of an object nearly in order, and then both passes are linear.
   */
  #grouped(): { order: Uint32Array; starts: Uint32Array } {
    const { positions, ids } = this.#unordered;
    const starts = new Uint32Array(this.#objectCount + 1);
    for (let row = 0; row < this.#count; row++) starts[this.#objects[row] + 1]++;
    for (let k = 0; k < this.#objectCount; k++) starts[k + 1] += starts[k];
    const ends = starts.slice(0, this.#objectCount);
    const order = new Uint32Array(this.#count);
    for (let row = 0; row < this.#count; row++) {
      const object = this.#objects[row];
      let at = ends[object]++;
      for (; at > starts[object]; at--) {
        const before = order[at - 1];
        const later = positions[row] - positions[before];
        if (later > 0 || (later === 0 && ids[before] < ids[row])) break;
        order[at] = before;
      }
      order[at] = row;
    }
    return { order, starts };
  }

  #grow(): void {
    const larger = emptyColumns(2 * this.#objects.length);
    const { ids, midpointMjdTai, positions, blockOf, offsets, lengths } = this.#unordered;
    larger.ids.set(ids);
    larger.midpointMjdTai.set(midpointMjdTai);
    larger.positions.set(positions);
    larger.blockOf.set(blockOf);
    larger.offsets.set(offsets);
    larger.lengths.set(lengths);
    this.#unordered = larger;
    const objects = new Int32Array(2 * this.#objects.length);
    objects.set(this.#objects);
    this.#objects = objects;
  }
}

function emptyColumns(rowCount: number): RowColumns {
  return {
    ids: new BigInt64Array(rowCount), midpointMjdTai: new Float64Array(rowCount),
    positions: new Float64Array(rowCount), blockOf: new Uint32Array(rowCount), offsets: new Uint32Array(rowCount),
    lengths: new Uint32Array(rowCount),
  };
}
