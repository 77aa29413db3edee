import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { fillSharpness } from '../../engine/kernels/sharpness.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('compiled sharpness and its list give the bits of the twin', () => {
  const limits = fc.constantFrom(0, 0.1, 2, Infinity);
  fc.assert(fc.property(planeRecipes(1, 60), fc.nat(0xffff), fc.nat(0xffff), limits, fc.nat(300),
    (recipe, unusable, replaced, limit, room) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), variance = varianceOf(recipe), mask = maskOf(recipe),
      bits = { unusable, replaced };
    const expected = new Float32Array(image.length).fill(-77), expectedList = new Int32Array(room).fill(-7);
    const count = fillSharpness(image, variance, mask, width, height, bits, limit, expected, expectedList);
    const out = arena.floats(new Float32Array(image.length + 1).fill(-77)),
      list = arena.ints(new Int32Array(room).fill(-7));
    expect(fillSharpness(arena.floats(image), arena.floats(variance), arena.words(mask), width, height, bits, limit,
      out.subarray(0, image.length), list)).toBe(count);
    expect(firstDifference(out.subarray(0, image.length), expected)).toBe(-1);
    expect(out[image.length]).toBe(-77);
    expect(firstDifference(list, expectedList)).toBe(-1);
  }), { numRuns: 300 });
});

test('a lone bright pixel has its height over the noise of a pixel minus the mean of its neighbours that count', () => {
  const width = 5, image = new Float32Array(25), variance = new Float32Array(25).fill(4), mask = new Uint16Array(25),
    out = new Float32Array(25);
  const bits = { unusable: 1, replaced: 2 }, indices = new Int32Array(25), at = 2 * width + 2;
  image[at] = 10;
  expect(fillSharpness(image, variance, mask, width, 5, bits, 3, out, indices)).toBe(1);
  expect(indices[0]).toBe(at);
  expect(out[at]).toBeCloseTo(10 / Math.sqrt(4 * 1.25), 5);
  mask[at - width] = mask[at - 1] = 2; // Two neighbours remain.
  fillSharpness(image, variance, mask, width, 5, bits, 3, out, indices);
  expect(out[at]).toBeCloseTo(10 / Math.sqrt(4 * 1.5), 5);
  mask[at + width + 1] = 1; // At a corner.
  expect(fillSharpness(image, variance, mask, width, 5, bits, 3, out, indices)).toBe(0);
  expect(out[at]).toBe(0);
});
