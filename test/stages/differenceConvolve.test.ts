import { expect, test } from 'vitest';
import { convolveByCell, convolveConstant, convolvePolynomial } from '../../engine/stages/difference/convolve.ts';
import { createFourier, transform, transformBack } from '../../engine/stages/difference/fourier.ts';
import { polynomialTerms, solveSymmetric, termCount, termDegrees } from '../../engine/stages/difference/polynomial.ts';
import { pairRandom } from '../support/pairScene.ts';

function randomPlane(seed: number, count: number): Float32Array {
  const random = pairRandom(seed);
  return Float32Array.from({ length: count }, () => random() - 0.5);
}

function directly(plane: Float32Array, width: number, height: number, kernel: Float32Array, size: number, x: number, y: number): number {
  const half = (size - 1) / 2;
  let sum = 0;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      const px = x - u, py = y - v;
      if (px >= 0 && py >= 0 && px < width && py < height) sum += kernel[(v + half) * size + u + half] * plane[py * width + px];
    }
  }
  return sum;
}

// Float32 output of sums of |value| ≤ 0.25 × size² / some: relative rounding 6e-8 of values below 10.
const ROUNDING = 1e-5;

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

test.each([[7, 150, 131], [31, 300, 250], [61, 260, 100]])(
  'convolution with a kernel of side %i agrees with the direct sum, borders and tile seams included', (size, width, height) => {
    const plane = randomPlane(3, width * height), kernel = randomPlane(4, size * size), out = new Float32Array(width * height);
    convolveConstant(plane, width, height, size, kernel, out);
    for (let y = 0; y < height; y += 13) {
      for (let x = 0; x < width; x += 11) {
        expect(Math.abs(out[y * width + x] - directly(plane, width, height, kernel, size, x, y))).toBeLessThan(ROUNDING);
      }
    }
  });

test('a polynomial kernel is evaluated at the pixel that is written', () => {
  const width = 140, height = 230, size = 9, order = 2, terms = new Float64Array(termCount(order));
  const plane = randomPlane(5, width * height), out = new Float32Array(width * height);
  const kernels = termDegrees(order).map((_, s) => randomPlane(10 + s, size * size));
  convolvePolynomial(plane, width, height, size, kernels, order, out);
  for (const [x, y] of [[0, 0], [139, 229], [70, 119], [71, 120], [3, 200]]) {
    polynomialTerms(x, y, width, height, order, terms);
    const expected = kernels.reduce((sum, kernel, s) => sum + terms[s] * directly(plane, width, height, kernel, size, x, y), 0);
    expect(Math.abs(out[y * width + x] - expected)).toBeLessThan(ROUNDING);
  }
});

test('a kernel that does not vary gives the same by cell and everywhere', () => {
  const width = 200, height = 220, size = 21, plane = randomPlane(6, width * height), kernel = randomPlane(7, size * size);
  const byCell = new Float32Array(width * height), constant = new Float32Array(width * height);
  convolveByCell(plane, width, height, size, (_x, _y, out) => out.set(kernel), byCell);
  convolveConstant(plane, width, height, size, kernel, constant);
  for (let j = 0; j < byCell.length; j++) expect(Math.abs(byCell[j] - constant[j])).toBeLessThan(ROUNDING);
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
