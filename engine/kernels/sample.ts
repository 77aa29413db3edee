/** Order statistics of a few rows of pixels, for what need not see all. */
import { kernelsOf, layOutWork, pointerTo, type PlaneView } from './kernels.ts';
import { selectInPlace } from './select.ts';
import { columnMomentsTwin, sampleCellTwin } from './twins/sample.ts';

export type SampleTask = Readonly<{
  /** [height × width]; what is not finite is not usable. Read only. */
  image: Float32Array;
  /** Pixels with one of `ignoredBits` are not usable. */
  mask: Uint16Array; ignoredBits: number;
  width: number;
}>;

/** The values at places n / 2 and 0.1587 n, rounded down, of n usable pixels in order; nothing where there is none. */
export type SampledCell = Readonly<{ count: number; median: number; lower: number }>;

/**
 * @param rows The rows of the cell that are looked at. Its columns are `x0` … `x1` − 1.
 */
export function sampleCell(task: SampleTask, rows: Int32Array, x0: number, x1: number): SampledCell {
  const kernels = kernelsOf(task.image, task.mask);
  const work = kernels && layOutWork(kernels, {
    rows: 4 * rows.length, sample: 4 * (rows.length * (x1 - x0) + 4), result: 8,
  });
  if (kernels === null || work === null) return sampleCellTwin(task, rows, x0, x1);
  const { buffer } = kernels.memory;
  new Int32Array(buffer, work.rows, rows.length).set(rows);
  const count = kernels.compiled.sampleCell(
    pointerTo(kernels, task.image), pointerTo(kernels, task.mask), task.width, work.rows, rows.length, x0, x1,
    task.ignoredBits, work.sample, work.result,
  );
  const [median, lower] = new Float32Array(buffer, work.result, 2);
  return { count, median: median + 0, lower: lower + 0 }; // No negative zeros.
}

/** NaN where no pixel is usable. */
export type ColumnMoments = Readonly<{ count: number; median: number; deviation: number }>;

/** Median and median absolute deviation of a column's usable pixels, every `rowStep` rows; means of the middle two. */
export function columnMoments(task: SampleTask, x: number, rowStep: number): ColumnMoments {
  const { image, mask, width, ignoredBits } = task, height = image.length / width;
  const kernels = kernelsOf(image, mask);
  const work = kernels && layOutWork(kernels, { values: 4 * (Math.ceil(height / rowStep) + 3) });
  if (kernels === null || work === null) return columnMomentsTwin(task, x, rowStep);
  const { compiled } = kernels;
  const count = compiled.gatherColumn(
    pointerTo(kernels, image) + 4 * x, pointerTo(kernels, mask) + 2 * x, width, height, rowStep, ignoredBits,
    work.values,
  );
  if (count === 0) return { count, median: NaN, deviation: NaN };
  const select = (k: number): number => compiled.selectSmallest(work.values, count, k);
  const middle = (): number => (select((count - 1) >> 1) + select(count >> 1)) / 2;
  const median = middle();
  compiled.takeDistances(work.values, count, median);
  return { count, median: median + 0, deviation: middle() }; // No negative zeros.
}

/**
 * The k-th smallest (from 0) of finite numbers.
 *
 * @param values Read only.
 * @param beside A view on the memory whose kernels may help.
 */
export function smallestOf(values: Float32Array, k: number, beside: PlaneView): number {
  const { length } = values, kernels = kernelsOf(beside);
  const work = kernels && layOutWork(kernels, { values: 4 * (length + 3) });
  if (!(k >= 0 && k < length)) throw new Error(`${length} values have none at place ${k}`);
  if (kernels === null || work === null) return selectInPlace(values.slice(), 0, length, k);
  new Float32Array(kernels.memory.buffer, work.values, length).set(values);
  return kernels.compiled.selectSmallest(work.values, length, k);
}

/**
 * Median of finite numbers, the mean of the middle two when even, in single precision.
 *
 * @param values Read only.
 * @param beside A view on the memory whose kernels may help.
 */
export function medianOf(values: Float32Array | Float64Array, beside: PlaneView): number {
  const { length } = values, kernels = kernelsOf(beside), low = (length - 1) >> 1, high = length >> 1;
  const work = kernels && layOutWork(kernels, { values: 4 * (length + 3) });
  if (length === 0) return NaN;
  if (kernels === null || work === null) {
    const copy = Float32Array.from(values);
    return (selectInPlace(copy, 0, length, low) + selectInPlace(copy, 0, length, high)) / 2;
  }
  new Float32Array(kernels.memory.buffer, work.values, length).set(values);
  const select = (k: number): number => kernels.compiled.selectSmallest(work.values, length, k);
  return (select(low) + select(high)) / 2;
}
