/** PSF models of what the difference stage makes out of the visit's PSF. */
import { evaluatePsf, psfTermCount, type PsfModel } from '../../image/psf.ts';
import { evaluateKernel, type MatchingKernel } from './kernelFit.ts';
import { fitStamps } from './polynomial.ts';
import { phiAt, type LocalWhitening } from './whitenLocally.ts';

/** Places along each axis at which a PSF is sampled: 25 in all for at most 6 terms. */
const GRID = 5;

/**
 * The model whose PSF is, at every place, `change` of the PSF of `psf`: convolved with a kernel of that place.
 *
 * @param kernelAt Kernel at a place, written into [kernelSize × kernelSize].
 */
export function convolvedPsf(
  psf: PsfModel, kernelSize: number, kernelAt: (x: number, y: number, out: Float32Array) => void, order: 0 | 1 | 2,
): PsfModel {
  const n = psf.size * psf.size, stamp = new Float32Array(n), kernel = new Float32Array(kernelSize * kernelSize);
  const terms = fitStamps(psf.width, psf.height, n, order, GRID, (x, y, value) => {
    evaluatePsf(psf, x, y, stamp);
    kernelAt(x, y, kernel);
    const unit = kernel.reduce((sum, weight) => sum + weight, 0);
    for (let j = 0; j < kernel.length; j++) kernel[j] /= unit;
    convolveStamp(stamp, psf.size, kernel, kernelSize, value);
    keepLight(value, psf.size, 1);
  });
  const coefficients = new Float32Array(terms.length * n);
  terms.forEach((term, k) => { coefficients.set(term, k * n); });
  return { size: psf.size, width: psf.width, height: psf.height, order, coefficients };
}

/** The PSF of the visit convolved with the matching kernel, which is the template's. */
export function psfThroughKernel(psf: PsfModel, kernel: MatchingKernel): PsfModel {
  return convolvedPsf(psf, kernel.size, (x, y, out) => evaluateKernel(kernel, x, y, out), 2);
}

/** A PSF after convolution with one kernel of unit sum everywhere; the coefficients convolve like the PSF. */
export function psfThroughConstant(psf: PsfModel, kernel: Float32Array, kernelSize: number): PsfModel {
  const n = psf.size * psf.size, coefficients = new Float32Array(psf.coefficients.length), value = new Float64Array(n);
  for (let k = 0; k < psfTermCount(psf.order); k++) {
    const term = psf.coefficients.subarray(k * n, (k + 1) * n);
    convolveStamp(term, psf.size, kernel, kernelSize, value);
    keepLight(value, psf.size, term.reduce((sum, light) => sum + light, 0));
    coefficients.set(value, k * n);
  }
  return { ...psf, coefficients };
}

/** A PSF after convolution with φ of every place. */
export function psfThroughLocal(psf: PsfModel, whitening: LocalWhitening): PsfModel {
  return convolvedPsf(psf, whitening.size, (x, y, out) => phiAt(whitening, x, y, out), 2);
}

/**
 * Puts on a stamp's border what its sum lacks: light that a kernel moves beyond the border stays there, and does not
 * come back to the core when the PSF is scaled to unit sum. φ, whose wings are negative, moved −0.3 % of the light out
 * of stamps of 31 px where the visit was convolved, and fluxes were too high by that; fits end before the border.
 */
function keepLight(stamp: Float64Array, size: number, sum: number): void {
  const missing = (sum - stamp.reduce((total, light) => total + light, 0)) / (4 * (size - 1));
  for (let j = 0; j < stamp.length; j++) {
    const x = j % size, y = Math.floor(j / size);
    if (x === 0 || y === 0 || x === size - 1 || y === size - 1) stamp[j] += missing;
  }
}

/** Direct convolution; what lies outside the stamp is zero. */
function convolveStamp(
  stamp: Float32Array, size: number, kernel: Float32Array, kernelSize: number, out: Float64Array,
): void {
  const half = (kernelSize - 1) / 2;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const v0 = Math.max(0, y + half - size + 1), v1 = Math.min(kernelSize - 1, y + half);
      const u0 = Math.max(0, x + half - size + 1), u1 = Math.min(kernelSize - 1, x + half);
      let sum = 0;
      for (let v = v0; v <= v1; v++) {
        const from = (y + half - v) * size + x + half;
        for (let u = u0; u <= u1; u++) sum += kernel[v * kernelSize + u] * stamp[from - u];
      }
      out[y * size + x] = sum;
    }
  }
}
