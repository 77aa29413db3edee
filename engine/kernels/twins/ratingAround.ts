import type { RatingTask } from '../rating.ts';
import { ringNoiseTwin } from './ring.ts';

/** What lies around a source: bright light, blemishes, its column and row, a ring. @param at Index of its pixel. */
export function fillAround(task: RatingTask, x: number, y: number, at: number, row: Float64Array): void {
  const { difference } = task;
  row.set([...brightLight(task, x, y), difference.variance[at], ...blemishes(task, x, y)], 57);
  row.set([...line(task, x, y, 0, 1), ...line(task, x, y, 1, 0), ...ring(task, x, y)], 64);
  row.set(brightResidual(task, x, y), 74);
}

/** Brightest light of the template every second pixel, and the square of its distance. */
function brightLight(
  { template: { image }, width, height, brightReach: half }: RatingTask, x: number, y: number,
): number[] {
  const cx = Math.round(x), cy = Math.round(y);
  let brightest = -Infinity, distance2 = 0;
  for (let v = Math.max(0, cy - half); v <= Math.min(height - 1, cy + half); v += 2) {
    for (let u = Math.max(0, cx - half); u <= Math.min(width - 1, cx + half); u += 2) {
      const value = image[v * width + u];
      if (!(value > brightest)) continue;
      brightest = value;
      distance2 = (u - x) * (u - x) + (v - y) * (v - y);
    }
  }
  return [brightest, distance2];
}

/** Squares of the distances to masked pixels, one more than is looked at when there are none. */
function blemishes(
  { difference: { mask }, width, height, maskReach: reach, blemish: blemishBits, saturated: saturatedBits,
    interpolated: interpolatedBits }: RatingTask, x: number, y: number,
): number[] {
  const cx = Math.round(x), cy = Math.round(y), none = (reach + 1) * (reach + 1);
  let blemish = none, saturated = none, interpolated = 0, near = 0;
  for (let v = Math.max(0, cy - reach); v <= Math.min(height - 1, cy + reach); v++) {
    for (let u = Math.max(0, cx - reach); u <= Math.min(width - 1, cx + reach); u++) {
      const bits = mask[v * width + u], r2 = (u - x) * (u - x) + (v - y) * (v - y);
      if (r2 < 9) { near++; if ((bits & interpolatedBits) !== 0) interpolated++; }
      if (bits === 0) continue;
      if ((bits & blemishBits) !== 0 && r2 < blemish) blemish = r2;
      if ((bits & saturatedBits) !== 0 && r2 < saturated) saturated = r2;
    }
  }
  return [blemish, saturated, near, interpolated];
}

/** Sum of the pixels beyond the wings along a column or row, over their noise, and how many they are. */
function line(
  { difference: { image, variance, mask }, width, height, noData, lineInner, lineOuter }: RatingTask, x: number,
  y: number, stepX: number, stepY: number,
): number[] {
  const cx = Math.round(x), cy = Math.round(y);
  let sum = 0, count = 0;
  for (let n = -lineOuter; n <= lineOuter; n++) {
    if (n > -lineInner && n < lineInner) continue;
    const u = cx + n * stepX, v = cy + n * stepY, j = v * width + u;
    if (u < 0 || v < 0 || u >= width || v >= height || (mask[j] & noData) !== 0 || !(variance[j] > 0)) continue;
    const value = image[j] / Math.sqrt(variance[j]);
    if (value - value !== 0) continue;
    // One bright pixel is not a line.
    sum += Math.max(-5, Math.min(5, value));
    count++;
  }
  return [sum, count];
}

function ring(task: RatingTask, x: number, y: number): number[] {
  const { difference, width, height, unusable, noiseScale, limit, inner, outer } = task;
  const cx = Math.round(x), cy = Math.round(y), reach = Math.ceil(outer);
  const x0 = Math.max(1, cx - reach), y0 = Math.max(1, cy - reach);
  const x1 = Math.min(width - 2, cx + reach), y1 = Math.min(height - 2, cy + reach);
  const { sum, square, count, product, pairs, most } = ringNoiseTwin(
    { ...difference, width, height, ignoredBits: unusable, scale: noiseScale, limit }, { x, y, inner, outer },
    x0, y0, x1, y1);
  return [sum, square, count, product, pairs, most];
}

/** Squares of the difference over its noise where the template is brightest nearby, outside the source itself. */
function brightResidual(task: RatingTask, x: number, y: number): number[] {
  const { template: { image }, width, height, brightReach: half, apart2 } = task;
  const cx = Math.round(x), cy = Math.round(y);
  let brightest = -Infinity, at = -1;
  for (let v = Math.max(2, cy - half); v <= Math.min(height - 3, cy + half); v += 2) {
    for (let u = Math.max(2, cx - half); u <= Math.min(width - 3, cx + half); u += 2) {
      const value = image[v * width + u];
      if (!(value > brightest) || (u - x) * (u - x) + (v - y) * (v - y) < apart2) continue;
      brightest = value;
      at = v * width + u;
    }
  }
  let sum = 0, count = 0;
  for (let v = -2; at >= 0 && v <= 2; v++) {
    for (let u = -2; u <= 2; u++) {
      const value = significance(task, at + v * width + u);
      if (value !== value) continue;
      sum += value * value;
      count++;
    }
  }
  return [sum, count];
}

/** Difference over noise at a pixel, cut off; NaN where unusable. */
function significance(
  { difference: { image, variance, mask }, unusable, noiseScale, limit }: RatingTask, j: number,
): number {
  if ((mask[j] & unusable) !== 0 || !(variance[j] > 0)) return NaN;
  return Math.max(-limit, Math.min(limit, image[j] / (noiseScale * Math.sqrt(variance[j]))));
}
