/** Adaptive second moments and aperture fluxes. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { MeasureConfig } from './config.ts';

/** Second moments, px². */
export type Moments = Readonly<{ xx: number; xy: number; yy: number }>;

/** Part of a step that is taken, and steps after which it is taken as it is: noise can make long strides swing. */
const STRIDE = 1.7, STRIDES_MAX = 8;

/**
 * Second moments under the Gaussian weight that matches them (Bernstein & Jarvis 2002, §3.1): twice the weighted
 * moments when converged. Pixels that are not finite are left out.
 *
 * @param image  [height × width]. Read only.
 * @param x, y   Centre, which is not moved.
 * @param sign   −1 for a source that is a decrease.
 * @param halfSize Half side of the pixels looked at.
 * @returns Null when the moments do not converge to a shape: noise, neighbours, a centre off the image.
 */
export function adaptiveMoments(
  image: Float32Array | Float64Array, width: number, height: number, x: number, y: number, sign: number,
  halfSize: number, start: number, config: Pick<MeasureConfig, 'momentIterationCountMax' | 'momentMaxPx2' | 'momentConvergence'>,
): Moments | null {
  const x0 = Math.max(0, Math.round(x) - halfSize), x1 = Math.min(width - 1, Math.round(x) + halfSize);
  const y0 = Math.max(0, Math.round(y) - halfSize), y1 = Math.min(height - 1, Math.round(y) + halfSize);
  let xx = start, yy = start, xy = 0;
  for (let i = 0; i < config.momentIterationCountMax; i++) {
    const determinant = xx * yy - xy * xy, a = yy / determinant, b = -xy / determinant, c = xx / determinant;
    // Along a row an exponential of a quadratic changes by a ratio that itself changes by e^−a.
    const ratioStep = Math.exp(-a);
    let sum = 0, sumXx = 0, sumXy = 0, sumYy = 0;
    for (let v = y0; v <= y1; v++) {
      const dy = v - y, first = x0 - x;
      let weight = Math.exp(-0.5 * (a * first * first + 2 * b * first * dy + c * dy * dy));
      let ratio = Math.exp(-a * (first + 0.5) - b * dy), rowSum = 0, rowX = 0, rowXx = 0;
      for (let u = x0, k = v * width + x0; u <= x1; u++, k++) {
        const value = image[k], dx = u - x;
        if (value - value === 0) {
          const weighted = value * weight;
          rowSum += weighted;
          rowX += weighted * dx;
          rowXx += weighted * dx * dx;
        }
        weight *= ratio;
        ratio *= ratioStep;
      }
      sum += rowSum;
      sumXx += rowXx;
      sumXy += rowX * dy;
      sumYy += rowSum * dy * dy;
    }
    if (!(sign * sum > 0)) return null;
    const next = { xx: (2 * sumXx) / sum, xy: (2 * sumXy) / sum, yy: (2 * sumYy) / sum };
    const isShape = next.xx > 0 && next.xx * next.yy > next.xy * next.xy;
    if (!isShape || next.xx + next.yy > 2 * config.momentMaxPx2) return null;
    const change = Math.abs(next.xx - xx) + Math.abs(next.xy - xy) + Math.abs(next.yy - yy);
    if (change < config.momentConvergence * (xx + yy)) return next;
    // Each step goes half the way, so it is taken nearly twice, as long as a shape remains.
    const far = {
      xx: xx + STRIDE * (next.xx - xx), xy: xy + STRIDE * (next.xy - xy), yy: yy + STRIDE * (next.yy - yy),
    };
    const isSafe = far.xx > 0.3 * next.xx && far.yy > 0.3 * next.yy && far.xx * far.yy > 1.2 * far.xy * far.xy;
    ({ xx, xy, yy } = isSafe && i < STRIDES_MAX ? far : next);
  }
  return null;
}

export type ApertureFlux = Readonly<{ flux: number | null; fluxErr: number | null; isTruncated: boolean }>;

/** Places along each axis in a pixel that decide which share of it a circle covers: good to 0.2 % of 12 px of area. */
const SUBPIXELS = 5;
const NO_DATA = maskBits('NO_DATA');

/**
 * Sum within a circle, pixels on its rim by their share, and its error √(Σ share² V).
 * Null when the circle holds a pixel without data; only the pixels on the image when it reaches beyond.
 */
export function apertureFlux(planes: MaskedImage, x: number, y: number, radius: number): ApertureFlux {
  const { width, height, image, variance, mask } = planes, reach = Math.ceil(radius) + 1;
  let flux = 0, noise = 0, isTruncated = false;
  for (let v = Math.round(y) - reach; v <= Math.round(y) + reach; v++) {
    const dy = Math.abs(v - y), outer2 = (radius + Math.SQRT1_2) ** 2 - dy * dy;
    if (outer2 <= 0) continue;
    const outer = Math.sqrt(outer2), inner = Math.sqrt(Math.max(0, (radius - Math.SQRT1_2) ** 2 - dy * dy));
    for (let u = Math.ceil(x - outer), last = Math.floor(x + outer); u <= last; u++) {
      const share = Math.abs(u - x) < inner ? 1 : coveredShare(u - x, v - y, radius);
      if (share === 0) continue;
      if (u < 0 || v < 0 || u >= width || v >= height) { isTruncated = true; continue; }
      const j = v * width + u;
      if ((mask[j] & NO_DATA) !== 0 || image[j] - image[j] !== 0) return { flux: null, fluxErr: null, isTruncated };
      flux += share * image[j];
      noise += share * share * variance[j];
    }
  }
  return noise > 0 ? { flux, fluxErr: Math.sqrt(noise), isTruncated } : { flux: null, fluxErr: null, isTruncated };
}

/** Share of the pixel at (dx, dy) from the centre that a circle covers. */
function coveredShare(dx: number, dy: number, radius: number): number {
  const distance2 = dx * dx + dy * dy;
  if (distance2 <= (radius - Math.SQRT1_2) ** 2) return 1;
  if (distance2 >= (radius + Math.SQRT1_2) ** 2) return 0;
  let count = 0;
  for (let i = 0; i < SUBPIXELS; i++) {
    for (let j = 0; j < SUBPIXELS; j++) {
      const u = dx + (i + 0.5) / SUBPIXELS - 0.5, v = dy + (j + 0.5) / SUBPIXELS - 0.5;
      if (u * u + v * v <= radius * radius) count++;
    }
  }
  return count / SUBPIXELS ** 2;
}
