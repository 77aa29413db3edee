/** Level and noise of the sky in a cell. The twin in `twins/background.ts` defines the result. */

/** Bins of the histogram, and its half width in standard deviations of the sample. */
const BIN_COUNT = 320, HALF_WIDTH: f64 = 5;
/** Places beside the bins 1 … BIN_COUNT: 0 below, one above, one for pixels that are not usable. */
const ABOVE = BIN_COUNT + 1, UNUSABLE = BIN_COUNT + 2, PLACES = BIN_COUNT + 3;
const PLACES_BYTES: usize = 4 * PLACES;
const ROUNDS = 8;
/** Added to a small number, leaves no room for a fraction. */
const MAGIC: f32 = 8388608;
/** Sampled pixels below which all are taken. */
export const SAMPLE_MIN = 24;

/**
 * @param sample [pixels of the cell] float32, work.
 * @param bins   [4 × PLACES] int32, then three times [BIN_COUNT + 1] float64; work.
 * @param result Three f64, overwritten when there are usable pixels enough: median, mean and standard deviation after
 *                clipping.
 * @returns Usable pixels.
 */
export function clippedCell(
  image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, ignored: i32, countMin: f64,
  clipSigma: f64, rowStep: i32, sample: usize, bins: usize, result: usize,
): i32 {
  const columnStep = x1 - x0 >= 64 ? 8 : x1 - x0 >= 32 ? 4 : 1;
  const sampleRowStep = rowStep * (y1 - y0 >= 32 * rowStep ? 8 : 1);
  let count = gather(image, mask, width, x0, x1, y0, y1, ignored, columnStep, sampleRowStep, sample);
  if (count < SAMPLE_MIN) count = gather(image, mask, width, x0, x1, y0, y1, ignored, 1, rowStep, sample);
  if (count == 0) return 0;
  const centre = <f64>select(sample, count, count >> 1);
  let sigma = centre - <f64>select(sample, count, <i32>(<f64>count * 0.1587));
  if (!(sigma > 0)) sigma = scatterAbout(sample, count, centre);
  const least = <f32>(centre - HALF_WIDTH * sigma), perUnit = <f32>(<f64>BIN_COUNT / (2 * HALF_WIDTH * sigma));
  const usable = countBins(image, mask, width, x0, x1, y0, y1, ignored, rowStep, least, perUnit, bins);
  if (<f64>usable < countMin) return usable;
  clip(bins, clipSigma, centre, sigma, result);
  return usable;
}

/** Pixels that are not NaN and not masked, in order. */
export function gather(
  image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, ignored: i32, columnStep: i32,
  rowStep: i32, out: usize,
): i32 {
  const first = out;
  for (let y = y0; y < y1; y += rowStep) {
    for (let x = x0; x < x1; x += columnStep) {
      const at = <usize>(y * width + x), value = load<f32>(image + (at << 2));
      if (value == value && (<i32>load<u16>(mask + (at << 1)) & ignored) == 0) { store<f32>(out, value); out += 4; }
    }
  }
  return <i32>((out - first) >> 2);
}

