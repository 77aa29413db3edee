/** Variance from the light expected in a pixel, and columns that stand out. The twins are in `twins/light.ts`. */

import { meshRow } from './mesh';

/**
 * `expectedVariance` of a whole plane, whose noise is a mesh.
 *
 * @param lines [4 × stride] float32, work; stride = width rounded up to 4, and 4 more.
 */
export function addExpectedLight(
  image: usize, variance: usize, width: i32, height: i32, cells: usize, columns: i32, rows: i32, cellWidth: f64,
  cellHeight: f64, lines: usize, bright: f32, source: f32, own: f32, light: f32, shareMin: f32,
): void {
  const stride = <usize>((width + 7) & ~3) << 2, rowBytes = <usize>width << 2, sigma = lines + 3 * stride;
  binomialSums(image, width, lines);
  memory.copy(lines + 2 * stride, lines, rowBytes); // The row below the first is taken as equal to it.
  for (let y = 0; y < height; y++) {
    const next = lines + stride * ((y + 1) % 3), at = rowBytes * y;
    binomialSums(image + rowBytes * min(y + 1, height - 1), width, next);
    meshRow(cells, columns, rows, cellWidth, cellHeight, y, width, sigma);
    expectedVariance(image + at, variance + at, lines + stride * ((y + 2) % 3), lines + stride * (y % 3), next, sigma,
      width, bright, source, own, light, shareMin);
  }
}

/** 1-2-1 sums along a row; what is NaN counts as 0, and beyond the row's ends its last pixels go on. `count` ≥ 2. */
function binomialSums(image: usize, count: i32, out: usize): void {
  const last = count - 1;
  store<f32>(out, Light.at(image) + (Light.at(image) + Light.at(image)) + Light.at(image + 4));
  let x = 1;
  for (; x + 4 <= last; x += 4) {
    const p = image + (<usize>x << 2), here = Light.four(p);
    v128.store(out + (<usize>x << 2),
      f32x4.add(f32x4.add(Light.four(p - 4), f32x4.add(here, here)), Light.four(p + 4)));
  }
  for (; x <= last; x++) {
    const p = image + (<usize>x << 2), here = Light.at(p), next = x < last ? Light.at(p + 4) : here;
    store<f32>(out + (<usize>x << 2), Light.at(p - 4) + (here + here) + next);
  }
}

class Light {
  @inline static at(p: usize): f32 { const value = load<f32>(p); return value == value ? value : 0; }
  @inline static four(p: usize): v128 { const v = v128.load(p); return v128.and(v, f32x4.eq(v, v)); }
}

/**
 * variance = variance + own × value + light × expected, or `shareMin` of it at least, where the image is a number.
 * Expected is the value itself above `bright` × sigma, the mean of the sums (÷ 16) where that is above `source` ×
 * sigma, else 0.
 *
 * @param below, here, above Binomial sums of three rows.
 */
function expectedVariance(
  image: usize, variance: usize, below: usize, here: usize, above: usize, sigma: usize, count: i32,
  bright: f32, source: f32, own: f32, light: f32, shareMin: f32,
): void {
  const zero = f32x4.splat(0), sixteenth = f32x4.splat(0.0625);
  let x = 0;
  for (; x + 4 <= count; x += 4) {
    const value = v128.load(image), noise = v128.load(sigma), before = v128.load(variance), h = v128.load(here);
    const smooth = f32x4.mul(f32x4.add(f32x4.add(v128.load(below), f32x4.add(h, h)), v128.load(above)), sixteenth);
    const isBright = f32x4.gt(value, f32x4.mul(f32x4.splat(bright), noise));
    const faint = v128.bitselect(smooth, zero, f32x4.gt(smooth, f32x4.mul(f32x4.splat(source), noise)));
    const expected = v128.bitselect(value, faint, isBright);
    const changed = f32x4.add(before,
      f32x4.add(f32x4.mul(f32x4.splat(own), value), f32x4.mul(f32x4.splat(light), expected)));
    const least = f32x4.mul(f32x4.splat(shareMin), before);
    const bounded = v128.bitselect(least, changed, f32x4.lt(changed, least));
    v128.store(variance, v128.bitselect(bounded, before, f32x4.eq(value, value)));
    image += 16; variance += 16; below += 16; here += 16; above += 16; sigma += 16;
  }
  for (; x < count; x++) {
    const value = load<f32>(image), noise = load<f32>(sigma), before = load<f32>(variance), h = load<f32>(here);
    const smooth = (load<f32>(below) + (h + h) + load<f32>(above)) * <f32>0.0625;
    let expected: f32 = 0;
    if (value > bright * noise) expected = value;
    else if (smooth > source * noise) expected = smooth;
    if (value == value) {
      const changed = before + (own * value + light * expected), least = shareMin * before;
      store<f32>(variance, changed < least ? least : changed);
    }
    image += 4; variance += 4; below += 4; here += 4; above += 4; sigma += 4;
  }
}

/**
 * sums[x] = Σ over every `rowStep`-th row of how far a pixel stands above the mean of those `distance` to its left and right, each
 * bounded by ± limit; what is NaN adds nothing. The outermost `distance` columns are left alone.
 *
 * @param sums [width] float32, added to.
 */
export function columnHeights(
  image: usize, width: i32, height: i32, rowStep: i32, distance: i32, limit: f32, sums: usize,
): void {
  const most = f32x4.splat(limit), least = f32x4.splat(-limit), half = f32x4.splat(0.5), reach = <usize>distance << 2;
  const end = (<usize>(width - distance)) << 2;
  for (let y = 0; y < height; y += rowStep, image += <usize>(width * rowStep) << 2) {
    let x = reach;
    for (; x + 16 <= end; x += 16) {
      const p = image + x, level = f32x4.mul(half, f32x4.add(v128.load(p - reach), v128.load(p + reach)));
      const d = f32x4.sub(v128.load(p), level), bounded = f32x4.pmax(f32x4.pmin(d, most), least);
      v128.store(sums + x, f32x4.add(v128.load(sums + x), v128.and(bounded, f32x4.eq(d, d))));
    }
    for (; x < end; x += 4) {
      const p = image + x, d = load<f32>(p) - <f32>0.5 * (load<f32>(p - reach) + load<f32>(p + reach));
      if (d == d) store<f32>(sums + x, load<f32>(sums + x) + (d > limit ? limit : d < -limit ? -limit : d));
    }
  }
}
