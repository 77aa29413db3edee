/**
 * Numbers from the pixels around sources, of which the features of their reliability are made. The twins in
 * `twins/rating.ts` and `twins/ratingAround.ts` define the results; `rating.ts` names them.
 */
import { moveLocalPsf } from './localPsf';
import { Around } from './ratingAround';
import { RatingTask } from './ratingTask';
import { ringNoise } from './ring';
import { touch } from './touch';

/** Bytes of a source's place, [x, y, sign] float64, and of its numbers. */
const PLACE_BYTES: usize = 24, COLUMNS_BYTES: usize = 8 * 76;

/** @param places [count × 3] float64. @param out [count × 76] float64, overwritten. */
export function ratePixels(at: usize, places: usize, count: i32, out: usize): void {
  const task = changetype<RatingTask>(at);
  for (let i = 0; i < count; i++, places += PLACE_BYTES, out += COLUMNS_BYTES) {
    const x = load<f64>(places), y = load<f64>(places, 8), sign = load<f64>(places, 16);
    const rx = Math.round(x), ry = Math.round(y);
    const cx = <i32>min<f64>(task.width - 1, max<f64>(0, rx)), cy = <i32>min<f64>(task.height - 1, max<f64>(0, ry));
    const fx = min<f64>(0.5, max<f64>(-0.5, x - <f64>cx)), fy = min<f64>(0.5, max<f64>(-0.5, y - <f64>cy));
    touchAll(task, cx, cy);
    moveLocalPsf(task.psf, task.cellPx, x, y, fx, fy, task.half, task.moving, task.stamp);
    cutData(task, cx, cy, sign);
    const flux = shape(task, fx, fy, out);
    residuals(task, fx, fy, flux, out);
    template(task, cx, cy, fx, fy, sign, out);
    sharpness(task, cx, cy, fx, fy, out);
    lightNeeded(task, x, y, <i32>rx, <i32>ry, out);
    Around.brightLight(task, x, y, <i32>rx, <i32>ry, cy * task.width + cx, out);
    Around.blemishes(task, x, y, <i32>rx, <i32>ry, out);
    Around.line(task, <i32>rx, <i32>ry, 0, 1, out + 512);
    Around.line(task, <i32>rx, <i32>ry, 1, 0, out + 528);
    ring(task, x, y, <i32>rx, <i32>ry, out);
    Around.brightResidual(task, x, y, <i32>rx, <i32>ry, out);
  }
}

/** Has all pixels that a source's numbers are made of in the cache. */
function touchAll(task: RatingTask, cx: i32, cy: i32): void {
  const reach = <i32>ceil(task.outer) + 1, near = Reach.of(task.half, task.wings2) + 1;
  const width = task.width, height = task.height;
  let bits = touch(task.image, 2, width, height, cx, cy, reach, 1)
    ^ touch(task.variance, 2, width, height, cx, cy, reach, 1) ^ touch(task.mask, 1, width, height, cx, cy, reach, 1);
  bits ^= touch(task.template, 2, width, height, cx, cy, task.brightReach, 2);
  bits ^= touch(task.template, 2, width, height, cx, cy, near, 1) ^ touch(task.visit, 2, width, height, cx, cy, near, 1);
  store<i32>(task.moving, bits);
}

/** d, sign × difference, and its weight 1 / variance, of the stamp's pixels; weight 0 where unusable. */
function cutData(task: RatingTask, cx: i32, cy: i32, sign: f64): void {
  const half = task.half, width = task.width, height = task.height, scale = task.noiseScale * task.noiseScale;
  for (let v = -half, k: usize = 0; v <= half; v++) {
    const py = cy + v;
    for (let u = -half; u <= half; u++, k += 8) {
      const px = cx + u;
      let value: f64 = 0, weight: f64 = 0;
      if (px >= 0 && py >= 0 && px < width && py < height) {
        const j = <usize>(py * width + px), d = load<f32>(task.image + (j << 2));
        const s = load<f32>(task.variance + (j << 2));
        if ((<i32>load<u16>(task.mask + (j << 1)) & task.unusable) == 0 && s > 0 && d - d == 0) {
          value = sign * <f64>d;
          weight = 1 / (scale * <f64>s);
        }
      }
      store<f64>(task.data + k, value);
      store<f64>(task.weight + k, weight);
    }
  }
}

class Reach {
  /** Half side of the pixels that a circle around the source may hold. */
  @inline static of(half: i32, radius2: f64): i32 {
    return <i32>min<f64>(half, ceil(sqrt(radius2)) + 1);
  }

