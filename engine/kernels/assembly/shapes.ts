/** Aperture fluxes, adaptive moments and footprints of sources. The twins in `twins/shapes.ts` define the results. */
import { Exponential } from './exponential';
import { Patches } from './patches';
import { touch } from './touch';

/** What all sources of an image share, as `shapes.ts` writes it. Planes are [height × width]. */
@unmanaged
class ShapesTask {
  image: usize; variance: usize; mask: usize; width: i32; height: i32;
  noData: i32; detected: i32; detectedNegative: i32;
  patches: usize;
  /** Half side of the pixels whose moments are taken, and steps towards them. */
  half: i32; steps: i32;
  /** Work: those pixels; a patch; of each cell in which the PSF's moments are one, [known, found, xx, xy, yy]. */
  window: usize; patch: usize; cells: usize; across: i32; unused: i32;
  cellPx: f64; radius: f64; startPx2: f64; momentMaxPx2: f64; convergence: f64; sideMin: f64; sideMax: f64;
}

const PLACE_BYTES: usize = 56, COLUMNS_BYTES: usize = 8 * 18, CELL_BYTES: usize = 40, SQRT1_2: f64 = 0.7071067811865476;
/** Places along each axis in a pixel that decide which share of it a circle covers. */
const SUBPIXELS = 5;

/**
 * @param places [count × 7] float64: x, y, sign, and the footprint's x0, y0, x1, y1.
 * @param out    [count × 18] float64, overwritten: flux and noise of the aperture, whether it is cut, whether it holds a
 *               pixel without data; whether moments were found, xx, xy, yy; the same of the PSF; sums of the footprint.
 */
export function measureShapes(at: usize, places: usize, count: i32, out: usize): void {
  const task = changetype<ShapesTask>(at), width = task.width, height = task.height;
  for (let i = 0; i < count; i++, places += PLACE_BYTES, out += COLUMNS_BYTES) {
    const x = load<f64>(places), y = load<f64>(places, 8), sign = load<f64>(places, 16);
    const cx = <i32>Math.round(x), cy = <i32>Math.round(y), reach = max(task.half, <i32>ceil(task.radius) + 1);
    store<i32>(task.window, touch(task.image, 2, width, height, cx, cy, reach, 1)
      ^ touch(task.variance, 2, width, height, cx, cy, reach, 1) ^ touch(task.mask, 1, width, height, cx, cy, reach, 1));
    aperture(task, x, y, out);
    const ofPsf = psfMoments(task, x, y);
    memory.copy(out + 64, ofPsf + 8, 32);
    const start = load<f64>(ofPsf, 8) == 0 ? task.startPx2 : (load<f64>(ofPsf, 16) + load<f64>(ofPsf, 32)) / 2;
    const x0 = max(0, cx - task.half), x1 = min(width - 1, cx + task.half), y0 = max(0, cy - task.half);
    const y1 = min(height - 1, cy + task.half);
    cutWindow(task, x0, x1, y0, y1);
    moments(task, task.window, x1 - x0 + 1, y1 - y0 + 1, x0, y0, x, y, sign, start, out + 32);
    footprint(task, sign, <i32>load<f64>(places, 24), <i32>load<f64>(places, 32), <i32>load<f64>(places, 40),
      <i32>load<f64>(places, 48), out + 96);
  }
}

/** Sum within a circle, pixels on its rim by their share, and Σ share² V. */
function aperture(task: ShapesTask, x: f64, y: f64, out: usize): void {
  const radius = task.radius, reach = <i32>ceil(radius) + 1, width = task.width, height = task.height;
  const outside = radius + SQRT1_2, inside = radius - SQRT1_2;
  let flux: f64 = 0, noise: f64 = 0, isCut: f64 = 0, isEmpty: f64 = 0;
  for (let v = <i32>Math.round(y) - reach, bottom = <i32>Math.round(y) + reach; v <= bottom && isEmpty == 0; v++) {
    const dy = abs(<f64>v - y), outer2 = outside * outside - dy * dy;
    if (outer2 <= 0) continue;
    const outer = sqrt(outer2), inner = sqrt(max<f64>(0, inside * inside - dy * dy));
    for (let u = <i32>ceil(x - outer), last = <i32>floor(x + outer); u <= last; u++) {
      const share = abs(<f64>u - x) < inner ? 1 : coveredShare(<f64>u - x, <f64>v - y, radius);
      if (share == 0) continue;
      if (u < 0 || v < 0 || u >= width || v >= height) { isCut = 1; continue; }
      const j = <usize>(v * width + u), value = <f64>load<f32>(task.image + (j << 2));
      if ((<i32>load<u16>(task.mask + (j << 1)) & task.noData) != 0 || value - value != 0) { isEmpty = 1; break; }
      flux += share * value;
      noise += share * share * <f64>load<f32>(task.variance + (j << 2));
    }
  }
  store<f64>(out, flux); store<f64>(out, noise, 8); store<f64>(out, isCut, 16); store<f64>(out, isEmpty, 24);
}

