import { createPsfPatches, type PsfPatches } from '../patches.ts';
import type { Moments, MomentLimits, ShapesTask } from '../shapes.ts';
import { exponentialTwin } from './exponential.ts';

/** Twin of `measureShapes`. */
export function measureShapesTwin(task: ShapesTask, places: Float64Array, out: Float64Array): void {
  const patches = createPsfPatches(task.psf, task.halfSizePx), known = new Map<number, Moments | null>();
  const across = Math.ceil(task.psf.width / task.cellPx) + 1;
  for (let i = 0; 7 * i < places.length; i++) {
    const [x, y, sign, x0, y0, x1, y1] = places.subarray(7 * i, 7 * (i + 1)), row = out.subarray(18 * i, 18 * (i + 1));
    row.set(aperture(task, x, y));
    const column = Math.min(across - 1, Math.max(0, Math.floor(x / task.cellPx)));
    const cellRow = Math.max(0, Math.floor(y / task.cellPx)), key = cellRow * across + column;
    let ofPsf = known.get(key);
    if (ofPsf === undefined) known.set(key, ofPsf = psfMoments(task, patches, column, cellRow));
    const start = ofPsf === null ? task.startPx2 : (ofPsf.xx + ofPsf.yy) / 2;
    const own = adaptiveMoments(task.image, task.width, task.height, x, y, sign, task.halfSizePx, start, task.limits);
    for (const [at, moments] of [[4, own], [8, ofPsf]] as const) {
      if (moments !== null) row.set([1, moments.xx, moments.xy, moments.yy], at);
    }
    row.set(footprint(task, sign, x0, y0, x1, y1), 12);
  }
}

function psfMoments(
  { cellPx, startPx2, limits }: ShapesTask, patches: PsfPatches, column: number, row: number,
): Moments | null {
  const { half, side } = patches, stamp = patches.at((column + 0.5) * cellPx, (row + 0.5) * cellPx);
  return adaptiveMoments(stamp, side, side, half, half, 1, half, startPx2, limits);
}

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
  halfSize: number, start: number, limits: MomentLimits,
): Moments | null {
  const x0 = Math.max(0, Math.round(x) - halfSize), x1 = Math.min(width - 1, Math.round(x) + halfSize);
  const y0 = Math.max(0, Math.round(y) - halfSize), y1 = Math.min(height - 1, Math.round(y) + halfSize);
  let xx = start, yy = start, xy = 0;
  for (let i = 0; i < limits.momentIterationCountMax; i++) {
    const determinant = xx * yy - xy * xy, a = yy / determinant, b = -xy / determinant, c = xx / determinant;
    // Along a row an exponential of a quadratic changes by a ratio that itself changes by e^−a.
    const ratioStep = exponentialTwin(-a);
    let sum = 0, sumXx = 0, sumXy = 0, sumYy = 0;
    for (let v = y0; v <= y1; v++) {
      const dy = v - y, first = x0 - x;
      let weight = exponentialTwin(-0.5 * (a * first * first + 2 * b * first * dy + c * dy * dy));
      let ratio = exponentialTwin(-a * (first + 0.5) - b * dy), rowSum = 0, rowX = 0, rowXx = 0;
      for (let u = x0, k = v * width + x0; u <= x1; u++, k++) {
        const value = image[k], dx = u - x;
        const weighted = (value - value === 0 ? value : 0) * weight;
        rowSum += weighted;
        rowX += weighted * dx;
        rowXx += weighted * dx * dx;
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
    if (!isShape || next.xx + next.yy > 2 * limits.momentMaxPx2) return null;
    const change = Math.abs(next.xx - xx) + Math.abs(next.xy - xy) + Math.abs(next.yy - yy);
    if (change < limits.momentConvergence * (xx + yy)) return next;
    // Each step goes half the way, so it is taken nearly twice, as long as a shape remains.
    const far = {
      xx: xx + STRIDE * (next.xx - xx), xy: xy + STRIDE * (next.xy - xy), yy: yy + STRIDE * (next.yy - yy),
    };
    const isSafe = far.xx > 0.3 * next.xx && far.yy > 0.3 * next.yy && far.xx * far.yy > 1.2 * far.xy * far.xy;
    ({ xx, xy, yy } = isSafe && i < STRIDES_MAX ? far : next);
  }
  return null;
}

/** Places along each axis in a pixel that decide which share of it a circle covers: good to 0.2 % of 12 px of area. */
const SUBPIXELS = 5;

/** Sum within a circle, pixels on its rim by their share; Σ share² V; whether it is cut, or holds a pixel without data. */
function aperture({ width, height, image, variance, mask, noData, radius }: ShapesTask, x: number, y: number): number[] {
  const reach = Math.ceil(radius) + 1, outside = radius + Math.SQRT1_2, inside = radius - Math.SQRT1_2;
  let flux = 0, noise = 0, isCut = 0;
  for (let v = Math.round(y) - reach; v <= Math.round(y) + reach; v++) {
    const dy = Math.abs(v - y), outer2 = outside * outside - dy * dy;
    if (outer2 <= 0) continue;
    const outer = Math.sqrt(outer2), inner = Math.sqrt(Math.max(0, inside * inside - dy * dy));
    for (let u = Math.ceil(x - outer), last = Math.floor(x + outer); u <= last; u++) {
      const share = Math.abs(u - x) < inner ? 1 : coveredShare(u - x, v - y, radius);
      if (share === 0) continue;
      if (u < 0 || v < 0 || u >= width || v >= height) { isCut = 1; continue; }
      const j = v * width + u;
      if ((mask[j] & noData) !== 0 || image[j] - image[j] !== 0) return [flux, noise, isCut, 1];
      flux += share * image[j];
      noise += share * share * variance[j];
    }
  }
  return [flux, noise, isCut, 0];
}

/** Share of the pixel at (dx, dy) from the centre that a circle covers. */
function coveredShare(dx: number, dy: number, radius: number): number {
  const distance2 = dx * dx + dy * dy;
  if (distance2 <= (radius - Math.SQRT1_2) * (radius - Math.SQRT1_2)) return 1;
  if (distance2 >= (radius + Math.SQRT1_2) * (radius + Math.SQRT1_2)) return 0;
  let count = 0;
  for (let i = 0; i < SUBPIXELS; i++) {
    for (let j = 0; j < SUBPIXELS; j++) {
      const u = dx + (i + 0.5) / SUBPIXELS - 0.5, v = dy + (j + 0.5) / SUBPIXELS - 0.5;
      if (u * u + v * v <= radius * radius) count++;
    }
  }
  return count / SUBPIXELS ** 2;
}

/** Sums over the box's pixels of the source's sign that were detected: light, × u, v, u², uv, v²; 0 of other sides. */
function footprint(
  { width, image, mask, detected, detectedNegative, sideMin, sideMax }: ShapesTask, sign: number, x0: number, y0: number,
  x1: number, y1: number,
): number[] {
  const side = Math.max(x1 - x0, y1 - y0), bits = sign < 0 ? detectedNegative : detected;
  let sum = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
  if (side < sideMin || side > sideMax) return [0, 0, 0, 0, 0, 0];
  for (let v = y0; v < y1; v++) {
    for (let u = x0; u < x1; u++) {
      const j = v * width + u, value = sign * image[j];
      if ((mask[j] & bits) === 0 || !(value > 0)) continue;
      sum += value; sx += value * u; sy += value * v;
      sxx += value * u * u; sxy += value * u * v; syy += value * v * v;
    }
  }
  return [sum, sx, sy, sxx, sxy, syy];
}
