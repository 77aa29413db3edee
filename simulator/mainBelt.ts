/**
 * The main belt: some twelve million bodies, of which a night makes only those that a field can show.
 *
 * They are drawn in blocks of mean longitude at the epoch, semi-major axis, inclination and absolute magnitude, each
 * from its own random stream. Blocks that cannot reach the field that night are passed over; bodies of the others are
 * dropped by a series for the true longitude (Murray & Dermott 1999, eq. 2.88) before anything costly is computed.
 */
import { solarSystemConfig } from './config.ts';
import { toEcliptic, type SpaceVector } from './ephemeris.ts';
import { GAUSS, observatoryHeliocentric, type Orbit } from './orbits.ts';
import type { UnitVector } from './projection.ts';
import { nextUint32, poisson, randomStream, type RandomStream } from './random.ts';

/** A body of the belt: the place that names it, and its orbit. */
export type BeltBody = Readonly<{ index: number; orbit: Orbit; absoluteMag: number }>;

const TWO_PI = 2 * Math.PI, RADIANS = Math.PI / 180, PER_UINT32 = 2 ** -32;
const LONGITUDES = 36, LONGITUDE_WIDTH = TWO_PI / LONGITUDES;
const ECCENTRICITY_MODE = 0.14, INCLINATION_MODE = 0.14;
/** What the series leaves out, radians: e⁴ (0.6° at 0.32), and what that moves a body's place as seen from Earth. */
const TOLERANCE = 1.5 * RADIANS;
/** Bodies of one block at most, some 2,000 in truth: a place has 14 bits of an index, a block 17. */
const BLOCK_MAX = 16_384;

/** Semi-major axes without the Kirkwood gaps at 2.50, 2.82 and 2.96 AU; bins of about 0.1 AU. */
const AXES: readonly (readonly [number, number])[] = [
  [2.1, 2.2], [2.2, 2.3], [2.3, 2.39], [2.39, 2.475], [2.525, 2.62], [2.62, 2.71], [2.71, 2.805], [2.845, 2.943],
  [2.973, 3.05], [3.05, 3.13], [3.13, 3.2], [3.2, 3.28],
];
const AXES_TOTAL = AXES.reduce((sum, [low, high]) => sum + high - low, 0);
const INCLINATIONS: readonly (readonly [number, number])[] = [
  [0, 4], [4, 8], [8, 12], [12, 17], [17, 23], [23, 30], [30, 90],
].map(([low, high]) => [low * RADIANS, high * RADIANS]);
const ECCENTRICITIES: readonly (readonly [number, number])[] = [[0, 0.1], [0.1, 0.2], [0.2, 0.32]];
const MAGNITUDES: readonly (readonly [number, number])[] =
  [[9, 15], [15, 17], [17, 18.5], [18.5, 19.5], [19.5, 20.3], [20.3, 21], [21, 21.6], [21.6, 22.3]];

/** Bodies brighter than an absolute magnitude: slope 0.5 to 15, then 0.3 (Gladman et al. 2009, Icarus 202, 104, §9). */
function brighterThan(absoluteMag: number): number {
  const { mainBeltTo15 } = solarSystemConfig, beyond = absoluteMag - 15;
  return beyond <= 0 ? mainBeltTo15 * 10 ** (0.5 * beyond)
    : mainBeltTo15 * (1 + (0.5 / 0.3) * (10 ** (0.3 * beyond) - 1));
}

/** Where bodies at one distance from the Sun must stand, seen from there, to be seen in the cone: radians, AU. */
type Place = Readonly<{ longitude: number; latitude: number; radius: number; distanceAu: number }>;

/** What bounds the places of a range of distances. */
type Bounds = Readonly<{ longitude: number; halfWidth: number; latitudeMin: number; nearestProduct: number }>;

/**
 * Bodies that may lie within a cone at a time and be brighter than the survey's limit: all that do, and a few that do
 * not.
 *
 * @param reach Radians.
 */
