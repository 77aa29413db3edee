import { expect, test, vi } from 'vitest';
import { loadCamera, pixelScaleArcsec } from '../../schemas/camera.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { BANDS } from '../../schemas/units.ts';
import { cloudMagAt, cloudShape, surveyConditions } from '../../simulator/atmosphere.ts';
import { detectorResponse } from '../../simulator/detector.ts';
import { sunDirection } from '../../simulator/ephemeris.ts';
import { conditionsFor, renderExposure } from '../../simulator/exposure.ts';
import { movingSources } from '../../simulator/minorPlanets.ts';
import { parseEffects, type SimulationModel } from '../../simulator/model.ts';
import { fieldPlace } from '../../simulator/optics.ts';
import { detectorMap, skyOfVector, type UnitVector } from '../../simulator/projection.ts';
import { starsOfCone } from '../../simulator/scene.ts';
import { fringesOf } from '../../simulator/silicon.ts';
import { planExposure } from '../../simulator/surveySchedule.ts';

vi.setConfig({ testTimeout: 60_000 });

const SEED = 8, camera = loadCamera('minicam'), detector = camera.detectors[4], dayObs = asDayObs(20261001);
const modelOf = (effects: string): SimulationModel => (
  { sky: 'survey', effects: parseEffects(effects), compression: 'none' }
);
/** In u, low in the west: at airmass 1.4 or more, where refraction tells colours apart. */
const low = planExposure({
  dayObs, camera, seed: SEED, band: 'u', raDeg: 320, decDeg: -40, cameraAngleDeg: 70, exposureSeconds: 30,
  startMjdTai: 61_315.24,
});

test('blue stars stand nearer to the zenith than red ones, by their colour', () => {
  const conditions = conditionsFor(SEED, low, modelOf('differentialRefraction'));
  if (!('airmass' in conditions)) throw new Error('the survey knows its airmass');
  expect(conditions.airmass).toBeGreaterThan(1.4);
  const [shifted, plain] = ['differentialRefraction', 'none'].map((effects) =>
    new Map(
      renderExposure(SEED, camera, detector, low, modelOf(effects)).sources.map((source) => [source.id, source]),
    ));
  const map = detectorMap(camera, detector, low.actual), middle = map.toSky(511.5, 511.5), zenith = conditions.zenith;
  const step = 1e-4;
  const nearer: UnitVector = [0, 1, 2].map((i) => middle[i] + step * zenith[i]) as [number, number, number];
  const norm = Math.hypot(...nearer), up = map.toPixel([nearer[0] / norm, nearer[1] / norm, nearer[2] / norm]);
  if (!up) throw new Error('the zenith is in front of us');
  const length = Math.hypot(up.x - 511.5, up.y - 511.5), towards = [(up.x - 511.5) / length, (up.y - 511.5) / length];
  const perMag = conditions.refractionArcsecPerMag / pixelScaleArcsec(camera);
  let compared = 0;
  for (const star of starsOfCone(SEED, low.actual.raDeg, low.actual.decDeg, 0.03, 'survey')) {
    const a = shifted.get(star.id), b = plain.get(star.id);
    if (!a || !b) continue;
    const bluer = 0.8 - (star.mags[BANDS.indexOf('g')] - star.mags[BANDS.indexOf('i')]);
    expect(a.x - b.x).toBeCloseTo(towards[0] * perMag * bluer, 3);
    expect(a.y - b.y).toBeCloseTo(towards[1] * perMag * bluer, 3);
    compared++;
  }
  expect(compared).toBeGreaterThan(20);
});

