/** How a body is seen: astrometric place, motion, distances and angles. */
import { KM_S_PER_AU_DAY, LIGHT_DAYS_PER_AU, RADIANS, TT_MINUS_TAI_DAYS, type Vector } from './constants.ts';
import { advance } from './kepler.ts';

/** A body with a state, au and au/d on the axes of the ICRS, at its epoch. */
export type MovingBody = Readonly<{ state: Float64Array; at: number; epochMjdTt: number }>;

/**
 * A body as seen at one moment. Positions are astrometric: light time is allowed for, aberration and deflection are
 * not, as for the stars that the WCS is fitted to.
 */
export type Apparition = Readonly<{
  raDeg: number; decDeg: number;
  /** Motion on the sky, degrees a day; that in right ascension is times cos δ. */
  rateRaDegDay: number; rateDecDegDay: number;
  /** From the Sun and from the observer when the light left: au, km/s, axes of the ICRS. */
  heliocentric: Vector; heliocentricKmS: Vector; topocentric: Vector; topocentricKmS: Vector;
  helioRangeAu: number; topoRangeAu: number; helioRangeRateKmS: number; topoRangeRateKmS: number;
  phaseDeg: number; elongationDeg: number;
}>;

const moved = new Float64Array(6);

/**
 * @param observer State of the observer at `mjdTai` (`observerState`). Read only.
 */
export function apparition(body: MovingBody, observer: Float64Array, mjdTai: number): Apparition {
  const range = lightPath(body, observer, mjdTai);
  const [x, y, z, vx, vy, vz] = moved;
  const dx = x - observer[0], dy = y - observer[1], dz = z - observer[2];
  const ux = dx / range, uy = dy / range, uz = dz / range;
  // The body's clock, as we see it, runs slow by the rate at which the light's path grows.
  const approach = ux * (vx - observer[3]) + uy * (vy - observer[4]) + uz * (vz - observer[5]);
  const clock = 1 - LIGHT_DAYS_PER_AU * approach;
  const wx = clock * vx - observer[3], wy = clock * vy - observer[4], wz = clock * vz - observer[5];
  const fromAxis = Math.hypot(ux, uy);
  const [cosRa, sinRa] = fromAxis === 0 ? [1, 0] : [ux / fromAxis, uy / fromAxis];
  const east = -sinRa * wx + cosRa * wy, north = -uz * (cosRa * wx + sinRa * wy) + fromAxis * wz;
  const sunRange = Math.hypot(x, y, z), observerRange = Math.hypot(observer[0], observer[1], observer[2]);
  const ra = Math.atan2(uy, ux) / RADIANS;
  return {
    raDeg: ra < 0 ? ra + 360 : ra, decDeg: Math.atan2(uz, fromAxis) / RADIANS,
    rateRaDegDay: east / range / RADIANS, rateDecDegDay: north / range / RADIANS,
    heliocentric: [x, y, z], heliocentricKmS: inKmS(vx, vy, vz), topocentric: [dx, dy, dz],
    topocentricKmS: inKmS(vx - observer[3], vy - observer[4], vz - observer[5]),
    helioRangeAu: sunRange, topoRangeAu: range,
    helioRangeRateKmS: ((x * vx + y * vy + z * vz) / sunRange) * KM_S_PER_AU_DAY,
    topoRangeRateKmS: approach * KM_S_PER_AU_DAY,
    phaseDeg: angleDeg(x, y, z, dx, dy, dz, sunRange * range),
    elongationDeg: 180 - angleDeg(observer[0], observer[1], observer[2], dx, dy, dz, observerRange * range),
  };
}

/**
 * Direction alone, for searches: as `apparition`, but the sky's axes are left out.
 *
 * @param out [3] unit vector, written.
 * @returns Distance, au.
 */
export function direction(body: MovingBody, observer: Float64Array, mjdTai: number, out: Float64Array): number {
  const range = lightPath(body, observer, mjdTai);
  for (let k = 0; k < 3; k++) out[k] = (moved[k] - observer[k]) / range;
  return range;
}

/** The body's state when the light left that arrives at `mjdTai`, into `moved`; returns the path's length, au. */
function lightPath({ state, at, epochMjdTt }: MovingBody, observer: Float64Array, mjdTai: number): number {
  const days = mjdTai + TT_MINUS_TAI_DAYS - epochMjdTt;
  let range = Math.hypot(state[at] - observer[0], state[at + 1] - observer[1], state[at + 2] - observer[2]);
  // Each pass leaves v/c = 2e-4 of the last one's error: after three a day's motion is known to 1e-12 au.
  for (let pass = 0; pass < 3; pass++) {
    advance(state, at, days - LIGHT_DAYS_PER_AU * range, moved, 0);
    range = Math.hypot(moved[0] - observer[0], moved[1] - observer[1], moved[2] - observer[2]);
  }
  return range;
}

function inKmS(x: number, y: number, z: number): Vector {
  return [x * KM_S_PER_AU_DAY, y * KM_S_PER_AU_DAY, z * KM_S_PER_AU_DAY];
}

/** Angle between two vectors, degrees. @param lengths Product of their lengths. */
function angleDeg(
  ax: number, ay: number, az: number, bx: number, by: number, bz: number, lengths: number,
): number {
  const sine = Math.hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx) / lengths;
  return Math.atan2(sine, (ax * bx + ay * by + az * bz) / lengths) / RADIANS;
}