  /** Byte offset in the stamp of the first of them in row v. */
  @inline static first(half: i32, v: i32, reach: i32): usize {
    return <usize>((v + half) * (2 * half + 1) + half - reach) << 3;
  }
}

/** Sums of the fit and of the moments under the PSF. @returns The flux of the fit. */
function shape(task: RatingTask, fx: f64, fy: f64, out: usize): f64 {
  const half = task.half, wings2 = task.wings2, reach = Reach.of(half, wings2);
  let pp: f64 = 0, pd: f64 = 0, dd: f64 = 0, all: f64 = 0, mx: f64 = 0, my: f64 = 0, mxx: f64 = 0, mxy: f64 = 0;
  let myy: f64 = 0, nrr: f64 = 0;
  for (let v = -reach; v <= reach; v++) {
    const dy = <f64>v - fy, dy2 = dy * dy;
    for (let u = -reach, k = Reach.first(half, v, reach); u <= reach; u++, k += 8) {
      const dx = <f64>u - fx, r2 = dx * dx + dy2;
      if (r2 > wings2) continue;
      const p = load<f64>(task.stamp + k), square = p * p;
      all += square;
      if (load<f64>(task.weight + k) == 0) continue;
      const d = load<f64>(task.data + k), gd = p * d;
      pp += square; pd += gd; dd += d * d;
      mx += gd * dx; my += gd * dy; mxx += gd * dx * dx; mxy += gd * dx * dy; myy += gd * dy * dy;
      nrr += square * r2;
    }
  }
  store<f64>(out, pp, 0); store<f64>(out, pd, 8); store<f64>(out, dd, 16); store<f64>(out, all, 24);
  store<f64>(out, mx, 32); store<f64>(out, my, 40); store<f64>(out, mxx, 48); store<f64>(out, mxy, 56);
  store<f64>(out, myy, 64); store<f64>(out, nrr, 72);
  return pp > 0 ? pd / pp : 0;
}

/** Residuals of the fit by ring, opposite and excess light, asymmetry, heights in the middle. */
function residuals(task: RatingTask, fx: f64, fy: f64, flux: f64, out: usize): void {
  const half = task.half, core2 = task.core2, wings2 = task.wings2, ring2 = task.ring2;
  const side = 2 * half + 1, lastAt = <usize>(side * side - 1) << 3;
  let coreChi2: f64 = 0, wingsChi2: f64 = 0, ringChi2: f64 = 0, nCore = 0, nWings = 0, nRing = 0;
  let most: f64 = -99, least: f64 = 99, opposite: f64 = 0, excess: f64 = 0, ringSum: f64 = 0;
  let difference: f64 = 0, absolute: f64 = 0;
  for (let v = -half, k: usize = 0; v <= half; v++) {
    const dy = <f64>v - fy, dy2 = dy * dy;
    for (let u = -half; u <= half; u++, k += 8) {
      const dx = <f64>u - fx, r2 = dx * dx + dy2;
      if (r2 > ring2) continue;
      const weight = load<f64>(task.weight + k);
      if (weight == 0) continue;
      const d = load<f64>(task.data + k), root = sqrt(weight);
      const residual = (d - flux * load<f64>(task.stamp + k)) * root, square = residual * residual, value = d * root;
      if (value < -2.5) opposite += value * value;
      if (r2 > wings2) {
        ringChi2 += square; nRing++; ringSum += value;
        if (value > 2.5) excess += value * value;
        continue;
      }
      if (r2 > core2) { wingsChi2 += square; nWings++; } else { coreChi2 += square; nCore++; }
      if (residual > most) most = residual;
      if (residual < least) least = residual;
      const mirror = lastAt - k;
      if (load<f64>(task.weight + mirror) != 0) {
        difference += abs(d - load<f64>(task.data + mirror));
        absolute += abs(d);
      }
    }
  }
  store<f64>(out, coreChi2, 80); store<f64>(out, wingsChi2, 88); store<f64>(out, ringChi2, 96);
  store<f64>(out, <f64>nCore, 104); store<f64>(out, <f64>nWings, 112); store<f64>(out, <f64>nRing, 120);
  store<f64>(out, most, 128); store<f64>(out, least, 136); store<f64>(out, opposite, 144);
  store<f64>(out, excess, 152); store<f64>(out, ringSum, 160); store<f64>(out, difference, 168);
  store<f64>(out, absolute, 176);
  const middle = half * side + half, at = <usize>middle << 3;
  store<f64>(out, aboveNeighbours(task.data, side, middle), 184);
  store<f64>(out, aboveNeighbours(task.stamp, side, middle), 192);
  store<f64>(out, load<f64>(task.weight + at), 200);
  store<f64>(out, load<f64>(task.data + at), 208);
  store<f64>(out, load<f64>(task.stamp + at), 216);
}

