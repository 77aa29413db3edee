/** The score image: signal-to-noise ratio of a point source at every pixel. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { evaluatePsf, type PsfModel } from '../../image/psf.ts';

/**
 * Convolves a plane with a kernel that is constant in small cells: out(x) = Σ_d kernel(d) plane(x − d). The difference
 * stage has it (`convolveByCell`); stages do not import each other, so the pipeline hands it over.
 */
export type ConvolveByCell = (
  plane: Float32Array, width: number, height: number, size: number,
  kernelAt: (x: number, y: number, out: Float32Array) => void, out: Float32Array,
) => void;

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
  difference: DifferenceImage, psf: PsfModel, convolve: ConvolveByCell, score: Float32Array,
  scratch: readonly [Float32Array, Float32Array],
): void {
  const { width, height, image, variance, mask } = difference, [weighted, weight] = scratch, { size } = psf;
  const last = size * size - 1, stamp = new Float32Array(size * size);
  for (let j = 0; j < weighted.length; j++) {
    weighted[j] = isUsed(mask[j], image[j], variance[j]) ? image[j] / variance[j] : 0;
  }
  // The filter correlates, so the PSF is turned by 180° for the convolution.
  convolve(weighted, width, height, size, (x, y, out) => {
    evaluatePsf(psf, x, y, stamp);
    for (let j = 0; j <= last; j++) out[j] = stamp[last - j];
  }, score);
  for (let j = 0; j < weighted.length; j++) weighted[j] = isUsed(mask[j], image[j], variance[j]) ? 1 / variance[j] : 0;
  convolve(weighted, width, height, size, (x, y, out) => {
    evaluatePsf(psf, x, y, stamp);
    for (let j = 0; j <= last; j++) out[j] = stamp[last - j] ** 2;
  }, weight);
  // Rounding of the Fourier tiles leaves 1e-6 of the largest weight where there should be none.
  const least = 1e-5 * maximumOf(weight);
  for (let j = 0; j < score.length; j++) score[j] = weight[j] > least ? score[j] / Math.sqrt(weight[j]) : 0;
}

function isUsed(bits: number, value: number, variance: number): boolean {
  return (bits & WEIGHTLESS) === 0 && variance > 0 && value - value === 0;
}

function maximumOf(plane: Float32Array): number {
  let maximum = 0;
  for (let j = 0; j < plane.length; j++) if (plane[j] > maximum) maximum = plane[j];
  return maximum;
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
  const used = values.subarray(0, count).sort();
  const middle = used[(count - 1) >> 1];
  for (let i = 0; i < count; i++) used[i] = Math.abs(used[i] - middle);
  used.sort();
  return count > 0 ? 1.4826 * used[(count - 1) >> 1] : NaN;
}
