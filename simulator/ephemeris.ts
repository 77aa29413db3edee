/**
 * Where Earth, Sun and Moon are, and how the sky turns over the observatory.
 *
 * Earth follows VSOP87 (Bretagnon & Francou 1988, A&A 202, 309) with the terms that Meeus (Astronomical Algorithms,
 * 2nd ed., appendix III) prints: good to 1″ from the Sun, which an asteroid shows as less. The Moon follows
 * the leading terms of his chapter 47: 0.3°, enough for the light of its glow.
 */
import { TAI_MINUS_UTC_SECONDS } from '../schemas/time.ts';
import type { UnitVector } from './projection.ts';

/** A place in the solar system: heliocentric or geocentric, AU, axes of the ICRS. */
export type SpaceVector = readonly [number, number, number];

const RADIANS = Math.PI / 180;
/** Of J2000.0, TT. */
const J2000_MJD = 51544.5;
const TT_MINUS_TAI_DAYS = 32.184 / 86400;
/** Obliquity of the ecliptic of J2000.0 (IAU 2006). */
const OBLIQUITY = 84381.406 / 3600 * RADIANS;

/** From where the series, the leap seconds and the ids hold: 2017-01-01 … 2054-12-31, MJD. */
export const EPHEMERIS_FIRST_MJD = 57754, EPHEMERIS_LAST_MJD = 71953;

/** @throws Error of one line when a time lies outside the ephemeris. */
export function requireEphemeris(mjdTai: number): void {
  if (!(mjdTai >= EPHEMERIS_FIRST_MJD && mjdTai < EPHEMERIS_LAST_MJD + 1)) {
    throw new Error(`MJD ${mjdTai} is outside the ephemeris, which holds from 2017-01-01 to 2054-12-31`);
  }
}

/** Amplitude (1e-8), phase (rad), frequency (rad per Julian millennium), three numbers a term. */
type Series = readonly number[];

const L: readonly Series[] = [[
  175347046, 0, 0, 3341656, 4.6692568, 6283.07585, 34894, 4.6261, 12566.1517, 3497, 2.7441, 5753.3849, 3418, 2.8289,
  3.5231,
  3136, 3.6277, 77713.7715, 2676, 4.4181, 7860.4194, 2343, 6.1352, 3930.2097, 1324, 0.7425, 11506.7698, 1273, 2.0371,
  529.691,
  1199, 1.1096, 1577.3435, 990, 5.233, 5884.927, 902, 2.045, 26.298, 857, 3.508, 398.149, 780, 1.179, 5223.694,
  753, 2.533, 5507.553, 505, 4.583, 18849.228, 492, 4.205, 775.523, 357, 2.92, 0.067, 317, 5.849, 11790.629,
  284, 1.899, 796.298, 271, 0.315, 10977.079, 243, 0.345, 5486.778, 206, 4.806, 2544.314, 205, 1.869, 5573.143,
  202, 2.458, 6069.777, 156, 0.833, 213.299, 132, 3.411, 2942.463, 126, 1.083, 20.775, 115, 0.645, 0.98,
  103, 0.636, 4694.003, 102, 0.976, 15720.839, 102, 4.267, 7.114, 99, 6.21, 2146.17, 98, 0.68, 155.42, 86, 5.98,
  161000.69,
  85, 1.3, 6275.96, 85, 3.67, 71430.7, 80, 1.81, 17260.15, 79, 3.04, 12036.46, 75, 1.76, 5088.63, 74, 3.5, 3154.69,
  74, 4.68, 801.82, 70, 0.83, 9437.76, 62, 3.98, 8827.39, 61, 1.82, 7084.9, 57, 2.78, 6286.6, 56, 4.39, 14143.5,
  56, 3.47, 6279.55, 52, 0.19, 12139.55, 52, 1.33, 1748.02, 51, 0.28, 5856.48, 49, 0.49, 1194.45, 41, 5.37, 8429.24,
  41, 2.4, 19651.05, 39, 6.17, 10447.39, 37, 6.04, 10213.29, 37, 2.57, 1059.38, 36, 1.71, 2352.87, 36, 1.78, 6812.77,
  33, 0.59, 17789.85, 30, 0.44, 83996.85, 30, 2.74, 1349.87, 25, 3.16, 4690.48,
], [
  628331966747, 0, 0, 206059, 2.678235, 6283.07585, 4303, 2.6351, 12566.1517, 425, 1.59, 3.523, 119, 5.796, 26.298,
  109, 2.966, 1577.344, 93, 2.59, 18849.23, 72, 1.14, 529.69, 68, 1.87, 398.15, 67, 4.41, 5507.55, 59, 2.89, 5223.69,
  56, 2.17, 155.42, 45, 0.4, 796.3, 36, 0.47, 775.52, 29, 2.65, 7.11, 21, 5.34, 0.98, 19, 1.85, 5486.78, 19, 4.97,
  213.3,
  17, 2.99, 6275.96, 16, 0.03, 2544.31, 16, 1.43, 2146.17, 15, 1.21, 10977.08, 12, 2.83, 1748.02, 12, 3.26, 5088.63,
  12, 5.27, 1194.45, 12, 2.08, 4694, 11, 0.77, 553.57, 10, 1.3, 6286.6, 10, 4.24, 1349.87,
], [
  52919, 0, 0, 8720, 1.0721, 6283.0758, 309, 0.867, 12566.152, 27, 0.05, 3.52, 16, 5.19, 26.3, 16, 3.68, 155.42, 10,
  0.76, 18849.23,
], [289, 5.844, 6283.076, 35, 0, 0, 17, 5.49, 12566.15]];