/** Share of the pixel at (dx, dy) from the centre that a circle covers. */
function coveredShare(dx: f64, dy: f64, radius: f64): f64 {
  const distance2 = dx * dx + dy * dy;
  if (distance2 <= (radius - SQRT1_2) * (radius - SQRT1_2)) return 1;
  if (distance2 >= (radius + SQRT1_2) * (radius + SQRT1_2)) return 0;
  let count = 0;
  for (let i = 0; i < SUBPIXELS; i++) {
    const u = dx + (<f64>i + 0.5) / SUBPIXELS - 0.5;
    for (let j = 0; j < SUBPIXELS; j++) {
      const v = dy + (<f64>j + 0.5) / SUBPIXELS - 0.5;
      if (u * u + v * v <= radius * radius) count++;
    }
  }
  return <f64>count / (SUBPIXELS * SUBPIXELS);
}

/** Moments of the PSF in the middle of the cell that holds (x, y). @returns Where they are kept. */
function psfMoments(task: ShapesTask, x: f64, y: f64): usize {
  const column = min<i32>(task.across - 1, <i32>max<f64>(0, floor(x / task.cellPx)));
  const row = <i32>max<f64>(0, floor(y / task.cellPx));
  const cell = task.cells + <usize>(row * task.across + column) * CELL_BYTES;
  if (load<f64>(cell) != 0) return cell;
  const patches = changetype<Patches>(task.patches), side = patches.side, half = side >> 1;
  patches.moveTo((<f64>column + 0.5) * task.cellPx, (<f64>row + 0.5) * task.cellPx);
  patches.drawMiddle(side, task.patch);
  store<f64>(cell, 1);
  moments(task, task.patch, side, side, 0, 0, half, half, 1, task.startPx2, cell + 8);
  return cell;
}

/** The pixels as float64, those that are not finite as 0. */
function cutWindow(task: ShapesTask, x0: i32, x1: i32, y0: i32, y1: i32): void {
  for (let v = y0, to = task.window; v <= y1; v++) {
    for (let j = v * task.width + x0, end = v * task.width + x1; j <= end; j++, to += 8) {
      const value = <f64>load<f32>(task.image + (<usize>j << 2));
      store<f64>(to, value - value == 0 ? value : 0);
    }
  }
}

/** Part of a step that is taken, and steps after which it is taken as it is. */
const STRIDE: f64 = 1.7, STRIDES_MAX = 8;

