import { expect, test } from 'vitest';
import { recordFields, ALERT_SCHEMA_VERSION } from '../../schemas/alertSchema.ts';
import { encodeDiaSource } from '../../schemas/avro.ts';
import { asDetectorId, asDayObs, diaSourceIdOf, visitOf } from '../../schemas/ids.ts';
import { PIXEL_NOISE_ALONE } from '../../engine/image/fluxNoise.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { pixelToSky, separationArcsec } from '../../engine/image/wcs.ts';
import { detectDefaults } from '../../engine/stages/detect/config.ts';
import { detectSources } from '../../engine/stages/detect/detect.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { forcedFluxes } from '../../engine/stages/forced/forced.ts';
import { measureDefaults } from '../../engine/stages/measure/config.ts';
import { measureSources, type MeasuredDiaSource, type MeasureResult } from '../../engine/stages/measure/measure.ts';
import { measureShapes } from '../../engine/kernels/shapes.ts';
import { pairImage, pairPsf, pairStars, pairWcs, type PairSource } from '../support/pairScene.ts';

const SIDE = 400, SIGMA = 1.9, NOISE = 10, wcs = pairWcs(SIDE, 0, 0, 30), psf = pairPsf(SIDE, SIGMA);
const VISIT = visitOf(asDayObs(20261120), 7), DETECTOR = asDetectorId(3);

/** Detects and measures; the difference serves as visit image too, and an empty image as matched template. */
function measured(planes: MaskedImage): MeasureResult & { detected: number; dropped: number } {
  const difference = asProduct('differenceImage', planes);
  const found = detectSources(difference, psf, new Float32Array(SIDE * SIDE), detectDefaults);
  const result = measureSources({
    visit: VISIT, detector: DETECTOR, band: 'r', midpointMjdTai: 61364.1, difference, differencePsf: psf,
    visitImage: asProduct('visitImage', planes), visitPsf: psf, visitWcs: wcs,
    matchedTemplate: asProduct('matchedTemplate', pairImage(SIDE, [], SIGMA, 3, 99)), matchedTemplatePsf: psf,
    noiseScale: 1, templateNoiseFactor: 2, fluxNoise: PIXEL_NOISE_ALONE,
  }, found.detections, (image, model, places) => forcedFluxes(image, model, places, forcedDefaults), measureDefaults);
  return { ...result, detected: found.detected, dropped: Object.values(found.droppedByReason).reduce((a, b) => a + b, 0) };
}

function matched(rows: readonly MeasuredDiaSource[], sources: readonly PairSource[]): [MeasuredDiaSource, PairSource][] {
  return sources.flatMap((source) => {
    const row = rows.find(({ x, y }) => Math.hypot(x - source.x, y - source.y) < 3);
    return row ? [[row, source] as [MeasuredDiaSource, PairSource]] : [];
  });
}

function isolated(seed: number): PairSource[] {
  return pairStars(seed, SIDE, 150, 1500, 20_000)
    .filter((a, i, all) => all.every((b, k) => k === i || Math.hypot(a.x - b.x, a.y - b.y) > 26))
    .map((source, i) => ({ ...source, flux: i % 2 ? -source.flux : source.flux }));
}

test('pulls of flux and position are normal for both signs', () => {
  const pulls: number[][] = [[], [], []];
  for (const seed of [1, 2, 3]) {
    const sources = isolated(seed), { rows } = measured(pairImage(SIDE, sources, SIGMA, NOISE, 10 + seed));
    for (const [row, source] of matched(rows, sources)) {
      pulls[0].push((row.psfFlux! - source.flux) / row.psfFluxErr!); // Measured: nothing is masked.
      pulls[1].push((row.x - source.x) / row.xErr!);
      pulls[2].push((row.y - source.y) / row.yErr!);
    }
  }
  for (const values of pulls) {
    const n = values.length, mean = values.reduce((a, b) => a + b, 0) / n;
    const scatter = Math.sqrt(values.reduce((sum, p) => sum + (p - mean) ** 2, 0) / (n - 1));
    expect(n).toBeGreaterThan(40);
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(scatter - 1)).toBeLessThan(4 / Math.sqrt(2 * n));
  }
});

