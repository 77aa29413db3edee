/** Level and noise of the sky in a cell. The twin in `twins/background.ts` defines the result. */

/** Places of the histogram; one more for a value on its upper end, and one for what is outside. */
const BIN_COUNT = 128, OUTSIDE = BIN_COUNT + 1;
const BINS_BYTES: usize = (BIN_COUNT + 2) * 4;
const ROUNDS = 6;

/**
 * @param values [pixels of the cell + 1] float32, work.
 * @param sample [an eighth of them, rounded up] float32, work.
 * @param bins   [2 × (BIN_COUNT + 2)] int32, work.
 * @param result Three f64, overwritten when there are usable pixels enough: median, mean and standard deviation after
 *                clipping.
 * @returns Usable pixels.
 */
export function clippedCell(
  image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, ignored: i32, countMin: f64,
  clipSigma: f64,
  values: usize, sample: usize, bins: usize, result: usize,
): i32 {
  const count = gather(image, mask, width, x0, x1, y0, y1, ignored, values);
  if (<f64>count < countMin) return count;
  const sampleCount = (count + 7) >> 3;
  for (let i = 0; i < sampleCount; i++) store<f32>(sample + (<usize>i << 2), load<f32>(values + (<usize>i << 5)));
  const centre = <f64>select(sample, sampleCount, sampleCount >> 1);
  let sigma = centre - <f64>select(sample, sampleCount, <i32>(<f64>sampleCount * 0.1587));
  if (!(sigma > 0)) sigma = scatterAbout(sample, sampleCount, centre);
  clip(values, count, clipSigma, centre, sigma, bins, result);
  return count;
}

/** Pixels that are not NaN and not masked, in order. */
function gather(
  image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, ignored: i32, out: usize,
): i32 {
  const first = out, bits = i16x8.splat(<i16>ignored);
  for (let y = y0; y < y1; y++) {
    let p = image + (<usize>(y * width + x0) << 2), m = mask + (<usize>(y * width + x0) << 1), x = x0;
    while (x < x1) {
      if (x + 8 <= x1 && !v128.any_true(v128.and(v128.load(m), bits))) {
        const a = v128.load(p), b = v128.load(p, 16);
        if (i32x4.all_true(v128.and(f32x4.eq(a, a), f32x4.eq(b, b)))) {
          v128.store(out, a); v128.store(out, b, 16);
          x += 8; p += 32; m += 16; out += 32;
          continue;
        }
      }
      for (const end = min(x + 8, x1); x < end; x++, p += 4, m += 2) {
        const value = load<f32>(p);
        if (value == value && (<i32>load<u16>(m) & ignored) == 0) { store<f32>(out, value); out += 4; }
      }
    }
  }
  return <i32>((out - first) >> 2);
}

/** The k-th smallest; Hoare's selection, the pivot the median of three. */
function select(values: usize, count: i32, k: i32): f32 {
  const target = values + (<usize>k << 2);
  let left = values, right = values + (<usize>(count - 1) << 2);
  while (left < right) {
    const a = load<f32>(left), b = load<f32>(values + ((((left - values) >> 2) + ((right - values) >> 2)) >> 1 << 2)),
      c = load<f32>(right);
    const pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    let i = left, j = right;
    while (i <= j) {
      while (load<f32>(i) < pivot) i += 4;
      while (load<f32>(j) > pivot) j -= 4;
      if (i <= j) {
        const swap = load<f32>(i);
        store<f32>(i, load<f32>(j));
        store<f32>(j, swap);
        i += 4;
        j -= 4;
      }
    }
    if (target <= j) right = j;
    else if (target >= i) left = i;
    else break;
  }
  return load<f32>(target);
}

function scatterAbout(values: usize, count: i32, centre: f64): f64 {
  let squares: f64 = 0;
  for (let i = 0; i < count; i++) {
    const d = <f64>load<f32>(values + (<usize>i << 2)) - centre;
    squares += d * d;
  }
  return sqrt(squares / <f64>count);
}

/** Rounds of clipping about the median, which a histogram tells. */
function clip(values: usize, count: i32, clipSigma: f64, centre: f64, sigma: f64, bins: usize, result: usize): void {
  let mean = centre;
  // An odd last value is paired with NaN, which is outside.
  if ((count & 1) == 1) store<f32>(values + (<usize>count << 2), f32.NaN);
  for (let round = 0; round < ROUNDS && sigma > 0; round++) {
    const limit = clipSigma * sigma, perUnit = <f64>BIN_COUNT / (2 * limit), before = sigma;
    const used = countBins(values, count, centre, limit, perUnit, bins, result), n = <f64>used;
    const offset = load<f64>(result) / n, spread = load<f64>(result, 8) / n - offset * offset;
    mean = centre + offset;
    sigma = sqrt(spread < 0 ? 0 : spread);
    centre += medianOfBins(bins, n) / perUnit - limit;
    if (!(sigma > 0)) { sigma = before; break; }
    if (abs(sigma - before) < 0.005 * before) break;
  }
  store<f64>(result, centre);
  store<f64>(result, mean, 8);
  store<f64>(result, sigma > 0 ? sigma : 0, 16);
}

/**
 * Counts the values within the limit, and sums them and their squares about the centre, even and odd ones by
 * themselves.
 */
function countBins(values: usize, count: i32, centre: f64, limit: f64, perUnit: f64, bins: usize, sums: usize): i32 {
  const centres = f64x2.splat(centre), limits = f64x2.splat(limit), least = f64x2.splat(-limit),
    scale = f64x2.splat(perUnit);
  const outside = i32x4.splat(OUTSIDE), odd = bins + BINS_BYTES;
  let sum = f64x2.splat(0), squares = sum, used = 0;
  memory.fill(bins, 0, 2 * BINS_BYTES);
  for (let end = values + (<usize>count << 2); values < end; values += 8) {
    const d = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(values)), centres);
    const isUsed = v128.and(f64x2.lt(d, limits), f64x2.ge(d, least)), kept = v128.and(d, isUsed);
    used += popcnt(i64x2.bitmask(isUsed));
    sum = f64x2.add(sum, kept);
    squares = f64x2.add(squares, f64x2.mul(kept, kept));
    const place = i32x4.trunc_sat_f64x2_s_zero(f64x2.mul(f64x2.add(d, limits), scale));
    const bin = v128.bitselect(place, outside, v128.shuffle<i32>(isUsed, isUsed, 0, 2, 0, 2));
    const a = bins + (<usize>i32x4.extract_lane(bin, 0) << 2), b = odd + (<usize>i32x4.extract_lane(bin, 1) << 2);
    store<i32>(a, load<i32>(a) + 1);
    store<i32>(b, load<i32>(b) + 1);
  }
  for (let at: usize = 0; at < BINS_BYTES; at += 4) store<i32>(bins + at, load<i32>(bins + at) + load<i32>(odd + at));
  store<f64>(sums, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  store<f64>(sums, f64x2.extract_lane(squares, 0) + f64x2.extract_lane(squares, 1), 8);
  return used;
}

/** Place of the median of `count` values in bins, interpolated within its bin; in bins. */
function medianOfBins(bins: usize, count: f64): f64 {
  let below: f64 = 0, bin = 0;
  while (bin < BIN_COUNT && below + <f64>load<i32>(bins + (<usize>bin << 2)) < count / 2) {
    below += <f64>load<i32>(bins + (<usize>bin << 2));
    bin++;
  }
  return <f64>bin + (count / 2 - below) / <f64>load<i32>(bins + (<usize>bin << 2));
}
