/** Statistics of light curves: closed forms, numpy on the published definitions, and what must not change them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lightCurveStatistics, type FluxPoint } from '../../brokers/archive/lightCurveStatistics.ts';

function curve(fluxes: readonly number[], errors: readonly number[], times: readonly number[]): FluxPoint[] {
  return fluxes.map((psfFlux, k) => ({ psfFlux, psfFluxErr: errors[k], midpointMjdTai: times[k] }));
}

test('a curve with an outlier has the values of numpy on the definitions of meas_base', () => {
  const found = lightCurveStatistics(curve(
    [10, 12, 15, 11, 30, 14, 13, 9], [1, 2, 1.5, 1, 3, 1.2, 2.5, 1],
    [0, 1, 2.5, 3, 4, 6, 7, 9].map((day) => 61300 + day)))!;
  // numpy 2.4: average, std(ddof=1), lstsq, median, percentile; the loops of meas_base for J; G1 of Joanes & Gill.
  const expected = {
    count: 8, mean: 11.76013352408202, sigma: 6.670832032063167, linearSlope: -0.09375524726766885,
    linearIntercept: 11.763372148652344, mad: 2.965204437011204, skew: 2.334496451569132, percentile05: 9.35,
    percentile25: 10.75, percentile50: 12.5, percentile75: 14.25, percentile95: 24.75, stetsonJ: 1.4798998678998436,
    chi2: 56.66966036136278,
  };
  for (const [name, value] of Object.entries(expected)) {
    expect(found[name as keyof typeof expected], name).toBeCloseTo(value, 9); // The keys are those of the record.
  }
});

test('a straight line is found exactly, and leaves no χ² about itself but its own', () => {
  const times = [61300, 61301, 61303, 61307], fluxes = times.map((time) => 50 - 3 * (time - 61300));
  const { linearSlope, linearIntercept, linearTimeMjdTai, skew } = lightCurveStatistics(
    curve(fluxes, [1, 2, 3, 4], times))!;
  expect(linearSlope).toBeCloseTo(-3, 9);
  expect(linearTimeMjdTai).toBe(61302.75);
  expect(linearIntercept).toBeCloseTo(50 - 3 * 2.75, 9);
  expect(skew).toBeLessThan(0);
});

test('a constant has no scatter, and J tells that it scatters less than its errors', () => {
  const found = lightCurveStatistics(curve([7, 7, 7], [1, 1, 1], [1, 2, 3]))!;
  expect(found).toMatchObject({ mean: 7, sigma: 0, mad: 0, skew: 0, chi2: 0, linearSlope: 0, stetsonJ: -1 });
});

test('too few points give null, unmeasured ones are left out, and nothing is no light curve', () => {
  expect(lightCurveStatistics([])).toBeNull();
  expect(lightCurveStatistics([{ midpointMjdTai: 1, psfFlux: 3, psfFluxErr: null }])).toBeNull();
  expect(lightCurveStatistics([
    { midpointMjdTai: 1, psfFlux: 3, psfFluxErr: 1 }, { midpointMjdTai: 1, psfFlux: null, psfFluxErr: 1 },
  ])).toMatchObject({ count: 1, mean: 3, sigma: null, skew: null, linearSlope: null, stetsonJ: null, percentile95: 3 });
  const oneInstant = lightCurveStatistics(curve([1, 2, 4], [1, 1, 1], [5, 5, 5]))!;
  expect([oneInstant.linearSlope, oneInstant.count]).toEqual([null, 3]);
});

test('order does not matter, units scale as they must, and percentiles are in order', () => {
  const point = fc.record({
    midpointMjdTai: fc.double({ min: 61000, max: 61400, noNaN: true }),
    psfFlux: fc.double({ min: -1e4, max: 1e4, noNaN: true }), psfFluxErr: fc.double({ min: 1, max: 100, noNaN: true }),
  });
  fc.assert(fc.property(fc.array(point, { minLength: 3, maxLength: 30 }), (points) => {
    const found = lightCurveStatistics(points)!;
    expect(lightCurveStatistics(points.toReversed())).toEqual(found);
    const { percentile05, percentile25, percentile50, percentile75, percentile95 } = found;
    const ordered = [percentile05, percentile25, percentile50, percentile75, percentile95];
    expect(ordered.toSorted((a, b) => a - b)).toEqual(ordered);
    const doubled = lightCurveStatistics(points.map((p) => (
      { ...p, psfFlux: 2 * p.psfFlux, psfFluxErr: 2 * p.psfFluxErr })))!;
    // A power of two changes exponents alone.
    expect([doubled.mean, doubled.mad, doubled.chi2]).toEqual([2 * found.mean, 2 * found.mad, found.chi2]);
  }), { numRuns: 100, seed: 20261123 });
});
