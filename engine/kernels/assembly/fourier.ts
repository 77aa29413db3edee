/**
 * Fast Fourier transforms of strips: 16 independent complex columns at once, radix 4, decimation in frequency forward
 * and in time back, so that a spectrum stays in scrambled order. The twin in `twins/fourier.ts` defines the arithmetic.
 *
 * Real and imaginary parts are planes of their own; element k of column c is at k × stride + 4c bytes.
 */

/** Columns of a strip are one cache line. */
const STRIP_BYTES: usize = 64;

/**
 * @param side     Length of the transform, a power of two ≥ 4.
 * @param stride   Bytes from one element of a column to the next.
 * @param twiddles cos and −sin of 2πk/side by turns, float32, k < side.
 */
export function transformStrip(re: usize, im: usize, stride: usize, side: i32, twiddles: usize): void {
  let span = side;
  for (; span >= 4; span >>= 2) {
    const quarter = <usize>(span >> 2) * stride, step = <usize>(side / span) << 3;
    for (let block: usize = 0, end = stride * side, jump = stride * span; block < end; block += jump) {
      butterflyPlain(re + block, im + block, quarter);
      let twiddle = step;
      for (let row = block + stride, last = block + quarter; row < last; row += stride, twiddle += step) {
        butterfly(re + row, im + row, quarter, twiddles, twiddle);
      }
    }
  }
  if (span == 2) pairs(re, im, stride, side);
}

/** Undoes `transformStrip`, up to the factor `side`. */
export function transformStripBack(re: usize, im: usize, stride: usize, side: i32, twiddles: usize): void {
  let span = 4;
  if ((ctz(side) & 1) == 1) { pairs(re, im, stride, side); span = 8; }
  for (; span <= side; span <<= 2) {
    const quarter = <usize>(span >> 2) * stride, step = <usize>(side / span) << 3;
    for (let block: usize = 0, end = stride * side, jump = stride * span; block < end; block += jump) {
      butterflyBackPlain(re + block, im + block, quarter);
      let twiddle = step;
      for (let row = block + stride, last = block + quarter; row < last; row += stride, twiddle += step) {
        butterflyBack(re + row, im + row, quarter, twiddles, twiddle);
      }
    }
  }
}

/** Four rows, `quarter` apart, without twiddles (all are 1). */
function butterflyPlain(re: usize, im: usize, quarter: usize): void {
  for (let end = re + STRIP_BYTES; re < end; re += 16, im += 16) {
    const p = v128.load(re), q = v128.load(re + quarter), r = v128.load(re + 2 * quarter),
      s = v128.load(re + 3 * quarter);
    const a0 = f32x4.add(p, r), a1 = f32x4.sub(p, r), a2 = f32x4.add(q, s), b3 = f32x4.sub(s, q);
    const ip = v128.load(im), iq = v128.load(im + quarter), ir = v128.load(im + 2 * quarter),
      is = v128.load(im + 3 * quarter);
    const b0 = f32x4.add(ip, ir), b1 = f32x4.sub(ip, ir), b2 = f32x4.add(iq, is), a3 = f32x4.sub(iq, is);
    v128.store(re, f32x4.add(a0, a2)); v128.store(im, f32x4.add(b0, b2));
    v128.store(re + quarter, f32x4.add(a1, a3)); v128.store(im + quarter, f32x4.add(b1, b3));
    v128.store(re + 2 * quarter, f32x4.sub(a0, a2)); v128.store(im + 2 * quarter, f32x4.sub(b0, b2));
    v128.store(re + 3 * quarter, f32x4.sub(a1, a3)); v128.store(im + 3 * quarter, f32x4.sub(b1, b3));
  }
}

/** As `butterflyPlain`, then the twiddles of k, 2k and 3k; `k` is the byte offset of the first. */
function butterfly(re: usize, im: usize, quarter: usize, twiddles: usize, k: usize): void {
  const c1 = v128.load32_splat(twiddles + k), s1 = v128.load32_splat(twiddles + k, 4);
  const c2 = v128.load32_splat(twiddles + 2 * k), s2 = v128.load32_splat(twiddles + 2 * k, 4);
  const c3 = v128.load32_splat(twiddles + 3 * k), s3 = v128.load32_splat(twiddles + 3 * k, 4);
  for (let end = re + STRIP_BYTES; re < end; re += 16, im += 16) {
    const p = v128.load(re), q = v128.load(re + quarter), r = v128.load(re + 2 * quarter),
      s = v128.load(re + 3 * quarter);
    const a0 = f32x4.add(p, r), a1 = f32x4.sub(p, r), a2 = f32x4.add(q, s), b3 = f32x4.sub(s, q);
    const ip = v128.load(im), iq = v128.load(im + quarter), ir = v128.load(im + 2 * quarter),
      is = v128.load(im + 3 * quarter);
    const b0 = f32x4.add(ip, ir), b1 = f32x4.sub(ip, ir), b2 = f32x4.add(iq, is), a3 = f32x4.sub(iq, is);
    v128.store(re, f32x4.add(a0, a2)); v128.store(im, f32x4.add(b0, b2));
    const x1 = f32x4.add(a1, a3), y1 = f32x4.add(b1, b3);
    v128.store(re + quarter, Complex.re(x1, y1, c1, s1)); v128.store(im + quarter, Complex.im(x1, y1, c1, s1));
    const x2 = f32x4.sub(a0, a2), y2 = f32x4.sub(b0, b2);
    v128.store(re + 2 * quarter, Complex.re(x2, y2, c2, s2)); v128.store(im + 2 * quarter, Complex.im(x2, y2, c2, s2));
    const x3 = f32x4.sub(a1, a3), y3 = f32x4.sub(b1, b3);
    v128.store(re + 3 * quarter, Complex.re(x3, y3, c3, s3)); v128.store(im + 3 * quarter, Complex.im(x3, y3, c3, s3));
  }
}

