/**
 * A PSF placed at a fraction of a pixel, and its fit to a star. The twins in `twins/starFit.ts` define the results.
 *
 * Stamps are padded: PAD rows and columns of zeros on each side, rows `stride` apart (a multiple of 4, PAD beyond the
 * right edge at least).
 */

/** A pixel that is moved takes from four on each side. */
const PAD = 4, TAPS = 9;
/** Floats from one phase to the next, and phases per pixel; the first is of a shift of −1. */
const PHASE_STRIDE = 12, PHASES = 512;
/** A fit that goes farther than this from its start, pixels, has found another star. */
const DRIFT_MAX: f64 = 1.5;
const STEPS = 12;
/** Step at which a fit stands: Gauss and Newton square what is left. */
const TOLERANCE: f64 = 1e-3;

/**
 * The model at a place, as a padded stamp of unit sum.
 *
 * @param coefficients [terms × size × size] float32.
 * @param weights      [terms] float32: the terms there.
 * @param sums         [size × size + 4] float32, work.
 */
function evaluate(
  coefficients: usize, terms: i32, weights: usize, size: i32, stride: i32, sums: usize, out: usize,
): void {
  const n = size * size, whole = n & ~3, bytes = <usize>n << 2;
  for (let j = 0; j < whole; j += 4) {
    let c = coefficients + (<usize>j << 2), sum = f32x4.mul(v128.load32_splat(weights), v128.load(c));
    for (let k = 1; k < terms; k++) {
      c += bytes;
      sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + (<usize>k << 2)), v128.load(c)));
    }
    v128.store(sums + (<usize>j << 2), sum);
  }
  for (let j = whole; j < n; j++) {
    let c = coefficients + (<usize>j << 2), sum = load<f32>(weights) * load<f32>(c);
    for (let k = 1; k < terms; k++) {
      c += bytes;
      sum += load<f32>(weights + (<usize>k << 2)) * load<f32>(c);
    }
    store<f32>(sums + (<usize>j << 2), sum);
  }
  let total: f64 = 0;
  for (let j: usize = 0; j < bytes; j += 4) total += <f64>load<f32>(sums + j);
  const scale = <f32>(1 / total);
  memory.fill(out, 0, <usize>(stride * (size + 2 * PAD)) << 2);
  for (let row = 0; row < size; row++) {
    const from = sums + (<usize>(row * size) << 2), to = out + (<usize>((row + PAD) * stride + PAD) << 2);
    for (let i: usize = 0, end = <usize>size << 2; i < end; i += 4) store<f32>(to + i, load<f32>(from + i) * scale);
  }
}

/** Weights of a shift, |shift| ≤ 1, from the table by a straight line. */
function fillTaps(table: usize, shift: f64, taps: usize): void {
  const place = (shift + 1) * PHASES, first = max<f64>(0, min<f64>(floor<f64>(place), 2 * PHASES - 1));
  const share = <f32>(place - first), row = table + (<usize>first * PHASE_STRIDE << 2);
  for (let t: usize = 0; t < 4 * TAPS; t += 4) {
    const a = load<f32>(row + t), b = load<f32>(row + t + 4 * PHASE_STRIDE);
    store<f32>(taps + t, a + share * (b - a));
  }
}

/**
 * Moves a padded stamp by (dx, dy): along x, then along y, on the middle (2 reach + 1)² pixels of it.
 *
 * @param between As large as a padded stamp, work.
 * @param out     Padded; what lies outside the middle is left or destroyed.
 */
function shift(
  from: usize, size: i32, stride: i32, reach: i32, table: usize, dx: f64, dy: f64, taps: usize, between: usize,
  out: usize,
): void {
  const middle = PAD + (size >> 1), bytes = <usize>stride << 2, left = <usize>(middle - reach) << 2;
  const end = left + (<usize>(2 * reach + 1) << 2);
  fillTaps(table, dx, taps);
  for (let row = middle - reach - PAD; row <= middle + reach + PAD; row++) {
    const line = <usize>row * bytes;
    for (let at = line + left; at < line + end; at += 16) {
      v128.store(between + at, weigh(from + at - <usize>(4 * PAD), 4, taps));
    }
  }
  fillTaps(table, dy, taps);
  for (let row = middle - reach; row <= middle + reach; row++) {
    const line = <usize>row * bytes;
    for (let at = line + left; at < line + end; at += 16) {
      v128.store(out + at, weigh(between + at - <usize>PAD * bytes, bytes, taps));
    }
  }
}

