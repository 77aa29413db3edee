/** Order statistics of typed arrays, in place: no allocation, linear on average, the same result on every machine. */

/**
 * The k-th smallest (from 0) of values[start … end − 1], which are reordered so that it is at start + k.
 * Hoare's selection; the pivot is the median of three, so that sorted input stays linear. No NaN allowed.
 */
export function selectInPlace(values: Float32Array | Float64Array, start: number, end: number, k: number): number {
  let left = start, right = end - 1;
  const target = start + k;
  while (left < right) {
    const a = values[left], b = values[(left + right) >> 1], c = values[right];
    const pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    let i = left, j = right;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const swap = values[i];
        values[i++] = values[j];
        values[j--] = swap;
      }
    }
    if (target <= j) right = j;
    else if (target >= i) left = i;
    else break;
  }
  return values[target];
}

/**
 * Median of the first `count` values, the mean of the middle two when even; they are reordered. NaN when count is 0.
 */
export function medianInPlace(values: Float32Array | Float64Array, count: number): number {
  if (count === 0) return NaN;
  const upper = selectInPlace(values, 0, count, count >> 1);
  if (count % 2 === 1) return upper;
  let lower = values[0];
  for (let i = 1; i < count >> 1; i++) if (values[i] > lower) lower = values[i];
  return (lower + upper) / 2;
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
