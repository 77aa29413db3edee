import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { median } from '../../engine/image/median.ts';
import { fillRuns } from '../../engine/kernels/fill.ts';
import { finishSignature, type FinishTask } from '../../engine/kernels/finish.ts';
import { greatestFloatTo, leastFloatFrom } from '../../engine/kernels/floats.ts';
import { listMasked, listSharp } from '../../engine/kernels/list.ts';
import { columnMedians, overscanMedians } from '../../engine/kernels/overscan.ts';
import { medianOf, sampleCell, smallestOf } from '../../engine/kernels/sample.ts';
import { prepareVariance, type VarianceTask } from '../../engine/kernels/variance.ts';
import type { ReadPlane } from '../../engine/kernels/scaled.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, inArena, maskOf, planeRecipes, randomOf, scaledOf, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('a cell is sampled by the order of its usable pixels, alike by kernel and twin', () => {
  const cells = fc.record({ ignored: fc.constantFrom(0, 1, 0xffff), from: fc.nat(9), rows: fc.array(fc.nat(39), { maxLength: 6 }) });
  fc.assert(fc.property(planeRecipes(1, 40), cells, (recipe, { ignored, from, rows }) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe), x0 = Math.min(from, width - 1);
    const lines = Int32Array.from(rows, (y) => y % height), task = { image, mask, ignoredBits: ignored, width };
    const expected = sampleCell(task, lines, x0, width);
    const compiled = sampleCell({ ...task, image: arena.floats(image), mask: arena.words(mask) }, lines, x0, width);
    expect(compiled.count).toBe(expected.count);
    if (expected.count > 0) expect(compiled).toEqual(expected);
  }), { numRuns: 300 });
});

