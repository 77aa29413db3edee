/** Selection in place: no allocation, linear on average, the same result on every machine. */

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
