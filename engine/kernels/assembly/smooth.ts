/** Separable smoothing. The twin in `twins/smooth.ts` defines the result. */

/**
 * A ring of rows that were smoothed along x feeds the pass along y, which makes two rows at once: the ring is larger
 * than the first-level cache, and is so read half as often.
 *
 * @param y0, y1 Rows that are made.
 * @param core   Where it is not 0 the result is core × image less what was smoothed.
 * @param line   [width] float32, work.
 * @param taps   [2 half + 1] float32.
 * @param padded [width + 2 half + 16] float32, work.
 * @param ring   [(2 half + 2) × stride] float32, work; stride = width rounded up to 16.
 * @param width  At least 16.
 */
export function smoothSeparable(
  image: usize, mask: usize, zeroBits: i32, width: i32, height: i32, y0: i32, y1: i32, core: f32, line: usize,
  taps: usize, half: i32, out: usize, padded: usize, ring: usize,
): void {
  const stride = <usize>((width + 15) & ~15) << 2, slots = 2 * half + 2, rowBytes = <usize>width << 2;
  memory.fill(padded, 0, <usize>(width + 2 * half + 16) << 2);
  memory.fill(ring, 0, stride * slots);
  memory.fill(line, 0, rowBytes);
  let ahead = max(0, y0 - half);
  for (let y = y0; y < y1; y += 2) {
    for (; ahead <= y + 1 + half; ahead++) {
      const slot = ring + stride * (ahead % slots);
      if (ahead < height) {
        const row = <usize>ahead * width;
        loadRow(image + (row << 2), mask + (row << 1), zeroBits, line, width, padded + (<usize>half << 2));
        smoothRow(padded, width, taps, half, slot);
      } else {
        memory.fill(slot, 0, stride);
      }
    }
    const to = out + rowBytes * y, next = y + 1 < y1 ? to + rowBytes : to;
    // Of an odd last row's partner nothing is kept: it is written first, and over it the row itself.
    smoothTwoRows(ring, stride, slots, y, width, taps, half, to, next);
    if (core == 0) continue;
    takeFromCore(image + rowBytes * y, core, width, to);
    if (next != to) takeFromCore(image + rowBytes * (y + 1), core, width, next);
  }
}

/** out = core × image − out. */
function takeFromCore(image: usize, core: f32, width: i32, out: usize): void {
  const cores = f32x4.splat(core);
  let x = 0;
  for (; x + 4 <= width; x += 4, image += 16, out += 16) {
    v128.store(out, f32x4.sub(f32x4.mul(cores, v128.load(image)), v128.load(out)));
  }
  for (; x < width; x++, image += 4, out += 4) store<f32>(out, core * load<f32>(image) - load<f32>(out));
}

/**
 * score /= √(smoothed 1 / variance) where that exceeds `least`, else 0. Pixels that are masked, not finite in the image or
 * without a positive variance weigh 0, as what lies outside does.
 *
 * @param taps, padded, ring As for `smoothSeparable`.
 * @param lines [2 × width] float32, work.
 */
export function normalizeByNoise(
  score: usize, image: usize, variance: usize, mask: usize, zeroBits: i32, width: i32, height: i32, taps: usize,
  half: i32, least: f32, padded: usize, ring: usize, lines: usize,
): void {
  const stride = <usize>((width + 15) & ~15) << 2, rows = 2 * half + 2, rowBytes = <usize>width << 2;
  memory.fill(padded, 0, <usize>(width + 2 * half + 16) << 2);
  memory.fill(ring, 0, stride * rows);
  let ahead = 0;
  for (let y = 0; y < height; y += 2) {
    for (; ahead <= y + 1 + half; ahead++) {
      const slot = ring + stride * (ahead % rows);
      if (ahead < height) {
        const at = rowBytes * ahead;
        weighRow(image + at, variance + at, mask + (at >> 1), zeroBits, width, padded + (<usize>half << 2));
        smoothRow(padded, width, taps, half, slot);
      } else {
        memory.fill(slot, 0, stride);
      }
    }
    smoothTwoRows(ring, stride, rows, y, width, taps, half, lines, lines + rowBytes);
    const to = score + rowBytes * y;
    divideByRoot(to, lines, least, width);
    if (y + 1 < height) divideByRoot(to + rowBytes, lines + rowBytes, least, width);
  }
}

