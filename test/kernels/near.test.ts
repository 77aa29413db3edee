import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { markBlank, markNear } from '../../engine/kernels/near.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled marks near masked pixels are the twin\'s', () => {
  const reaches = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(100, 254));
  fc.assert(fc.property(planeRecipes(1, 80), fc.nat(0xffff), reaches, (recipe, bits, reach) => {
    arena.reset();
    const { width, height } = recipe, n = width * height;
    // Few masked pixels, so that distances show.
    const mask = maskOf(recipe).map((value, i) => (recipe.masks === 'all' || i % 7 === 0 ? value : 0));
    const expected = new Uint8Array(n).fill(9), out = arena.bytes(new Uint8Array(n + 1).fill(9));
    markNear(mask, bits, width, height, reach, expected);
    markNear(arena.words(mask), bits, width, height, reach, out.subarray(0, n));
    expect(firstDifference(out.subarray(0, n), expected)).toBe(-1);
    expect(out[n]).toBe(9);
  }), { numRuns: 300 });
});

test('compiled marks of blank pixels are the twin\'s', () => {
  fc.assert(fc.property(planeRecipes(1, 40), fc.nat(0xffff), (recipe, bits) => {
    arena.reset();
    const image = imageOf(recipe), mask = maskOf(recipe),
      expected = Uint8Array.from(image, (_, i) => (i % 3 === 0 ? 1 : 0));
    const out = arena.bytes(Uint8Array.of(...expected, 9));
    markBlank(mask, bits, image, expected);
    markBlank(arena.words(mask), bits, arena.floats(image), out.subarray(0, image.length));
    expect(firstDifference(out.subarray(0, image.length), expected)).toBe(-1);
    expect(out[image.length]).toBe(9);
  }), { numRuns: 150 });
});

test('a masked pixel marks the square about it', () => {
  const mask = new Uint16Array(7 * 6), out = new Uint8Array(42);
  mask[2 * 7 + 1] = 4;
  markNear(mask, 4, 7, 6, 2, out);
  for (let j = 0; j < 42; j++) expect(out[j]).toBe(j % 7 <= 3 && Math.floor(j / 7) <= 4 ? 1 : 0);
});
