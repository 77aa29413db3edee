/**
 * Makes the noise of a difference white again, after Reiss & Lupton, DMTN-021.
 *
 * D = Y − K ⊗ X has noise of power σ_Y² + σ_X² |K̂|² |Ŵ|², where W is the interpolation that X has been through. It is
 * convolved with φ̂ = √((σ_Y² + σ_X² K̂(0)²) / (σ_Y² + σ_X² |K̂|² |Ŵ|²)), which is 1 at zero frequency: fluxes keep,
 * the noise becomes white with variance σ_Y² + σ_X² K̂(0)², and the PSF sharpens. Where Y is the interpolated image, |Ŵ|²
 * goes with σ_Y² instead.
 */
import { createFourier, transform, transformBack } from './fourier.ts';

export type Whitening = Readonly<{
  /** φ, [size × size], unit sum. */
  kernel: Float32Array; size: number;
  /** Variance of a pixel of the whitened difference over σ_Y² + the variance of K ⊗ X. */
  varianceRatio: number;
  /** Variance of a pixel of φ ⊗ Y and of φ ⊗ K ⊗ X for unit variance of Y's and X's pixels. */
  factorY: number; factorX: number;
  /** φ as a peak in a bowl, where it is one. */
  bowl: Bowl | null;
}>;

/** A kernel that is `core` at its middle less the outer product of taps, as `smoothSeparable` takes both. */
export type Bowl = Readonly<{ core: number; taps: Float64Array }>;

/** Side of the Fourier tile: twice the kernels, so that what one spreads of another does not wrap; more than any PSF stamp. */
const SIDE = 64;

/** Power of the noise of K ⊗ W ⊗ X for white X of unit variance, in the scrambled order of `transform`. */
export type NoisePower = Readonly<{
  power: Float64Array;
  /** K̂(0). */
  sum: number;
  /** Variance of a pixel: the mean of `power`. */
  variance: number;
}>;

/**
 * @param kernel K, [size × size].
 * @param noiseX, noiseY Autocorrelation of the interpolation W along x and y, at lags from 0; [1] of 1 for none.
 */
export function noisePowerOf(
  kernel: Float32Array, size: number, noiseX: Float64Array, noiseY: Float64Array,
): NoisePower {
  const n = SIDE * SIDE, { re, im } = spectrumOf(kernel, size), power = interpolationPower(noiseX, noiseY);
  let variance = 0;
  for (let j = 0; j < n; j++) {
    power[j] *= re[j] * re[j] + im[j] * im[j];
    variance += power[j] / n;
  }
  return { power, sum: kernel.reduce((sum, value) => sum + value, 0), variance };
}

/** Power that interpolation leaves of white noise of unit variance, |Ŵ|², in the same order. */
export function interpolationPower(noiseX: Float64Array, noiseY: Float64Array): Float64Array {
  const power = new Float64Array(SIDE * SIDE), zero = new Float64Array(SIDE * SIDE);
  for (let v = 1 - noiseY.length; v < noiseY.length; v++) {
    for (let u = 1 - noiseX.length; u < noiseX.length; u++) {
      power[wrap(v) * SIDE + wrap(u)] = noiseX[Math.abs(u)] * noiseY[Math.abs(v)];
    }
  }
  transform(createFourier(SIDE), power, zero);
  for (let j = 0; j < power.length; j++) power[j] = Math.max(power[j], 0);
  return power;
}

/**
 * Least power of Y's noise that φ undoes: near the Nyquist frequency interpolation leaves next to nothing, and φ would
 * amplify what little is there without bound.
 */
const POWER_MIN = 0.25;

/** Share of Σ φ² that may be cut off: what is left of correlations is then below its root, a part in a thousand. */
const CUT_OFF_MAX = 1e-6;

/**
 * @param convolved  Noise of the convolved image.
 * @param powerY     Power of Y's noise for unit variance, in the same order: all 1 unless Y was interpolated.
 * @param varianceY, varianceX Typical variance of a pixel of Y and X.
 * @param halfSize   Largest half side of φ, pixels; ≤ 31. Where φ ends before, it is smaller.
 * @param cutOffMax  Share of Σ φ² that may then be cut off. The sum of what is cut off scales φ: a part in a hundred.
 */
