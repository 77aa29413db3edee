import type { WarpAffine, WarpTask } from '../warp.ts';

const { floor, fround } = Math;

/** Twin of the compiled warp of a cell; `taps` are those of the task in single precision. */
export function warpCellTwin(
  task: WarpTask, taps: Float32Array, affine: WarpAffine, x0: number, y0: number, x1: number, y1: number,
): number {
  const { from, out, halfWidth, phases } = task, { width, height } = from, tapCount = 2 * halfWidth;
  const area = Math.abs(affine.xx * affine.yy - affine.xy * affine.yx), columns = new Float32Array(tapCount);
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const j = y * out.width + x;
      const tx = affine.tx + (x - x0) * affine.xx + (y - y0) * affine.xy;
      const ty = affine.ty + (x - x0) * affine.yx + (y - y0) * affine.yy;
      const ix = floor(tx), iy = floor(ty), left = ix - halfWidth + 1, top = iy - halfWidth + 1;
      if (left >= 0 && top >= 0 && ix + halfWidth < width && iy + halfWidth < height) {
        const px = floor((tx - ix) * phases + 0.5) * tapCount, py = floor((ty - iy) * phases + 0.5) * tapCount;
        const value = interpolate(from.image, top * width + left, width, taps, px, py, columns);
        if (value - value === 0 && carry(task, iy * width + ix, j, tx - ix, ty - iy, area)) {
          out.image[j] = value * area;
          covered++;
          continue;
        }
      }
      out.image[j] = NaN;
      out.variance[j] = 0;
      out.mask[j] = task.bits.noData;
    }
  }
  return covered;
}

/**
 * Sums along y first, even and odd rows by themselves; then along x: four partial sums, each of every fourth column,
 * added up as (0 + 2) + (1 + 3).
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
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (let a = 0; a < tapCount; a += 4) {
    s0 = fround(s0 + fround(columns[a] * taps[px + a]));
    s1 = fround(s1 + fround(columns[a + 1] * taps[px + a + 1]));
    if (a + 2 >= tapCount) break;
    s2 = fround(s2 + fround(columns[a + 2] * taps[px + a + 2]));
    s3 = fround(s3 + fround(columns[a + 3] * taps[px + a + 3]));
  }
  return fround(fround(s0 + s2) + fround(s1 + s3));
}

/** Variance (bilinear) and mask (union) of the four source pixels around a position. False when they lack data. */
function carry({ from, out, bits }: WarpTask, k: number, j: number, fx: number, fy: number, area: number): boolean {
  const { width, variance, mask } = from;
  const found = mask[k] | mask[k + 1] | mask[k + width] | mask[k + width + 1];
  const value = (1 - fy) * ((1 - fx) * variance[k] + fx * variance[k + 1]) +
    fy * ((1 - fx) * variance[k + width] + fx * variance[k + width + 1]);
  if ((found & bits.noData) !== 0 || value - value !== 0) return false;
  // An area of `area` source pixels holds that many independent values, of which the sum has area × variance.
  out.variance[j] = value * area;
  let kept = found & bits.carried;
  for (const [before, after] of bits.moved) if ((found & before) !== 0) kept |= after;
  out.mask[j] = kept;
  return true;
}