/** The inverse of `butterflyPlain` up to a factor 4. */
function butterflyBackPlain(re: usize, im: usize, quarter: usize): void {
  for (let end = re + STRIP_BYTES; re < end; re += 16, im += 16) {
    const p = v128.load(re), x1 = v128.load(re + quarter), x2 = v128.load(re + 2 * quarter),
      x3 = v128.load(re + 3 * quarter);
    const ip = v128.load(im), y1 = v128.load(im + quarter), y2 = v128.load(im + 2 * quarter),
      y3 = v128.load(im + 3 * quarter);
    Inverse.store(re, im, quarter, p, ip, x1, y1, x2, y2, x3, y3);
  }
}

/** The inverse of `butterfly` up to a factor 4: conjugate twiddles first. */
function butterflyBack(re: usize, im: usize, quarter: usize, twiddles: usize, k: usize): void {
  const c1 = v128.load32_splat(twiddles + k), s1 = v128.load32_splat(twiddles + k, 4);
  const c2 = v128.load32_splat(twiddles + 2 * k), s2 = v128.load32_splat(twiddles + 2 * k, 4);
  const c3 = v128.load32_splat(twiddles + 3 * k), s3 = v128.load32_splat(twiddles + 3 * k, 4);
  for (let end = re + STRIP_BYTES; re < end; re += 16, im += 16) {
    const q = v128.load(re + quarter), iq = v128.load(im + quarter);
    const x1 = Complex.reConjugate(q, iq, c1, s1), y1 = Complex.imConjugate(q, iq, c1, s1);
    const r = v128.load(re + 2 * quarter), ir = v128.load(im + 2 * quarter);
    const x2 = Complex.reConjugate(r, ir, c2, s2), y2 = Complex.imConjugate(r, ir, c2, s2);
    const s = v128.load(re + 3 * quarter), is = v128.load(im + 3 * quarter);
    const x3 = Complex.reConjugate(s, is, c3, s3), y3 = Complex.imConjugate(s, is, c3, s3);
    Inverse.store(re, im, quarter, v128.load(re), v128.load(im), x1, y1, x2, y2, x3, y3);
  }
}

/** Butterflies of two neighbouring rows; their own inverse up to a factor 2. */
function pairs(re: usize, im: usize, stride: usize, side: i32): void {
  for (let row = 0; row < side; row += 2, re += 2 * stride, im += 2 * stride) {
    for (let c: usize = 0; c < STRIP_BYTES; c += 16) {
      const p = v128.load(re + c), q = v128.load(re + stride + c);
      v128.store(re + c, f32x4.add(p, q)); v128.store(re + stride + c, f32x4.sub(p, q));
      const ip = v128.load(im + c), iq = v128.load(im + stride + c);
      v128.store(im + c, f32x4.add(ip, iq)); v128.store(im + stride + c, f32x4.sub(ip, iq));
    }
  }
}

export class Complex {
  /** (x + iy)(c + is) */
  @inline static re(x: v128, y: v128, c: v128, s: v128): v128 { return f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)); }
  @inline static im(x: v128, y: v128, c: v128, s: v128): v128 { return f32x4.add(f32x4.mul(x, s), f32x4.mul(y, c)); }
  /** (x + iy)(c − is) */
  @inline static reConjugate(x: v128, y: v128, c: v128, s: v128): v128 {
    return f32x4.add(f32x4.mul(x, c), f32x4.mul(y, s));
  }
  @inline static imConjugate(x: v128, y: v128, c: v128, s: v128): v128 {
    return f32x4.sub(f32x4.mul(y, c), f32x4.mul(x, s));
  }
}

class Inverse {
  @inline static store(
    re: usize, im: usize, quarter: usize, p: v128, ip: v128, x1: v128, y1: v128, x2: v128, y2: v128, x3: v128, y3: v128,
  ): void {
    const a0 = f32x4.add(p, x2), a1 = f32x4.sub(p, x2), a2 = f32x4.add(x1, x3), a3 = f32x4.sub(x1, x3);
    const b0 = f32x4.add(ip, y2), b1 = f32x4.sub(ip, y2), b2 = f32x4.add(y1, y3), b3 = f32x4.sub(y1, y3);
    v128.store(re, f32x4.add(a0, a2)); v128.store(im, f32x4.add(b0, b2));
    v128.store(re + quarter, f32x4.sub(a1, b3)); v128.store(im + quarter, f32x4.add(b1, a3));
    v128.store(re + 2 * quarter, f32x4.sub(a0, a2)); v128.store(im + 2 * quarter, f32x4.sub(b0, b2));
    v128.store(re + 3 * quarter, f32x4.add(a1, b3)); v128.store(im + 3 * quarter, f32x4.sub(b1, a3));
  }
}
