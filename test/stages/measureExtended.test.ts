import { expect, test } from 'vitest';
import { asDetectorId, asDayObs, visitOf } from '../../schemas/ids.ts';
import { PIXEL_NOISE_ALONE } from '../../engine/image/fluxNoise.ts';
import { asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { pixelToSky, separationArcsec } from '../../engine/image/wcs.ts';
import { detectDefaults } from '../../engine/stages/detect/config.ts';
import { detectSources } from '../../engine/stages/detect/detect.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { forcedFluxes } from '../../engine/stages/forced/forced.ts';
import { measureDefaults } from '../../engine/stages/measure/config.ts';
import { measureSources, type MeasuredDiaSource, type MeasureResult } from '../../engine/stages/measure/measure.ts';
import { bearingDeg } from '../../engine/stages/measure/skyGeometry.ts';
import { pairImage, pairPsf, pairWcs, type PairSource } from '../support/pairScene.ts';

const SIDE = 160, SIGMA = 1.9, NOISE = 10, wcs = pairWcs(SIDE, 0, 0, 30), psf = pairPsf(SIDE, SIGMA);
/** Error of a PSF flux of a Gaussian in white noise: σ √(4π σ_psf²). */
const FLUX_ERROR = NOISE * Math.sqrt(4 * Math.PI) * SIGMA;

function measured(planes: MaskedImage): readonly MeasuredDiaSource[] {
  return measuredWith(planes).rows;
}

function measuredWith(planes: MaskedImage): MeasureResult & { detected: number } {
  const difference = asProduct('differenceImage', planes);
  const found = detectSources(difference, psf, new Float32Array(SIDE * SIDE), { ...detectDefaults, isVarianceScaled: false });
  const result = measureSources({
    visit: visitOf(asDayObs(20261120), 7), detector: asDetectorId(3), band: 'r', midpointMjdTai: 61364.1, difference,
    differencePsf: psf, visitImage: asProduct('visitImage', planes), visitPsf: psf, visitWcs: wcs,
    matchedTemplate: asProduct('matchedTemplate', pairImage(SIDE, [], SIGMA, 3, 99)), matchedTemplatePsf: psf,
    noiseScale: 1, templateNoiseFactor: 1, fluxNoise: PIXEL_NOISE_ALONE,
  }, found.detections, (image, model, places) => forcedFluxes(image, model, places, forcedDefaults), measureDefaults);
  return { ...result, detected: found.detections.length };
}

/** A line of points a quarter of a pixel apart: as even a trail as a PSF of 1.9 px can tell. */
function trailOf(x: number, y: number, length: number, angle: number, flux: number): PairSource[] {
  const count = Math.ceil(4 * length);
  return Array.from({ length: count }, (_, i) => {
    const t = ((i + 0.5) / count - 0.5) * length;
    return { x: x + t * Math.cos(angle), y: y + t * Math.sin(angle), flux: flux / count };
  });
}

function spread(pulls: readonly number[]): { mean: number; scatter: number } {
  const mean = pulls.reduce((a, b) => a + b, 0) / pulls.length;
  return { mean, scatter: Math.sqrt(pulls.reduce((sum, pull) => sum + (pull - mean) ** 2, 0) / (pulls.length - 1)) };
}

test('the lobes of a dipole have the fluxes, the distance and the bearing that were put in', () => {
  const pulls: number[][] = [[], [], [], []];
  for (let seed = 1; seed <= 24; seed++) {
    const angle = 0.3 + 0.15 * seed, length = 6.5, plus = 9000, minus = 7000;
    const positive = { x: 80.3 + length * Math.cos(angle), y: 80.8 + length * Math.sin(angle) }, negative = { x: 80.3, y: 80.8 };
    const rows = measured(pairImage(
      SIDE, [{ ...positive, flux: plus }, { ...negative, flux: -minus }], SIGMA, NOISE, 100 + seed,
    )).filter(({ x, y }) => Math.hypot(x - 80, y - 80) < 15);
    expect(rows.map(({ isDipole, dipoleFitAttempted }) => isDipole && dipoleFitAttempted)).toEqual([true, true]);
    const [row] = rows, bearing = bearingDeg(wcs, negative, positive);
    // σ_x = √2 σ_psf / SNR for each lobe.
    const lobeErrors = [plus, minus].map((flux) => (Math.SQRT2 * SIGMA * FLUX_ERROR) / flux);
    const lengthError = Math.hypot(...lobeErrors);
    pulls[0].push((row.dipoleMeanFlux! - (plus + minus) / 2) / row.dipoleMeanFluxErr!);
    pulls[1].push((row.dipoleFluxDiff! - (plus - minus)) / row.dipoleFluxDiffErr!);
    pulls[2].push((row.dipoleLength! / 0.2 - length) / lengthError);
    const turn = ((row.dipoleAngle! - bearing + 540) % 360) - 180;
    pulls[3].push((turn * Math.PI) / 180 / (lengthError / length));
    expect(Math.abs(row.dipoleChi2! / row.dipoleNdata - 1)).toBeLessThan(5 * Math.sqrt(2 / row.dipoleNdata));
  }
  for (const values of pulls) {
    const { mean, scatter } = spread(values), n = values.length;
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
    // Lobes 3.4 σ apart overlap a little, so that distances scatter by up to a quarter more than single places.
    expect(scatter).toBeGreaterThan(1 - 4 / Math.sqrt(2 * n));
    expect(scatter).toBeLessThan(1.25 + 4 / Math.sqrt(2 * n));
  }
});

test('a source alone is no dipole and no trail', () => {
  const [row] = measured(pairImage(SIDE, [{ x: 80.3, y: 79.6, flux: 60_000 }], SIGMA, NOISE, 7));
  expect(row).toMatchObject({
    isDipole: false, dipoleFitAttempted: false, dipoleNdata: 0, dipoleLength: null, trailNdata: 0, trailLength: null,
  });
});

test.each([1, -1])('a trail of sign %d has the flux, place, length and bearing that were put in', (sign) => {
  const pulls: number[][] = [[], [], [], []], length = 22, flux = 40_000 * sign;
  for (let seed = 1; seed <= 12; seed++) {
    const angle = 0.2 + 0.17 * seed, x = 80.2 + 0.05 * seed, y = 79.9;
    const rows = measured(pairImage(SIDE, trailOf(x, y, length, angle, flux), SIGMA, NOISE, 300 + seed));
    const row = rows.find(({ trailNdata }) => trailNdata > 0);
    if (row === undefined) throw new Error(`no trail was found with seed ${seed}`);
    const truth = pixelToSky(wcs, x, y), step = { x: Math.cos(angle), y: Math.sin(angle) };
    const bearing = bearingDeg(wcs, { x, y }, { x: x + step.x, y: y + step.y }) % 180;
    pulls[0].push((row.trailFlux! - flux) / row.trailFluxErr!);
    pulls[1].push((row.trailLength! / 0.2 - length) / (row.trailLengthErr! / 0.2));
    pulls[2].push((((row.trailAngle! - bearing + 270) % 180) - 90) / row.trailAngleErr!);
    expect(separationArcsec(row.trailRa!, row.trailDec!, truth.raDeg, truth.decDeg))
      .toBeLessThan(5 * 3600 * Math.hypot(row.trailRaErr!, row.trailDecErr!));
    pulls[3].push((row.trailChi2! - row.trailNdata) / Math.sqrt(2 * row.trailNdata));
    expect(row.trail_flag_edge).toBe(false);
  }
  for (const values of pulls) {
    const { mean, scatter } = spread(values), n = values.length;
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(scatter - 1)).toBeLessThan(4 / Math.sqrt(2 * n));
  }
});

