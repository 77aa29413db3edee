import { expect, test } from 'vitest';
import { FEATURES, measureFeatures, type Ratable } from '../../engine/stages/reliability/features.ts';
import { reliabilityConfig } from '../../engine/stages/reliability/config.ts';
import { createForest } from '../../engine/stages/reliability/forest.ts';
import { createLocalPsf } from '../../engine/kernels/twins/localPsf.ts';
import { RELIABILITY_MODEL, rateSources } from '../../engine/stages/reliability/reliability.ts';
import type { MaskedImage } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { pairImage, pairPsf, type PairSource } from '../support/pairScene.ts';

const SIDE = 200, SIGMA = 1.9, NOISE = 10, psf = pairPsf(SIDE, SIGMA);
/** Error of a PSF flux of a Gaussian in white noise: σ √(4π σ_psf²). */
const FLUX_ERROR = NOISE * Math.sqrt(4 * Math.PI) * SIGMA;

const inputsOf = (difference: MaskedImage, template: readonly PairSource[] = []) => {
  const matchedTemplate = pairImage(SIDE, template, SIGMA, 3, 77), visitImage = { ...difference, image: difference.image.slice() };
  for (let j = 0; j < visitImage.image.length; j++) visitImage.image[j] += matchedTemplate.image[j];
  return { difference, differencePsf: psf, visitImage, visitPsf: psf, matchedTemplate, noiseScale: 1 };
};
const rowAt = (x: number, y: number, flux: number): Ratable => ({
  x, y, psfFlux: flux, psfFluxErr: FLUX_ERROR, snr: Math.abs(flux) / FLUX_ERROR, isNegative: flux < 0, centroid_flag: false,
});

test('a point source is rated real, of either sign, and a spike and a dipole are not', () => {
  const flux = 20 * FLUX_ERROR, x = 100.2, y = 99.7;
  const rate = (planes: MaskedImage, row: Ratable, template: readonly PairSource[] = []) => (
    rateSources(inputsOf(planes, template), [row])[0].reliability!);
  expect(rate(pairImage(SIDE, [{ x, y, flux }], SIGMA, NOISE, 1), rowAt(x, y, flux))).toBeGreaterThan(0.9);
  // A star that has faded to nothing; and light that is missing where there was none, which no scene of the training shows.
  const missing = pairImage(SIDE, [{ x, y, flux: -flux }], SIGMA, NOISE, 2), faded = rowAt(x, y, -flux);
  expect(rate(missing, faded, [{ x, y, flux }])).toBeGreaterThan(0.9);
  expect(rate(missing, faded)).toBeGreaterThan(reliabilityConfig.reliableMin);
  const spike = pairImage(SIDE, [], SIGMA, NOISE, 3);
  spike.image[100 * SIDE + 100] += flux;
  expect(rate(spike, rowAt(100, 100, flux / 5))).toBeLessThan(0.5);
  const dipole = pairImage(SIDE, [{ x: 98, y, flux: 3 * flux }, { x: 101, y, flux: -3 * flux }], SIGMA, NOISE, 4);
  expect(rate(dipole, rowAt(97, y, flux))).toBeLessThan(0.5);
});

test('a rating depends on nothing but the pixels around: not on the unit, the place or the order of rows', () => {
  const sources = [{ x: 60.3, y: 60.1, flux: 6000 }, { x: 140.7, y: 130.4, flux: -5000 }, { x: 60.1, y: 150.2, flux: 9000 }];
  const planes = pairImage(SIDE, sources, SIGMA, NOISE, 6), rows = sources.map(({ x, y, flux }) => rowAt(x, y, flux));
  const usual = measureFeatures(inputsOf(planes), rows), count = FEATURES.length;
  const turned = measureFeatures(inputsOf(planes), [...rows].reverse());
  rows.forEach((_, i) => expect(turned.subarray((2 - i) * count, (3 - i) * count)).toEqual(usual.subarray(i * count, (i + 1) * count)));
  // A power of two scales floats exactly.
  const inputs = inputsOf(planes), scaled = (of: MaskedImage): MaskedImage => ({
    ...of, image: of.image.map((v) => v * 1024), variance: of.variance.map((v) => v * 1024 ** 2),
  });
  const other = measureFeatures(
    { ...inputs, difference: scaled(inputs.difference), visitImage: scaled(inputs.visitImage), matchedTemplate: scaled(inputs.matchedTemplate) },
    rows.map((row) => ({ ...row, psfFlux: row.psfFlux! * 1024, psfFluxErr: row.psfFluxErr! * 1024 })),
  );
  usual.forEach((value, i) => expect(Math.abs(other[i] - value)).toBeLessThanOrEqual(1e-9 * Math.abs(value)));
});

