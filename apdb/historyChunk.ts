/**
 * Rows of a part of the sky as columns, grouped by object: what a store reads at once, and what a cache keeps, so that
 * a warm read decodes nothing.
 */
import {
  FORCED_POINT_SIZE, readForcedRow, readSourceRow, SOURCE_POINT_SIZE, viewOf,
} from '../schemas/lightCurve.ts';
import type { HistoryKind } from './historyRows.ts';

/** Columns of equal length, by object, and in each by (position, id). Read only. */
export type HistoryChunk = Readonly<{
  /** Objects by no order; rows `starts[k]` ≤ row < `starts[k + 1]` are of object k. */
  objects: BigInt64Array;
  starts: Uint32Array;
  ids: BigInt64Array;
  positions: Float64Array;
  /** [rows × pointSize] row-major: the point of each row (`schemas/lightCurve.ts`). */
  points: Float64Array;
  pointSize: number;
  /** The encoded row is `lengths[row]` bytes of `bytes` at `offsets[row]`. */
  offsets: Uint32Array;
  lengths: Uint32Array;
  bytes: Uint8Array;
  /** Lowest time and position; Infinity without rows. */
  firstMjdTai: number;
  firstPosition: number;
}>;

/**
 * Makes a chunk of rows in any order.
 *
 * @param positions [rows] Commits that brought them.
 * @param lengths   [rows] Bytes of each encoded row.
 * @param bytes     The encoded rows, one behind the other; kept, not copied.
 * @throws when a row ends elsewhere than the lengths say.
 */
export function chunkOfRows(
  kind: HistoryKind, positions: Float64Array, lengths: Uint32Array, bytes: Uint8Array,
): HistoryChunk {
  const count = positions.length, pointSize = kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE;
  const read = kind === 'source' ? readSourceRow : readForcedRow;
  const columns = unsortedColumns(count, pointSize), { points, ids, offsets, objectOf } = columns;
  const names = new BigInt64Array(2), view = viewOf(bytes), objects = new ObjectIndex();
  let offset = 0;
  for (let row = 0; row < count; row++) {
    read(bytes, view, offset, points, row * pointSize, names);
    ids[row] = names[0];
    objectOf[row] = objects.indexOf(names);
    offsets[row] = offset;
    offset += lengths[row];
  }
  if (offset !== bytes.length) throw new Error(`${count} rows of ${offset} bytes in ${bytes.length}`);
  return sortedChunk({ ...columns, positions, lengths, pointSize }, objects, bytes);
}

/** One chunk of the rows of several, of the same point size. */
export function mergedChunk(chunks: readonly HistoryChunk[]): HistoryChunk {
  if (chunks.length === 1) return chunks[0];
  const count = chunks.reduce((sum, { ids }) => sum + ids.length, 0), [{ pointSize }] = chunks;
  const columns = unsortedColumns(count, pointSize), objects = new ObjectIndex(), name = new BigInt64Array(2);
  const positions = new Float64Array(count), lengths = new Uint32Array(count);
  let row = 0, byte = 0;
  for (const chunk of chunks) {
    columns.points.set(chunk.points, row * pointSize);
    columns.ids.set(chunk.ids, row);
    positions.set(chunk.positions, row);
    lengths.set(chunk.lengths, row);
    for (let k = 0; k < chunk.objects.length; k++) {
      name[1] = chunk.objects[k];
      columns.objectOf.fill(objects.indexOf(name), row + chunk.starts[k], row + chunk.starts[k + 1]);
    }
    for (let from = 0; from < chunk.ids.length; from++) columns.offsets[row + from] = byte + chunk.offsets[from];
    row += chunk.ids.length;
    byte += chunk.bytes.length;
  }
  const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
  return sortedChunk({ ...columns, positions, lengths, pointSize }, objects, bytes);
}

function sortedChunk(
  { points, ids, offsets, objectOf, positions, lengths, pointSize }: Unsorted & Readonly<{
    positions: Float64Array; lengths: Uint32Array; pointSize: number;
  }>, objects: ObjectIndex, bytes: Uint8Array,
): HistoryChunk {
  const count = positions.length, { order, starts } = grouped(objectOf, objects.count, positions, ids);
  let firstPosition = Infinity, firstMjdTai = Infinity;
  for (let row = 0; row < count; row++) {
    if (positions[row] < firstPosition) firstPosition = positions[row];
    if (points[row * pointSize] < firstMjdTai) firstMjdTai = points[row * pointSize];
  }
  const sorted: HistoryChunk = {
    objects: objects.ids(), starts, ids: new BigInt64Array(count), positions: new Float64Array(count),
    points: new Float64Array(count * pointSize), pointSize, offsets: new Uint32Array(count),
    lengths: new Uint32Array(count), bytes, firstMjdTai, firstPosition,
  };
  for (let i = 0; i < count; i++) {
    const row = order[i];
    sorted.ids[i] = ids[row];
    sorted.positions[i] = positions[row];
    sorted.offsets[i] = offsets[row];
    sorted.lengths[i] = lengths[row];
    for (let from = row * pointSize, to = i * pointSize, k = 0; k < pointSize; k++) {
      sorted.points[to + k] = points[from + k];
    }
  }
  return sorted;
}

type Unsorted = Readonly<{
  points: Float64Array; ids: BigInt64Array; offsets: Uint32Array; objectOf: Int32Array;
}>;
let unsorted: Unsorted | null = null;

