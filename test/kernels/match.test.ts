import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  addSlopes, blankMasked, flagAbove, flagNaN, keepBits, listBright, listPeaksOver, slopeSums, subtractMatched, translateMask,
} from '../../engine/kernels/match.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, varianceOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

type Planes = Readonly<{
  width: number; height: number; image: Float32Array; other: Float32Array; variance: Float32Array; mask: Uint16Array;
  otherMask: Uint16Array; out: Float32Array; indices: Int32Array;
}>;
type Work = (planes: Planes, bits: number, factor: number) => unknown;

const WORKS: readonly (readonly [string, Work])[] = [
  ['listBright', ({ image, other, variance, indices, ...size }) => (
    listBright({ ...size, image: other, variance }, { ...size, image, variance }, 2, 50, 1, indices))],
  ['listPeaksOver', ({ image, variance, indices, ...size }, _, factor) => (
    listPeaksOver({ ...size, image, variance }, 2, factor, indices))],
  ['addSlopes', ({ width, height, image, variance }, _, factor) => {
    addSlopes(image, width, height, factor, factor / 3, variance);
  }],
  ['subtractMatched', ({ width, height, image, other, variance, mask, otherMask, out }, bits, factor) => {
    subtractMatched({
      width, height, visit: { image: other, mask }, kept: 0x0ff0, noData: 2, matchedMask: otherMask, a: image,
      b: variance, factor, blank: bits, coefficients: Float64Array.of(factor, 1 / 3, -2, 0.1, 7, -5),
      degrees: [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]], out: { image: out, mask: otherMask },
    });
  }],
  ['blankMasked', ({ image, variance, mask }, bits) => { blankMasked({ image, variance, mask }, bits); }],
  ['keepBits', ({ mask }, bits) => { keepBits(mask, bits); }],
  ['flagAbove', ({ image, mask }, bits, factor) => { flagAbove(image, factor, mask, bits); }],
  ['flagNaN', ({ image, mask }, bits) => { flagNaN(image, mask, bits); }],
  ['slopeSums', ({ out: _out, indices: _indices, ...planes }, bits) => (
    slopeSums(planes, { blank: bits, differenceSquareMax: 4e5, varianceMax: 700, rowStep: 2 }))],
  ['translateMask', ({ mask }, bits) => { translateMask(mask, [[1, 4], [bits, 2], [0x8000, 1]]); }],
];

describe('compiled passes of the subtraction give the bits of their twins', () => {
  test.each(WORKS)('%s', (_, work) => {
    const factors = fc.constantFrom(0, 1, -1, 0.001, 1 / 3, -7.25, 300);
    fc.assert(fc.property(planeRecipes(5, 40), fc.nat(0xffff), factors, (recipe, bits, factor) => {
      arena.reset();
      const own = planesOf(recipe), shared = sharedOf(own);
      expect(work(shared, bits, factor)).toEqual(work(own, bits, factor));
      for (const name of ['image', 'other', 'variance', 'mask', 'otherMask', 'out', 'indices'] as const) {
        expect([name, firstDifference(shared[name], own[name])]).toEqual([name, -1]);
      }
    }), { numRuns: 150 });
  });
});

function planesOf(recipe: PlaneRecipe): Planes {
  const other = { ...recipe, seed: recipe.seed ^ 99 }, image = imageOf(recipe);
  return {
    width: recipe.width, height: recipe.height, image, other: imageOf(other), variance: varianceOf(recipe),
    mask: maskOf(recipe), otherMask: maskOf(other), out: new Float32Array(image.length).fill(-77),
    indices: new Int32Array(9).fill(-5),
  };
}

function sharedOf({ width, height, ...own }: Planes): Planes {
  return {
    width, height, image: arena.floats(own.image), other: arena.floats(own.other), variance: arena.floats(own.variance),
    mask: arena.words(own.mask), otherMask: arena.words(own.otherMask), out: arena.floats(own.out),
    indices: arena.ints(own.indices),
  };
}

test('a bright peak is listed once, a faint, a noisy and a masked neighbour are not', () => {
  const width = 24, image = new Float32Array(width * width), variance = new Float32Array(width * width).fill(1);
  const bump = (x: number, y: number, height: number): void => {
    for (let v = -1; v <= 1; v++) for (let u = -1; u <= 1; u++) image[(y + v) * width + x + u] += height / (1 + u * u + v * v);
  };
  bump(6, 6, 100);
  bump(16, 6, 1);
  bump(6, 16, 100);
  bump(16, 16, 100);
  variance[15 * width + 15] = 1e6;
  image[16 * width + 7] = NaN;
  const indices = new Int32Array(8), planes = { width, height: width, image, variance };
  const found = listBright(planes, planes, 3, 2, 10, indices);
  expect(Array.from(indices.subarray(0, found))).toEqual([6 * width + 6]);
});

test('the slope of a variance that follows its pixels is told, and sources and masked pixels do not enter', () => {
  const width = 64, height = 8, random = planesOf({ width, height, seed: 5, kind: 'noise', masks: 'none' }).image;
  const image = random.map((value) => value / 100), variance = image.map((value) => 100 + 0.25 * value);
  const mask = new Uint16Array(image.length);
  image[100] = 1e4;
  variance[200] = 1e6;
  mask[200] = 4;
  const { products, squares } = slopeSums({ width, height, image, variance, mask },
    { blank: 4, differenceSquareMax: 1e4, varianceMax: 1e3, rowStep: 1 });
  expect(products / squares).toBeCloseTo(0.25, 4); // Single precision of a variance of 100: 8e-6 of differences of 5.
});

test('a stored mask is translated bit by bit, and other bits are dropped', () => {
  const stored = Uint16Array.of(0, 0x0100, 0x0200, 0x0300, 0x0080, 0x0400); // Big-endian 1, 2, 3, 0x8000, 4.
  translateMask(stored, [[1, 0x10], [2, 0x400], [0x8000, 1]]);
  expect(Array.from(stored)).toEqual([0, 0x10, 0x400, 0x410, 1, 0]);
});
