/** Level and noise of the sky in a row of an image's cells. */
import type { CellBox, ClippedCell } from './background.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { clippedCellTwin } from './twins/cells.ts';

export type CellRowTask = Readonly<{
  /** [height × width]; NaN is not usable. Read only. */
  image: Float32Array;
  /** Pixels with one of `ignoredBits` are not usable. */
  mask: Uint16Array; ignoredBits: number;
  width: number;
  /** Pixels farther than this from the median do not count, in standard deviations. */
  clipSigma: number;
  /** Rows from one that counts to the next. */
  rowStep: number;
}>;

/** A cell, and how many of the pixels in its counting rows are usable; NaN when none is. */
export type CountedCell = ClippedCell & Readonly<{ usable: number }>;

/**
 * The cells between rows `y0` and `y1`, from left to right.
 *
 * Starts from median and 16 % quantile of a sample of the cell, which bright sources cannot move far: eight
 * pixels or so of eight rows, or all when few of them are usable. Distances from that median
 * become whole numbers of a 128th of that scatter, so that all sums are exact; they are clipped about the median until
 * it and the scatter stand, eight times at most, and never count beyond five of the sample's standard deviations. A
 * cell of equal pixels has sigma 0.
 *
 * @param edges First column of each cell, and the end of the last; rising.
 */
export function clipCells(task: CellRowTask, edges: Int32Array, y0: number, y1: number): CountedCell[] {
  const kernels = kernelsOf(task.image, task.mask);
  const cells = (kernels === null ? null : clipCompiled(kernels, task, edges, y0, y1))
    ?? Array.from({ length: edges.length - 1 }, (_, c) => (
      clippedCellTwin(task, { x0: edges[c], x1: edges[c + 1], y0, y1 } satisfies CellBox)
    ));
  for (let c = 0; c < cells.length; c++) if (cells[c].usable === 0) cells[c] = UNKNOWN_CELL;
  return cells;
}

const UNKNOWN_CELL: CountedCell = { usable: 0, median: NaN, mean: NaN, sigma: NaN };

/** Of the sample that a cell begins with: fewer than 16 pixels of fewer than 16 rows. */
const SAMPLE_BYTES = 4 * 16 * 16;

/** Null when the work area has no room for the row's numbers. */
function clipCompiled(
  kernels: Kernels, task: CellRowTask, edges: Int32Array, y0: number, y1: number,
): CountedCell[] | null {
  const columns = edges.length - 1, rows = Math.ceil((y1 - y0) / task.rowStep);
  let widest = 0;
  for (let c = 0; c < columns; c++) widest = Math.max(widest, edges[c + 1] - edges[c]);
  // An odd number of cache lines: at 4 kB from each other, cells would meet at the same places of the cache.
  const numberBytes = 64 * (Math.ceil((16 * Math.ceil(widest / 8) * rows) / 64) | 1);
  const sampleBytes = 4 * (widest * (y1 - y0) + 3);
  if (columns * (numberBytes + 64 + SAMPLE_BYTES) + sampleBytes > KERNEL_WORK_BYTES - 4096) return null;
  const work = layOutWork(kernels, {
    sums: 32, sample: sampleBytes, samples: SAMPLE_BYTES * columns, edges: 4 * (columns + 1), starts: 8 * columns,
    result: 32 * columns, numbers: numberBytes * columns,
  });
  if (work === null) return null;
  kernels.holder.checkpoint?.();
  new Int32Array(kernels.memory.buffer, work.edges, columns + 1).set(edges);
  kernels.compiled.clippedRow(
    pointerTo(kernels, task.image), pointerTo(kernels, task.mask), task.width, work.edges, columns, y0, y1,
    task.image.length, task.ignoredBits, task.clipSigma, task.rowStep, work.sample, work.samples,
    work.starts, work.sums, work.numbers, numberBytes, work.result,
  );
  const result = new Float64Array(kernels.memory.buffer, work.result, 4 * columns);
  const cells: CountedCell[] = [];
  for (let k = 0; k < 4 * columns; k += 4) {
    cells.push({ usable: result[k], median: result[k + 1], mean: result[k + 2], sigma: result[k + 3] });
  }
  return cells;
}