describe('compiled ISR gives the bits of its twins', () => {
  test('overscanMedians, of even and odd counts, spikes included', () => {
    const rows = fc.record({
      count: fc.integer({ min: 1, max: 67 }), rows: fc.integer({ min: 1, max: 9 }), seed: fc.integer(),
      spread: fc.constantFrom(0, 1, 20, 65535), spikes: fc.constantFrom(0, 0.3), step: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(fc.property(rows, ({ count, rows: rowCount, seed, spread, spikes, step }) => {
      arena.reset();
      const random = randomOf(seed), rawWidth = count + 5;
      const pixels = Uint16Array.from({ length: rawWidth * rowCount },
        () => (random() < spikes ? 65535 * random() : Math.min(65535, 1000 + spread * random())));
      const run = (view: Uint16Array) => {
        const levels = new Float64Array(rowCount), deviations = new Float64Array(Math.ceil(rowCount / step));
        overscanMedians(view, 3, rawWidth, count, levels, deviations, step);
        const columns = new Float64Array(count);
        columnMedians(view, 2, rawWidth, rowCount, columns);
        return { levels, deviations, columns, median: medianOf(levels, view), 
          tenth: smallestOf(Float32Array.from(levels), Math.floor(levels.length / 10), view) };
      };
      const expected = run(pixels);
      expect(run(arena.words(pixels))).toEqual(expected);
      const first = [...pixels.subarray(3, 3 + count)].sort((a, b) => a - b);
      expect(expected.levels[0]).toBe((first[(count - 1) >> 1] + first[count >> 1]) / 2);
      expect(expected.median).toBe(median(expected.levels));
    }), { numRuns: 200 });
  });

  test('finishSignature', () => {
    const tasks = fc.record({
      flowX: fc.constantFrom(0, 6e-8), flowY: fc.constantFrom(0, 9e-8), hasDark: fc.boolean(), hasFlat: fc.boolean(), isScaled: fc.boolean(),
    });
    fc.assert(fc.property(planeRecipes(1, 40), tasks, (recipe, { flowX, flowY, hasDark, hasFlat, isScaled }) => {
      arena.reset();
      const { width, height } = recipe, image = imageOf(recipe), mask = maskOf(recipe);
      const flat = varianceOf(recipe).map((value, i) => (i % 11 === 0 ? -value : value / 700));
      const dark = varianceOf(recipe).map((value) => value / 100);
      const kept = (plane: Float32Array, step: number): ReadPlane => (isScaled ? scaledOf(plane, step, -9) : plane);
      const task = (at: (plane: ReadPlane) => ReadPlane): FinishTask => ({
        flowX, flowY, dark: hasDark ? at(kept(dark, 3e-3)) : null, flat: hasFlat ? at(kept(flat, 3e-4)) : null, darkSeconds: 30.1, badBit: 1,
        missingBits: 0x101, hasMissing: recipe.kind === 'allNaN' || recipe.kind === 'someNaN', limits: { biasMax: 1, darkMax: 9, responseMin: 0.5, responseMax: 1.3 },
      });
      const out = arena.floats(image), bits = arena.words(mask);
      const expected = finishSignature(task((plane) => plane), { image, mask, inverse: null, width, height });
      const planes = { image: out, mask: bits, inverse: null, width, height };
      expect(finishSignature(task((plane) => inArena(arena, plane)), planes)).toBe(expected);
      expect(firstDifference(out, image)).toBe(-1);
      expect(firstDifference(bits, mask)).toBe(-1);
    }), { numRuns: 150 });
  });

  test('fillRuns, of pixels in any order', () => {
    fc.assert(fc.property(planeRecipes(1, 40), fc.integer({ min: 0, max: 5 }), fc.boolean(), (recipe, runMax, isSparse) => {
      arena.reset();
      const { width, height, seed } = recipe, random = randomOf(seed + 1), image = imageOf(recipe);
      const mask = maskOf(recipe).map((value) => (isSparse && random() < 0.6 ? 0 : value)), variance = varianceOf(recipe);
      const pixels = Int32Array.from(image.keys()).sort(() => random() - 0.5);
      const bits = { defects: 0x109, saturated: 2, filled: 4, missing: 0x100 };
      const compiled = { width, height, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask) };
      const expected = fillRuns({ width, height, image, variance, mask }, bits, runMax, pixels);
      expect(fillRuns(compiled, bits, runMax, pixels)).toBe(expected);
      expect(firstDifference(compiled.image, image)).toBe(-1);
      expect(firstDifference(compiled.variance, variance)).toBe(-1);
      expect(firstDifference(compiled.mask, mask)).toBe(-1);
    }), { numRuns: 200 });
  });

  test('listMasked and listSharp, lists that overflow included', () => {
    fc.assert(fc.property(planeRecipes(1, 40), fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 2), fc.nat(2000),
      (recipe, bits, sigma, capacity) => {
        arena.reset();
        const { width, height } = recipe, image = imageOf(recipe), variance = varianceOf(recipe), mask = maskOf(recipe);
        const list = new Int32Array(capacity), masked = arena.ints(list), sharp = arena.ints(list);
        expect(listMasked(arena.words(mask), bits, masked)).toBe(listMasked(mask, bits, list));
        expect(firstDifference(masked, list)).toBe(-1);
        list.fill(0);
        const count = listSharp(image, variance, width, height, sigma, list);
        expect(listSharp(arena.floats(image), arena.floats(variance), width, height, sigma, sharp)).toBe(count);
        expect(firstDifference(sharp, list)).toBe(-1);
      }), { numRuns: 150 });
  });

  test('fillVariance, with what it lists on the way', () => {
    const meshes = fc.record({ columns: fc.integer({ min: 1, max: 4 }), rows: fc.integer({ min: 1, max: 4 }) });
    fc.assert(fc.property(planeRecipes(1, 120), meshes, fc.boolean(), fc.constantFrom(7, 900), (recipe, { columns, rows }, hasFlat, capacity) => {
      arena.reset();
      const { width, height, seed } = recipe, random = randomOf(seed), image = imageOf(recipe), middle = width >> 1;
      const variance = hasFlat ? varianceOf(recipe).map((value) => value / 500) : new Float32Array(image.length).fill(-77);
      const task: VarianceTask = {
        image, variance, isInverse: hasFlat, width, height, brightSigma: 10, smoothSigma: 1.125,
        sky: {
          columns, rows, cellWidth: width / columns, cellHeight: height / rows,
          level: Float32Array.from({ length: columns * rows }, () => 300 * (random() - 0.2)),
        },
        lists: {
          mask: maskOf(recipe), sharpSigma: 2, blockingBits: 0x42, markedBits: 0x17,
          sharp: new Int32Array(capacity).fill(-1), marked: new Int32Array(capacity).fill(-1),
        },
        readNoise: [
          { x0: 0, x1: middle, y0: 0, y1: height, variance: 36 }, { x0: middle, x1: width, y0: 0, y1: 1, variance: 49 },
          { x0: middle, x1: width, y0: 1, y1: height, variance: 25 },
        ],
      };
      const compiled = arena.floats(variance), lists = task.lists && {
        ...task.lists, mask: arena.words(task.lists.mask), sharp: arena.ints(task.lists.sharp),
        marked: arena.ints(task.lists.marked),
      };
      const passes = [prepareVariance({ ...task, image: arena.floats(image), variance: compiled, lists }), prepareVariance(task)];
      // Rows in any order, as the two halves of a detector are read.
      for (const pass of passes) for (const [y0, y1] of [[height >> 1, height], [0, height >> 1]]) pass.run(y0, y1);
      expect(firstDifference(compiled, variance)).toBe(-1);
      expect(passes[0].found()).toEqual(passes[1].found());
      if (task.lists === null || lists === null) throw new Error('no lists');
      expect(firstDifference(lists.sharp, task.lists.sharp)).toBe(-1);
      expect(firstDifference(lists.marked, task.lists.marked)).toBe(-1);
    }), { numRuns: 150 });
  });
});

