import type { RatingTask } from '../rating.ts';
import { createLocalPsf, type LocalPsf } from './localPsf.ts';
import { fillAround } from './ratingAround.ts';

/** Columns of a row of the table. */
const COLUMN_COUNT = 76;

/** d, sign × difference, and its weight 1 / variance, of a stamp's pixels; weight 0 where unusable. */
type Cut = Readonly<{ data: Float64Array; weight: Float64Array }>;

/** Twin of `ratePixels`. */
export function ratePixelsTwin(task: RatingTask, places: Float64Array, out: Float64Array): void {
  const { width, height, half, cellPx } = task, side = 2 * half + 1;
  const psf = createLocalPsf(task.differencePsf, half, cellPx), visitPsf = createLocalPsf(task.visitPsf, 2, cellPx);
  const cut = { data: new Float64Array(side * side), weight: new Float64Array(side * side) };
  for (let i = 0; 3 * i < places.length; i++) {
    const x = places[3 * i], y = places[3 * i + 1], sign = places[3 * i + 2];
    const row = out.subarray(i * COLUMN_COUNT, (i + 1) * COLUMN_COUNT);
    const cx = Math.min(width - 1, Math.max(0, Math.round(x))), cy = Math.min(height - 1, Math.max(0, Math.round(y)));
    const fx = Math.min(0.5, Math.max(-0.5, x - cx)), fy = Math.min(0.5, Math.max(-0.5, y - cy));
    psf.moveTo(x, y, fx, fy);
    cutData(task, cut, cx, cy, sign);
    const flux = fillShape(task, psf, cut, fx, fy, row);
    fillResiduals(task, psf, cut, fx, fy, flux, row);
    fillTemplate(task, psf, cut, { cx, cy, fx, fy, sign }, row);
    fillSharpness(task, visitPsf, { cx, cy, fx, fy }, row);
    fillNeeded(task, psf, x, y, row);
    fillAround(task, x, y, cy * width + cx, row);
  }
}

function cutData(
  { difference: { image, variance, mask }, width, height, half, unusable, noiseScale }: RatingTask,
  { data, weight }: Cut, cx: number, cy: number, sign: number,
): void {
  const scale = noiseScale * noiseScale;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const px = cx + u, py = cy + v, j = py * width + px;
      const isOn = px >= 0 && py >= 0 && px < width && py < height && (mask[j] & unusable) === 0 && variance[j] > 0
        && image[j] - image[j] === 0;
      data[k] = isOn ? sign * image[j] : 0;
      weight[k] = isOn ? 1 / (scale * variance[j]) : 0;
    }
  }
}

/** Sums of the fit, and moments under the PSF as weight. @returns The flux of the fit. */
function fillShape(
  { half, wings2 }: RatingTask, { stamp: p }: LocalPsf, { data, weight }: Cut, fx: number, fy: number,
  row: Float64Array,
): number {
  let pp = 0, pd = 0, dd = 0, all = 0, mx = 0, my = 0, mxx = 0, mxy = 0, myy = 0, nrr = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, r2 = dx * dx + dy * dy;
      if (r2 > wings2) continue;
      all += p[k] * p[k];
      if (weight[k] === 0) continue;
      const d = data[k], g = p[k], gd = g * d;
      pp += g * g; pd += gd; dd += d * d;
      mx += gd * dx; my += gd * dy; mxx += gd * dx * dx; mxy += gd * dx * dy; myy += gd * dy * dy;
      nrr += g * g * r2;
    }
  }
  row.set([pp, pd, dd, all, mx, my, mxx, mxy, myy, nrr], 0);
  return pp > 0 ? pd / pp : 0;
}

/** Residuals of the fit by ring, opposite and excess light, asymmetry, heights in the middle. */
function fillResiduals(
  { half, core2, wings2, ring2 }: RatingTask, { side, stamp: p }: LocalPsf, { data, weight }: Cut, fx: number,
  fy: number, flux: number, row: Float64Array,
): void {
  let coreChi2 = 0, wingsChi2 = 0, ringChi2 = 0, nCore = 0, nWings = 0, nRing = 0, most = -99, least = 99;
  let opposite = 0, excess = 0, ringSum = 0, difference = 0, absolute = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, r2 = dx * dx + dy * dy;
      if (r2 > ring2 || weight[k] === 0) continue;
      const root = Math.sqrt(weight[k]), residual = (data[k] - flux * p[k]) * root, square = residual * residual;
      const value = data[k] * root;
      if (value < -2.5) opposite += value * value;
      if (r2 > wings2) {
        ringChi2 += square; nRing++; ringSum += value;
        if (value > 2.5) excess += value * value;
        continue;
      }
      if (r2 > core2) { wingsChi2 += square; nWings++; } else { coreChi2 += square; nCore++; }
      if (residual > most) most = residual;
      if (residual < least) least = residual;
      const mirror = side * side - 1 - k;
      if (weight[mirror] !== 0) { difference += Math.abs(data[k] - data[mirror]); absolute += Math.abs(data[k]); }
    }
  }
  const middle = half * side + half;
  row.set([
    coreChi2, wingsChi2, ringChi2, nCore, nWings, nRing, most, least, opposite, excess, ringSum, difference, absolute,
    aboveNeighbours(data, side, middle), aboveNeighbours(p, side, middle), weight[middle], data[middle], p[middle],
  ], 10);
}

