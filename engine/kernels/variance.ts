/** Variance of pixels from the light that is expected there. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import type { Mesh } from './mesh.ts';
import { BLOCK_PX, readRow, significances, variancePassTwin } from './twins/variance.ts';

export type VarianceTask = Readonly<{
  /** [height × width], electrons after the flat. Read only. */
  image: Float32Array;
  /** [height × width]: 1 / response of each pixel, or anything when not `isInverse`; overwritten by the variance. */
  variance: Float32Array; isInverse: boolean;
  width: number; height: number;
  /** Level of the sky at the centres of equal cells, of which (column, row) is at row × columns + column. */
  sky: Mesh & Readonly<{ level: Float32Array }>;
  /** Variance of the read noise, electrons², in boxes that cover the image. */
  readNoise: readonly Readonly<{ x0: number; x1: number; y0: number; y1: number; variance: number }>[];
  /** Significance from which a pixel's own light, or the smoothed light (in noise of a pixel), is believed. */
  brightSigma: number; smoothSigma: number;
  /** What is listed of each row on the way; null for nothing. */
  lists: VarianceLists | null;
}>;

/** Pixels that ask for more, of all rows that were run, row by row in the order of running. */
export type VarianceLists = Readonly<{
  /** [height × width]. Read only. */
  mask: Uint16Array;
  /**
   * Those that stand above the mean of their four neighbours by more than `sharpSigma` standard deviations of that
   * difference (a pixel's × √1.25), at least 0, Infinity for none, and above the sky by more than half of that in its
   * noise; none of the outermost, none beside a pixel with one of the `blockingBits` or with one itself.
   */
  sharpSigma: number; blockingBits: number; sharp: Int32Array;
  /** Those with some of the bits: pairs of the pixel and which of them it has. */
  markedBits: number; marked: Int32Array;
}>;

/** Rows in any order, each once: it needs the image of the rows below and above. */
export type VariancePass = Readonly<{
  run(first: number, end: number): void;
  /** How many there are for each list so far; when that is more than the list holds, it is not whole. */
  found(): Readonly<{ sharp: number; marked: number }>;
}>;

/** Bytes of the task, as `assembly/variance.ts` reads it, and where its lists begin. */
const TASK_BYTES = 160, LISTS_AT = 96, BLOCK_BYTES = 16, PLACE_BYTES = 16;

/**
 * variance = (expected + read / response) / response, where the expected light is the sky's (0 at least; that in
 * the middle of blocks of 8 × 8 pixels), or the 3 × 3 binomial mean of the light where that is above it by more than
 * `smoothSigma`, or then the pixel's own where it is bright. The limits are those of the block's sky and read noise.
 * Single precision: good to 1e-6. NaN where the image is NaN; beside such a pixel no mean is asked.
 *
 * @param room Byte offset of `varianceRoomBytes` of work memory that is kept while the pass runs; null to lay it out
 *             anew, and for planes outside the kernels' memory.
 */
export function prepareVariance(task: VarianceTask, room: number | null = null): VariancePass {
  const { image, variance, lists } = task, listed = lists === null ? [] : [lists.mask, lists.sharp, lists.marked];
  if (lists !== null && !(lists.sharpSigma >= 0)) throw new Error(`a limit of sharpness of ${lists.sharpSigma}`);
  const kernels = kernelsOf(image, variance, ...listed);
  const work = kernels && (room === null ? layOutWork(kernels, { room: varianceRoomBytes(task) }) : { room });
  if (kernels === null || work === null) return variancePassTwin(task);
  writeTask(kernels, task, work.room);
  return {
    run: (first, end) => {
      if (room === null && !holdsWork(kernels, work)) throw new Error('another kernel has taken the work of this pass');
      kernels.compiled.varianceRows(work.room, first, end);
    },
    found: () => {
      const [sharp, , , marked] = new Int32Array(kernels.memory.buffer, work.room + LISTS_AT + 20, 4);
      return { sharp, marked };
    },
  };
}

