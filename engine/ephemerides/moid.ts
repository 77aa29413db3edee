/** Least distance between the orbits of a body and of Earth, and what an encounter there would be. */
import type { MpcOrbit, SsObject } from '../../schemas/ssRows.ts';
import { GAUSS, KM_S_PER_AU_DAY, RADIANS } from './constants.ts';

export type Encounter = Pick<SsObject, 'MOIDEarth' | 'MOIDEarthDeltaV' | 'MOIDEarthEclipticLongitude'
  | 'MOIDEarthTrueAnomaly' | 'MOIDEarthTrueAnomalyObject'>;

/** Shape of an orbit on the ecliptic of J2000: au, directions to the perihelion and a quarter of a turn on. */
type Shape = Readonly<{ p: number; e: number; towards: readonly number[]; across: readonly number[] }>;

/** Earth's orbit at J2000 (Simon et al. 1994): its perihelion lies at longitude 102.937°. */
const EARTH: Shape = shapeOf(0.98329134, 0.01670863, 0, 0, 102.93734808);

/** True anomalies of the body at which the search begins, and the passes that halve its steps. */
const STEPS = 720, PASSES = 40;

/**
 * Every place of the body's orbit is compared with the nearest of Earth's, then the best few are refined together.
 * Encounters nearer to each other than 0.5° of anomaly are one.
 *
 * @returns Null when the orbit is not told.
 */
export function moidWithEarth({ q, e, i, node, argperi }: MpcOrbit): Encounter | null {
  if (q === null || e === null || i === null || node === null || argperi === null) return null;
  const body = shapeOf(q, e, i, node, argperi);
  // A hyperbola or parabola ends at its asymptotes.
  const span = e < 1 ? Math.PI : 0.999 * Math.acos(-1 / e);
  let best = { distance: Infinity, own: 0, earth: 0 };
  let before = Infinity, last = Infinity;
  for (let k = 0; k <= STEPS + 1; k++) {
    const anomaly = -span + (2 * span * k) / STEPS, distance = toEarth(body, anomaly).distance;
    if (last <= before && last <= distance) {
      const found = refined(body, -span + (2 * span * (k - 1)) / STEPS, (2 * span) / STEPS);
      if (found.distance < best.distance) best = found;
    }
    before = last;
    last = distance;
  }
  return encounter(body, best);
}

type Approach = Readonly<{ distance: number; own: number; earth: number }>;

/** Earth's nearest place to a place of the body: first at its longitude, then by steps that halve. */
function toEarth(body: Shape, own: number): Approach {
  const [x, y, z] = placeOf(body, own);
  let earth = Math.atan2(
    x * EARTH.across[0] + y * EARTH.across[1], x * EARTH.towards[0] + y * EARTH.towards[1],
  );
  let distance = separation(placeOf(EARTH, earth), x, y, z);
  for (let step = 0.05; step > 1e-7; step /= 2) {
    for (const next of [earth - step, earth + step]) {
      const there = separation(placeOf(EARTH, next), x, y, z);
      if (there < distance) { distance = there; earth = next; }
    }
  }
  return { distance, own, earth };
}

function refined(body: Shape, from: number, width: number): Approach {
  let best = toEarth(body, from), step = width;
  for (let pass = 0; pass < PASSES; pass++) {
    let isBetter = false;
    for (const next of [best.own - step, best.own + step]) {
      const there = toEarth(body, next);
      if (there.distance < best.distance) { best = there; isBetter = true; }
    }
    if (!isBetter) step /= 2;
  }
  return best;
}

function encounter(body: Shape, { distance, own, earth }: Approach): Encounter {
  const a = velocityOf(body, own), b = velocityOf(EARTH, earth), [x, y] = placeOf(EARTH, earth);
  return {
    MOIDEarth: distance, MOIDEarthDeltaV: Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) * KM_S_PER_AU_DAY,
    MOIDEarthEclipticLongitude: degrees(Math.atan2(y, x)), MOIDEarthTrueAnomaly: degrees(earth),
    MOIDEarthTrueAnomalyObject: degrees(own),
  };
}

function shapeOf(q: number, e: number, i: number, node: number, argperi: number): Shape {
  const cosI = Math.cos(i * RADIANS), sinI = Math.sin(i * RADIANS);
  const cosNode = Math.cos(node * RADIANS), sinNode = Math.sin(node * RADIANS);
  const cosPeri = Math.cos(argperi * RADIANS), sinPeri = Math.sin(argperi * RADIANS);
  const [pc, ps, qs, qc] = [cosPeri, sinPeri * cosI, -sinPeri, cosPeri * cosI];
  return {
    p: q * (1 + e), e,
    towards: [pc * cosNode - ps * sinNode, pc * sinNode + ps * cosNode, sinPeri * sinI],
    across: [qs * cosNode - qc * sinNode, qs * sinNode + qc * cosNode, cosPeri * sinI],
  };
}

function placeOf({ p, e, towards, across }: Shape, anomaly: number): readonly number[] {
  const cos = Math.cos(anomaly), sin = Math.sin(anomaly), r = p / (1 + e * cos);
  return [0, 1, 2].map((k) => r * (cos * towards[k] + sin * across[k]));
}

function velocityOf({ p, e, towards, across }: Shape, anomaly: number): readonly number[] {
  const scale = GAUSS / Math.sqrt(p);
  return [0, 1, 2].map((k) => scale * (-Math.sin(anomaly) * towards[k] + (e + Math.cos(anomaly)) * across[k]));
}

function separation(place: readonly number[], x: number, y: number, z: number): number {
  return Math.hypot(place[0] - x, place[1] - y, place[2] - z);
}

function degrees(radians: number): number {
  return (((radians / RADIANS) % 360) + 360) % 360;
}