export function whiteningOf(
  convolved: NoisePower, powerY: Float64Array, varianceY: number, varianceX: number, halfSize: number,
  cutOffMax = CUT_OFF_MAX,
): Whitening {
  const n = SIDE * SIDE, re = new Float64Array(n), im = new Float64Array(n);
  const white = varianceY + varianceX * convolved.sum * convolved.sum;
  for (let j = 0; j < n; j++) {
    re[j] = Math.sqrt(white / (varianceY * Math.max(powerY[j], POWER_MIN) + varianceX * convolved.power[j])) / n;
  }
  transformBack(createFourier(SIDE), re, im);
  const half = reachOf(re, halfSize, cutOffMax), size = 2 * half + 1, phi = new Float32Array(size * size);
  let total = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) total += phi[v * size + u] = re[wrap(v - half) * SIDE + wrap(u - half)];
  }
  for (let j = 0; j < phi.length; j++) phi[j] /= total;
  const bowl = bowlOf(phi, size, cutOffMax);
  const { factorX, factorY } = whitenedFactors(phi, size, convolved, powerY);
  const varianceRatio = (varianceY * factorY + varianceX * factorX) / (varianceY + varianceX * convolved.variance);
  return { kernel: phi, size, varianceRatio, factorX, factorY, bowl };
}

/** Turns of fitting one axis with the other held: ellipses a little askew take two. */
const BOWL_TURNS = 8;

/**
 * The bowl around φ's middle as a product, by least squares, where that errs by no more than what may be cut off; φ is
 * then replaced by it, its sum kept.
 */
function bowlOf(phi: Float32Array, size: number, cutOffMax: number): Bowl | null {
  const half = (size - 1) / 2, middle = half * size + half;
  const at = (u: number, v: number): number => (u === half && v === half ? 0 : -phi[v * size + u]);
  let x: Float64Array = new Float64Array(size), y: Float64Array = new Float64Array(size).fill(1);
  // The pixel in the middle says nothing of the bowl.
  const fitted = (other: Float64Array, value: (i: number, k: number) => number): Float64Array => (
    Float64Array.from({ length: size }, (_, i) => {
      let products = 0, squares = 0;
      for (let k = 0; k < size; k++) {
        if (i === half && k === half) continue;
        products += value(i, k) * other[k];
        squares += other[k] * other[k];
      }
      return squares > 0 ? products / squares : 0;
    }));
  for (let turn = 0; turn < BOWL_TURNS; turn++) {
    x = fitted(y, (u, v) => at(u, v));
    y = fitted(x, (v, u) => at(u, v));
  }
  let error = 0, squares = 0, sum = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      const product = x[u] * y[v], square = phi[v * size + u] ** 2;
      sum += product;
      squares += square;
      if (v * size + u !== middle) error += (at(u, v) - product) ** 2;
    }
  }
  if (!(error <= cutOffMax * squares) || !(x[half] * y[half] > 0)) return null;
  const even = Math.sqrt(y[half] / x[half]);
  // Those along x, the middle, those along y.
  const taps = Float64Array.from({ length: size }, (_, i) => (i <= half ? x[i] * even : y[i] / even));
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) phi[v * size + u] = -x[u] * y[v];
  }
  phi[middle] += 1 + sum;
  return { core: 1 + sum, taps };
}

/** Half side of the square around the origin that holds all but a little of Σ φ². */
function reachOf(phi: Float64Array, most: number, cutOffMax: number): number {
  const rings = new Float64Array(most + 1);
  let total = 0;
  for (let v = -most; v <= most; v++) {
    for (let u = -most; u <= most; u++) {
      const square = phi[wrap(v) * SIDE + wrap(u)] ** 2;
      rings[Math.max(Math.abs(u), Math.abs(v))] += square;
      total += square;
    }
  }
  let half = most, lost = 0;
  while (half > 1 && lost + rings[half] <= cutOffMax * total) lost += rings[half--];
  return half;
}