export function beltBodiesNear(seed: number, centre: UnitVector, reach: number, mjdTai: number): BeltBody[] {
  const places = placesOf(observatoryHeliocentric(mjdTai), centre, reach);
  const days = mjdTai - solarSystemConfig.epochMjdTai, bodies: BeltBody[] = [];
  let index = -1;
  for (const axes of AXES) {
    for (const eccentricities of ECCENTRICITIES) {
      const bounds = boundsOf(places, axes[0] * (1 - eccentricities[1]), axes[1] * (1 + eccentricities[1]));
      for (const magnitudes of MAGNITUDES) {
        const isTooFaint = magnitudes[0] + 5 * Math.log10(bounds.nearestProduct) > solarSystemConfig.faintMag;
        for (const inclinations of INCLINATIONS) {
          const isTooFlat = inclinations[1] < bounds.latitudeMin;
          for (let bin = 0; bin < LONGITUDES; bin++) {
            index++;
            if (isTooFaint || isTooFlat) continue;
            const block: Block = { index, magnitudes, axes, eccentricities, inclinations, bin };
            if (isWithinReach(block, bounds, days)) addBlock(seed, block, places, days, bodies);
          }
        }
      }
    }
  }
  return bodies;
}

type Range = readonly [number, number];
type Block = Readonly<{
  index: number; magnitudes: Range; axes: Range; eccentricities: Range; inclinations: Range; bin: number;
}>;

function isWithinReach(
  { axes, eccentricities: [, e], inclinations, bin }: Block, bounds: Bounds, days: number,
): boolean {
  const slowest = meanMotion(axes[1]) * days, fastest = meanMotion(axes[0]) * days;
  // True and mean longitude differ by 2 e + 11/48 e³ at most (Murray & Dermott 1999, eq. 2.88).
  const half = bounds.halfWidth + LONGITUDE_WIDTH / 2 + Math.abs(fastest - slowest) / 2 + 2 * e + e ** 3 / 4 + TOLERANCE
    + Math.tan(Math.min(inclinations[1], 1) / 2) ** 2;
  const middle = (bin + 0.5) * LONGITUDE_WIDTH + (slowest + fastest) / 2;
  return half >= Math.PI || Math.abs(wrapped(middle - bounds.longitude)) <= half;
}

/** Draws all bodies of a block, as far as each must be to be passed over. */
function addBlock(
  seed: number, { index, magnitudes, axes, eccentricities, inclinations, bin }: Block, places: readonly Place[],
  days: number,  bodies: BeltBody[],
): void {
  const random = randomStream(seed, 'main belt', index);
  const [below, above] = inclinations.map((value) => rayleighBelow(value, INCLINATION_MODE));
  const [rounder, flatter] = eccentricities.map((value) => rayleighBelow(value, ECCENTRICITY_MODE) / BELOW_MAX);
  const part = ((axes[1] - axes[0]) / AXES_TOTAL) * (above - below) * (flatter - rounder) / LONGITUDES;
  const wanted = (brighterThan(magnitudes[1]) - brighterThan(magnitudes[0])) * part;
  const count = Math.min(BLOCK_MAX, poisson(random, wanted));
  for (let k = 0; k < count; k++) {
    const longitude = (bin + quick(random)) * LONGITUDE_WIDTH, axis = axes[0] + (axes[1] - axes[0]) * quick(random);
    const round = quick(random), perihelion = TWO_PI * quick(random), tilt = quick(random);
    const node = TWO_PI * quick(random), size = quick(random), mean = longitude + meanMotion(axis) * days;
    const eccentricity = rayleighAt((rounder + (flatter - rounder) * round) * BELOW_MAX, ECCENTRICITY_MODE);
    const anomaly = mean - perihelion, e2 = eccentricity * eccentricity;
    const trueLongitude = mean + eccentricity * ((2 - e2 / 4) * Math.sin(anomaly)
      + eccentricity * (1.25 * Math.sin(2 * anomaly) + eccentricity * (13 / 12) * Math.sin(3 * anomaly)));
    const sunDistance = (axis * (1 - e2)) / (1 + eccentricity * Math.cos(trueLongitude - perihelion));
    const place = placeAt(places, sunDistance), room = place.radius + TOLERANCE;
    const inclination = rayleighAt(below + (above - below) * tilt, INCLINATION_MODE);
    // Longitudes along the orbit differ from those on the ecliptic by tan²(i/2) at most.
    const along = Math.min(Math.PI, room / Math.max(0.02, Math.cos(Math.abs(place.latitude) + room)))
      + Math.tan(inclination / 2) ** 2;
    if (Math.abs(wrapped(trueLongitude - place.longitude)) > along) continue;
    const latitude = Math.asin(Math.sin(inclination) * Math.sin(trueLongitude - node));
    if (Math.abs(latitude - place.latitude) > room) continue;
    const absoluteMag = magnitudeOf(magnitudes, size);
    // A tenth of a distance is what the series may be wrong by; phase makes fainter.
    if (absoluteMag + 5 * Math.log10(sunDistance * place.distanceAu) > solarSystemConfig.faintMag + 0.3) continue;
    bodies.push({
      index: index * BLOCK_MAX + k, absoluteMag,
      orbit: {
        semiMajorAxisAu: axis, eccentricity, inclination, node, perihelion: perihelion - node,
        meanAnomaly: longitude - perihelion, epochMjdTai: solarSystemConfig.epochMjdTai,
      },
    });
  }
}

