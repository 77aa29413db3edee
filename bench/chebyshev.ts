/**
 * Would tables of Chebyshev polynomials place the bodies of a night better or faster than the conics of its middle?
 * Both against direct integration to the moment of each of nine visits, over a seeded population.
 *
 * A table holds each body's place about the Earth's centre, light time allowed for, as polynomials in time fitted at
 * Chebyshev's nodes of the night; the site is added when it is asked. Errors are between the nodes.
 *
 *     node bench/chebyshev.ts [--orbits N] [--json] [--keep]
 */
import { parseArgs } from 'node:util';
import { LIGHT_DAYS_PER_AU, TT_MINUS_TAI_DAYS } from '../engine/ephemerides/constants.ts';
import { stateOfElements, type Elements } from '../engine/ephemerides/elements.ts';
import { advance } from '../engine/ephemerides/kepler.ts';
import { HALF_NIGHT_DAYS } from '../engine/ephemerides/nightEphemeris.ts';
import { observerState } from '../engine/ephemerides/observer.ts';
import { perturb, PlanetGrid } from '../engine/ephemerides/perturb.ts';
import { direction } from '../engine/ephemerides/predict.ts';
import { benchResult, reportResult, spreadOf, type Spread } from './harness.ts';
import { orbitPopulation } from './orbitPopulation.ts';