/** By how much a pixel, or the one beside it that does so most, stands above the mean of its eight neighbours. */
function aboveNeighbours(plane: usize, side: i32, at: i32): f64 {
  return max(
    max(max(height(plane, side, at), height(plane, side, at - 1)), height(plane, side, at + 1)),
    max(height(plane, side, at - side), height(plane, side, at + side)),
  );
}

function height(plane: usize, side: i32, at: i32): f64 {
  const p = plane + (<usize>at << 3), row = <usize>side << 3;
  const mean = (load<f64>(p - 8) + load<f64>(p + 8) + load<f64>(p - row) + load<f64>(p + row) + load<f64>(p - row - 8)
    + load<f64>(p - row + 8) + load<f64>(p + row - 8) + load<f64>(p + row + 8)) / 8;
  const above = load<f64>(p) - mean;
  // A pixel that is not finite is nobody's height.
  return above == above ? above : -Infinity;
}

/** Equations of (T, ∂T/∂x, ∂T/∂y) within the wings, and the template's light under the PSF. */
function template(task: RatingTask, cx: i32, cy: i32, fx: f64, fy: f64, sign: f64, out: usize): void {
  const half = task.half, wings2 = task.wings2, width = task.width, height = task.height, row = <usize>width << 2;
  const reach = Reach.of(half, wings2);
  let a0: f64 = 0, a1: f64 = 0, a2: f64 = 0, a3: f64 = 0, a4: f64 = 0, a5: f64 = 0, b0: f64 = 0, b1: f64 = 0;
  let b2: f64 = 0, pp: f64 = 0, pt: f64 = 0, peak: f64 = 0, middleWeight: f64 = 0, steepest: f64 = 0;
  for (let v = -reach; v <= reach; v++) {
    const dy = <f64>v - fy, dy2 = dy * dy, py = cy + v, isRow = py >= 1 && py < height - 1;
    for (let u = -reach, k = Reach.first(half, v, reach); u <= reach; u++, k += 8) {
      const dx = <f64>u - fx, px = cx + u;
      if (dx * dx + dy2 > wings2 || !isRow || px < 1 || px >= width - 1) continue;
      const weight = load<f64>(task.weight + k);
      if (weight == 0) continue;
      const j = task.template + (<usize>(py * width + px) << 2);
      const t = <f64>load<f32>(j), d = sign * load<f64>(task.data + k);
      const tx = (<f64>load<f32>(j + 4) - <f64>load<f32>(j - 4)) / 2;
      const ty = (<f64>load<f32>(j + row) - <f64>load<f32>(j - row)) / 2;
      if (t - t != 0 || tx - tx != 0 || ty - ty != 0) continue;
      a0 += t * t; a1 += t * tx; a2 += t * ty; a3 += tx * tx; a4 += tx * ty; a5 += ty * ty;
      b0 += t * d; b1 += tx * d; b2 += ty * d;
      const p = load<f64>(task.stamp + k);
      pp += p * p;
      pt += p * t;
      if (t > peak) peak = t;
      if (tx * tx + ty * ty > steepest) steepest = tx * tx + ty * ty;
      if (weight > middleWeight) middleWeight = weight;
    }
  }
  store<f64>(out, a0, 224); store<f64>(out, a1, 232); store<f64>(out, a2, 240); store<f64>(out, a3, 248);
  store<f64>(out, a4, 256); store<f64>(out, a5, 264); store<f64>(out, b0, 272); store<f64>(out, b1, 280);
  store<f64>(out, b2, 288); store<f64>(out, pp, 296); store<f64>(out, pt, 304); store<f64>(out, peak, 312);
  store<f64>(out, middleWeight, 320); store<f64>(out, steepest, 328);
}

/** Half side of the stamp of which the visit's sharpness is told. */
const SHARP_HALF = 2, SHARP_SIDE = 5, SHARP_MIDDLE = 12;