/** Columns to read rows into before they are sorted: the same ones for every chunk, so that they stay in the cache. */
function unsortedColumns(count: number, pointSize: number): Unsorted {
  if (unsorted === null || unsorted.ids.length < count || unsorted.points.length < count * pointSize) {
    unsorted = {
      points: new Float64Array(2 * count * pointSize), ids: new BigInt64Array(2 * count),
      offsets: new Uint32Array(2 * count), objectOf: new Int32Array(2 * count),
    };
  }
  return unsorted;
}

/**
 * Rows by (object, position, id). A counting sort by object, then insertion within each: a store returns the rows of
 * an object nearly in order, and then both passes are linear.
 */
function grouped(
  objectOf: Int32Array, objectCount: number, positions: Float64Array, ids: BigInt64Array,
): { order: Uint32Array; starts: Uint32Array } {
  const starts = new Uint32Array(objectCount + 1), count = positions.length;
  for (let row = 0; row < count; row++) starts[objectOf[row] + 1]++;
  for (let k = 0; k < objectCount; k++) starts[k + 1] += starts[k];
  const ends = starts.slice(0, objectCount), order = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    const object = objectOf[row];
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

/**
 * Numbers ids in the order in which they come. Open addressing on the halves of the id: a Map of bigints takes ten
 * times as long, and half a million rows ask.
 */
class ObjectIndex {
  count = 0;
  #slots = new Int32Array(1024).fill(-1);
  /** [count × 2] low and high half of each id. */
  #halves = new Int32Array(1024);

  /** @param names The id is the second of them. */
  indexOf(names: BigInt64Array): number {
    const halves = new Int32Array(names.buffer, names.byteOffset + 8, 2);
    return this.#find(halves[0], halves[1]);
  }

  ids(): BigInt64Array {
    return new BigInt64Array(this.#halves.buffer.slice(0, 8 * this.count));
  }

  #find(low: number, high: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = (Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b)) >>> 7 & mask; ; slot = slot + 1 & mask) {
      const index = this.#slots[slot];
      if (index < 0) return this.#add(slot, low, high);
      if (this.#halves[2 * index] === low && this.#halves[2 * index + 1] === high) return index;
    }
  }

  #add(slot: number, low: number, high: number): number {
    const index = this.count++;
    this.#slots[slot] = index;
    if (2 * this.count > this.#halves.length) {
      const larger = new Int32Array(2 * this.#halves.length);
      larger.set(this.#halves);
      this.#halves = larger;
    }
    this.#halves[2 * index] = low;
    this.#halves[2 * index + 1] = high;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return index;
  }

  #rehash(): void {
    const count = this.count;
    this.#slots = new Int32Array(2 * this.#slots.length).fill(-1);
    this.count = 0;
    for (let k = 0; k < count; k++) this.#find(this.#halves[2 * k], this.#halves[2 * k + 1]);
  }
}

/** Names what the bytes below mean, columns of points included: raised whenever that changes. */
export const HISTORY_LAYOUT = 3;

/** Columns of a chunk with their bytes a value, in the order in which they are kept. */
const HEADER_BYTES = 40;

/** As bytes: counts and lowest values, columns of 8 bytes a value, of 4, then the encoded rows. Little-endian. */
export function encodeHistoryChunk(chunk: HistoryChunk): Buffer {
  return Buffer.concat(historyChunkPieces(chunk));
}

/** The same bytes in pieces, which but for the first are the chunk's own. */
export function historyChunkPieces(chunk: HistoryChunk): Buffer[] {
  const columns = [
    chunk.objects, chunk.ids, chunk.positions, chunk.points, chunk.starts, chunk.offsets, chunk.lengths, chunk.bytes,
  ];
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(chunk.objects.length, 0);
  header.writeUInt32LE(chunk.ids.length, 4);
  header.writeUInt32LE(chunk.pointSize, 8);
  header.writeDoubleLE(chunk.bytes.length, 16);
  header.writeDoubleLE(chunk.firstMjdTai, 24);
  header.writeDoubleLE(chunk.firstPosition, 32);
  return [header, ...columns.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))];
}

/**
 * @param bytes Kept: rows and columns stay where they are, unless they do not begin at a multiple of eight bytes; then
 *   columns are copied.
 * @throws when the bytes are not those of a chunk.
 */
export function decodeHistoryChunk(bytes: Buffer): HistoryChunk {
  const fail = () => new Error(`${bytes.length} bytes are no chunk of history`);
  if (bytes.length < HEADER_BYTES) throw fail();
  const [objects, rows, pointSize] = [0, 4, 8].map((at) => bytes.readUInt32LE(at));
  const wide = 8 * (objects + rows * (2 + pointSize)), narrow = 4 * (objects + 1 + 2 * rows);
  const size = bytes.readDoubleLE(16), start = HEADER_BYTES + wide + narrow;
  if (start + size !== bytes.length) throw fail();
  const from = bytes.byteOffset + HEADER_BYTES, isAligned = from % 8 === 0;
  const columns = isAligned ? bytes.buffer : bytes.buffer.slice(from, from + wide + narrow);
  let at = isAligned ? from : 0;
  const take = (length: number, width: number) => {
    const column = [columns, at, length] as const;
    at += length * width;
    return column;
  };
  return {
    objects: new BigInt64Array(...take(objects, 8)), ids: new BigInt64Array(...take(rows, 8)),
    positions: new Float64Array(...take(rows, 8)), points: new Float64Array(...take(rows * pointSize, 8)),
    starts: new Uint32Array(...take(objects + 1, 4)), offsets: new Uint32Array(...take(rows, 4)),
    lengths: new Uint32Array(...take(rows, 4)), pointSize, bytes: bytes.subarray(start),
    firstMjdTai: bytes.readDoubleLE(24), firstPosition: bytes.readDoubleLE(32),
  };
}