/** All rows at once. */
export function fillVariance(task: VarianceTask): void {
  prepareVariance(task).run(0, task.height);
}

export function varianceRoomBytes(task: Pick<VarianceTask, 'width' | 'height' | 'sky' | 'readNoise'>): number {
  return roomParts(task).end;
}

/** What lies where in the room, bytes from its start. */
function roomParts(task: Pick<VarianceTask, 'width' | 'height' | 'sky' | 'readNoise'>) {
  const { width, height, sky } = task, cells = TASK_BYTES, readsAt = cells + 4 * sky.columns * sky.rows;
  const reads = readsAt + 4 * height, list = reads + 4 * width * edgesOf(task).length;
  const count = Math.ceil(width / BLOCK_PX), blocks = list + 48 * (1 + count);
  const places = Math.ceil((blocks + 2 * BLOCK_BYTES * count) / 8) * 8;
  return { cells, readsAt, reads, list, blocks, places, end: places + PLACE_BYTES * count };
}

/** Row 0, and those in which another box begins or ends. */
function edgesOf({ readNoise, height }: Pick<VarianceTask, 'height' | 'readNoise'>): number[] {
  const edges = new Set([0, ...readNoise.flatMap(({ y0, y1 }) => [y0, y1])]);
  return [...edges].filter((y) => y < height).sort((a, b) => a - b);
}

function writeTask(kernels: Kernels, task: VarianceTask, room: number): void {
  const { buffer } = kernels.memory, { sky, width, height } = task, edges = edgesOf(task);
  const parts = roomParts(task), cells = room + parts.cells, readsAt = room + parts.readsAt, reads = room + parts.reads;
  new Float32Array(buffer, cells, sky.columns * sky.rows).set(sky.level);
  const offsets = new Uint32Array(buffer, readsAt, height);
  edges.forEach((y, k) => {
    new Float32Array(buffer, reads + 4 * width * k, width).set(readRow(task, y));
    offsets.fill(4 * width * k, y);
  });
  const words = [
    pointerTo(kernels, task.image), pointerTo(kernels, task.variance), width, height, task.isInverse ? 1 : 0, cells,
    sky.columns, sky.rows, reads, readsAt,
  ];
  new Uint32Array(buffer, room, words.length).set(words);
  new Float64Array(buffer, room + 40, 2).set([sky.cellWidth, sky.cellHeight]);
  const { bright, source, sharp, sharp2 } = significances(task);
  new Float32Array(buffer, room + 56, 4).set([bright, source, sharp, sharp2]);
  const { lists } = task, list = (view: Int32Array, each: number) =>
    [pointerTo(kernels, view), Math.floor(view.length / each), 0];
  new Int32Array(buffer, room + LISTS_AT, 9).set(lists === null ? new Array<number>(9).fill(0) : [
    pointerTo(kernels, lists.mask), lists.blockingBits, lists.markedBits, ...list(lists.sharp, 1),
    ...list(lists.marked, 2),
  ]);
  new Int32Array(buffer, room + LISTS_AT + 36, 5).set([
    room + parts.list, room + parts.blocks, -1, -1, room + parts.places,
  ]);
  writePlaces(new DataView(buffer, room + parts.places), task);
}

/** Of each block of a row, its place between the cells. */
function writePlaces(view: DataView, { width, sky: { columns, cellWidth } }: VarianceTask): void {
  for (let k = 0; k * BLOCK_PX < width; k++) {
    const u = columns === 1 ? 0 : (k * BLOCK_PX + BLOCK_PX / 2) / cellWidth - 0.5;
    const column = Math.min(Math.max(Math.floor(u), 0), Math.max(columns - 2, 0));
    view.setFloat64(k * PLACE_BYTES, columns === 1 ? 0 : u - column, true);
    view.setInt32(k * PLACE_BYTES + 8, 4 * column, true);
  }
}
