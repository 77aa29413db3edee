/** How far each pixel stands above its neighbours. The twin in `twins/sharpness.ts` defines the result. */

/**
 * Height of each pixel over the mean of its four neighbours, in standard deviations, and a list of the pixels above a
 * limit.
 *
 * @param unusable Bits of a pixel that has no sharpness, nor has any of the eight around it.
 * @param replaced Bits of a neighbour that is left out of the mean.
 * @param out      [height × width] float32, overwritten.
 * @param indices  [capacity] int32: pixels whose sharpness exceeds `limit`, in order; work that may end beyond the
 *                returned count.
 * @returns Number of such pixels, of which no more than `capacity` are listed.
 */
export function fillSharpness(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, unusable: i32, replaced: i32, limit: f32,
  out: usize, indices: usize, capacity: i32,
): i32 {
  const any = i16x8.splat(<i16>(unusable | replaced)), least = f32x4.splat(limit), row = <usize>width << 2,
    maskRow = <usize>width << 1;
  let count = 0;
  memory.fill(out, 0, row);
  for (let y = 1; y < height - 1; y++) {
    const first = y * width, end = first + width - 1;
    let i = first + 1;
    store<f32>(out + (<usize>first << 2), 0);
    for (; i < end; i += 8) {
      const p = image + (<usize>i << 2), m = mask + (<usize>i << 1), v = variance + (<usize>i << 2),
        to = out + (<usize>i << 2);
      const isWhole = i + 8 <= end;
      if (isWhole && !v128.any_true(v128.and(
        any, v128.or(v128.or(Sharp.around(m), Sharp.around(m - maskRow)), Sharp.around(m + maskRow))))) {
        const a = Sharp.four(p, v, row), b = Sharp.four(p + 16, v + 16, row);
        v128.store(to, a); v128.store(to, b, 16);
        let found = i32x4.bitmask(f32x4.gt(a, least)) | (i32x4.bitmask(f32x4.gt(b, least)) << 4);
        for (; found != 0; found &= found - 1, count++) if (count < capacity) store<i32>(
          indices + (<usize>count << 2), i + ctz(found));
      } else {
        for (let k = 0, n = min(8, end - i); k < n; k++) {
          const value = sharpnessOf(p + (<usize>k << 2), v + (<usize>k << 2), m + (<usize>k << 1), row, unusable,
            replaced);
          store<f32>(to + (<usize>k << 2), value);
          if (value > limit) { if (count < capacity) store<i32>(indices + (<usize>count << 2), i + k); count++; }
        }
      }
    }
    store<f32>(out + (<usize>end << 2), 0);
  }
  if (height > 1) memory.fill(out + row * (height - 1), 0, row);
  return count;
}

class Sharp {
  /** Mask bits of eight pixels and those beside them. */
  @inline static around(m: usize): v128 { return v128.or(v128.load(m), v128.or(v128.load(m - 2), v128.load(m, 2))); }

  /** Four pixels whose neighbours all count. NaN becomes 0. */
  @inline static four(p: usize, v: usize, row: usize): v128 {
    // From +0, as the sum of single neighbours begins: neighbours that are all −0 make +0.
    const beside = f32x4.add(f32x4.add(f32x4.splat(0), v128.load(p - 4)), v128.load(p, 4));
    const sum = f32x4.add(f32x4.add(beside, v128.load(p - row)), v128.load(p + row));
    const rise = f32x4.sub(v128.load(p), f32x4.mul(sum, f32x4.splat(0.25)));
    const value = f32x4.div(rise, f32x4.sqrt(f32x4.mul(v128.load(v), f32x4.splat(1.25))));
    return v128.and(value, f32x4.eq(value, value));
  }
}

function sharpnessOf(p: usize, v: usize, m: usize, row: usize, unusable: i32, replaced: i32): f32 {
  const maskRow = row >> 1;
  if (((around(m) | around(m - maskRow) | around(m + maskRow)) & unusable) != 0) return 0;
  let sum: f32 = 0, count: f32 = 0;
  if ((<i32>load<u16>(m - 2) & replaced) == 0) { sum += load<f32>(p - 4); count++; }
  if ((<i32>load<u16>(m, 2) & replaced) == 0) { sum += load<f32>(p, 4); count++; }
  if ((<i32>load<u16>(m - maskRow) & replaced) == 0) { sum += load<f32>(p - row); count++; }
  if ((<i32>load<u16>(m + maskRow) & replaced) == 0) { sum += load<f32>(p + row); count++; }
  if (count == 0) return 0;
  const value: f32 = (load<f32>(p) - sum / count) / sqrt<f32>(load<f32>(v) * (1 + 1 / count));
  return value == value ? value : 0;
}

function around(m: usize): i32 {
  return <i32>load<u16>(m) | <i32>load<u16>(m - 2) | <i32>load<u16>(m, 2);
}
