import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { normalizeByNoise, smoothSeparable } from '../../engine/kernels/smooth.ts';
import { smoothSeparableTwin } from '../../engine/kernels/twins/smooth.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, varianceOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

const tapLists = fc.integer({ min: 0, max: 25 }).chain(
  (half) => fc.double({ min: 0.5, max: 8, noNaN: true }).map((sigma) => {
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-0.5 * ((i - half) / sigma) ** 2));
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}));

test('smoothSeparable gives the bits of its twin', () => {
  fc.assert(fc.property(planeRecipes(1, 90), tapLists, fc.integer({ min: 0, max: 0xffff }),
    (recipe, taps, zeroBits) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe),
      expected = new Float32Array(image.length);
    smoothSeparableTwin(image, mask, zeroBits, width, height, Float32Array.from(taps), expected);
    const out = arena.floats(new Float32Array(image.length + 1).fill(-77));
    smoothSeparable(arena.floats(image), arena.words(mask), zeroBits, width, height, taps,
      out.subarray(0, image.length));
    expect(firstDifference(out.subarray(0, image.length), expected)).toBe(-1);
    expect(out[image.length]).toBe(-77);
  }), { numRuns: 150 });
});

test('smoothSeparable takes what it smooths from a peak, to the bits of plain arithmetic', () => {
  fc.assert(fc.property(planeRecipes(1, 80), tapLists, fc.integer({ min: 1, max: 4000 }), (recipe, taps, thousandths) => {
    arena.reset();
    const { width, height } = recipe, mask = maskOf(recipe), core = thousandths / 1000;
    const image = imageOf(recipe).map((value) => (Number.isFinite(value) ? value : 0));
    const smooth = new Float32Array(image.length), out = arena.floats(new Float32Array(image.length));
    smoothSeparable(image, mask, 0, width, height, taps, smooth);
    smoothSeparable(arena.floats(image), arena.words(mask), 0, width, height, taps, out, core);
    const expected = image.map((value, j) => Math.fround(Math.fround(core) * value) - smooth[j]);
    expect(firstDifference(out, expected)).toBe(-1);
    smoothSeparable(image, mask, 0, width, height, taps, smooth, core);
    expect(firstDifference(smooth, expected)).toBe(-1);
  }), { numRuns: 60 });
});

test('normalizeByNoise gives the bits of its twin', () => {
  fc.assert(fc.property(planeRecipes(1, 90), tapLists, fc.nat(0xffff), fc.constantFrom(0, 1e-5, 2e-3),
    (recipe, taps, zeroBits, least) => {
      arena.reset();
      const { width, height } = recipe, image = imageOf(recipe), variance = varianceOf(recipe), mask = maskOf(recipe);
      const score = imageOf({ ...recipe, seed: recipe.seed ^ 3 }), shared = arena.floats(score);
      normalizeByNoise({ width, height, image, variance, mask }, zeroBits, taps, least, score);
      normalizeByNoise({
        width, height, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
      }, zeroBits, taps, least, shared);
      expect(firstDifference(shared, score)).toBe(-1);
    }), { numRuns: 100 });
});

test('normalizeByNoise divides by the root of the smoothed weight, and blanks what has none', () => {
  const width = 40, n = width * width, image = new Float32Array(n), variance = new Float32Array(n).fill(4);
  const mask = new Uint16Array(n), score = new Float32Array(n).fill(6), taps = Float64Array.of(0.25, 0.5, 0.25);
  mask.fill(8, 0, 10 * width);
  normalizeByNoise({ width, height: width, image, variance, mask }, 8, taps, 1e-5, score);
  // Weights of 1/4: √(1/4) inside, three quarters of that weight beside the masked rows, none within them.
  expect(score[20 * width + 20]).toBe(12);
  expect(score[10 * width + 20]).toBeCloseTo(6 / Math.sqrt(0.25 * 0.75), 5);
  expect(score[5 * width + 20]).toBe(0);
});

test('smoothSeparable differs from the exact sum by no more than its single precision allows', () => {
  const recipe: PlaneRecipe = { width: 41, height: 33, seed: 20261120, kind: 'spikes', masks: 'some' };
  const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe), half = 6, zeroBits = 0x00ff;
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-0.5 * ((i - half) / 1.7) ** 2) / 4.26);
  const out = new Float32Array(image.length);
  smoothSeparable(image, mask, zeroBits, width, height, taps, out);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let exact = 0, absolute = 0;
      for (let v = Math.max(0, y - half); v <= Math.min(height - 1, y + half); v++) {
        for (let u = Math.max(0, x - half); u <= Math.min(width - 1, x + half); u++) {
          if ((mask[v * width + u] & zeroBits) !== 0) continue;
          const term = taps[v - y + half] * taps[u - x + half] * image[v * width + u];
          exact += term;
          absolute += Math.abs(term);
        }
      }
      // Each axis: a rounded tap, a product, the sum of a pair, and `half` additions; each rounds by 2^-24 at most.
      expect(Math.abs(out[y * width + x] - exact)).toBeLessThanOrEqual(2 * (half + 4) * 2 ** -24 * absolute);
    }
  }
});
