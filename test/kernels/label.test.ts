import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { labelRegions, listRegions, listRunRegions, REGION_FIELDS, type Regions } from '../../engine/kernels/label.ts';
import { labelRegionsTwin } from '../../engine/kernels/twins/label.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(24 * 1024 ** 2); });

function checkAgainstTwin(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): Regions {
  arena.reset();
  const expectedLabels = new Int32Array(score.length), labels = arena.ints(new Int32Array(score.length).fill(-7));
  const expected = labelRegionsTwin(score, width, height, sign, threshold, expectedLabels);
  const regions = labelRegions(arena.floats(score), width, height, sign, threshold, labels);
  expect(regions.count).toBe(expected.count);
  expect(firstDifference(regions.boxes, expected.boxes)).toBe(-1);
  expect(firstDifference(labels, expectedLabels)).toBe(-1);
  checkRuns(score, width, height, sign, threshold, expected, expectedLabels);
  return regions;
}

/** Runs, compiled and not, say what labels say. */
function checkRuns(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number, { count, boxes }: Regions,
  labels: Int32Array,
): void {
  const found = listRunRegions(arena.floats(score), width, height, sign, threshold), filled = new Int32Array(score.length);
  expect(found).toEqual(listRunRegions(score, width, height, sign, threshold));
  expect(found).toHaveLength(count);
  found.forEach(({ box, pixelCount, runs }, n) => {
    const { x0, y0, x1, y1 } = box;
    expect([x0, y0, x1, y1, pixelCount]).toEqual([...boxes.subarray(n * REGION_FIELDS, (n + 1) * REGION_FIELDS)]);
    for (const run of runs) filled.fill(n + 1, run.y * width + run.x0, run.y * width + run.x1);
  });
  expect(firstDifference(filled, labels)).toBe(-1);
}

describe('compiled labelling is its twin', () => {
  test('on nasty planes and thresholds', () => {
    const thresholds = fc.oneof(fc.constantFrom(0, -0, 1e-60, -1e-60, 1000 / 3, -1000 / 3, Infinity, NaN),
      fc.double({ min: -2000, max: 2000, noNaN: true }));
    fc.assert(fc.property(planeRecipes(1, 90), fc.constantFrom(1, -1), thresholds, (recipe, sign, threshold) => {
      checkAgainstTwin(imageOf(recipe), recipe.width, recipe.height, sign, threshold);
    }), { numRuns: 300 });
  });

  test('on winding regions: random pixels about the share at which they percolate', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0.2, max: 0.7, noNaN: true }), fc.integer(),
      (width, height, share, seed) => {
        const random = randomOf(seed);
        checkAgainstTwin(Float32Array.from({ length: width * height }, () => (random() < share ? 1 : 0)), width, height,
          1, 0.5);
      }), { numRuns: 150 });
  });

  test('where runs do not fit the work area', () => {
    const side = 1100; // Every second pixel of every second row: 302,500 runs.
    const score = Float32Array.from({ length: side * side },
      (_, j) => (j % side % 2 === 0 && Math.floor(j / side) % 2 === 0 ? 1 : 0));
    expect(checkAgainstTwin(score, side, side, 1, 1).count).toBe(550 ** 2);
  });
});

test('regions that touch at a corner are one, numbered by first pixel, with half-open boxes', () => {
  const picture = ['..x...x.', '.x.....x', '...xx..x', 'x.......'].join('');
  const score = Float32Array.from(picture, (c) => (c === 'x' ? 6 : 0)), labels = new Int32Array(32);
  const { count, boxes } = labelRegions(score, 8, 4, 1, 5, labels);
  expect(count).toBe(4);
  expect([...boxes]).toEqual([1, 0, 3, 2, 2, 6, 0, 8, 3, 3, 3, 2, 5, 3, 2, 0, 3, 1, 4, 1]);
  expect(labels[2]).toBe(1);
  expect(labels[24]).toBe(4);
});

test('labelling agrees with a flood fill on random pixels', () => {
  const width = 61, height = 47, random = randomOf(11), labels = new Int32Array(width * height);
  const score = Float32Array.from({ length: width * height }, () => (random() < 0.42 ? 6 : 0));
  const { count, boxes } = labelRegions(score, width, height, 1, 5, labels), seen = new Set<number>();
  let regions = 0;
  for (let start = 0; start < score.length; start++) {
    if (score[start] < 5 || seen.has(start)) continue;
    regions++;
    const label = labels[start], stack = [start];
    const [x0, y0, x1, y1, pixelCount] = boxes.subarray((label - 1) * REGION_FIELDS, label * REGION_FIELDS);
    let size = 0;
    seen.add(start);
    for (let j = stack.pop(); j !== undefined; j = stack.pop()) {
      const x = j % width, y = (j - x) / width;
      size++;
      expect(labels[j]).toBe(label);
      expect(x >= x0 && x < x1 && y >= y0 && y < y1).toBe(true);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const k = v * width + u;
          if (score[k] >= 5 && !seen.has(k)) { seen.add(k); stack.push(k); }
        }
      }
    }
    expect(pixelCount).toBe(size);
  }
  expect(count).toBe(regions);
});

test('compiled lists of the regions\' pixels are the twin\'s, hold what the labels say, and count tops', () => {
  fc.assert(fc.property(planeRecipes(1, 60), fc.integer({ min: 1, max: 8 }), (recipe, countMin) => {
    arena.reset();
    const { width, height } = recipe, score = imageOf(recipe), own = new Int32Array(score.length);
    const regions = labelRegions(score, width, height, 1, 150, own), labels = arena.ints(own), before = own.slice();
    const found = listRegions(own, score, width, height, regions, countMin);
    expect(listRegions(labels, arena.floats(score), width, height, regions, countMin)).toEqual(found);
    expect(firstDifference(labels, own)).toBe(-1);
    const sizes = Array.from({ length: regions.count }, (_, n) => regions.boxes[n * REGION_FIELDS + 4]);
    const large = (label: number): boolean => label > 0 && sizes[label - 1] >= countMin;
    expect([...own]).toEqual([...before].map((label) => (large(label) ? label : 0)));
    const expected = sizes.flatMap((size, n) => (
      size < countMin ? [] : [...own.keys()].filter((i) => own[i] === n + 1)
    ));
    expect([...found.indices]).toEqual(expected);
    sizes.forEach((size, n) => { expect(found.tops[n] > 0).toBe(size >= countMin); });
  }), { numRuns: 60 });
});

test('a region of one hill has one top, of two hills or a plateau more', () => {
  const width = 9, plane = Float32Array.from([
    1, 2, 3, 2, 1, 0, 7, 7, 0,
    2, 4, 6, 4, 2, 0, 6, 5, 0,
    1, 2, 3, 2, 3, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 8, 7, 9,
  ]);
  const labels = new Int32Array(plane.length), regions = labelRegions(plane, width, 4, 1, 1, labels);
  expect([...listRegions(labels, plane, width, 4, regions, 3).tops]).toEqual([1, 2, 2]);
});
