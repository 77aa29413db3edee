/** Means of many frames in which a pixel's highest value may be a cosmic ray. */

/** A running mean that remembers the highest value of each pixel; all planes [n], of any memory. */
export type Stack = Readonly<{
  sum: Float32Array; highest: Float32Array;
  /** How many frames. */
  state: { count: number };
}>;

/** @param sum, highest Overwritten. */
export function createStack(sum: Float32Array, highest: Float32Array): Stack {
  sum.fill(0);
  highest.fill(-Infinity);
  return { sum, highest, state: { count: 0 } };
}

/** Adds `scale` × plane. NaN stays in the mean. */
export function addToStack({ sum, highest, state }: Stack, plane: Float32Array, scale: number): void {
  for (let i = 0; i < sum.length; i++) {
    const value = plane[i] * scale;
    sum[i] += value;
    if (value > highest[i]) highest[i] = value;
  }
  state.count++;
}

/**
 * Means, in place of the sums: without a pixel's highest value where that stands above the mean of the others by more
 * than `sigmas` of its noise. The noise is the usual scatter of pixels about their mean, which `noiseOf` scales with
 * the mean where there is light.
 *
 * @returns Values left out.
 */
export function finishStack(
  { sum, highest, state: { count } }: Stack, sigmas: number, noiseOf: (mean: number) => number,
): number {
  let left = 0;
  for (let i = 0; i < sum.length; i++) {
    const others = count > 1 ? (sum[i] - highest[i]) / (count - 1) : sum[i];
    // Against the noise of one value and that of the others' mean.
    const limit = sigmas * noiseOf(others) * Math.sqrt(1 + 1 / Math.max(1, count - 1));
    if (count > 1 && highest[i] - others > limit) { sum[i] = others; left++; } else sum[i] /= count;
  }
  return left;
}