test('features are finite at corners, on masked pixels and off the image', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 8);
  planes.image.fill(NaN, 0, 40 * SIDE);
  planes.mask.fill(maskBits('NO_DATA'), 0, 40 * SIDE);
  planes.variance.fill(0, 0, 40 * SIDE);
  const rows = [rowAt(0, 0, 500), rowAt(199, 199, -500), rowAt(-0.4, 120, 500), rowAt(50, 20, 500), rowAt(50, 40, 500)];
  for (const value of measureFeatures(inputsOf(planes), rows)) expect(Number.isFinite(value)).toBe(true);
  for (const { reliability } of rateSources(inputsOf(planes), rows)) {
    expect(reliability).toBeGreaterThanOrEqual(0);
    expect(reliability).toBeLessThanOrEqual(1);
  }
});

test('the moved PSF is the Gaussian at its new place', () => {
  const local = createLocalPsf(psf, 8, 64), dx = 0.37, dy = -0.21;
  local.moveTo(100, 100, dx, dy);
  let worst = 0, peak = 0;
  for (let v = -8, k = 0; v <= 8; v++) {
    for (let u = -8; u <= 8; u++, k++) {
      const truth = Math.exp(-((u - dx) ** 2 + (v - dy) ** 2) / (2 * SIGMA ** 2)) / (2 * Math.PI * SIGMA ** 2);
      worst = Math.max(worst, Math.abs(local.stamp[k] - truth));
      peak = Math.max(peak, truth);
    }
  }
  // Lagrange's remainder: |f⁽⁶⁾| ≤ 15/σ⁶ of the peak, × 225/64 / 6! for the farthest place of six points, along each axis.
  expect(worst / peak).toBeLessThan((2 * 15 * (225 / 64)) / 720 / SIGMA ** 6);
});

test('a forest adds its leaves in order and reads the scale between its knots', () => {
  const forest = createForest({
    features: ['snr', 'fitSnr'], knots: { sum: [-1, 1], reliability: [0.2, 0.8] },
    trees: [
      { feature: [0, -1, 1, -1, -1], threshold: [5, 0, 2, 0, 0], left: [1, 0, 3, 0, 0], right: [2, 0, 4, 0, 0], value: [0, -0.5, 0, 0.25, 0.5] },
      { feature: [-1], threshold: [0], left: [0], right: [0], value: [0.25] },
    ],
  });
  expect(forest.sumOf(Float64Array.of(4, 9))).toBe(-0.25);
  expect(forest.sumOf(Float64Array.of(5, 1))).toBe(0.5); // The threshold itself goes right.
  expect(forest.sumOf(Float64Array.of(5, 2))).toBe(0.75);
  expect(forest.reliabilityOf(Float64Array.of(5, 1))).toBeCloseTo(0.65, 12);
});

test('a damaged tree is refused, and the shipped model is whole', () => {
  const tree = { feature: [0], threshold: [1], left: [0], right: [0], value: [0] };
  expect(() => createForest({ features: ['snr'], trees: [tree], knots: { sum: [0], reliability: [0] } })).toThrow(/tree 0/);
  const { knots, features, trees } = RELIABILITY_MODEL;
  expect(features).toEqual([...FEATURES]);
  expect(() => createForest({ features, trees, knots })).not.toThrow();
  knots.sum.forEach((sum, k) => { if (k > 0) expect(sum).toBeGreaterThan(knots.sum[k - 1]); });
  knots.reliability.forEach((value, k) => { if (k > 0) expect(value).toBeGreaterThanOrEqual(knots.reliability[k - 1]); });
});
