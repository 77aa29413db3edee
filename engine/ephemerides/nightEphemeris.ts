/**
 * The orbits of a whole catalogue on one night: osculating states at its middle, and an index of the sky, so that a
 * visit finds its bodies among a million in milliseconds.
 *
 * Within the night bodies follow their conic of its middle: the planets' pull over the half day left moves a body of
 * the main belt by 1e-8 au (0.001″), one that passes Earth at 0.05 au by 0.2″.
 *
 * Why there are no tables of Chebyshev polynomials for each night, as catalogues' services keep them (`node
 * bench/chebyshev.ts --orbits 100000`, against integration to the moment itself): the conic is off by 0.01 mas in the
 * median, 0.2 mas in 99 of 100, 0.9″ for the worst of 100,000 bodies; polynomials of degree 4 by 0.1, 0.4
 * and 10 mas. Orbits are known to some 100 mas, the gate is 1″. A place costs 0.5 µs by the conic, 0.05 µs by the
 * table, so for a field's 800 bodies 0.4 ms; the tables cost 5 s a night more for a million bodies (to 14) and 120 MB (64).
 */
import type { Site } from '../../schemas/camera.ts';
import { RADIANS, TT_MINUS_TAI_DAYS } from './constants.ts';
import { stateOfElements, type Elements } from './elements.ts';
import { observerState } from './observer.ts';
import { perturb, PlanetGrid } from './perturb.ts';
import { direction } from './predict.ts';

/** The night reaches this far to both sides of its middle, days: from noon to noon, and an hour and a half more. */
export const HALF_NIGHT_DAYS = 0.5625;
/** Bodies that move farther than this from their place at midnight are looked through one by one, radians. */
const SLOW_REACH = 0.75 * RADIANS;
/** Added to the measured reach: a tenth for its curvature, and 20″ for the search's single precision. */
const REACH_GROWTH = 1.1, REACH_SLACK = (20 / 3600) * RADIANS;
/** The observer's distance from Earth's centre, au. */
const EARTH_RADIUS_AU = 4.27e-5;
const ZONE_COUNT = 360;

export type NightEphemeris = Readonly<{
  midMjdTai: number; midMjdTt: number; site: Site | null; count: number;
  /** [6 × count] states at the middle, in the order of the orbits: au, au/d, ICRS. NaN where an orbit is none. */
  states: Float64Array;
  /** Orbits that could not be followed, by index. */
  lost: readonly number[];
  /** Places at the middle, radians, and how far each body goes from there; of the slow ones by zone of declination. */
  slow: Uint32Array; zoneStart: Uint32Array; ra: Float32Array; dec: Float32Array; reach: Float32Array;
  fast: Uint32Array;
}>;

/**
 * Follows every orbit to the middle of a night and indexes the sky. A generator: each `yield` (the number done) lets
 * its caller breathe; the result is returned. The same orbits give the same bits.
 */
export function* followNight(
  orbits: readonly Elements[], midMjdTai: number, site: Site | null, chunk = 1000,
): Generator<number, NightEphemeris> {
  const midMjdTt = midMjdTai + TT_MINUS_TAI_DAYS, count = orbits.length, states = new Float64Array(6 * count);
  const grid = new PlanetGrid(), lost: number[] = [];
  for (let k = 0; k < count; k++) {
    const orbit = orbits[k];
    try {
      stateOfElements(orbit, states, 6 * k);
      perturb(grid, states, 6 * k, orbit.epochMjdTt, midMjdTt);
      if (!states.subarray(6 * k, 6 * k + 6).every(Number.isFinite)) throw new Error('not a state');
    } catch {
      states.fill(NaN, 6 * k, 6 * k + 6); // Reported by index: the caller knows the name.
      lost.push(k);
    }
    if (k % chunk === chunk - 1) yield k + 1;
  }
  const places = yield* placesOf(states, count, midMjdTai, midMjdTt, site, chunk);
  return { midMjdTai, midMjdTt, site, count, states, lost, ...places, ...indexOf(count, places) };
}

type Places = Readonly<{ ra: Float32Array; dec: Float32Array; reach: Float32Array }>;

function* placesOf(
  states: Float64Array, count: number, midMjdTai: number, epochMjdTt: number, site: Site | null, chunk: number,
): Generator<number, Places> {
  const ra = new Float32Array(count).fill(NaN), dec = new Float32Array(count), reach = new Float32Array(count);
  const times = [midMjdTai, midMjdTai - HALF_NIGHT_DAYS, midMjdTai + HALF_NIGHT_DAYS];
  const observers = times.map((time) => observerState(time, site));
  const middle = new Float64Array(3), end = new Float64Array(3);
  for (let k = 0; k < count; k++) {
    if (Number.isNaN(states[6 * k])) continue;
    const body = { state: states, at: 6 * k, epochMjdTt };
    const range = direction(body, observers[0], times[0], middle);
    let farthest = 0;
    for (let side = 1; side <= 2; side++) {
      direction(body, observers[side], times[side], end);
      const chord = Math.hypot(middle[0] - end[0], middle[1] - end[1], middle[2] - end[2]);
      farthest = Math.max(farthest, 2 * Math.asin(Math.min(1, chord / 2)));
    }
    ra[k] = Math.atan2(middle[1], middle[0]);
    dec[k] = Math.asin(Math.max(-1, Math.min(1, middle[2])));
    reach[k] = REACH_GROWTH * farthest + REACH_SLACK + (2 * EARTH_RADIUS_AU) / range;
    if (k % chunk === chunk - 1) yield k + 1;
  }
  return { ra, dec, reach };
}

