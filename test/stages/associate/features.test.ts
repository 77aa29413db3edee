import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associateConfig } from '../../../engine/stages/associate/config.ts';
import {
  firstDiaObject, fluxFeatures, maxSlope, sampleSigma, updatedDiaObject, weightedMean,
} from '../../../engine/stages/associate/features.ts';
import { decodeDiaObject, encodeDiaObject } from '../../../schemas/avro.ts';
import { PointsInOrder } from '../../../engine/stages/associate/pointsInOrder.ts';
import { BAND_CODES, POINT, SOURCE_POINT_SIZE } from '../../../schemas/lightCurve.ts';
import { ARCSEC, curve, forcedCurve, known, point, type ForcedPoint, type SourcePoint } from './rows.ts';

const R = BAND_CODES[2];
const gathered = (points: readonly SourcePoint[]) => new PointsInOrder(SOURCE_POINT_SIZE).gather([curve(points)]);
const featuresOf = (sources: readonly SourcePoint[], forced: readonly ForcedPoint[]) => (
  fluxFeatures(curve(sources), forcedCurve(forced)));

describe('fluxFeatures', () => {
  test('gives the closed forms of three points of one band', () => {
    const features = featuresOf([
      point(3n, 61003, 400, 20, { scienceFlux: 900, scienceFluxErr: 30 }),
      point(1n, 61000, 100, 10, { scienceFlux: 500, scienceFluxErr: 30 }),
      point(2n, 61001, 200, 20),
    ], [
      { diaForcedSourceId: 8n, midpointMjdTai: 61000, band: 'r', psfFlux: 10, psfFluxErr: 1 },
      { diaForcedSourceId: 9n, midpointMjdTai: 61002, band: 'r', psfFlux: 20, psfFluxErr: 2 },
    ]);
    // Weights 0.01, 0.0025, 0.0025: mean (1 + 0.5 + 1)/0.015, error √(1/0.015). Forced: 1 and 0.25.
    // Scatter about 700/3: (400² + 100² + 500²)/9 · 1/2.
    const expected: Record<string, number> = {
      r_psfFluxMean: 2.5 / 0.015, r_psfFluxMeanErr: Math.sqrt(1 / 0.015), r_psfFluxNdata: 3,
      r_psfFluxSigma: Math.sqrt((400 ** 2 + 100 ** 2 + 500 ** 2) / 9 / 2),
      r_psfFluxMin: 100, r_psfFluxMax: 400, r_psfFluxMaxSlope: 100, r_psfFluxErrMean: 50 / 3,
      r_scienceFluxMean: 700, r_scienceFluxMeanErr: 30 / Math.SQRT2,
      r_fpFluxMean: (10 + 5) / 1.25, r_fpFluxMeanErr: Math.sqrt(1 / 1.25),
    };
    expect(Object.keys(features).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, value] of Object.entries(expected)) {
      // Stored as float32: within half of 2^-23 of the value.
      expect(Math.abs((features as Record<string, number>)[name] - value), name).toBeLessThan(value * 2 ** -23);
    }
  });

  test('keeps bands apart and names only those that have a point', () => {
    const points = [point(1n, 61000, 100, 10, { band: 'g' }), point(2n, 61001, 300, 10, { band: 'i' })];
    const features = featuresOf(points, []);
    expect(new Set(Object.keys(features).map((name) => name[0]))).toEqual(new Set(['g', 'i']));
    expect([features.g_psfFluxMean, features.i_psfFluxMean]).toEqual([100, 300]);
  });

  test('has null, not a number, for what too few measurements cannot give', () => {
    const features = featuresOf([point(1n, 61000, null, null)], []);
    expect(features.r_psfFluxNdata).toBe(0);
    for (const [name, value] of Object.entries(features)) if (name !== 'r_psfFluxNdata') expect(value, name).toBeNull();
    const one = featuresOf([point(1n, 61000, 5, 1)], []);
    expect([one.r_psfFluxSigma, one.r_psfFluxMaxSlope, one.r_fpFluxMean]).toEqual([null, null, null]);
  });

  test('produces only fields of the schema', () => {
    const row = firstDiaObject(curve([point(1n, 61000, 5, 1)]), 61000, associateConfig);
    expect(Object.keys(decodeDiaObject(encodeDiaObject(row))).sort()).toEqual(Object.keys(row).sort());
  });
});

