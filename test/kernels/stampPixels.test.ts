import { beforeAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { stampPixels, type StampPixelTask } from '../../engine/kernels/stampPixels.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled pixels of a stamp are the twin\'s', () => {
  const kinds = fc.constantFrom('noise' as const, 'someNaN' as const, 'zeros' as const, 'spikes' as const);
  fc.assert(fc.property(fc.integer(), kinds, fc.integer({ min: 0, max: 9 }), (seed, kind, stampHalf) => {
    arena.reset();
    const width = 24, recipe = { width, height: 22, kind, masks: 'none' as const }, random = randomOf(seed);
    const image = imageOf({ ...recipe, seed }), variance = imageOf({ ...recipe, seed: seed + 1 }).map(Math.abs);
    const convolvedVariance = imageOf({ ...recipe, seed: seed + 2 }).map(Math.abs);
    const unusable = Uint8Array.from(image, () => (random() < 0.1 ? 1 : 0)), side = 2 * stampHalf + 1;
    const task = { width, image, variance, convolvedVariance, unusable, stampHalf, share: 0.1, errorFraction: 0.002 };
    const solved = (planes: StampPixelTask) => {
      const weights = new Float64Array(side * side).fill(7), data = weights.slice();
      const used = stampPixels(planes, 12, 11, weights, data);
      return { used, weights, data };
    };
    const expected = solved(task), compiled = solved({
      ...task, image: arena.floats(image), variance: arena.floats(variance), unusable: arena.bytes(unusable),
      convolvedVariance: arena.floats(convolvedVariance),
    });
    expect(compiled.used).toBe(expected.used);
    expect(firstDifference(compiled.weights, expected.weights)).toBe(-1);
    expect(firstDifference(compiled.data, expected.data)).toBe(-1);
  }), { numRuns: 150 });
});