function weigh(at: usize, step: usize, taps: usize): v128 {
  let sum = f32x4.mul(v128.load32_splat(taps), v128.load(at));
  for (let t: usize = 4; t < 4 * TAPS; t += 4) {
    at += step;
    sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(taps + t), v128.load(at)));
  }
  return sum;
}

/**
 * The PSF at a place, moved by (dx, dy).
 *
 * @param work   Taps [PHASE_STRIDE], sums [size² + 4], and three padded stamps; floats. The last is the result.
 */
export function placePsf(
  coefficients: usize, terms: i32, weights: usize, size: i32, stride: i32, table: usize, dx: f64, dy: f64, work: usize,
): void {
  const sums = work + 4 * PHASE_STRIDE, local = sums + (<usize>(size * size + 4) << 2);
  const bytes = <usize>(stride * (size + 2 * PAD)) << 2;
  evaluate(coefficients, terms, weights, size, stride, sums, local);
  shift(local, size, stride, size >> 1, table, dx, dy, work, local + bytes, local + 2 * bytes);
}

/** Moves the stamp that the caller has put in the first padded stamp of `work`; the result is the third. */
export function movePadded(size: i32, stride: i32, table: usize, dx: f64, dy: f64, work: usize): void {
  const local = work + 4 * PHASE_STRIDE + (<usize>(size * size + 4) << 2);
  const bytes = <usize>(stride * (size + 2 * PAD)) << 2;
  shift(local, size, stride, size >> 1, table, dx, dy, work, local + bytes, local + 2 * bytes);
}

/**
 * Gauss and Newton for flux and both coordinates on the pixels within `radius`.
 *
 * @param light  [size × size] float32 of neighbours' light about the rounded start, or 0 for none.
 * @param work   As for `placePsf`.
 * @param result Eight f64, overwritten: x, y, xErr, yErr, flux, fluxErr, χ², pixels.
 * @returns Whether it succeeded.
 */
export function fitStar(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, skip: i32, coefficients: usize, terms: i32,
  weights: usize, size: i32, stride: i32, table: usize, xStart: f64, yStart: f64, radius: f64, light: usize,
  work: usize, result: usize,
): i32 {
  const sums = work + 4 * PHASE_STRIDE, local = sums + (<usize>(size * size + 4) << 2);
  const bytes = <usize>(stride * (size + 2 * PAD)) << 2, profile = local + 2 * bytes, half = size >> 1;
  const reach = min<i32>(<i32>ceil<f64>(radius), half - 1);
  let x = xStart, y = yStart, cx = floor<f64>(xStart + 0.5), cy = floor<f64>(yStart + 0.5);
  evaluate(coefficients, terms, weights, size, stride, sums, local);
  for (let step = 0; step < STEPS; step++) {
    if (!((x - xStart) * (x - xStart) + (y - yStart) * (y - yStart) <= DRIFT_MAX * DRIFT_MAX)) return 0;
    // The PSF may move by a pixel within its stamp; without neighbours' light, which has its place, the stamp can
    // follow. It does so late, for between two pixels it would step to and fro.
    if (light == 0 && max<f64>(abs<f64>(x - cx), abs<f64>(y - cy)) > 0.75) {
      cx = floor<f64>(x + 0.5);
      cy = floor<f64>(y + 0.5);
    }
    if (!(abs<f64>(x - cx) <= 1 && abs<f64>(y - cy) <= 1)) return 0;
    shift(local, size, stride, reach + 1, table, x - cx, y - cy, work, local + bytes, profile);
    if (!solve(
      image, variance, mask, width, height, skip, <i32>cx, <i32>cy, reach, radius * radius, light, size, stride,
      profile, result,
    )) return 0;
    const dx = load<f64>(result), dy = load<f64>(result, 8);
    x += dx;
    y += dy;
    if (dx * dx + dy * dy < TOLERANCE * TOLERANCE) {
      store<f64>(result, x); store<f64>(result, y, 8);
      return 1;
    }
  }
  return 0;
}

