/**
 * φ of `decorrelate.ts` where it has to follow a matching kernel that varies over the detector.
 *
 * While the template is convolved its noise is the smaller one, and φ at the middle serves everywhere. When the visit is,
 * most of the noise has gone through K: with one φ the noise of a field whose K² varies by a factor of two was 8 % too
 * high in one corner and as much too low in the other.
 */
import { noisePowerOf, whiteningOf } from './decorrelate.ts';
import { evaluateKernel, type MatchingKernel } from './kernelFit.ts';
import { fitStamps, polynomialTerms } from './polynomial.ts';

export type LocalWhitening = Readonly<{
  width: number; height: number;
  size: number;
  /** φ is Σ_s P_s(x, y) terms[s], [size × size] each, with the terms of `polynomialTerms`; its sum is 1 everywhere. */
  terms: readonly Float32Array[];
}>;

/** φ varies more smoothly than K², which is of order 4 at most but made by PSFs that hardly vary: 9 places. */
const ORDER = 2, GRID = 3;

/** Autocorrelation of noise that no interpolation has touched. */
const WHITE = Float64Array.of(1);

/** Nothing of φ is cut off: it would be another share at every place, and the noise's variance with it. */
export const WHOLE = 0;

/** As `whiteningOf`, for white noise of the convolved image. */
export function localWhitening(
  kernel: MatchingKernel, powerY: Float64Array, varianceY: number, varianceX: number, halfSize: number,
): LocalWhitening {
  const pixels = new Float32Array(kernel.size ** 2), { width, height } = kernel, size = 2 * halfSize + 1;
  const terms = fitStamps(width, height, size * size, ORDER, GRID, (x, y, out) => {
    evaluateKernel(kernel, x, y, pixels);
    const power = noisePowerOf(pixels, kernel.size, WHITE, WHITE);
    out.set(whiteningOf(power, powerY, varianceY, varianceX, halfSize, WHOLE).kernel);
  });
  return { width, height, size, terms };
}

/** Weights of the terms at a place, for `convolveByCell`. */
export function termsAt({ width, height }: LocalWhitening, x: number, y: number, out: Float64Array): void {
  polynomialTerms(x, y, width, height, ORDER, out);
}

/**
 * φ at a place.
 *
 * @param out [size × size], overwritten.
 */
export function phiAt(whitening: LocalWhitening, x: number, y: number, out: Float32Array): void {
  const { terms } = whitening, weights = new Float64Array(terms.length);
  termsAt(whitening, x, y, weights);
  out.fill(0);
  terms.forEach((term, k) => { for (let j = 0; j < out.length; j++) out[j] += weights[k] * term[j]; });
}
