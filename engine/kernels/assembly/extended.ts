/** Normal equations of trails and dipoles. The twins in `twins/extended.ts` define the results. */
import { Patches } from './patches';

/** What the steps of a fit share, as `extended.ts` writes it. Planes are [height × width]. */
@unmanaged
class ExtendedTask {
  image: usize; variance: usize; mask: usize; width: i32; ignored: i32;
  patches: usize;
  /** The pixels that are fitted: first column and row, columns and rows. */
  x0: i32; y0: i32; columns: i32; rows: i32;
  /** Work: three planes of those pixels, or eight numbers of each; a patch; 50 sums. */
  planes: usize; patch: usize; sums: usize;
}

class Pixel {
  @inline static isUsable(task: ExtendedTask, j: usize): bool {
    const value = load<f32>(task.image + (j << 2));
    return (<i32>load<u16>(task.mask + (j << 1)) & task.ignored) == 0 && value - value == 0
      && load<f32>(task.variance + (j << 2)) > 0;
  }

  /** Minus the five-point slopes along x and y of a plane of float64. */
  @inline static slopes(k: usize, row: usize): v128 {
    const near = f64x2.sub(
      f64x2.replace_lane(v128.load64_zero(k - 8), 1, load<f64>(k - row)),
      f64x2.replace_lane(v128.load64_zero(k + 8), 1, load<f64>(k + row)),
    );
    const far = f64x2.add(
      f64x2.mul(f64x2.splat(8), near), f64x2.replace_lane(v128.load64_zero(k + 16), 1, load<f64>(k + 2 * row)));
    const beyond = f64x2.replace_lane(v128.load64_zero(k - 16), 1, load<f64>(k - 2 * row));
    return f64x2.div(f64x2.sub(far, beyond), f64x2.splat(12));
  }
}

/** Adds the PSF at (x, y): `first` times to one plane and, where there is one, `second` times to another. */
function addPatch(task: ExtendedTask, x: f64, y: f64, to: usize, first: f64, also: usize, second: f64): void {
  const patches = changetype<Patches>(task.patches), side = patches.side, half = side >> 1;
  patches.moveTo(x, y);
  patches.drawMiddle(side, task.patch);
  const left = <i32>Math.round(x) - half - task.x0, low = <i32>Math.round(y) - half - task.y0;
  const begin = max(0, -left), end = min(side, task.columns - left);
  for (let v = max(0, -low), bottom = min(side, task.rows - low); v < bottom; v++) {
    const from = task.patch + (<usize>(v * side) << 3), line = <usize>((low + v) * task.columns + left) << 3;
    for (let u = begin; u < end; u++) {
      const k = <usize>u << 3, value = load<f64>(from + k), at = to + line + k;
      store<f64>(at, load<f64>(at) + first * value);
      if (also == 0) continue;
      const beside = also + line + k;
      store<f64>(beside, load<f64>(beside) + second * value);
    }
  }
}

/**
 * Of a trail, by flux, middle, length and angle: model of unit flux, and its derivatives.
 *
 * Sums: of pairs of the five derivatives and the residual, row by row from the diagonal, each over the variance; of the
 * squares of the residuals; pixels.
 *
 * @param steps Points along the trail.
 */
export function trailEquations(
  at: usize, flux: f64, x: f64, y: f64, length: f64, cos: f64, sin: f64, steps: i32,
): void {
  const task = changetype<ExtendedTask>(at), size = <usize>(task.columns * task.rows) << 3;
  const model = task.planes, along = model + size, ends = along + size;
  memory.fill(model, 0, 3 * size);
  const share = 1 / <f64>steps;
  for (let n = 0; n < steps; n++) {
    const t = ((<f64>n + 0.5) / <f64>steps - 0.5) * length;
    addPatch(task, x + t * cos, y + t * sin, model, share, along, t * share);
  }
  addPatch(task, x - 0.5 * length * cos, y - 0.5 * length * sin, ends, 0.5, 0, 0);
  addPatch(task, x + 0.5 * length * cos, y + 0.5 * length * sin, ends, 0.5, 0, 0);
  sumTrail(task, model, along, ends, flux, length, cos, sin);
}

