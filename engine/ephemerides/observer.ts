/** Where the observer is: Earth's centre by the theory of the planets, and the site on the turning Earth. */
import type { Site } from '../../schemas/camera.ts';
import { TAI_MINUS_UTC_SECONDS } from '../../schemas/time.ts';
import { J2000_MJD, RADIANS, TT_MINUS_TAI_DAYS } from './constants.ts';
import { earthState } from './planets.ts';

/** Earth's figure (WGS 84): equatorial radius, au, and flattening. */
const EARTH_RADIUS_AU = 6378.137 / 149_597_870.7, FLATTENING = 1 / 298.257223563;
const METRES_PER_AU = 149_597_870_700;
/** Earth's rotation, radians a day of UT1: 2π × 1.00273781191135448 (IAU 2000). */
const ROTATION = 2 * Math.PI * 1.002_737_811_911_354_48;

/**
 * State of the observer about the Sun: [x, y, z, vx, vy, vz], axes of the ICRS, au, au/d.
 *
 * The site is good to 0.5 km: UT1 is taken for UTC (below 0.9 s, 0.4 km), nutation and polar motion are left out.
 * At 0.05 au that is 0.01″.
 *
 * @param site Null puts the observer at Earth's centre.
 */
export function observerState(mjdTai: number, site: Site | null): Float64Array {
  const state = new Float64Array(6), mjdTt = mjdTai + TT_MINUS_TAI_DAYS;
  earthState(mjdTt, state, 0);
  if (site === null) return state;
  const [x, y, z] = siteOfDate(site, mjdTai - TAI_MINUS_UTC_SECONDS / 86400, mjdTt);
  const toIcrs = precessionToIcrs((mjdTt - J2000_MJD) / 36525);
  const place = [x, y, z], motion = [-ROTATION * y, ROTATION * x, 0];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      state[row] += toIcrs[3 * row + column] * place[column];
      state[3 + row] += toIcrs[3 * row + column] * motion[column];
    }
  }
  return state;
}

/** The site from Earth's centre on the equator and mean equinox of date, au. */
function siteOfDate({ latitudeDeg, longitudeDeg, heightM }: Site, mjdUt1: number, mjdTt: number): number[] {
  const latitude = latitudeDeg * RADIANS, sin = Math.sin(latitude), cos = Math.cos(latitude);
  const shrink = (1 - FLATTENING) ** 2, curvature = EARTH_RADIUS_AU / Math.sqrt(cos * cos + shrink * sin * sin);
  const height = heightM / METRES_PER_AU, fromAxis = (curvature + height) * cos;
  const angle = siderealAngle(mjdUt1, (mjdTt - J2000_MJD) / 36525) + longitudeDeg * RADIANS;
  return [fromAxis * Math.cos(angle), fromAxis * Math.sin(angle), (curvature * shrink + height) * sin];
}

/** Greenwich mean sidereal time, radians (Capitaine et al. 2003, A&A 412, 567, eq. 42, to the square). */
function siderealAngle(mjdUt1: number, t: number): number {
  const days = mjdUt1 - J2000_MJD, turns = (mjdUt1 % 1) - 0.5 + 0.779_057_273_264 + 0.002_737_811_911_354_48 * days;
  return 2 * Math.PI * (turns % 1) + ((0.014506 + 4612.156534 * t + 1.3915817 * t * t) / 3600) * RADIANS;
}

/** From the mean equator and equinox of date to the ICRS, rows first (Capitaine et al. 2003, eq. 40, to the square). */
function precessionToIcrs(t: number): readonly number[] {
  const arcsec = RADIANS / 3600;
  const zeta = (2.650545 + 2306.083227 * t + 0.2988499 * t * t) * arcsec;
  const z = (-2.650545 + 2306.077181 * t + 1.0927348 * t * t) * arcsec;
  const theta = (2004.191903 * t - 0.4294934 * t * t) * arcsec;
  const [cosZeta, sinZeta] = [Math.cos(zeta), Math.sin(zeta)], [cosZ, sinZ] = [Math.cos(z), Math.sin(z)];
  const [cosTheta, sinTheta] = [Math.cos(theta), Math.sin(theta)];
  return [
    cosZeta * cosTheta * cosZ - sinZeta * sinZ, cosZeta * cosTheta * sinZ + sinZeta * cosZ, cosZeta * sinTheta,
    -sinZeta * cosTheta * cosZ - cosZeta * sinZ, -sinZeta * cosTheta * sinZ + cosZeta * cosZ, -sinZeta * sinTheta,
    -sinTheta * cosZ, -sinTheta * sinZ, cosTheta,
  ];
}