/** Whether there is room for it; sharpness of the visit's PSF, the visit image, and the template; the visit's variance. */
function sharpness(task: RatingTask, cx: i32, cy: i32, fx: f64, fy: f64, out: usize): void {
  const width = task.width, height = task.height;
  if (cx < 2 || cy < 2 || cx >= width - 2 || cy >= height - 2) {
    memory.fill(out + 336, 0, 40);
    return;
  }
  moveLocalPsf(
    task.visitPsf, task.cellPx, <f64>cx + fx, <f64>cy + fy, fx, fy, SHARP_HALF, task.moving, task.visitStamp,
  );
  store<f64>(out, 1, 336);
  store<f64>(out, aboveNeighbours(task.visitStamp, SHARP_SIDE, SHARP_MIDDLE), 344);
  store<f64>(out, sharpestNear(task.visit, width, cx, cy, task.moving), 352);
  store<f64>(out, sharpestNear(task.template, width, cx, cy, task.moving), 360);
  store<f64>(out, <f64>load<f32>(task.visitVariance + (<usize>(cy * width + cx) << 2)), 368);
}

function sharpestNear(image: usize, width: i32, cx: i32, cy: i32, work: usize): f64 {
  for (let v = -2, to = work; v <= 2; v++) {
    const from = image + (<usize>((cy + v) * width + cx - 2) << 2);
    for (let u: usize = 0; u < 20; u += 4, to += 8) store<f64>(to, <f64>load<f32>(from + u));
  }
  return aboveNeighbours(work, SHARP_SIDE, SHARP_MIDDLE);
}

/** Light of difference and visit under the PSF, in core and wings, and what the template's Laplacian has in common. */
function lightNeeded(task: RatingTask, x: f64, y: f64, cx: i32, cy: i32, out: usize): void {
  const half = task.half, core2 = task.core2, wings2 = task.wings2, width = task.width, height = task.height;
  const row = <usize>width << 2, reach = Reach.of(half, wings2);
  let pp: f64 = 0, pd: f64 = 0, pv: f64 = 0, dd: f64 = 0, ld: f64 = 0, ll: f64 = 0, core: f64 = 0, corePsf: f64 = 0;
  let wings: f64 = 0, wingsPsf: f64 = 0;
  for (let v = -reach; v <= reach; v++) {
    const py = cy + v, dy = <f64>py - y, dy2 = dy * dy, isRow = py >= 1 && py < height - 1;
    for (let u = -reach, k = Reach.first(half, v, reach); u <= reach; u++, k += 8) {
      const px = cx + u, dx = <f64>px - x, r2 = dx * dx + dy2;
      if (r2 > wings2 || !isRow || px < 1 || px >= width - 1) continue;
      const j = <usize>(py * width + px), t = task.template + (j << 2), d = <f64>load<f32>(task.image + (j << 2));
      const laplacian = <f64>load<f32>(t - 4) + <f64>load<f32>(t + 4) + <f64>load<f32>(t - row)
        + <f64>load<f32>(t + row) - 4 * <f64>load<f32>(t);
      const bits = <i32>load<u16>(task.mask + (j << 1));
      if ((bits & task.unusable) != 0 || d - d != 0 || laplacian - laplacian != 0) continue;
      const p = load<f64>(task.stamp + k);
      pp += p * p; pd += p * d; pv += p * <f64>load<f32>(task.visit + (j << 2));
      dd += d * d; ld += laplacian * d; ll += laplacian * laplacian;
      if (r2 > core2) { wings += d; wingsPsf += p; } else { core += d; corePsf += p; }
    }
  }
  store<f64>(out, pp, 376); store<f64>(out, pd, 384); store<f64>(out, pv, 392); store<f64>(out, dd, 400);
  store<f64>(out, ld, 408); store<f64>(out, ll, 416); store<f64>(out, core, 424); store<f64>(out, corePsf, 432);
  store<f64>(out, wings, 440); store<f64>(out, wingsPsf, 448);
}

/** Sums of `ringNoise`; zeros where no pixel of the ring has a neighbour on every side. */
function ring(task: RatingTask, x: f64, y: f64, cx: i32, cy: i32, out: usize): void {
  const reach = <i32>ceil(task.outer), x0 = max(1, cx - reach), y0 = max(1, cy - reach);
  const x1 = min(task.width - 2, cx + reach), y1 = min(task.height - 2, cy + reach);
  if (x1 < x0 || y1 < y0) { memory.fill(out + 544, 0, 48); return; }
  ringNoise(
    task.image, task.variance, task.mask, task.width, task.unusable, task.noiseScale, task.limit, x0, y0, x1, y1, x, y,
    task.inner * task.inner, task.outer * task.outer, task.window, out + 544,
  );
}
