/** Pixel by pixel arithmetic of planes. The twins in `twins/arithmetic.ts` define the results. Counts are of pixels. */

class Lanes {
  /** Ones in the lanes of eight mask pixels that have none of the bits; low and high four. */
  @inline static clear(mask: usize, bits: v128): v128 {
    return i16x8.eq(v128.and(v128.load(mask), bits), i16x8.splat(0));
  }
  /** Ones where a value is finite. */
  @inline static finite(v: v128): v128 { return f32x4.eq(f32x4.sub(v, v), f32x4.splat(0)); }
}

/** out = plane where mask has none of the bits and `witness` is finite, else 0. */
export function copyUsable(plane: usize, witness: usize, mask: usize, bits: i32, count: i32, out: usize): void {
  const blank = i16x8.splat(<i16>bits);
  let i = 0;
  for (; i + 8 <= count; i += 8, plane += 32, witness += 32, mask += 16, out += 32) {
    const clear = Lanes.clear(mask, blank);
    const low = v128.and(i32x4.extend_low_i16x8_s(clear), Lanes.finite(v128.load(witness)));
    const high = v128.and(i32x4.extend_high_i16x8_s(clear), Lanes.finite(v128.load(witness, 16)));
    v128.store(out, v128.and(v128.load(plane), low));
    v128.store(out, v128.and(v128.load(plane, 16), high), 16);
  }
  for (; i < count; i++, plane += 4, witness += 4, mask += 2, out += 4) {
    const value = load<f32>(witness);
    store<f32>(out, (<i32>load<u16>(mask) & bits) == 0 && value - value == 0 ? load<f32>(plane) : 0);
  }
}

/**
 * out = image / variance (or 1 / variance) where mask has none of the bits, variance > 0 and the image is finite, else
 * 0.
 */
export function weighByVariance(
  image: usize, variance: usize, mask: usize, bits: i32, isOne: i32, count: i32, out: usize,
): void {
  const blank = i16x8.splat(<i16>bits), one = f32x4.splat(1), zero = f32x4.splat(0), ones = i32x4.splat(-isOne);
  let i = 0;
  for (; i + 8 <= count; i += 8, image += 32, variance += 32, mask += 16, out += 32) {
    const clear = Lanes.clear(mask, blank);
    let value = v128.load(image), v = v128.load(variance);
    let used = v128.and(i32x4.extend_low_i16x8_s(clear), v128.and(Lanes.finite(value), f32x4.gt(v, zero)));
    v128.store(out, v128.and(f32x4.div(v128.bitselect(one, value, ones), v), used));
    value = v128.load(image, 16);
    v = v128.load(variance, 16);
    used = v128.and(i32x4.extend_high_i16x8_s(clear), v128.and(Lanes.finite(value), f32x4.gt(v, zero)));
    v128.store(out, v128.and(f32x4.div(v128.bitselect(one, value, ones), v), used), 16);
  }
  for (; i < count; i++, image += 4, variance += 4, mask += 2, out += 4) {
    const value = load<f32>(image), v = load<f32>(variance),
      isUsed = (<i32>load<u16>(mask) & bits) == 0 && v > 0 && value - value == 0;
    store<f32>(out, isUsed ? (isOne != 0 ? 1 : value) / v : 0);
  }
}

/** score /= √weight where the weight exceeds `share` of the largest, else 0. Returns the largest weight, 0 at least. */
export function normalizeScore(score: usize, weight: usize, share: f32, count: i32): f32 {
  const largest = largestOf(weight, count), least = share * largest, least4 = f32x4.splat(least);
  let i = 0;
  for (; i + 4 <= count; i += 4, score += 16, weight += 16) {
    const w = v128.load(weight);
    v128.store(score, v128.and(f32x4.div(v128.load(score), f32x4.sqrt(w)), f32x4.gt(w, least4)));
  }
  for (; i < count; i++, score += 4, weight += 4) {
    const w = load<f32>(weight);
    store<f32>(score, w > least ? load<f32>(score) / sqrt<f32>(w) : 0);
  }
  return largest;
}

/** NaN is passed over. */
function largestOf(plane: usize, count: i32): f32 {
  let four = f32x4.splat(0), i = 0;
  // pmax takes its first argument unless the second is larger.
  for (; i + 4 <= count; i += 4, plane += 16) four = f32x4.pmax(four, v128.load(plane));
  let largest: f32 = max<f32>(
    max<f32>(f32x4.extract_lane(four, 0), f32x4.extract_lane(four, 1)),
    max<f32>(f32x4.extract_lane(four, 2), f32x4.extract_lane(four, 3)),
  );
  for (; i < count; i++, plane += 4) if (load<f32>(plane) > largest) largest = load<f32>(plane);
  return largest;
}