test('a trail that runs off the image is flagged', () => {
  const rows = measured(pairImage(SIDE, trailOf(13, 80, 30, 0, 60_000), SIGMA, NOISE, 5));
  expect(rows.filter(({ trailNdata }) => trailNdata > 0).map(({ trail_flag_edge: isCut }) => isCut)).toEqual([true]);
});

/** Flux of a trail whose ridge is a number of standard deviations of a pixel. */
const ridgeFlux = (sigmas: number, length: number): number => sigmas * NOISE * length * Math.sqrt(2 * Math.PI) * SIGMA;

test('a faint trail that noise cuts into pieces is one source, with its length, flux and middle', () => {
  const length = 45, flux = ridgeFlux(1.25, length), pulls: number[][] = [[], []];
  let cut = 0, whole = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const angle = 0.1 + 0.13 * seed, x = 80.4, y = 79.7, truth = pixelToSky(wcs, x, y);
    const { rows, droppedByReason, detected } = measuredWith(
      pairImage(SIDE, trailOf(x, y, length, angle, flux), SIGMA, NOISE, 900 + seed));
    expect(rows.length + Object.values(droppedByReason).reduce((sum, count) => sum + count, 0)).toBe(detected);
    if (detected < 2) continue;
    cut++;
    if (rows.length > 1) continue;
    whole++;
    const [row] = rows;
    pulls[0].push((row.trailFlux! - flux) / row.trailFluxErr!);
    pulls[1].push((row.trailLength! / 0.2 - length) / (row.trailLengthErr! / 0.2));
    // Its footprint is around all pieces.
    expect(row.bboxSize!).toBeGreaterThan(0.6 * length * Math.SQRT1_2);
    expect(separationArcsec(row.trailRa!, row.trailDec!, truth.raDeg, truth.decDeg)).toBeLessThan(
      5 * 3600 * Math.hypot(row.trailRaErr!, row.trailDecErr!));
  }
  expect(cut).toBeGreaterThan(8);
  // A piece may be lost beside the line, or the trail's end behind a gap.
  expect(whole / cut).toBeGreaterThan(0.75);
  for (const values of pulls) expect(Math.abs(spread(values).mean)).toBeLessThan(5 / Math.sqrt(values.length));
});

