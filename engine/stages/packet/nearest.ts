/** The catalogued stars and galaxies nearest to a diaSource (DMS-REQ-0271). */
import type { ObjectCatalogue } from '../../image/objectCatalogue.ts';
import {
  NEIGHBOURS_MAX, NEIGHBOUR_RADIUS_ARCSEC, type Neighbour, type Neighbours,
} from '../../../schemas/neighbours.ts';

const DEGREE = Math.PI / 180;
const REACH_DEG = NEIGHBOUR_RADIUS_ARCSEC / 3600;

/**
 * The three nearest stars and three nearest galaxies within 60″ of a position, ICRS degrees; nearest first, equally
 * near ones by objectId. The order of the catalogue does not matter.
 */
export function nearestNeighbours(catalogue: ObjectCatalogue, raDeg: number, decDeg: number): Neighbours {
  const stars: Found[] = [], galaxies: Found[] = [];
  const { decDeg: decs, raDeg: ras, objectId, isGalaxy } = catalogue;
  // Beyond this difference in right ascension nothing is near; at the poles everything may be.
  const cosDec = Math.cos((Math.abs(decDeg) + REACH_DEG) * DEGREE);
  const raReach = cosDec > REACH_DEG ? (1.01 * REACH_DEG) / cosDec : 360, isSmall = raReach < 1;
  /** Looks at an object; false when neither it nor what lies farther along the declination can be near. */
  const look = (i: number): boolean => {
    const north = Math.abs(decs[i] - decDeg);
    if (north > Math.max(reachOf(stars), reachOf(galaxies))) return false;
    const difference = Math.abs(ras[i] - raDeg), apart = Math.min(difference, 360 - difference);
    if (apart > raReach) return true;
    const found = isGalaxy[i] === 1 ? galaxies : stars, reach = reachOf(found), east = apart * cosDec;
    // Most are farther than those already found by what costs no sine: sin x > 0.999 x for the differences here.
    if (isSmall && east * east + north * north > reach * reach) return true;
    const distanceArcsec = separation(raDeg, decDeg, ras[i], decs[i]);
    if (distanceArcsec <= NEIGHBOUR_RADIUS_ARCSEC) insert(found, { index: i, distanceArcsec, objectId: objectId[i] });
    return true;
  };
  const middle = lowerBound(decs, decDeg);
  for (let i = middle; i < decs.length && look(i);) i++;
  for (let i = middle - 1; i >= 0 && look(i);) i--;
  const told = (found: readonly Found[]): Neighbour[] =>
    found.map((each) => neighbourOf(catalogue, raDeg, decDeg, each));
  return { stars: told(stars), galaxies: told(galaxies) };
}

/** Beyond this many degrees nothing is nearer than those that were found, with room for what rounding does. */
function reachOf(found: readonly Found[]): number {
  return 1.001 * (found.length < NEIGHBOURS_MAX ? REACH_DEG : found[NEIGHBOURS_MAX - 1].distanceArcsec / 3600);
}

type Found = Readonly<{ index: number; distanceArcsec: number; objectId: bigint }>;

/** Keeps the nearest `NEIGHBOURS_MAX`. */
function insert(found: Found[], next: Found): void {
  let at = found.length;
  while (at > 0 && isNearer(next, found[at - 1])) at--;
  found.splice(at, 0, next);
  if (found.length > NEIGHBOURS_MAX) found.pop();
}

function isNearer(a: Found, b: Found): boolean {
  return a.distanceArcsec < b.distanceArcsec || (a.distanceArcsec === b.distanceArcsec && a.objectId < b.objectId);
}

function neighbourOf(
  { raDeg: ras, decDeg: decs, rMag, radiusArcsec, isGalaxy }: ObjectCatalogue, raDeg: number, decDeg: number,
  { index, distanceArcsec, objectId }: Found,
): Neighbour {
  const deltaRa = (ras[index] - raDeg) * DEGREE, dec = decDeg * DEGREE, otherDec = decs[index] * DEGREE;
  const east = Math.sin(deltaRa) * Math.cos(otherDec);
  const north = Math.cos(dec) * Math.sin(otherDec) - Math.sin(dec) * Math.cos(otherDec) * Math.cos(deltaRa);
  const angle = Math.atan2(east, north) / DEGREE;
  return {
    objectId, distanceArcsec, positionAngleDeg: angle < 0 ? angle + 360 : angle,
    rMag: orNull(rMag[index]), radiusArcsec: isGalaxy[index] === 1 ? orNull(radiusArcsec[index]) : null,
  };
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** By haversines, which are exact for small angles; arcsec. */
function separation(ra1: number, dec1: number, ra2: number, dec2: number): number {
  const sinDec = Math.sin(((dec2 - dec1) * DEGREE) / 2), sinRa = Math.sin(((ra2 - ra1) * DEGREE) / 2);
  const h = sinDec ** 2 + Math.cos(dec1 * DEGREE) * Math.cos(dec2 * DEGREE) * sinRa ** 2;
  return ((2 * Math.asin(Math.min(1, Math.sqrt(h)))) / DEGREE) * 3600;
}

/** First index whose value is not below `value`. */
function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}
