import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { findFootprints, type Footprints } from '../../engine/kernels/footprints.ts';
import { REGION_FIELDS } from '../../engine/kernels/label.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(32 * 1024 ** 2); });

const TAPS = { middleTap: 0.5, sideTap: 0.25 };

function expectSame(found: Footprints, expected: Footprints): void {
  expect(found.regions.count).toBe(expected.regions.count);
  expect(firstDifference(found.regions.boxes, expected.regions.boxes)).toBe(-1);
  expect(firstDifference(found.runs, expected.runs)).toBe(-1);
  expect(firstDifference(found.rowStarts, expected.rowStarts)).toBe(-1);
  expect(firstDifference(found.light, expected.light)).toBe(-1);
  expect(firstDifference(found.tops, expected.tops)).toBe(-1);
}

test('compiled footprints are the twin\'s, and so is the image that lost its sky', () => {
  const doubles = fc.double({ min: -500, max: 800, noNaN: true });
  const thresholds = fc.oneof(fc.constantFrom(0, 1e-60, 1000 / 3, Infinity), doubles);
  fc.assert(fc.property(planeRecipes(1, 90), thresholds, fc.nat(0xffff), fc.integer({ min: 1, max: 9 }),
    (recipe, threshold, zeroBits, countMin) => {
      arena.reset();
      const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe), random = randomOf(recipe.seed);
      const columns = 1 + Math.floor(3 * random()), rows = 1 + Math.floor(3 * random());
      const mesh = {
        columns, rows, cellWidth: width / columns, cellHeight: height / rows,
        cells: Float32Array.from({ length: columns * rows }, () => 200 * random()),
      };
      const task = { mask, zeroBits, width, height, mesh, threshold, countMin, ...TAPS };
      const own = image.slice(), expected = findFootprints({ ...task, image: own }, new Float32Array(own.length));
      const shared = arena.floats(image), light = arena.floats(new Float32Array(image.length + 3));
      expectSame(findFootprints({ ...task, image: shared, mask: arena.words(mask) }, light), expected);
      expect(firstDifference(shared, own)).toBe(-1);
    }), { numRuns: 300 });
});

test('bands join, and so do the twin\'s rows when there are more runs than the work area holds', () => {
  const width = 980, height = 1000, mesh = {
    columns: 1, rows: 1, cellWidth: width, cellHeight: height, cells: Float32Array.of(3),
  };
  for (const threshold of [300, -400]) {
    arena.reset();
    const image = imageOf({ width, height, seed: 7, kind: 'someNaN', masks: 'some' });
    const mask = new Uint16Array(image.length);
    const task = { mask, zeroBits: 1, width, height, mesh, threshold, countMin: 5, ...TAPS };
    // Every second pixel of every second row stands by itself: 245,000 runs, where 233,000 fit.
    if (threshold < 0) image.forEach((_, i) => { image[i] = i % 2 + Math.floor(i / width) % 2 === 0 ? 1 : -1e4; });
    const own = image.slice(), taps = threshold < 0 ? { middleTap: 1, sideTap: 0 } : TAPS;
    const expected = findFootprints({ ...task, ...taps, image: own }, new Float32Array(own.length));
    const shared = arena.floats(image), light = arena.floats(image);
    expectSame(findFootprints({ ...task, ...taps, image: shared, mask: arena.words(mask) }, light), expected);
    expect(firstDifference(shared, own)).toBe(-1);
  }
});

test('a footprint of one hill has one top, of two hills or a plateau more, a small one none', () => {
  const width = 9, image = Float32Array.from([
    1, 2, 3, 2, 1, 0, 7, 7, 0,
    2, 4, 6, 4, 2, 0, 6, 5, 0,
    1, 2, 3, 2, 3, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 8, 7, 9,
    0, 0, 0, 0, 0, 0, 0, 0, 0,
    9, 8, 0, 0, 0, 0, 0, 0, 0,
  ]);
  const mesh = { columns: 1, rows: 1, cellWidth: width, cellHeight: 6, cells: Float32Array.of(0) };
  const { tops, regions, light, runs } = findFootprints({
    image, mask: new Uint16Array(image.length), zeroBits: 0, width, height: 6, mesh, middleTap: 1, sideTap: 0,
    threshold: 1, countMin: 3,
  }, new Float32Array(image.length));
  expect([...tops]).toEqual([1, 2, 2, 0]);
  expect(regions.boxes[REGION_FIELDS * 3 + 4]).toBe(2);
  expect([...runs.subarray(0, 6)]).toEqual([0, 5, 0, 6, 8, 1]);
  expect([...light.subarray(0, 7)]).toEqual([1, 2, 3, 2, 1, 7, 7]);
});
