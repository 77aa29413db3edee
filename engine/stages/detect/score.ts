/** The score image: signal-to-noise ratio of a point source at every pixel. */
import { normalizeScore, weighByVariance } from '../../kernels/arithmetic.ts';
import { convolveByCell } from '../../kernels/convolve.ts';
import { selectInPlace } from '../../image/median.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { evaluatePsf, type PsfModel } from '../../image/psf.ts';

/** Pixels that hold no measurement; they weigh nothing in the filter. */
export const WEIGHTLESS = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/**
 * Matched filter with inverse-variance weights: s = Σ p D/V / √(Σ p²/V), the SNR of the best-fitting point source.
 * Masked pixels, NaN and pixels without variance weigh nothing; where no weight is left the score is 0.
 *
 * @param score   [height × width], overwritten.
 * @param scratch Two planes, [height × width]; contents destroyed. The second ends as Σ p²/V: 1/σ² of a PSF flux.
 */
export function scoreImage(
  difference: DifferenceImage, psf: PsfModel, score: Float32Array, scratch: readonly [Float32Array, Float32Array],
): void {
  const { width, height, image, variance, mask } = difference, [weighted, weight] = scratch, { size } = psf;
  const last = size * size - 1, stamp = new Float32Array(size * size);
  weighByVariance(image, variance, mask, WEIGHTLESS, 'image', weighted);
  // The filter correlates, so the PSF is turned by 180° for the convolution.
  convolveByCell(weighted, width, height, size, (x, y, out) => {
    evaluatePsf(psf, x, y, stamp);
    for (let j = 0; j <= last; j++) out[j] = stamp[last - j];
  }, score);
  weighByVariance(image, variance, mask, WEIGHTLESS, 'one', weighted);
  convolveByCell(weighted, width, height, size, (x, y, out) => {
    evaluatePsf(psf, x, y, stamp);
    for (let j = 0; j <= last; j++) out[j] = stamp[last - j] ** 2;
  }, weight);
  // Rounding of the Fourier tiles leaves 1e-6 of the largest weight where there should be none.
  normalizeScore(score, weight, 1e-5);
}

/**
 * Robust scatter of the score at unmasked pixels; 1 when the variance plane is right. From every n-th pixel, 100,000 at
 * most: good to 0.4 %. NaN when none is unmasked.
 */
export function scoreScatter(score: Float32Array, mask: Uint16Array): number {
  const step = Math.max(1, Math.ceil(score.length / 100_000)) | 1, ignored = WEIGHTLESS | maskBits('EDGE');
  const values = new Float64Array(Math.ceil(score.length / step));
  let count = 0;
  for (let j = 0; j < score.length; j += step) {
    if ((mask[j] & ignored) === 0 && score[j] !== 0) values[count++] = score[j];
  }
  if (count === 0) return NaN;
  const middle = selectInPlace(values, 0, count, (count - 1) >> 1);
  for (let i = 0; i < count; i++) values[i] = Math.abs(values[i] - middle);
  return 1.4826 * selectInPlace(values, 0, count, (count - 1) >> 1);
}
