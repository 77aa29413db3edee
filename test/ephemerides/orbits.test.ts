/** Motion of bodies: against closed forms, an independent integration, and places computed with ERFA. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SUN_GM } from '../../engine/ephemerides/constants.ts';
import {
  elementsOfState, stateOfElements, timeOfPerihelion, type Elements,
} from '../../engine/ephemerides/elements.ts';
import { advance } from '../../engine/ephemerides/kepler.ts';
import { observerState } from '../../engine/ephemerides/observer.ts';
import { perturb, PlanetGrid } from '../../engine/ephemerides/perturb.ts';
import { earthState, PLANET_COUNT, PLANET_GM, planetStates } from '../../engine/ephemerides/planets.ts';
import { apparition } from '../../engine/ephemerides/predict.ts';

const ARCSEC = 180 * 3600 / Math.PI;
const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 };

/** Orbits of every shape: nearly parabolic ones on both sides, comets, far and near. */
const anyOrbit = fc.record({
  q: fc.double({ min: 0.05, max: 40, noNaN: true }),
  e: fc.oneof(fc.double({ min: 0, max: 0.99, noNaN: true }), fc.double({ min: 0.99, max: 1.01, noNaN: true }),
    fc.constant(1), fc.double({ min: 1.01, max: 6, noNaN: true })),
  i: fc.double({ min: 0.5, max: 179, noNaN: true }), node: fc.double({ min: 0, max: 360, noNaN: true }),
  argperi: fc.double({ min: 0, max: 360, noNaN: true }), days: fc.double({ min: -20_000, max: 20_000, noNaN: true }),
});

test('a body keeps its energy and its angular momentum, and comes back, on orbits of every eccentricity', () => {
  fc.assert(fc.property(anyOrbit, ({ days, ...shape }) => {
    const state = new Float64Array(12);
    stateOfElements({ ...shape, timeOfPerihelionMjdTt: 60_000, epochMjdTt: 60_000 }, state, 0);
    const constants = (at: number): number[] => {
      const [x, y, z, vx, vy, vz] = state.subarray(at, at + 6);
      return [
        (vx * vx + vy * vy + vz * vz) / 2 - SUN_GM / Math.hypot(x, y, z),
        y * vz - z * vy, z * vx - x * vz, x * vy - y * vx,
      ];
    };
    const before = constants(0), speed2 = SUN_GM / shape.q;
    advance(state, 0, days, state, 6);
    const after = constants(6), momentum = Math.hypot(before[1], before[2], before[3]);
    // Rounding of some 20 operations on terms of the size of the kinetic energy at perihelion: 1e-13 of it leaves room.
    expect(Math.abs(after[0] - before[0])).toBeLessThan(1e-12 * speed2 * (1 + shape.e));
    for (let k = 1; k <= 3; k++) expect(Math.abs(after[k] - before[k])).toBeLessThan(1e-11 * momentum);
  }), { numRuns: 300, seed: 20261120 });
});

test('elements of a state are those that it was made of', () => {
  fc.assert(fc.property(anyOrbit, ({ days, ...shape }) => {
    // Within a twentieth of a period no other perihelion is as near.
    const period = shape.e < 1 ? 2 * Math.PI * Math.sqrt((shape.q / (1 - shape.e)) ** 3 / SUN_GM) : Infinity;
    const since = Math.max(-period / 20, Math.min(period / 20, days / 20));
    const elements: Elements = { ...shape, timeOfPerihelionMjdTt: 60_000, epochMjdTt: 60_000 + since };
    const state = new Float64Array(6);
    stateOfElements(elements, state, 0);
    const again = elementsOfState(state, 0, elements.epochMjdTt), back = new Float64Array(6);
    expect(again.e).toBeCloseTo(shape.e, 8);
    expect(Math.abs(again.q - shape.q)).toBeLessThan(1e-9 * shape.q);
    expect(Math.abs(again.i - shape.i)).toBeLessThan(1e-9);
    // A circle has no perihelion: the place is asked for, not the angles.
    stateOfElements(again, back, 0);
    const size = Math.hypot(state[0], state[1], state[2]);
    expect(Math.hypot(...[0, 1, 2].map((k) => back[k] - state[k]))).toBeLessThan(2e-7 * size);
  }), { numRuns: 300, seed: 20261121 });
});

