/** Level and noise of the sky in a row of cells at once. The twin in `twins/cells.ts` defines the result. */
import { gather, SAMPLE_MIN, scatterAbout } from './background';

/** Whole numbers that stand for a standard deviation of a cell's sample, and the farthest that may count. */
const UNIT: f64 = 128, FARTHEST: f64 = 640;
/** Stands for a pixel that is not usable; the farthest number of a usable one, which leaves room for limits. */
const UNUSABLE: i32 = -32768, MOST: f32 = 32766;
/** Added to a number, leaves the nearest whole one in the lowest bits. */
const ROUNDER: f32 = 12582912;
/** Density of a normal distribution at its middle. */
const MIDDLE_DENSITY: f64 = 0.3989422804014327;
const ROUNDS = 8;
/** Groups of eight numbers after which sums leave their 32 bits: 2 × 640² × 1024 is 2^29.6. */
const BLOCK = 1024;
/** Floats of a cell in `starts`: its centre, and numbers per unit of the image. */
const START_BYTES: usize = 8;
/** Pixels that a sample of a cell can have: fewer than 16 of fewer than 16 rows; three more fill up its last vector. */
const SAMPLE_MOST = 16 * 16;
/** What `sumUp` leaves in the work area, in f64. */
const COUNT: usize = 0, FIRST: usize = 8, SECOND: usize = 16, BELOW: usize = 24;

/**
 * @param edges   [columns + 1] int32: first pixel of each cell, and the end of the last.
 * @param end     Pixels of the whole plane.
 * @param sample  As many float32 as the largest cell has pixels, and three, work.
 * @param samples [columns × SAMPLE_MOST] float32, work.
 * @param starts  [columns × 2] float32, work.
 * @param sums    Four f64, work.
 * @param numbers [columns × numberBytes], work: int16 of every counting row of a cell, rows padded to eights.
 * @param result  [columns × 4] f64, overwritten: usable pixels; median, mean and standard deviation after clipping.
 */
export function clippedRow(
  image: usize, mask: usize, width: i32, edges: usize, columns: i32, y0: i32, y1: i32, end: i32, ignored: i32,
  clipSigma: f64, rowStep: i32, sample: usize, samples: usize, starts: usize, sums: usize, numbers: usize,
  numberBytes: usize, result: usize,
): void {
  sampleCells(image, mask, width, edges, columns, y0, y1, ignored, rowStep, samples, starts);
  for (let c = 0; c < columns; c++) {
    const x0 = load<i32>(edges + (<usize>c << 2)), x1 = load<i32>(edges + (<usize>c << 2), 4);
    const start = starts + START_BYTES * c, out = result + (<usize>c << 5), count = load<i32>(start);
    if (count >= SAMPLE_MIN) { startCell(samples + (<usize>c << 2) * SAMPLE_MOST, count, start, out); continue; }
    const all = gather(image, mask, width, x0, x1, y0, y1, ignored, 1, rowStep, sample);
    startCell(sample, all, start, out);
  }
  for (let y = y0, row: usize = 0; y < y1; y += rowStep, row++) {
    for (let c = 0; c < columns; c++) {
      const x0 = load<i32>(edges + (<usize>c << 2)), x1 = load<i32>(edges + (<usize>c << 2), 4);
      const rowBytes = <usize>((x1 - x0 + 7) & ~7) << 1;
      const usable = numberRow(image, mask, y * width + x0, x1 - x0, end, ignored, starts + START_BYTES * c,
        numbers + numberBytes * c + rowBytes * row), sum = result + (<usize>c << 5);
      store<f64>(sum, (row == 0 ? 0 : load<f64>(sum)) + <f64>usable);
    }
  }
  const rows = (y1 - y0 + rowStep - 1) / rowStep;
  for (let c = 0; c < columns; c++) {
    const x0 = load<i32>(edges + (<usize>c << 2)), x1 = load<i32>(edges + (<usize>c << 2), 4);
    clip(numbers + numberBytes * c, ((x1 - x0 + 7) >> 3) * rows, clipSigma, sums, result + (<usize>c << 5));
  }
}

/**
 * A sample of each cell, its pixels counted where `starts` has room. Row by row: cell by cell, every pixel would be
 * waited for.
 */