/** The k-th smallest; Hoare's selection, the pivot the median of three. */
export function select(values: usize, count: i32, k: i32): f32 {
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

export function scatterAbout(values: usize, count: i32, centre: f64): f64 {
  let squares: f64 = 0;
  for (let i = 0; i < count; i++) {
    const d = <f64>load<f32>(values + (<usize>i << 2)) - centre;
    squares += d * d;
  }
  return sqrt(squares / <f64>count);
}

/** Counts pixels in four histograms, which take turns, and adds them up in the first. Returns the usable ones. */
function countBins(
  image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, ignored: i32, rowStep: i32, least: f32,
  perUnit: f32, bins: usize,
): i32 {
  const leasts = f32x4.splat(least), scale = f32x4.splat(perUnit), half = f32x4.splat(0.5), none = i32x4.splat(0);
  const zero = f32x4.splat(0), above = f32x4.splat(<f32>ABOVE), magic = f32x4.splat(MAGIC);
  const places = i32x4.splat(0x7fc), unusable = i32x4.splat(4 * UNUSABLE), bits = i32x4.splat(ignored);
  let total = 0;
  memory.fill(bins, 0, 4 * PLACES_BYTES);
  for (let y = y0; y < y1; y += rowStep) {
    let p = image + (<usize>(y * width + x0) << 2), m = mask + (<usize>(y * width + x0) << 1), x = x0;
    total += x1 - x0;
    for (; x + 4 <= x1; x += 4, p += 16, m += 8) {
      const value = v128.load(p), flags = v128.load16x4_u(m);
      const at = f32x4.add(f32x4.mul(f32x4.sub(value, leasts), scale), half);
      // Of a NaN, the first operand is taken; rounded to a whole number, which then stands in the lowest bits.
      const bin = f32x4.add(f32x4.pmax(zero, f32x4.pmin(above, at)), magic);
      const isUsable = v128.and(f32x4.eq(value, value), i32x4.eq(v128.and(flags, bits), none));
      const place = v128.bitselect(v128.and(i32x4.shl(bin, 2), places), unusable, isUsable);
      count(bins + <usize>i32x4.extract_lane(place, 0));
      count(bins + <usize>i32x4.extract_lane(place, 1) + PLACES_BYTES);
      count(bins + <usize>i32x4.extract_lane(place, 2) + 2 * PLACES_BYTES);
      count(bins + <usize>i32x4.extract_lane(place, 3) + 3 * PLACES_BYTES);
    }
    for (; x < x1; x++, p += 4, m += 2) {
      const value = load<f32>(p);
      const isUsable = value == value && (<i32>load<u16>(m) & ignored) == 0;
      const at = f32x4.splat((value - least) * perUnit + 0.5);
      const bin = i32x4.shl(f32x4.add(f32x4.pmax(zero, f32x4.pmin(above, at)), magic), 2);
      count(bins + <usize>(isUsable ? i32x4.extract_lane(bin, 0) & 0x7fc : <i32>(4 * UNUSABLE)));
    }
  }
  for (let at: usize = 0; at < PLACES_BYTES; at += 4) {
    const sum = load<i32>(bins + at) + load<i32>(bins + at + PLACES_BYTES)
      + load<i32>(bins + at + 2 * PLACES_BYTES) + load<i32>(bins + at + 3 * PLACES_BYTES);
    store<i32>(bins + at, sum);
  }
  return total - load<i32>(bins + 4 * UNUSABLE);
}

function count(at: usize): void {
  store<i32>(at, load<i32>(at) + 1);
}

/**
 * Rounds of clipping about the median, on running sums over the bins: of counts, of counts × bin and × bin². Whole
 * bins count, those whose middles lie within the limits.
 */
function clip(bins: usize, clipSigma: f64, start: f64, startSigma: f64, result: usize): void {
  const unit = 2 * HALF_WIDTH * startSigma / <f64>BIN_COUNT, origin = start - HALF_WIDTH * startSigma - 0.5 * unit;
  const counts = (bins + 4 * PLACES_BYTES + 7) & ~7, firsts = counts + 8 * (BIN_COUNT + 1),
    squares = firsts + 8 * (BIN_COUNT + 1);
  let n: f64 = 0, first: f64 = 0, square: f64 = 0;
  store<f64>(counts, 0); store<f64>(firsts, 0); store<f64>(squares, 0);
  for (let b = 1; b <= BIN_COUNT; b++) {
    const here = <f64>load<i32>(bins + (<usize>b << 2)), at = <usize>b << 3;
    n += here;
    first += here * <f64>b;
    square += here * <f64>b * <f64>b;
    store<f64>(counts + at, n); store<f64>(firsts + at, first); store<f64>(squares + at, square);
  }
  let centre = start, sigma = startSigma, mean = start;
  for (let round = 0; round < ROUNDS && sigma > 0; round++) {
    const before = sigma, limit = clipSigma * sigma;
    const low = <i32>max<f64>(1, min<f64>(<f64>BIN_COUNT, ceil<f64>((centre - limit - origin) / unit)));
    const high = <i32>max<f64>(<f64>low, min<f64>(<f64>BIN_COUNT, floor<f64>((centre + limit - origin) / unit)));
    const from = <usize>(low - 1) << 3, to = <usize>high << 3, under = load<f64>(counts + from);
    const used = load<f64>(counts + to) - under;
    if (!(used > 0)) break;
    const middle = (load<f64>(firsts + to) - load<f64>(firsts + from)) / used;
    const spread = (load<f64>(squares + to) - load<f64>(squares + from)) / used - middle * middle;
    mean = origin + unit * middle;
    sigma = unit * sqrt<f64>(spread < 0 ? 0 : spread);
    let bin = low, last = high;
    for (const half = under + used / 2; bin < last;) {
      const between = (bin + last) >> 1;
      if (load<f64>(counts + (<usize>between << 3)) < half) bin = between + 1; else last = between;
    }
    const below = load<f64>(counts + (<usize>(bin - 1) << 3)), inside = load<f64>(counts + (<usize>bin << 3)) - below;
    centre = origin + unit * (<f64>bin - 0.5 + (under + used / 2 - below) / inside);
    // Counts so coarse that all but the usual one were clipped.
    if (!(sigma > 0)) { sigma = before; break; }
    if (abs<f64>(sigma - before) < 0.002 * before) break;
  }
  store<f64>(result, centre);
  store<f64>(result, mean, 8);
  store<f64>(result, sigma > 0 ? sigma : 0, 16);
}