test('a mean anomaly and the time of perihelion that it stands for are one', () => {
  // A quarter of a period of 8 a before the epoch: a = 4, n = 360 / (8 × 365.2568983) degrees a day.
  expect(timeOfPerihelion(4 * 0.8, 0.2, 90, 60_000)).toBeCloseTo(60_000 - 2 * 365.256_898_3, 4);
  expect(timeOfPerihelion(4 * 0.8, 0.2, 450, 60_000)).toBeCloseTo(60_000 - 2 * 365.256_898_3, 4);
});

/**
 * Kepler's equation, light time and the site by numpy on ERFA 2.0.1 (`epv00`, `gd2gc`, `c2t06a`): elements on the
 * ecliptic of J2000 (84381.448″), UT1 = UTC, no polar motion; MJD TAI, ra, dec, distances.
 */
const ERFA_PLACES = [
  { orbit: 'belt', mjd: 61041.25, ra: 281.82400062, dec: -23.11975492, range: 3.1989636, sun: 2.215655183 },
  { orbit: 'near', mjd: 61041.25, ra: 192.33794681, dec: 8.33818094, range: 1.747071473, sun: 2.040068913 },
  { orbit: 'belt', mjd: 61314.55, ra: 10.44320683, dec: -14.05863091, range: 1.409047728, sun: 2.382942832 },
  { orbit: 'near', mjd: 61314.55, ra: 242.06974406, dec: -39.38350509, range: 0.687099801, sun: 0.901507915 },
  { orbit: 'belt', mjd: 61600.1, ra: 82.02594623, dec: 19.653183, range: 3.660753484, sun: 2.813002124 },
  { orbit: 'near', mjd: 61600.1, ra: 129.13872949, dec: 30.8820651, range: 3.021325719, sun: 2.072276302 },
] as const;
const ORBITS = {
  belt: { q: 2.2, e: 0.15, i: 10, node: 100, argperi: 200, timeOfPerihelionMjdTt: 61100 },
  near: { q: 0.9, e: 0.4, i: 20, node: 10, argperi: 310, timeOfPerihelionMjdTt: 61310 },
} as const;

test('astrometric topocentric places agree with ERFA within 0.05″', () => {
  for (const { orbit, mjd, ra, dec, range, sun } of ERFA_PLACES) {
    const state = new Float64Array(6);
    stateOfElements({ ...ORBITS[orbit], epochMjdTt: mjd }, state, 0);
    const seen = apparition({ state, at: 0, epochMjdTt: mjd }, observerState(mjd, SITE), mjd);
    // VSOP87 against ERFA's Earth: 0.03″ at 1 au, and as much more as the body is nearer than that.
    const tolerance = 0.035 / Math.min(1, range);
    expect(Math.abs(seen.decDeg - dec) * 3600).toBeLessThan(tolerance);
    expect(Math.abs(seen.raDeg - ra) * 3600 * Math.cos(dec * Math.PI / 180)).toBeLessThan(tolerance);
    expect(Math.abs(seen.topoRangeAu - range)).toBeLessThan(2e-7);
    expect(Math.abs(seen.helioRangeAu - sun)).toBeLessThan(1e-8);
  }
});

test('rates on the sky and of the distance are the slopes of the places', () => {
  const state = new Float64Array(6), mjd = 61314.55, step = 1e-3;
  stateOfElements({ ...ORBITS.near, epochMjdTt: mjd }, state, 0);
  const at = (time: number) => apparition({ state, at: 0, epochMjdTt: mjd }, observerState(time, SITE), time);
  const [before, seen, after] = [at(mjd - step), at(mjd), at(mjd + step)];
  const perDay = (pick: (a: typeof seen) => number): number => (pick(after) - pick(before)) / (2 * step);
  // The third derivative: the parallax turns with 2π a day, 13″ of it: 13″ × 6.3³ × 1e-6 / 6 = 1e-7 °/d, and rounding.
  expect(seen.rateDecDegDay).toBeCloseTo(perDay((a) => a.decDeg), 5);
  expect(seen.rateRaDegDay).toBeCloseTo(perDay((a) => a.raDeg) * Math.cos(seen.decDeg * Math.PI / 180), 5);
  expect(seen.topoRangeRateKmS).toBeCloseTo(perDay((a) => a.topoRangeAu) * 1731.456_837, 2);
  expect(seen.helioRangeRateKmS).toBeCloseTo(perDay((a) => a.helioRangeAu) * 1731.456_837, 2);
});