function sumTrail(
  task: ExtendedTask, model: usize, along: usize, ends: usize, flux: f64, length: f64, cos: f64, sin: f64,
): void {
  const columns = task.columns, rows = task.rows, row = <usize>columns << 3, zero = f64x2.splat(0);
  let s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero, s8 = zero, s9 = zero;
  let s10 = zero, chi2: f64 = 0, count = 0;
  for (let v = 0, k: usize = 0; v < rows; v++) {
    const isInnerRow = v > 1 && v < rows - 2;
    let j = <usize>((task.y0 + v) * task.width + task.x0);
    for (let u = 0; u < columns; u++, k += 8, j++) {
      if (!Pixel.isUsable(task, j)) continue;
      const m = load<f64>(model + k), w = 1 / <f64>load<f32>(task.variance + (j << 2));
      const residual = <f64>load<f32>(task.image + (j << 2)) - flux * m;
      let place = zero, turned: f64 = 0;
      if (isInnerRow && u > 1 && u < columns - 2) {
        place = f64x2.mul(f64x2.splat(flux), Pixel.slopes(model + k, row));
        const turn = Pixel.slopes(along + k, row);
        turned = flux * (cos * f64x2.extract_lane(turn, 1) - sin * f64x2.extract_lane(turn, 0));
      }
      const byLength = (flux * (load<f64>(ends + k) - m)) / length;
      const byX = f64x2.extract_lane(place, 0), byY = f64x2.extract_lane(place, 1);
      chi2 += residual * residual * w;
      count++;
      const p0 = f64x2.replace_lane(f64x2.splat(byX), 0, m), p1 = f64x2.replace_lane(f64x2.splat(byLength), 0, byY);
      const p2 = f64x2.replace_lane(f64x2.splat(residual), 0, turned);
      const w0 = f64x2.splat(m * w), w1 = f64x2.splat(byX * w), w2 = f64x2.splat(byY * w);
      const w3 = f64x2.splat(byLength * w), w4 = f64x2.splat(turned * w);
      s0 = f64x2.add(s0, f64x2.mul(w0, p0)); s1 = f64x2.add(s1, f64x2.mul(w0, p1));
      s2 = f64x2.add(s2, f64x2.mul(w0, p2)); s3 = f64x2.add(s3, f64x2.mul(w1, p0));
      s4 = f64x2.add(s4, f64x2.mul(w1, p1)); s5 = f64x2.add(s5, f64x2.mul(w1, p2));
      s6 = f64x2.add(s6, f64x2.mul(w2, p1)); s7 = f64x2.add(s7, f64x2.mul(w2, p2));
      s8 = f64x2.add(s8, f64x2.mul(w3, p1)); s9 = f64x2.add(s9, f64x2.mul(w3, p2));
      s10 = f64x2.add(s10, f64x2.mul(w4, p2));
    }
  }
  const sums = task.sums;
  v128.store(sums, s0); v128.store(sums, s1, 16); v128.store(sums, s2, 32);
  store<f64>(sums, f64x2.extract_lane(s3, 1), 48); v128.store(sums, s4, 56); v128.store(sums, s5, 72);
  v128.store(sums, s6, 88); v128.store(sums, s7, 104);
  store<f64>(sums, f64x2.extract_lane(s8, 1), 120); v128.store(sums, s9, 128);
  v128.store(sums, s10, 144);
  store<f64>(sums, chi2, 160); store<f64>(sums, <f64>count, 168);
}

/** Float64 numbers of a pixel's terms, the last two of no use. */
const TERM_BYTES: usize = 64;

/**
 * Of two lobes, each by flux, x and y. Sums: [6 × 6] of products of derivatives, of use from the diagonal on; [6] of those
 * with the residual; of the squares of the residuals; pixels.
 *
 * @param p [6] float64: flux, x, y of either lobe.
 */
