/** Phase curves and sums over a body's sources: against values that were put in, and published ones. */
import { expect, test } from 'vitest';
import { moidWithEarth } from '../../engine/ephemerides/moid.ts';
import { mpcOrbitRow } from '../../engine/ephemerides/orbit.ts';
import { parseOrbits } from '../../engine/ephemerides/orbitFile.ts';
import { phaseMagnitudeG12 } from '../../engine/ephemerides/phase.ts';
import { ASSUMED_G12, fitPhaseCurve, type PhasePoint } from '../../engine/ephemerides/phaseCurve.ts';
import { ssObjectRow, type SsObservation } from '../../engine/ephemerides/ssObjectRow.ts';
import { decodeSsObject, encodeSsObject } from '../../schemas/avro.ts';
import { nJyOfAbMag } from '../../schemas/units.ts';

/** Normal numbers from a seed: sums of 12 uniform ones. */
function noise(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return () => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b) - 6;
}

function curve(h: number, g12: number, sigma: number, normal: () => number): PhasePoint[] {
  return [0.5, 1, 2, 4, 7, 10, 14, 18, 22, 26].map((phaseDeg, k) => {
    const helioRangeAu = 2.5 + 0.05 * k, topoRangeAu = 1.6 + 0.1 * k;
    const mag = h + 5 * Math.log10(helioRangeAu * topoRangeAu) + phaseMagnitudeG12(g12, phaseDeg) + sigma * normal();
    return { mag, magErr: sigma, helioRangeAu, topoRangeAu, phaseDeg };
  });
}

test('without noise the fit gives back H and G12, on both branches', () => {
  for (const g12 of [0.05, 0.15, 0.3, 0.6, 0.9]) {
    const fit = fitPhaseCurve(curve(15.3, g12, 0.01, () => 0))!;
    expect(fit.h).toBeCloseTo(15.3, 5);
    expect(fit.g12).toBeCloseTo(g12, 4);
    expect(fit.chi2).toBeLessThan(1e-4);
    expect(fit).toMatchObject({ used: 10, isAssumed: false });
  }
});

test('with noise it scatters as its errors and covariance say, and χ² is that of eight degrees of freedom', () => {
  const normal = noise(20261120), trials = 400, sigma = 0.02;
  let hh = 0, gg = 0, hg = 0, chi2 = 0;
  for (let n = 0; n < trials; n++) {
    const { h, hErr, g12, g12Err, covariance, chi2: own } = fitPhaseCurve(curve(15.3, 0.6, sigma, normal))!;
    hh += ((h - 15.3) / hErr) ** 2 / trials;
    gg += ((g12 - 0.6) / g12Err!) ** 2 / trials;
    hg += ((h - 15.3) * (g12 - 0.6)) / covariance! / trials;
    chi2 += own / trials;
  }
  // A variance of 400 draws is known to √(2/400) = 7 %; five of those, and 10 % for the curvature.
  for (const value of [hh, gg, hg]) expect(Math.abs(value - 1)).toBeLessThan(0.45);
  expect(Math.abs(chi2 - 8)).toBeLessThan(5 * Math.sqrt(16 / trials));
});

test('too few points or too short a span give H with an assumed slope; points without a magnitude are left out', () => {
  const points = curve(15.3, ASSUMED_G12, 0.02, () => 0);
  expect(fitPhaseCurve(points.slice(0, 3))).toMatchObject({ g12: ASSUMED_G12, g12Err: null, isAssumed: true, used: 3 });
  expect(fitPhaseCurve(points.slice(0, 3))!.h).toBeCloseTo(15.3, 10);
  expect(fitPhaseCurve(points.map((point) => ({ ...point, phaseDeg: 10 })))!.isAssumed).toBe(true);
  expect(fitPhaseCurve([{ ...points[0], magErr: 0 }, { ...points[1], mag: NaN }])).toBeNull();
  const shuffled = [...points.slice(5), ...points.slice(0, 5)];
  expect(fitPhaseCurve(shuffled)).toEqual(fitPhaseCurve(points));
});

const EROS = 'designation,epoch_mjd,e,a,i,om,w,ma\n433,61000,0.2228359,1.4581253,10.82846,304.2701,178.9297,310.5\n'
  + 'Apophis,61000,0.1911,0.92239,3.341,203.90,126.67,245\nCeres,61000,0.0788,2.767,10.587,80.26,73.47,17\n';

test('the distance of orbits to Earth\'s is the published one', () => {
  const [eros, apophis, ceres] = parseOrbits(EROS).orbits.map((orbit) => moidWithEarth(mpcOrbitRow(orbit))!);
  // JPL's small-body database: 0.149, 0.0001 and 1.58 au; Earth's orbit turns by 0.3° in 26 years and wobbles by 1e-4.
  expect(eros.MOIDEarth).toBeCloseTo(0.149, 2);
  expect(apophis.MOIDEarth).toBeLessThan(0.002);
  expect(ceres.MOIDEarth).toBeCloseTo(1.58, 1);
  // Apophis meets Earth at 5.8 km/s before its fall (its v∞), in April: longitude 204°.
  expect(apophis.MOIDEarthDeltaV).toBeGreaterThan(5);
  expect(apophis.MOIDEarthDeltaV).toBeLessThan(7);
});

function observation(
  mjd: number, band: string, mag: number, more: Partial<SsObservation['source']> = {},
): SsObservation {
  const psfFlux = nJyOfAbMag(mag);
  return {
    source: {
      diaSourceId: BigInt(Math.round(mjd * 1000)), midpointMjdTai: mjd, band, psfFlux, psfFluxErr: psfFlux * 0.02,
      extendedness: null, ...more,
    },
    prediction: { helioRange: 2.5, topoRange: 1.6, phaseAngle: mjd - 61300 },
  };
}

test('a body\'s sources are counted by band, and the row is Avro', () => {
  const orbit = mpcOrbitRow(parseOrbits(EROS).orbits[2]);
  const at = (mjd: number): number => 15 + 5 * Math.log10(4) + phaseMagnitudeG12(0.4, mjd - 61300);
  const days = [1, 3, 5, 8, 12, 20];
  const row = ssObjectRow(77n, 'Ceres', orbit, [
    ...days.map((day) => observation(61300 + day, 'r', at(61300 + day), { extendedness: day / 20 })),
    observation(61302, 'i', 18), observation(61303, 'g', 18, { psfFlux: -5 }),
  ]);
  expect(row).toMatchObject({
    ssObjectId: 77n, designation: 'Ceres', nObs: 8, arc: 19, firstObservationMjdTai: 61301, r_nObs: 6, r_nObsUsed: 6,
    i_nObs: 1, i_nObsUsed: 1, i_slope_fit_failed: true, g_nObs: 1, g_nObsUsed: 0, g_H: null, g_slope_fit_failed: null,
    u_nObs: 0, u_H: null, r_slope_fit_failed: false, r_phaseAngleMin: 1, r_phaseAngleMax: 20,
    extendednessMin: 0.05, extendednessMax: 1, extendednessMedian: 0.325,
  });
  expect(row.r_H).toBeCloseTo(15, 4);
  expect(row.r_G12).toBeCloseTo(0.4, 3);
  // The published value for Ceres is 3.31.
  expect(row.tisserand_J).toBeCloseTo(3.31, 2);
  const stored = decodeSsObject(encodeSsObject(row));
  expect(stored.nObs).toBe(8);
  expect(stored.r_H).toBeCloseTo(row.r_H!, 5);
});