test('under the planets, a month and 200 days agree with an integration of the full forces within 0.02″', () => {
  const grid = new PlanetGrid();
  for (const [orbit, days] of [['belt', 30], ['belt', 200], ['near', 30], ['near', -60]] as const) {
    const elements = { ...ORBITS[orbit], epochMjdTt: 61041 }, state = new Float64Array(6);
    stateOfElements(elements, state, 0);
    const expected = integrate(state, 61041, days);
    perturb(grid, state, 0, 61041, 61041 + days);
    const miss = Math.hypot(...[0, 1, 2].map((k) => state[k] - expected[k]));
    const fromEarth = 0.9; // Neither orbit comes nearer to Earth's than this in these spans, au.
    expect((miss / fromEarth) * ARCSEC).toBeLessThan(0.02);
    // And the planets do matter: the conic alone is off by more than the gate of 1″ after 200 days.
    const conic = new Float64Array(6);
    stateOfElements({ ...elements, epochMjdTt: 61041 + days }, conic, 0);
    if (days === 200) expect(Math.hypot(...[0, 1, 2].map((k) => conic[k] - expected[k])) * ARCSEC).toBeGreaterThan(5);
  }
});

test('past Earth at 0.03 au too: within 0.05″ of the full forces, and back to where it was', () => {
  const grid = new PlanetGrid(), start = new Float64Array(6), time = 61315.3;
  earthState(time, start, 0);
  // 4.5 million km from Earth, and 14 km/s across.
  start[0] += 0.03;
  start[4] += 0.003;
  start[5] += 0.0075;
  for (const days of [12.2, -12.2]) {
    const state = Float64Array.from(start), expected = integrate(state, time, days, 10), end = new Float64Array(6);
    perturb(grid, state, 0, time, time + days);
    earthState(time + days, end, 0);
    const fromEarth = Math.hypot(...[0, 1, 2].map((k) => state[k] - end[k]));
    expect((apart(state, expected) / fromEarth) * ARCSEC).toBeLessThan(0.05);
    // Without Earth's pull it would be elsewhere by far more than the gate.
    const conic = new Float64Array(6);
    advance(start, 0, days, conic, 0);
    expect((apart(conic, expected) / fromEarth) * ARCSEC).toBeGreaterThan(10);
    perturb(grid, state, 0, time + days, time);
    expect((apart(state, start) / 0.03) * ARCSEC).toBeLessThan(0.1);
  }
});

function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** Runge–Kutta of order 4 on the equation of motion itself: steps of a day are good to 1e-9 au on far orbits. */
function integrate(start: Float64Array, from: number, days: number, stepsPerDay = 1): number[] {
  const steps = Math.ceil(Math.abs(days) * stepsPerDay), h = days / steps, planets = new Float64Array(6 * PLANET_COUNT);
  let at = NaN;
  const slope = (time: number, y: readonly number[]): number[] => {
    if (time !== at) planetStates(at = time, planets, 0);
    const r3 = Math.hypot(y[0], y[1], y[2]) ** 3, a = [0, 1, 2].map((k) => (-SUN_GM * y[k]) / r3);
    for (let j = 0; j < PLANET_COUNT; j++) {
      const p = planets.subarray(6 * j, 6 * j + 3), d = [0, 1, 2].map((k) => p[k] - y[k]);
      const d3 = Math.hypot(...d) ** 3, p3 = Math.hypot(p[0], p[1], p[2]) ** 3;
      for (let k = 0; k < 3; k++) a[k] += PLANET_GM[j] * (d[k] / d3 - p[k] / p3);
    }
    return [y[3], y[4], y[5], ...a];
  };
  let y = [...start];
  const moved = (by: number, rate: readonly number[]): number[] => y.map((value, k) => value + by * rate[k]);
  for (let n = 0; n < steps; n++) {
    const t = from + n * h, k1 = slope(t, y), k2 = slope(t + h / 2, moved(h / 2, k1));
    const k3 = slope(t + h / 2, moved(h / 2, k2)), k4 = slope(t + h, moved(h, k3));
    y = y.map((value, k) => value + (h / 6) * (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]));
  }
  return y;
}
