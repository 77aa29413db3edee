/**
 * The planets by the whole of VSOP87 (Bretagnon & Francou 1988, A&A 202, 309; version B). Against ERFA's `epv00`,
 * which is good to 5 km, Earth lies within 0.03″ as seen from the Sun over 2026 … 2030. (The truncated series of
 * astronomy-engine 2.1 are 1.1″ off in the root mean square and 2.1″ at worst: too much for a gate of 1″.)
 */
import earth from 'astronomia/data/vsop87Bearth';
import jupiter from 'astronomia/data/vsop87Bjupiter';
import mars from 'astronomia/data/vsop87Bmars';
import mercury from 'astronomia/data/vsop87Bmercury';
import neptune from 'astronomia/data/vsop87Bneptune';
import saturn from 'astronomia/data/vsop87Bsaturn';
import uranus from 'astronomia/data/vsop87Buranus';
import venus from 'astronomia/data/vsop87Bvenus';
import { J2000_MJD, SUN_GM } from './constants.ts';

/** Mass of the Sun over that of a planet with its moons (IAU 2009). */
const PERTURBERS = [
  [mercury, 6_023_600], [venus, 408_523.719], [earth, 328_900.5596], [mars, 3_098_703.59], [jupiter, 1_047.348644],
  [saturn, 3_497.9018], [uranus, 22_902.98], [neptune, 19_412.26],
] as const;

export const PLANET_COUNT = PERTURBERS.length;
/** GM of each planet, au³ / d². */
export const PLANET_GM: Float64Array = Float64Array.from(PERTURBERS, ([, ratio]) => SUN_GM / ratio);

/** One coordinate: terms of each power of time, three numbers a term. */
type Coordinate = readonly Float64Array[];
type Planet = Readonly<{ longitude: Coordinate; latitude: Coordinate; radius: Coordinate }>;

const PLANETS: readonly Planet[] = PERTURBERS.map(([theory]) => ({
  longitude: flat(theory.L), latitude: flat(theory.B), radius: flat(theory.R),
}));
const EARTH = PERTURBERS.findIndex(([theory]) => theory === earth);

function flat(series: typeof earth.L): Coordinate {
  return Object.keys(series).map((power) => Float64Array.from(series[power].flat()));
}

/**
 * State of Earth's centre about the Sun.
 *
 * @param out [≥ at + 6] written at `at`: au, au/d, axes of the ICRS.
 */
export function earthState(mjdTt: number, out: Float64Array, at: number): void {
  planetState(PLANETS[EARTH], mjdTt, out, at);
}

/** States of all planets. @param out [≥ at + 6 × PLANET_COUNT] written from `at` on, in the order of `PLANET_GM`. */
export function planetStates(mjdTt: number, out: Float64Array, at: number): void {
  PLANETS.forEach((planet, k) => planetState(planet, mjdTt, out, at + 6 * k));
}

const value: [number, number] = [0, 0];

function planetState(planet: Planet, mjdTt: number, out: Float64Array, at: number): void {
  const millennia = (mjdTt - J2000_MJD) / 365_250;
  sum(planet.longitude, millennia);
  const [l, lDot] = value;
  sum(planet.latitude, millennia);
  const [b, bDot] = value;
  sum(planet.radius, millennia);
  const [r, rDot] = value;
  const cosL = Math.cos(l), sinL = Math.sin(l), cosB = Math.cos(b), sinB = Math.sin(b);
  toIcrs(r * cosB * cosL, r * cosB * sinL, r * sinB, out, at);
  const across = rDot * cosB - r * sinB * bDot; // Rate of the distance from the axis of the ecliptic.
  const vx = across * cosL - r * cosB * sinL * lDot, vy = across * sinL + r * cosB * cosL * lDot;
  toIcrs(vx / 365_250, vy / 365_250, (rDot * sinB + r * cosB * bDot) / 365_250, out, at + 3);
}

/** Sum of A cos(B + C τ) τⁿ and its rate a millennium, into `value`. */
function sum(coordinate: Coordinate, tau: number): void {
  let total = 0, rate = 0;
  for (let power = coordinate.length - 1; power >= 0; power--) {
    const terms = coordinate[power];
    let part = 0, partRate = 0;
    for (let i = 0; i < terms.length; i += 3) {
      const angle = terms[i + 1] + terms[i + 2] * tau;
      part += terms[i] * Math.cos(angle);
      partRate -= terms[i] * terms[i + 2] * Math.sin(angle);
    }
    rate = rate * tau + total + partRate;
    total = total * tau + part;
  }
  value[0] = total;
  value[1] = rate;
}

/** From the dynamical ecliptic and equinox of J2000 to the axes of FK5, which the ICRS keeps (Meeus, p. 174). */
function toIcrs(x: number, y: number, z: number, out: Float64Array, at: number): void {
  out[at] = x + 4.4036e-7 * y - 1.90919e-7 * z;
  out[at + 1] = -4.79966e-7 * x + 0.917482137087 * y - 0.397776982902 * z;
  out[at + 2] = 0.397776982902 * y + 0.917482137087 * z;
}
