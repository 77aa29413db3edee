import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { inspectPlanes } from '../../engine/kernels/inspect.ts';
import { addExpectedLight, columnHeights } from '../../engine/kernels/light.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('the compiled variance of expected light gives the bits of its twin', () => {
  const changes = fc.constantFrom(
    { own: -0.7, perLight: 0.7, shareMin: 0.2 }, { own: 0, perLight: 1 / 3, shareMin: 0 },
  );
  fc.assert(fc.property(planeRecipes(2, 50), changes, (recipe, change) => {
    arena.reset();
    const { width, height, seed } = recipe;
    const work = (at: (values: Float32Array) => Float32Array): Float32Array => {
      const variance = at(varianceOf(recipe)), random = randomOf(seed);
      const mesh = { columns: 3, rows: 2, cellWidth: width / 3, cellHeight: height / 2 };
      const sigma = Float32Array.from({ length: 6 }, () => 100 + 50 * random());
      addExpectedLight(at(imageOf(recipe)), variance, width, height, mesh, sigma,
        { ...change, brightSigma: 5, sourceSigma: 1.1 });
      return variance;
    };
    expect(firstDifference(work((values) => arena.floats(values)), work((values) => values.slice()))).toBe(-1);
  }), { numRuns: 200 });
});

test('light counts where it is bright or where its neighbours agree, and a lone fluctuation is the sky\'s', () => {
  const width = 16, image = new Float32Array(width * width), variance = new Float32Array(width * width).fill(100);
  image[3 * width + 3] = 20; // Alone: its mean of 3 × 3 is 20 × 4 / 16.
  image[8 * width + 8] = 200;
  for (let y = 11; y < 14; y++) image.fill(40, y * width + 2, y * width + 5);
  const mesh = { columns: 1, rows: 1, cellWidth: width, cellHeight: width };
  addExpectedLight(image, variance, width, width, mesh, Float32Array.of(10), {
    brightSigma: 10, sourceSigma: 3 * 0.375, own: -1, perLight: 1, shareMin: 0.2,
  });
  expect(variance[3 * width + 3]).toBe(80); // Counts of 120 make 120; of the sky, 100, what a pixel of 20 loses.
  expect(variance[8 * width + 8]).toBe(100);
  expect(variance[12 * width + 3]).toBe(100);
  expect(variance[8 * width + 7]).toBe(100 + 200 * 2 / 16);
});

test('compiled heights of columns give the bits of their twin, and find a column beside bright stars', () => {
  const distances = fc.integer({ min: 1, max: 9 }), steps = fc.integer({ min: 1, max: 3 });
  fc.assert(fc.property(planeRecipes(20, 60), distances, steps, (recipe, distance, step) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe);
    const compiled = columnHeights(arena.floats(image), width, height, distance, 700, step);
    expect(firstDifference(compiled, columnHeights(image, width, height, distance, 700, step))).toBe(-1);
  }), { numRuns: 200 });
  const width = 64, image = new Float32Array(width * width);
  for (let y = 0; y < width; y++) image[y * width + 30] = 7;
  image[20 * width + 40] = 1e6;
  const heights = columnHeights(image, width, width, 8, 10);
  expect([heights[30], heights[22], heights[40], heights[3]]).toEqual([7, -3.5, 10 / 64, 0]);
});

test('the compiled inspection of planes marks, counts and ranges as its twin', () => {
  const saturations = fc.constantFrom(Infinity, 400, -Infinity);
  fc.assert(fc.property(planeRecipes(1, 40), saturations, fc.boolean(), (recipe, saturation, hasVariance) => {
    arena.reset();
    const { width, height } = recipe;
    const own = { image: imageOf(recipe), variance: varianceOf(recipe), mask: maskOf(recipe) };
    const there = {
      image: arena.floats(own.image), variance: arena.floats(own.variance), mask: arena.words(own.mask),
    };
    const look = (planes: typeof own) =>
      inspectPlanes({ width, height, ...planes }, hasVariance, saturation, 2, 0x10f);
    expect(look(there)).toEqual(look(own));
    for (const plane of ['image', 'variance', 'mask'] as const) {
      expect(firstDifference(there[plane], own[plane])).toBe(-1);
    }
  }), {
    numRuns: 200,
    // Zeros of both signs: the lowest was 0 in one order of looking and −0 in the other.
    examples: [[{ width: 8, height: 1, seed: 1176619334, kind: 'signedZeros', masks: 'none' }, Infinity, false]],
  });
});