function sampleCells(
  image: usize, mask: usize, width: i32, edges: usize, columns: i32, y0: i32, y1: i32, ignored: i32, rowStep: i32,
  samples: usize, starts: usize,
): void {
  for (let c = 0; c < columns; c++) store<i32>(starts + START_BYTES * c, 0);
  for (let y = y0, step = rowStep * max<i32>(1, (y1 - y0) / (8 * rowStep)); y < y1; y += step) {
    for (let c = 0; c < columns; c++) {
      const x0 = load<i32>(edges + (<usize>c << 2)), x1 = load<i32>(edges + (<usize>c << 2), 4);
      const start = starts + START_BYTES * c, count = load<i32>(start);
      const out = samples + ((<usize>c * SAMPLE_MOST + count) << 2), columnStep = max<i32>(1, (x1 - x0) >> 3);
      store<i32>(start, count + gather(image, mask, width, x0, x1, y, y + 1, ignored, columnStep, 1, out));
    }
  }
}

/** Median and lower 16 % of a sample: where the numbers of a cell begin, and their unit in the place of sigma. */
function startCell(sample: usize, count: i32, start: usize, result: usize): void {
  let centre: f64 = 0, sigma: f64 = 0;
  if (count > 0) {
    makeKeys(sample, count);
    centre = <f64>keySelected(sample, count, count >> 1);
    sigma = centre - <f64>keySelected(sample, count, <i32>(<f64>count * 0.1587));
    if (!(sigma > 0)) sigma = scatterOfKeys(sample, count, centre);
  }
  // Of a scatter that is no number, nothing is known but the centre.
  const isKnown = sigma > 0 && sigma < Infinity;
  store<f32>(start, <f32>centre);
  store<f32>(start, isKnown ? <f32>(UNIT / sigma) : 0, 4);
  store<f64>(result, centre, 8);
  store<f64>(result, isKnown ? sigma / UNIT : 0, 24);
}

/** Whole numbers in the order of the floats that they stand for; 0 and −0 are one. Fills up to a multiple of four. */
function makeKeys(sample: usize, count: i32): void {
  const most = i32x4.splat(i32.MAX_VALUE), zero = f32x4.splat(0);
  for (let k = 0; k < count; k += 4, sample += 16) {
    const bits = f32x4.add(v128.load(sample), zero);
    const keys = v128.xor(bits, v128.and(i32x4.shr_s(bits, 31), most));
    v128.store(sample, k + 4 <= count ? keys : v128.bitselect(keys, most,
      i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count - k))));
  }
}

function floatOfKey(key: i32): f32 {
  return reinterpret<f32>(key ^ ((key >> 31) & i32.MAX_VALUE));
}

/** The k-th smallest, by halving between the least and the most: no branch that depends on single values. */
function keySelected(keys: usize, count: i32, k: i32): f32 {
  const end = keys + ((<usize>count + 3) >> 2 << 4);
  let least = v128.load(keys), most = i32x4.splat(i32.MIN_VALUE);
  for (let p = keys; p < end; p += 16) least = i32x4.min_s(least, v128.load(p));
  for (let p = keys, last = keys + (<usize>count << 2); p < last; p += 4) most = i32x4.max_s(most, v128.load32_splat(p));
  let low = lowest(least), high = i32x4.extract_lane(most, 0);
  if (countTo(keys, end, low) > k) return floatOfKey(low);
  // Up to `low` there are k at most, up to `high` more than k.
  while (<u32>high - <u32>low > 1) {
    const middle = low + <i32>((<u32>high - <u32>low) >> 1), found = countTo(keys, end, middle);
    if (found == k + 1) return floatOfKey(largestTo(keys, end, middle));
    if (found > k) high = middle; else low = middle;
  }
  return floatOfKey(high);
}

function lowest(values: v128): i32 {
  const two = i32x4.min_s(values, v128.shuffle<i64>(values, values, 1, 0));
  return min(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1));
}

function countTo(keys: usize, end: usize, limit: i32): i32 {
  const limits = i32x4.splat(limit);
  let counts = i32x4.splat(0);
  for (; keys < end; keys += 16) counts = i32x4.sub(counts, i32x4.le_s(v128.load(keys), limits));
  return total(counts);
}

