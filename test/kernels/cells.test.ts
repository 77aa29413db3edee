import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { clipCells } from '../../engine/kernels/cells.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('a compiled row of cells has the statistics of its twin, to the last bit', () => {
  const kinds = fc.constantFrom('as it is', 'coarse', 'one value', 'infinite', 'two values', 'huge');
  fc.assert(fc.property(planeRecipes(1, 90), kinds, fc.nat(0xffff), fc.integer({ min: 1, max: 6 }),
    fc.double({ min: 0.5, max: 4, noNaN: true }), fc.integer({ min: 1, max: 8 }),
    (recipe, kind, ignoredBits, columns, clipSigma, rowStep) => {
      arena.reset();
      const { width, height } = recipe, mask = maskOf(recipe), random = randomOf(recipe.seed);
      const image = imageOf(recipe).map((value, i) => {
        switch (kind) {
          case 'coarse': return Math.round(value / 900);
          case 'one value': return 7;
          case 'infinite': return value > 500 ? Infinity : value < -500 ? -Infinity : value;
          case 'two values': return i % 3 === 0 ? 4 : 5;
          case 'huge': return value * 1e36;
          default: return value;
        }
      });
      const count = Math.min(columns, width), y0 = Math.floor(random() * height);
      const y1 = y0 + 1 + Math.floor(random() * (height - y0));
      const edges = Int32Array.from({ length: count + 1 }, (_, c) => Math.round((c * width) / count));
      const task = { ignoredBits, width, clipSigma, rowStep };
      const expected = clipCells({ ...task, image, mask }, edges, y0, y1);
      expect(clipCells({ ...task, image: arena.floats(image, 1), mask: arena.words(mask, 3) }, edges, y0, y1))
        .toEqual(expected);
    }), {
    numRuns: 500,
    // Samples of which most are zeros: their scatter is a sum, whose last bit tells its order.
    examples: [
      [{ width: 65, height: 70, seed: -932632564, kind: 'signedZeros', masks: 'none' }, 'as it is', 0, 3, 0.5, 7],
      [{ width: 45, height: 20, seed: 1065320443, kind: 'signedZeros', masks: 'none' }, 'as it is', 0, 1, 0.5, 2],
    ],
  });
});

test('the numbers of a cell larger than a block of sums add up as its twin\'s do', () => {
  const width = 300, height = 220, random = randomOf(9);
  const image = Float32Array.from({ length: width * height }, () => 100 * (random() + random() + random()));
  const mask = new Uint16Array(image.length), edges = Int32Array.of(0, 290, 300);
  const task = { ignoredBits: 1, width, clipSigma: 3, rowStep: 1 };
  arena.reset();
  const found = clipCells({ ...task, image: arena.floats(image), mask: arena.words(mask) }, edges, 0, height);
  expect(found).toEqual(clipCells({ ...task, image, mask }, edges, 0, height));
  // Three even distributions of 0 … 100: mean and median 150, variance 2500; 63,800 pixels, five standard errors.
  expect(found[0].usable).toBe(63800);
  expect(Math.abs(found[0].mean - 150)).toBeLessThan(5 * 50 / Math.sqrt(63800));
  expect(Math.abs(found[0].sigma - 50)).toBeLessThan(5 * 50 / Math.sqrt(2 * 63800));
});

test('a cell of noise with a tenth of its pixels bright has the level and the scatter of the noise', () => {
  const random = randomOf(4), side = 64, n = side * side;
  const image = Float32Array.from({ length: n }, (_, i) => {
    const noise = 10 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return 500 + noise + (i % 10 === 0 ? 5000 : 0);
  });
  const [{ usable, median, mean, sigma }] = clipCells(
    { image, mask: new Uint16Array(n), ignoredBits: 1, width: side, clipSigma: 3, rowStep: 1 },
    Int32Array.of(0, side), 0, side,
  );
  expect(usable).toBe(n);
  // 3,686 pixels: the mean scatters by 10 / √3686 = 0.165, the median by 1.2533 times that, σ by 10 / √7372 = 0.12
  // after the 1.3 % that a normal loses when it is clipped at 3 σ; five of each.
  expect(Math.abs(mean - 500)).toBeLessThan(5 * 0.165);
  expect(Math.abs(median - 500)).toBeLessThan(5 * 0.207);
  expect(Math.abs(sigma - 9.87)).toBeLessThan(5 * 0.12);
});

test('the median of coarse counts is that of the counts, to a 64th of their scatter', () => {
  const side = 32, n = side * side, random = randomOf(12);
  // Three tenths are 3, half are 4, two tenths 5: the median is 4, and the scatter √0.49.
  const image = Float32Array.from({ length: n }, () => { const r = random(); return r < 0.3 ? 3 : r < 0.8 ? 4 : 5; });
  const [{ median }] = clipCells(
    { image, mask: new Uint16Array(n), ignoredBits: 1, width: side, clipSigma: 3, rowStep: 1 },
    Int32Array.of(0, side), 0, side,
  );
  expect(Math.abs(median - 4)).toBeLessThan(1 / 64);
});

test('a cell without a usable pixel has no level', () => {
  expect(clipCells({
    image: new Float32Array(64).fill(3), mask: new Uint16Array(64).fill(2), ignoredBits: 2, width: 8, clipSigma: 3,
    rowStep: 1,
  }, Int32Array.of(0, 8), 0, 8)).toEqual([{ usable: 0, median: NaN, mean: NaN, sigma: NaN }]);
});
