/**
 * Point sources: fits of flux and place, and fluxes at fixed places. The twin in `twins/pointSource.ts` defines the
 * results.
 */
import { Patches } from './patches';
import { touch } from './touch';

/** What all sources of an image share, as `pointSource.ts` writes it. Planes are [height × width]. */
@unmanaged
class PointTask {
  image: usize; variance: usize; mask: usize; width: i32; height: i32; ignored: i32;
  /** Variances of what a flux has of noise beside its pixels', or 0. */
  firstVariance: usize; secondVariance: usize;
  patches: usize;
  /** Side of the pixels that tell a centroid. */
  coreSide: i32; steps: i32;
  /** Work: the model, and sums. */
  model: usize; sums: usize;
  /** Bytes of a row of results. */
  rowBytes: usize; unused: i32;
  firstFactor: f64; secondFactor: f64; shiftMax: f64; convergencePx: f64; convergenceErrors: f64;
}

class Pixel {
  @inline static isUsable(task: PointTask, j: usize): bool {
    const value = load<f32>(task.image + (j << 2));
    return (<i32>load<u16>(task.mask + (j << 1)) & task.ignored) == 0 && value - value == 0
      && load<f32>(task.variance + (j << 2)) > 0;
  }
}

/** Where things lie in a row of results. */
const STATE: usize = 0, PLACE: usize = 8, COVARIANCE: usize = 24, FLUX: usize = 48, LOGS: usize = 120;

/**
 * @param places   [count × 2] float64: x, y.
 * @param isFitted Whether the place is fitted too, from there.
 * @param out      [count] rows of float64, overwritten: whether the place was fitted; x, y; covariance xx, xy, yy; then
 *                 of the flux there Σ p d, Σ p², Σ p² s, Σ p² of all pixels, Σ d²/s, Σ p d/s, Σ p²/s, pixels, added
 *                 noise; and products of the variances s of 16 usable pixels each.
 */
export function measurePoints(at: usize, places: usize, count: i32, isFitted: i32, out: usize): void {
  const task = changetype<PointTask>(at), patches = changetype<Patches>(task.patches);
  for (let i = 0; i < count; i++, places += 16, out += task.rowBytes) {
    const x = load<f64>(places), y = load<f64>(places, 8);
    touchAll(task, <i32>Math.round(x), <i32>Math.round(y), patches.side >> 1);
    memory.fill(out, 0, task.rowBytes);
    store<f64>(out, x, PLACE); store<f64>(out, y, PLACE + 8);
    if (isFitted != 0) fit(task, patches, x, y, out);
    flux(task, patches, load<f64>(out, PLACE), load<f64>(out, PLACE + 8), out);
  }
}

function touchAll(task: PointTask, cx: i32, cy: i32, half: i32): void {
  const width = task.width, height = task.height;
  let bits = touch(task.image, 2, width, height, cx, cy, half, 1) ^ touch(task.variance, 2, width, height, cx, cy, half, 1)
    ^ touch(task.mask, 1, width, height, cx, cy, half, 1);
  if (task.firstVariance != 0) {
    bits ^= touch(task.firstVariance, 2, width, height, cx, cy, half, 1)
      ^ touch(task.secondVariance, 2, width, height, cx, cy, half, 1);
  }
  store<i32>(task.sums, bits);
}

class Clamp {
  /** Half a pixel a step keeps the linearisation honest. */
  @inline static step(value: f64): f64 {
    return max<f64>(-0.5, min<f64>(0.5, value));
  }
}

