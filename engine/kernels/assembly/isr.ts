/** Raw counts to electrons, flat field, variance. The twins in `twins/isr.ts` define the results. */

class Lanes {
  /** Eight lanes from last to first. */
  @inline static reverse16(v: v128): v128 { return v128.shuffle<i16>(v, v, 7, 6, 5, 4, 3, 2, 1, 0); }
  @inline static reverse32(v: v128): v128 { return v128.shuffle<i32>(v, v, 3, 2, 1, 0); }

  /** Four electrons, (counts − level − bias) × gain in double precision. */
  @inline static electrons(counts: v128, bias: v128, level: v128, gain: v128): v128 {
    const low = f64x2.sub(f64x2.sub(f64x2.convert_low_i32x4_u(counts), level), f64x2.promote_low_f32x4(bias));
    const high = f64x2.sub(
      f64x2.sub(f64x2.convert_low_i32x4_u(v128.shuffle<i64>(counts, counts, 1, 1)), level),
      f64x2.promote_low_f32x4(v128.shuffle<i64>(bias, bias, 1, 1)),
    );
    return v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.mul(low, gain)),
      f32x4.demote_f64x2_zero(f64x2.mul(high, gain)), 0, 2);
  }
}

/**
 * Rows of an amp, brought to electrons.
 *
 * @param from    First imaging pixel, uint16; rows are `rawWidth` apart.
 * @param offset  Index of the output pixel of the first row's lowest column; `rowStep` pixels further for each row.
 * @param isFlipped Whether the raw row runs against the output's.
 * @param bias    Plane as large as the output, float32; 0 for none.
 * @param levels  [rows] float64.
 * @param suspect, saturation Counts from which the bits are set; beyond 65535 never.
 * @param bits    saturated | suspect << 16.
 * @param missing Bits of a pixel that came out NaN.
 * @param stats   Four int32, overwritten: saturated, suspect (and not saturated), least and greatest count.
 */
export function assembleAmp(
  from: usize, rawWidth: i32, columns: i32, rows: i32, image: usize, mask: usize, bias: usize, offset: i32,
  rowStep: i32,
  isFlipped: i32, levels: usize, gain: f64, suspect: i32, saturation: i32, bits: i32, missing: i32, stats: usize,
): void {
  const gains = f64x2.splat(gain), saturatedBits = i16x8.splat(<i16>bits), suspectBits = i16x8.splat(<i16>(bits >> 16));
  const missingBits = i16x8.splat(<i16>missing), saturationLanes = i16x8.splat(<i16>saturation),
    suspectLanes = i16x8.splat(<i16>suspect);
  const canSaturate = i16x8.splat(saturation > 65535 ? 0 : -1), canSuspect = i16x8.splat(suspect > 65535 ? 0 : -1);
  let lowest = i16x8.splat(-1), highest = i16x8.splat(0), saturatedCount = 0, highCount = 0, low: u32 = 65535,
    high: u32 = 0;
  for (let y = 0; y < rows; y++, from += <usize>rawWidth << 1, offset += rowStep, levels += 8) {
    const level = load<f64>(levels), level2 = f64x2.splat(level);
    let j = 0;
    for (; j + 8 <= columns; j += 8) {
      const to = offset + (isFlipped != 0 ? columns - 8 - j : j), at = <usize>to << 2;
      let counts = v128.load(from + (<usize>j << 1));
      lowest = i16x8.min_u(lowest, counts);
      highest = i16x8.max_u(highest, counts);
      if (isFlipped != 0) counts = Lanes.reverse16(counts);
      const saturated = v128.and(i16x8.ge_u(counts, saturationLanes), canSaturate);
      const suspicious = v128.and(i16x8.ge_u(counts, suspectLanes), canSuspect);
      saturatedCount += popcnt(i16x8.bitmask(v128.and(saturated, suspicious)));
      highCount += popcnt(i16x8.bitmask(suspicious));
      const zero = f32x4.splat(0);
      const a = Lanes.electrons(i32x4.extend_low_i16x8_u(counts), bias != 0 ? v128.load(bias + at) : zero, level2,
        gains);
      const b = Lanes.electrons(i32x4.extend_high_i16x8_u(counts), bias != 0 ? v128.load(bias + at, 16) : zero, level2,
        gains);
      v128.store(image + at, a); v128.store(image + at, b, 16);
      const lost = i16x8.narrow_i32x4_s(f32x4.ne(a, a), f32x4.ne(b, b));
      const marks = v128.and(suspicious, v128.bitselect(saturatedBits, suspectBits, saturated));
      v128.store(mask + (<usize>to << 1), v128.or(marks, v128.and(lost, missingBits)));
    }
    for (; j < columns; j++) {
      const to = offset + (isFlipped != 0 ? columns - 1 - j : j), counts = <u32>load<u16>(from + (<usize>j << 1));
      low = min(low, counts);
      high = max(high, counts);
      let marks = 0;
      if (<i32>counts >= suspect) {
        highCount++;
        marks = bits >> 16;
        if (<i32>counts >= saturation) { saturatedCount++; marks = bits & 0xffff; }
      }
      const biasHere: f64 = bias != 0 ? <f64>load<f32>(bias + (<usize>to << 2)) : 0;
      const value = <f32>((<f64>counts - level - biasHere) * gain);
      store<f32>(image + (<usize>to << 2), value);
      store<u16>(mask + (<usize>to << 1), <u16>(value == value ? marks : marks | missing));
    }
  }
  store<i32>(stats, saturatedCount);
  store<i32>(stats, highCount - saturatedCount, 4);
  store<i32>(stats, lowestOf(lowest, low), 8);
  store<i32>(stats, highestOf(highest, high), 12);
}

