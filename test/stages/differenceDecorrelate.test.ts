import { expect, test } from 'vitest';
import {
  fluxNoiseFactor, identityWhitening, interpolationPower, noisePowerOf, whitenedSpread, whiteningOf,
} from '../../engine/stages/difference/decorrelate.ts';
import { createFourier, transform } from '../../engine/stages/difference/fourier.ts';
import { smoothSeparable } from '../../engine/kernels/smooth.ts';

/** A Gaussian of unit sum, rather oblong. */
function gaussian(size: number, sigma: number): Float32Array {
  const half = (size - 1) / 2, stamp = Float32Array.from({ length: size * size }, (_, j) => {
    const u = (j % size) - half, v = Math.floor(j / size) - half;
    return Math.exp(-(u * u + 1.3 * v * v) / (2 * sigma * sigma));
  });
  const sum = stamp.reduce((total, value) => total + value, 0);
  return stamp.map((value) => value / sum);
}

const SIZE = 31, KERNEL = gaussian(SIZE, 1.34), WHITE = Float64Array.of(1);
/** Half a pixel of linear interpolation: neighbours share half of their noise's power. */
const HALF_PIXEL = Float64Array.of(0.5, 0.25);

function whitened() {
  const power = noisePowerOf(KERNEL, SIZE, WHITE, WHITE);
  return whiteningOf(power, interpolationPower(HALF_PIXEL, HALF_PIXEL), 1, 8, 15);
}

test('the variance of whitened noise is that of its kernel over the noise, interpolated or convolved', () => {
  const { kernel: phi, size, factorX, factorY, varianceRatio } = whitened();
  const at = (u: number, v: number): number => (u < 0 || v < 0 || u >= size || v >= size ? 0 : phi[v * size + u]);
  let direct = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      for (let dv = -1; dv <= 1; dv++) {
        for (let du = -1; du <= 1; du++) {
          // HALF_PIXEL along x times HALF_PIXEL along y.
          const correlation = HALF_PIXEL[Math.abs(du)] * HALF_PIXEL[Math.abs(dv)];
          direct += correlation * at(u, v) * at(u + du, v + dv);
        }
      }
    }
  }
  // Stamps are rounded to float32: 6e-8 of each of a thousand pixels.
  expect(Math.abs(factorY / direct - 1)).toBeLessThan(1e-5);
  const spread = whitenedSpread(KERNEL, SIZE, whitened()), total = spread.reduce((sum, value) => sum + value, 0);
  // What φ ⊗ K has beyond 15 px is below 1e-3 of it.
  expect(Math.abs(total / factorX - 1)).toBeLessThan(1e-3);
  const power = noisePowerOf(KERNEL, SIZE, WHITE, WHITE);
  expect(varianceRatio).toBeCloseTo((factorY + 8 * factorX) / (1 + 8 * power.variance), 10);
});

