/** Pixel by pixel arithmetic of planes. The twins in `twins/arithmetic.ts` define the results. Counts are of pixels. */

/** plane ×= factor. */
export function scalePlane(plane: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16) v128.store(plane, f32x4.mul(v128.load(plane), factors));
  for (; i < count; i++, plane += 4) store<f32>(plane, load<f32>(plane) * factor);
}

/**
 * Takes Σ_i row[i] u^i off a row's pixels whose mask has none of the bits.
 *
 * @param columns [count] float32: u.
 * @param row     [order + 1] float32.
 */
export function subtractRowPolynomial(
  plane: usize, mask: usize, bits: i32, count: i32, columns: usize, row: usize, order: i32,
): void {
  const last = row + (<usize>order << 2), blank = i16x8.splat(<i16>bits), none = i16x8.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, plane += 32, mask += 16, columns += 32) {
    const u = v128.load(columns), w = v128.load(columns, 16);
    let a = v128.load32_splat(last), b = a;
    for (let k = last; k > row; k -= 4) {
      const term = v128.load32_splat(k - 4);
      a = f32x4.add(f32x4.mul(a, u), term);
      b = f32x4.add(f32x4.mul(b, w), term);
    }
    const low = v128.load(plane), high = v128.load(plane, 16), clear = i16x8.eq(v128.and(v128.load(mask), blank), none);
    v128.store(plane, v128.bitselect(f32x4.sub(low, a), low, i32x4.extend_low_i16x8_s(clear)));
    v128.store(plane, v128.bitselect(f32x4.sub(high, b), high, i32x4.extend_high_i16x8_s(clear)), 16);
  }
  for (; i < count; i++, plane += 4, mask += 2, columns += 4) {
    if ((<i32>load<u16>(mask) & bits) != 0) continue;
    const u = load<f32>(columns);
    let value = load<f32>(last);
    for (let k = last; k > row; k -= 4) value = value * u + load<f32>(k - 4);
    store<f32>(plane, load<f32>(plane) - value);
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
