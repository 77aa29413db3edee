/** Pixels that are masked, or near one that is. The twins in `twins/near.ts` define the results. */

/**
 * out = 1 where a pixel within `reach` along both axes has one of the bits, else 0.
 *
 * Masked pixels are few: each stretch of a row that is near one is painted over the rows within reach of it.
 */
export function markNear(mask: usize, bits: i32, width: i32, height: i32, reach: i32, out: usize): void {
  memory.fill(out, 0, <usize>(width * height));
  const wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0);
  for (let y = 0; y < height; y++, mask += <usize>width << 1) {
    const first = max(0, y - reach), rows = min(height - 1, y + reach) - first + 1;
    const top = out + <usize>(first * width);
    // The stretch that is not painted yet, because what follows may be part of it.
    let left = 0, right = 0;
    for (let x = 0; x < width; x += 16) {
      let marked = 0;
      if (x + 16 <= width) {
        const at = mask + (<usize>x << 1);
        const low = i16x8.ne(v128.and(v128.load(at), wanted), none),
          high = i16x8.ne(v128.and(v128.load(at, 16), wanted), none);
        if (!v128.any_true(v128.or(low, high))) continue;
        marked = i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
      } else {
        for (let k = 0; k < width - x; k++) {
          if ((<i32>load<u16>(mask + (<usize>(x + k) << 1)) & bits) != 0) marked |= 1 << k;
        }
        if (marked == 0) break;
      }
      // Between two of sixteen there may be a gap, but only a short reach leaves one open.
      for (; marked != 0; marked &= marked - 1) {
        const u = x + ctz(marked), begin = max(0, u - reach);
        if (begin > right) { paint(top, width, rows, left, right); left = begin; }
        right = min(width, u + reach + 1);
      }
    }
    paint(top, width, rows, left, right);
  }
}

/** Sets columns `left` … `right` − 1 of so many rows, 16 at once where they are as many. */
function paint(top: usize, width: i32, rows: i32, left: i32, right: i32): void {
  const count = right - left, one = i8x16.splat(1);
  for (let v = 0, at = top + <usize>left; v < rows; v++, at += <usize>width) {
    if (count < 16) {
      for (let i: usize = 0, end = <usize>count; i < end; i++) store<u8>(at + i, 1);
      continue;
    }
    const last = at + <usize>(count - 16);
    for (let to = at; to < last; to += 16) v128.store(to, one);
    v128.store(last, one);
  }
}

/** out = 1 where mask has one of the bits or the image is not finite; elsewhere it stays. */
export function markBlank(mask: usize, bits: i32, image: usize, count: i32, out: usize): void {
  const wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0), zero = f32x4.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, mask += 16, image += 32, out += 8) {
    const a = v128.load(image), b = v128.load(image, 16);
    const lost = i16x8.narrow_i32x4_s(f32x4.ne(f32x4.sub(a, a), zero), f32x4.ne(f32x4.sub(b, b), zero));
    const marked = v128.or(lost, i16x8.ne(v128.and(v128.load(mask), wanted), none));
    if (!v128.any_true(marked)) continue;
    const bytes = v128.and(i8x16.narrow_i16x8_s(marked, marked), i8x16.splat(1));
    v128.store64_lane(out, v128.bitselect(i8x16.splat(1), v128.load64_zero(out), i8x16.eq(bytes, i8x16.splat(1))), 0);
  }
  for (; i < count; i++, mask += 2, image += 4, out++) {
    const value = load<f32>(image);
    if ((<i32>load<u16>(mask) & bits) != 0 || !(value - value == 0)) store<u8>(out, 1);
  }
}
