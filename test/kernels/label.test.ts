import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { listRunRegions, REGION_FIELDS, type Regions } from '../../engine/kernels/label.ts';
import { labelRegions } from '../../engine/kernels/twins/label.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(24 * 1024 ** 2); });

function checkAgainstTwin(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): Regions {
  arena.reset();
  const labels = new Int32Array(score.length), regions = labelRegions(score, width, height, sign, threshold, labels);
  checkRuns(score, width, height, sign, threshold, regions, labels);
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
