/** Mask bits spread over discs. The twin in `twins/spread.ts` defines the result. */

/**
 * Sets the bits of every pixel of rows `first` … `end` − 1 that has some of `bits` in `out`: at the pixel itself, and
 * where it lies at the rim of what is set, in the disc around it.
 *
 * @param reaches [radius + 1] int32: half width of the disc that many rows from its middle.
 */
export function spreadMask(
  mask: usize, width: i32, height: i32, first: i32, end: i32, bits: i32, radius: i32, reaches: usize, out: usize,
): void {
  const wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0), total = width * height;
  for (let y = first; y < end; y++) {
    const row = y * width;
    for (let x = 0; x < width; x += 8) {
      const at = row + x;
      if (at + 8 <= total && !v128.any_true(v128.and(v128.load(mask + (<usize>at << 1)), wanted))) continue;
      // What is set all around a group of eight has no rim in it.
      if (x > 0 && x + 8 < width && y > 0 && y + 1 < height && isWhole(mask, at, width, wanted, none)) {
        const to = out + (<usize>at << 1);
        v128.store(to, v128.or(v128.load(to), v128.and(v128.load(mask + (<usize>at << 1)), wanted)));
        continue;
      }
      for (let u = x, last = min(x + 8, width); u < last; u++) {
        const own = <i32>load<u16>(mask + (<usize>(row + u) << 1)) & bits;
        if (own == 0) continue;
        const to = out + (<usize>(row + u) << 1);
        store<u16>(to, <u16>(<i32>load<u16>(to) | own));
        const isInside = u > 0 && u + 1 < width && y > 0 && y + 1 < height && isSet(mask, row + u - 1, bits)
          && isSet(mask, row + u + 1, bits) && isSet(mask, row + u - width, bits) && isSet(mask, row + u + width, bits);
        if (!isInside) paintDisc(u, y, width, height, own, radius, reaches, out);
      }
    }
  }
}

@inline
function isSet(mask: usize, index: i32, bits: i32): bool {
  return (<i32>load<u16>(mask + (<usize>index << 1)) & bits) != 0;
}

/** Whether eight pixels and those beside, below and above them all have one of the bits. */
function isWhole(mask: usize, at: i32, width: i32, wanted: v128, none: v128): bool {
  const p = mask + (<usize>at << 1), row = <usize>width << 1;
  const missing = v128.or(
    v128.or(i16x8.eq(v128.and(v128.load(p - 2), wanted), none), i16x8.eq(v128.and(v128.load(p, 2), wanted), none)),
    v128.or(
      i16x8.eq(v128.and(v128.load(p - row), wanted), none), i16x8.eq(v128.and(v128.load(p + row), wanted), none)));
  return !v128.any_true(v128.or(missing, i16x8.eq(v128.and(v128.load(p), wanted), none)));
}

function paintDisc(
  x: i32, y: i32, width: i32, height: i32, bits: i32, radius: i32, reaches: usize, out: usize,
): void {
  const painted = i16x8.splat(<i16>bits);
  for (let v = max(0, y - radius); v <= min(height - 1, y + radius); v++) {
    const reach = load<i32>(reaches + (<usize>abs(v - y) << 2));
    const x1 = min(width, x + reach + 1);
    let u = max(0, x - reach), to = out + (<usize>(v * width + u) << 1);
    for (; u + 8 <= x1; u += 8, to += 16) v128.store(to, v128.or(v128.load(to), painted));
    for (; u < x1; u++, to += 2) store<u16>(to, <u16>(<i32>load<u16>(to) | bits));
  }
}
