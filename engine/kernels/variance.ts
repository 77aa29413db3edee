/** Variance of pixels from the light that is expected there. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import type { Mesh } from './mesh.ts';
import { readRow, significances, varianceRowsTwin } from './twins/variance.ts';

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
}>;

/** Rows in any order, each once: it needs the image of the rows below and above. */
export type VariancePass = Readonly<{ run(first: number, end: number): void }>;

const TASK_BYTES = 96;

/**
 * variance = (expected + read / response) / response, where the expected light is the sky's (0 at least), or the 3 × 3
 * binomial mean of the light where that is above it by more than `smoothSigma`, or the pixel's own. The limits are
 * those of the sky and read noise in the middle of a cell. Single precision: good to 1e-6. NaN where the image is NaN;
 * beside such a pixel no mean is asked.
 *
 * @param room Byte offset of `varianceRoomBytes` of work memory that is kept while the pass runs; null to lay it out
 *             anew, and for planes outside the kernels' memory.
 */
export function prepareVariance(task: VarianceTask, room: number | null = null): VariancePass {
  const kernels = kernelsOf(task.image, task.variance);
  if (kernels === null) return { run: (first, end) => { varianceRowsTwin(task, first, end); } };
  const work = room === null ? layOutWork(kernels, { room: varianceRoomBytes(task) }) : { room };
  if (work === null) return { run: (first, end) => { varianceRowsTwin(task, first, end); } };
  writeTask(kernels, task, work.room);
  return { run: (first, end) => {
    if (room === null && !holdsWork(kernels, work)) throw new Error('another kernel has taken the work of this pass');
    kernels.compiled.varianceRows(work.room, first, end);
  } };
}

/** All rows at once. */
export function fillVariance(task: VarianceTask): void {
  prepareVariance(task).run(0, task.height);
}

export function varianceRoomBytes(task: Pick<VarianceTask, 'width' | 'height' | 'sky' | 'readNoise'>): number {
  const { columns, rows } = task.sky;
  return TASK_BYTES + 4 * (columns * rows + task.height + task.width * edgesOf(task).length);
}

/** Row 0, and those in which another box begins or ends. */
function edgesOf({ readNoise, height }: Pick<VarianceTask, 'height' | 'readNoise'>): number[] {
  const edges = new Set([0, ...readNoise.flatMap(({ y0, y1 }) => [y0, y1])]);
  return [...edges].filter((y) => y < height).sort((a, b) => a - b);
}

function writeTask(kernels: Kernels, task: VarianceTask, room: number): void {
  const { buffer } = kernels.memory, { sky, width, height } = task, edges = edgesOf(task);
  const cells = room + TASK_BYTES, readsAt = cells + 4 * sky.columns * sky.rows, reads = readsAt + 4 * height;
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
  new Float32Array(buffer, room + 56, 2).set(significances(task));
}
