import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createExtendedEquations, type ExtendedTask, type FitEquations, type Frame } from '../../engine/kernels/extended.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

function psfOf(size: number, width: number, height: number) {
  const middle = (size - 1) / 2, n = size * size, coefficients = new Float32Array(3 * n);
  for (let j = 0; j < n; j++) {
    const r2 = ((j % size) - middle) ** 2 + (Math.floor(j / size) - middle) ** 2;
    coefficients[j] = Math.exp(-r2 / 5);
    coefficients[n + j] = 0.02 * Math.exp(-r2 / 8);
  }
  return { size, width, height, coefficients };
}

const numbersOf = ({ matrix, right, chi2, pixelCount }: FitEquations): number[] => [...matrix, ...right, chi2, pixelCount];

test('compiled equations of trails and dipoles are the twin\'s, at borders, beside masks and NaN', () => {
  fc.assert(fc.property(planeRecipes(4, 50), fc.nat(0xffff), fc.integer({ min: 2, max: 7 }), (recipe, ignoredBits, halfSizePx) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 2);
    const image = imageOf(recipe), mask = maskOf(recipe), variance = varianceOf(recipe);
    const task: ExtendedTask = { width, height, image, variance, mask, ignoredBits, psf: psfOf(13, width, height), halfSizePx };
    const x0 = Math.floor(random() * width), y0 = Math.floor(random() * height);
    const frame: Frame = {
      x0, y0, width: Math.min(width - x0, Math.floor(30 * random())), height: Math.min(height - y0, Math.floor(30 * random())),
    };
    const place = () => [x0 + 30 * random() - 5, y0 + 30 * random() - 5];
    const compiled = createExtendedEquations({
      ...task, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
    }, frame), twin = createExtendedEquations(task, frame);
    for (let k = 0; k < 3; k++) {
      const trail = Float64Array.of(1e4 * (random() - 0.3), ...place(), 25 * random(), 7 * random() - 3);
      expect(firstDifference(numbersOf(compiled.trail(trail)), numbersOf(twin.trail(trail)))).toBe(-1);
      const dipole = Float64Array.of(1e4 * random(), ...place(), -1e4 * random(), ...place());
      expect(firstDifference(numbersOf(compiled.dipole(dipole)), numbersOf(twin.dipole(dipole)))).toBe(-1);
    }
  }), { numRuns: 150 });
});

/** Right sides are −½ the slope of χ²: compared with the difference of χ² over a small step of one unknown. */
function slopeOf(at: (p: Float64Array) => FitEquations, p: Float64Array, k: number, step: number): number {
  const moved = (by: number) => at(p.map((value, i) => (i === k ? value + by : value))).chi2;
  return -(moved(step) - moved(-step)) / (4 * step);
}

test('right sides are the slopes of χ² by every unknown', () => {
  const width = 60, n = width * width, random = randomOf(5), image = new Float32Array(n).map(() => 20 * (random() - 0.5));
  const task: ExtendedTask = {
    width, height: width, image, variance: new Float32Array(n).fill(10), mask: new Uint16Array(n), ignoredBits: 1,
    psf: psfOf(17, width, width), halfSizePx: 8,
  };
  const frame = { x0: 2, y0: 2, width: 56, height: 56 }, { trail, dipole } = createExtendedEquations(task, frame);
  const line = Float64Array.of(900, 30.2, 28.7, 11.4, 0.7), lobes = Float64Array.of(700, 27.1, 30.3, -600, 33.4, 29.2);
  // Five-point slopes of this PSF (σ = 1.6 px) are within 1/(30 σ⁴) = 0.5 %, the moving of a PSF is good to 1e-3 of it;
  // both add up over all pixels: 3 % of the slope, and a tenth of an error, to which the fits converge.
  const check = (at: (p: Float64Array) => FitEquations, p: Float64Array): void => {
    const { right, matrix } = at(p), count = p.length;
    right.forEach((value, k) => {
      const error = 1 / Math.sqrt(matrix[k * count + k]), slope = slopeOf(at, p, k, 0.02 * error);
      expect(Math.abs(value - slope) * error, `unknown ${k}`).toBeLessThan(0.03 * Math.abs(slope * error) + 0.1);
    });
  };
  check(trail, line);
  check(dipole, lobes);
});