function largestTo(keys: usize, end: usize, limit: i32): i32 {
  const limits = i32x4.splat(limit), none = i32x4.splat(i32.MIN_VALUE);
  let most = none;
  for (; keys < end; keys += 16) {
    const value = v128.load(keys);
    most = i32x4.max_s(most, v128.bitselect(value, none, i32x4.le_s(value, limits)));
  }
  most = i32x4.max_s(most, v128.shuffle<i64>(most, most, 1, 0));
  return max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1));
}

function scatterOfKeys(keys: usize, count: i32, centre: f64): f64 {
  for (let p = keys, end = keys + (<usize>count << 2); p < end; p += 4) store<f32>(p, floatOfKey(load<i32>(p)));
  return scatterAbout(keys, count, centre);
}

/**
 * Distances of a row's pixels from the centre as whole numbers; the last eight are filled up with unusable ones. Returns
 * the usable ones.
 */
function numberRow(
  image: usize, mask: usize, at: i32, count: i32, end: i32, ignored: i32, start: usize, out: usize,
): i32 {
  const centre = v128.load32_splat(start), scale = v128.load32_splat(start, 4), bits = i16x8.splat(<i16>ignored);
  const most = f32x4.splat(MOST), least = f32x4.splat(-MOST), none = i16x8.splat(0);
  const unusable = i16x8.splat(<i16>UNUSABLE), order = i16x8(0, 1, 2, 3, 4, 5, 6, 7);
  const rounder = f32x4.splat(ROUNDER);
  let p = image + (<usize>at << 2), m = mask + (<usize>at << 1), x = 0, counts = none;
  for (; x < count; x += 8, p += 32, m += 16, out += 16) {
    if (at + x + 8 > end) break;
    const a = v128.load(p), b = v128.load(p, 16);
    const low = f32x4.mul(f32x4.sub(a, centre), scale), high = f32x4.mul(f32x4.sub(b, centre), scale);
    const whole = i16x8.narrow_i32x4_s(
      i32x4.sub(f32x4.add(f32x4.pmax(least, f32x4.pmin(most, low)), rounder), rounder),
      i32x4.sub(f32x4.add(f32x4.pmax(least, f32x4.pmin(most, high)), rounder), rounder),
    );
    let isUsable = v128.and(i16x8.eq(v128.and(v128.load(m), bits), none),
      i16x8.narrow_i32x4_s(f32x4.eq(a, a), f32x4.eq(b, b)));
    if (x + 8 > count) isUsable = v128.and(isUsable, i16x8.lt_s(order, i16x8.splat(<i16>(count - x))));
    counts = i16x8.sub(counts, isUsable);
    v128.store(out, v128.bitselect(whole, unusable, isUsable));
  }
  let usable = total(i32x4.dot_i16x8_s(counts, i16x8.splat(1)));
  if (x >= count) return usable;
  // The plane ends within these eight.
  v128.store(out, unusable);
  for (; x < count; x++, p += 4, m += 2, out += 2) {
    const value = load<f32>(p);
    if (value != value || (<i32>load<u16>(m) & ignored) != 0) continue;
    const d = f32x4.mul(f32x4.sub(f32x4.splat(value), centre), scale);
    const whole = i32x4.sub(f32x4.add(f32x4.pmax(least, f32x4.pmin(most, d)), rounder), rounder);
    store<i16>(out, <i16>i32x4.extract_lane(whole, 0));
    usable++;
  }
  return usable;
}

/**
 * Rounds of clipping about the median, which follows by Newton's steps; where it does not settle, as in coarse counts,
 * it is searched for.
 *
 * @param result As `startCell` left it: the centre in the place of the median, the unit in that of sigma.
 */
