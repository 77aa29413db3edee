/** Repelled charge put back, dark off, flat divided. The twin in `twins/finish.ts` defines the results. */

/**
 * What flows into each pixel of a row by repulsion: x (2 q² − left² − right²) + y (2 q² − below² − above²), a
 * neighbour that is NaN or outside counting as the pixel itself. Adds it to `base`.
 *
 * @param below, above 0 outside the image.
 */
function restoreRow(
  base: usize, row: usize, below: usize, above: usize, x: f32, y: f32, count: i32, isGuarded: bool, out: usize,
): void {
  const x4 = f32x4.splat(x), y4 = f32x4.splat(y);
  store<f32>(out, restored(base, row, below, above, x, y, 0, count));
  let i = 1;
  if (!isGuarded && below != 0 && above != 0) {
    for (; i + 4 < count; i += 4) {
      const at = <usize>i << 2, q = v128.load(row + at), l = v128.load(row + at - 4), r = v128.load(row + at + 4);
      const d = v128.load(below + at), u = v128.load(above + at), q2 = f32x4.mul(q, q), two = f32x4.add(q2, q2);
      const across = f32x4.sub(f32x4.sub(two, f32x4.mul(l, l)), f32x4.mul(r, r));
      const along = f32x4.sub(f32x4.sub(two, f32x4.mul(d, d)), f32x4.mul(u, u));
      v128.store(out + at, f32x4.add(v128.load(base + at), f32x4.add(f32x4.mul(x4, across), f32x4.mul(y4, along))));
    }
  }
  for (; i + 4 < count; i += 4) {
    const at = <usize>i << 2, q = v128.load(row + at), q2 = f32x4.mul(q, q);
    const left = Square.or(v128.load(row + at - 4), q2), right = Square.or(v128.load(row + at + 4), q2);
    const down = below != 0 ? Square.or(v128.load(below + at), q2) : q2;
    const up = above != 0 ? Square.or(v128.load(above + at), q2) : q2;
    const two = f32x4.add(q2, q2);
    const across = f32x4.sub(f32x4.sub(two, left), right), along = f32x4.sub(f32x4.sub(two, down), up);
    v128.store(out + at, f32x4.add(v128.load(base + at), f32x4.add(f32x4.mul(x4, across), f32x4.mul(y4, along))));
  }
  for (; i < count; i++) store<f32>(out + (<usize>i << 2), restored(base, row, below, above, x, y, i, count));
}

class Square {
  /** Squares, or what stands for those of NaN. */
  @inline static or(v: v128, other: v128): v128 {
    return v128.bitselect(f32x4.mul(v, v), other, f32x4.eq(v, v));
  }
  @inline static one(at: usize, other: f32): f32 {
    const v = load<f32>(at);
    return v == v ? v * v : other;
  }
}

function restored(base: usize, row: usize, below: usize, above: usize, x: f32, y: f32, i: i32, count: i32): f32 {
  const at = <usize>i << 2, q = load<f32>(row + at), q2 = q * q;
  const left = i > 0 ? Square.one(row + at - 4, q2) : q2, right = i + 1 < count ? Square.one(row + at + 4, q2) : q2;
  const down = below != 0 ? Square.one(below + at, q2) : q2, up = above != 0 ? Square.one(above + at, q2) : q2;
  const across: f32 = q2 + q2 - left - right, along: f32 = q2 + q2 - down - up;
  return load<f32>(base + at) + (x * across + y * along);
}

/**
 * Puts repelled charge back in two rounds, the first from what was read, the second from the first's result; then dark
 * and flat.
 *
 * @param ring    Work: four rows of float32, `stride` bytes apart.
 * @param x, y    Part per electron, 0 for none.
 * @param isGuarded Whether pixels may be NaN.
 * @param limits  biasMax (not used), darkMax, responseMin, responseMax, float32.
 * @param inverse Gets 1 / response where there is a flat; 0 when nobody asks.
 * @returns Pixels marked.
 */
