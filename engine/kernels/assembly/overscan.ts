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

/** The k-th smallest (from 0) of whole numbers of 16 bits. */
function select(values: usize, count: i32, k: i32, least: i32, most: i32): i32 {
  let low = least, high = most;
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
function middles(values: usize, padded: i32, count: i32, least: i32, most: i32): u32 {
  const k = (count - 1) >> 1, low = select(values, padded, k, least, most);
  if ((count & 1) != 0 || countUpTo(values, padded, low) > count >> 1) return (<u32>low << 16) | <u32>low;
  return (<u32>nextAbove(values, padded, low) << 16) | <u32>low;
}

/**
 * For each row, the sum of the two middle values, and that of the two middle deviations, each deviation doubled.
 *
 * @param from   First overscan pixel, uint16; rows are `rawWidth` apart.
 * @param count  Of pixels in a row.
 * @param values Work: count rounded up to 8, uint16, twice.
 * @param out    [2 × rows] int32.
 */
export function overscanMedians(from: usize, rawWidth: i32, count: i32, rows: i32, values: usize, out: usize): void {
  const padded = (count + 7) & ~7, deviations = values + (<usize>padded << 1);
  for (let y = 0; y < rows; y++, from += <usize>rawWidth << 1, out += 8) {
    memory.copy(values, from, <usize>count << 1);
    for (let i = count; i < padded; i++) store<u16>(values + (<usize>i << 1), 65535);
    let lowest = i16x8.splat(-1), highest = i16x8.splat(0);
    for (let i = 0; i < padded; i += 8) {
      const v = v128.load(values + (<usize>i << 1));
      lowest = i16x8.min_u(lowest, v);
      highest = i16x8.max_u(highest, v);
    }
    lowest = i16x8.min_u(lowest, v128.shuffle<i64>(lowest, lowest, 1, 0));
    lowest = i16x8.min_u(lowest, v128.shuffle<i32>(lowest, lowest, 1, 0, 3, 2));
    const least = min(i16x8.extract_lane_u(lowest, 0), i16x8.extract_lane_u(lowest, 1));
    const packed = middles(values, padded, count, least, 65535), low = packed & 0xffff, high = packed >> 16;
    const low8 = i16x8.splat(<i16>low), high8 = i16x8.splat(<i16>high);
    for (let i = 0; i < padded; i += 8) {
      const v = v128.load(values + (<usize>i << 1));
      // No value lies between the two middles, so that one pair of the differences is 0.
      const above = i16x8.add_sat_u(i16x8.sub_sat_u(v, low8), i16x8.sub_sat_u(v, high8));
      const below = i16x8.add_sat_u(i16x8.sub_sat_u(low8, v), i16x8.sub_sat_u(high8, v));
      v128.store(deviations + (<usize>i << 1), i16x8.add_sat_u(above, below));
    }
    for (let i = count; i < padded; i++) store<u16>(deviations + (<usize>i << 1), 65535);
    const spread = middles(deviations, padded, count, 0, 65535);
    store<i32>(out, <i32>(low + high));
    store<i32>(out, <i32>((spread & 0xffff) + (spread >> 16)), 4);
  }
}
