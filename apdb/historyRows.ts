/**
 * History as columns: a year of a crowded field is millions of rows, too many for a record each.
 *
 * A `HistoryChunk` holds the rows of many objects (`historyChunk.ts`); `HistoryRows` is a window on those of one.
 */
import type { CommitPosition } from '../schemas/ids.ts';
import { POINT, type LightCurve } from '../schemas/lightCurve.ts';
import type { HistoryChunk } from './historyChunk.ts';

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

/** Which table the rows are of. */
export type HistoryKind = 'source' | 'forced';

/** Rows `start` ≤ row < `end` of a chunk. */
export type HistorySegment = Readonly<{ chunk: HistoryChunk; start: number; end: number }>;

/** Rows of one object in one table, by ascending (position, id). Iterating makes a record of each. */
export class HistoryRows implements Iterable<HistoryRow>, LightCurve {
  readonly length: number;
  /** Nearly always one: what was read at once, and perhaps what the cache was told of later. */
  readonly #segments: readonly HistorySegment[];

  /** @param segments The rows of one follow those of the one before. */
  constructor(segments: readonly HistorySegment[]) {
    this.#segments = segments;
    let length = 0;
    for (const { start, end } of segments) length += end - start;
    this.length = length;
  }

  id(index: number): bigint {
    const { chunk, start } = this.#at(index);
    return chunk.ids[start];
  }

  midpointMjdTai(index: number): number {
    const { chunk, start } = this.#at(index);
    return chunk.points[start * chunk.pointSize + POINT.time];
  }

  position(index: number): CommitPosition {
    const { chunk, start } = this.#at(index);
    return chunk.positions[start] as CommitPosition; // The column was filled from positions.
  }

  payload(index: number): Uint8Array {
    const { chunk, start } = this.#at(index);
    return chunk.bytes.subarray(chunk.offsets[start], chunk.offsets[start] + chunk.lengths[start]);
  }

  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void {
    for (const { chunk, start, end } of this.#segments) {
      const size = chunk.pointSize;
      // For so few values a loop beats a view and a copy of it.
      for (let from = start * size, to = row * size; from < end * size; from++, to++) points[to] = chunk.points[from];
      for (let from = start; from < end; from++, row++) ids[row] = chunk.ids[from];
    }
  }

  /** Whether all rows are of this time or later. */
  isSince(mjdTai: number): boolean {
    for (const { chunk, start, end } of this.#segments) {
      if (chunk.firstMjdTai >= mjdTai) continue;
      for (let row = start; row < end; row++) {
        if (chunk.points[row * chunk.pointSize + POINT.time] < mjdTai) return false;
      }
    }
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

  /** The segment whose first row is row `index`. */
  #at(index: number): Readonly<{ chunk: HistoryChunk; start: number }> {
    let left = index;
    for (const { chunk, start, end } of this.#segments) {
      if (left >= 0 && left < end - start) return { chunk, start: start + left };
      left -= end - start;
    }
    throw new Error(`row ${index} of ${this.length}`);
  }
}

const NOTHING = new HistoryRows([]);

/** Takes chunks and finds in them the rows of each object wanted. */
export class HistoryWindows {
  readonly #places: ReadonlyMap<bigint, number>;
  readonly #sinceMjdTai: number;
  readonly #segments: (HistorySegment[] | undefined)[];

  /**
   * @param places Place of each object wanted, by diaObjectId. Rows of others are passed over, and so are those of
   *   earlier times.
   */
  constructor(places: ReadonlyMap<bigint, number>, sinceMjdTai: number) {
    this.#places = places;
    this.#sinceMjdTai = sinceMjdTai;
    this.#segments = new Array<HistorySegment[] | undefined>(places.size);
  }

  /** @param through Rows of commits up to it are known already: they were in a chunk before. */
  add(chunk: HistoryChunk, through: number): void {
    const isWhole = chunk.firstMjdTai >= this.#sinceMjdTai && chunk.firstPosition > through;
    for (let k = 0; k < chunk.objects.length; k++) {
      const place = this.#places.get(chunk.objects[k]);
      if (place === undefined) continue;
      const segments = this.#segments[place] ??= [];
      const start = chunk.starts[k], end = chunk.starts[k + 1];
      if (isWhole) segments.push({ chunk, start, end }); else this.#addWanted(segments, chunk, start, end, through);
    }
  }

  /** One window for each object, by its place. */
  finish(): HistoryRows[] {
    return Array.from(this.#segments, (segments) => (segments ? new HistoryRows(inOrder(segments)) : NOTHING));
  }

  #isWanted({ positions, points, pointSize }: HistoryChunk, row: number, through: number): boolean {
    return positions[row] > through && points[row * pointSize + POINT.time] >= this.#sinceMjdTai;
  }

  #addWanted(segments: HistorySegment[], chunk: HistoryChunk, start: number, end: number, through: number): void {
    for (let row = start; row < end;) {
      let first = row;
      while (first < end && !this.#isWanted(chunk, first, through)) first++;
      row = first;
      while (row < end && this.#isWanted(chunk, row, through)) row++;
      if (row > first) segments.push({ chunk, start: first, end: row });
    }
  }
}

/** Segments such that the rows of each follow those of the one before; rows of a late commit lie between others. */
function inOrder(segments: HistorySegment[]): readonly HistorySegment[] {
  if (segments.length === 1) return segments;
  segments.sort((a, b) => compareRows(a.chunk, a.start, b.chunk, b.start));
  const isOrdered = segments.every((next, k) => (
    k === 0 || compareRows(segments[k - 1].chunk, segments[k - 1].end - 1, next.chunk, next.start) < 0));
  if (isOrdered) return segments;
  return segments.flatMap(({ chunk, start, end }) => (
    Array.from({ length: end - start }, (_, k) => ({ chunk, start: start + k, end: start + k + 1 }))))
    .sort((a, b) => compareRows(a.chunk, a.start, b.chunk, b.start));
}

function compareRows(a: HistoryChunk, rowOfA: number, b: HistoryChunk, rowOfB: number): number {
  const later = a.positions[rowOfA] - b.positions[rowOfB];
  return later !== 0 ? later : a.ids[rowOfA] < b.ids[rowOfB] ? -1 : 1;
}
