import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createWindowed } from '../../engine/kernels/windowed.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

const TASK = { steps: 12, tolerancePx: 1e-4, driftPx: 4, flagReach2: 20 };

test('compiled windows measure what their twin does, to the last bit', () => {
  fc.assert(fc.property(planeRecipes(1, 50), fc.double({ min: 0.5, max: 4, noNaN: true }), fc.nat(10_000),
    (recipe, sigmaPx, place) => {
      arena.reset();
      const { width, height } = recipe, mask = maskOf(recipe);
      // A source where the window stands, so that there is light to follow.
      const at = place % (width * height), x = at % width, y = (at - x) / width;
      const image = imageOf(recipe).map((value, i) => value + 4000 * Math.exp(
        -0.5 * (((i % width) - x - 0.3) ** 2 + (Math.floor(i / width) - y + 0.4) ** 2) / sigmaPx ** 2));
      const task = { ...TASK, width, height, sigmaPx };
      const expected = createWindowed({ ...task, image, mask })(x, y);
      expect(createWindowed({ ...task, image: arena.floats(image), mask: arena.words(mask) })(x, y)).toEqual(expected);
    }), { numRuns: 400 });
});

test.each([0.7, 1.7, 3.1])('a Gaussian of σ %f is found where it is, and as wide as it is', (sigmaPx) => {
  const width = 61, mask = new Uint16Array(width * width), cx = 30.37, cy = 29.81;
  const image = Float32Array.from({ length: width * width }, (_, i) => 1000 * Math.exp(
    -0.5 * (((i % width) - cx) ** 2 + (Math.floor(i / width) - cy) ** 2) / sigmaPx ** 2));
  mask[30 * width + 30] = 4;
  const found = createWindowed({ ...TASK, image, mask, width, height: width, sigmaPx })(30, 30);
  // A window of 3.6 σ loses e^−13 of the light; pixels of a narrow Gaussian sample its square to e^(−2π² σ² / 2).
  const sampling = 20 * Math.exp(-(Math.PI ** 2) * sigmaPx ** 2) + 1e-4;
  expect(Math.hypot((found?.x ?? NaN) - cx, (found?.y ?? NaN) - cy)).toBeLessThan(sampling);
  // Under an equal window the moments are half the source's.
  expect(Math.abs((found?.xx ?? NaN) / (sigmaPx ** 2 / 2) - 1)).toBeLessThan(0.01 + sampling);
  expect(found?.bits).toBe(4);
});

test('a centroid that leaves for a brighter neighbour is none', () => {
  const width = 61, image = new Float32Array(width * width);
  for (let i = 0; i < image.length; i++) {
    image[i] = 1e4 * Math.exp(-0.5 * (((i % width) - 38) ** 2 + (Math.floor(i / width) - 30) ** 2) / 9);
  }
  const mask = new Uint16Array(image.length);
  expect(createWindowed({ ...TASK, image, mask, width, height: width, sigmaPx: 3 })(30, 30)).toBeNull();
});
