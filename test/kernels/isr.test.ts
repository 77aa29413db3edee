import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { greatestFloatTo, leastFloatFrom } from '../../engine/kernels/floats.ts';
import { assembleAmp, divideByFlat, excessSums, varianceRow, type AmpTask } from '../../engine/kernels/isr.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

const levelsOfCounts = fc.constantFrom(0, 0.5, 30000, 30000.5, 65535, 65535.5, 70000, Infinity);

describe('compiled ISR gives the bits of its twins', () => {
  test('assembleAmp', () => {
    const amps = fc.record({
      columns: fc.integer({ min: 1, max: 50 }), rows: fc.integer({ min: 1, max: 12 }), seed: fc.integer(),
        isBiased: fc.boolean(),
      flipX: fc.boolean(), flipY: fc.boolean(), gain: fc.double({ min: 0.5, max: 5, noNaN: true }),
      suspectAdu: levelsOfCounts, saturationAdu: levelsOfCounts,
    });
    fc.assert(fc.property(amps, ({ columns, rows, seed, isBiased, ...rest }) => {
      arena.reset();
      const random = randomOf(seed), width = columns + 9, height = rows + 4, n = width * height;
      const pixels = Uint16Array.from({ length: (columns + 7) * (rows + 2) },
        () => (random() < 0.1 ? 65535 : random() < 0.1 ? 0 : 60000 * random()));
      const bias = Float32Array.from({ length: n }, () => (random() < 0.05 ? NaN : 10 * random()));
      const task: AmpTask = {
        ...rest, columns, rows, pixels, rawWidth: columns + 7, rawX0: 3, rawY0: 2, x0: 5, y0: 1,
          levels: Float64Array.from({ length: rows }, () => 1000 * random()),
        bias: isBiased ? bias : null, saturatedBit: 0x8002, suspectBit: 0x8080, missingBits: 0x0101,
      };
      const image = new Float32Array(n).fill(-77), mask = new Uint16Array(n).fill(77),
        expected = assembleAmp(task, image, mask, width);
      const out = arena.floats(new Float32Array(n).fill(-77)), bits = arena.words(new Uint16Array(n).fill(77));
      const shared = { ...task, pixels: arena.words(pixels), bias: isBiased ? arena.floats(bias) : null };
      expect(assembleAmp(shared, out, bits, width)).toEqual(expected);
      expect(firstDifference(out, image)).toBe(-1);
      expect(firstDifference(bits, mask)).toBe(-1);
    }), { numRuns: 200 });
  });

  test('divideByFlat', () => {
    fc.assert(fc.property(planeRecipes(1, 40), fc.constantFrom(0.5, 0.1, 1 / 3), fc.constantFrom(0.6, 1.5, Infinity),
      (recipe, responseMin, responseMax) => {
      arena.reset();
      const image = imageOf(recipe), mask = maskOf(recipe),
        limits = { responseMin, responseMax, badBit: 1, missingBits: 0x8101 };
      const flat = varianceOf(recipe).map((value, i) => (i % 11 === 0 ? -value : value / 700));
      const out = arena.floats(image), bits = arena.words(mask), expected = divideByFlat(image, mask, flat, limits);
      expect(divideByFlat(out, bits, arena.floats(flat), limits)).toBe(expected);
      expect(firstDifference(out, image)).toBe(-1);
      expect(firstDifference(bits, mask)).toBe(-1);
    }), { numRuns: 150 });
  });

  test('excessSums and varianceRow', () => {
    fc.assert(fc.property(planeRecipes(1, 70), fc.boolean(), (recipe, isFlat) => {
      arena.reset();
      const { width } = recipe, image = imageOf(recipe), random = randomOf(recipe.seed), start = image.length - width;
      const row = (make: () => number) => Float32Array.from({ length: width }, make);
      const sky = row(() => 300 * (random() - 0.2)), here = row(() => 100 * (random() - 0.5)), read = row(() => 36);
      const flat = isFlat ? varianceOf(recipe).map((value) => value / 500) : null;
      const sums = (at: (values: Float32Array) => Float32Array) => {
        const out = at(new Float32Array(width));
        excessSums(at(image), start, at(sky), out);
        return out;
      };
      const sums0 = sums((values) => values), sums1 = sums((values) => arena.floats(values));
      expect(firstDifference(sums1, sums0)).toBe(-1);
      const variance = (at: (values: Float32Array) => Float32Array) => {
        const out = at(new Float32Array(image.length).fill(-77));
        varianceRow({
          image: at(image), variance: out, flat: flat && at(flat), start, sky: at(sky), below: at(sums0),
            here: at(here), above: at(sums0),
          readVariance: at(read), brightSigma: 10, smoothSigma: 1.125,
        });
        return out;
      };
      expect(firstDifference(variance((values) => arena.floats(values)), variance((values) => values))).toBe(-1);
    }), { numRuns: 150 });
  });
});

test('an amp read backwards lands mirrored, each row with its own level', () => {
  const image = new Float32Array(6), mask = new Uint16Array(6);
  const counts = assembleAmp({
    pixels: Uint16Array.of(11, 12, 13, 24, 25, 60000), rawWidth: 3, rawX0: 0, rawY0: 0, columns: 3, rows: 2, x0: 0,
      y0: 0, flipX: true, flipY: true,
    gain: 2, levels: Float64Array.of(10, 20), bias: null, suspectAdu: 50000, saturationAdu: 55000, saturatedBit: 2,
    suspectBit: 128, missingBits: 257,
  }, image, mask, 3);
  expect([...image]).toEqual([2 * 59980, 10, 8, 6, 4, 2]);
  expect([...mask]).toEqual([2, 0, 0, 0, 0, 0]);
  expect(counts).toEqual({ saturatedCount: 1, suspectCount: 0, lowestAdu: 11, highestAdu: 60000 });
});

test('a limit and its float32 compare alike with every float32', () => {
  fc.assert(fc.property(fc.double({ noNaN: true }), fc.float({ noNaN: true }), (limit, value) => {
    for (const near of [value, Math.fround(limit), leastFloatFrom(limit), greatestFloatTo(limit)]) {
      expect(near >= leastFloatFrom(limit)).toBe(near >= limit);
      expect(near <= greatestFloatTo(limit)).toBe(near <= limit);
    }
  }), { numRuns: 500 });
});