test('points in a row stay points', () => {
  const flux = 8 * FLUX_ERROR;
  for (let seed = 1; seed <= 12; seed++) {
    const angle = 0.25 * seed, sources = [-14, 0, 14].map((t) => (
      { x: 80.2 + t * Math.cos(angle), y: 80.4 + t * Math.sin(angle), flux }));
    const { rows, droppedByReason } = measuredWith(pairImage(SIDE, sources, SIGMA, NOISE, 500 + seed));
    expect(rows.filter(({ x, y }) => sources.some((source) => Math.hypot(source.x - x, source.y - y) < 3))).toHaveLength(3);
    expect(rows.every(({ trailLength }) => trailLength === null)).toBe(true);
    expect(droppedByReason).toEqual({});
  }
});

test('two trails end to end, at an angle, stay two', () => {
  const length = 40, gap = 9;
  for (let seed = 1; seed <= 4; seed++) {
    const one = 0.2 + 0.4 * seed, two = one + 0.4, ends = [-(length + gap) / 2, (length + gap) / 2];
    const trails = [one, two].map((angle, k) => ({
      x: 80 + ends[k] * Math.cos(one), y: 80 + ends[k] * Math.sin(one), angle,
    }));
    const { rows } = measuredWith(pairImage(
      SIDE, trails.flatMap(({ x, y, angle }) => trailOf(x, y, length, angle, ridgeFlux(3, length))), SIGMA, NOISE, 40 + seed));
    const lengths = rows.filter(({ trailLength }) => trailLength !== null).map((row) => row.trailLength! / 0.2);
    expect(lengths).toHaveLength(2);
    for (const found of lengths) expect(Math.abs(found - length)).toBeLessThan(8);
  }
});
