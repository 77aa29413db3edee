import type { WarpAffine, WarpCell, WarpTask } from '../warp.ts';

const { floor, fround } = Math;

/** Source pixel of a position and its taps' phases. */
type Place = { ix: number; iy: number; px: number; py: number };

/** Twin of the compiled warp of a row of cells; `taps` are those of the task in single precision. */
export function warpCellsTwin(
  task: WarpTask, taps: Float32Array, cells: readonly WarpCell[], cellPx: number, y0: number, y1: number,
): number {
  const { width } = task.out;
  return cells.reduce((covered, cell, c) => (
    covered + warpCell(task, taps, cell, c * cellPx, y0, Math.min((c + 1) * cellPx, width), y1)), 0);
}

function warpCell(
  task: WarpTask, taps: Float32Array, cell: WarpCell, x0: number, y0: number, x1: number, y1: number,
): number {
  if (cell.sheared !== null) return warpSheared(task, taps, cell, x0, y0, x1, y1);
  const { affine, part } = cell, area = fround(cell.area);
  const columns = new Float32Array(2 * task.halfWidth), step = part === 0 ? x1 - x0 : part;
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    for (let first = x0; first < x1; first += step) {
      const end = Math.min(first + step, x1), count = part === 0 ? 0 : (end - first) & ~3;
      const shared = count === 0 ? null : sharedPlace(task, affine, first - x0, y - y0, count);
      for (let x = first; x < end; x++) {
        const place = shared === null || x >= first + count ? placeOf(task, affine, x - x0, y - y0)
          : { ...shared, ix: shared.ix + x - first };
        if (writePixel(task, taps, place, y * task.out.width + x, area, columns)) covered++;
      }
    }
  }
  return covered;
}

function positionOf(affine: WarpAffine, i: number, j: number): { tx: number; ty: number } {
  return { tx: affine.tx + i * affine.xx + j * affine.xy, ty: affine.ty + i * affine.yx + j * affine.yy };
}

function placeOf({ phases }: WarpTask, affine: WarpAffine, i: number, j: number): Place {
  const { tx, ty } = positionOf(affine, i, j), ix = floor(tx), iy = floor(ty);
  return { ix, iy, px: floor((tx - ix) * phases + 0.5), py: floor((ty - iy) * phases + 0.5) };
}

/**
 * Place of the first of `count` pixels that follow one another in the source, with the phases of the middle one; null
 * when they do not, or come near the source's end.
 */
function sharedPlace(task: WarpTask, affine: WarpAffine, i: number, j: number, count: number): Place | null {
  const { from: { width, height }, halfWidth } = task, half = count >> 1, middle = placeOf(task, affine, i + half, j);
  const ix = middle.ix - half, last = ix + count - 1, { iy } = middle;
  const isInside = ix >= halfWidth - 1 && last < width - 2 * halfWidth && iy >= halfWidth - 1 && iy < height - halfWidth;
  const a = positionOf(affine, i, j), b = positionOf(affine, i + count - 1, j);
  const isEven = floor(a.tx) === ix && floor(b.tx) === last && floor(a.ty) === iy && floor(b.ty) === iy;
  return isInside && isEven ? { ...middle, ix } : null;
}

/** Lines of the source along x, at the places where the cell's columns cross them; then along the columns. */
function warpSheared(
  task: WarpTask, taps: Float32Array, { affine, area, part, sheared }: WarpCell, x0: number, y0: number, x1: number,
  y1: number,
): number {
  const { from: { width, image }, halfWidth, phases } = task, count = x1 - x0, { shear, slope } = sheared ?? NO_SHEAR;
  const { tx, ty, yx, yy } = affine, across = (count - 1) * yx, down = (y1 - y0 - 1) * yy;
  const top = floor(ty + Math.min(across, 0) + Math.min(down, 0)) - halfWidth + 1;
  const last = floor(ty + Math.max(across, 0) + Math.max(down, 0)) + halfWidth;
  const lines = Array.from({ length: last - top + 1 }, (_, r) => {
    const line = new Float32Array(count), left = tx + (top + r - ty) * shear;
    for (let first = 0; first < count; first += part) {
      const end = Math.min(first + part, count), half = (end - first) >> 1, middle = left + (first + half) * slope;
      const begin = floor(middle) - half;
      const isEven = floor(left + first * slope) === begin && floor(left + (end - 1) * slope) === begin + end - 1 - first;
      for (let i = first; i < end; i++) {
        const x = left + i * slope, place = isEven ? middle : x, ix = isEven ? begin + i - first : floor(x);
        const px = floor((place - floor(place)) * phases + 0.5);
        line[i] = alongTaps(image, (top + r) * width + ix - halfWidth + 1, taps, px * 2 * halfWidth, 2 * halfWidth);
      }
    }
    return line;
  });
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const place = placeOf(task, affine, x - x0, y - y0), py = place.py * 2 * halfWidth;
      const at = (b: number): number => fround(taps[py + b] * lines[place.iy - halfWidth + 1 + b - top][x - x0]);
      let even = at(0), odd = at(1);
      for (let b = 2; b < 2 * halfWidth; b += 2) {
        even = fround(even + at(b));
        odd = fround(odd + at(b + 1));
      }
      if (writeValue(task, place, fround(even + odd), y * task.out.width + x, fround(area))) covered++;
    }
  }
  return covered;
}