function lowestOf(lanes: v128, other: u32): u32 {
  let v = i16x8.min_u(lanes, v128.shuffle<i64>(lanes, lanes, 1, 0));
  v = i16x8.min_u(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
  return min(other, min(<u32>i16x8.extract_lane_u(v, 0), <u32>i16x8.extract_lane_u(v, 1)));
}

function highestOf(lanes: v128, other: u32): u32 {
  let v = i16x8.max_u(lanes, v128.shuffle<i64>(lanes, lanes, 1, 0));
  v = i16x8.max_u(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
  return max(other, max(<u32>i16x8.extract_lane_u(v, 0), <u32>i16x8.extract_lane_u(v, 1)));
}

/**
 * image /= flat where flat > 0, else NaN with `missing`; `bad` where it is outside its limits. Returns the pixels
 * marked.
 */
export function divideByFlat(
  image: usize, mask: usize, flat: usize, least: f32, most: f32, bad: i32, missing: i32, count: i32,
): i32 {
  const zero = f32x4.splat(0), least4 = f32x4.splat(least), most4 = f32x4.splat(most), nan = f32x4.splat(f32.NaN);
  let marked = 0, i = 0;
  for (; i + 4 <= count; i += 4, image += 16, mask += 8, flat += 16) {
    const response = v128.load(flat), isLit = f32x4.gt(response, zero);
    v128.store(image, v128.bitselect(f32x4.div(v128.load(image), response), nan, isLit));
    const fine = i32x4.bitmask(v128.and(isLit, v128.and(f32x4.ge(response, least4), f32x4.le(response, most4))));
    if (fine == 15) continue;
    for (let k = 0; k < 4; k++) {
      if ((fine >> k) & 1) continue;
      const m = mask + (<usize>k << 1), isDark = !(load<f32>(flat + (<usize>k << 2)) > 0);
      store<u16>(m, load<u16>(m) | <u16>(isDark ? missing : bad));
      marked++;
    }
  }
  for (; i < count; i++, image += 4, mask += 2, flat += 4) {
    const response = load<f32>(flat), isLit = response > 0;
    store<f32>(image, isLit ? load<f32>(image) / response : f32.NaN);
    if (isLit && response >= least && response <= most) continue;
    store<u16>(mask, load<u16>(mask) | <u16>(isLit ? bad : missing));
    marked++;
  }
  return marked;
}

/**
 * Light above the sky along a row (0 where it is NaN), summed 1-2-1; beyond the row's ends its last pixels go on.
 *
 * @param padded [count + 2] float32, work.
 */
export function excessSums(image: usize, sky: usize, count: i32, padded: usize, out: usize): void {
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
  for (; x < count; x++, p += 4, out += 4) store<f32>(
    out, load<f32>(p - 4) + (load<f32>(p) + load<f32>(p)) + load<f32>(p, 4));
}

/**
 * Variance of a row's pixels from the light that is expected there.
 *
 * @param rows   Pointers, u32: image, sky, excess sums of the rows below, here and above, read variance, flat (0 for
 *                none), output.
 * @param bright, source Significances from which a pixel's own light, or the smoothed light, is believed.
 */
export function varianceRow(rows: usize, bright: f32, source: f32, count: i32): void {
  let image = <usize>load<u32>(rows), sky = <usize>load<u32>(rows, 4), below = <usize>load<u32>(rows, 8),
    here = <usize>load<u32>(rows, 12);
  let above = <usize>load<u32>(rows, 16), read = <usize>load<u32>(rows, 20), flat = <usize>load<u32>(rows, 24),
    out = <usize>load<u32>(rows, 28);
  const one = f32x4.splat(1), zero = f32x4.splat(0), isFlat = flat != 0, sixteenth = f32x4.splat(0.0625);
  let x = 0;
  for (; x + 4 <= count; x += 4) {
    const value = v128.load(image), level0 = v128.load(sky), noise = v128.load(read), h = v128.load(here);
    const response = isFlat ? v128.load(flat) : one, level = v128.and(level0, f32x4.gt(level0, zero));
    const sigma = f32x4.sqrt(f32x4.add(level, noise));
    const smooth = f32x4.mul(f32x4.add(f32x4.add(v128.load(below), f32x4.add(h, h)), v128.load(above)), sixteenth);
    const isSource = f32x4.gt(smooth, f32x4.mul(f32x4.splat(source), sigma));
    const isBright = f32x4.gt(f32x4.sub(value, level0), f32x4.mul(f32x4.splat(bright), sigma));
    const expected = v128.bitselect(value, v128.bitselect(f32x4.add(level, smooth), level, isSource), isBright);
    const variance = f32x4.div(f32x4.add(expected, f32x4.div(noise, response)), response);
    v128.store(out, v128.bitselect(variance, f32x4.splat(f32.NaN), f32x4.eq(value, value)));
    image += 16; sky += 16; below += 16; here += 16; above += 16; read += 16; out += 16;
    if (isFlat) flat += 16;
  }
  for (; x < count; x++) {
    const value = load<f32>(image), level0 = load<f32>(sky), noise = load<f32>(read), h = load<f32>(here);
    const response: f32 = isFlat ? load<f32>(flat) : 1, level: f32 = level0 > 0 ? level0 : 0,
      sigma = sqrt<f32>(level + noise);
    const smooth = (load<f32>(below) + (h + h) + load<f32>(above)) * <f32>0.0625;
    let expected = level;
    if (value - level0 > bright * sigma) expected = value;
    else if (smooth > source * sigma) expected = level + smooth;
    store<f32>(out, value == value ? (expected + noise / response) / response : f32.NaN);
    image += 4; sky += 4; below += 4; here += 4; above += 4; read += 4; out += 4;
    if (isFlat) flat += 4;
  }
}