export function dipoleEquations(at: usize, p: usize): void {
  const task = changetype<ExtendedTask>(at), columns = task.columns, rows = task.rows, zero = f64x2.splat(0);
  memory.fill(task.planes, 0, <usize>(columns * rows) * TERM_BYTES);
  const first = load<f64>(p), second = load<f64>(p, 24);
  addLobe(task, load<f64>(p, 8), load<f64>(p, 16), first, task.planes);
  addLobe(task, load<f64>(p, 32), load<f64>(p, 40), second, task.planes + 24);
  let a0 = zero, a1 = zero, a2 = zero, b0 = zero, b1 = zero, b2 = zero, c1 = zero, c2 = zero, d1 = zero, d2 = zero;
  let e2 = zero, f2 = zero, r0 = zero, r1 = zero, r2 = zero, chi2: f64 = 0, count = 0;
  for (let v = 0, k = task.planes; v < rows; v++) {
    let j = <usize>((task.y0 + v) * task.width + task.x0);
    for (let u = 0; u < columns; u++, k += TERM_BYTES, j++) {
      if (!Pixel.isUsable(task, j)) continue;
      const w = 1 / <f64>load<f32>(task.variance + (j << 2));
      const residual = <f64>load<f32>(task.image + (j << 2)) - first * load<f64>(k) - second * load<f64>(k, 24);
      chi2 += residual * residual * w;
      count++;
      const p0 = v128.load(k), p1 = v128.load(k, 16), p2 = v128.load(k, 32), weight = f64x2.splat(w);
      const q0 = f64x2.mul(p0, weight), q1 = f64x2.mul(p1, weight), q2 = f64x2.mul(p2, weight);
      let q = v128.shuffle<f64>(q0, q0, 0, 0);
      a0 = f64x2.add(a0, f64x2.mul(q, p0)); a1 = f64x2.add(a1, f64x2.mul(q, p1)); a2 = f64x2.add(a2, f64x2.mul(q, p2));
      q = v128.shuffle<f64>(q0, q0, 1, 1);
      b0 = f64x2.add(b0, f64x2.mul(q, p0)); b1 = f64x2.add(b1, f64x2.mul(q, p1)); b2 = f64x2.add(b2, f64x2.mul(q, p2));
      q = v128.shuffle<f64>(q1, q1, 0, 0);
      c1 = f64x2.add(c1, f64x2.mul(q, p1)); c2 = f64x2.add(c2, f64x2.mul(q, p2));
      q = v128.shuffle<f64>(q1, q1, 1, 1);
      d1 = f64x2.add(d1, f64x2.mul(q, p1)); d2 = f64x2.add(d2, f64x2.mul(q, p2));
      e2 = f64x2.add(e2, f64x2.mul(v128.shuffle<f64>(q2, q2, 0, 0), p2));
      f2 = f64x2.add(f2, f64x2.mul(v128.shuffle<f64>(q2, q2, 1, 1), p2));
      const rest = f64x2.splat(residual);
      r0 = f64x2.add(r0, f64x2.mul(q0, rest)); r1 = f64x2.add(r1, f64x2.mul(q1, rest));
      r2 = f64x2.add(r2, f64x2.mul(q2, rest));
    }
  }
  const sums = task.sums;
  v128.store(sums, a0); v128.store(sums, a1, 16); v128.store(sums, a2, 32);
  v128.store(sums, b0, 48); v128.store(sums, b1, 64); v128.store(sums, b2, 80);
  v128.store(sums, c1, 112); v128.store(sums, c2, 128);
  v128.store(sums, d1, 160); v128.store(sums, d2, 176);
  v128.store(sums, e2, 224); v128.store(sums, f2, 272);
  v128.store(sums, r0, 288); v128.store(sums, r1, 304); v128.store(sums, r2, 320);
  store<f64>(sums, chi2, 336); store<f64>(sums, <f64>count, 344);
}

/** Fills a lobe's three derivatives, by its flux, x and y; slopes are 0 within two pixels of the patch's border. */
function addLobe(task: ExtendedTask, x: f64, y: f64, flux: f64, terms: usize): void {
  const patches = changetype<Patches>(task.patches), side = patches.side, half = side >> 1, row = <usize>side << 3;
  patches.moveTo(x, y);
  patches.drawMiddle(side, task.patch);
  const left = <i32>Math.round(x) - half - task.x0, low = <i32>Math.round(y) - half - task.y0;
  const begin = max(0, -left), end = min(side, task.columns - left);
  for (let v = max(0, -low), bottom = min(side, task.rows - low); v < bottom; v++) {
    const isInnerRow = v > 1 && v < side - 2;
    for (let u = begin; u < end; u++) {
      const at = task.patch + (<usize>(v * side + u) << 3);
      const to = terms + <usize>((low + v) * task.columns + left + u) * TERM_BYTES;
      store<f64>(to, load<f64>(at));
      if (!isInnerRow || u < 2 || u >= side - 2) continue;
      v128.store(to, f64x2.mul(f64x2.splat(flux), Pixel.slopes(at, row)), 8);
    }
  }
}