test('a minor planet leaves a trail as long as its motion, with all of its light', () => {
  const mjd = 61_315.2, sun = sunDirection(mjd), opposite: UnitVector = [-sun[0], -sun[1], -sun[2]];
  const bodies = movingSources(SEED, opposite, 0.03, opposite, 0.03, mjd, 300).filter(({ mags }) => mags[2] < 21);
  const { raDeg, decDeg } = skyOfVector(bodies[0].middle);
  const plan = planExposure({
    dayObs, camera, seed: SEED, band: 'r', raDeg, decDeg, cameraAngleDeg: 0, exposureSeconds: 300, startMjdTai: mjd,
  });
  const row = renderExposure(
    SEED, camera, detector, plan, modelOf('none'),
  ).truth.find(({ kind }) => kind === 'mainBelt');
  if (!row?.trail) throw new Error('the body has a row with its trail');
  const trailArcsec = Math.hypot(row.trail.x1 - row.trail.x0, row.trail.y1 - row.trail.y0) * pixelScaleArcsec(camera);
  const moved = (bodies[0].degreesPerDay * 3600 * 300) / 86_400;
  expect(trailArcsec / moved).toBeCloseTo(1, 2); // TAN stretches by less than 1e-5 here.
  expect(row.templateFluxNJy).toBe(0);
  expect(-2.5 * Math.log10(row.scienceFluxNJy) + 31.4).toBeCloseTo(bodies[0].mags[2], 2);
});

test('fringes have their amplitude in the reddest bands, none in the blue, and no light of their own', () => {
  expect(fringesOf(SEED, detector, 'g')).toBeNull();
  const fringes = fringesOf(SEED, detector, 'y');
  if (!fringes) throw new Error('y has fringes');
  let sum = 0, square = 0;
  for (let y = 0; y < 1024; y += 2) {
    for (let x = 0; x < 1024; x += 2) { const f = fringes(x, y); sum += f; square += f * f; }
  }
  const count = 512 * 512;
  // A sine of amplitude 0.015: rms 0.0106; some 14 periods leave a part of one over.
  expect(Math.abs(sum / count)).toBeLessThan(0.002);
  expect(Math.sqrt(square / count) / (0.015 / Math.SQRT2)).toBeCloseTo(1, 1);
});

test('three nights in ten are cloudy; clouds dim the whole field and some of it more', () => {
  const nights = Array.from(
    { length: 1000 }, (_, k) => [0, 0.1, 0.2].some((part) => cloudMagAt(SEED, 60_000.6 + k + part) > 0),
  );
  const cloudy = nights.filter(Boolean).length;
  expect(Math.abs(cloudy - 300)).toBeLessThan(5 * Math.sqrt(1000 * 0.3 * 0.7));
  const k = Array.from({ length: 200 }, (_, i) => i).find((i) => cloudMagAt(SEED, 61_315.2 + i) > 0.2) ?? 0;
  const ask = (hasClouds: boolean): ReturnType<typeof surveyConditions> =>
    surveyConditions(
      { seed: SEED, exposure: 1, band: 'r', raDeg: (9.45 + k) % 360, decDeg: -44, mjdTai: 61_315.2 + k, hasClouds },
    );
  const [thick, clear] = [ask(true), ask(false)];
  expect(thick.transparency / clear.transparency).toBeCloseTo(10 ** (-0.4 * thick.cloudMag), 9);
  const across = Array.from({ length: 100 }, (_, i) => cloudShape(thick, Math.cos(i), Math.sin(i)));
  expect(Math.max(...across)).toBeGreaterThan(1);
  expect(Math.min(...across)).toBeLessThan(1);
  expect(cloudShape(clear, 0.3, 0.4)).toBe(1);
});

test('vignetting, illumination, pixel response and bad columns shape the response only when they are on', () => {
  const responseOf = (effects: string): Float32Array =>
    detectorResponse(SEED, camera, camera.detectors[0], modelOf(effects)).response;
  expect(responseOf('none').every((value) => value === 1)).toBe(true);
  const corner = responseOf('vignetting')[0], place = fieldPlace(camera, camera.detectors[0])(0, 0);
  expect(corner).toBeCloseTo(1 - 0.4 * Math.hypot(...place) ** 6, 5);
  const pixels = responseOf('prnu');
  const rms = Math.sqrt(pixels.reduce((sum, value) => sum + (value - 1) ** 2, 0) / pixels.length);
  expect(Math.abs(rms / 0.008 - 1)).toBeLessThan(5 / Math.sqrt(2 * pixels.length));
});