/** Second moments under the Gaussian that matches them. @param out [found, xx, xy, yy], 0 where none are found. */
function moments(
  task: ShapesTask, window: usize, columns: i32, rows: i32, x0: f64, y0: f64, x: f64, y: f64, sign: f64, start: f64,
  out: usize,
): void {
  const rowBytes = <usize>max(0, columns) << 3;
  memory.fill(out, 0, 32);
  let xx = start, yy = start, xy: f64 = 0;
  for (let i = 0; i < task.steps; i++) {
    const determinant = xx * yy - xy * xy, a = yy / determinant, b = -xy / determinant, c = xx / determinant;
    const step = Exponential.of(f64x2.splat(-a)), first = x0 - x;
    let sum: f64 = 0, sumXx: f64 = 0, sumXy: f64 = 0, sumYy: f64 = 0;
    // Two rows at once; each has sums of its own.
    for (let v = 0; v < rows; v += 2) {
      const dy0 = y0 + <f64>v - y, dy1 = y0 + <f64>(v + 1) - y, isLast = v + 1 == rows;
      let weight = Exponential.of(pair(quadratic(a, b, c, first, dy0), quadratic(a, b, c, first, dy1)));
      let ratio = Exponential.of(pair(-a * (first + 0.5) - b * dy0, -a * (first + 0.5) - b * dy1));
      let rowSum = f64x2.splat(0), rowX = f64x2.splat(0), rowXx = f64x2.splat(0);
      let from = window + <usize>v * rowBytes;
      const next: usize = isLast ? 0 : rowBytes;
      for (let u = 0; u < columns; u++, from += 8) {
        const dx = f64x2.splat(x0 + <f64>u - x);
        const weighted = f64x2.mul(pair(load<f64>(from), load<f64>(from + next)), weight);
        const beside = f64x2.mul(weighted, dx);
        rowSum = f64x2.add(rowSum, weighted);
        rowX = f64x2.add(rowX, beside);
        rowXx = f64x2.add(rowXx, f64x2.mul(beside, dx));
        weight = f64x2.mul(weight, ratio);
        ratio = f64x2.mul(ratio, step);
      }
      sum += f64x2.extract_lane(rowSum, 0);
      sumXx += f64x2.extract_lane(rowXx, 0);
      sumXy += f64x2.extract_lane(rowX, 0) * dy0;
      sumYy += f64x2.extract_lane(rowSum, 0) * dy0 * dy0;
      if (isLast) break;
      sum += f64x2.extract_lane(rowSum, 1);
      sumXx += f64x2.extract_lane(rowXx, 1);
      sumXy += f64x2.extract_lane(rowX, 1) * dy1;
      sumYy += f64x2.extract_lane(rowSum, 1) * dy1 * dy1;
    }
    if (!(sign * sum > 0)) return;
    const nextXx = (2 * sumXx) / sum, nextXy = (2 * sumXy) / sum, nextYy = (2 * sumYy) / sum;
    if (!(nextXx > 0 && nextXx * nextYy > nextXy * nextXy) || nextXx + nextYy > 2 * task.momentMaxPx2) return;
    const change = abs(nextXx - xx) + abs(nextXy - xy) + abs(nextYy - yy);
    if (change < task.convergence * (xx + yy)) {
      store<f64>(out, 1); store<f64>(out, nextXx, 8); store<f64>(out, nextXy, 16); store<f64>(out, nextYy, 24);
      return;
    }
    // Each step goes half the way, so it is taken nearly twice, as long as a shape remains.
    const farXx = xx + STRIDE * (nextXx - xx), farXy = xy + STRIDE * (nextXy - xy), farYy = yy + STRIDE * (nextYy - yy);
    const isSafe = farXx > 0.3 * nextXx && farYy > 0.3 * nextYy && farXx * farYy > 1.2 * farXy * farXy;
    const isFar = isSafe && i < STRIDES_MAX;
    xx = isFar ? farXx : nextXx;
    xy = isFar ? farXy : nextXy;
    yy = isFar ? farYy : nextYy;
  }
}

@inline
function pair(first: f64, second: f64): v128 {
  return f64x2.replace_lane(f64x2.splat(first), 1, second);
}

@inline
function quadratic(a: f64, b: f64, c: f64, dx: f64, dy: f64): f64 {
  return -0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy);
}

/** Sums over the box's pixels of the source's sign that were detected: light, × u, v, u², uv, v²; 0 of other sides. */
function footprint(task: ShapesTask, sign: f64, x0: i32, y0: i32, x1: i32, y1: i32, out: usize): void {
  const side = <f64>max(x1 - x0, y1 - y0), bits = sign < 0 ? task.detectedNegative : task.detected;
  let sum: f64 = 0, sx: f64 = 0, sy: f64 = 0, sxx: f64 = 0, sxy: f64 = 0, syy: f64 = 0;
  if (side >= task.sideMin && side <= task.sideMax) {
    for (let v = y0; v < y1; v++) {
      for (let u = x0; u < x1; u++) {
        const j = <usize>(v * task.width + u), value = sign * <f64>load<f32>(task.image + (j << 2));
        if ((<i32>load<u16>(task.mask + (j << 1)) & bits) == 0 || !(value > 0)) continue;
        const du = <f64>u, dv = <f64>v;
        sum += value; sx += value * du; sy += value * dv;
        sxx += value * du * du; sxy += value * du * dv; syy += value * dv * dv;
      }
    }
  }
  store<f64>(out, sum); store<f64>(out, sx, 8); store<f64>(out, sy, 16); store<f64>(out, sxx, 24);
  store<f64>(out, sxy, 32); store<f64>(out, syy, 40);
}
