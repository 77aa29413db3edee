/** Variance of the light that is expected. The twin in `twins/variance.ts` defines the result. */

/** Values of a mesh along a row: `left[c] + slope[c] × (x − centre[c])` for x from `starts[c]` to `starts[c + 1]`. */
function meshRow(mesh: usize, cells: i32, out: usize): void {
  const starts = mesh, left = mesh + (<usize>(cells + 1) << 2), slopes = left + (<usize>cells << 2);
  const centres = slopes + (<usize>cells << 2);
  for (let c = 0; c < cells; c++) {
    const at = <usize>c << 2, value = load<f32>(left + at), slope = load<f32>(slopes + at);
    const centre = load<f32>(centres + at), end = load<i32>(starts + at, 4), slope4 = f32x4.splat(slope);
    const value4 = f32x4.splat(value), four = f32x4.splat(4);
    let x = load<i32>(starts + at), to = out + (<usize>x << 2);
    const first = <f32>x - centre;
    let place = f32x4(first, first + 1, first + 2, first + 3);
    for (; x + 4 <= end; x += 4, to += 16) {
      v128.store(to, f32x4.add(value4, f32x4.mul(slope4, place)));
      place = f32x4.add(place, four);
    }
    let rest = f32x4.extract_lane(place, 0);
    for (; x < end; x++, to += 4, rest += 1) store<f32>(to, value + slope * rest);
  }
}

/** Light above the sky (0 where it is NaN), summed 1-2-1 along the row; beyond its ends the last pixels go on. */
function excessRow(image: usize, sky: usize, count: i32, padded: usize, out: usize): void {
  let p = padded + 4, x = 0;
  for (; x + 4 <= count; x += 4, image += 16, sky += 16, p += 16) {
    const value = f32x4.sub(v128.load(image), v128.load(sky));
    v128.store(p, v128.and(value, f32x4.eq(value, value)));
  }
  for (; x < count; x++, image += 4, sky += 4, p += 4) {
    const value = load<f32>(image) - load<f32>(sky);
    store<f32>(p, value == value ? value : 0);
  }
  store<f32>(padded, load<f32>(padded, 4));
  store<f32>(p, load<f32>(p - 4));
  p = padded + 4;
  for (x = 0; x + 4 <= count; x += 4, p += 16, out += 16) {
    const here = v128.load(p);
    v128.store(out, f32x4.add(f32x4.add(v128.load(p - 4), f32x4.add(here, here)), v128.load(p, 4)));
  }
  for (; x < count; x++, p += 4, out += 4) {
    store<f32>(out, load<f32>(p - 4) + (load<f32>(p) + load<f32>(p)) + load<f32>(p, 4));
  }
}

/**
 * Brings the next row's sky and excess into the ring: rows `row` % 3 of `ring`, six rows of `stride` bytes, three of
 * sky, three of sums, then the padded one.
 */
export function varianceAhead(
  image: usize, mesh: usize, cells: i32, row: i32, width: i32, ring: usize, stride: usize,
): void {
  const sky = ring + <usize>(row % 3) * stride, sums = sky + 3 * stride;
  meshRow(mesh, cells, sky);
  excessRow(image + (<usize>(row * width) << 2), sky, width, ring + 6 * stride, sums);
}

/**
 * Variance of a row from the ring.
 *
 * @param read Variance of the read noise along the row. @param flat 0 for none.
 * @param bright2, source2 Squares of the significances from which a pixel's own light, or the smoothed light, counts.
 */
export function varianceRow(
  image: usize, variance: usize, flat: usize, read: usize, row: i32, width: i32, height: i32, ring: usize,
  stride: usize, bright2: f32, source2: f32,
): void {
  const start = <usize>(row * width) << 2, sky = ring + <usize>(row % 3) * stride, here = sky + 3 * stride;
  const below = ring + <usize>((row > 0 ? row - 1 : row) % 3 + 3) * stride;
  const above = ring + <usize>((row + 1 < height ? row + 1 : row) % 3 + 3) * stride;
  const one = f32x4.splat(1), zero = f32x4.splat(0), sixteenth = f32x4.splat(0.0625), nan = f32x4.splat(f32.NaN);
  const brights = f32x4.splat(bright2), sources = f32x4.splat(source2);
  let x = 0;
  for (; x + 4 <= width; x += 4) {
    const at = <usize>x << 2, value = v128.load(image + start + at), level0 = v128.load(sky + at);
    const noise = v128.load(read + at), h = v128.load(here + at), level = f32x4.pmax(zero, level0);
    const inverse = flat != 0 ? f32x4.div(one, v128.load(flat + start + at)) : one, sigma2 = f32x4.add(level, noise);
    const sum = f32x4.add(f32x4.add(v128.load(below + at), f32x4.add(h, h)), v128.load(above + at));
    const smooth = f32x4.mul(sum, sixteenth), excess = f32x4.sub(value, level0);
    const isSource = v128.and(f32x4.gt(f32x4.mul(smooth, smooth), f32x4.mul(sources, sigma2)), f32x4.gt(smooth, zero));
    const isBright = v128.and(f32x4.gt(f32x4.mul(excess, excess), f32x4.mul(brights, sigma2)), f32x4.gt(excess, zero));
    const expected = v128.bitselect(value, v128.bitselect(f32x4.add(level, smooth), level, isSource), isBright);
    const result = f32x4.mul(f32x4.add(expected, f32x4.mul(noise, inverse)), inverse);
    v128.store(variance + start + at, v128.bitselect(result, nan, f32x4.eq(value, value)));
  }
  for (; x < width; x++) {
    const at = <usize>x << 2, value = load<f32>(image + start + at), level0 = load<f32>(sky + at);
    const noise = load<f32>(read + at), h = load<f32>(here + at), level: f32 = level0 > 0 ? level0 : 0;
    const inverse: f32 = flat != 0 ? <f32>1 / load<f32>(flat + start + at) : 1, sigma2 = level + noise;
    const smooth = (load<f32>(below + at) + (h + h) + load<f32>(above + at)) * <f32>0.0625, excess = value - level0;
    let expected = level;
    if (excess > 0 && excess * excess > bright2 * sigma2) expected = value;
    else if (smooth > 0 && smooth * smooth > source2 * sigma2) expected = level + smooth;
    store<f32>(variance + start + at, value == value ? (expected + noise * inverse) * inverse : f32.NaN);
  }
}
