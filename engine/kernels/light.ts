/** Variance from the light that is expected in a pixel, and columns that stand out of their neighbourhood. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { binomialSumsTwin, columnHeightsTwin, expectedVarianceTwin } from './twins/light.ts';

export type ExpectedLight = Readonly<{
  /** Significance of a pixel from which its own value is the light expected there, in its noise. */
  brightSigma: number;
  /** The same of the 1-2-1 × 1-2-1 mean of 3 × 3 pixels, which is else expected; in the pixel's noise. */
  sourceSigma: number;
  /** What a pixel's variance changes by for each unit of its own value, and of the light expected. */
  own: number; perLight: number;
  /** Share of its variance that is left at least. */
  shareMin: number;
}>;

/**
 * variance += own × value + perLight × expected, where expected is 0 in the sky, the mean of 3 × 3 pixels where that is
 * significant and the pixel's own value where it is bright. Pixels that are NaN are left out; among neighbours they
 * count as sky. Single precision.
 *
 * @param image    [height × width]. Read only.
 * @param variance Changed in place.
 * @param rows     [4 × width] of work, in the planes' memory.
 * @param sigmaRow Writes the noise of a row's pixels, which significance is measured in.
 */
export function addExpectedLight(
  image: Float32Array, variance: Float32Array, width: number, height: number, rows: Float32Array,
  sigmaRow: (y: number, out: Float32Array) => void, light: ExpectedLight,
): void {
  const kernels = kernelsOf(image, variance, rows);
  const row = (n: number): Float32Array => rows.subarray(n * width, (n + 1) * width), sigma = row(3);
  const sums = [row(0), row(1), row(2)];
  const fillSums = (y: number): void => {
    const out = sums[y % 3], start = Math.min(y, height - 1) * width;
    if (kernels === null) { binomialSumsTwin(image, start, out); return; }
    kernels.compiled.binomialSums(pointerTo(kernels, image) + 4 * start, width, pointerTo(kernels, out));
  };
  fillSums(0);
  sums[2].set(sums[0]); // The row below the first is taken as equal to it.
  for (let y = 0; y < height; y++) {
    fillSums(y + 1);
    sigmaRow(y, sigma);
    const below = sums[(y + 2) % 3], here = sums[y % 3], above = sums[(y + 1) % 3], start = y * width;
    if (kernels === null) {
      expectedVarianceTwin(image, variance, start, below, here, above, sigma, light);
      continue;
    }
    const [i, v, b, h, a, s] = [image, variance, below, here, above, sigma].map((view) => pointerTo(kernels, view));
    kernels.compiled.expectedVariance(
      i + 4 * start, v + 4 * start, b, h, a, s, width, light.brightSigma, light.sourceSigma, light.own, light.perLight,
      light.shareMin,
    );
  }
}

/**
 * Mean height of each column's pixels over the mean of those `distance` to either side; every pixel's is bounded by
 * ± limit, so that stars count little. NaN adds nothing; the outermost `distance` columns get 0.
 *
 * @param image [height × width]. Read only.
 */
export function columnHeights(
  image: Float32Array, width: number, height: number, distance: number, limit: number,
): Float32Array {
  const kernels = kernelsOf(image), work = kernels === null ? null : layOutWork(kernels, { sums: 4 * width });
  const sums = kernels === null || work === null ? new Float32Array(width)
    : new Float32Array(kernels.memory.buffer, work.sums, width).fill(0);
  if (kernels === null || work === null) columnHeightsTwin(image, width, height, distance, Math.fround(limit), sums);
  else kernels.compiled.columnHeights(pointerTo(kernels, image), width, height, distance, limit, work.sums);
  return Float32Array.from(sums, (sum) => sum / height);
}