test('a row has every field that a measured diaSource has, in range, and the Avro codec takes it', () => {
  const [row] = measured(pairImage(SIDE, [{ x: 200.3, y: 150.6, flux: -8000 }], SIGMA, NOISE, 20)).rows;
  const absent = ['diaObjectId', 'ssObjectId', 'timeProcessedMjdTai'];
  expect(Object.keys(row).sort()).toEqual(
    recordFields('diaSource', ALERT_SCHEMA_VERSION).map(({ name }) => name).filter((name) => !absent.includes(name)).sort(),
  );
  expect(row).toMatchObject({
    isNegative: true, band: 'r', visit: BigInt(VISIT), detector: 3, trailNdata: 0, dipoleNdata: 0, reliability: null,
    dipoleFitAttempted: false, isDipole: false, centroid_flag: false, psfFlux_flag: false, psfNdata: 441,
  });
  // χ² of 441 pixels less 3 unknowns: 5 standard deviations of √(2n).
  expect(Math.abs(row.psfChi2! - 438)).toBeLessThan(5 * Math.sqrt(2 * 438));
  expect(row.psfLnL!).toBeCloseTo(-0.5 * (row.psfChi2! + 441 * Math.log(2 * Math.PI * NOISE ** 2)), 2);
  const bytes = encodeDiaSource({ ...row, diaObjectId: null, ssObjectId: null, timeProcessedMjdTai: 61364.2 });
  expect(bytes.length).toBeGreaterThan(100);
});

test('a position on the sky is the WCS of the centroid, with its errors turned and scaled', () => {
  const [row] = measured(pairImage(SIDE, [{ x: 250, y: 150, flux: 9000 }], SIGMA, NOISE, 21)).rows;
  const { raDeg, decDeg } = pixelToSky(wcs, row.x, row.y);
  expect([row.ra, row.dec]).toEqual([raDeg, decDeg]);
  const truth = pixelToSky(wcs, 250, 150), errArcsec = 0.2 * row.xErr!;
  expect(separationArcsec(row.ra, row.dec, truth.raDeg, truth.decDeg)).toBeLessThan(5 * Math.SQRT2 * errArcsec);
  // A round PSF has equal errors along every direction, whatever the rotation.
  expect(row.decErr! * 3600).toBeCloseTo(errArcsec, 3);
  expect(row.raErr! * 3600 * Math.cos((row.dec * Math.PI) / 180)).toBeCloseTo(errArcsec, 3);
  expect(Math.abs(row.ra_dec_Cov!)).toBeLessThan(0.05 * row.raErr! * row.decErr!);
});

test('moments of a point source are the PSF\'s, in square arcseconds', () => {
  const planes = pairImage(SIDE, [{ x: 100.2, y: 220.7, flux: 1e5 }], SIGMA, 0, 22);
  planes.variance.fill(1);
  const [row] = measured(planes).rows;
  // σ² × 0.04 arcsec²; adaptive moments of a sampled Gaussian are exact to the convergence of 1e-4.
  for (const value of [row.ixx!, row.iyy!, row.ixxPSF!, row.iyyPSF!]) expect(Math.abs(value / (SIGMA ** 2 * 0.04) - 1)).toBeLessThan(2e-3);
  expect(Math.abs(row.ixy!)).toBeLessThan(1e-4);
  expect(row.extendedness!).toBeLessThan(5e-3);
});

test('an extended source is told from a point', () => {
  const planes = pairImage(SIDE, [{ x: 100.2, y: 220.7, flux: 1e5 }], 1.4 * SIGMA, 5, 23);
  // Area 1.96 times the PSF's.
  const [[row]] = matched(measured(planes).rows, [{ x: 100.2, y: 220.7, flux: 1e5 }]);
  expect(row.extendedness!).toBeGreaterThan(0.9);
});