/** By how much a pixel, or the one beside it that does so most, stands above the mean of its eight neighbours. */
function aboveNeighbours(plane: Float64Array, side: number, at: number): number {
  const heights = [at, at - 1, at + 1, at - side, at + side].map((j) => {
    const mean = (plane[j - 1] + plane[j + 1] + plane[j - side] + plane[j + side] + plane[j - side - 1]
      + plane[j - side + 1] + plane[j + side - 1] + plane[j + side + 1]) / 8;
    const above = plane[j] - mean;
    return above === above ? above : -Infinity;
  });
  return Math.max(...heights);
}

/**
 * Equations of (T, ∂T/∂x, ∂T/∂y) within the wings, and the template's light under the PSF: what a wrong flux scale or a
 * wrong place leaves of a star they explain, and little of a transient beside a nucleus.
 */
function fillTemplate(
  { template: { image }, width, height, half, wings2 }: RatingTask, { stamp: p }: LocalPsf, { data, weight }: Cut,
  { cx, cy, fx, fy, sign }: Readonly<{ cx: number; cy: number; fx: number; fy: number; sign: number }>,
  row: Float64Array,
): void {
  const a = new Float64Array(6), b = new Float64Array(3);
  let pp = 0, pt = 0, peak = 0, middleWeight = 0, steepest = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, px = cx + u, py = cy + v;
      if (dx * dx + dy * dy > wings2 || px < 1 || py < 1 || px >= width - 1 || py >= height - 1) continue;
      if (weight[k] === 0) continue;
      const j = py * width + px, t = image[j], d = sign * data[k];
      const tx = (image[j + 1] - image[j - 1]) / 2, ty = (image[j + width] - image[j - width]) / 2;
      if (t - t !== 0 || tx - tx !== 0 || ty - ty !== 0) continue;
      a[0] += t * t; a[1] += t * tx; a[2] += t * ty; a[3] += tx * tx; a[4] += tx * ty; a[5] += ty * ty;
      b[0] += t * d; b[1] += tx * d; b[2] += ty * d;
      pp += p[k] * p[k];
      pt += p[k] * t;
      if (t > peak) peak = t;
      if (tx * tx + ty * ty > steepest) steepest = tx * tx + ty * ty;
      if (weight[k] > middleWeight) middleWeight = weight[k];
    }
  }
  row.set(a, 28);
  row.set(b, 34);
  row.set([pp, pt, peak, middleWeight, steepest], 37);
}

/** Sharpness of the visit's PSF, the visit image and the template, and the visit's variance. */
function fillSharpness(
  { visit, template, width, height }: RatingTask, visitPsf: LocalPsf,
  { cx, cy, fx, fy }: Readonly<{ cx: number; cy: number; fx: number; fy: number }>, row: Float64Array,
): void {
  if (cx < 2 || cy < 2 || cx >= width - 2 || cy >= height - 2) {
    row.fill(0, 42, 47);
    return;
  }
  visitPsf.moveTo(cx + fx, cy + fy, fx, fy);
  const sharpest = (image: Float32Array): number => {
    const near = new Float64Array(25);
    for (let v = -2, k = 0; v <= 2; v++) for (let u = -2; u <= 2; u++, k++) near[k] = image[(cy + v) * width + cx + u];
    return aboveNeighbours(near, 5, 12);
  };
  row.set([
    1, aboveNeighbours(visitPsf.stamp, 5, 12), sharpest(visit.image), sharpest(template.image),
    visit.variance[cy * width + cx],
  ], 42);
}

/** Light of difference and visit under the PSF, in core and wings, and what the template's Laplacian has in common. */
function fillNeeded(
  { difference: { image, mask }, visit, template: { image: t }, width, height, half, unusable, core2, wings2 }: RatingTask,
  { stamp: p }: LocalPsf, x: number, y: number, row: Float64Array,
): void {
  const cx = Math.round(x), cy = Math.round(y);
  let pp = 0, pd = 0, pv = 0, dd = 0, ld = 0, ll = 0, core = 0, corePsf = 0, wings = 0, wingsPsf = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const px = cx + u, py = cy + v, r2 = (px - x) * (px - x) + (py - y) * (py - y);
      if (r2 > wings2 || px < 1 || py < 1 || px >= width - 1 || py >= height - 1) continue;
      const j = py * width + px, d = image[j], laplacian = t[j - 1] + t[j + 1] + t[j - width] + t[j + width] - 4 * t[j];
      if ((mask[j] & unusable) !== 0 || d - d !== 0 || laplacian - laplacian !== 0) continue;
      pp += p[k] * p[k]; pd += p[k] * d; pv += p[k] * visit.image[j];
      dd += d * d; ld += laplacian * d; ll += laplacian * laplacian;
      if (r2 > core2) { wings += d; wingsPsf += p[k]; } else { core += d; corePsf += p[k]; }
    }
  }
  row.set([pp, pd, pv, dd, ld, ll, core, corePsf, wings, wingsPsf], 47);
}
