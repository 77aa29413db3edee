import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { HALVING_PX2, normalizeHalved, smoothHalved } from '../../engine/kernels/halved.ts';
import { smoothSeparable } from '../../engine/kernels/smooth.ts';
import { gaussianTaps } from '../../engine/image/smooth.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

const tapLists = fc.integer({ min: 0, max: 12 }).map(
  (half) => Float64Array.from({ length: 2 * half + 1 }, (_, i) => (1 + i) / (2 * half + 1) ** 2));

test('smoothHalved gives the bits of its twin', () => {
  fc.assert(fc.property(planeRecipes(1, 90), tapLists, fc.nat(0xffff), (recipe, taps, zeroBits) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe);
    const expected = new Float32Array(image.length), out = arena.floats(new Float32Array(image.length + 1).fill(-77));
    smoothHalved(image, mask, zeroBits, width, height, taps, expected);
    smoothHalved(arena.floats(image), arena.words(mask), zeroBits, width, height, taps, out.subarray(0, image.length));
    expect(firstDifference(out.subarray(0, image.length), expected)).toBe(-1);
    expect(out[image.length]).toBe(-77);
  }), { numRuns: 150 });
});

test('normalizeHalved gives the bits of its twin', () => {
  fc.assert(fc.property(planeRecipes(1, 90), tapLists, fc.nat(0xffff), fc.constantFrom(0, 1e-5, 2e-3),
    (recipe, taps, zeroBits, least) => {
      arena.reset();
      const { width, height } = recipe, image = imageOf(recipe), variance = varianceOf(recipe), mask = maskOf(recipe);
      const score = imageOf({ ...recipe, seed: recipe.seed ^ 3 }), shared = arena.floats(score);
      normalizeHalved({ width, height, image, variance, mask }, zeroBits, taps, least, score);
      normalizeHalved({
        width, height, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
      }, zeroBits, taps, least, shared);
      expect(firstDifference(shared, score)).toBe(-1);
    }), { numRuns: 150 });
});

test('what is constant stays so up to the border, whatever the size', () => {
  for (const [width, height] of [[16, 1], [17, 5], [40, 33], [64, 64]]) {
    const plane = new Float32Array(width * height).fill(3), out = new Float32Array(plane.length);
    smoothHalved(plane, new Uint16Array(plane.length), 0, width, height, Float64Array.of(1), out);
    // A square at an odd border is half outside, where nothing is.
    const inner = out.filter((_, j) => (j % width) < width - 3 && Math.floor(j / width) < height - 3);
    expect(inner.every((value) => value === 3)).toBe(true);
  }
});

test('a broad source is smoothed as at full resolution when the taps leave out what halving adds', () => {
  const width = 96, n = width * width, mask = new Uint16Array(n), sigma2 = 3.2;
  const star = Float32Array.from({ length: n }, (_, j) => {
    const x = (j % width) - 47.3, y = Math.floor(j / width) - 48.8;
    return 1000 * Math.exp(-(x * x + y * y) / (2 * 3));
  });
  const full = new Float32Array(n), halved = new Float32Array(n);
  smoothSeparable(star, mask, 0, width, width, gaussianTaps(Math.sqrt(sigma2)), full);
  smoothHalved(star, mask, 0, width, width, gaussianTaps(Math.sqrt((sigma2 - HALVING_PX2) / 4)), halved);
  const peak = full.reduce((highest, value) => Math.max(highest, value), 0);
  const worst = full.reduce((most, value, j) => Math.max(most, Math.abs(value - halved[j])), 0);
  // Second moments agree; fourth ones of squares and lines do not, and the place within a square matters a little.
  expect(worst / peak).toBeLessThan(0.03);
});
