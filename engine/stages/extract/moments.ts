/** Shape of a set of pixels. */
import type { Pixels } from './footprints.ts';

export type Moments = Readonly<{
  pixelCount: number;
  /** Sum and highest value of the weights. */
  sum: number; peak: number;
  /** Barycentre, 0-based pixels. */
  x: number; y: number;
  /** Covariance, px². */
  xx: number; yy: number; xy: number;
  /** Its inverse: the ellipse of r standard deviations is cxx dx² + cyy dy² + cxy dx dy = r². */
  cxx: number; cyy: number; cxy: number;
  /** Standard deviations along the axes, px; angle of the first from +x towards +y, degrees, −90 … 90. */
  a: number; b: number; thetaDeg: number;
}>;

/** Variance of a position within its pixel, px²: below it a source has no extent that could be seen. */
const PIXEL_VARIANCE = 1 / 12;

/**
 * First and second moments (Bertin & Arnouts 1996, §5).
 *
 * @param pixels Their light, the weights, is positive.
 */
export function measureMoments({ indices, light }: Pixels, width: number): Moments {
  // About the first pixel, so that squares of large coordinates do not eat the digits.
  const x0 = indices[0] % width, y0 = (indices[0] - x0) / width;
  let sum = 0, peak = -Infinity, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  // Pixels mostly come row by row: a division for each would take longer than its sums.
  let y = y0, start = y0 * width;
  for (let k = 0; k < indices.length; k++) {
    const pixel = indices[k], value = light[k];
    while (pixel >= start + width) { start += width; y++; }
    while (pixel < start) { start -= width; y--; }
    const dx = pixel - start - x0, dy = y - y0;
    sum += value;
    sx += value * dx; sy += value * dy;
    sxx += value * dx * dx; syy += value * dy * dy; sxy += value * dx * dy;
    if (value > peak) peak = value;
  }
  const mx = sx / sum, my = sy / sum;
  let xx = sxx / sum - mx * mx, yy = syy / sum - my * my;
  const xy = sxy / sum - mx * my;
  if (xx * yy - xy * xy < PIXEL_VARIANCE ** 2) { xx += PIXEL_VARIANCE; yy += PIXEL_VARIANCE; }
  const determinant = xx * yy - xy * xy, half = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy);
  return {
    pixelCount: indices.length, sum, peak, x: x0 + mx, y: y0 + my, xx, yy, xy,
    cxx: yy / determinant, cyy: xx / determinant, cxy: (-2 * xy) / determinant,
    a: Math.sqrt(half + spread), b: Math.sqrt(Math.max(half - spread, 0)),
    thetaDeg: (Math.atan2(2 * xy, xx - yy) / 2) * (180 / Math.PI),
  };
}

/** Distance from the barycentre in standard deviations along that direction. */
export function ellipseRadius({ cxx, cyy, cxy }: Moments, dx: number, dy: number): number {
  return Math.sqrt(Math.max(0, cxx * dx * dx + cyy * dy * dy + cxy * dx * dy));
}
