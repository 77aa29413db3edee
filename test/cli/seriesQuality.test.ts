import { expect, test } from 'vitest';
import { seriesQuality, smoothnessOf } from '../../engine/cli/seriesQuality.ts';
import { pairNormal, pairRandom } from '../support/pairScene.ts';

const point = (mjd: number, flux: number | null, fluxErr = 10) => ({ file: 'a', mjd, flux, fluxErr });

test('a light curve that is a peak but for its noise has a mean square of 1, a jump in it shows', () => {
  const random = pairRandom(4), times = Array.from({ length: 400 }, (_, n) => 100.6 + 0.002 * n + 0.001 * random());
  // A peak of 5000 that is 0.1 day wide: between points 0.002 day apart it bends by a third of their noise.
  const light = (mjd: number) => 5000 * Math.exp(-0.5 * ((mjd - 101) / 0.1) ** 2);
  const noisy = times.map((mjd) => point(mjd, light(mjd) + 10 * pairNormal(random)));
  const [{ night, points, chi2 }] = smoothnessOf(noisy);
  expect([night, points]).toEqual([100, 400]); // From one noon to the next, UTC.
  // At even times residuals correlate by −0.8, 0.4, −0.11 and 0.01 with the next: 2 (1 + 2 Σ ρ²) = 5.3 a value.
  expect(Math.abs(chi2 - 1)).toBeLessThan(4 * Math.sqrt(6 / 396));
  expect(smoothnessOf(noisy.map((p, n) => (n === 200 ? { ...p, flux: p.flux! + 1000 } : p)))[0].chi2).toBeGreaterThan(10);
});

test('nights are taken apart, and four points are no curve', () => {
  const curve = [0, 10, 20, 30, 40].map((flux, n) => point(100.6 + n / 100, flux));
  expect(smoothnessOf([...curve, point(101.6, 99), ...[1, 2, 3, 4].map((n) => point(101.7 + n / 50, n)), point(101.9, null)]))
    .toMatchObject([{ night: 100, points: 5 }, { night: 101, points: 5 }]);
  expect(smoothnessOf(curve.slice(1))).toEqual([]);
  // A cubic through a straight line is that line.
  expect(smoothnessOf(curve)[0].chi2).toBeLessThan(1e-12);
  // Two frames of one time tell no slope.
  expect(smoothnessOf([curve[0], ...curve.slice(0, 4)])).toEqual([]);
});

test('the worst frame is named by its figures; the strongest object itself is not counted', () => {
  const quality = (scatter: number, x: number[]) => ({ scatter, strong: x.map((raDeg) => ({ raDeg, decDeg: 0, snr: 20 })) });
  const frames = [
    { file: 'a', noiseScale: 1, figures: { seeingPx: 4 }, quality: quality(1.02, [5, 40, 90]) },
    { file: 'b', noiseScale: 1, figures: {}, quality: quality(NaN, []) },
  ];
  const strongest = { diaObjectId: 1n, x: 40, y: 3, nDiaSources: 2, maxAbsSnr: 20, lightCurve: [] };
  const { frames: reports, ...rest } = seriesQuality(frames, strongest, (x, y) => ({ x, y }));
  expect(rest).toEqual({ scatterWorst: 1.02, strongWorst: 2, smoothness: [] });
  expect(reports[1]).toEqual({ file: 'b', seeingPx: null, noiseScale: 1, scatter: null, modelErrorFraction: null, strong: [] });
});
