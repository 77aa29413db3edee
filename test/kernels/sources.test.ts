import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { smoothSources, type SourcesTask } from '../../engine/kernels/sources.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('compiled smoothing, marks and peaks are the twin\'s, in any rows, for any growth', () => {
  fc.assert(fc.property(
    planeRecipes(1, 120), fc.integer({ min: 0, max: 63 }), fc.integer({ min: 1, max: 12 }), fc.nat(9), fc.boolean(),
    fc.boolean(), fc.constantFrom(1, 2),
    (recipe, reach, border, half, isWhole, hasLevel, bin) => {
      arena.reset();
      const { width, height, seed } = recipe, image = imageOf(recipe), expected = maskOf(recipe), random = randomOf(seed);
      const gridRows = Math.ceil(height / bin), y0 = isWhole ? 0 : Math.floor(random() * gridRows);
      const y1 = isWhole ? gridRows : y0 + 1 + Math.floor(random() * (gridRows - y0));
      const columns = 1 + Math.floor(random() * Math.min(4, width)), rows = 1 + Math.floor(random() * Math.min(3, height));
      const cells = (): Float32Array => Float32Array.from({ length: columns * rows }, () => 150 * random());
      const task: SourcesTask = {
        image, zeroBits: 3, width, height, bin, y0, y1, reach, border, markFactor: 0.8, peakFactor: 0.8 + random(),
        mesh: { columns, rows, cellWidth: width / columns, cellHeight: height / rows },
        level: hasLevel ? cells() : null, noise: cells(),
        taps: Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-0.5 * ((i - half) / 1.3) ** 2) / 3.3),
      };
      const mask = arena.words(expected), smooth = new Float32Array(image.length), out = arena.floats(smooth);
      const peaks = smoothSources(task, expected, 32, smooth);
      expect(smoothSources({ ...task, image: arena.floats(image) }, mask, 32, out)).toEqual(peaks);
      expect(firstDifference(mask, expected)).toBe(-1);
      expect(firstDifference(out, smooth)).toBe(-1);
    }), {
    numRuns: 400,
    // A mesh of noise that overshoots to below zero, where a peak may lie above its limit and below that of the marks.
    examples: [[{ width: 76, height: 55, seed: 2147483623, kind: 'noise', masks: 'none' }, 0, 1, 1, true, false, 1]],
  });
});

test('of a plateau the first pixel in reading order is the peak, a slope has none, and marks reach as far as asked', () => {
  const width = 12, height = 9, plane = new Float32Array(width * height), mask = new Uint16Array(plane.length);
  for (let i = 0; i < plane.length; i++) plane[i] = (i % width) * 0.01;
  for (const j of [4 * width + 5, 4 * width + 6, 5 * width + 5]) plane[j] = 7;
  const task: SourcesTask = {
    image: plane, zeroBits: 0, width, height, bin: 1, y0: 0, y1: height, reach: 2, border: 1, markFactor: 1, peakFactor: 1,
    mesh: { columns: 1, rows: 1, cellWidth: width, cellHeight: height }, level: null, noise: Float32Array.of(1),
    taps: Float64Array.of(1),
  };
  const out = new Float32Array(plane.length);
  expect([...smoothSources(task, mask, 32, out)]).toEqual([4 * width + 5]);
  const marked = Array.from(mask.keys()).filter((i) => mask[i] === 32);
  // Columns 3 … 8 of rows 2 … 6, columns 3 … 7 of row 7.
  expect(marked).toHaveLength(6 * 5 + 5);
  expect(smoothSources({ ...task, markFactor: 7, peakFactor: 7 }, mask, 32, out)).toHaveLength(0);
});

test('means of 2 × 2 pixels have their peaks on their own grid, and mark the pixels they stand for', () => {
  const width = 37, height = 33, plane = new Float32Array(width * height), mask = new Uint16Array(plane.length);
  // All of one pixel of the grid, and half of its last one, which stands for the last column alone.
  for (const [x, y] of [[10, 8], [11, 8], [10, 9], [11, 9], [36, 20], [36, 21]]) plane[y * width + x] = 8;
  const task: SourcesTask = {
    image: plane, zeroBits: 1, width, height, bin: 2, y0: 0, y1: 17, reach: 0, border: 1, markFactor: 1, peakFactor: 1,
    mesh: { columns: 1, rows: 1, cellWidth: width, cellHeight: height }, level: null, noise: Float32Array.of(1),
    taps: Float64Array.of(1),
  };
  const out = new Float32Array(19 * 17);
  expect([...smoothSources(task, mask, 32, out)]).toEqual([4 * 19 + 5]);
  expect([out[4 * 19 + 5], out[10 * 19 + 18]]).toEqual([8, 4]);
  expect(mask.map((bits, i) => (bits === 32 ? 1 : 0) ^ (plane[i] > 0 ? 1 : 0)).some((wrong) => wrong === 1)).toBe(false);
});
