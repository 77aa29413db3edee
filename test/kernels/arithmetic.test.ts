import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  addScaled, copyUsable, markLabelled, normalizeScore, scalePlane, subtractPlanes, subtractPolynomial, weighByVariance,
} from '../../engine/kernels/arithmetic.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, varianceOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

type Planes = Readonly<{
  recipe: PlaneRecipe; image: Float32Array; other: Float32Array; variance: Float32Array; mask: Uint16Array;
  labels: Int32Array; out: Float32Array;
}>;
type Work = (planes: Planes, bits: number, factor: number) => number | void;

function planesOf(recipe: PlaneRecipe): Planes {
  const image = imageOf(recipe), mask = maskOf(recipe);
  return {
    recipe, image, other: imageOf({ ...recipe, seed: recipe.seed ^ 99 }), variance: varianceOf(recipe), mask,
    labels: Int32Array.from(mask, (bits) => bits & 3), out: new Float32Array(image.length).fill(-77),
  };
}

const WORKS: readonly (readonly [string, Work])[] = [
  ['copyUsable', ({ image, variance, mask, out }, bits) => { copyUsable(variance, image, mask, bits, out); }],
  ['weighByVariance of the image',
  ({ image, variance, mask, out }, bits) => { weighByVariance(image, variance, mask, bits, 'image', out); }],
  ['weighByVariance of one',
  ({ image, variance, mask, out }, bits) => { weighByVariance(image, variance, mask, bits, 'one', out); }],
  ['normalizeScore', ({ image, variance }, _, factor) => normalizeScore(image, variance, factor)],
  ['normalizeScore by weights of either sign',
  ({ variance, image }, _, factor) => normalizeScore(variance, image, factor)],
  ['scalePlane', ({ image }, _, factor) => { scalePlane(image, factor); }],
  ['addScaled', ({ image, other }, _, factor) => { addScaled(image, other, factor); }],
  ['markLabelled', ({ labels, mask }, bits) => { markLabelled(labels, mask, bits); }],
  ['subtractPlanes', ({ image, other, mask, out }, bits,
  factor) => { subtractPlanes(image, other, factor, mask, bits, out); }],
  ['subtractPlanes in place',
  ({ image, other, mask }, bits, factor) => { subtractPlanes(image, other, factor, mask, bits, other); }],
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
      const expected = planesOf(recipe), { image, other, variance, mask, labels, out } = planesOf(recipe);
      // Shared planes end in a pixel that nobody may touch.
      const guarded = (values: Float32Array) => arena.floats(Float32Array.of(...values, -99)).subarray(
        0, values.length);
      const shared: Planes = {
        recipe, image: guarded(image), other: guarded(other), variance: guarded(variance), mask: arena.words(mask),
          labels: arena.ints(labels), out: guarded(out),
      };
      expect(Object.is(work(shared, bits, factor), work(expected, bits, factor))).toBe(true);
      for (const name of ['image', 'other', 'variance', 'out'] as const) {
        expect(firstDifference(shared[name], expected[name])).toBe(-1);
        expect(new Float32Array(shared[name].buffer, shared[name].byteOffset + shared[name].byteLength, 1)[0]).toBe(
          -99);
      }
      expect(firstDifference(shared.mask, expected.mask)).toBe(-1);
    }), { numRuns: 60 });
  });
});

test('weighByVariance gives blank, NaN and variance-free pixels no weight', () => {
  const image = Float32Array.of(6, 6, NaN, 6, 6), variance = Float32Array.of(2, 0, 2, NaN, 2),
    mask = Uint16Array.of(0, 0, 0, 0, 4);
  const out = new Float32Array(5);
  weighByVariance(image, variance, mask, 4, 'image', out);
  expect([...out]).toEqual([3, 0, 0, 0, 0]);
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
