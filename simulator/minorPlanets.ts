/** Minor planets: a seeded population on Keplerian orbits, and those of it that one exposure meets. */
import { BANDS } from '../schemas/units.ts';
import { solarSystemConfig } from './config.ts';
import { beltBodiesNear } from './mainBelt.ts';
import { apparentMagnitude, heliocentric, observatoryHeliocentric, seenFrom, type Orbit } from './orbits.ts';
import { angleBetween, type UnitVector } from './projection.ts';
import { normal, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';
import { unitOf } from './ephemeris.ts';

export type MinorPlanetClass = 'mainBelt' | OtherClass;
type OtherClass = keyof typeof solarSystemConfig.counts;

export type MinorPlanet = Readonly<{
  id: bigint; designation: string; class: MinorPlanetClass; orbit: Orbit;
  /** Absolute magnitude in V, and the colours of its surface: magnitude in each band minus V. */
  absoluteMag: number; colours: readonly number[];
}>;

/** A minor planet in an exposure: where the shutter opens on it and where it closes. */
export type MovingSource = Readonly<{
  planet: MinorPlanet; start: UnitVector; end: UnitVector; middle: UnitVector; mags: readonly number[];
  /** Speed on the sky, degrees a day. */
  degreesPerDay: number;
}>;

const CLASS_CODE: Readonly<Record<MinorPlanetClass, number>> = {
  mainBelt: 0, nearEarth: 1, trojan: 2, transNeptunian: 3,
};
/** Ids of minor planets have this above 56 bits; those of the stars' cells have zero there. */
const MINOR_PLANET_ID = 1n << 56n;
/** Fastest that a body of the class moves on the sky, degrees a day; near-Earth ones know no bound. */
const SPEED_LIMIT: Readonly<Record<MinorPlanetClass, number>> =
  { mainBelt: 0.6, nearEarth: Infinity, trojan: 0.25, transNeptunian: 0.07 };

let population: Readonly<{ seed: number; planets: readonly MinorPlanet[] }> | null = null;

/** The whole population of a seed but the main belt; the last one is kept. */
export function minorPlanets(seed: number): readonly MinorPlanet[] {
  if (population?.seed !== seed) population = { seed, planets: populate(seed) };
  return population.planets;
}

function populate(seed: number): MinorPlanet[] {
  const { counts } = solarSystemConfig;
  return (Object.keys(counts) as OtherClass[]).flatMap((name) => { // Keys are the classes by its type.
    const random = randomStream(seed, 'minor planets', CLASS_CODE[name]);
    return Array.from({ length: counts[name] }, (_, index) => minorPlanet(random, name, index));
  });
}

function minorPlanet(random: RandomStream, name: OtherClass, index: number): MinorPlanet {
  const [shape, absoluteMag] = SHAPES[name](random);
  const isRocky = uniform(random) < 0.5;
  const node = uniformBetween(random, 0, 2 * Math.PI), perihelion = uniformBetween(random, 0, 2 * Math.PI);
  const anywhere = uniformBetween(random, 0, 2 * Math.PI);
  const meanAnomaly = name === 'trojan' ? trojanLongitude(random) - node - perihelion : anywhere;
  const orbit: Orbit = { ...shape, node, perihelion, meanAnomaly, epochMjdTai: solarSystemConfig.epochMjdTai };
  return planetOf(name, index, orbit, absoluteMag, isRocky);
}

function planetOf(
  name: MinorPlanetClass, index: number, orbit: Orbit, absoluteMag: number, isRocky: boolean,
): MinorPlanet {
  const id = MINOR_PLANET_ID | (BigInt(CLASS_CODE[name]) << 32n) | BigInt(index);
  const colours = isRocky ? S_TYPE : C_TYPE;
  return { id, designation: `${name}-${index}`, class: name, orbit, absoluteMag, colours };
}

/** Surfaces of S and C type: magnitude in each band minus V, the Sun's colours reddened. */
const S_TYPE = [1.9, 0.45, -0.22, -0.41, -0.38, -0.36], C_TYPE = [1.6, 0.32, -0.17, -0.3, -0.32, -0.33];

/** Mean longitude 60° ahead of Jupiter (six in ten) or behind it, and what libration adds. */
function trojanLongitude(random: RandomStream): number {
  const side = uniform(random) < 0.6 ? 60 : -60;
  return ((solarSystemConfig.jupiterLongitudeDeg + side + 12 * normal(random)) * Math.PI) / 180;
}

type Shape = Pick<Orbit, 'semiMajorAxisAu' | 'eccentricity' | 'inclination'>;

/** Semi-major axis, eccentricity, inclination and absolute magnitude, after the distributions of the known bodies. */
const SHAPES: Readonly<Record<OtherClass, (random: RandomStream) => [Shape, number]>> = {
  nearEarth: (random) => {
    const perihelionAu = uniformBetween(random, 0.4, 1.3), eccentricity = Math.min(0.9, 0.2 + 0.5 * uniform(random));
    const shape = {
      semiMajorAxisAu: perihelionAu / (1 - eccentricity), eccentricity, inclination: rayleigh(random, 0.17),
    };
    return [shape, brightnessOf(random, 16, 23, 0.4)];
  },
  trojan: (random) =>
    [shapeOf(random, 5.2 + 0.06 * normal(random), 0.07, 0.17, 0.2), brightnessOf(random, 9, 15.5, 0.4)],
  transNeptunian: (random) =>
    [shapeOf(random, uniformBetween(random, 38, 48), 0.1, 0.12, 0.3), brightnessOf(random, 4, 8.5, 0.6)],
};

function shapeOf(
  random: RandomStream, semiMajorAxisAu: number, eccentricityMode: number, inclinationMode: number,
  eccentricityMax: number,
): Shape {
  const eccentricity = Math.min(eccentricityMax, rayleigh(random, eccentricityMode));
  return { semiMajorAxisAu, eccentricity, inclination: rayleigh(random, inclinationMode) };
}

function rayleigh(random: RandomStream, mode: number): number {
  return mode * Math.sqrt(-2 * Math.log(1 - uniform(random)));
}

/** Counts ∝ 10^(slope H) between two limits. */
function brightnessOf(random: RandomStream, bright: number, faint: number, slope: number): number {
  const low = 10 ** (slope * (bright - faint));
  return faint + Math.log10(low + (1 - low) * uniform(random)) / slope;
}

/** Bodies near one place of the sky on one night, so that an exposure need not solve every orbit. */
let nearby: Readonly<{ key: string; planets: readonly MinorPlanet[] }> | null = null;

/** Bodies that may come within a radius, and a degree more, of a place on the day of a time. */
export function planetsNear(
  seed: number, centre: UnitVector, radius: number, mjdTai: number,
): readonly MinorPlanet[] {
  // A degree more than asked: dithers, and parallax.
  const day = Math.floor(mjdTai) + 0.5, reach = radius + Math.PI / 180;
  const key = `${seed}/${day}/${centre.map((value) => value.toFixed(3)).join()}/${radius.toFixed(4)}`;
  if (nearby?.key === key) return nearby.planets;
  const observer = observatoryHeliocentric(day);
  // Half of the belt's surfaces are of either type.
  const belt = beltBodiesNear(seed, centre, reach, day).map(({ index, orbit, absoluteMag }) =>
    planetOf('mainBelt', index, orbit, absoluteMag, index % 2 === 0));
  const planets = [...minorPlanets(seed), ...belt].filter((planet) => {
    const speed = SPEED_LIMIT[planet.class];
    if (speed === Infinity) return true;
    const [x, y, z] = heliocentric(planet.orbit, day); // Light time moves a body by less than the margin.
    const direction = unitOf([x - observer[0], y - observer[1], z - observer[2]]);
    return angleBetween(direction, centre) < reach + (0.6 * speed * Math.PI) / 180;
  });
  nearby = { key, planets };
  return planets;
}

/**
 * Minor planets within a cone during an exposure, brighter than the population's limit.
 *
 * @param field Centre of the whole camera's field, which the detectors of a visit share.
 * @param fieldRadius, radius Radians.
 */
export function movingSources(
  seed: number, field: UnitVector, fieldRadius: number, centre: UnitVector, radius: number, startMjdTai: number,
  seconds: number,
): MovingSource[] {
  const planets = planetsNear(seed, field, fieldRadius, startMjdTai + seconds / 172_800);
  return exposedBodies(planets, centre, radius, startMjdTai, seconds);
}

/** Those of some bodies that are within a cone at the middle of an exposure, and how they move through it. */
export function exposedBodies(
  planets: readonly MinorPlanet[], centre: UnitVector, radius: number, startMjdTai: number, seconds: number,
): MovingSource[] {
  const days = seconds / 86400, middleMjd = startMjdTai + days / 2;
  const [atStart, atMiddle, atEnd] = [startMjdTai, middleMjd, startMjdTai + days].map(observatoryHeliocentric);
  return planets.flatMap((planet): MovingSource[] => {
    const seen = seenFrom(atMiddle, planet.orbit, middleMjd);
    if (angleBetween(seen.direction, centre) > radius) return [];
    const visual = apparentMagnitude(planet.absoluteMag, seen);
    if (visual > solarSystemConfig.faintMag) return [];
    const start = seenFrom(atStart, planet.orbit, startMjdTai).direction;
    const end = seenFrom(atEnd, planet.orbit, startMjdTai + days).direction;
    const degreesPerDay = days === 0 ? 0 : (angleBetween(start, end) * 180) / Math.PI / days;
    const mags = BANDS.map((_, band) => visual + planet.colours[band]);
    return [{ planet, start, end, middle: seen.direction, mags, degreesPerDay }];
  });
}