/** Steps of Gauss and Newton from (x0, y0); when they converge near it, place and covariance are set. */
function fit(task: PointTask, patches: Patches, x0: f64, y0: f64, out: usize): void {
  let x = x0, y = y0;
  const side = task.coreSide, sums = task.sums, width = task.width, height = task.height;
  for (let i = 0; i < task.steps; i++) {
    const cx = <i32>Math.round(x), cy = <i32>Math.round(y);
    patches.moveTo(x, y);
    patches.drawMiddle(side, task.model);
    products(task, side, cx, cy, false);
    const a = load<f64>(sums), b = load<f64>(sums, 8), c = load<f64>(sums, 16), d = load<f64>(sums, 24);
    const e = load<f64>(sums, 32), f = load<f64>(sums, 40), r0 = load<f64>(sums, 48), r1 = load<f64>(sums, 56);
    const r2 = load<f64>(sums, 64), determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d);
    if (!(determinant > 1e-12 * a * d * f)) return;
    const m0 = (d * f - e * e) / determinant, m1 = (c * e - b * f) / determinant, m2 = (b * e - c * d) / determinant;
    const m3 = (a * f - c * c) / determinant, m4 = (b * c - a * e) / determinant, m5 = (a * d - b * b) / determinant;
    const flux = m0 * r0 + m1 * r1 + m2 * r2;
    if (flux == 0) return;
    const dx = (m1 * r0 + m3 * r1 + m4 * r2) / flux, dy = (m2 * r0 + m4 * r1 + m5 * r2) / flux;
    const middle = min(height - 1, max(0, cy)) * width + min(width - 1, max(0, cx));
    const variance = <f64>load<f32>(task.variance + (<usize>middle << 2));
    const errorPx = sqrt(max<f64>(0, m3 * variance)) / abs(flux);
    x += Clamp.step(dx);
    y += Clamp.step(dy);
    if (sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) > task.shiftMax) return;
    const limit = max<f64>(task.convergencePx, task.convergenceErrors * errorPx);
    if (abs(dx) > limit || abs(dy) > limit) continue;
    // Of the model that the last step used: within the convergence limit the covariance there holds.
    products(task, side, cx, cy, true);
    const flux2 = flux * flux;
    store<f64>(out, 1, STATE);
    store<f64>(out, x, PLACE); store<f64>(out, y, PLACE + 8);
    store<f64>(out, sandwich(sums, m1, m3, m4, m1, m3, m4) / flux2, COVARIANCE);
    store<f64>(out, sandwich(sums, m1, m3, m4, m2, m4, m5) / flux2, COVARIANCE + 8);
    store<f64>(out, sandwich(sums, m2, m4, m5, m2, m4, m5) / flux2, COVARIANCE + 16);
    return;
  }
}

/** Row × C × column of a symmetric C (00, 01, 02, 11, 12, 22). */
function sandwich(c: usize, a0: f64, a1: f64, a2: f64, b0: f64, b1: f64, b2: f64): f64 {
  const c00 = load<f64>(c), c01 = load<f64>(c, 8), c02 = load<f64>(c, 16), c11 = load<f64>(c, 24);
  const c12 = load<f64>(c, 32), c22 = load<f64>(c, 40);
  let sum: f64 = 0;
  sum += a0 * c00 * b0; sum += a0 * c01 * b1; sum += a0 * c02 * b2;
  sum += a1 * c01 * b0; sum += a1 * c11 * b1; sum += a1 * c12 * b2;
  sum += a2 * c02 * b0; sum += a2 * c12 * b1; sum += a2 * c22 * b2;
  return sum;
}

/**
 * Σ of products of (p, ∂p/∂x, ∂p/∂y), weighed by the variance where `isWeighed`, then of those with the data. Slopes are
 * five-point ones, both in one vector, and 0 within two pixels of the patch's border.
 */
function products(task: PointTask, side: i32, cx: i32, cy: i32, isWeighed: bool): void {
  const half = side >> 1, row = <usize>side << 3, model = task.model, width = task.width, sums = task.sums;
  const eight = f64x2.splat(8), twelve = f64x2.splat(12);
  let pp: f64 = 0, cross: f64 = 0, pd: f64 = 0;
  let slopes = f64x2.splat(0), squares = f64x2.splat(0), right = f64x2.splat(0);
  for (let v = max(-half, -cy), bottom = min(half, task.height - 1 - cy); v <= bottom; v++) {
    const isInnerRow = v >= 2 - half && v <= half - 2;
    for (let u = max(-half, -cx), last = min(half, width - 1 - cx); u <= last; u++) {
      const j = <usize>((cy + v) * width + cx + u), k = model + (<usize>((v + half) * side + u + half) << 3);
      if (!Pixel.isUsable(task, j)) continue;
      const p = load<f64>(k);
      let g = f64x2.splat(0);
      if (isInnerRow && u >= 2 - half && u <= half - 2) {
        const near = f64x2.sub(
          f64x2.replace_lane(v128.load64_zero(k - 8), 1, load<f64>(k - row)),
          f64x2.replace_lane(v128.load64_zero(k + 8), 1, load<f64>(k + row)),
        );
        const far = f64x2.add(f64x2.mul(eight, near), f64x2.replace_lane(v128.load64_zero(k + 16), 1, load<f64>(k + 2 * row)));
        g = f64x2.div(
          f64x2.sub(far, f64x2.replace_lane(v128.load64_zero(k - 16), 1, load<f64>(k - 2 * row))), twelve);
      }
      const gx = f64x2.extract_lane(g, 0), gy = f64x2.extract_lane(g, 1);
      if (isWeighed) {
        const s = <f64>load<f32>(task.variance + (j << 2)), both = f64x2.splat(s);
        pp += s * p * p;
        slopes = f64x2.add(slopes, f64x2.mul(f64x2.splat(s * p), g));
        squares = f64x2.add(squares, f64x2.mul(f64x2.mul(both, g), g));
        cross += s * gx * gy;
      } else {
        const d = <f64>load<f32>(task.image + (j << 2));
        pp += p * p;
        slopes = f64x2.add(slopes, f64x2.mul(f64x2.splat(p), g));
        squares = f64x2.add(squares, f64x2.mul(g, g));
        cross += gx * gy;
        pd += p * d;
        right = f64x2.add(right, f64x2.mul(g, f64x2.splat(d)));
      }
    }
  }
  store<f64>(sums, pp); v128.store(sums, slopes, 8);
  store<f64>(sums, f64x2.extract_lane(squares, 0), 24); store<f64>(sums, cross, 32);
  store<f64>(sums, f64x2.extract_lane(squares, 1), 40);
  store<f64>(sums, pd, 48); v128.store(sums, right, 56);
}

