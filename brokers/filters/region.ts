/** Parts of the sky that a filter is limited to: cones, polygons, coverage maps, and lists of watched positions. */
import { isInRanges, parseMoc } from './moc.ts';

/** A position, degrees. */
type Position = Readonly<{ ra: number; dec: number }>;

/** As users write it, in JSON; degrees and arcseconds. */
export type SkyRegion =
  | (Position & Readonly<{ kind: 'cone'; radiusArcsec: number }>)
  /** Corners in either order; the smaller part that the great circles between them enclose, under a hemisphere. */
  | Readonly<{ kind: 'polygon'; corners: readonly (readonly [ra: number, dec: number])[] }>
  /** ASCII form of the IVOA's multi-order coverage maps. */
  | Readonly<{ kind: 'moc'; moc: string }>
  /** A watch list: within a distance of any of its positions. */
  | Readonly<{ kind: 'watchList'; radiusArcsec: number; targets: readonly (Position & Readonly<{ name: string }>)[] }>;

export type RegionTest = (raDeg: number, decDeg: number) => boolean;

/** Targets of a watch list, corners of a polygon: what a request of `requestBodyBytesMax` can hold. */
const TARGETS_MAX = 5000;
const CORNERS_MAX = 1000;
const RADIUS_ARCSEC_MAX = 324_000;
const RADIANS = Math.PI / 180;

/**
 * A test of whether a position lies in a region, boundary included.
 *
 * @throws Error of one line that names what is wrong: `region.targets[3].ra is not a number from 0 to 360`.
 */
export function compileRegion(region: unknown): RegionTest {
  const { kind, ...rest } = record(region, 'region');
  switch (kind) {
    case 'cone': {
      assertKeys(rest, ['ra', 'dec', 'radiusArcsec']);
      return nearAny([positionOf(rest, 'region')], radiusOf(rest));
    }
    case 'watchList': {
      assertKeys(rest, ['radiusArcsec', 'targets']);
      const targets = list(rest['targets'], 'region.targets', 1, TARGETS_MAX);
      return nearAny(targets.map((target, i) => {
        const named = record(target, `region.targets[${i}]`);
        if (typeof named['name'] !== 'string' || named['name'].length > 100) {
          throw new Error(`region.targets[${i}].name is not a text of at most 100 characters`);
        }
        return positionOf(named, `region.targets[${i}]`);
      }), radiusOf(rest));
    }
    case 'polygon': {
      assertKeys(rest, ['corners']);
      return inPolygon(list(rest['corners'], 'region.corners', 3, CORNERS_MAX).map((corner, i) => {
        const [ra, dec] = list(corner, `region.corners[${i}]`, 2, 2);
        return vectorOf(positionOf({ ra, dec }, `region.corners[${i}]`));
      }));
    }
    case 'moc': {
      assertKeys(rest, ['moc']);
      if (typeof rest['moc'] !== 'string') throw new Error('region.moc is not a text');
      const ranges = parseMoc(rest['moc']);
      return (ra, dec) => isInRanges(ranges, ra, dec);
    }
    default:
      throw new Error('region.kind is none of cone, polygon, moc, watchList');
  }
}

type Vector = readonly [x: number, y: number, z: number];

function vectorOf({ ra, dec }: Position): Vector {
  const cosDec = Math.cos(dec * RADIANS);
  return [cosDec * Math.cos(ra * RADIANS), cosDec * Math.sin(ra * RADIANS), Math.sin(dec * RADIANS)];
}

/** Within a radius of any of the positions; they are sorted by declination, so that a long list costs little. */
function nearAny(positions: readonly Position[], radiusArcsec: number): RegionTest {
  const sorted = positions.map((position) => ({ dec: position.dec, vector: vectorOf(position) }))
    .sort((a, b) => a.dec - b.dec);
  const radiusDeg = radiusArcsec / 3600;
  const chordMax = 2 * Math.sin((radiusDeg * RADIANS) / 2);
  const squareMax = chordMax * chordMax * (1 + 1e-12); // The boundary belongs to it, whatever the rounding.
  return (ra, dec) => {
    const [x, y, z] = vectorOf({ ra, dec });
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle].dec < dec - radiusDeg - 1e-9) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < sorted.length && sorted[i].dec <= dec + radiusDeg + 1e-9; i++) {
      const [tx, ty, tz] = sorted[i].vector;
      if ((x - tx) ** 2 + (y - ty) ** 2 + (z - tz) ** 2 <= squareMax) return true;
    }
    return false;
  };
}

/** Even–odd, in the plane that touches the sphere at the centre of the corners: there great circles are straight. */
function inPolygon(corners: readonly Vector[]): RegionTest {
  const centre = corners.reduce<Vector>((sum, c) => [sum[0] + c[0], sum[1] + c[1], sum[2] + c[2]], [0, 0, 0]);
  const size = Math.hypot(...centre);
  if (size < 1e-9 || corners.some((corner) => dot(corner, centre) <= 0)) {
    throw new Error('region.corners are spread over a hemisphere or more');
  }
  const east = unit(cross(Math.abs(centre[2]) < 0.9 * size ? [0, 0, 1] : [1, 0, 0], centre));
  const north = unit(cross(centre, east));
  const place = (v: Vector): readonly [number, number] => {
    const depth = dot(v, centre);
    return [dot(v, east) / depth, dot(v, north) / depth];
  };
  const plane = corners.map(place);
  return (ra, dec) => {
    const vector = vectorOf({ ra, dec });
    if (dot(vector, centre) <= 0) return false;
    const [px, py] = place(vector);
    let isInside = false;
    for (let i = 0, j = plane.length - 1; i < plane.length; j = i++) {
      const [xi, yi] = plane[i], [xj, yj] = plane[j];
      if (yi > py !== yj > py && px < ((xj - xi) * (py - yi)) / (yj - yi) + xi) isInside = !isInside;
    }
    return isInside;
  };
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function unit(v: Vector): Vector {
  const size = Math.hypot(...v);
  return [v[0] / size, v[1] / size, v[2] / size];
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is not a record`);
  return value as Readonly<Record<string, unknown>>; // Each entry is looked at before it is used.
}

function list(value: unknown, what: string, least: number, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw new Error(`${what} is not a list of ${least} to ${most}`);
  }
  return value;
}

function positionOf(value: Readonly<Record<string, unknown>>, what: string): Position {
  return { ra: numberOf(value['ra'], `${what}.ra`, 0, 360), dec: numberOf(value['dec'], `${what}.dec`, -90, 90) };
}

function radiusOf(value: Readonly<Record<string, unknown>>): number {
  return numberOf(value['radiusArcsec'], 'region.radiusArcsec', 0, RADIUS_ARCSEC_MAX);
}

function numberOf(value: unknown, what: string, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new Error(`${what} is not a number from ${least} to ${most}`);
}

function assertKeys(value: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const foreign = Object.keys(value).find((key) => !known.includes(key));
  if (foreign === undefined) return;
  throw new Error(`region has ${known.join(', ')}, not ${JSON.stringify(foreign.slice(0, 40))}`);
}