/**
 * Normal equations of (flux, flux·dx, flux·dy), and their solution: the step in x and y first, the rest as `fitStar`
 * returns it.
 */
function solve(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, skip: i32, cx: i32, cy: i32, reach: i32,
  radius2: f64, light: usize, size: i32, stride: i32, profile: usize, result: usize,
): bool {
  const half = size >> 1, row = <usize>stride << 2;
  let pp: f64 = 0, px: f64 = 0, py: f64 = 0, xx: f64 = 0, xy: f64 = 0, yy: f64 = 0;
  let pd: f64 = 0, xd: f64 = 0, yd: f64 = 0, dd: f64 = 0, used = 0, total = 0;
  for (let j = -reach; j <= reach; j++) {
    for (let i = -reach; i <= reach; i++) {
      if (<f64>(i * i + j * j) > radius2) continue;
      total++;
      const imageX = cx + i, imageY = cy + j;
      if (imageX < 0 || imageY < 0 || imageX >= width || imageY >= height) continue;
      const at = <usize>(imageY * width + imageX), weight = 1 / <f64>load<f32>(variance + (at << 2));
      if ((<i32>load<u16>(mask + (at << 1)) & skip) != 0 || !(weight > 0)) continue;
      used++;
      let value = <f64>load<f32>(image + (at << 2));
      if (light != 0) value -= <f64>load<f32>(light + (<usize>((j + half) * size + i + half) << 2));
      const k = profile + (<usize>((j + half + PAD) * stride + i + half + PAD) << 2), p = <f64>load<f32>(k);
      // Light moves with the star: the derivative by x is minus the slope.
      const gx = (<f64>load<f32>(k - 4) - <f64>load<f32>(k, 4)) / 2;
      const gy = (<f64>load<f32>(k - row) - <f64>load<f32>(k + row)) / 2;
      const wp = weight * p, wx = weight * gx, wy = weight * gy;
      pp += wp * p; px += wp * gx; py += wp * gy;
      xx += wx * gx; xy += wx * gy; yy += wy * gy;
      pd += wp * value; xd += wx * value; yd += wy * value; dd += weight * value * value;
    }
  }
  if (2 * used < total) return false;
  // Cramer's rule on the symmetric 3 × 3 system.
  const c00 = xx * yy - xy * xy, c01 = xy * py - px * yy, c02 = px * xy - xx * py;
  const determinant = pp * c00 + px * c01 + py * c02;
  const c11 = pp * yy - py * py, c12 = px * py - pp * xy, c22 = pp * xx - px * px;
  const flux = (c00 * pd + c01 * xd + c02 * yd) / determinant;
  if (!(determinant > 0) || !(flux > 0)) return false;
  const sx = (c01 * pd + c11 * xd + c12 * yd) / determinant, sy = (c02 * pd + c12 * xd + c22 * yd) / determinant;
  store<f64>(result, clamp(sx / flux)); store<f64>(result, clamp(sy / flux), 8);
  store<f64>(result, sqrt<f64>(c11 / determinant) / flux, 16);
  store<f64>(result, sqrt<f64>(c22 / determinant) / flux, 24);
  store<f64>(result, flux, 32); store<f64>(result, sqrt<f64>(c00 / determinant), 40);
  store<f64>(result, dd - flux * pd - sx * xd - sy * yd, 48); store<f64>(result, <f64>used, 56);
  return true;
}

/** The linear step is trusted for half a pixel. */
function clamp(step: f64): f64 {
  return max<f64>(-0.5, min<f64>(0.5, step));
}