/** Sums for a flux at a place. */
function flux(task: PointTask, patches: Patches, x: f64, y: f64, out: usize): void {
  const side = patches.side, half = side >> 1, cx = <i32>Math.round(x), cy = <i32>Math.round(y);
  const width = task.width, height = task.height;
  patches.moveTo(x, y);
  patches.drawMiddle(side, task.model);
  let signal: f64 = 0, squares: f64 = 0, noise: f64 = 0, all: f64 = 0, dd: f64 = 0, pd: f64 = 0, pp: f64 = 0;
  let product: f64 = 1, count = 0, products = out + LOGS;
  for (let v = -half, k = task.model; v <= half; v++) {
    for (let u = -half; u <= half; u++, k += 8) {
      const p = load<f64>(k), px = cx + u, py = cy + v;
      all += p * p;
      if (px < 0 || py < 0 || px >= width || py >= height) continue;
      const j = <usize>(py * width + px);
      if (!Pixel.isUsable(task, j)) continue;
      const d = <f64>load<f32>(task.image + (j << 2)), s = <f64>load<f32>(task.variance + (j << 2)), w = 1 / s;
      signal += p * d;
      squares += p * p;
      noise += p * p * s;
      dd += d * d * w;
      pd += p * d * w;
      pp += p * p * w;
      product *= s;
      count++;
      if ((count & 15) == 0) { store<f64>(products, product); products += 8; product = 1; }
    }
  }
  store<f64>(products, product);
  store<f64>(out, signal, FLUX); store<f64>(out, squares, FLUX + 8); store<f64>(out, noise, FLUX + 16);
  store<f64>(out, all, FLUX + 24); store<f64>(out, dd, FLUX + 32); store<f64>(out, pd, FLUX + 40);
  store<f64>(out, pp, FLUX + 48); store<f64>(out, <f64>count, FLUX + 56);
  store<f64>(out, task.firstVariance == 0 ? 0 : addedNoise(task, patches, cx, cy), FLUX + 64);
}

/** Σ p² (first × V_first + second × V_second), of the PSF as it lies on the pixel. */
function addedNoise(task: PointTask, patches: Patches, cx: i32, cy: i32): f64 {
  const half = patches.side >> 1, margin = 4, first = task.firstFactor, second = task.secondFactor;
  const width = task.width;
  let sum: f64 = 0;
  for (let v = max(-half, -cy), bottom = min(half, task.height - 1 - cy); v <= bottom; v++) {
    const row = patches.cell + (<usize>((v + half + margin) * patches.padded + half + margin) << 3);
    for (let u = max(-half, -cx), last = min(half, width - 1 - cx); u <= last; u++) {
      const j = <usize>((cy + v) * width + cx + u), p = load<f64>(row + (<usize>u << 3));
      if ((<i32>load<u16>(task.mask + (j << 1)) & task.ignored) != 0) continue;
      const noise = first * <f64>load<f32>(task.firstVariance + (j << 2))
        + second * <f64>load<f32>(task.secondVariance + (j << 2));
      if (noise - noise == 0) sum += p * p * noise;
    }
  }
  return sum;
}
