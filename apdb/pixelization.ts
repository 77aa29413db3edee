/** Sky pixels of the tables: HEALPix, nested (Górski et al. 2005, ApJ 622, 759). */
import { ang2vec, fxy2nest, max_pixrad, pix2vec_nest } from '@hscmap/healpix';
import type { V3 } from '@hscmap/healpix';
import type { Cone } from './apdb.ts';

/**
 * Order of the `pixelId` columns: pixels of 26″. The library's nested indices hold to this order (31 bits), and
 * they fit an SQL integer. Stored rows depend on it: a change is a migration.
 */
export const PIXEL_ORDER = 13;

/** Pixels `from` ≤ p < `to` at `PIXEL_ORDER`. */
export type PixelRange = Readonly<{ from: number; to: number }>;

const NSIDE = 2 ** PIXEL_ORDER;
const BASE_PIXEL_COUNT = 12;

/**
 * The pixels of a cover are at most this fraction of the cone's radius. With 1/16 a field takes some 100 ranges, and
 * its rim adds a quarter to the area.
 */
const COVER_PIXEL_FRACTION = 1 / 16;

/** Added to every radius against rounding, radians: 0.02″, far below a pixel. An arc near 180° is known to 2e-8. */
const SLACK_RADIANS = 1e-7;

/**
 * The pixel of a position. Górski et al. 2005, §4.1 and equations 2–11, for single points. (The library's own function
 * sends the corners of base pixels, such as RA 0 at z = 2/3, to the wrong end of theirs.)
 * @throws when the position is not one: rows without a position cannot be found again.
 */
export function pixelOf(raDeg: number, decDeg: number): number {
  if (!Number.isFinite(raDeg) || !(Math.abs(decDeg) <= 90)) {
    throw new Error(`position (${raDeg}, ${decDeg}) is not on the sky`);
  }
  const z = Math.sin(radians(decDeg));
  const quarterTurns = wrapped(raDeg) / 90;
  return Math.abs(z) <= 2 / 3 ? equatorialPixel(z, quarterTurns) : polarPixel(decDeg, quarterTurns);
}

/**
 * Ranges that hold every pixel with a point in the cone, and some around it; ascending, disjoint, not adjacent.
 *
 * Pixels are divided, from the twelve of the whole sky on, until they lie in the cone or are small beside it; one is
 * dropped when the circle around it misses the cone. (The library's own discs lose pixels at the poles.)
 */
export function coverOf(cone: Cone): readonly PixelRange[] {
  const center = ang2vec(radians(90 - cone.decDeg), radians(wrapped(cone.raDeg)));
  const radius = Math.min(radians(cone.radiusDeg), Math.PI) + SLACK_RADIANS;
  const lastOrder = coverOrder(cone.radiusDeg);
  const ranges: { from: number; to: number }[] = [];
  const visit = (order: number, pixel: number) => {
    const pixelRadius = max_pixrad(2 ** order);
    const separation = arcBetween(center, pix2vec_nest(2 ** order, pixel));
    if (separation > radius + pixelRadius) return;
    if (order < lastOrder && separation + pixelRadius > radius) {
      for (let child = 4 * pixel; child < 4 * pixel + 4; child++) visit(order + 1, child);
      return;
    }
    const scale = 4 ** (PIXEL_ORDER - order);
    const last = ranges.at(-1);
    if (last?.to === pixel * scale) last.to = (pixel + 1) * scale;
    else ranges.push({ from: pixel * scale, to: (pixel + 1) * scale });
  };
  for (let pixel = 0; pixel < BASE_PIXEL_COUNT; pixel++) visit(0, pixel);
  return ranges;
}

/** Whether a point lies in the cone, edge included: the exact cut behind `coverOf`. */
export function isInCone(cone: Cone, raDeg: number, decDeg: number): boolean {
  return separationDeg(cone.raDeg, cone.decDeg, raDeg, decDeg) <= cone.radiusDeg;
}

/** Great-circle distance by the haversine, degrees; exact to rounding for small ones, and across RA 0 and poles. */
export function separationDeg(raDeg1: number, decDeg1: number, raDeg2: number, decDeg2: number): number {
  const sinHalfDec = Math.sin(radians(decDeg2 - decDeg1) / 2);
  const sinHalfRa = Math.sin(radians(raDeg2 - raDeg1) / 2);
  const h = sinHalfDec ** 2 + Math.cos(radians(decDeg1)) * Math.cos(radians(decDeg2)) * sinHalfRa ** 2;
  return 2 * Math.asin(Math.min(1, Math.sqrt(h))) * 180 / Math.PI;
}

/** @throws when the cone has no place or no size. */
export function assertCone(cone: Cone): void {
  const { raDeg, decDeg, radiusDeg } = cone;
  if (!Number.isFinite(raDeg) || !(Math.abs(decDeg) <= 90) || !(radiusDeg >= 0)) {
    throw new Error(`cone of ${radiusDeg}° at (${raDeg}, ${decDeg}) is not on the sky`);
  }
}

/** @param quarterTurns Right ascension in units of 90°, 0 ≤ q < 4. */
function equatorialPixel(z: number, quarterTurns: number): number {
  // Numbers of the lines that ascend and descend eastward, counted in pixels.
  const ascending = Math.floor(NSIDE * (0.5 + quarterTurns - 0.75 * z));
  const descending = Math.floor(NSIDE * (0.5 + quarterTurns + 0.75 * z));
  const a = Math.floor(ascending / NSIDE);
  const d = Math.floor(descending / NSIDE);
  const face = a === d ? 4 + a % 4 : a < d ? a : d + 8;
  return fxy2nest(NSIDE, face, descending % NSIDE, NSIDE - 1 - ascending % NSIDE);
}

function polarPixel(decDeg: number, quarterTurns: number): number {
  const quarter = Math.floor(quarterTurns);
  const east = quarterTurns - quarter;
  // Pixels from the pole: NSIDE √(3(1 − |z|)), with 1 − |z| = 2 sin²(half the polar distance), exact however near.
  const fromPole = NSIDE * Math.sqrt(6) * Math.sin(radians(90 - Math.abs(decDeg)) / 2);
  const ascending = Math.min(NSIDE - 1, Math.floor(east * fromPole));
  const descending = Math.min(NSIDE - 1, Math.floor((1 - east) * fromPole));
  return decDeg > 0
    ? fxy2nest(NSIDE, quarter, NSIDE - 1 - descending, NSIDE - 1 - ascending)
    : fxy2nest(NSIDE, quarter + 8, ascending, descending);
}

/** The coarsest order whose pixels are small enough for the cone. */
function coverOrder(radiusDeg: number): number {
  // Side of a pixel of order k: √(4π/12)/2^k rad = 58.6°/2^k.
  const order = Math.ceil(Math.log2(58.6 / (radiusDeg * COVER_PIXEL_FRACTION)));
  return Math.min(Math.max(order, 0), PIXEL_ORDER);
}

/** Angle between unit vectors by their chord, radians. */
function arcBetween(a: V3, b: V3): number {
  const chord = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
  return 2 * Math.asin(Math.min(1, chord / 2));
}

function radians(degrees: number): number {
  return degrees * Math.PI / 180;
}

function wrapped(raDeg: number): number {
  return ((raDeg % 360) + 360) % 360;
}
