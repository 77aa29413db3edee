/** Planes kept in 16 bits. `valueAt` in `engine/kernels/scaled.ts` defines their values. */

/**
 * Brings a row to float32: stored × scale + zero, NaN where 0 is stored.
 *
 * @param from [count] uint16.
 * @param out  [count] float32.
 */
export function scaledRow(from: usize, scale: f32, zero: f32, count: i32, out: usize): void {
  const scales = f32x4.splat(scale), zeros = f32x4.splat(zero), none = i16x8.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, from += 16, out += 32) {
    const stored = v128.load(from);
    v128.store(out, Stored.four(i32x4.extend_low_i16x8_u(stored), scales, zeros));
    v128.store(out, Stored.four(i32x4.extend_high_i16x8_u(stored), scales, zeros), 16);
    if (v128.any_true(i16x8.eq(stored, none))) {
      for (let k: usize = 0; k < 8; k++) if (load<u16>(from + (k << 1)) == 0) store<f32>(out + (k << 2), f32.NaN);
    }
  }
  for (; i < count; i++, from += 2, out += 4) {
    const stored = load<u16>(from);
    store<f32>(out, stored == 0 ? f32.NaN : <f32>stored * scale + zero);
  }
}

export class Stored {
  @inline static four(stored: v128, scales: v128, zeros: v128): v128 {
    return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(stored), scales), zeros);
  }

  @inline static low(stored: v128, scales: v128, zeros: v128): v128 {
    return Stored.four(i32x4.extend_low_i16x8_u(stored), scales, zeros);
  }

  @inline static high(stored: v128, scales: v128, zeros: v128): v128 {
    return Stored.four(i32x4.extend_high_i16x8_u(stored), scales, zeros);
  }

  @inline static scale(record: usize): v128 { return v128.load32_splat(record, 4); }
  @inline static zero(record: usize): v128 { return v128.load32_splat(record, 8); }

  /** Not 0 where eight have no value, or one beyond what is surely wanted. */
  @inline static beyond(stored: v128, record: usize): v128 {
    return i16x8.sub_sat_u(i16x8.sub(stored, v128.load16_splat(record, 16)), v128.load16_splat(record, 18));
  }

  /** Whether some stored numbers are surely wanted, or there is no such plane. */
  @inline static isKnown(record: usize): bool {
    return load<u32>(record) == 0 || load<u16>(record, 18) != 0;
  }
}

/**
 * A plane whose pixels from `first` on can be loaded as float32: itself, or a row of work with what it has in 16 bits.
 *
 * @param floats 0 for none, and for one in 16 bits.
 * @param record Place, scale, zero and row of work of one in 16 bits, its place 0 for none; the least
 *               stored number that is surely wanted and how many follow, uint16.
 * @returns Where its first pixel of all would be; 0 for none.
 */
export function readable(floats: usize, record: usize, first: i32, count: i32): usize {
  const stored = <usize>load<u32>(record), start = <usize>first << 2;
  if (stored == 0) return floats;
  let line = <usize>load<u32>(record, 12);
  // 0 would say that there is none.
  if (line == start) line += 64;
  scaledRow(stored + (start >> 1), load<f32>(record, 4), load<f32>(record, 8), count, line);
  return line - start;
}

/** plane += factor × other, of one in 16 bits. Counts are of pixels. */
export function addScaled16(plane: usize, stored: usize, scale: f32, zero: f32, factor: f32, count: i32): void {
  const scales = f32x4.splat(scale), zeros = f32x4.splat(zero), factors = f32x4.splat(factor), none = i16x8.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, plane += 32, stored += 16) {
    const s = v128.load(stored);
    const a = Stored.four(i32x4.extend_low_i16x8_u(s), scales, zeros);
    const b = Stored.four(i32x4.extend_high_i16x8_u(s), scales, zeros);
    v128.store(plane, f32x4.add(v128.load(plane), f32x4.mul(factors, a)));
    v128.store(plane, f32x4.add(v128.load(plane, 16), f32x4.mul(factors, b)), 16);
    if (v128.any_true(i16x8.eq(s, none))) {
      for (let k: usize = 0; k < 8; k++) if (load<u16>(stored + (k << 1)) == 0) store<f32>(plane + (k << 2), f32.NaN);
    }
  }
  for (; i < count; i++, plane += 4, stored += 2) {
    const s = load<u16>(stored);
    store<f32>(plane, s == 0 ? f32.NaN : load<f32>(plane) + factor * (<f32>s * scale + zero));
  }
}
