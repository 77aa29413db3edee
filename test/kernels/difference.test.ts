import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { differenceVariance, listAbove } from '../../engine/kernels/difference.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, planeRecipes, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('the compiled variance of a difference gives the bits of its twin, in place too', () => {
  const noises = fc.record({
    slope: fc.constantFrom(0, 0.7, 1 / 3), believed: fc.constantFrom(506.25, 4), shareMin: fc.constantFrom(0.2, 0),
      scale: fc.constantFrom(1, 1.1),
  });
  fc.assert(fc.property(planeRecipes(1, 50), noises, fc.boolean(), (recipe, noise, isInPlace) => {
    arena.reset();
    const { width, height } = recipe, a = varianceOf(recipe), b = varianceOf({ ...recipe, seed: recipe.seed ^ 5 }),
      image = imageOf(recipe);
    const work = (at: (values: Float32Array) => Float32Array): Float32Array => {
      const second = at(b), out = isInPlace ? second : at(new Float32Array(b.length));
      differenceVariance(at(a), second, at(image), width, height, noise, out);
      return out;
    };
    expect(firstDifference(work((values) => arena.floats(values)), work((values) => values.slice()))).toBe(-1);
  }), { numRuns: 200 });
});

test('the compiled list of pixels above the noise is its twin\'s', () => {
  fc.assert(fc.property(planeRecipes(1, 70), fc.constantFrom(0, 1, 2.5, -1), fc.nat(100), (recipe, factor, room) => {
    arena.reset();
    const image = imageOf(recipe), start = image.length - recipe.width,
      noise = varianceOf(recipe).subarray(0, recipe.width);
    const expected = new Int32Array(room).fill(-7), list = arena.ints(expected);
    const count = listAbove(image, start, noise, factor, expected);
    expect(listAbove(arena.floats(image), start, arena.floats(noise), factor, list)).toBe(count);
    expect(firstDifference(list, expected)).toBe(-1);
  }), { numRuns: 200 });
});

test('where 3 × 3 pixels believe in a source, its variance keeps its own light; a lone fluctuation loses it', () => {
  const width = 9, n = 81, a = new Float32Array(n).fill(60), b = new Float32Array(n).fill(40),
    difference = new Float32Array(n), out = new Float32Array(n);
  for (const j of [19, 20, 21, 28, 29, 30, 37, 38, 39]) difference[j] = 30;
  difference[64] = -50;
  differenceVariance(a, b, difference, width, 9, { slope: 0.5, believed: 506.25, shareMin: 0.2, scale: 2 }, out);
  expect(out[29]).toBe(200); // 270² is above 506.25 × 100.
  expect(out[64]).toBe(2 * (100 + 25));
  difference[52] = 150; // 150² is below 506.25 × 100; 100 − 90 is less than a fifth.
  differenceVariance(a, b, difference, width, 9, { slope: 0.6, believed: 506.25, shareMin: 0.2, scale: 2 }, out);
  expect(out[52]).toBe(2 * 20);
});
