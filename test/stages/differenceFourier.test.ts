import { expect, test } from 'vitest';
import { createFourier, transform, transformBack } from '../../engine/stages/difference/fourier.ts';
import { solveSymmetric } from '../../engine/stages/difference/polynomial.ts';
import { pairRandom } from '../support/pairScene.ts';

function randomPlane(seed: number, count: number): Float32Array {
  const random = pairRandom(seed);
  return Float32Array.from({ length: count }, () => random() - 0.5);
}

test.each([64, 128, 256])('a Fourier tile of %i comes back from its spectrum', (side) => {
  const fourier = createFourier(side), re = Float64Array.from(randomPlane(1, side * side)), im = Float64Array.from(randomPlane(2, side * side));
  const before = [re.slice(), im.slice()];
  transform(fourier, re, im);
  transformBack(fourier, re, im);
  for (let j = 0; j < re.length; j += 17) {
    expect(re[j] / side ** 2).toBeCloseTo(before[0][j], 12);
    expect(im[j] / side ** 2).toBeCloseTo(before[1][j], 12);
  }
});

test('symmetric equations are solved, and a matrix that is not positive is refused', () => {
  const b = Float64Array.of(1, 2, 3);
  expect(solveSymmetric(Float64Array.of(4, 0, 0, 2, 5, 0, 1, 3, 6), b, 0)).toBe(true);
  // Checked by substitution: rows (4 2 1), (2 5 3), (1 3 6).
  expect(4 * b[0] + 2 * b[1] + b[2]).toBeCloseTo(1, 12);
  expect(2 * b[0] + 5 * b[1] + 3 * b[2]).toBeCloseTo(2, 12);
  expect(b[0] + 3 * b[1] + 6 * b[2]).toBeCloseTo(3, 12);
  expect(solveSymmetric(Float64Array.of(1, 0, 2, 1), Float64Array.of(1, 1), 0)).toBe(false);
});
