import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { listAtLeast } from '../../engine/kernels/list.ts';
import { columnMoments } from '../../engine/kernels/sample.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled moments of a column are the twin\'s, which are those of its usable pixels in order', () => {
  const places = fc.record({
    ignoredBits: fc.constantFrom(0, 1, 0xffff), column: fc.nat(60), rowStep: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(fc.property(planeRecipes(1, 60), places, (recipe, { ignoredBits, column, rowStep }) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe), x = column % width;
    const task = { image, mask, ignoredBits, width }, expected = columnMoments(task, x, rowStep);
    const compiled = { ...task, image: arena.floats(image), mask: arena.words(mask) };
    expect(columnMoments(compiled, x, rowStep)).toEqual(expected);
    const usable = Array.from({ length: Math.ceil(height / rowStep) }, (_, i) => i * rowStep * width + x)
      .filter((j) => (mask[j] & ignoredBits) === 0 && Number.isFinite(image[j]));
    const sorted = usable.map((j) => image[j]).sort((a, b) => a - b), n = sorted.length;
    expect(expected.count).toBe(n);
    if (n > 0) expect(expected.median).toBe((sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2 + 0);
  }), { numRuns: 200 });
});

test('the compiled list of pixels at or above a limit is the twin\'s', () => {
  fc.assert(fc.property(planeRecipes(1, 30), fc.constantFrom(-Infinity, -200, 0, 300.1, Infinity), (recipe, limit) => {
    arena.reset();
    const plane = imageOf(recipe), list = (view: Float32Array): number[] => {
      const indices = new Int32Array(view.length);
      return Array.from(indices.subarray(0, listAtLeast(view, limit, indices)));
    };
    expect(list(arena.floats(plane))).toEqual(list(plane));
  }), { numRuns: 100 });
});