const B: readonly Series[] = [
  [280, 3.199, 84334.662, 102, 5.422, 5507.553, 80, 3.88, 5223.69, 44, 3.7, 2352.87, 32, 4, 1577.34],
  [9, 3.9, 5507.55, 6, 1.73, 5223.69],
];

const R: readonly Series[] = [[
  100013989, 0, 0, 1670700, 3.0984635, 6283.07585, 13956, 3.05525, 12566.1517, 3084, 5.1985, 77713.7715,
  1628, 1.1739, 5753.3849, 1576, 2.8469, 7860.4194, 925, 5.453, 11506.77, 542, 4.564, 3930.21, 472, 3.661, 5884.927,
  346, 0.964, 5507.553, 329, 5.9, 5223.694, 307, 0.299, 5573.143, 243, 4.273, 11790.629, 212, 5.847, 1577.344,
  186, 5.022, 10977.079, 175, 3.012, 18849.228, 110, 5.055, 5486.778, 98, 0.89, 6069.78, 86, 5.69, 15720.84,
  86, 1.27, 161000.69, 65, 0.27, 17260.15, 63, 0.92, 529.69, 57, 2.01, 83996.85, 56, 5.24, 71430.7, 49, 3.25, 2544.31,
  47, 2.58, 775.52, 45, 5.54, 9437.76, 43, 6.01, 6275.96, 39, 5.36, 4694, 38, 2.39, 8827.39, 37, 0.83, 19651.05,
  37, 4.9, 12139.55, 36, 1.67, 12036.46, 35, 1.84, 2942.46, 33, 0.24, 7084.9, 32, 0.18, 5088.63, 32, 1.78, 398.15,
], [
  103019, 1.10749, 6283.07585, 1721, 1.0644, 12566.1517, 702, 3.142, 0, 32, 1.02, 18849.23, 31, 2.84, 5507.55,
  25, 1.32, 5223.69,
],
[4359, 5.7846, 6283.0758, 124, 5.579, 12566.152, 12, 3.14, 0]];

function sumSeries(series: readonly Series[], tau: number): number {
  let total = 0;
  for (let power = series.length - 1; power >= 0; power--) {
    let sum = 0;
    const terms = series[power];
    for (let i = 0; i < terms.length; i += 3) sum += terms[i] * Math.cos(terms[i + 1] + terms[i + 2] * tau);
    total = total * tau + sum;
  }
  return total * 1e-8;
}

/** Earth from the Sun. */
export function earthHeliocentric(mjdTai: number): SpaceVector {
  const centuries = (mjdTai + TT_MINUS_TAI_DAYS - J2000_MJD) / 36525, tau = centuries / 10;
  // The series are of the ecliptic and equinox of date; general precession in longitude and the ecliptic's own motion
  // take them to J2000 (Meeus, eq. 21.5 to 21.7, first orders).
  const longitude = sumSeries(L, tau), latitude = sumSeries(B, tau), radius = sumSeries(R, tau);
  return equatorial(eclipticOfJ2000(longitude, latitude, centuries), radius);
}

/** Ecliptic longitude and latitude of date to a unit vector on the ecliptic of J2000. */
function eclipticOfJ2000(longitude: number, latitude: number, t: number): SpaceVector {
  const arcsec = RADIANS / 3600;
  const eta = (47.0029 * t - 0.03302 * t * t) * arcsec, node = (174.876384 * 3600 - 869.8089 * t) * arcsec;
  const precession = (5029.0966 * t + 1.11113 * t * t) * arcsec;
  // Towards the ascending node of the ecliptic of date on that of J2000; it is left where it is and the rest turned by
  // eta.
  const fromNode = longitude - precession - node;
  const x = Math.cos(latitude) * Math.cos(fromNode), y = Math.cos(latitude) * Math.sin(fromNode);
  const z = Math.sin(latitude);
  const y0 = y * Math.cos(eta) - z * Math.sin(eta), z0 = y * Math.sin(eta) + z * Math.cos(eta);
  return [x * Math.cos(node) - y0 * Math.sin(node), x * Math.sin(node) + y0 * Math.cos(node), z0];
}

