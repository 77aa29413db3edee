/** Orbital elements to states and back, for ellipses, parabolas and hyperbolas alike. */
import { GAUSS, OBLIQUITY, RADIANS, SUN_GM } from './constants.ts';
import { advance } from './kepler.ts';

/**
 * Heliocentric elements on the ecliptic of J2000, in the comets' form, which holds for every eccentricity: au, degrees,
 * MJD (TT). They osculate at `epochMjdTt`.
 */
export type Elements = Readonly<{
  q: number; e: number; i: number; node: number; argperi: number; timeOfPerihelionMjdTt: number; epochMjdTt: number;
}>;

/** Mean motion, degrees a day; null when the orbit is not closed. */
export function meanMotion({ q, e }: Pick<Elements, 'q' | 'e'>): number | null {
  return e < 1 ? (GAUSS * ((1 - e) / q) ** 1.5) / RADIANS : null;
}

/** Time of the perihelion that is nearest to the epoch. @param meanAnomalyDeg At the epoch, any revolution. */
export function timeOfPerihelion(q: number, e: number, meanAnomalyDeg: number, epochMjdTt: number): number {
  const motion = meanMotion({ q, e });
  if (motion === null) throw new Error(`an orbit of eccentricity ${e} has no mean anomaly`);
  return epochMjdTt - (meanAnomalyDeg - 360 * Math.round(meanAnomalyDeg / 360)) / motion;
}

/**
 * State at the epoch: axes of the ICRS, au, au/d. @param out [≥ at + 6] written at `at`.
 */
export function stateOfElements(elements: Elements, out: Float64Array, at: number): void {
  const { q, e } = elements;
  const [p, w] = perihelionAxes(elements);
  const speed = Math.sqrt((SUN_GM * (1 + e)) / q);
  for (let k = 0; k < 3; k++) {
    out[at + k] = q * p[k];
    out[at + 3 + k] = speed * w[k];
  }
  advance(out, at, elements.epochMjdTt - elements.timeOfPerihelionMjdTt, out, at);
}

/** Directions to the perihelion and of the motion there, on the axes of the ICRS. */
function perihelionAxes({ i, node, argperi }: Elements): [number[], number[]] {
  const cosI = Math.cos(i * RADIANS), sinI = Math.sin(i * RADIANS);
  const cosNode = Math.cos(node * RADIANS), sinNode = Math.sin(node * RADIANS);
  const cosPeri = Math.cos(argperi * RADIANS), sinPeri = Math.sin(argperi * RADIANS);
  return [
    toEquator([
      cosPeri * cosNode - sinPeri * sinNode * cosI, cosPeri * sinNode + sinPeri * cosNode * cosI, sinPeri * sinI,
    ]),
    toEquator([
      -sinPeri * cosNode - cosPeri * sinNode * cosI, -sinPeri * sinNode + cosPeri * cosNode * cosI, cosPeri * sinI,
    ]),
  ];
}

function toEquator([x, y, z]: readonly number[]): number[] {
  const cos = Math.cos(OBLIQUITY), sin = Math.sin(OBLIQUITY);
  return [x, y * cos - z * sin, y * sin + z * cos];
}

/** Ecliptic of J2000 of a vector on the ICRS. */
export function toEcliptic([x, y, z]: readonly [number, number, number]): [number, number, number] {
  const cos = Math.cos(OBLIQUITY), sin = Math.sin(OBLIQUITY);
  return [x, y * cos + z * sin, z * cos - y * sin];
}

/** Elements that osculate with a state. @param state [≥ at + 6] axes of the ICRS, au, au/d. Read only. */
export function elementsOfState(state: Float64Array, at: number, epochMjdTt: number): Elements {
  const [x, y, z] = toEcliptic([state[at], state[at + 1], state[at + 2]]);
  const [vx, vy, vz] = toEcliptic([state[at + 3], state[at + 4], state[at + 5]]);
  const r = Math.hypot(x, y, z);
  const hx = y * vz - z * vy, hy = z * vx - x * vz, hz = x * vy - y * vx, h = Math.hypot(hx, hy, hz);
  const ex = (vy * hz - vz * hy) / SUN_GM - x / r, ey = (vz * hx - vx * hz) / SUN_GM - y / r;
  const ez = (vx * hy - vy * hx) / SUN_GM - z / r;
  const e = Math.hypot(ex, ey, ez), q = (h * h) / SUN_GM / (1 + e);
  const node = Math.atan2(hx, -hy), i = Math.atan2(Math.hypot(hx, hy), hz);
  // Angles in the orbit's plane from the ascending node.
  const nx = Math.cos(node), ny = Math.sin(node), mx = -ny * Math.cos(i), my = nx * Math.cos(i), mz = Math.sin(i);
  const argperi = Math.atan2(ex * mx + ey * my + ez * mz, ex * nx + ey * ny);
  const anomaly = Math.atan2(x * mx + y * my + z * mz, x * nx + y * ny) - argperi;
  return {
    q, e, i: i / RADIANS, node: degrees(node), argperi: degrees(argperi), epochMjdTt,
    timeOfPerihelionMjdTt: epochMjdTt - sincePerihelion(q, e, anomaly),
  };
}

/** Days since the nearest perihelion. @param anomaly True anomaly, radians, any revolution. */
function sincePerihelion(q: number, e: number, anomaly: number): number {
  const half = Math.tan(anomaly / 2);
  if (Math.abs(e - 1) < 1e-9) return (Math.SQRT2 * q ** 1.5 * (half + half ** 3 / 3)) / GAUSS;
  if (e < 1) {
    const eccentric = 2 * Math.atan(Math.sqrt((1 - e) / (1 + e)) * half);
    return (eccentric - e * Math.sin(eccentric)) / (GAUSS * ((1 - e) / q) ** 1.5);
  }
  const hyperbolic = 2 * Math.atanh(Math.sqrt((e - 1) / (e + 1)) * half);
  return (e * Math.sinh(hyperbolic) - hyperbolic) / (GAUSS * ((e - 1) / q) ** 1.5);
}

function degrees(radians: number): number {
  const value = radians / RADIANS;
  return value < 0 ? value + 360 : value;
}
