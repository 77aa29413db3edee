/** Robust statistics of a plane from a regular sample of it. */
import { selectInPlace } from '../../image/median.ts';

/** Values that a sample holds at most: the median of 50,000 is good to 0.6 % of a standard deviation. */
const SAMPLE_COUNT_MAX = 50_000;

/**
 * Median of the finite values of a plane at the indices that `isUsed` accepts; of an even sample the lower middle one.
 * A plane of more than 50,000 values is sampled at a regular step. NaN when nothing is used.
 */
export function medianOfSample(plane: Float32Array, isUsed: (index: number) => boolean): number {
  return medianOf(sampleOf(plane, isUsed));
}

/** Every n-th value of a plane, as `medianOfSample` takes them. */
export function sampleOf(plane: Float32Array, isUsed: (index: number) => boolean): Float64Array {
  // An odd step that does not divide usual widths, so that the sample does not run along columns.
  let step = Math.max(1, Math.ceil(plane.length / SAMPLE_COUNT_MAX));
  if (step > 1) step |= 1;
  const values = new Float64Array(Math.ceil(plane.length / step));
  let count = 0;
  for (let j = 0; j < plane.length; j += step) {
    if (Number.isFinite(plane[j]) && isUsed(j)) values[count++] = plane[j];
  }
  return values.subarray(0, count);
}

/** Median of the values, of an even number the lower middle one; they are reordered. NaN when there are none. */
export function medianOf(values: Float64Array): number {
  return values.length === 0 ? NaN : selectInPlace(values, 0, values.length, (values.length - 1) >> 1);
}

/** Median and 1.4826 × median absolute deviation; the values are destroyed. */
export function robustMoments(values: Float64Array): { median: number; scatter: number } {
  const median = medianOf(values);
  for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i] - median);
  return { median, scatter: 1.4826 * medianOf(values) };
}