/** 1 / variance, 0 where nothing is known. */
function weighRow(image: usize, variance: usize, mask: usize, zeroBits: i32, width: i32, out: usize): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0), one = f32x4.splat(1), zero = f32x4.splat(0);
  let x = 0;
  for (; x + 8 <= width; x += 8, image += 32, variance += 32, mask += 16, out += 32) {
    const kept = i16x8.eq(v128.and(v128.load(mask), bits), none);
    const a = v128.load(image), b = v128.load(image, 16), v = v128.load(variance), w = v128.load(variance, 16);
    const low = v128.and(f32x4.eq(f32x4.sub(a, a), zero), f32x4.gt(v, zero));
    const high = v128.and(f32x4.eq(f32x4.sub(b, b), zero), f32x4.gt(w, zero));
    v128.store(out, v128.and(f32x4.div(one, v), v128.and(i32x4.extend_low_i16x8_s(kept), low)));
    v128.store(out, v128.and(f32x4.div(one, w), v128.and(i32x4.extend_high_i16x8_s(kept), high)), 16);
  }
  for (; x < width; x++, image += 4, variance += 4, mask += 2, out += 4) {
    const value = load<f32>(image), noise = load<f32>(variance);
    const isUsed = value - value == 0 && noise > 0 && (<i32>load<u16>(mask) & zeroBits) == 0;
    store<f32>(out, isUsed ? 1 / noise : 0);
  }
}

function divideByRoot(score: usize, weight: usize, least: f32, width: i32): void {
  const limit = f32x4.splat(least);
  let x = 0;
  for (; x + 4 <= width; x += 4, score += 16, weight += 16) {
    const w = v128.load(weight);
    v128.store(score, v128.and(f32x4.div(v128.load(score), f32x4.sqrt(w)), f32x4.gt(w, limit)));
  }
  for (; x < width; x++, score += 4, weight += 4) {
    const w = load<f32>(weight);
    store<f32>(score, w > least ? load<f32>(score) / sqrt<f32>(w) : 0);
  }
}

/** The line comes off; NaN and masked pixels become 0. */
export function loadRow(image: usize, mask: usize, zeroBits: i32, line: usize, width: i32, out: usize): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0);
  let x = 0;
  for (; x + 8 <= width; x += 8, image += 32, mask += 16, out += 32, line += 32) {
    const kept = i16x8.eq(v128.and(v128.load(mask), bits), none);
    const a = f32x4.sub(v128.load(image), v128.load(line)), b = f32x4.sub(v128.load(image, 16), v128.load(line, 16));
    v128.store(out, v128.and(a, v128.and(i32x4.extend_low_i16x8_s(kept), f32x4.eq(a, a))));
    v128.store(out, v128.and(b, v128.and(i32x4.extend_high_i16x8_s(kept), f32x4.eq(b, b))), 16);
  }
  for (; x < width; x++, image += 4, mask += 2, out += 4, line += 4) {
    const value = load<f32>(image) - load<f32>(line);
    store<f32>(out, value == value && (<i32>load<u16>(mask) & zeroBits) == 0 ? value : 0);
  }
}

/** Middle tap, then pairs of mirrored pixels from the outermost in. Writes whole groups of 16. */
export function smoothRow(padded: usize, width: i32, taps: usize, half: i32, out: usize): void {
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

/**
 * Two output rows from the ring: the middle tap, then pairs of rows from the nearest out. A row that serves both is
 * read once.
 */
export function smoothTwoRows(
  ring: usize, stride: usize, rows: i32, y: i32, width: i32, taps: usize, half: i32, out: usize, outNext: usize,
): void {
  const first = stride * (y % rows), second = stride * ((y + 1) % rows), end = stride * rows;
  const middle = v128.load32_splat(taps + (<usize>half << 2)), lastTap = taps + (<usize>half << 3);
  for (let x = 0; x < width;) {
    // The last group overlaps the one before, so that nothing beyond the row is written.
    const at = <usize>min(x, width - 8) << 2, base = ring + at;
    let low0 = v128.load(base + first), low1 = v128.load(base + first, 16);
    let high0 = v128.load(base + second), high1 = v128.load(base + second, 16);
    let a0 = f32x4.mul(middle, low0), a1 = f32x4.mul(middle, low1), b0 = f32x4.mul(middle, high0),
      b1 = f32x4.mul(middle, high1);
    let below = first, above = second;
    for (let t = taps + (<usize>half << 2) + 4; t <= lastTap; t += 4) {
      below = (below == 0 ? end : below) - stride;
      above += stride;
      if (above == end) above = 0;
      const tap = v128.load32_splat(t), p = base + below, q = base + above;
      const newLow0 = v128.load(p), newLow1 = v128.load(p, 16), newHigh0 = v128.load(q), newHigh1 = v128.load(q, 16);
      a0 = f32x4.add(a0, f32x4.mul(tap, f32x4.add(newLow0, high0)));
      a1 = f32x4.add(a1, f32x4.mul(tap, f32x4.add(newLow1, high1)));
      b0 = f32x4.add(b0, f32x4.mul(tap, f32x4.add(low0, newHigh0)));
      b1 = f32x4.add(b1, f32x4.mul(tap, f32x4.add(low1, newHigh1)));
      low0 = newLow0; low1 = newLow1; high0 = newHigh0; high1 = newHigh1;
    }
    v128.store(outNext + at, b0); v128.store(outNext + at, b1, 16);
    v128.store(out + at, a0); v128.store(out + at, a1, 16);
    x = <i32>(at >> 2) + 8;
  }
}