function indexOf(count: number, { ra, dec, reach }: Places): Pick<NightEphemeris, 'slow' | 'zoneStart' | 'fast'> {
  const slow: number[] = [], fast: number[] = [];
  for (let k = 0; k < count; k++) {
    if (Number.isNaN(ra[k])) continue;
    if (reach[k] <= SLOW_REACH) slow.push(k); else fast.push(k);
  }
  const sorted = Uint32Array.from(slow).sort((a, b) => zoneOf(dec[a]) - zoneOf(dec[b]) || ra[a] - ra[b] || a - b);
  const zoneStart = new Uint32Array(ZONE_COUNT + 1);
  for (const k of sorted) zoneStart[zoneOf(dec[k]) + 1]++;
  for (let zone = 0; zone < ZONE_COUNT; zone++) zoneStart[zone + 1] += zoneStart[zone];
  return { slow: sorted, zoneStart, fast: Uint32Array.from(fast) };
}

function zoneOf(dec: number): number {
  return Math.max(0, Math.min(ZONE_COUNT - 1, Math.floor(((dec + Math.PI / 2) / Math.PI) * ZONE_COUNT)));
}

/**
 * Bodies inside a cone at a time of the night, by index, ascending.
 *
 * @param observer State of the observer at `mjdTai`. Read only.
 * @throws Error when the time is not of this night.
 */
export function bodiesInCone(
  night: NightEphemeris, raDeg: number, decDeg: number, radiusDeg: number, mjdTai: number, observer: Float64Array,
): number[] {
  if (!(Math.abs(mjdTai - night.midMjdTai) <= HALF_NIGHT_DAYS)) {
    throw new Error(`MJD ${mjdTai} is not within ${HALF_NIGHT_DAYS} d of ${night.midMjdTai}`);
  }
  const cosDec = Math.cos(decDeg * RADIANS);
  const centre = [
    cosDec * Math.cos(raDeg * RADIANS), cosDec * Math.sin(raDeg * RADIANS), Math.sin(decDeg * RADIANS),
  ];
  const radius = radiusDeg * RADIANS, found: number[] = [], at = new Float64Array(3);
  const consider = (k: number): void => {
    const cos = Math.cos(night.dec[k]);
    const away = arc(centre, cos * Math.cos(night.ra[k]), cos * Math.sin(night.ra[k]), Math.sin(night.dec[k]));
    if (away > radius + night.reach[k]) return;
    direction({ state: night.states, at: 6 * k, epochMjdTt: night.midMjdTt }, observer, mjdTai, at);
    if (arc(centre, at[0], at[1], at[2]) <= radius) found.push(k);
  };
  for (const k of night.fast) consider(k);
  const dec = decDeg * RADIANS, search = radius + SLOW_REACH;
  for (let zone = zoneOf(dec - search); zone <= zoneOf(dec + search); zone++) {
    for (const [from, to] of rangesOf(night, zone, raDeg * RADIANS, dec, search)) {
      for (let n = from; n < to; n++) consider(night.slow[n]);
    }
  }
  return found.sort((a, b) => a - b);
}

/** Places in `slow` of a zone's bodies that may lie within `search` of the centre: one range, or two over the seam. */
function rangesOf(night: NightEphemeris, zone: number, ra: number, dec: number, search: number): [number, number][] {
  const from = night.zoneStart[zone], to = night.zoneStart[zone + 1];
  // Half the span in right ascension of a cap of this radius; the whole circle when it holds a pole.
  const half = Math.abs(dec) + search >= Math.PI / 2 ? Math.PI : Math.asin(Math.sin(search) / Math.cos(dec)) + 1e-5;
  if (half >= Math.PI) return [[from, to]];
  const low = wrapped(ra - half), high = wrapped(ra + half);
  const first = lowerBound(night, from, to, low), last = lowerBound(night, from, to, high);
  return low <= high ? [[first, last]] : [[from, last], [first, to]];
}

/** First place in from … to whose right ascension is not below the value. */
function lowerBound({ slow, ra }: NightEphemeris, from: number, to: number, value: number): number {
  let low = from, high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ra[slow[middle]] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** Into −π … π, as `atan2` has it. */
function wrapped(angle: number): number {
  return angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
}

function arc(a: readonly number[], x: number, y: number, z: number): number {
  const chord = Math.hypot(a[0] - x, a[1] - y, a[2] - z);
  return 2 * Math.asin(Math.min(1, chord / 2));
}
