import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { spreadMask } from '../../engine/kernels/spread.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, maskOf, planeRecipes } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled spreading of masks is the twin\'s, and what every pixel\'s own disc would set', () => {
  const radii = fc.integer({ min: 0, max: 17 });
  fc.assert(fc.property(planeRecipes(1, 60), fc.nat(0xffff), radii, (recipe, bits, radius) => {
    arena.reset();
    const { width, height } = recipe, n = width * height;
    const mask = maskOf(recipe).map((value, i) => (recipe.masks === 'all' || i % 9 === 0 || i % 40 > 22 ? value : 0));
    const expected = new Uint16Array(n).fill(0x100), out = arena.words(new Uint16Array(n + 1).fill(0x100));
    spreadMask(mask, width, height, bits, radius, expected);
    spreadMask(arena.words(mask), width, height, bits, radius, out.subarray(0, n));
    expect(firstDifference(out.subarray(0, n), expected)).toBe(-1);
    expect(out[n]).toBe(0x100);
    // Where a region's rim has all of its bits, discs around every pixel set the same.
    const one = mask.map((value) => ((value & bits) !== 0 ? 1 : 0));
    const whole = new Uint16Array(n), all = new Uint16Array(n);
    spreadMask(one, width, height, 1, radius, whole);
    for (let j = 0; j < n; j++) {
      if (one[j] === 0) continue;
      const x = j % width, y = Math.floor(j / width);
      for (let v = Math.max(0, y - radius); v <= Math.min(height - 1, y + radius); v++) {
        for (let u = Math.max(0, x - radius); u <= Math.min(width - 1, x + radius); u++) {
          if ((u - x) ** 2 + (v - y) ** 2 <= radius * radius) all[v * width + u] = 1;
        }
      }
    }
    expect(firstDifference(whole, all)).toBe(-1);
  }), { numRuns: 100 });
});
