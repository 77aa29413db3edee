import { PAD, PHASES, PHASE_STRIDE, TAPS } from '../shiftTaps.ts';
import type { FitPlanes, StampModel, StarFit } from '../starFit.ts';

const { fround } = Math;
const DRIFT_MAX = 1.5, STEPS = 12, TOLERANCE = 1e-3;

/** Stamps that the twins work in. */
export type StampWork = Readonly<{
  sums: Float32Array; local: Float32Array; between: Float32Array; out: Float32Array; taps: Float32Array; stride: number;
}>;

export function createStampWork(size: number, stride: number): StampWork {
  const padded = (): Float32Array => new Float32Array(stride * (size + 2 * PAD) + 4);
  return {
    sums: new Float32Array(size * size), local: padded(), between: padded(), out: padded(),
    taps: new Float32Array(TAPS), stride,
  };
}

/** Twin of `placePsf`; the result is `work.out`. */
export function placePsfTwin(
  model: StampModel, weights: Float32Array, table: Float32Array, dx: number, dy: number, work: StampWork,
): void {
  evaluate(model, weights, work);
  shift(model.size, model.size >> 1, table, dx, dy, work);
}

/** Twin of `movePadded`, of what is in `work.local`. */
export function movePaddedTwin(size: number, table: Float32Array, dx: number, dy: number, work: StampWork): void {
  shift(size, size >> 1, table, dx, dy, work);
}

function evaluate({ size, coefficients }: StampModel, weights: Float32Array, { sums, local, stride }: StampWork): void {
  const n = size * size, terms = coefficients.length / n;
  let total = 0;
  for (let j = 0; j < n; j++) {
    let sum = fround(weights[0] * coefficients[j]);
    for (let k = 1; k < terms; k++) sum = fround(sum + fround(weights[k] * coefficients[k * n + j]));
    sums[j] = sum;
    total += sum;
  }
  const scale = fround(1 / total);
  local.fill(0);
  for (let row = 0; row < size; row++) {
    for (let i = 0; i < size; i++) local[(row + PAD) * stride + PAD + i] = sums[row * size + i] * scale;
  }
}

function fillTaps(table: Float32Array, displacement: number, taps: Float32Array): void {
  const place = (displacement + 1) * PHASES, first = Math.max(0, Math.min(Math.floor(place), 2 * PHASES - 1));
  const share = fround(place - first);
  for (let t = 0; t < TAPS; t++) {
    const a = table[first * PHASE_STRIDE + t], b = table[(first + 1) * PHASE_STRIDE + t];
    taps[t] = a + fround(share * fround(b - a));
  }
}

function shift(size: number, reach: number, table: Float32Array, dx: number, dy: number, work: StampWork): void {
  const { local, between, out, taps, stride } = work, middle = PAD + (size >> 1), left = middle - reach;
  fillTaps(table, dx, taps);
  for (let row = middle - reach - PAD; row <= middle + reach + PAD; row++) {
    for (let at = row * stride + left, end = at + 2 * reach + 1; at < end; at++) {
      between[at] = weigh(local, at - PAD, 1, taps);
    }
  }
  fillTaps(table, dy, taps);
  for (let row = middle - reach; row <= middle + reach; row++) {
    for (let at = row * stride + left, end = at + 2 * reach + 1; at < end; at++) {
      out[at] = weigh(between, at - PAD * stride, stride, taps);
    }
  }
}

function weigh(from: Float32Array, at: number, step: number, taps: Float32Array): number {
  let sum = fround(taps[0] * from[at]);
  for (let t = 1; t < TAPS; t++) sum = fround(sum + fround(taps[t] * from[at + t * step]));
  return sum;
}

