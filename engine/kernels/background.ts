/** Level and noise of the sky in the cells of an image. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { createClippedCellsTwin } from './twins/background.ts';

export type CellBox = Readonly<{ x0: number; x1: number; y0: number; y1: number }>;

export type ClippedCell = Readonly<{
  /** Median, mean and standard deviation of the pixels within the limit; NaN when too few pixels are usable. */
  median: number; mean: number; sigma: number;
}>;

export type CellsTask = Readonly<{
  /** [height × width]; NaN is not usable. Read only. */
  image: Float32Array;
  /** Pixels with one of `ignoredBits` are not usable. */
  mask: Uint16Array; ignoredBits: number;
  width: number;
  /** Largest number of pixels of a cell. */
  pixelsMax: number;
  /** Pixels farther than this from the median do not count, in standard deviations. */
  clipSigma: number;
  /** Rows from one that counts to the next. */
  rowStep: number;
}>;

/** Statistics of one cell, of which at least `countMin` pixels have to be usable. */
export type ClippedCells = (box: CellBox, countMin: number) => ClippedCell;

/**
 * Starts from median and 16 % quantile of a sample of the cell, which bright sources cannot move far: every eighth
 * pixel of every eighth row, more of a small cell, or all when few of them are usable. Then one histogram of the pixels
 * within five of the sample's standard deviations, in bins of a thirty-second of one, on which the clipping about the
 * median runs until the scatter stands: up to eight rounds. A cell of equal pixels has sigma 0.
 */
export function createClippedCells(task: CellsTask): ClippedCells {
  const kernels = kernelsOf(task.image, task.mask);
  const cells = (kernels === null ? null : createCompiled(kernels, task)) ?? createClippedCellsTwin(task);
  return (box, countMin) => {
    const pixels = (box.x1 - box.x0) * (box.y1 - box.y0);
    if (pixels > task.pixelsMax) throw new Error(
      `a cell of ${pixels} pixels, ${task.pixelsMax} at most were announced`);
    return cells(box, countMin);
  };
}

/** Null when the work area has no room for a cell. */
function createCompiled(kernels: Kernels, task: CellsTask): ClippedCells | null {
  // Nothing of it is kept from one cell to the next.
  const work = layOutWork(kernels, {
    // First, so that the sample never begins at byte 0, below which the selection's places go.
    bins: 4 * 323 * 4 + 8 + 3 * 321 * 8, sample: task.pixelsMax * 4, result: 24,
  });
  if (work === null) return null;
  const image = pointerTo(kernels, task.image), mask = pointerTo(kernels, task.mask);
  const numbers = new Float64Array(kernels.memory.buffer, work.result, 3);
  return ({ x0, x1, y0, y1 }, countMin) => {
    const least = Math.max(1, countMin);
    const count = kernels.compiled.clippedCell(
      image, mask, task.width, x0, x1, y0, y1, task.ignoredBits, least, task.clipSigma, task.rowStep,
      work.sample, work.bins, work.result,
    );
    if (count < least) return { median: NaN, mean: NaN, sigma: NaN };
    return { median: numbers[0], mean: numbers[1], sigma: numbers[2] };
  };
}