export function finishSignature(
  image: usize, mask: usize, width: i32, height: i32, dark: usize, seconds: f32, flat: usize, x: f32, y: f32,
  limits: usize, badBit: i32, missingBits: i32, isGuarded: bool, ring: usize, stride: usize, inverse: usize,
): i32 {
  const rowBytes = <usize>width << 2, last = ring + 3 * stride;
  let marked = 0;
  for (let row = -1; row < height; row++) {
    const ahead = row + 1;
    if (ahead < height) {
      const p = image + <usize>ahead * rowBytes;
      restoreRow(p, p, ahead > 0 ? p - rowBytes : 0, ahead + 1 < height ? p + rowBytes : 0, x, y, width,
        isGuarded, ring + <usize>(ahead % 3) * stride);
    }
    if (row < 0) continue;
    marked += finishRow(image, mask, width, height, row, dark, seconds, flat, x, y, limits, badBit, missingBits,
      isGuarded, ring, stride, last, inverse);
  }
  return marked;
}

function finishRow(
  image: usize, mask: usize, width: i32, height: i32, row: i32, dark: usize, seconds: f32, flat: usize, x: f32,
  y: f32, limits: usize, badBit: i32, missingBits: i32, isGuarded: bool, ring: usize, stride: usize, line: usize,
  inverse: usize,
): i32 {
  const start = <usize>(row * width) << 2, to = image + start, m = mask + (start >> 1);
  const below = row > 0 ? ring + <usize>((row - 1) % 3) * stride : 0, here = ring + <usize>(row % 3) * stride;
  const above = row + 1 < height ? ring + <usize>((row + 1) % 3) * stride : 0;
  restoreRow(to, here, below, above, x, y, width, isGuarded, line);
  const seconds4 = f32x4.splat(seconds), darkMax = v128.load32_splat(limits, 4), nan = f32x4.splat(f32.NaN);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12), zero = f32x4.splat(0);
  let i = 0, marked = 0;
  for (; i + 4 <= width; i += 4) {
    const at = <usize>i << 2;
    let value = v128.load(line + at), sound = f32x4.eq(zero, zero);
    if (dark != 0) {
      const current = v128.load(dark + start + at);
      value = f32x4.sub(value, f32x4.mul(current, seconds4));
      sound = f32x4.le(current, darkMax);
    }
    if (flat != 0) {
      const response = v128.load(flat + start + at);
      const portion = f32x4.div(f32x4.splat(1), response);
      value = v128.bitselect(f32x4.mul(value, portion), nan, f32x4.gt(response, zero));
      if (inverse != 0) v128.store(inverse + start + at, portion);
      sound = v128.and(sound, v128.and(f32x4.ge(response, least), f32x4.le(response, most)));
    }
    v128.store(to + at, value);
    const odd = ~i32x4.bitmask(v128.and(sound, f32x4.eq(value, value))) & 15;
    for (let rest = odd; rest != 0; rest &= rest - 1, marked++) mark(to, m, i + ctz(rest), badBit, missingBits);
  }
  for (; i < width; i++) {
    const at = <usize>i << 2;
    let value = load<f32>(line + at), isSound = true;
    if (dark != 0) {
      const current = load<f32>(dark + start + at);
      value -= current * seconds;
      isSound = current <= load<f32>(limits, 4);
    }
    if (flat != 0) {
      const response = load<f32>(flat + start + at);
      const portion: f32 = <f32>1 / response;
      value = response > 0 ? value * portion : f32.NaN;
      if (inverse != 0) store<f32>(inverse + start + at, portion);
      isSound = isSound && response >= load<f32>(limits, 8) && response <= load<f32>(limits, 12);
    }
    store<f32>(to + at, value);
    if (isSound && value == value) continue;
    mark(to, m, i, badBit, missingBits);
    marked++;
  }
  return marked;
}

function mark(row: usize, mask: usize, i: i32, badBit: i32, missingBits: i32): void {
  const value = load<f32>(row + (<usize>i << 2)), m = mask + (<usize>i << 1);
  store<u16>(m, load<u16>(m) | <u16>(value == value ? badBit : missingBits));
}