/** plane ×= factor. */
export function scalePlane(plane: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16) v128.store(plane, f32x4.mul(v128.load(plane), factors));
  for (; i < count; i++, plane += 4) store<f32>(plane, load<f32>(plane) * factor);
}

/** mask |= bits where a label is not 0. */
export function markLabelled(labels: usize, mask: usize, bits: i32, count: i32): void {
  const added = i16x8.splat(<i16>bits), zero = i32x4.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, labels += 32, mask += 16) {
    const none = i16x8.narrow_i32x4_s(i32x4.eq(v128.load(labels), zero), i32x4.eq(v128.load(labels, 16), zero));
    // Most pixels have no label, and their mask need not be written.
    if (i16x8.all_true(none)) continue;
    v128.store(mask, v128.or(v128.load(mask), v128.andnot(added, none)));
  }
  for (; i < count; i++, labels += 4, mask += 2) if (load<i32>(labels) != 0) store<u16>(
    mask, load<u16>(mask) | <u16>bits);
}

/** out = factor × (a − b) where mask has none of the bits and the result is finite, else 0. */
export function subtractPlanes(a: usize, b: usize, factor: f32, mask: usize, bits: i32, count: i32, out: usize): void {
  const blank = i16x8.splat(<i16>bits), factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 8 <= count; i += 8, a += 32, b += 32, mask += 16, out += 32) {
    const clear = Lanes.clear(mask, blank);
    const low = f32x4.mul(factors, f32x4.sub(v128.load(a), v128.load(b)));
    const high = f32x4.mul(factors, f32x4.sub(v128.load(a, 16), v128.load(b, 16)));
    v128.store(out, v128.and(low, v128.and(i32x4.extend_low_i16x8_s(clear), Lanes.finite(low))));
    v128.store(out, v128.and(high, v128.and(i32x4.extend_high_i16x8_s(clear), Lanes.finite(high))), 16);
  }
  for (; i < count; i++, a += 4, b += 4, mask += 2, out += 4) {
    const value = factor * (load<f32>(a) - load<f32>(b));
    store<f32>(out, (<i32>load<u16>(mask) & bits) == 0 && value - value == 0 ? value : 0);
  }
}

/**
 * Takes Σ_i row[i] u^i off a row's pixels whose mask has none of the bits, in double precision.
 *
 * @param columns [count] float64: u.
 * @param row     [order + 1] float64.
 */
export function subtractRowPolynomial(
  plane: usize, mask: usize, bits: i32, count: i32, columns: usize, row: usize, order: i32,
): void {
  const last = row + (<usize>order << 3), blank = i16x8.splat(<i16>bits);
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16, mask += 8, columns += 32) {
    const u = v128.load(columns), w = v128.load(columns, 16);
    let a = v128.load64_splat(last), b = a;
    for (let k = last; k > row; k -= 8) {
      const term = v128.load64_splat(k - 8);
      a = f64x2.add(f64x2.mul(a, u), term);
      b = f64x2.add(f64x2.mul(b, w), term);
    }
    const before = v128.load(plane), clear = i16x8.eq(v128.and(v128.load64_zero(mask), blank), i16x8.splat(0));
    const low = f32x4.demote_f64x2_zero(f64x2.sub(f64x2.promote_low_f32x4(before), a));
    const high = f32x4.demote_f64x2_zero(
      f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<i64>(before, before, 1, 1)), b));
    v128.store(plane, v128.bitselect(v128.shuffle<i64>(low, high, 0, 2), before, i32x4.extend_low_i16x8_s(clear)));
  }
  for (; i < count; i++, plane += 4, mask += 2, columns += 8) {
    if ((<i32>load<u16>(mask) & bits) != 0) continue;
    const u = load<f64>(columns);
    let value = load<f64>(last);
    for (let k = last; k > row; k -= 8) value = value * u + load<f64>(k - 8);
    store<f32>(plane, <f32>(<f64>load<f32>(plane) - value));
  }
}

/** plane += factor × other. */
export function addScaled(plane: usize, other: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16, other += 16) {
    v128.store(plane, f32x4.add(v128.load(plane), f32x4.mul(factors, v128.load(other))));
  }
  for (; i < count; i++, plane += 4, other += 4) store<f32>(plane, load<f32>(plane) + factor * load<f32>(other));
}