/** From the ecliptic of J2000 to the axes of the ICRS, times a length. */
export function equatorial([x, y, z]: SpaceVector, length = 1): SpaceVector {
  const cos = Math.cos(OBLIQUITY), sin = Math.sin(OBLIQUITY);
  return [length * x, length * (y * cos - z * sin), length * (y * sin + z * cos)];
}

/** From the axes of the ICRS to the ecliptic of J2000. */
export function toEcliptic([x, y, z]: SpaceVector): SpaceVector {
  const cos = Math.cos(OBLIQUITY), sin = Math.sin(OBLIQUITY);
  return [x, y * cos + z * sin, z * cos - y * sin];
}

export function unitOf([x, y, z]: SpaceVector): UnitVector {
  const length = Math.hypot(x, y, z);
  return [x / length, y / length, z / length];
}

export function sunDirection(mjdTai: number): UnitVector {
  const [x, y, z] = earthHeliocentric(mjdTai);
  return unitOf([-x, -y, -z]);
}

/** Direction of the Moon, and its phase angle in degrees: 0 full, 180 new. */
export function moonAt(mjdTai: number): { direction: UnitVector; phaseDeg: number } {
  const t = (mjdTai + TT_MINUS_TAI_DAYS - J2000_MJD) / 36525;
  const mean = (218.3165 + 481267.8813 * t) * RADIANS, d = (297.8502 + 445267.1115 * t) * RADIANS;
  const sunAnomaly = (357.5291 + 35999.0503 * t) * RADIANS, anomaly = (134.9634 + 477198.8676 * t) * RADIANS;
  const f = (93.2721 + 483202.0175 * t) * RADIANS;
  const longitude = mean
    + RADIANS * (6.289 * Math.sin(anomaly) + 1.274 * Math.sin(2 * d - anomaly) + 0.658 * Math.sin(2 * d)
    + 0.214 * Math.sin(2 * anomaly) - 0.185 * Math.sin(sunAnomaly) - 0.114 * Math.sin(2 * f) + 0.059 * Math.sin(
      2 * d - 2 * anomaly,
    ));
  const latitude = RADIANS * (5.128 * Math.sin(f) + 0.281 * Math.sin(anomaly + f) + 0.278 * Math.sin(anomaly - f)
    + 0.173 * Math.sin(2 * d - f));
  const direction = equatorial(eclipticOfJ2000(longitude, latitude, t));
  const sun = sunDirection(mjdTai);
  const elongation = Math.acos(direction[0] * sun[0] + direction[1] * sun[1] + direction[2] * sun[2]);
  return { direction, phaseDeg: 180 - elongation / RADIANS };
}

/** Cerro Pachón: latitude and longitude (east), degrees. */
export const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494 } as const;

/**
 * Unit vector to the zenith of the observatory, on the ICRS: sidereal time and latitude give it on the equator of date,
 * precession (Lieske 1979) takes it to that of J2000. Without nutation, aberration and UT1 − UTC: good to 40″.
 */
export function zenithAt(mjdTai: number): UnitVector {
  const mjdUt = mjdTai - TAI_MINUS_UTC_SECONDS / 86400, t = (mjdUt - J2000_MJD) / 36525, arcsec = RADIANS / 3600;
  const zeta = (2306.2181 * t + 0.30188 * t * t) * arcsec, z = (2306.2181 * t + 1.09468 * t * t) * arcsec;
  const theta = (2004.3109 * t - 0.42665 * t * t) * arcsec, dec = SITE.latitudeDeg * RADIANS;
  const siderealDeg = 280.46061837 + 360.98564736629 * (mjdUt - J2000_MJD) + 0.000387933 * t * t + SITE.longitudeDeg;
  const fromNode = siderealDeg * RADIANS - z; // Meeus, eq. 21.4, run backwards.
  const a = Math.cos(dec) * Math.sin(fromNode);
  const b = Math.cos(theta) * Math.cos(dec) * Math.cos(fromNode) + Math.sin(theta) * Math.sin(dec);
  const c = -Math.sin(theta) * Math.cos(dec) * Math.cos(fromNode) + Math.cos(theta) * Math.sin(dec);
  return [b * Math.cos(zeta) + a * Math.sin(zeta), a * Math.cos(zeta) - b * Math.sin(zeta), c];
}

/** Altitude above the horizon, degrees, without refraction. */
export function altitudeDeg(place: UnitVector, zenith: UnitVector): number {
  const sine = place[0] * zenith[0] + place[1] * zenith[1] + place[2] * zenith[2];
  return Math.asin(Math.max(-1, Math.min(1, sine))) / RADIANS;
}

/** Air masses at an altitude (Kasten & Young 1989, Appl. Opt. 28, 4735). */
export function airmassAt(altitude: number): number {
  return 1 / (Math.sin(altitude * RADIANS) + 0.50572 * (altitude + 6.07995) ** -1.6364);
}
