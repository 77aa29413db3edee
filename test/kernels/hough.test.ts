import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createLineVotes, listExtremes } from '../../engine/kernels/hough.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('the compiled list of high and low cells is the twin\'s', () => {
  const steps = fc.constantFrom([2, 2], [4, 4], [4, 12]);
  fc.assert(fc.property(planeRecipes(1, 70), fc.nat(0xffff), steps, (recipe, ignoredBits, [stepPx, cellPx]) => {
    arena.reset();
    const { width, height } = recipe, plane = imageOf(recipe), mask = maskOf(recipe);
    const task = { width, height, plane, mask, ignoredBits, stepPx, cellPx, threshold: 400 };
    expect(listExtremes({ ...task, plane: arena.floats(plane), mask: arena.words(mask) })).toEqual(listExtremes(task));
  }), { numRuns: 150 });
});

test('compiled votes find the twin\'s lines, and a line through half of the points', () => {
  fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 60 }), (seed, angles) => {
    arena.reset();
    const random = randomOf(seed), beside = arena.floats(new Float32Array(1));
    const compiled = createLineVotes(angles, 40, beside), twin = createLineVotes(angles, 40, new Float32Array(1));
    expect(compiled.strongest()).toBe(null);
    for (let k = 0; k < 60; k++) {
      const x = 56 * (random() - 0.5), y = 56 * (random() - 0.5);
      for (const lines of [compiled, twin]) lines.vote(x, y, 1);
      if (k % 5 === 0) for (const lines of [compiled, twin]) lines.vote(x, y, -1);
    }
    expect(compiled.strongest()).toEqual(twin.strongest());
  }), { numRuns: 100 });
  const lines = createLineVotes(180, 40, arena.floats(new Float32Array(1))), random = randomOf(3);
  const angle = (25 * Math.PI) / 180;
  for (let t = -30; t < 30; t += 2) {
    lines.vote(12 * Math.cos(angle) - t * Math.sin(angle), 12 * Math.sin(angle) + t * Math.cos(angle), 1);
    lines.vote(56 * (random() - 0.5), 56 * (random() - 0.5), 1);
  }
  expect(lines.strongest()).toMatchObject({ angleIndex: 25, distance: 12 });
});
