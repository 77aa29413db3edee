import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { logVarianceOf, measurePoints, POINT_COLUMNS as C, type PointTask } from '../../engine/kernels/pointSource.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf, varyingPsf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

const STEPS = { countMax: 12, shiftMaxPx: 3, convergencePx: 5e-4, convergenceErrors: 0.05 };

test('compiled fits and fluxes of point sources are the twin\'s, at borders and beside masks too', () => {
  const halves = fc.integer({ min: 3, max: 8 }), terms = fc.constantFrom(1, 3, 6);
  fc.assert(fc.property(planeRecipes(1, 40), fc.nat(0xffff), halves, terms, fc.boolean(), (recipe, ignoredBits, half, termCount, isAdded) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 3);
    const image = imageOf(recipe), mask = maskOf(recipe), variance = varianceOf(recipe);
    const psf = varyingPsf(13, termCount, { width, height }, 5, random);
    // A source for the fit to find.
    const at = [random() * width, random() * height];
    for (let v = -4; v <= 4; v++) {
      for (let u = -4; u <= 4; u++) {
        const x = Math.round(at[0]) + u, y = Math.round(at[1]) + v;
        if (x < 0 || y < 0 || x >= width || y >= height) continue;
        image[y * width + x] += 5e4 * Math.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 5);
      }
    }
    const others = [variance.map((value) => 2 * value), variance.map((value) => value / 3)];
    const task: PointTask = {
      width, height, image, variance, mask, ignoredBits, psf, halfSizePx: half, coreHalfSizePx: half - 1, steps: STEPS,
      added: isAdded ? [{ variance: others[0], factor: 0.5 }, { variance: others[1], factor: -1.5 }] : null,
    };
    const compiled: PointTask = {
      ...task, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
      added: isAdded ? [{ variance: arena.floats(others[0]), factor: 0.5 }, { variance: arena.floats(others[1]), factor: -1.5 }] : null,
    };
    const places = Float64Array.of(
      at[0] + random() - 0.5, at[1] + random() - 0.5, random() * width, random() * height, width - 1, 0, -2.5, height + 1);
    for (const isFitted of [true, false]) {
      expect(firstDifference(
        measurePoints(compiled, places, isFitted).rows, measurePoints(task, places, isFitted).rows)).toBe(-1);
    }
  }), { numRuns: 150 });
});

test('a source is found where it is, with its flux; of ones with a variance of e every pixel counts', () => {
  const width = 40, n = width * width, psf = varyingPsf(13, 1, { width, height: width }, 5, randomOf(1)), flux = 4000;
  const sum = psf.coefficients.reduce((total, value) => total + value, 0), image = new Float32Array(n);
  for (let v = 0; v < 13; v++) for (let u = 0; u < 13; u++) image[(v + 11) * width + u + 14] = (flux * psf.coefficients[v * 13 + u]) / sum;
  const variance = new Float32Array(n).fill(Math.E);
  const points = measurePoints({
    width, height: width, image, variance, mask: new Uint16Array(n), ignoredBits: 1, psf, halfSizePx: 6, coreHalfSizePx: 6,
    steps: STEPS, added: null,
  }, Float64Array.of(20.4, 16.7), true), { rows } = points;
  expect(rows[C.isFitted]).toBe(1);
  // The last step is within the convergence limit, or a twentieth of the error, of the middle of the stamp.
  const error = Math.sqrt(rows[C.xx]);
  expect(Math.hypot(rows[C.x] - 20, rows[C.y] - 17)).toBeLessThan(STEPS.convergencePx + 0.05 * error);
  expect(Math.abs(rows[C.signal] / rows[C.squares] / flux - 1)).toBeLessThan(1e-3);
  expect(rows[C.pixelCount]).toBe(169);
  // The variance is rounded to single precision.
  expect(Math.abs(logVarianceOf(points, 0) - 169)).toBeLessThan(169 * 2 ** -23);
});
