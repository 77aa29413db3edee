import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { RATING_COLUMN_COUNT, RATING_COLUMNS, ratePixels, type RatingTask } from '../../engine/kernels/rating.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf, varyingPsf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled numbers around sources are the twin\'s, at edges, on masked pixels and beside NaN', () => {
  fc.assert(fc.property(planeRecipes(1, 60), fc.integer({ min: 5, max: 9 }), fc.constantFrom(1, 3, 6), (recipe, half, terms) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 1);
    const plane = (of: number) => imageOf({ ...recipe, seed: seed + of });
    const planes = { image: plane(0), variance: varianceOf(recipe), mask: maskOf(recipe) };
    const task: RatingTask = {
      width, height, difference: planes, visit: { image: plane(1), variance: planes.variance }, template: { image: plane(2) },
      differencePsf: varyingPsf(15, terms, { width, height }, 6, random),
      visitPsf: varyingPsf(9, 3, { width, height }, 6, random),
      unusable: 0x030b, blemish: 0x0919, saturated: 0x0282, interpolated: 4, noData: 0x0100, half, cellPx: 16,
      noiseScale: 0.5 + random(), limit: 4, core2: 4, wings2: 16, ring2: 50 * random() + 16, apart2: 30, inner: 7,
      outer: 14, maskReach: 6, brightReach: 9, lineInner: 5, lineOuter: 21,
    };
    const visitVariance = arena.floats(planes.variance);
    const compiled = {
      ...task, visit: { image: arena.floats(task.visit.image), variance: visitVariance },
      difference: {
        image: arena.floats(planes.image), variance: arena.floats(planes.variance), mask: arena.words(planes.mask),
      },
      template: { image: arena.floats(task.template.image) },
    };
    const places = Float64Array.from({ length: 3 * 6 }, (_, k) => (
      k % 3 === 2 ? Math.sign(random() - 0.5) : (random() * 1.2 - 0.1) * (k % 3 === 0 ? width : height)));
    expect(firstDifference(ratePixels(compiled, places), ratePixels(task, places))).toBe(-1);
  }), { numRuns: 120 });
});

test('of a source that is the PSF itself nothing is left, and its flux is found', () => {
  const width = 64, psf = varyingPsf(15, 1, { width, height: width }, 6, randomOf(1)), n = width * width, flux = 500;
  const image = new Float32Array(n), sum = psf.coefficients.reduce((total, value) => total + value, 0);
  for (let v = 0; v < 15; v++) {
    for (let u = 0; u < 15; u++) image[(25 + v) * width + 23 + u] = (flux * psf.coefficients[v * 15 + u]) / sum;
  }
  const planes = { image, variance: new Float32Array(n).fill(1), mask: new Uint16Array(n) };
  const row = ratePixels({
    width, height: width, difference: planes, visit: planes, template: { image: new Float32Array(n) }, differencePsf: psf,
    visitPsf: psf, unusable: 1, blemish: 1, saturated: 2, interpolated: 4, noData: 8, half: 7, cellPx: 128,
    noiseScale: 1, limit: 4, core2: 6, wings2: 20, ring2: 40, apart2: 30, inner: 6, outer: 12, maskReach: 6, brightReach: 9,
    lineInner: 8, lineOuter: 24,
  }, Float64Array.of(30, 32, 1));
  expect(row.length).toBe(RATING_COLUMN_COUNT);
  // Pixels of the image are rounded to single precision: 6e-8 of a peak of 30.
  expect(row[RATING_COLUMNS.pd] / row[RATING_COLUMNS.pp]).toBeCloseTo(flux, 4);
  expect(row[RATING_COLUMNS.coreChi2]).toBeLessThan(1e-8);
  expect(row[RATING_COLUMNS.mirrored]).toBeLessThan(1e-4);
});
