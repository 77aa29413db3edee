/** The orbits that a night's observers know: what the simulator draws, as elements of that night. */
import type { DayObs } from '../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../schemas/time.ts';
import { demonstrationBodies } from './demonstrationBodies.ts';
import { equatorial, type SpaceVector } from './ephemeris.ts';
import { planetsNear, type MinorPlanet } from './minorPlanets.ts';
import type { SkyModel } from './model.ts';
import { perihelionDirections } from './orbits.ts';
import { unitVector } from './projection.ts';
import type { Field } from './schedule.ts';

const GAUSS = 0.01720209895, TT_MINUS_TAI_DAYS = 32.184 / 86400, DEGREES = 180 / Math.PI;
/** Obliquity to which published elements are referred (IAU 1976). */
const ELEMENTS_OBLIQUITY = 84381.448 / 3600 / DEGREES;

const HEADER = 'designation,packed,epochMjdTt,q,e,i,node,argperi,timeOfPerihelionMjdTt,h,g';

/**
 * Every body that a night may show in its fields; CSV as `schemas/products.ts` says. Of the survey's main belt these
 * are a few thousand of millions.
 *
 * @param fieldRadius Of the whole camera, radians.
 */
export function makeOrbitFile(
  seed: number, fields: readonly Field[], fieldRadius: number, dayObs: DayObs, sky: SkyModel,
): string {
  const midnight = mjdTaiOfDayObs(dayObs) + 0.5;
  const planets = fields.flatMap((field) => {
    if (sky !== 'survey') return demonstrationBodies(seed, field, midnight);
    // Bodies near a field are drawn for whole days of UT: a night has a part of two.
    const centre = unitVector(field.raDeg, field.decDeg);
    return [-0.25, 0.25].flatMap((days) => planetsNear(seed, centre, fieldRadius, midnight + days));
  });
  const distinct = new Map(planets.map((planet) => [planet.id, planet]));
  return encodeOrbitFile([...distinct.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), midnight);
}

/**
 * Elements that osculate at a time. The simulator's bodies do not feel the planets: a catalogue of any other epoch
 * would be moved away from them by who follows it rightly.
 */
export function encodeOrbitFile(planets: readonly MinorPlanet[], mjdTai: number): string {
  return `${[HEADER, ...planets.map((planet) => lineOf(planet, mjdTai))].join('\n')}\n`;
}

function lineOf({ designation, class: kind, orbit, absoluteMag }: MinorPlanet, mjdTai: number): string {
  const { semiMajorAxisAu: a, eccentricity: e } = orbit, motion = GAUSS / (a * Math.sqrt(a));
  const mean = orbit.meanAnomaly + motion * (mjdTai - orbit.epochMjdTai), turn = 2 * Math.PI;
  const epoch = mjdTai + TT_MINUS_TAI_DAYS, sincePerihelion = (mean - turn * Math.round(mean / turn)) / motion;
  const [towards, across] = perihelionDirections(orbit).map((vector) => ecliptic(equatorial(vector)));
  const hx = towards[1] * across[2] - towards[2] * across[1], hy = towards[2] * across[0] - towards[0] * across[2];
  const hz = towards[0] * across[1] - towards[1] * across[0];
  return [
    designation, packedOf(designation, kind), epoch, a * (1 - e), e,
    degrees(Math.atan2(Math.hypot(hx, hy), hz)), degrees(Math.atan2(hx, -hy)),
    degrees(Math.atan2(towards[2], across[2])), epoch - sincePerihelion, absoluteMag.toFixed(4), 0.15,
  ].join(',');
}

const CLASS_LETTER: Readonly<Record<MinorPlanet['class'], string>> =
  { mainBelt: 'M', nearEarth: 'N', trojan: 'J', transNeptunian: 'T' };

/** Seven characters at most, as the Minor Planet Center's: a letter of the class and the number, base 36. */
function packedOf(designation: string, kind: MinorPlanet['class']): string {
  const number = /-(\d+)$/.exec(designation);
  return number ? `${CLASS_LETTER[kind]}${Number(number[1]).toString(36).padStart(5, '0')}` : designation;
}

function ecliptic([x, y, z]: SpaceVector): SpaceVector {
  const cos = Math.cos(ELEMENTS_OBLIQUITY), sin = Math.sin(ELEMENTS_OBLIQUITY);
  return [x, y * cos + z * sin, z * cos - y * sin];
}

function degrees(radians: number): number {
  return (radians < 0 ? radians + 2 * Math.PI : radians) * DEGREES;
}