test('charge that repulsion moved is put back, to the cube of the share that flows', () => {
  const width = 5, height = 5, flow = 6.25e-8, truth = Float32Array.from({ length: 25 }, (_, i) => 1000 + 4000 * (i % 3));
  truth[12] = 100_000;
  const read = new Float32Array(25);
  for (let i = 0; i < 25; i++) {
    const x = i % 5, y = (i - x) / 5, near = [[x - 1, y], [x + 1, y], [x, y - 1], [x, y + 1]];
    const moved = near.filter(([u, v]) => u >= 0 && v >= 0 && u < 5 && v < 5)
      .reduce((sum, [u, v]) => sum + flow * (truth[i] ** 2 - truth[v * 5 + u] ** 2), 0);
    read[i] = truth[i] - moved;
  }
  const total = read.reduce((sum, value) => sum + value, 0);
  finishSignature({
    flowX: flow, flowY: flow, dark: null, flat: null, darkSeconds: 0, badBit: 1, missingBits: 3,
    hasMissing: false,
    limits: { biasMax: 1, darkMax: 1, responseMin: 0, responseMax: 2 },
  }, { image: read, mask: new Uint16Array(25), inverse: null, width, height });
  // 4 × 6.25e-8 × 100,000 = 2.5 % flows from the peak; each round gains a factor of twice that, squares being steep.
  expect(Math.abs(read[12] - 100_000)).toBeLessThan(100_000 * 0.025 * 0.05 ** 2 * 2);
  // Charge is conserved, to the rounding of 25 sums of single precision.
  expect(Math.abs(read.reduce((sum, value) => sum + value, 0) - total)).toBeLessThan(25 * 0.01);
});

test('a limit and its float32 compare alike with every float32', () => {
  fc.assert(fc.property(fc.double({ noNaN: true }), fc.float({ noNaN: true }), (limit, value) => {
    for (const near of [value, Math.fround(limit), leastFloatFrom(limit), greatestFloatTo(limit)]) {
      expect(near >= leastFloatFrom(limit)).toBe(near >= limit);
      expect(near <= greatestFloatTo(limit)).toBe(near <= limit);
    }
  }), { numRuns: 500 });
});
