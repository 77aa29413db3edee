import { expect, test } from 'vitest';
import { loadCamera } from '../../schemas/camera.ts';
import { asDayObs, sequenceNumberOf } from '../../schemas/ids.ts';
import { dayObsOfMjdTai } from '../../schemas/time.ts';
import { checkFaultRates, detectorFault, NO_FAULTS } from '../../simulator/faults.ts';
import { angleBetween, ARCSEC_PER_RADIAN, unitVector } from '../../simulator/projection.ts';
import { planNight } from '../../simulator/schedule.ts';
import { asDetectorId, exposureOf } from '../../schemas/ids.ts';

const camera = loadCamera('minicam'), dayObs = asDayObs(20260915);
const night = planNight({ dayObs, visitCount: 6, seed: 1, camera });

test('a night of six visits is three in r and then three in i', () => {
  expect(night.map((visit) => visit.band)).toEqual(['r', 'r', 'r', 'i', 'i', 'i']);
  expect(night.map((visit) => visit.physicalFilter)).toEqual(
    ['r_mini', 'r_mini', 'r_mini', 'i_mini', 'i_mini', 'i_mini'],
  );
});

test('visits are numbered from 1, at least 38 s apart, and belong to their night', () => {
  expect(night.map((visit) => sequenceNumberOf(visit.visit))).toEqual([1, 2, 3, 4, 5, 6]);
  night.slice(1).forEach((visit, i) => {
    // A double holds an MJD to 0.6 µs.
    expect((visit.startMjdTai - night[i].startMjdTai) * 86400).toBeGreaterThan(38 - 1e-5);
  });
  expect(night.map((visit) => dayObsOfMjdTai(visit.midpointMjdTai))).toEqual(Array(6).fill(dayObs));
  expect(new Set(night.map((visit) => visit.group)).size).toBe(6);
  for (const visit of night) expect(visit.group).toMatch(/^2026-09-16T\d\d:\d\d:\d\d\.\d{3}$/);
});

test('a mount points within a few arcseconds of the command, and dithers stay small', () => {
  for (let seed = 0; seed < 50; seed++) {
    for (const { commanded, actual, field } of planNight({ dayObs, visitCount: 6, seed, camera })) {
      const arcsec = (a: typeof field | typeof actual, b: typeof actual): number =>
        angleBetween(unitVector(a.raDeg, a.decDeg), unitVector(b.raDeg, b.decDeg)) * ARCSEC_PER_RADIAN;
      expect(arcsec(actual, commanded)).toBeLessThan(4.001);
      expect(arcsec(field, commanded)).toBeLessThan(14.001);
      expect(arcsec(field, commanded)).toBeGreaterThan(5.999);
      expect(Math.abs(actual.cameraAngleDeg - commanded.cameraAngleDeg)).toBeLessThan(0.01);
    }
  }
});

test('a visit is the same in a longer night of the same band', () => {
  const ofOneBand = (visitCount: number): unknown =>
    planNight({ dayObs, visitCount, seed: 1, camera, bands: ['g'] })[1];
  expect(ofOneBand(9)).toEqual(ofOneBand(2));
});

test('faults come at their rates, and default to none', () => {
  const rates = { ...NO_FAULTS, late: 0.2, truncated: 0.1 }, count = 5000;
  const drawn = Array.from(
    { length: count }, (_, i) => detectorFault(rates, 1, exposureOf(dayObs, i), asDetectorId(i % 9)),
  );
  const part = (name: string): number => drawn.filter((fault) => fault === name).length / count;
  const five = (rate: number): number => 5 * Math.sqrt((rate * (1 - rate)) / count);
  expect(Math.abs(part('late') - 0.2)).toBeLessThan(five(0.2));
  expect(Math.abs(part('truncated') - 0.1)).toBeLessThan(five(0.1));
  expect(part('twice') + part('neverRead')).toBe(0);
  expect(detectorFault(NO_FAULTS, 1, exposureOf(dayObs, 1), asDetectorId(0))).toBe('none');
  expect(() => { checkFaultRates({ ...NO_FAULTS, late: 0.6, twice: 0.6 }); }).toThrow('add up to 1.2, above 1');
});