/** What the φ that was cut out does to both noises, which is not quite what it was made for. */
function whitenedFactors(
  phi: Float32Array, size: number, convolved: NoisePower, powerY: Float64Array,
): { factorX: number; factorY: number } {
  const { re, im } = spectrumOf(phi, size);
  let factorX = 0, factorY = 0;
  for (let j = 0; j < re.length; j++) {
    const power = (re[j] * re[j] + im[j] * im[j]) / re.length;
    factorX += power * convolved.power[j];
    factorY += power * powerY[j];
  }
  return { factorX, factorY };
}

/**
 * (φ ⊗ K)²: how the whitened difference spreads the noise of single pixels of X. φ takes back most of what K blurs, so
 * that the noise of a star's photons lies where the star is, not where K alone would smear it.
 *
 * @param kernel K, [size × size]; φ may have another size.
 * @returns [size × size]
 */
export function whitenedSpread(kernel: Float32Array, size: number, whitening: Whitening): Float32Array {
  const half = (size - 1) / 2, a = spectrumOf(kernel, size), b = spectrumOf(whitening.kernel, whitening.size);
  const n = SIDE * SIDE, re = new Float64Array(n), im = new Float64Array(n), spread = new Float32Array(size * size);
  for (let j = 0; j < n; j++) {
    re[j] = (a.re[j] * b.re[j] - a.im[j] * b.im[j]) / n;
    im[j] = (a.re[j] * b.im[j] + a.im[j] * b.re[j]) / n;
  }
  transformBack(createFourier(SIDE), re, im);
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) spread[v * size + u] = re[wrap(v - half) * SIDE + wrap(u - half)] ** 2;
  }
  return spread;
}

/**
 * Factor by which neighbours that correlate raise the error of a PSF flux of the convolved image over what its variance
 * plane says: √(Σ |p̂|² power / (Σ |p̂|² × mean power)).
 *
 * @param psf [size × size].
 */
export function psfErrorFactor(convolved: NoisePower, psf: Float32Array, size: number): number {
  const { re, im } = spectrumOf(psf, size);
  let weighted = 0, total = 0;
  for (let j = 0; j < re.length; j++) {
    const p = re[j] * re[j] + im[j] * im[j];
    weighted += p * convolved.power[j];
    total += p;
  }
  return Math.sqrt(weighted / (total * convolved.variance));
}

/** No φ: the difference as it was subtracted. */
export function identityWhitening(convolved: NoisePower): Whitening {
  return { kernel: Float32Array.of(1), size: 1, varianceRatio: 1, factorX: convolved.variance, factorY: 1, bowl: null };
}

/**
 * Σ p² of one image's white noise of unit variance that a PSF flux of the whitened difference has, over Σ p²: the mean
 * of |φ̂|² × power, weighted with |p̂|². Of single pixels it is `factorX` or `factorY`.
 *
 * @param psf   Of the whitened difference, [size × size].
 * @param power Of the image's noise before φ, in the scrambled order of `transform`.
 */
export function fluxNoiseFactor(
  whitening: Whitening, power: Float64Array, psf: Float32Array, size: number,
): number {
  const source = spectrumOf(psf, size), phi = spectrumOf(whitening.kernel, whitening.size);
  let weighted = 0, total = 0;
  for (let j = 0; j < power.length; j++) {
    const p = source.re[j] * source.re[j] + source.im[j] * source.im[j];
    weighted += p * (phi.re[j] * phi.re[j] + phi.im[j] * phi.im[j]) * power[j];
    total += p;
  }
  return weighted / total;
}

/** Spectrum of a stamp whose centre is moved to the origin. */
function spectrumOf(stamp: Float32Array, size: number): { re: Float64Array; im: Float64Array } {
  const re = new Float64Array(SIDE * SIDE), im = new Float64Array(SIDE * SIDE), half = (size - 1) / 2;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) re[wrap(v - half) * SIDE + wrap(u - half)] = stamp[v * size + u];
  }
  transform(createFourier(SIDE), re, im);
  return { re, im };
}

function wrap(offset: number): number {
  return (offset + SIDE) % SIDE;
}
