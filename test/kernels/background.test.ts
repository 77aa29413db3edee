import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createClippedCells, type CellBox } from '../../engine/kernels/background.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

test('compiled cells have the statistics of their twin, to the last bit', () => {
  const kinds = fc.constantFrom('as it is', 'coarse', 'one value', 'infinite');
  fc.assert(fc.property(planeRecipes(1, 70), kinds, fc.nat(0xffff), fc.constantFrom(0, 16, 200),
    fc.double({ min: 0.5, max: 4, noNaN: true }), fc.integer({ min: 1, max: 4 }),
    (recipe, kind, ignoredBits, countMin, clipSigma, rowStep) => {
      arena.reset();
      const { width, height } = recipe, mask = maskOf(recipe), random = randomOf(recipe.seed);
      const image = imageOf(recipe).map(
        (value) => kind === 'coarse' ? Math.round(value / 900) : kind === 'one value' ? 7 : kind === 'infinite'
        && value > 500 ? Infinity : value);
      const x0 = Math.floor(random() * width), y0 = Math.floor(random() * height);
      const box: CellBox = { x0, x1: x0 + 1 + Math.floor(random() * (width - x0)), y0,
        y1: y0 + 1 + Math.floor(random() * (height - y0)) };
      const task = { ignoredBits, width, pixelsMax: (box.x1 - box.x0) * (box.y1 - box.y0), clipSigma, rowStep };
      const expected = createClippedCells({ ...task, image, mask })(box, countMin);
      expect(createClippedCells({ ...task, image: arena.floats(image), mask: arena.words(mask) })(
        box, countMin)).toEqual(expected);
    }), { numRuns: 400 });
});

test('a cell of noise with a tenth of its pixels bright has the level and the scatter of the noise', () => {
  const random = randomOf(4), side = 64, n = side * side;
  const image = Float32Array.from({ length: n }, (_, i) => {
    const noise = 10 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return 500 + noise + (i % 10 === 0 ? 5000 : 0);
  });
  const cells = createClippedCells(
    { image, mask: new Uint16Array(n), ignoredBits: 1, width: side, pixelsMax: n, clipSigma: 3, rowStep: 1 });
  const { median, mean, sigma } = cells({ x0: 0, x1: side, y0: 0, y1: side }, 16);
  // 3,686 pixels: the mean scatters by 10 / √3686 = 0.165, the median by 1.2533 times that, σ by 10 / √7372 = 0.12
  // after the 1.3 % that a normal loses when it is clipped at 3 σ; five of each.
  expect(Math.abs(mean - 500)).toBeLessThan(5 * 0.165);
  expect(Math.abs(median - 500)).toBeLessThan(5 * 0.207);
  expect(Math.abs(sigma - 9.87)).toBeLessThan(5 * 0.12);
});

test('a cell with too few usable pixels has no level', () => {
  const cells = createClippedCells(
    { image: new Float32Array(64).fill(3), mask: new Uint16Array(64).fill(2), ignoredBits: 2, width: 8, pixelsMax: 64,
    clipSigma: 3, rowStep: 1 });
  expect(cells({ x0: 0, x1: 8, y0: 0, y1: 8 }, 0)).toEqual({ median: NaN, mean: NaN, sigma: NaN });
});
