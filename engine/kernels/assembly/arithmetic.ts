/** Pixel by pixel arithmetic of planes. The twins in `twins/arithmetic.ts` define the results. Counts are of pixels. */

/** plane ×= factor. */
export function scalePlane(plane: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16) v128.store(plane, f32x4.mul(v128.load(plane), factors));
  for (; i < count; i++, plane += 4) store<f32>(plane, load<f32>(plane) * factor);
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
