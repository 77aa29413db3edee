/** Errors and bearings carried from pixels to the sky. */
import { pixelToSky, type Wcs } from '../../image/wcs.ts';

type Point = Readonly<{ x: number; y: number }>;

/**
 * raErr and ra_dec_Cov are of the arc, σ(α) cos δ, as Rubin's tangent-plane linearisation gives them: dα/dx is the
 * mapping's own derivative, taken over a pixel.
 *
 * @param covariance Of a place, px². @returns Degrees and square degrees.
 */
export function skyErrors(
  wcs: Wcs, x: number, y: number, { xx, xy, yy }: Readonly<{ xx: number; xy: number; yy: number }>, noiseScale: number,
): { raErr: number; decErr: number; ra_dec_Cov: number } {
  const left = pixelToSky(wcs, x - 0.5, y), right = pixelToSky(wcs, x + 0.5, y);
  const below = pixelToSky(wcs, x, y - 0.5), above = pixelToSky(wcs, x, y + 0.5);
  const cosDec = Math.cos((((left.decDeg + right.decDeg) / 2) * Math.PI) / 180);
  const ax = raStep(left.raDeg, right.raDeg) * cosDec, ay = raStep(below.raDeg, above.raDeg) * cosDec;
  const bx = right.decDeg - left.decDeg, by = above.decDeg - below.decDeg;
  return {
    raErr: noiseScale * Math.sqrt(ax * ax * xx + 2 * ax * ay * xy + ay * ay * yy),
    decErr: noiseScale * Math.sqrt(bx * bx * xx + 2 * bx * by * xy + by * by * yy),
    ra_dec_Cov: noiseScale * noiseScale * (ax * bx * xx + (ax * by + ay * bx) * xy + ay * by * yy),
  };
}

/** Bearing on the sky from one place to another near it, from north through east; 0 … 360 degrees. */
export function bearingDeg(wcs: Wcs, from: Point, to: Point): number {
  const a = pixelToSky(wcs, from.x, from.y), b = pixelToSky(wcs, to.x, to.y);
  const east = raStep(a.raDeg, b.raDeg) * Math.cos((((a.decDeg + b.decDeg) / 2) * Math.PI) / 180);
  const bearing = (Math.atan2(east, b.decDeg - a.decDeg) * 180) / Math.PI;
  return bearing < 0 ? bearing + 360 : bearing;
}

/** Difference of right ascensions across 0 = 360 degrees. */
function raStep(from: number, to: number): number {
  const step = to - from;
  return step > 180 ? step - 360 : step < -180 ? step + 360 : step;
}
