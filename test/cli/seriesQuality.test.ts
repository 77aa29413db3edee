import { expect, test } from 'vitest';
import { seriesQuality, smoothnessOf } from '../../engine/cli/seriesQuality.ts';
import { pairNormal, pairRandom } from '../support/pairScene.ts';

const point = (mjd: number, flux: number | null, fluxErr = 10) => ({ file: 'a', mjd, flux, fluxErr });

test('a light curve that is straight but for its noise has a mean square of 1, a jump in it shows', () => {
  const random = pairRandom(4), times = Array.from({ length: 400 }, (_, n) => 100.6 + 0.002 * n + 0.001 * random());
  const noisy = times.map((mjd) => point(mjd, 500 * (mjd - 100) + 10 * pairNormal(random)));
  const [{ night, points, chi2 }] = smoothnessOf(noisy);
  expect([night, points]).toEqual([100, 400]); // From one noon to the next, UTC.
  // Squares of normal values; neighbours share points, which no more than doubles the variance of 2 a value.
  expect(Math.abs(chi2 - 1)).toBeLessThan(4 * Math.sqrt(4 / 398));
  expect(smoothnessOf(noisy.map((p, n) => (n === 200 ? { ...p, flux: p.flux! + 1000 } : p)))[0].chi2).toBeGreaterThan(10);
});

test('nights are taken apart, and two points are no curve', () => {
  const curve = [point(100.6, 0), point(100.7, 10), point(100.8, 20), point(101.6, 99), point(101.7, null), point(101.8, 0)];
  expect(smoothnessOf(curve)).toMatchObject([{ night: 100, points: 3 }]);
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
