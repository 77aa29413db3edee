/** The score image: signal-to-noise ratio of a point source at every pixel. */
import { normalizeScore, weighByVariance } from '../../kernels/arithmetic.ts';
import { convolveByCell } from '../../kernels/convolve.ts';
import { smoothSeparable } from '../../kernels/smooth.ts';
import { gaussianTaps } from '../../image/smooth.ts';
import { selectInPlace } from '../../image/median.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { evaluatePsf, type PsfModel } from '../../image/psf.ts';

/** Pixels that hold no measurement; they weigh nothing in the filter. */
export const WEIGHTLESS = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/**
 * Matched filter with inverse-variance weights: s = Σ p D/V / √(Σ p²/V), the SNR of the best-fitting point source.
 * Masked pixels, NaN and pixels without variance weigh nothing; where no weight is left the score is 0. Under the root
 * a Gaussian of p²'s width and sum stands for p², as 1/V varies little over it: where that is constant nothing changes,
 * beside a mask or a bright star some percent.
 *
 * @param score   [height × width], overwritten.
 * @param scratch Two planes, [height × width]; contents destroyed.
 */
export function scoreImage(
  difference: DifferenceImage, psf: PsfModel, score: Float32Array, scratch: readonly [Float32Array, Float32Array],
): void {
  const { width, height, image, variance, mask } = difference, [weighted, weight] = scratch, { size } = psf;
  const last = size * size - 1, stamp = new Float32Array(size * size);
  const placed = (x: number, y: number): number => {
    evaluatePsf(psf, x, y, stamp);
    return 1 / Math.sqrt(stamp.reduce((sum, p) => sum + p * p, 0));
  };
  weighByVariance(image, variance, mask, WEIGHTLESS, 'image', weighted);
  // The filter correlates, so the PSF is turned by 180° for the convolution.
  convolveByCell(weighted, width, height, size, (x, y, out) => {
    const scale = placed(x, y);
    for (let j = 0; j <= last; j++) out[j] = scale * stamp[last - j];
  }, score);
  weighByVariance(image, variance, mask, WEIGHTLESS, 'one', weighted);
  placed((width - 1) / 2, (height - 1) / 2);
  smoothSeparable(weighted, mask, 0, width, height, gaussianTaps(squareSigmaPx(stamp, size)), weight);
  // The taps end at 3.5 σ; a pixel that only reaches into data with the filter's wings says nothing.
  normalizeScore(score, weight, 1e-5);
}

/** Width of the Gaussian with the second moment of p², along one axis; 0.5 px at least. */
function squareSigmaPx(stamp: Float32Array, size: number): number {
  const middle = (size - 1) / 2;
  let moment = 0, sum = 0;
  for (let j = 0; j < stamp.length; j++) {
    const x = (j % size) - middle, y = Math.floor(j / size) - middle, square = stamp[j] * stamp[j];
    moment += 0.5 * square * (x * x + y * y);
    sum += square;
  }
  return Math.max(0.5, Math.sqrt(moment / sum));
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