test('the aperture holds the whole flux, and says when it is cut', () => {
  const planes = pairImage(SIDE, [{ x: 200.4, y: 200.1, flux: 1000 }], SIGMA, 0, 24);
  planes.variance.fill(4);
  const at = (x: number, y: number) => measureShapes({
    ...planes, psf, noData: 1, detected: 2, detectedNegative: 4, halfSizePx: 10, radius: 12, limits: measureDefaults,
    startPx2: 4, cellPx: 256, sideMin: 1, sideMax: 0,
  }, [{ x, y, sign: 1, footprint: { x0: 0, y0: 0, x1: 1, y1: 1 } }])[0];
  const whole = at(200.4, 200.1);
  expect(Math.abs(whole.aperture!.flux - 1000)).toBeLessThan(0.01);
  // σ √(area); shares of rim pixels squared make the sum a little less than π r².
  expect(Math.abs(Math.sqrt(whole.aperture!.noise) / (2 * Math.sqrt(Math.PI * 144)) - 1)).toBeLessThan(0.03);
  expect(at(5, 200).isTruncated).toBe(true);
});

test('lobes of a dipole are flagged; a bright source beside a faint one is not', () => {
  const lobes = (ratio: number) => measured(
    pairImage(SIDE, [{ x: 200, y: 200, flux: 9000 }, { x: 205, y: 200, flux: -9000 * ratio }], SIGMA, NOISE, 25),
  ).rows.map(({ isDipole }) => isDipole);
  expect(lobes(1)).toEqual([true, true]);
  expect(lobes(0.3)).toEqual([false, false]);
});

test('ids count detections by (y, x), and detected = measured + dropped', () => {
  const sources = isolated(4), planes = pairImage(SIDE, sources, SIGMA, NOISE, 26);
  planes.mask[Math.round(sources[0].y) * SIDE + Math.round(sources[0].x)] = maskBits('BAD');
  const { rows, detected, dropped, droppedByReason } = measured(planes);
  const droppedHere = Object.values(droppedByReason).reduce((a, b) => a + b, 0);
  expect(detected).toBe(rows.length + dropped + droppedHere);
  rows.forEach((row, counter) => {
    expect(row.diaSourceId).toBe(diaSourceIdOf(VISIT, DETECTOR, counter));
    if (counter > 0) expect(row.y).toBeGreaterThanOrEqual(rows[counter - 1].y);
  });
});

test('flags of the centre come from 3 × 3 pixels, the others from the footprint', () => {
  const planes = pairImage(SIDE, [{ x: 100, y: 100, flux: 20_000 }, { x: 300, y: 100, flux: 20_000 }], SIGMA, NOISE, 27);
  planes.mask[101 * SIDE + 101] = maskBits('SUSPECT');
  planes.mask[103 * SIDE + 302] = maskBits('SUSPECT', 'STREAK');
  const [left, right] = [...measured(planes).rows].sort((a, b) => a.x - b.x);
  expect(left).toMatchObject({ pixelFlags_suspect: true, pixelFlags_suspectCenter: true, pixelFlags_streak: false });
  expect(right).toMatchObject({ pixelFlags_suspect: true, pixelFlags_suspectCenter: false, pixelFlags_streak: true, pixelFlags_streakCenter: false });
});

test('a source under a hole is dropped or flagged, never NaN', () => {
  const planes = pairImage(SIDE, [{ x: 100, y: 100, flux: 20_000 }, { x: 200, y: 200, flux: 20_000 }], SIGMA, NOISE, 28);
  for (let y = 95; y < 106; y++) { planes.image.fill(NaN, y * SIDE + 97, y * SIDE + 104); planes.mask.fill(maskBits('NO_DATA'), y * SIDE + 97, y * SIDE + 104); }
  planes.image[203 * SIDE + 204] = NaN;
  planes.mask[203 * SIDE + 204] = maskBits('NO_DATA');
  for (const row of measured(planes).rows) {
    for (const value of Object.values(row)) expect(typeof value === 'number' && !Number.isFinite(value)).toBe(false);
  }
});
