/** Order statistics of typed arrays, in place: no allocation, linear on average, the same result on every machine. */
import { selectInPlace } from '../kernels/select.ts';

export { selectInPlace };

/** Up to so many, sorting by insertion takes less time than selection: 0.7 of it at 16, as much at 24. */
const SORTED_MOST = 16;

/**
 * Median of the first `count` values, the mean of the middle two when even; they are reordered. NaN when count is 0.
 */
export function medianInPlace(values: Float32Array | Float64Array, count: number): number {
  if (count === 0) return NaN;
  if (count <= SORTED_MOST) return medianOfSorted(values, count);
  const upper = selectInPlace(values, 0, count, count >> 1);
  if (count % 2 === 1) return upper;
  let lower = values[0];
  for (let i = 1; i < count >> 1; i++) if (values[i] > lower) lower = values[i];
  return (lower + upper) / 2;
}

function medianOfSorted(values: Float32Array | Float64Array, count: number): number {
  for (let i = 1; i < count; i++) {
    const value = values[i];
    let at = i;
    for (; at > 0 && values[at - 1] > value; at--) values[at] = values[at - 1];
    values[at] = value;
  }
  const middle = count >> 1;
  return count % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/** Median of numbers; the input is left as it is. NaN when empty. */
export function median(values: readonly number[] | Float32Array | Float64Array): number {
  const copy = Float64Array.from(values);
  return medianInPlace(copy, copy.length);
}

/** Standard deviation of a normal distribution with the sample's median absolute deviation (1.4826 × MAD). */
export function robustSigma(values: readonly number[] | Float64Array): number {
  const centre = median(values);
  return 1.4826 * median(Array.from(values, (value) => Math.abs(value - centre)));
}

/** Value at which half of the weight lies below; weights are not negative. NaN when empty. */
export function weightedMedian(values: readonly number[], weights: readonly number[]): number {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j] || i - j);
  const half = weights.reduce((sum, weight) => sum + weight, 0) / 2;
  let below = 0;
  for (const i of order) {
    below += weights[i];
    if (below >= half) return values[i];
  }
  return NaN;
}