function clip(numbers: usize, groups: i32, clipSigma: f64, sums: usize, result: usize): void {
  const start = load<f64>(result, 8), unit = load<f64>(result, 24);
  let centre: f64 = 0, sigma = UNIT, mean: f64 = 0, isSettled = false, low: i32 = 0, high: i32 = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = sigma, limit = clipSigma * sigma;
    low = <i32>max<f64>(-FARTHEST, ceil<f64>(centre - limit));
    high = <i32>min<f64>(FARTHEST, floor<f64>(centre + limit));
    const middle = <i32>floor<f64>(centre);
    sumUp(numbers, groups, low, high, middle, sums, true);
    const used = load<f64>(sums + COUNT);
    if (!(used > 0)) break;
    mean = load<f64>(sums + FIRST) / used;
    const spread = load<f64>(sums + SECOND) / used - mean * mean;
    sigma = sqrt<f64>(spread < 0 ? 0 : spread);
    // Counts so coarse that all but the usual one were clipped, or one value.
    if (!(sigma > 0)) { sigma = unit > 0 ? before : 0; break; }
    // Numbers below `middle` are values below middle − 1/2.
    const next = <f64>middle - 0.5 + (used / 2 - load<f64>(sums + BELOW)) * sigma / (used * MIDDLE_DENSITY);
    const step = abs<f64>(next - centre);
    centre = max<f64>(<f64>low, min<f64>(<f64>high, next));
    if (step < 2 && abs<f64>(sigma - before) < 0.002 * before) { isSettled = true; break; }
  }
  if (!isSettled && load<f64>(sums + COUNT) > 0) centre = medianOf(numbers, groups, low, high, sums);
  store<f64>(result, start + unit * centre, 8);
  store<f64>(result, start + unit * mean, 16);
  store<f64>(result, unit * sigma, 24);
}

/** The median of the numbers from `low` to `high`: those of one value lie evenly within it. */
function medianOf(numbers: usize, groups: i32, low: i32, high: i32, sums: usize): f64 {
  const half = load<f64>(sums + COUNT) / 2;
  let first = low, last = high;
  while (first < last) {
    const between = (first + last) >> 1;
    sumUp(numbers, groups, low, between, 0, sums, false);
    if (load<f64>(sums + COUNT) < half) first = between + 1; else last = between;
  }
  sumUp(numbers, groups, low, first, first, sums, true);
  const below = load<f64>(sums + BELOW), here = load<f64>(sums + COUNT) - below;
  return <f64>first - 0.5 + (half - below) / here;
}

/** Count of the numbers from `low` to `high`, and when asked their sum, their squares' sum, and those below `middle`. */
function sumUp(
  numbers: usize, groups: i32, low: i32, high: i32, middle: i32, sums: usize, isWhole: bool,
): void {
  const least = i16x8.splat(<i16>(low - 1)), most = i16x8.splat(<i16>(high + 1)), middles = i16x8.splat(<i16>middle);
  const ones = i16x8.splat(1);
  let count: f64 = 0, first: f64 = 0, second: f64 = 0, below: f64 = 0;
  for (let done = 0; done < groups; done += BLOCK) {
    let counts = i16x8.splat(0), belows = i16x8.splat(0), firsts = i32x4.splat(0), seconds = i32x4.splat(0);
    const end = numbers + (<usize>min(BLOCK, groups - done) << 4);
    if (isWhole) {
      for (; numbers < end; numbers += 16) {
        const value = v128.load(numbers);
        const isInside = v128.and(i16x8.gt_s(value, least), i16x8.lt_s(value, most)), kept = v128.and(value, isInside);
        counts = i16x8.sub(counts, isInside);
        belows = i16x8.sub(belows, v128.and(isInside, i16x8.lt_s(value, middles)));
        firsts = i32x4.add(firsts, i32x4.dot_i16x8_s(kept, ones));
        seconds = i32x4.add(seconds, i32x4.dot_i16x8_s(kept, kept));
      }
    } else {
      for (; numbers < end; numbers += 16) {
        const value = v128.load(numbers);
        counts = i16x8.sub(counts, v128.and(i16x8.gt_s(value, least), i16x8.lt_s(value, most)));
      }
    }
    count += <f64>total(i32x4.dot_i16x8_s(counts, ones));
    below += <f64>total(i32x4.dot_i16x8_s(belows, ones));
    first += <f64>total(firsts);
    second += <f64>total64(seconds);
  }
  store<f64>(sums + COUNT, count);
  store<f64>(sums + FIRST, first);
  store<f64>(sums + SECOND, second);
  store<f64>(sums + BELOW, below);
}

function total(sums: v128): i32 {
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2)
    + i32x4.extract_lane(sums, 3);
}

function total64(sums: v128): i64 {
  return <i64>i32x4.extract_lane(sums, 0) + <i64>i32x4.extract_lane(sums, 1) + <i64>i32x4.extract_lane(sums, 2)
    + <i64>i32x4.extract_lane(sums, 3);
}
