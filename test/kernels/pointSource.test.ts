import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createPointSums } from '../../engine/kernels/pointSource.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled sums over a point source are the twin\'s, at borders and beside masks too', () => {
  const halves = fc.integer({ min: 2, max: 7 });
  fc.assert(fc.property(planeRecipes(1, 40), fc.nat(0xffff), halves, (recipe, ignoredBits, half) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 3), side = 2 * half + 1;
    const image = imageOf(recipe), mask = maskOf(recipe), variance = image.map((value) => Math.abs(value) - 20);
    const planes = { width, height, image, variance, mask, ignoredBits };
    const twin = createPointSums(planes, side), compiled = createPointSums({
      ...planes, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
    }, side);
    for (let k = 0; k < 4; k++) {
      const model = {
        cell: Float64Array.from({ length: (side + 8) ** 2 }, () => random() - 0.2),
        taps: Float64Array.from({ length: 18 }, () => random() - 0.3),
      };
      const cx = Math.floor(random() * width), cy = Math.floor(random() * height);
      expect(compiled.products(model, cx, cy)).toEqual(twin.products(model, cx, cy));
      expect(compiled.noises(model, cx, cy)).toEqual(twin.noises(model, cx, cy));
      expect(compiled.flux(model, cx, cy)).toEqual(twin.flux(model, cx, cy));
    }
  }), { numRuns: 150 });
});

test('of ones with a variance of e every pixel counts', () => {
  const width = 20, image = new Float32Array(400).fill(1), variance = new Float32Array(400).fill(Math.E);
  const sums = createPointSums({ width, height: 20, image, variance, mask: new Uint16Array(400), ignoredBits: 1 }, 9);
  // Only the middle tap weighs.
  const taps = Float64Array.from({ length: 18 }, (_, t) => (t % 9 === 4 ? 1 : 0));
  const model = { cell: new Float64Array(17 ** 2).fill(2), taps };
  const flux = sums.flux(model, 10, 10);
  expect(flux).toMatchObject({ signal: 162, squares: 324, allSquares: 324, pixelCount: 81 });
  // The variance is rounded to single precision.
  expect(Math.abs(flux.logVariance - 81)).toBeLessThan(81 * 2 ** -23);
  // Of a constant model every slope is 0.
  expect(Array.from(sums.products(model, 10, 10))).toEqual([324, 0, 0, 0, 0, 0, 162, 0, 0]);
});