describe('weightedMean', () => {
  test('leaves out values without a positive error', () => {
    const values = [[10, 1], [99, null], [null, 1], [99, 0], [99, -1], [20, 1]] as const;
    const points = gathered(values.map(([flux, error], i) => point(BigInt(i), 61000 + i, flux, error)));
    expect(weightedMean(points, R, POINT.psfFlux, POINT.psfFluxErr))
      .toEqual({ mean: 15, meanErr: Math.SQRT1_2, count: 2 });
  });
});

describe('sampleSigma', () => {
  test('of a constant far from zero is zero, not the rounding of its square', () => {
    expect(sampleSigma(gathered([1n, 2n, 3n].map((id) => point(id, 61000, 1e8, 1))), R)).toBe(0);
  });
});

describe('maxSlope', () => {
  test('of a fading light curve is negative, and passes over equal times and missing fluxes', () => {
    let id = 0n;
    const at = (mjd: number, psfFlux: number | null) => point(id++, mjd, psfFlux, 1);
    expect(maxSlope(gathered([at(1, 100), at(1, 500), at(2, null), at(3, 300), at(5, 290)]), R)).toBe(-5);
    expect(maxSlope(gathered([at(1, 100), at(1, 500)]), R)).toBeNull();
  });
});

describe('updatedDiaObject', () => {
  const none = forcedCurve([]);
  const added = point(50n, 61364, 500, 25, { ra: 150 + 0.3 * ARCSEC, dec: 2 });
  const addedCurve = curve([added]);

  test('counts what has left the window, and keeps the features of bands that the window lacks', () => {
    const object = known(7n, 150, 2, [], {
      nDiaSources: 12, firstDiaSourceMjdTai: 60500, g_psfFluxMean: 77, g_psfFluxNdata: 3,
    });
    const row = updatedDiaObject(object, addedCurve, none, 61364.5, associateConfig);
    expect(row.nDiaSources).toBe(13);
    expect([row.firstDiaSourceMjdTai, row.lastDiaSourceMjdTai]).toEqual([60500, 61364]);
    expect(row.validityStartMjdTai).toBe(61364.5);
    expect([row.g_psfFluxMean, row.g_psfFluxNdata, row.r_psfFluxMean, row.r_psfFluxNdata]).toEqual([77, 3, 500, 1]);
  });

  test('takes the mean over the history, or with the last position where there is none', () => {
    const east = (row: { ra: number; dec: number }): number => (row.ra - 150) / ARCSEC;
    const alone = updatedDiaObject(known(7n, 150, 2), addedCurve, none, 61364.5, associateConfig);
    const two = known(7n, 150, 2, [point(1n, 61000, 1, 1), point(2n, 61001, 1, 1)]);
    // Equal errors: half way, and a third of the way. Doubles near 150° differ by 3e-14°, 1e-10″.
    expect(east(alone)).toBeCloseTo(0.15, 6);
    expect(east(updatedDiaObject(two, addedCurve, none, 61364.5, associateConfig))).toBeCloseTo(0.1, 6);
  });

  test('does not move the last time back for a source that comes late', () => {
    const late = curve([{ ...added, midpointMjdTai: 60900 }]);
    const row = updatedDiaObject(known(7n, 150, 2), late, none, 61364.5, associateConfig);
    expect([row.firstDiaSourceMjdTai, row.lastDiaSourceMjdTai]).toEqual([60900, 61300]);
  });

  test('equals what its payload decodes to, in whatever order the history comes', () => {
    const points = fc.array(fc.record({
      mjd: fc.integer({ min: 61000, max: 61010 }), flux: fc.float({ noNaN: true, min: -1e5, max: 1e5 }),
      err: fc.float({ noNaN: true, min: Math.fround(0.1), max: 500 }), band: fc.constantFrom('g', 'r'),
    }), { minLength: 1, maxLength: 12 });
    fc.assert(fc.property(points, fc.infiniteStream(fc.nat()), (list, order) => {
      const history = list.map((p, i) => point(BigInt(i), p.mjd, p.flux, p.err, { band: p.band }));
      const keys = new Map(history.map((p) => [p, order.next().value]));
      const shuffled = [...history].sort((a, b) => keys.get(a)! - keys.get(b)!);
      const row = updatedDiaObject(known(7n, 150, 2, history), addedCurve, none, 61364.5, associateConfig);
      expect(updatedDiaObject(known(7n, 150, 2, shuffled), addedCurve, none, 61364.5, associateConfig)).toEqual(row);
      expect(decodeDiaObject(encodeDiaObject(row))).toEqual(row);
    }), { numRuns: 200, seed: 20261120 });
  });
});
