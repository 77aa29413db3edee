/** Keplerian orbits: where a body is, and in which direction and how bright it is seen. */
import { earthHeliocentric, equatorial, toEcliptic, unitOf, zenithAt, type SpaceVector } from './ephemeris.ts';
import type { UnitVector } from './projection.ts';

/** Heliocentric elements on the ecliptic of J2000: AU, radians, MJD (TAI) of the mean anomaly. */
export type Orbit = Readonly<{
  semiMajorAxisAu: number; eccentricity: number; inclination: number; node: number; perihelion: number;
  meanAnomaly: number; epochMjdTai: number;
}>;

/** Gaussian constant: radians a day at 1 AU. */
export const GAUSS = 0.01720209895;
const LIGHT_DAYS_PER_AU = 0.0057755183;
const EARTH_RADIUS_AU = 6378.137 / 149597870.7;

/** Place of a body on its ellipse. */
export function heliocentric(orbit: Orbit, mjdTai: number): SpaceVector {
  const { semiMajorAxisAu: a, eccentricity: e } = orbit;
  const mean = orbit.meanAnomaly + (GAUSS / (a * Math.sqrt(a))) * (mjdTai - orbit.epochMjdTai);
  const eccentric = eccentricAnomaly(mean, e);
  const p = a * (Math.cos(eccentric) - e), q = a * Math.sqrt(1 - e * e) * Math.sin(eccentric);
  const cosNode = Math.cos(orbit.node), sinNode = Math.sin(orbit.node), cosI = Math.cos(orbit.inclination);
  const cosPeri = Math.cos(orbit.perihelion), sinPeri = Math.sin(orbit.perihelion);
  const along = p * cosPeri - q * sinPeri, across = p * sinPeri + q * cosPeri;
  return equatorial([
    along * cosNode - across * sinNode * cosI, along * sinNode + across * cosNode * cosI,
    across * Math.sin(orbit.inclination),
  ]);
}

/** Directions to the perihelion and, in the orbit's plane, a quarter of a turn on; ecliptic of J2000. */
export function perihelionDirections({ node, perihelion, inclination }: Orbit): [SpaceVector, SpaceVector] {
  const cosNode = Math.cos(node), sinNode = Math.sin(node), cosI = Math.cos(inclination), sinI = Math.sin(inclination);
  const at = (angle: number): SpaceVector => {
    const along = Math.cos(angle), across = Math.sin(angle);
    return [along * cosNode - across * sinNode * cosI, along * sinNode + across * cosNode * cosI, across * sinI];
  };
  return [at(perihelion), at(perihelion + Math.PI / 2)];
}

/**
 * The ellipse on which a body of a given place and velocity is.
 *
 * @param place, velocity Axes of the ICRS; au, au a day.
 */
export function orbitOfState(place: SpaceVector, velocity: SpaceVector, mjdTai: number): Orbit {
  const [x, y, z] = toEcliptic(place), [vx, vy, vz] = toEcliptic(velocity), gm = GAUSS * GAUSS;
  const r = Math.hypot(x, y, z), rv = x * vx + y * vy + z * vz, v2 = vx * vx + vy * vy + vz * vz;
  const hx = y * vz - z * vy, hy = z * vx - x * vz, hz = x * vy - y * vx;
  const a = 1 / (2 / r - v2 / gm), inclination = Math.atan2(Math.hypot(hx, hy), hz), node = Math.atan2(hx, -hy);
  // e cos E and e sin E, from the distance and its rate.
  const eCos = 1 - r / a, eSin = rv / (GAUSS * Math.sqrt(a)), eccentricity = Math.hypot(eCos, eSin);
  const eccentric = Math.atan2(eSin, eCos);
  const anomaly = Math.atan2(
    Math.sqrt(1 - eccentricity ** 2) * Math.sin(eccentric), Math.cos(eccentric) - eccentricity,
  );
  const alongNode = x * Math.cos(node) + y * Math.sin(node);
  const acrossNode = (y * Math.cos(node) - x * Math.sin(node)) * Math.cos(inclination) + z * Math.sin(inclination);
  return {
    semiMajorAxisAu: a, eccentricity, inclination, node, perihelion: Math.atan2(acrossNode, alongNode) - anomaly,
    meanAnomaly: eccentric - eccentricity * Math.sin(eccentric), epochMjdTai: mjdTai,
  };
}

/** Solves Kepler's equation M = E − e sin E by Newton's method; from E = π it converges for every e < 1. */
export function eccentricAnomaly(mean: number, e: number): number {
  const m = mean - 2 * Math.PI * Math.floor(mean / (2 * Math.PI));
  let eccentric = e < 0.8 ? m + e * Math.sin(m) : Math.PI;
  for (let step = 0; step < 20; step++) {
    const change = (eccentric - e * Math.sin(eccentric) - m) / (1 - e * Math.cos(eccentric));
    eccentric -= change;
    if (Math.abs(change) < 1e-13) break;
  }
  return eccentric;
}

/** The observatory from the Sun: Earth's centre and 6,378 km towards the zenith. */
export function observatoryHeliocentric(mjdTai: number): SpaceVector {
  const earth = earthHeliocentric(mjdTai), zenith = zenithAt(mjdTai);
  return [
    earth[0] + EARTH_RADIUS_AU * zenith[0], earth[1] + EARTH_RADIUS_AU * zenith[1],
    earth[2] + EARTH_RADIUS_AU * zenith[2],
  ];
}

export type Apparition = Readonly<{
  direction: UnitVector; sunDistanceAu: number; distanceAu: number; phaseDeg: number;
}>;

/** How a body is seen from a place in the solar system: astrometric, light time allowed for. */
export function seenFrom(observer: SpaceVector, orbit: Orbit, mjdTai: number): Apparition {
  let body = heliocentric(orbit, mjdTai), distanceAu = distanceOf(body, observer);
  for (let pass = 0; pass < 2; pass++) { // The second changes the light time by 1e-4 of itself: below 1 mas.
    body = heliocentric(orbit, mjdTai - LIGHT_DAYS_PER_AU * distanceAu);
    distanceAu = distanceOf(body, observer);
  }
  const [x, y, z] = body, sunDistanceAu = Math.hypot(x, y, z);
  const towards: SpaceVector = [x - observer[0], y - observer[1], z - observer[2]];
  const cosPhase = (x * towards[0] + y * towards[1] + z * towards[2]) / (sunDistanceAu * distanceAu);
  const phaseDeg = (Math.acos(Math.max(-1, Math.min(1, cosPhase))) * 180) / Math.PI;
  return { direction: unitOf(towards), sunDistanceAu, distanceAu, phaseDeg };
}

function distanceOf(a: SpaceVector, b: SpaceVector): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** Apparent V magnitude by the H, G system (Bowell et al. 1989) with G = 0.15. */
export function apparentMagnitude(absolute: number, seen: Apparition): number {
  const tangent = Math.tan((seen.phaseDeg * Math.PI) / 360);
  const phase = 0.85 * Math.exp(-3.33 * tangent ** 0.63) + 0.15 * Math.exp(-1.87 * tangent ** 1.22);
  return absolute + 5 * Math.log10(seen.sunDistanceAu * seen.distanceAu) - 2.5 * Math.log10(phase);
}
