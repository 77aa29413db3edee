/** Big-endian FITS data to planes. The twins in `twins/decode.ts` define the results. */

class Swap {
  /** Eight big-endian 16-bit numbers. */
  @inline static bytes16(v: v128): v128 {
    return i8x16.swizzle(v, i8x16(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  }

  /** Four big-endian 32-bit numbers. */
  @inline static bytes32(v: v128): v128 {
    return i8x16.swizzle(v, i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
  }
}

/** Signed 16 bits with BZERO 32768: the unsigned value has its top bit flipped. */
export function decodeUnsigned16(from: usize, to: usize, count: i32): void {
  const top = i16x8.splat(<i16>0x8000);
  let i = 0;
  for (; i + 16 <= count; i += 16, from += 32, to += 32) {
    v128.store(to, v128.xor(Swap.bytes16(v128.load(from)), top));
    v128.store(to, v128.xor(Swap.bytes16(v128.load(from, 16)), top), 16);
  }
  for (; i < count; i++, from += 2, to += 2) store<u16>(to, bswap<u16>(load<u16>(from)) ^ 0x8000);
}

/** The numbers that `decodeUnsigned16` reads. */
export function encodeUnsigned16(from: usize, to: usize, count: i32): void {
  const top = i16x8.splat(<i16>0x8000);
  let i = 0;
  for (; i + 8 <= count; i += 8, from += 16, to += 16) v128.store(to, Swap.bytes16(v128.xor(v128.load(from), top)));
  for (; i < count; i++, from += 2, to += 2) store<u16>(to, bswap<u16>(load<u16>(from) ^ 0x8000));
}

export function decodeFloat32(from: usize, to: usize, count: i32): void {
  let i = 0;
  for (; i + 8 <= count; i += 8, from += 32, to += 32) {
    v128.store(to, Swap.bytes32(v128.load(from)));
    v128.store(to, Swap.bytes32(v128.load(from, 16)), 16);
  }
  for (; i < count; i++, from += 4, to += 4) store<u32>(to, bswap<u32>(load<u32>(from)));
}

/**
 * stored × scale + zero in double precision, NaN where the stored number is `blank`; a blank outside 16 bits is none.
 */
export function decodeScaled16(from: usize, to: usize, count: i32, scale: f64, zero: f64, blank: i32): void {
  const scales = f64x2.splat(scale), zeros = f64x2.splat(zero), blanks = i32x4.splat(blank), nan = f32x4.splat(f32.NaN);
  let i = 0;
  for (; i + 8 <= count; i += 8, from += 16, to += 32) {
    const stored = Swap.bytes16(v128.load(from));
    const low = i32x4.extend_low_i16x8_s(stored), high = i32x4.extend_high_i16x8_s(stored);
    v128.store(to, v128.bitselect(nan, Scale.four(low, scales, zeros), i32x4.eq(low, blanks)));
    v128.store(to, v128.bitselect(nan, Scale.four(high, scales, zeros), i32x4.eq(high, blanks)), 16);
  }
  for (; i < count; i++, from += 2, to += 4) {
    const stored = <i32><i16>bswap<u16>(load<u16>(from));
    store<f32>(to, stored == blank ? f32.NaN : <f32>(<f64>stored * scale + zero));
  }
}

class Scale {
  @inline static four(values: v128, scales: v128, zeros: v128): v128 {
    const low = f64x2.convert_low_i32x4_s(values);
    const high = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(values, values, 2, 3, 2, 3));
    const a = f32x4.demote_f64x2_zero(f64x2.add(f64x2.mul(low, scales), zeros));
    const b = f32x4.demote_f64x2_zero(f64x2.add(f64x2.mul(high, scales), zeros));
    return v128.shuffle<f32>(a, b, 0, 1, 4, 5);
  }
}
