/** Sources of an image: smoothed, their light marked in the mask, and their peaks. */
import { bandsOf } from './bands.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import type { Mesh } from './mesh.ts';
import { gridOf, smoothSourcesTwin } from './twins/sources.ts';

export { gridOf };

/** Farthest that marks can grow: a word of bits. */
export const REACH_MAX = 63;
/** The compiled rows are made of groups of 16 pixels. */
const WIDTH_MIN = 16;

export type SourcesTask = Readonly<{
  /** [height × width]. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0; so does what is outside. */
  image: Float32Array; zeroBits: number;
  width: number; height: number;
  /** Side of a pixel of the grid in the image's. The image's last row and column may stand for two. */
  bin: 1 | 2;
  /** Rows of the grid that are searched and marked; rows beside them are read. */
  y0: number; y1: number;
  /** Over the image. */
  mesh: Mesh;
  /** Taken off the image first; null for nothing. */
  level: Float32Array | null;
  /** Noise of the smoothed grid is in proportion to it. */
  noise: Float32Array;
  /** As for `smoothSeparable`, in pixels of the grid, as are `reach` and `border`. */
  taps: Float64Array;
  /** Smoothed pixels above this many times the noise are marked; of them, peaks above that many are listed. */
  markFactor: number; peakFactor: number;
  /** Pixels, along both axes, by which marks grow: 0 … 63. */
  reach: number;
  /** No peak lies nearer to an edge: 1 or more. */
  border: number;
}>;

/**
 * On the image, or on the means of 2 × 2 of its pixels: smooths, sets `bit` in the mask within `reach` of the pixels above the mark, and lists local maxima; of equal
 * neighbours the first in reading order counts.
 *
 * @param mask Same shape as the image, changed in place.
 * @param out  Of the grid's shape: smoothed, in rows y0 − reach − 1 … y1 + reach at least. Not the image itself.
 * @returns y × width + x of the peaks on the grid, in order.
 */
export function smoothSources(task: SourcesTask, mask: Uint16Array, bit: number, out: Float32Array): Int32Array {
  const { reach, border, markFactor, peakFactor, taps } = task;
  if (!Number.isInteger(reach) || reach < 0 || reach > REACH_MAX) throw new Error(
    `a reach of ${reach} is not 0 … ${REACH_MAX}`);
  if (!(border >= 1)) throw new Error(`a border of ${border} pixels leaves peaks without neighbours`);
  if (!(peakFactor >= markFactor)) throw new Error('a peak lies lower than what is marked');
  if (taps.length % 2 !== 1) throw new Error(`${taps.length} taps have no middle`);
  const kernels = task.width < WIDTH_MIN * task.bin ? null : kernelsOf(task.image, mask, out);
  return (kernels && smoothCompiled(kernels, task, mask, bit, out)) ?? smoothSourcesTwin(task, mask, bit, out);
}

/** Null when the work area has no room for a row, or for all peaks: the twin then makes the same planes once more. */
function smoothCompiled(
  kernels: Kernels, task: SourcesTask, mask: Uint16Array, bit: number, out: Float32Array,
): Int32Array | null {
  const { image, level, noise, taps, reach, bin } = task, { width, height, mesh } = gridOf(task);
  const words = (width + 63) >> 6;
  const bytes = {
    line: 4 * (width + 16), level: 4 * noise.length, noise: 4 * noise.length, marks: 8 * words * (2 * reach + 1),
    row: 8 * (words + 2), taps: 4 * taps.length, padded: 4 * (width + taps.length + 15),
    ring: 4 * (taps.length + 1) * ((width + 15) & ~15),
  };
  const room = KERNEL_WORK_BYTES - 1024 - Object.values(bytes).reduce((sum, size) => sum + size, 0);
  const capacity = Math.floor(room / 4), work = room > 0 ? layOutWork(kernels, { ...bytes, indices: 4 * capacity }) : null;
  if (work === null) return null;
  const { buffer } = kernels.memory;
  new Float32Array(buffer, work.noise, noise.length).set(noise);
  if (level !== null) new Float32Array(buffer, work.level, level.length).set(level);
  new Float32Array(buffer, work.taps, taps.length).set(taps);
  let found = 0;
  for (const band of bandsOf(kernels, task.y0, task.y1)) {
    found = kernels.compiled.smoothSources(
      pointerTo(kernels, image), pointerTo(kernels, mask), task.zeroBits, task.width, task.height, bin, width, height,
      band.y0, band.y1, level === null ? 0 : work.level, work.noise, mesh.columns, mesh.rows, mesh.cellWidth,
      mesh.cellHeight, work.line,
      work.taps, (taps.length - 1) >> 1, pointerTo(kernels, out), work.padded, work.ring, task.markFactor,
      task.peakFactor, reach, task.border, bit, work.marks, work.row, work.indices, capacity, found,
    );
  }
  return found > capacity ? null : new Int32Array(buffer, work.indices, found).slice();
}