const NO_SHEAR = { shear: 0, slope: 1 };

/** Returns whether the pixel has data. */
function writePixel(
  task: WarpTask, taps: Float32Array, { ix, iy, px, py }: Place, j: number, area: number, columns: Float32Array,
): boolean {
  const { from: { width, height, image }, halfWidth } = task, tapCount = 2 * halfWidth;
  const left = ix - halfWidth + 1, top = iy - halfWidth + 1;
  const isInside = left >= 0 && top >= 0 && ix + halfWidth < width && iy + halfWidth < height;
  return writeValue(task, { ix, iy, px, py }, isInside
    ? interpolate(image, top * width + left, width, taps, px * tapCount, py * tapCount, columns) : NaN, j, area);
}

/** A value that is not finite is none. */
function writeValue(task: WarpTask, { ix, iy, px, py }: Place, value: number, j: number, area: number): boolean {
  const { from: { width }, out, phases } = task;
  if (value - value === 0 && carry(task, iy * width + ix, j, fround(px / phases), fround(py / phases), area)) {
    out.image[j] = value * area;
    return true;
  }
  out.image[j] = NaN;
  out.variance[j] = 0;
  out.mask[j] = task.bits.noData;
  return false;
}

/**
 * Sums along y first, even and odd rows by themselves; then along x.
 */
function interpolate(
  image: Float32Array, start: number, width: number, taps: Float32Array, px: number, py: number, columns: Float32Array,
): number {
  const tapCount = columns.length;
  for (let a = 0; a < tapCount; a++) {
    let even = fround(taps[py] * image[start + a]), odd = fround(taps[py + 1] * image[start + width + a]);
    for (let b = 2, at = start + 2 * width + a; b < tapCount; b += 2, at += 2 * width) {
      even = fround(even + fround(taps[py + b] * image[at]));
      odd = fround(odd + fround(taps[py + b + 1] * image[at + width]));
    }
    columns[a] = even + odd;
  }
  return alongTaps(columns, 0, taps, px, tapCount);
}

/** Four partial sums, each of every fourth pixel, added up as (0 + 2) + (1 + 3). */
function alongTaps(values: Float32Array, at: number, taps: Float32Array, px: number, tapCount: number): number {
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (let a = 0; a < tapCount; a += 4) {
    s0 = fround(s0 + fround(values[at + a] * taps[px + a]));
    s1 = fround(s1 + fround(values[at + a + 1] * taps[px + a + 1]));
    if (a + 2 >= tapCount) break;
    s2 = fround(s2 + fround(values[at + a + 2] * taps[px + a + 2]));
    s3 = fround(s3 + fround(values[at + a + 3] * taps[px + a + 3]));
  }
  return fround(fround(s0 + s2) + fround(s1 + s3));
}

/** Variance (bilinear) and mask (union) of the four source pixels around a position. False when they lack data. */
function carry({ from, out, bits }: WarpTask, k: number, j: number, fx: number, fy: number, area: number): boolean {
  const { width, variance, mask } = from;
  const found = mask[k] | mask[k + 1] | mask[k + width] | mask[k + width + 1];
  const line = (at: number): number => (
    fround(variance[at] + fround(fx * fround(variance[at + 1] - variance[at]))));
  const low = line(k), value = fround(low + fround(fy * fround(line(k + width) - low)));
  if ((found & bits.noData) !== 0 || value - value !== 0) return false;
  // An area of `area` source pixels holds that many independent values, of which the sum has area × variance.
  out.variance[j] = value * area;
  let kept = found & bits.carried;
  for (const [before, after] of bits.moved) if ((found & before) !== 0) kept |= after;
  out.mask[j] = kept;
  return true;
}
