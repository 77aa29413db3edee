/**
 * Makes the noise of a difference white again, after Reiss & Lupton, DMTN-021.
 *
 * D = Y − K ⊗ X has noise of power σ_Y² + σ_X² |K̂|² |Ŵ|², where W is the interpolation that X has been through. It is
 * convolved with φ̂ = √((σ_Y² + σ_X² K̂(0)²) / (σ_Y² + σ_X² |K̂|² |Ŵ|²)), which is 1 at zero frequency: fluxes keep, the
 * noise becomes white with variance σ_Y² + σ_X² K̂(0)², and the PSF sharpens.
 */
import { createFourier, transform, transformBack } from './fourier.ts';

export type Whitening = Readonly<{
  /** φ, [size × size], unit sum. */
  kernel: Float32Array; size: number;
  /** Variance of a pixel of K ⊗ W ⊗ X for unit variance of X. */
  convolvedVariance: number;
  /** Variance of a pixel of the whitened difference over that of D. */
  varianceRatio: number;
}>;

/** Side of the Fourier tile: four times the usual kernel. */
const SIDE = 128;

/**
 * @param kernel        K, [kernelSize × kernelSize].
 * @param noiseX, noiseY Autocorrelation of the interpolation along x and y, at lags from 0; [1] of 1 for none.
 * @param varianceY, varianceX Typical variance of a pixel of Y and X.
 * @param halfSize      Half side of φ, pixels; ≤ 50.
 */
export function whiteningOf(
  kernel: Float32Array, kernelSize: number, noiseX: Float64Array, noiseY: Float64Array,
  varianceY: number, varianceX: number, halfSize: number,
): Whitening {
  const fourier = createFourier(SIDE), n = SIDE * SIDE;
  const re = new Float64Array(n), im = new Float64Array(n), power = new Float64Array(n), zero = new Float64Array(n);
  const half = (kernelSize - 1) / 2;
  let sum = 0;
  for (let v = 0; v < kernelSize; v++) {
    for (let u = 0; u < kernelSize; u++) {
      re[wrap(v - half) * SIDE + wrap(u - half)] = kernel[v * kernelSize + u];
      sum += kernel[v * kernelSize + u];
    }
  }
  transform(fourier, re, im);
  for (let v = 1 - noiseY.length; v < noiseY.length; v++) {
    for (let u = 1 - noiseX.length; u < noiseX.length; u++) {
      power[wrap(v) * SIDE + wrap(u)] = noiseX[Math.abs(u)] * noiseY[Math.abs(v)];
    }
  }
  transform(fourier, power, zero);
  const white = varianceY + varianceX * sum * sum;
  let convolvedVariance = 0;
  for (let j = 0; j < n; j++) {
    const convolved = (re[j] * re[j] + im[j] * im[j]) * Math.max(power[j], 0);
    convolvedVariance += convolved / n;
    re[j] = Math.sqrt(white / (varianceY + varianceX * convolved)) / n;
    im[j] = 0;
  }
  transformBack(fourier, re, im);
  const size = 2 * halfSize + 1, phi = new Float32Array(size * size);
  let total = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) total += phi[v * size + u] = re[wrap(v - halfSize) * SIDE + wrap(u - halfSize)];
  }
  for (let j = 0; j < phi.length; j++) phi[j] /= total;
  return {
    kernel: phi, size, convolvedVariance, varianceRatio: white / (varianceY + varianceX * convolvedVariance),
  };
}

function wrap(offset: number): number {
  return (offset + SIDE) % SIDE;
}