function rayleighBelow(value: number, mode: number): number {
  return 1 - Math.exp(-0.5 * (value / mode) ** 2);
}

function rayleighAt(part: number, mode: number): number {
  return mode * Math.sqrt(-2 * Math.log(1 - part));
}

/** Part of a Rayleigh distribution below the largest eccentricity. */
const BELOW_MAX = rayleighBelow(ECCENTRICITIES[ECCENTRICITIES.length - 1][1], ECCENTRICITY_MODE);

/** Uniform in [0, 1) of 32 bits: 0.0003″ of longitude. */
function quick(random: RandomStream): number {
  return nextUint32(random) * PER_UINT32;
}

function magnitudeOf([bright, faint]: Range, part: number): number {
  const slope = faint <= 15 ? 0.5 : 0.3, low = 10 ** (slope * (bright - faint));
  return faint + Math.log10(low + (1 - low) * part) / slope;
}

/** Radians a day. */
function meanMotion(axis: number): number {
  return GAUSS / (axis * Math.sqrt(axis));
}

/** Into −π … π. */
function wrapped(angle: number): number {
  return angle - TWO_PI * Math.round(angle / TWO_PI);
}

/** Distances from the Sun that a body of the belt can have, AU: 2.1 (1 − 0.32) … 3.28 (1 + 0.32), in steps. */
const NEAREST = 1.42, FARTHEST = 4.34, PLACES = 147, PLACE_STEP = (FARTHEST - NEAREST) / (PLACES - 1);

function placeAt(places: readonly Place[], sunDistanceAu: number): Place {
  return places[Math.max(0, Math.min(PLACES - 1, Math.round((sunDistanceAu - NEAREST) / PLACE_STEP)))];
}

function placesOf(observer: SpaceVector, centre: UnitVector, reach: number): Place[] {
  const along = observer[0] * centre[0] + observer[1] * centre[1] + observer[2] * centre[2];
  const square = observer[0] ** 2 + observer[1] ** 2 + observer[2] ** 2;
  return Array.from({ length: PLACES }, (_, k): Place => {
    const r = NEAREST + k * PLACE_STEP;
    // Along the line of sight |observer + d centre| = r has one positive root for r > 1.1.
    const d = Math.sqrt(along * along - square + r * r) - along;
    const [x, y, z] = toEcliptic([observer[0] + d * centre[0], observer[1] + d * centre[1], observer[2] + d * centre[2]]);
    // From the Sun the cone's radius is at most so much of what it is from here, where it is cut aslant.
    const slant = Math.max(0.2, (r * r + d * d - square) / (2 * r * d));
    return {
      longitude: Math.atan2(y, x), latitude: Math.asin(z / r), radius: (reach * d) / r / slant, distanceAu: d,
    };
  });
}

/** Of bodies between two distances from the Sun, a step beyond on either side. */
function boundsOf(places: readonly Place[], nearest: number, farthest: number): Bounds {
  const first = Math.max(0, Math.floor((nearest - NEAREST) / PLACE_STEP) - 1);
  const some = places.slice(first, Math.ceil((farthest - NEAREST) / PLACE_STEP) + 2);
  const middle = some[some.length >> 1].longitude;
  const edges = some.flatMap(({ longitude, latitude, radius }) => {
    const nearPole = Math.abs(latitude) + radius + TOLERANCE;
    const half = nearPole > 1.4 ? Math.PI : radius / Math.cos(nearPole);
    return [wrapped(longitude - middle) - half, wrapped(longitude - middle) + half];
  });
  const low = Math.min(...edges), high = Math.max(...edges);
  return {
    longitude: middle + (low + high) / 2, halfWidth: (high - low) / 2,
    latitudeMin: Math.min(...some.map(({ latitude, radius }) => Math.abs(latitude) - radius)) - TOLERANCE,
    nearestProduct: (NEAREST + first * PLACE_STEP) * some[0].distanceAu,
  };
}
