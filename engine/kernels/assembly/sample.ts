/** Order statistics of samples. The twins in `twins/sample.ts` define the results. */

class Sample {
  /** Values up to and including `limit`, of a multiple of 4. */
  @inline static countTo(values: usize, end: usize, limit: f32): i32 {
    const limits = f32x4.splat(limit);
    let a = i32x4.splat(0), b = i32x4.splat(0), p = values;
    for (; p + 32 <= end; p += 32) {
      a = i32x4.sub(a, f32x4.le(v128.load(p), limits));
      b = i32x4.sub(b, f32x4.le(v128.load(p, 16), limits));
    }
    if (p < end) a = i32x4.sub(a, f32x4.le(v128.load(p), limits));
    a = i32x4.add(a, b);
    a = i32x4.add(a, v128.shuffle<i64>(a, a, 1, 0));
    return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1);
  }

  /** The largest value that is not above `limit`. */
  @inline static largestTo(values: usize, end: usize, limit: f32): f32 {
    const limits = f32x4.splat(limit), none = f32x4.splat(-f32.MAX_VALUE);
    let most = none;
    for (let p = values; p < end; p += 16) {
      const v = v128.load(p);
      most = f32x4.pmax(most, v128.bitselect(v, none, f32x4.le(v, limits)));
    }
    most = f32x4.pmax(most, v128.shuffle<i64>(most, most, 1, 0));
    return max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
  }
}

/** The k-th smallest (from 0) of values between `least` and `most`, which are among them, by halving. */
function selectBetween(values: usize, end: usize, k: i32, least: f32, most: f32): f32 {
  if (Sample.countTo(values, end, least) > k) return least;
  let low = least, high = most, middle = low * 0.5 + high * 0.5;
  while (middle > low && middle < high) {
    const count = Sample.countTo(values, end, middle);
    if (count == k + 1) return Sample.largestTo(values, end, middle);
    if (count > k) high = middle; else low = middle;
    middle = low * 0.5 + high * 0.5;
  }
  return high;
}

/**
 * Median and 16 % quantile of the usable pixels of some rows.
 *
 * @param rows   [rowCount] int32: numbers of the rows.
 * @param sample [rowCount × (x1 − x0), each rounded up to 4] float32, work.
 * @param result Two float32, overwritten when a pixel is usable: the values at places n / 2 and 0.1587 n of n in order.
 * @returns Usable pixels.
 */
export function sampleCell(
  image: usize, mask: usize, width: i32, rows: usize, rowCount: i32, x0: i32, x1: i32, ignored: i32, sample: usize,
  result: usize,
): i32 {
  const bits = i32x4.splat(ignored), none = i32x4.splat(0), infinite = f32x4.splat(f32.MAX_VALUE);
  const lowest = f32x4.splat(-f32.MAX_VALUE);
  let end = sample, counts = i32x4.splat(0), least4 = infinite, most4 = lowest;
  for (let r = 0; r < rowCount; r++) {
    const start = <usize>load<i32>(rows + (<usize>r << 2)) * <usize>width;
    let x = x0;
    for (; x + 4 <= x1; x += 4, end += 16) {
      const at = start + <usize>x, value = v128.load(image + (at << 2));
      const clean = i32x4.eq(v128.and(v128.load16x4_u(mask + (at << 1)), bits), none);
      const isUsable = v128.and(clean, f32x4.lt(f32x4.abs(value), infinite));
      counts = i32x4.sub(counts, isUsable);
      const kept = v128.bitselect(value, infinite, isUsable);
      least4 = f32x4.pmin(least4, kept);
      most4 = f32x4.pmax(most4, v128.bitselect(value, lowest, isUsable));
      v128.store(end, kept);
    }
    for (let k = 0; x < x1 && k < 4; k++, end += 4, x++) {
      const at = start + <usize>x, value = load<f32>(image + (at << 2));
      const isUsable = abs<f32>(value) < f32.MAX_VALUE && (<i32>load<u16>(mask + (at << 1)) & ignored) == 0;
      store<f32>(end, isUsable ? value : f32.MAX_VALUE);
      if (!isUsable) continue;
      counts = i32x4.add(counts, i32x4(1, 0, 0, 0));
      least4 = f32x4.pmin(least4, f32x4.splat(value));
      most4 = f32x4.pmax(most4, f32x4.splat(value));
    }
  }
  for (; ((end - sample) & 15) != 0; end += 4) store<f32>(end, f32.MAX_VALUE);
  counts = i32x4.add(counts, v128.shuffle<i64>(counts, counts, 1, 0));
  const count = i32x4.extract_lane(counts, 0) + i32x4.extract_lane(counts, 1);
  if (count == 0) return 0;
  least4 = f32x4.pmin(least4, v128.shuffle<i64>(least4, least4, 1, 0));
  most4 = f32x4.pmax(most4, v128.shuffle<i64>(most4, most4, 1, 0));
  const least = min(f32x4.extract_lane(least4, 0), f32x4.extract_lane(least4, 1));
  const most = max(f32x4.extract_lane(most4, 0), f32x4.extract_lane(most4, 1));
  const median = selectBetween(sample, end, count >> 1, least, most);
  store<f32>(result, median);
  store<f32>(result, selectBetween(sample, end, <i32>(<f64>count * 0.1587), least, median), 4);
  return count;
}

/** The k-th smallest (from 0) of `count` finite values; they are followed by three that may be overwritten. */
export function selectSmallest(values: usize, count: i32, k: i32): f32 {
  let end = values + (<usize>count << 2), least = load<f32>(values), most = least;
  for (let p = values; p < end; p += 4) {
    const value = load<f32>(p);
    least = min(least, value);
    most = max(most, value);
  }
  for (; ((end - values) & 15) != 0; end += 4) store<f32>(end, f32.MAX_VALUE);
  return selectBetween(values, end, k, least, most);
}

/**
 * Usable values of a column, every `step` rows, closely packed; returns how many there are.
 *
 * @param from, mask Of its first pixel.
 */
export function gatherColumn(
  from: usize, mask: usize, width: i32, height: i32, step: i32, ignored: i32, values: usize,
): i32 {
  const to = values, bytes = <usize>(step * width) << 2;
  for (let y = 0; y < height; y += step, from += bytes, mask += bytes >> 1) {
    const value = load<f32>(from);
    if ((<i32>load<u16>(mask) & ignored) != 0 || !(abs<f32>(value) <= f32.MAX_VALUE)) continue;
    store<f32>(values, value);
    values += 4;
  }
  return <i32>((values - to) >> 2);
}

/** Every value becomes its distance from the level. */
export function takeDistances(values: usize, count: i32, level: f64): void {
  for (let end = values + (<usize>count << 2); values < end; values += 4) {
    store<f32>(values, <f32>abs(<f64>load<f32>(values) - level));
  }
}
