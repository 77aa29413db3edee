import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createStampKernels } from '../../engine/kernels/starFit.ts';
import { testArena, type TestArena } from './memory.ts';
import {
  finiteImageOf, firstDifference, maskOf, planeRecipes, randomOf, varianceOf, type PlaneRecipe,
} from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

/** A Gaussian that widens along one term, with a little structure. */
function modelOf(size: number, terms: number, seed: number): { size: number; coefficients: Float32Array } {
  const random = randomOf(seed), coefficients = new Float32Array(terms * size * size), half = size >> 1;
  for (let k = 0; k < coefficients.length; k++) {
    const j = k % (size * size), r2 = ((j % size) - half) ** 2 + (Math.floor(j / size) - half) ** 2;
    const light = Math.exp(-r2 / 8) / 25;
    coefficients[k] = k < size * size ? light * (1 + 0.1 * random()) : 0.05 * light * (random() - 0.5);
  }
  return { size, coefficients };
}

function planesOf(recipe: PlaneRecipe): { image: Float32Array; variance: Float32Array; mask: Uint16Array } {
  const { width } = recipe, mask = maskOf(recipe);
  const image = finiteImageOf(recipe).map((value, i) => value / 50 + 5000 * Math.exp(
    -(((i % width) - width / 2 - 0.3) ** 2 + (Math.floor(i / width) - recipe.height / 2 + 0.2) ** 2) / 8));
  return { image, variance: varianceOf(recipe), mask };
}

const sizes = fc.constantFrom(9, 15, 25, 31), termCounts = fc.constantFrom(1, 3, 6);

test('compiled fits are their twins\', to the last bit', () => {
  let fitted = 0;
  fc.assert(fc.property(planeRecipes(8, 60), sizes, termCounts, fc.double({ min: 1, max: 9, noNaN: true }), fc.boolean(),
    (recipe, size, terms, radius, hasLight) => {
      arena.reset();
      const { width, height } = recipe, { image, variance, mask } = planesOf(recipe), random = randomOf(recipe.seed);
      const model = modelOf(size, terms, recipe.seed), weights = [1, 0.3, -0.4, 0.09, -0.12, 0.16].slice(0, terms);
      const x = width / 2 + random() - 0.5, y = height / 2 + random() - 0.5;
      const light = hasLight ? Float32Array.from({ length: size * size }, () => 20 * random()) : null;
      const fit = (planes: Parameters<typeof createStampKernels>[0]) => (
        createStampKernels(planes, 0x0103, model).fit(weights, x, y, radius, light)
      );
      const expected = fit({ width, height, image, variance, mask });
      if (expected !== null) fitted++;
      expect(fit({
        width, height, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
      })).toEqual(expected);
    }), { numRuns: 300 });
  expect(fitted).toBeGreaterThan(50);
});

test('compiled placing and moving are their twins\', also when another kernel took the work area between', () => {
  fc.assert(fc.property(sizes, termCounts, fc.integer(), fc.double({ min: -1, max: 1, noNaN: true }),
    fc.double({ min: -1, max: 1, noNaN: true }), (size, terms, seed, dx, dy) => {
      arena.reset();
      const own = {
        width: 8, height: 8, image: new Float32Array(64), variance: new Float32Array(64), mask: new Uint16Array(64),
      };
      const shared = {
        ...own, image: arena.floats(own.image), variance: arena.floats(own.variance), mask: arena.words(own.mask),
      };
      const model = modelOf(size, terms, seed), n = size * size;
      const weights = [1, 0.3, -0.4, 0.09, -0.12, 0.16].slice(0, terms);
      const [compiled, twin] = [shared, own].map((planes) => createStampKernels(planes, 0, model));
      const out = new Float32Array(n), expected = new Float32Array(n);
      for (let round = 0; round < 2; round++) {
        compiled.place(weights, dx, dy, out);
        twin.place(weights, dx, dy, expected);
        expect(firstDifference(out, expected)).toBe(-1);
        createStampKernels(shared, 0, modelOf(11, 1, 3)).place([1], 0, 0, new Float32Array(121));
        compiled.move(out, dy, dx, out);
        twin.move(expected, dy, dx, expected);
        expect(firstDifference(out, expected)).toBe(-1);
      }
    }), { numRuns: 100 });
});
