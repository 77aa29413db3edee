import { expect, test } from 'vitest';
import {
  interpolationPower, noisePowerOf, whitenedSpread, whiteningOf,
} from '../../engine/stages/difference/decorrelate.ts';

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
