/** Separable smoothing. The twin in `twins/smooth.ts` defines the result. */

/**
 * A ring of rows that were smoothed along x feeds the pass along y.
 *
 * @param taps   [2 half + 1] float32.
 * @param padded [width + 2 half + 16] float32, work.
 * @param ring   [(2 half + 1) × stride] float32, work; stride = width rounded up to 16.
 * @param width  At least 16.
 */
export function smoothSeparable(
  image: usize, mask: usize, zeroBits: i32, width: i32, height: i32, taps: usize, half: i32, out: usize,
  padded: usize, ring: usize,
): void {
  const stride = <usize>((width + 15) & ~15) << 2, rows = 2 * half + 1;
  memory.fill(padded, 0, <usize>(width + 2 * half + 16) << 2);
  memory.fill(ring, 0, stride * rows);
  for (let ahead = 0; ahead < height + half; ahead++) {
    const slot = ring + stride * (ahead % rows);
    if (ahead < height) {
      const row = <usize>ahead * width;
      loadRow(image + (row << 2), mask + (row << 1), zeroBits, width, padded + (<usize>half << 2));
      smoothRow(padded, width, taps, half, slot);
    } else {
      memory.fill(slot, 0, stride);
    }
    const y = ahead - half;
    if (y >= 0) smoothColumns(ring, stride, rows, y, width, taps, half, out + (<usize>(y * width) << 2));
  }
}

/** NaN and masked pixels become 0. */
function loadRow(image: usize, mask: usize, zeroBits: i32, width: i32, out: usize): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0);
  let x = 0;
  for (; x + 8 <= width; x += 8, image += 32, mask += 16, out += 32) {
    const kept = i16x8.eq(v128.and(v128.load(mask), bits), none);
    const a = v128.load(image), b = v128.load(image, 16);
    v128.store(out, v128.and(a, v128.and(i32x4.extend_low_i16x8_s(kept), f32x4.eq(a, a))));
    v128.store(out, v128.and(b, v128.and(i32x4.extend_high_i16x8_s(kept), f32x4.eq(b, b))), 16);
  }
  for (; x < width; x++, image += 4, mask += 2, out += 4) {
    const value = load<f32>(image);
    store<f32>(out, value == value && (<i32>load<u16>(mask) & zeroBits) == 0 ? value : 0);
  }
}

/** Middle tap, then pairs of mirrored pixels from the outermost in. Writes whole groups of 16. */
function smoothRow(padded: usize, width: i32, taps: usize, half: i32, out: usize): void {
  const last = <usize>half << 3;
  for (let x = 0; x < width; x += 16, padded += 64, out += 64) {
    const middle = v128.load32_splat(taps + (<usize>half << 2)), centre = padded + (<usize>half << 2);
    let a = f32x4.mul(middle, v128.load(centre)), b = f32x4.mul(middle, v128.load(centre, 16));
    let c = f32x4.mul(middle, v128.load(centre, 32)), d = f32x4.mul(middle, v128.load(centre, 48));
    for (let t: usize = 0, end = <usize>half << 2; t < end; t += 4) {
      const tap = v128.load32_splat(taps + t), p = padded + t, q = padded + last - t;
      a = f32x4.add(a, f32x4.mul(tap, f32x4.add(v128.load(p), v128.load(q))));
      b = f32x4.add(b, f32x4.mul(tap, f32x4.add(v128.load(p, 16), v128.load(q, 16))));
      c = f32x4.add(c, f32x4.mul(tap, f32x4.add(v128.load(p, 32), v128.load(q, 32))));
      d = f32x4.add(d, f32x4.mul(tap, f32x4.add(v128.load(p, 48), v128.load(q, 48))));
    }
    v128.store(out, a); v128.store(out, b, 16); v128.store(out, c, 32); v128.store(out, d, 48);
  }
}

/** One output row from the ring: the middle tap, then pairs of rows from the nearest out. */
function smoothColumns(
  ring: usize, stride: usize, rows: i32, y: i32, width: i32, taps: usize, half: i32, out: usize,
): void {
  const centre = y % rows;
  for (let x = 0; x < width;) {
    // The last group overlaps the one before, so that nothing beyond the row is written.
    const at = min(x, width - 16), base = ring + (<usize>at << 2);
    const middle = v128.load32_splat(taps + (<usize>half << 2)), row = base + stride * centre;
    let a = f32x4.mul(middle, v128.load(row)), b = f32x4.mul(middle, v128.load(row, 16));
    let c = f32x4.mul(middle, v128.load(row, 32)), d = f32x4.mul(middle, v128.load(row, 48));
    let below = centre, above = centre;
    for (let t = 1; t <= half; t++) {
      below = below == 0 ? rows - 1 : below - 1;
      above = above == rows - 1 ? 0 : above + 1;
      const tap = v128.load32_splat(taps + (<usize>(half + t) << 2)), p = base + stride * below, q = base + stride * above;
      a = f32x4.add(a, f32x4.mul(tap, f32x4.add(v128.load(p), v128.load(q))));
      b = f32x4.add(b, f32x4.mul(tap, f32x4.add(v128.load(p, 16), v128.load(q, 16))));
      c = f32x4.add(c, f32x4.mul(tap, f32x4.add(v128.load(p, 32), v128.load(q, 32))));
      d = f32x4.add(d, f32x4.mul(tap, f32x4.add(v128.load(p, 48), v128.load(q, 48))));
    }
    const to = out + (<usize>at << 2);
    v128.store(to, a); v128.store(to, b, 16); v128.store(to, c, 32); v128.store(to, d, 48);
    x = at + 16;
  }
}