/** Twin of `fitStar`. */
export function fitStarTwin(
  planes: FitPlanes, skip: number, model: StampModel, weights: Float32Array, table: Float32Array, xStart: number,
  yStart: number, radius: number, light: Float32Array | null, work: StampWork,
): StarFit | null {
  const { size } = model, half = size >> 1, reach = Math.min(Math.ceil(radius), half - 1);
  let x = xStart, y = yStart, cx = Math.floor(xStart + 0.5), cy = Math.floor(yStart + 0.5);
  evaluate(model, weights, work);
  for (let step = 0; step < STEPS; step++) {
    if (!((x - xStart) * (x - xStart) + (y - yStart) * (y - yStart) <= DRIFT_MAX * DRIFT_MAX)) return null;
    if (light === null && Math.max(Math.abs(x - cx), Math.abs(y - cy)) > 0.75) {
      cx = Math.floor(x + 0.5);
      cy = Math.floor(y + 0.5);
    }
    if (!(Math.abs(x - cx) <= 1 && Math.abs(y - cy) <= 1)) return null;
    shift(size, reach + 1, table, x - cx, y - cy, work);
    const solution = solve(planes, skip, cx, cy, reach, radius * radius, light, size, work);
    if (solution === null) return null;
    const { dx, dy, ...fit } = solution;
    x += dx;
    y += dy;
    if (dx * dx + dy * dy < TOLERANCE * TOLERANCE) return { x, y, ...fit };
  }
  return null;
}

/** Normal equations of (flux, flux·dx, flux·dy); the PSF's derivatives are its central differences. */
function solve(
  { width, height, image, variance, mask }: FitPlanes, skip: number, cx: number, cy: number, reach: number,
  radius2: number, light: Float32Array | null, size: number, { out: profile, stride }: StampWork,
): Omit<StarFit, 'x' | 'y'> & Readonly<{ dx: number; dy: number }> | null {
  const half = size >> 1;
  let pp = 0, px = 0, py = 0, xx = 0, xy = 0, yy = 0, pd = 0, xd = 0, yd = 0, dd = 0, used = 0, total = 0;
  for (let j = -reach; j <= reach; j++) {
    for (let i = -reach; i <= reach; i++) {
      if (i * i + j * j > radius2) continue;
      total++;
      const imageX = cx + i, imageY = cy + j;
      if (imageX < 0 || imageY < 0 || imageX >= width || imageY >= height) continue;
      const at = imageY * width + imageX, weight = 1 / variance[at];
      if ((mask[at] & skip) !== 0 || !(weight > 0)) continue;
      used++;
      const value = image[at] - (light === null ? 0 : light[(j + half) * size + i + half]);
      const k = (j + half + PAD) * stride + i + half + PAD, p = profile[k];
      // Light moves with the star: the derivative by x is minus the slope.
      const gx = (profile[k - 1] - profile[k + 1]) / 2, gy = (profile[k - stride] - profile[k + stride]) / 2;
      const wp = weight * p, wx = weight * gx, wy = weight * gy;
      pp += wp * p; px += wp * gx; py += wp * gy;
      xx += wx * gx; xy += wx * gy; yy += wy * gy;
      pd += wp * value; xd += wx * value; yd += wy * value; dd += weight * value * value;
    }
  }
  if (2 * used < total) return null;
  // Cramer's rule on the symmetric 3 × 3 system.
  const c00 = xx * yy - xy * xy, c01 = xy * py - px * yy, c02 = px * xy - xx * py;
  const determinant = pp * c00 + px * c01 + py * c02;
  const c11 = pp * yy - py * py, c12 = px * py - pp * xy, c22 = pp * xx - px * px;
  const flux = (c00 * pd + c01 * xd + c02 * yd) / determinant;
  if (!(determinant > 0) || !(flux > 0)) return null;
  const sx = (c01 * pd + c11 * xd + c12 * yd) / determinant, sy = (c02 * pd + c12 * xd + c22 * yd) / determinant;
  return {
    dx: clamp(sx / flux), dy: clamp(sy / flux), flux, fluxErr: Math.sqrt(c00 / determinant),
    xErr: Math.sqrt(c11 / determinant) / flux, yErr: Math.sqrt(c22 / determinant) / flux,
    chi2: dd - flux * pd - sx * xd - sy * yd, pixelCount: used,
  };
}

/** The linear step is trusted for half a pixel. */
function clamp(step: number): number {
  return Math.max(-0.5, Math.min(0.5, step));
}
