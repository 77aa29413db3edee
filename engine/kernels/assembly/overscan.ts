/** Medians of overscan rows. The twin in `twins/overscan.ts` defines the results. */

/** Values up to and including `limit`, of `count` that are a multiple of 8. */
function countUpTo(values: usize, count: i32, limit: i32): i32 {
  const limits = i16x8.splat(<i16>limit);
  let lanes = i16x8.splat(0);
  for (let i = 0; i < count; i += 8) {
    lanes = i16x8.sub(lanes, i16x8.le_u(v128.load(values + (<usize>i << 1)), limits));
  }
  const pairs = i32x4.extadd_pairwise_i16x8_u(lanes), halves = i32x4.add(pairs, v128.shuffle<i64>(pairs, pairs, 1, 0));
  return i32x4.extract_lane(halves, 0) + i32x4.extract_lane(halves, 1);
}

/** Values on either side of a guess that are tried one by one: rows' medians scatter by one or two ADU. */
const NEAR = 4;

/** The k-th smallest (from 0) of whole numbers of 16 bits, most likely within `NEAR` of `guess`, else within 32. */
function select(values: usize, count: i32, k: i32, guess: i32): i32 {
  let value = guess;
  if (countUpTo(values, count, value) > k) {
    for (; value > 0 && value > guess - NEAR; value--) if (countUpTo(values, count, value - 1) <= k) return value;
    if (value == 0) return 0;
  } else {
    for (; value < 65535 && value < guess + NEAR; value++) {
      if (countUpTo(values, count, value + 1) > k) return value + 1;
    }
  }
  let low = max(guess - 32, 0), high = min(low + 64, 65535);
  if (countUpTo(values, count, low) > k) {
    high = low;
    low = 0;
  } else if (countUpTo(values, count, high) <= k) {
    low = high;
    high = 65535;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (countUpTo(values, count, middle) > k) high = middle; else low = middle + 1;
  }
  return low;
}

/** The next larger value than `value`, which there is. */
function nextAbove(values: usize, count: i32, value: i32): i32 {
  const limits = i16x8.splat(<i16>value);
  let lowest = i16x8.splat(-1);
  for (let i = 0; i < count; i += 8) {
    const v = v128.load(values + (<usize>i << 1));
    lowest = i16x8.min_u(lowest, v128.or(v, i16x8.le_u(v, limits)));
  }
  lowest = i16x8.min_u(lowest, v128.shuffle<i64>(lowest, lowest, 1, 0));
  lowest = i16x8.min_u(lowest, v128.shuffle<i32>(lowest, lowest, 1, 0, 3, 2));
  return min(i16x8.extract_lane_u(lowest, 0), i16x8.extract_lane_u(lowest, 1));
}

/** Lower and upper middle of the first `count` values, the same when the count is odd; packed, the upper << 16. */
function middles(values: usize, padded: i32, count: i32, guess: i32): u32 {
  const k = (count - 1) >> 1, low = select(values, padded, k, guess);
  if ((count & 1) != 0 || countUpTo(values, padded, low) > count >> 1) return (<u32>low << 16) | <u32>low;
  return (<u32>nextAbove(values, padded, low) << 16) | <u32>low;
}

/**
 * For each row, the sum of the two middle values; for every `step`-th also that of the two middle deviations, each
 * deviation doubled.
 *
 * @param from   First overscan pixel, uint16; rows are `rawWidth` apart.
 * @param count  Of pixels in a row.
 * @param values Work: count rounded up to 8, uint16, twice.
 * @param out    [2 × rows] int32, every second for the deviations.
 */
export function overscanMedians(
  from: usize, rawWidth: i32, count: i32, rows: i32, step: i32, values: usize, out: usize,
): void {
  const padded = (count + 7) & ~7, deviations = values + (<usize>padded << 1);
  let guess = <i32>load<u16>(from), spread = 0, next = 0;
  for (let y = 0; y < rows; y++, from += <usize>rawWidth << 1, out += 8) {
    let i = 0;
    for (; i + 8 <= count; i += 8) v128.store(values + (<usize>i << 1), v128.load(from + (<usize>i << 1)));
    for (; i < count; i++) store<u16>(values + (<usize>i << 1), load<u16>(from + (<usize>i << 1)));
    for (; i < padded; i++) store<u16>(values + (<usize>i << 1), 65535);
    const packed = middles(values, padded, count, guess), low = packed & 0xffff, high = packed >> 16;
    guess = low;
    store<i32>(out, <i32>(low + high));
    if (y != next) continue;
    next += step;
    const low8 = i16x8.splat(<i16>low), high8 = i16x8.splat(<i16>high);
    for (i = 0; i < padded; i += 8) {
      const v = v128.load(values + (<usize>i << 1));
      // No value lies between the two middles, so that one pair of the differences is 0.
      const above = i16x8.add_sat_u(i16x8.sub_sat_u(v, low8), i16x8.sub_sat_u(v, high8));
      const below = i16x8.add_sat_u(i16x8.sub_sat_u(low8, v), i16x8.sub_sat_u(high8, v));
      v128.store(deviations + (<usize>i << 1), i16x8.add_sat_u(above, below));
    }
    for (i = count; i < padded; i++) store<u16>(deviations + (<usize>i << 1), 65535);
    const middle = middles(deviations, padded, count, spread);
    spread = middle & 0xffff;
    store<i32>(out, <i32>(spread + (middle >> 16)), 4);
  }
}

/**
 * For each column, the sum of the two middle values.
 *
 * @param from  First pixel, uint16; rows are `rawWidth` apart, and may be read up to 7 pixels beyond the last column.
 * @param count Of rows.
 * @param out   [columns, rounded up to 8] int32.
 */
export function columnMedians(from: usize, rawWidth: i32, columns: i32, count: i32, out: usize): void {
  const stride = <usize>rawWidth << 1, end = stride * <usize>count, one = i16x8.splat(1);
  const k = i16x8.splat(<i16>((count - 1) >> 1)), half = i16x8.splat(<i16>(count >> 1));
  for (let x = 0; x < columns; x += 8, from += 16, out += 32) {
    let low = v128.load(from), high = low;
    for (let at = stride; at < end; at += stride) {
      const v = v128.load(from + at);
      low = i16x8.min_u(low, v);
      high = i16x8.max_u(high, v);
    }
    while (v128.any_true(v128.xor(low, high))) {
      const middle = i16x8.add(v128.and(low, high), i16x8.shr_u(v128.xor(low, high), 1));
      let counts = i16x8.splat(0);
      for (let at: usize = 0; at < end; at += stride) {
        counts = i16x8.sub(counts, i16x8.le_u(v128.load(from + at), middle));
      }
      const isAbove = i16x8.gt_u(counts, k);
      high = v128.bitselect(middle, high, isAbove);
      low = v128.bitselect(low, i16x8.add(middle, one), isAbove);
    }
    let counts = i16x8.splat(0), next = i16x8.splat(-1);
    for (let at: usize = 0; at < end; at += stride) {
      const v = v128.load(from + at), isUnder = i16x8.le_u(v, low);
      counts = i16x8.sub(counts, isUnder);
      next = i16x8.min_u(next, v128.or(v, isUnder));
    }
    const upper = v128.bitselect(low, next, i16x8.gt_u(counts, half));
    v128.store(out, i32x4.add(i32x4.extend_low_i16x8_u(low), i32x4.extend_low_i16x8_u(upper)));
    v128.store(out, i32x4.add(i32x4.extend_high_i16x8_u(low), i32x4.extend_high_i16x8_u(upper)), 16);
  }
}
