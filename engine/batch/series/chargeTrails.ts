/**
 * Charge that saturated stars leave behind in their rows as they are read out: lines of light, hundreds of pixels long,
 * that grow faster than the star's flux and so survive every subtraction.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { medianInPlace } from '../../image/median.ts';
import { seriesConfig } from './config.ts';

type Box = { x0: number; y0: number; x1: number; y1: number; count: number };

/**
 * Sets SAT along the trails: what lies there is as little a measurement as the star itself.
 *
 * @param planes Image with its sky and variance, read only; SAT is set where pixels saturated, and grown.
 * @returns Rows of stars that trail.
 */
export function markChargeTrails(planes: MaskedImage): number {
  const { width, height, mask } = planes, sat = maskBits('SAT'), { saturationGrowthPx } = seriesConfig;
  const { starPixelsMin } = seriesConfig.chargeTrails;
  const trails: Readonly<{ y: number; from: number; to: number }>[] = [];
  for (const star of saturatedStars(planes)) {
    if (star.count < starPixelsMin) continue;
    for (let y = star.y0 + saturationGrowthPx; y <= star.y1 - saturationGrowthPx; y++) {
      for (const side of [1, -1] as const) {
        const start = side > 0 ? star.x1 + 1 : star.x0 - 1, end = trailEnd(planes, start, y, side);
        if (end !== null) trails.push({ y, from: Math.min(start, end), to: Math.max(start, end) });
      }
    }
  }
  for (const { y, from, to } of trails) {
    for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
      for (let u = Math.max(0, from); u <= Math.min(width - 1, to); u++) mask[v * width + u] |= sat;
    }
  }
  return trails.length;
}

/** Connected saturated pixels, by their boxes. */
function saturatedStars({ width, height, mask }: MaskedImage): Box[] {
  const sat = maskBits('SAT'), isSeen = new Uint8Array(mask.length), boxes: Box[] = [], stack: number[] = [];
  for (let start = 0; start < mask.length; start++) {
    if ((mask[start] & sat) === 0 || isSeen[start] !== 0) continue;
    const box: Box = { x0: width, y0: height, x1: -1, y1: -1, count: 0 };
    stack.push(start);
    isSeen[start] = 1;
    for (let j = stack.pop(); j !== undefined; j = stack.pop()) {
      const x = j % width, y = (j - x) / width;
      box.x0 = Math.min(box.x0, x); box.x1 = Math.max(box.x1, x);
      box.y0 = Math.min(box.y0, y); box.y1 = Math.max(box.y1, y);
      box.count++;
      for (const [u, v] of [[x - 1, y], [x + 1, y], [x, y - 1], [x, y + 1]]) {
        const k = v * width + u;
        if (u < 0 || v < 0 || u >= width || v >= height || isSeen[k] !== 0 || (mask[k] & sat) === 0) continue;
        isSeen[k] = 1;
        stack.push(k);
      }
    }
    boxes.push(box);
  }
  return boxes;
}

/** Where the row stops being brighter than the rows above and below it; null when that is near the star. */
function trailEnd(planes: MaskedImage, start: number, y: number, side: 1 | -1): number | null {
  const { windowPx, lengthMinPx, gapWindowsMax, brightShareMin } = seriesConfig.chargeTrails;
  let end: number | null = null, gaps = 0, bright = 0;
  for (let from = start; from >= 0 && from < planes.width; from += side * windowPx) {
    if (isBrighter(planes, from, y, side)) {
      end = from + side * (windowPx - 1);
      bright++;
      gaps = 0;
    } else if (++gaps > gapWindowsMax) break;
  }
  if (end === null) return null;
  const length = Math.abs(end - start) + 1;
  return length >= lengthMinPx && bright * windowPx >= brightShareMin * length ? end : null;
}

/** Medians, for the field is crowded; of as many pixels, a median scatters by 1.25 σ/√n. */
function isBrighter({ width, height, image, variance, mask }: MaskedImage, from: number, y: number, side: 1 | -1): boolean {
  const { windowPx, besidePx, sigmaMin } = seriesConfig.chargeTrails, blank = maskBits('SAT', 'NO_DATA');
  const own = new Float64Array(windowPx), sides = [1, -1].map(() => new Float64Array(windowPx * besidePx.length));
  const sideCounts = [0, 0];
  let ownCount = 0, noise2 = 0;
  for (let n = 0; n < windowPx; n++) {
    const x = from + side * n;
    if (x < 0 || x >= width) break;
    const j = y * width + x;
    if ((mask[j] & blank) === 0) { own[ownCount++] = image[j]; noise2 += variance[j]; }
    for (const reach of besidePx) {
      for (const [n, v] of [y - reach, y + reach].entries()) {
        const k = v * width + x;
        if (v >= 0 && v < height && (mask[k] & blank) === 0) sides[n][sideCounts[n]++] = image[k];
      }
    }
  }
  if (ownCount < windowPx / 2 || Math.min(...sideCounts) < windowPx / 2) return false;
  // A trail stands above both sides; a neighbour's wing falls to one of them.
  const beside = Math.max(...sides.map((values, n) => medianInPlace(values.subarray(0, sideCounts[n]), sideCounts[n])));
  const excess = medianInPlace(own.subarray(0, ownCount), ownCount) - beside;
  return excess > (sigmaMin * 1.2533 * Math.sqrt(noise2 / ownCount)) / Math.sqrt(ownCount);
}
