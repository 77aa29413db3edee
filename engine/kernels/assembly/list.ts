/** Lists of the few pixels that ask for more. The twins in `twins/list.ts` define the results. */

/** Pixels that have one of the bits, in order. Returns how many; no more than `capacity` are listed. */
export function listMasked(mask: usize, bits: i32, count: i32, indices: usize, capacity: i32): i32 {
  const wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0);
  let found = 0, i = 0;
  for (; i + 16 <= count; i += 16, mask += 32) {
    const a = v128.and(v128.load(mask), wanted), b = v128.and(v128.load(mask, 16), wanted);
    if (!v128.any_true(v128.or(a, b))) continue;
    let lanes = i16x8.bitmask(i16x8.ne(a, none)) | (i16x8.bitmask(i16x8.ne(b, none)) << 8);
    for (; lanes != 0; lanes &= lanes - 1, found++) {
      if (found < capacity) store<i32>(indices + (<usize>found << 2), i + ctz(lanes));
    }
  }
  for (; i < count; i++, mask += 2) {
    if ((<i32>load<u16>(mask) & bits) == 0) continue;
    if (found < capacity) store<i32>(indices + (<usize>found << 2), i);
    found++;
  }
  return found;
}

/**
 * Pixels, but the outermost, that stand above the mean of their four neighbours by more than √(limit² × variance), in
 * order.
 *
 * @param first, end Rows.
 * @param limit2 1.25 × limit²: of the difference of a pixel and the mean of four.
 */
export function listSharp(
  image: usize, variance: usize, width: i32, height: i32, first: i32, end: i32, limit2: f32, indices: usize,
  capacity: i32,
): i32 {
  const row = <usize>width << 2, limits = f32x4.splat(limit2), quarter = f32x4.splat(0.25), zero = f32x4.splat(0);
  let found = 0;
  for (let y = max(first, 1); y < min(end, height - 1); y++) {
    const last = y * width + width - 1;
    let i = y * width + 1;
    for (; i + 4 <= last; i += 4) {
      const p = image + (<usize>i << 2), v = variance + (<usize>i << 2);
      const beside = f32x4.add(v128.load(p - 4), v128.load(p, 4));
      const sum = f32x4.add(f32x4.add(beside, v128.load(p - row)), v128.load(p + row));
      const rise = f32x4.sub(v128.load(p), f32x4.mul(sum, quarter));
      const isSharp = v128.and(
        f32x4.gt(f32x4.mul(rise, rise), f32x4.mul(v128.load(v), limits)), f32x4.gt(rise, zero),
      );
      if (!v128.any_true(isSharp)) continue;
      for (let lanes = i32x4.bitmask(isSharp); lanes != 0; lanes &= lanes - 1, found++) {
        if (found < capacity) store<i32>(indices + (<usize>found << 2), i + ctz(lanes));
      }
    }
    for (; i < last; i++) {
      const p = image + (<usize>i << 2);
      const sum = load<f32>(p - 4) + load<f32>(p, 4) + load<f32>(p - row) + load<f32>(p + row);
      const rise: f32 = load<f32>(p) - sum * <f32>0.25;
      if (!(rise > 0 && rise * rise > load<f32>(variance + (<usize>i << 2)) * limit2)) continue;
      if (found < capacity) store<i32>(indices + (<usize>found << 2), i);
      found++;
    }
  }
  return found;
}

/** Pixels at or above a limit, in order; there is room for all. Returns how many. */
export function listAtLeast(plane: usize, limit: f32, count: i32, indices: usize): i32 {
  const limits = f32x4.splat(limit), first = indices;
  let i = 0;
  for (; i + 4 <= count; i += 4, plane += 16) {
    for (let lanes = i32x4.bitmask(f32x4.ge(v128.load(plane), limits)); lanes != 0; lanes &= lanes - 1, indices += 4) {
      store<i32>(indices, i + ctz(lanes));
    }
  }
  for (; i < count; i++, plane += 4) {
    if (load<f32>(plane) >= limit) { store<i32>(indices, i); indices += 4; }
  }
  return <i32>((indices - first) >> 2);
}
