/** Sky pixels of the tables: HEALPix, nested (Górski et al. 2005, ApJ 622, 759). */
import { ang2vec, query_disc_inclusive_nest, vec2pix_nest } from '@hscmap/healpix';
import type { Cone } from './apdb.ts';

/**
 * Order of the `pixelId` columns: pixels of 26″. The library's nested indices hold to this order (31 bits), and
 * they fit an SQL integer. Stored rows depend on it: a change is a migration.
 */
export const PIXEL_ORDER = 13;

/** Pixels `from` ≤ p < `to` at `PIXEL_ORDER`. */
export type PixelRange = Readonly<{ from: number; to: number }>;

const PIXEL_COUNT = 12 * 4 ** PIXEL_ORDER;
const NSIDE = 2 ** PIXEL_ORDER;

/**
 * A cover's pixels are at most this fraction of the cone's radius. With 1/16 it holds about 1,000 pixels in
 * 100 ranges, and its rim adds some 15 % to the area.
 */
const COVER_PIXEL_FRACTION = 1 / 16;

/** Cones beyond this radius are covered by the whole sky; the library's discs end at 90°. */
const COVER_RADIUS_LIMIT_DEG = 60;

/** @throws when the position is not one: rows without a position cannot be found again. */
export function pixelOf(raDeg: number, decDeg: number): number {
  if (!Number.isFinite(raDeg) || !(Math.abs(decDeg) <= 90)) {
    throw new Error(`position (${raDeg}, ${decDeg}) is not on the sky`);
  }
  return vec2pix_nest(NSIDE, ang2vec(radians(90 - decDeg), radians(wrapped(raDeg))));
}

/**
 * Ranges that hold every pixel with a point in the cone, and some around it; ascending, disjoint, not adjacent.
 *
 * The cover is made of pixels whose size fits the cone, and a nested pixel is a range of finer ones.
 */
export function coverOf(cone: Cone): readonly PixelRange[] {
  if (cone.radiusDeg >= COVER_RADIUS_LIMIT_DEG) return [{ from: 0, to: PIXEL_COUNT }];
  const order = coverOrder(cone.radiusDeg);
  const pixels: number[] = [];
  const center = ang2vec(radians(90 - cone.decDeg), radians(wrapped(cone.raDeg)));
  query_disc_inclusive_nest(2 ** order, center, radians(cone.radiusDeg), (pixel) => pixels.push(pixel));
  pixels.sort((a, b) => a - b);
  const scale = 4 ** (PIXEL_ORDER - order);
  const ranges: { from: number; to: number }[] = [];
  for (const pixel of pixels) {
    const last = ranges.at(-1);
    if (last !== undefined && pixel * scale <= last.to) last.to = (pixel + 1) * scale;
    else ranges.push({ from: pixel * scale, to: (pixel + 1) * scale });
  }
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

/** The coarsest order whose pixels are small enough for the cone. */
function coverOrder(radiusDeg: number): number {
  // Side of a pixel of order k: √(4π/12)/2^k rad = 58.6°/2^k.
  const order = Math.ceil(Math.log2(58.6 / (radiusDeg * COVER_PIXEL_FRACTION)));
  return Math.min(Math.max(order, 0), PIXEL_ORDER);
}

function radians(degrees: number): number {
  return degrees * Math.PI / 180;
}

function wrapped(raDeg: number): number {
  return ((raDeg % 360) + 360) % 360;
}
