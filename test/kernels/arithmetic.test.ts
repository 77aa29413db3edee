import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { addScaled, prepareAddScaled, scalePlane, subtractPolynomial } from '../../engine/kernels/arithmetic.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, inArena, maskOf, planeRecipes, scaledOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

type Planes = Readonly<{
  recipe: PlaneRecipe; image: Float32Array; other: Float32Array; mask: Uint16Array;
}>;
type Work = (planes: Planes, bits: number, factor: number) => void;

function planesOf(recipe: PlaneRecipe): Planes {
  return {
    recipe, image: imageOf(recipe), other: imageOf({ ...recipe, seed: recipe.seed ^ 99 }), mask: maskOf(recipe),
  };
}

const WORKS: readonly (readonly [string, Work])[] = [
  ['scalePlane', ({ image }, _, factor) => { scalePlane(image, factor); }],
  ['addScaled', ({ image, other }, _, factor) => { addScaled(image, other, factor); }],
  ['subtractPolynomial', ({ recipe, image, mask }, bits, factor) => {
    const coefficients = Float64Array.of(factor, 1 / 3, -2, 0.1, 7, -5);
    const degrees = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const;
    subtractPolynomial(image, recipe.width, recipe.height, coefficients, degrees, mask, bits);
  }],
];

describe('compiled arithmetic gives the bits of its twins', () => {
  test.each(WORKS)('%s', (_, work) => {
    fc.assert(fc.property(planeRecipes(1, 40), fc.nat(0xffff), fc.constantFrom(0, 1, -1, 0.001, 1 / 3, -7.25),
      (recipe, bits, factor) => {
      arena.reset();
      const expected = planesOf(recipe), { image, other, mask } = planesOf(recipe);
      // Shared planes end in a pixel that nobody may touch.
      const guarded = (values: Float32Array) => arena.floats(Float32Array.of(...values, -99)).subarray(
        0, values.length);
      const shared: Planes = { recipe, image: guarded(image), other: guarded(other), mask: arena.words(mask) };
      work(shared, bits, factor);
      work(expected, bits, factor);
      for (const name of ['image', 'other'] as const) {
        expect(firstDifference(shared[name], expected[name])).toBe(-1);
        expect(new Float32Array(shared[name].buffer, shared[name].byteOffset + shared[name].byteLength, 1)[0]).toBe(
          -99);
      }
      expect(firstDifference(shared.mask, expected.mask)).toBe(-1);
    }), { numRuns: 60 });
  });
});

test('a part of a plane in 16 bits is added by the kernel as by its twin', () => {
  fc.assert(fc.property(planeRecipes(1, 40), fc.constantFrom(0, -1, 1 / 3), (recipe, factor) => {
    arena.reset();
    const { image, other } = planesOf(recipe), shared = arena.floats(image), stored = scaledOf(other, 0.9, -700);
    const first = Math.min(3, image.length - 1);
    prepareAddScaled(shared, inArena(arena, stored), factor)(first, image.length);
    prepareAddScaled(image, stored, factor)(first, image.length);
    expect(firstDifference(shared, image)).toBe(-1);
  }), { numRuns: 100 });
});

test('subtractPolynomial takes off what the polynomial has at each pixel, and leaves blank ones', () => {
  const width = 5, height = 3, plane = new Float32Array(15).fill(10), mask = new Uint16Array(15);
  mask[7] = 8;
  subtractPolynomial(plane, width, height, Float64Array.of(1, 2, 4), [[0, 0], [1, 0], [0, 1]], mask, 8);
  for (let j = 0; j < 15; j++) {
    const u = (2 * (j % 5)) / 4 - 1, v = Math.floor(j / 5) - 1;
    expect(plane[j]).toBe(j === 7 ? 10 : 10 - (1 + 2 * u + 4 * v));
  }
});
