/**
 * Our orbits against the planets of astronomy-engine 2.1.19 (MIT licence; VSOP87): `planets.json` holds each planet's heliocentric state (AU, AU a day, equator of J2000) at
 * the middle of a month and its topocentric astrometric directions through it, as
 * `HelioState(body, t)` and `Equator(body, t, new Observer(-30.2446, -70.7494, 2660), false, false)` gave them for
 * t = AstroTime.FromTerrestrialTime(mjdTai + 32.184 / 86400 − 51544.5). Venus is left out: next
 * to Earth it is pulled off its ellipse by 2″.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { earthHeliocentric, toEcliptic } from '../../simulator/ephemeris.ts';
import { observatoryHeliocentric, seenFrom, type Orbit } from '../../simulator/orbits.ts';
import { angleBetween, type UnitVector } from '../../simulator/projection.ts';

type Month = Readonly<{
  body: string; middle: number; state: readonly [number, number, number, number, number, number];
  seen: readonly (readonly [number, number, number, number])[];
}>;
// Written by the recipe above.
const months = JSON.parse(readFileSync(join(import.meta.dirname, 'planets.json'), 'utf8')) as readonly Month[];

const GAUSS = 0.01720209895, ARCSEC = 206_264.8;
type Vector = readonly [number, number, number];
const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vector, b: Vector): Vector =>
  [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** The ellipse through a place and velocity (Danby 1988, §6.3). @param mass Of the body, in Suns. */
function osculating(r: Vector, v: Vector, epochMjdTai: number, mass: number): Orbit {
  const mu = GAUSS * GAUSS * (1 + mass), h = cross(r, v), distance = Math.hypot(...r), vh = cross(v, h);
  const towards: Vector = [0, 1, 2].map((i) => vh[i] / mu - r[i] / distance) as unknown as Vector; // Three of them.
  const node: Vector = [-h[1], h[0], 0], size = Math.hypot(...h), eccentricity = Math.hypot(...towards);
  const angle = (a: Vector, b: Vector): number => Math.atan2(dot(cross(a, b), h) / size, dot(a, b));
  const anomaly = angle(towards, r), half = Math.sqrt((1 - eccentricity) / (1 + eccentricity));
  const eccentric = 2 * Math.atan(half * Math.tan(anomaly / 2));
  const semiMajorAxisAu = 1 / (2 / distance - dot(v, v) / mu);
  return {
    semiMajorAxisAu, eccentricity, inclination: Math.acos(h[2] / size), node: Math.atan2(node[1], node[0]),
    perihelion: angle(node, towards), meanAnomaly: eccentric - eccentricity * Math.sin(eccentric), epochMjdTai,
  };
}

/** Masses in Suns: they matter to Jupiter and Saturn alone. */
const MASSES: Readonly<Record<string, number>> = { Mars: 0, Jupiter: 1 / 1047.3486, Saturn: 1 / 3497.898 };

test.each(months)('$body about MJD $middle is for a month where its orbit has it, from the observatory, to 1″', (month) => {
  const { body, middle, state: [x, y, z, vx, vy, vz], seen } = month;
  const heavy = osculating(toEcliptic([x, y, z]), toEcliptic([vx, vy, vz]), middle, MASSES[body]);
  const motion = Math.sqrt(1 + MASSES[body]);
  for (const [day, ...direction] of seen) {
    const mjd = middle + day;
    // Our bodies have no mass of their own: a heavy one is faster by half of it, which its mean anomaly is given.
    const orbit = { ...heavy, meanAnomaly: heavy.meanAnomaly
      + (motion - 1) * GAUSS * heavy.semiMajorAxisAu ** -1.5 * day };
    const ours = seenFrom(observatoryHeliocentric(mjd), orbit, mjd).direction;
    expect(angleBetween(ours, direction as UnitVector) * ARCSEC, `day ${day}`).toBeLessThan(1);
  }
});

test('the observatory\'s own place on Earth shifts a planet at 1 AU by a parallax of up to 8.8″', () => {
  const shifts = months.flatMap(({ middle, seen }) => seen.map(([day, ...direction]) => {
    const from = observatoryHeliocentric(middle + day), earth = earthHeliocentric(middle + day);
    const off: Vector = [from[0] - earth[0], from[1] - earth[1], from[2] - earth[2]];
    return Math.hypot(...cross(off, direction)) * ARCSEC;
  }));
  expect(Math.max(...shifts)).toBeGreaterThan(4);
  expect(Math.max(...shifts)).toBeLessThan(8.8);
});