test('where the other image has no noise, whitening takes back all that the kernel spreads', () => {
  const narrow = gaussian(SIZE, 0.5), power = noisePowerOf(narrow, SIZE, WHITE, WHITE);
  const spread = whitenedSpread(narrow, SIZE, whiteningOf(power, interpolationPower(WHITE, WHITE), 1e-9, 1, 15));
  // φ̂ is 1/K̂ then, and φ ⊗ K a single pixel, but for the part in a thousand of φ that lies beyond 15 px.
  expect(spread[(SIZE * SIZE - 1) / 2] / spread.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(0.999);
});

test('where the noise of the convolved image is small, φ is a peak in a bowl: the same kernel in two short passes', () => {
  const power = noisePowerOf(KERNEL, SIZE, WHITE, WHITE), white = interpolationPower(WHITE, WHITE);
  const { kernel, size, bowl } = whiteningOf(power, white, 7, 1, 15);
  if (bowl === null) throw new Error('no bowl');
  const side = 31, middle = (side - 1) / 2, pixel = new Float32Array(side * side), out = new Float32Array(side * side);
  pixel[middle * side + middle] = 1;
  smoothSeparable(pixel, new Uint16Array(side * side), 0, side, side, bowl.taps, out, bowl.core);
  const half = (size - 1) / 2;
  kernel.forEach((value, j) => {
    const u = (j % size) - half, v = Math.floor(j / size) - half;
    // Single precision of a value of 1.
    expect(Math.abs(out[(middle + v) * side + middle + u] - value)).toBeLessThan(3e-7);
  });
  expect(kernel.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
  // The noise it leaves is flat to what cut and fit may err: 1e-3 each of the amplitude, twice that of the power.
  const side64 = 64, re = new Float64Array(side64 * side64), im = new Float64Array(side64 * side64);
  kernel.forEach((value, j) => {
    const u = (j % size) - half, v = Math.floor(j / size) - half;
    re[((v + side64) % side64) * side64 + ((u + side64) % side64)] = value;
  });
  transform(createFourier(side64), re, im);
  const flat = re.map((value, j) => (value * value + im[j] * im[j]) * (7 + power.power[j]));
  const mean = flat.reduce((sum, value) => sum + value, 0) / flat.length;
  const scatter = Math.sqrt(flat.reduce((sum, value) => sum + (value - mean) ** 2, 0) / flat.length);
  expect(scatter / mean).toBeLessThan(5e-3);
  // Where the convolved image is the noisy one φ rings, which no bowl does.
  expect(whiteningOf(power, white, 1, 50, 15).bowl).toBeNull();
});

/** Convolution of two stamps on the plane of the first; what reaches beyond it is lost. */
function convolved(stamp: ArrayLike<number>, size: number, kernel: ArrayLike<number>, kernelSize: number): Float64Array {
  const out = new Float64Array(size * size), half = (kernelSize - 1) / 2;
  for (let j = 0; j < size * size; j++) {
    if (stamp[j] === 0) continue;
    const x = j % size, y = Math.floor(j / size);
    for (let k = 0; k < kernelSize * kernelSize; k++) {
      const u = x + (k % kernelSize) - half, v = y + Math.floor(k / kernelSize) - half;
      if (u >= 0 && v >= 0 && u < size && v < size) out[v * size + u] += stamp[j] * kernel[k];
    }
  }
  return out;
}

const square = (values: ArrayLike<number>): Float64Array => Float64Array.from(values, (value) => value * value);
const product = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
};

// A visit of eight times the template's variance, convolved to the template's blunter PSF: X is the visit.
const VARIANCE_X = 8, NONE = interpolationPower(WHITE, WHITE), X_POWER = noisePowerOf(KERNEL, SIZE, WHITE, WHITE);
const WHITENING = whiteningOf(X_POWER, NONE, 1, VARIANCE_X, 15, 0);

test('a flux has of each image the noise that passes kernel, whitening and PSF', () => {
  const psf = gaussian(SIZE, 2), phiK = convolved(KERNEL, SIZE, WHITENING.kernel, WHITENING.size);
  const inX = convolved(psf, SIZE, phiK, SIZE), inY = convolved(psf, SIZE, WHITENING.kernel, WHITENING.size);
  const squares = product(psf, psf);
  const x = fluxNoiseFactor(WHITENING, X_POWER.power, psf, SIZE), y = fluxNoiseFactor(WHITENING, NONE, psf, SIZE);
  // What stamps of 31 px lose at their borders is below 1e-3.
  expect(Math.abs(product(inX, inX) / (squares * x) - 1)).toBeLessThan(2e-3);
  expect(Math.abs(product(inY, inY) / (squares * y) - 1)).toBeLessThan(2e-3);
  // The sky's noise is white: fluxes and pixels say the same of it, but for what φ loses beyond 15 px.
  const { factorX, factorY } = WHITENING;
  expect(Math.abs((VARIANCE_X * x + y) / (VARIANCE_X * factorX + factorY) - 1)).toBeLessThan(0.01);
  // Without φ the flux of a template's pixels is just that.
  expect(fluxNoiseFactor(identityWhitening(X_POWER), NONE, psf, SIZE)).toBeCloseTo(1, 12);
});

test('the photons of a source in the convolved visit: pixels say a fraction of their noise, fluxes all of it', () => {
  const psf = gaussian(SIZE, 2), light = gaussian(SIZE, 1.5); // The visit's own PSF is sharper.
  const phiK = convolved(KERNEL, SIZE, WHITENING.kernel, WHITENING.size);
  const truth = product(square(convolved(psf, SIZE, phiK, SIZE)), light);
  const pixels = product(square(psf), convolved(light, SIZE, square(phiK), SIZE));
  const added = fluxNoiseFactor(WHITENING, X_POWER.power, psf, SIZE) - WHITENING.factorX;
  expect(pixels / truth).toBeLessThan(0.4);
  // The weights of the added part are p² where (p ⋆ φ ⋆ K)² would be exact: some percent for a point.
  expect(Math.abs((pixels + added * product(square(psf), light)) / truth - 1)).toBeLessThan(0.08);
});