const { values } = parseArgs({ options: {
  orbits: { type: 'string', default: '20000' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const count = Number(values.orbits);
if (!Number.isInteger(count) || count < 1 || count > 1_000_000) throw new Error('--orbits must be 1 to 1000000');

const MIDNIGHT = 61315, SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 };
const DEGREES = [4, 6, 8];
const MAS = 180 * 3600e3 / Math.PI;
const visits = Array.from({ length: 9 }, (_, k) => MIDNIGHT + HALF_NIGHT_DAYS * (0.97 * (k / 4 - 1) + 0.013));
const observers = visits.map((time) => observerState(time, SITE));
const grid = new PlanetGrid(), orbits = orbitPopulation(count);

const direct = new Float64Array(3), placed = new Float64Array(3), light = new Float64Array(6);
/** States at the middle, as the night holds them, and at the visits. */
const middles = orbits.map((orbit) => stateAt(orbit, null, MIDNIGHT));

/** The site about Earth's centre at the visits, and Earth's centre at the nodes of each table, by its size. */
const siteOffsets = visits.map((time, visit) => {
  const centre = observerState(time, null);
  return observers[visit].map((value, axis) => value - centre[axis]);
});
const centres = new Map<string, Float64Array>();

const conicErrors: number[] = [], nearErrors: number[] = [];
const truth = orbits.map((orbit, k) => visits.map((time) => stateAt(orbit, middles[k], time)));
const conicSeconds = timed(() => {
  forEachPlace((k, visit) => direction(night(middles[k]), observers[visit], visits[visit], placed));
});
forEachPlace((k, visit) => {
  const time = visits[visit];
  direction({ state: truth[k][visit], at: 0, epochMjdTt: time + TT_MINUS_TAI_DAYS }, observers[visit], time, direct);
  const range = direction(night(middles[k]), observers[visit], time, placed);
  const error = angleMas(direct, placed);
  (range < 0.3 ? nearErrors : conicErrors).push(error);
});
const figures: Record<string, Spread> = {
  conicErrorMas: spreadOf(conicErrors), conicErrorWithin03AuMas: spreadOf(nearErrors.length ? nearErrors : [0]),
  conicErrorMaxMas: spreadOf([conicErrors.reduce((most, error) => Math.max(most, error), 0)]),
  conicPlaceMicroseconds: spreadOf([(1e6 * conicSeconds) / (count * visits.length)]),
};
for (const degree of DEGREES) {
  const errors: number[] = [], table = new Float64Array(count * 3 * (degree + 1));
  const buildSeconds = timed(() => { orbits.forEach((orbit, k) => fit(orbit, middles[k], degree, table, k)); });
  const seconds = timed(() => { forEachPlace((k, visit) => { lookUp(table, k, degree, visit, placed); }); });
  forEachPlace((k, visit) => {
    const time = visits[visit];
    direction({ state: truth[k][visit], at: 0, epochMjdTt: time + TT_MINUS_TAI_DAYS }, observers[visit], time, direct);
    lookUp(table, k, degree, visit, placed);
    errors.push(angleMas(direct, placed));
  });
  figures[`table${degree}ErrorMas`] = spreadOf(errors);
  figures[`table${degree}ErrorMaxMas`] = spreadOf([errors.reduce((most, error) => Math.max(most, error), 0)]);
  figures[`table${degree}BuildMicroseconds`] = spreadOf([(1e6 * buildSeconds) / count]);
  figures[`table${degree}PlaceMicroseconds`] = spreadOf([(1e6 * seconds) / (count * visits.length)]);
  figures[`table${degree}BytesPerBody`] = spreadOf([24 * (degree + 1)]);
}
reportResult(benchResult({
  bench: 'chebyshev',
  question: 'errors and costs of a night\'s conics, and of Chebyshev tables in their place; per body and per place',
  size: { orbits: count, visits: visits.length }, figures, checksum: null,
}), { json: values.json, keep: values.keep });

function night(state: Float64Array) {
  return { state, at: 0, epochMjdTt: MIDNIGHT + TT_MINUS_TAI_DAYS };
}

/** The osculating state at a time (TAI), integrated from the catalogue's epoch or on from the night's middle. */
function stateAt(orbit: Elements, middle: Float64Array | null, mjdTai: number): Float64Array {
  const state = new Float64Array(6);
  if (middle) state.set(middle); else stateOfElements(orbit, state, 0);
  perturb(grid, state, 0, middle ? MIDNIGHT + TT_MINUS_TAI_DAYS : orbit.epochMjdTt, mjdTai + TT_MINUS_TAI_DAYS);
  return state;
}

function forEachPlace(use: (k: number, visit: number) => void): void {
  for (let k = 0; k < count; k++) for (let visit = 0; visit < visits.length; visit++) use(k, visit);
}

/** Coefficients [3 × (degree + 1)] of one body's astrometric place about Earth's centre, au. */
function fit(orbit: Elements, middle: Float64Array, degree: number, table: Float64Array, k: number): void {
  const size = degree + 1, from = k * 3 * size;
  for (let node = 0; node < size; node++) {
    const angle = (Math.PI * (node + 0.5)) / size, time = MIDNIGHT + HALF_NIGHT_DAYS * Math.cos(angle);
    const state = stateAt(orbit, middle, time), centre = centreAt(size, node, time);
    let range = Math.hypot(state[0] - centre[0], state[1] - centre[1], state[2] - centre[2]);
    for (let pass = 0; pass < 3; pass++) {
      advance(state, 0, -LIGHT_DAYS_PER_AU * range, light, 0);
      range = Math.hypot(light[0] - centre[0], light[1] - centre[1], light[2] - centre[2]);
    }
    for (let order = 0; order < size; order++) {
      const weight = ((order === 0 ? 1 : 2) / size) * Math.cos(order * angle);
      for (let axis = 0; axis < 3; axis++) table[from + axis * size + order] += weight * (light[axis] - centre[axis]);
    }
  }
}

function centreAt(size: number, node: number, mjdTai: number): Float64Array {
  const key = `${size} ${node}`, known = centres.get(key) ?? observerState(mjdTai, null);
  centres.set(key, known);
  return known;
}

/** Direction from the site at a visit, as a unit vector. */
function lookUp(table: Float64Array, k: number, degree: number, visit: number, out: Float64Array): void {
  const size = degree + 1, from = k * 3 * size, x = (visits[visit] - MIDNIGHT) / HALF_NIGHT_DAYS;
  const offset = siteOffsets[visit];
  for (let axis = 0; axis < 3; axis++) {
    let b1 = 0, b2 = 0;
    for (let order = degree; order > 0; order--) {
      const b = 2 * x * b1 - b2 + table[from + axis * size + order];
      b2 = b1;
      b1 = b;
    }
    out[axis] = x * b1 - b2 + table[from + axis * size] - offset[axis];
  }
  const range = Math.hypot(out[0], out[1], out[2]);
  for (let axis = 0; axis < 3; axis++) out[axis] /= range;
}

function angleMas(a: Float64Array, b: Float64Array): number {
  return MAS * 2 * Math.asin(Math.min(1, Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) / 2));
}

function timed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
