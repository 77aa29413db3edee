import { expect, test } from 'vitest';
import { fitCellBackground } from '../../engine/stages/difference/subtract.ts';
import { polynomialTerms } from '../../engine/stages/difference/polynomial.ts';
import { pairRandom } from '../support/pairScene.ts';

const CELL_PX = 64, WIDTH = 128, SIGMA = 5;

/** A tilted sky with noise and a bright star; NaN in a corner, of which the mask tells. */
function skyOf(height: number): { plane: Float32Array; mask: Uint16Array } {
  const plane = new Float32Array(WIDTH * height), mask = new Uint16Array(plane.length), random = pairRandom(height);
  for (let j = 0; j < plane.length; j++) {
    const x = j % WIDTH, y = Math.floor(j / WIDTH), u = (2 * x) / (WIDTH - 1) - 1, v = (2 * y) / (height - 1) - 1;
    plane[j] = 3 + 2 * u - v + SIGMA * Math.sqrt(12) * (random() - 0.5);
    if (Math.hypot(x - 30, y - 40) < 6) plane[j] += 5_000;
    if (x < 8 && y < 8) { plane[j] = NaN; mask[j] = 1; }
  }
  return { plane, mask };
}

test.each([512, 2048])('the sky of %i rows comes out as it was put in, whether all rows are looked at or some', (height) => {
  const { plane, mask } = skyOf(height), terms = new Float64Array(3);
  const found = fitCellBackground(plane, mask, WIDTH, height, 1, CELL_PX, 1);
  const levelAt = (x: number, y: number): number => {
    polynomialTerms(x, y, WIDTH, height, 1, terms);
    return terms.reduce((sum, term, k) => sum + term * found[k], 0);
  };
  // Of n pixels with flat noise a plane's error is below 2 σ/√n at its corners; five times that, and a hundredth of σ for
  // clipping that the star's rim shifts.
  const pixels = (WIDTH * height) / (height < 2048 ? 1 : 4), tolerance = (10 * SIGMA) / Math.sqrt(pixels) + 0.01 * SIGMA;
  expect(Math.abs(levelAt((WIDTH - 1) / 2, (height - 1) / 2) - 3)).toBeLessThan(tolerance);
  expect(Math.abs(levelAt(0, 0) - 2)).toBeLessThan(tolerance);
  expect(Math.abs(levelAt(WIDTH - 1, height - 1) - 4)).toBeLessThan(tolerance);
});
