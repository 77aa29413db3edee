/**
 * Minor planets of the demonstration: as many on its small fields as the real sky has on an ecliptic field, whatever
 * the field's latitude. Each crosses its field on a day of its own, on a Keplerian orbit that holds for all nights.
 */
import { demonstrationBodyConfig as config } from './config.ts';
import { equatorial, unitOf, type SpaceVector } from './ephemeris.ts';
import type { MinorPlanet } from './minorPlanets.ts';
import { apparentMagnitude, observatoryHeliocentric, orbitOfState, seenFrom } from './orbits.ts';
import { ARCSEC_PER_RADIAN, fromTangent, tangentPlane } from './projection.ts';
import { randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';
import type { Field } from './schedule.ts';

/** Ids have this above 56 bits, and a class of their own above 32. */
const DEMONSTRATION_ID = (1n << 56n) | (8n << 32n);
const GAUSS = 0.01720209895;

let kept: Readonly<{ key: string; bodies: readonly MinorPlanet[] }> | null = null;

/** Bodies that may be in a field on the night around a time: those that cross it up to some days before or after. */
export function demonstrationBodies(seed: number, field: Field, mjdTai: number): readonly MinorPlanet[] {
  // A night lasts from noon to noon, so no night sees two sets.
  const day = Math.floor(mjdTai - 0.5), key = `${seed}/${field.raDeg}/${field.decDeg}/${day}`;
  if (kept?.key === key) return kept.bodies;
  const bodies: MinorPlanet[] = [];
  for (let crossing = day - config.daysAround; crossing <= day + config.daysAround; crossing++) {
    const random = randomStream(
      seed, 'demonstration bodies', crossing, Math.round(field.raDeg * 1e4), Math.round((field.decDeg + 90) * 1e4),
    );
    for (let index = 0; index < config.crossingsPerDay; index++) bodies.push(bodyOf(random, field, crossing, index));
  }
  kept = { key, bodies };
  return bodies;
}

function bodyOf(random: RandomStream, field: Field, day: number, index: number): MinorPlanet {
  const mjdTai = day + 0.5 + uniform(random), observer = observatoryHeliocentric(mjdTai);
  const radius = (config.fieldRadiusArcsec / ARCSEC_PER_RADIAN) * Math.sqrt(uniform(random));
  const angle = uniformBetween(random, 0, 2 * Math.PI);
  const towards = fromTangent(
    tangentPlane(field.raDeg, field.decDeg), radius * Math.sin(angle), radius * Math.cos(angle),
  );
  const sunDistanceAu = uniformBetween(random, config.sunDistanceMinAu, config.sunDistanceMaxAu);
  // Where the line of sight comes that far from the Sun: the farther of the two places.
  const along = dot(observer, towards);
  const distance = -along + Math.sqrt(along * along + sunDistanceAu * sunDistanceAu - dot(observer, observer));
  const place: SpaceVector = [
    observer[0] + distance * towards[0], observer[1] + distance * towards[1], observer[2] + distance * towards[2],
  ];
  const orbit = orbitOfState(place, velocityAt(random, place, sunDistanceAu), mjdTai);
  const mag = config.brightMag + (config.faintMag - config.brightMag) * Math.sqrt(uniform(random));
  const isRocky = uniform(random) < 0.5;
  return {
    id: DEMONSTRATION_ID | (BigInt(day) << 6n) | BigInt(index),
    designation: `D${day.toString(36)}${index.toString(36)}`, class: 'mainBelt', orbit,
    absoluteMag: mag - apparentMagnitude(0, seenFrom(observer, orbit, mjdTai)),
    colours: isRocky ? [1.9, 0.45, -0.22, -0.41, -0.38, -0.36] : [1.6, 0.32, -0.17, -0.3, -0.32, -0.33],
  };
}

/** Of a nearly round orbit: across the line to the Sun, eastwards within 25° of the parallel of latitude. */
function velocityAt(random: RandomStream, place: SpaceVector, sunDistanceAu: number): SpaceVector {
  const outward = unitOf(place), pole = equatorial([0, 0, 1]);
  const east = unitOf(cross(pole, outward)), north = cross(outward, east);
  const tilt = uniformBetween(random, -0.44, 0.44), speed = (GAUSS / Math.sqrt(sunDistanceAu))
    * uniformBetween(random, 0.94, 1.06), radial = uniformBetween(random, -0.1, 0.1);
  const part = (k: 0 | 1 | 2): number =>
    speed * (Math.cos(tilt) * east[k] + Math.sin(tilt) * north[k] + radial * outward[k]);
  return [part(0), part(1), part(2)];
}

function dot(a: readonly [number, number, number], b: readonly [number, number, number]): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function cross(a: SpaceVector, b: SpaceVector): SpaceVector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
