/**
 * Overlap-save convolution of pairs of tiles; the twin in `twins/convolve.ts` defines the result. TypeScript drives: it
 * loads a pair, makes a kernel's spectrum, multiplies and stores.
 *
 * A tile is kept as its transpose, [x][y], rows of side + 16 floats (a power of two would make all rows share cache
 * sets). The transform along y is done while it is loaded, strip by strip, the one along x in place.
 */
import { Complex, transformStrip, transformStripBack } from './fourier';

/** Bytes of a row of a tile. */
class Tile {
  @inline static rowBytes(side: i32): usize { return <usize>(side + 16) << 2; }
}

/** Bytes from one strip of 16 columns to the next of a tile that is kept by strips: a cache line more than it holds. */
class Strips {
  @inline static bytes(side: i32): usize { return (<usize>side << 6) + 64; }
}

/**
 * Loads two tiles of a plane as real and imaginary part and transforms them along y.
 *
 * A tile is gathered row by row, as the plane lies in memory: down 16 columns, every row of a plane of 4,096 px would
 * fall into the same few sets of the cache.
 *
 * @param mask     Where it is not 0, pixels that have one of `bits` or are not finite count as 0.
 * @param variance Where it is not 0, pixels are divided by it; those where it is not positive count as 0. Only with a
 *                 mask.
 * @param x0, y0   Plane pixel of the first tile's first pixel; what lies outside the plane is 0.
 * @param yImaginary Row of the second tile's first pixel.
 * @param strips   [2 × side / 16] strips, work.
 * @returns Whether any pixel is not zero.
 */
export function loadPair(
  plane: usize, mask: usize, bits: i32, variance: usize, width: i32, height: i32, x0: i32, y0: i32, yImaginary: i32,
  side: i32, re: usize, im: usize, strips: usize, twiddles: usize,
): i32 {
  const rowBytes = Tile.rowBytes(side), stripBytes = Strips.bytes(side), imaginary = strips + stripBytes * (side >> 4);
  const any = v128.or(
    loadTile(plane, mask, bits, variance, width, height, x0, y0, side, strips),
    loadTile(plane, mask, bits, variance, width, height, x0, yImaginary, side, imaginary));
  if (!v128.any_true(any)) return 0;
  for (let x = 0, strip: usize = 0; x < side; x += 16, strip += stripBytes) {
    transformStrip(strips + strip, imaginary + strip, 64, side, twiddles);
    const at = rowBytes * x;
    transposeStrip(strips + strip, side, re + at, rowBytes);
    transposeStrip(imaginary + strip, side, im + at, rowBytes);
  }
  return 1;
}

/** A tile as strips of [side × 16]; ones in what is returned where a pixel is not zero. */
function loadTile(
  plane: usize, mask: usize, bits: i32, variance: usize, width: i32, height: i32, x0: i32, y0: i32, side: i32,
  out: usize,
): v128 {
  const stripBytes = Strips.bytes(side);
  let any = i32x4.splat(0);
  for (let row = 0, y = y0; row < side; row++, y++, out += 64) {
    if (y < 0 || y >= height) {
      for (let x = 0, to = out; x < side; x += 16, to += stripBytes) memory.fill(to, 0, 64);
      continue;
    }
    const at = y * width + x0;
    for (let x = 0, to = out; x < side; x += 16, to += stripBytes) {
      if (x0 + x < 0 || x0 + x + 16 > width) {
        any = v128.or(any, loadBeside(plane, mask, bits, variance, width, x0 + x, at + x, to));
      } else if (mask == 0) {
        const from = plane + (<usize>(at + x) << 2);
        any = v128.or(any, v128.or(Usable.keep(v128.load(from), to), Usable.keep(v128.load(from, 16), to + 16)));
        any = v128.or(any, v128.or(
          Usable.keep(v128.load(from, 32), to + 32), Usable.keep(v128.load(from, 48), to + 48)));
      } else {
        for (let i: usize = 0; i < 16; i += 8) {
          const k = <usize>(at + x) + i, isClear = Usable.clear(mask + (k << 1), bits), o = to + (i << 2);
          const low = Usable.four(plane, variance, k << 2, i32x4.extend_low_i16x8_s(isClear));
          const high = Usable.four(plane, variance, (k << 2) + 16, i32x4.extend_high_i16x8_s(isClear));
          any = v128.or(any, v128.or(Usable.keep(low, o), Usable.keep(high, o + 16)));
        }
      }
    }
  }
  return any;
}

/** 16 pixels of a row from column `x0` on, some of which lie outside the plane; `at` is the first one's index. */
function loadBeside(
  plane: usize, mask: usize, bits: i32, variance: usize, width: i32, x0: i32, at: i32, out: usize,
): v128 {
  let any = i32x4.splat(0);
  for (let i = 0; i < 16; i++) {
    let value: f32 = 0;
    if (x0 + i >= 0 && x0 + i < width) {
      value = mask == 0 ? load<f32>(plane + (<usize>(at + i) << 2))
        : Usable.one(plane, mask, bits, variance, <usize>(at + i));
    }
    store<f32>(out + (<usize>i << 2), value);
    if (value != 0) any = i32x4.splat(-1);
  }
  return any;
}

class Usable {
  /** Stores four pixels; ones in what is returned where one is not zero. */
  @inline static keep(value: v128, to: usize): v128 {
    v128.store(to, value);
    return f32x4.ne(value, f32x4.splat(0));
  }
  /** Ones where eight pixels' masks have none of the bits. */
  @inline static clear(mask: usize, bits: i32): v128 {
    return i16x8.eq(v128.and(v128.load(mask), i16x8.splat(<i16>bits)), i16x8.splat(0));
  }
  /** Four pixels `at` bytes from the planes' beginning. */
  @inline static four(plane: usize, variance: usize, at: usize, isClear: v128): v128 {
    const value = v128.load(plane + at), zero = f32x4.splat(0);
    const isUsed = v128.and(isClear, f32x4.eq(f32x4.sub(value, value), zero));
    if (variance == 0) return v128.and(value, isUsed);
    const noise = v128.load(variance + at);
    return v128.and(f32x4.div(value, noise), v128.and(isUsed, f32x4.gt(noise, zero)));
  }
  @inline static one(plane: usize, mask: usize, bits: i32, variance: usize, k: usize): f32 {
    const value = load<f32>(plane + (k << 2));
    if ((<i32>load<u16>(mask + (k << 1)) & bits) != 0 || value - value != 0) return 0;
    if (variance == 0) return value;
    const noise = load<f32>(variance + (k << 2));
    return noise > 0 ? value / noise : 0;
  }
}

/** [rows × 16] to [16 × rows]; rows of the result are `rowBytes` apart. */
function transposeStrip(from: usize, rows: i32, to: usize, rowBytes: usize): void {
  for (let row = 0; row < rows; row += 4, from += 256, to += 16) {
    for (let c: usize = 0, out = to; c < 64; c += 16, out += 4 * rowBytes) {
      const p = v128.load(from + c), q = v128.load(from + c, 64), r = v128.load(from + c, 128),
        s = v128.load(from + c, 192);
      const a = v128.shuffle<f32>(p, q, 0, 4, 1, 5), b = v128.shuffle<f32>(p, q, 2, 6, 3, 7);
      const d = v128.shuffle<f32>(r, s, 0, 4, 1, 5), e = v128.shuffle<f32>(r, s, 2, 6, 3, 7);
      v128.store(out, v128.shuffle<f32>(a, d, 0, 1, 4, 5));
      v128.store(out + rowBytes, v128.shuffle<f32>(a, d, 2, 3, 6, 7));
      v128.store(out + 2 * rowBytes, v128.shuffle<f32>(b, e, 0, 1, 4, 5));
      v128.store(out + 3 * rowBytes, v128.shuffle<f32>(b, e, 2, 3, 6, 7));
    }
  }
}

/** [16 × rows] to [rows × 16]; rows of the source are `rowBytes` apart. */
function transposeBack(from: usize, rowBytes: usize, rows: i32, to: usize): void {
  for (let row = 0; row < rows; row += 4, from += 16, to += 256) {
    for (let c: usize = 0, at = from; c < 64; c += 16, at += 4 * rowBytes) {
      const p = v128.load(at), q = v128.load(at + rowBytes), r = v128.load(at + 2 * rowBytes),
        s = v128.load(at + 3 * rowBytes);
      const a = v128.shuffle<f32>(p, q, 0, 4, 1, 5), b = v128.shuffle<f32>(p, q, 2, 6, 3, 7);
      const d = v128.shuffle<f32>(r, s, 0, 4, 1, 5), e = v128.shuffle<f32>(r, s, 2, 6, 3, 7);
      const out = to + c;
      v128.store(out, v128.shuffle<f32>(a, d, 0, 1, 4, 5));
      v128.store(out, v128.shuffle<f32>(a, d, 2, 3, 6, 7), 64);
      v128.store(out, v128.shuffle<f32>(b, e, 0, 1, 4, 5), 128);
      v128.store(out, v128.shuffle<f32>(b, e, 2, 3, 6, 7), 192);
    }
  }
}

/**
 * Spectrum of a kernel, as the tiles' are laid out.
 *
 * @param kernel [size × size] float32, its first pixel at the tile's.
 * @param factor Multiplies every value; 1/side² makes a transform and back the identity.
 */
export function kernelSpectrum(
  kernel: usize, size: i32, factor: f32, side: i32, re: usize, im: usize, strip: usize, twiddles: usize,
): void {
  const rowBytes = Tile.rowBytes(side), stripBytes = <usize>side << 6, imaginary = strip + stripBytes;
  for (let x = 0; x < side; x += 16) {
    const at = rowBytes * x;
    if (x >= size) { memory.fill(re + at, 0, rowBytes << 4); memory.fill(im + at, 0, rowBytes << 4); continue; }
    memory.fill(strip, 0, 2 * stripBytes);
    for (let v = 0; v < size; v++) {
      for (let u = x, end = min(size, x + 16); u < end; u++) {
        store<f32>(strip + (<usize>(v * 16 + u - x) << 2), factor * load<f32>(kernel + (<usize>(v * size + u) << 2)));
      }
    }
    transformStrip(strip, imaginary, 64, side, twiddles);
    transposeStrip(strip, side, re + at, rowBytes);
    transposeStrip(imaginary, side, im + at, rowBytes);
  }
  transformTile(re, im, side, twiddles);
}

/**
 * Weighted sum of kernels, in double precision.
 *
 * @param kernels [terms × count] float32; `weights`: [terms] float64.
 * @param out     [count] float32, overwritten.
 */
export function combineKernels(kernels: usize, terms: i32, weights: usize, count: i32, out: usize): void {
  const rowBytes = <usize>count << 2;
  for (let j = 0; j < count; j++, kernels += 4, out += 4) {
    let sum: f64 = 0;
    for (let k = 0, at = kernels; k < terms; k++, at += rowBytes) {
      sum += load<f64>(weights + (<usize>k << 3)) * <f64>load<f32>(at);
    }
    store<f32>(out, <f32>sum);
  }
}

/** Transforms a loaded pair along x, in place. */
export function transformTile(re: usize, im: usize, side: i32, twiddles: usize): void {
  const rowBytes = Tile.rowBytes(side);
  for (let y: usize = 0, end = <usize>side << 2; y < end; y += 64) transformStrip(
    re + y, im + y, rowBytes, side, twiddles);
}

/** Transforms a loaded pair along x, multiplies it with a kernel's spectrum and transforms back along x, in place. */
export function filterTile(re: usize, im: usize, kernelRe: usize, kernelIm: usize, side: i32, twiddles: usize): void {
  const rowBytes = Tile.rowBytes(side);
  for (let y: usize = 0, end = <usize>side << 2; y < end; y += 64) {
    transformStrip(re + y, im + y, rowBytes, side, twiddles);
    multiplyStrip(re + y, im + y, kernelRe + y, kernelIm + y, re + y, im + y, rowBytes, side);
    transformStripBack(re + y, im + y, rowBytes, side, twiddles);
  }
}

/** As `filterTile` for a pair whose spectrum is kept for further kernels: the product goes to `outRe` and `outIm`. */
export function multiplyTile(
  re: usize, im: usize, kernelRe: usize, kernelIm: usize, outRe: usize, outIm: usize, side: i32, twiddles: usize,
): void {
  const rowBytes = Tile.rowBytes(side);
  for (let y: usize = 0, end = <usize>side << 2; y < end; y += 64) {
    multiplyStrip(re + y, im + y, kernelRe + y, kernelIm + y, outRe + y, outIm + y, rowBytes, side);
    transformStripBack(outRe + y, outIm + y, rowBytes, side, twiddles);
  }
}

function multiplyStrip(
  re: usize, im: usize, kernelRe: usize, kernelIm: usize, outRe: usize, outIm: usize, rowBytes: usize, side: i32,
): void {
  for (let row: usize = 0, end = rowBytes * side; row < end; row += rowBytes) {
    for (let at = row; at < row + 64; at += 16) {
      const x = v128.load(re + at), y = v128.load(im + at), u = v128.load(kernelRe + at), v = v128.load(kernelIm + at);
      v128.store(outRe + at, Complex.re(x, y, u, v));
      v128.store(outIm + at, Complex.im(x, y, u, v));
    }
  }
}

/**
 * Transforms a filtered pair back along y and writes the pixels that came out right: the last `step` of each axis.
 *
 * @param x0, y0, yImaginary Plane pixel of the first one written of each tile; what lies outside the plane is left out.
 * @param strips As of `loadPair`.
 */
export function storePair(
  re: usize, im: usize, side: i32, step: i32, out: usize, width: i32, height: i32, x0: i32, y0: i32, yImaginary: i32,
  strips: usize, twiddles: usize,
): void {
  const rowBytes = Tile.rowBytes(side), stripBytes = Strips.bytes(side), imaginary = strips + stripBytes * (side >> 4);
  const first = side - step, columns = min(step, width - x0);
  for (let x = first & ~15; x < first + columns; x += 16) {
    const strip = stripBytes * (x >> 4);
    backStrip(re, im, rowBytes * x, rowBytes, side, strips + strip, imaginary + strip, twiddles);
  }
  storeRows(strips, stripBytes, first, columns, min(step, height - y0), out + (<usize>(y0 * width + x0) << 2), width);
  storeRows(
    imaginary, stripBytes, first, columns, min(step, height - yImaginary), out + (<usize>(yImaginary * width + x0) << 2),
    width);
}

/** As `storePair`, but adds the pixels times columnWeights[x] × rowWeights[y], float32, to what is there. */
export function addPair(
  re: usize, im: usize, side: i32, step: i32, out: usize, width: i32, height: i32, x0: i32, y0: i32, yImaginary: i32,
  columnWeights: usize, rowWeights: usize, strip: usize, twiddles: usize,
): void {
  const rowBytes = Tile.rowBytes(side), imaginary = strip + (<usize>side << 6), first = side - step;
  for (let x = first & ~15; x < side; x += 16) {
    const u0 = max(x, first), xOut = x0 + u0 - first, columns = min(x + 16 - u0, width - xOut);
    if (columns <= 0) break;
    backStrip(re, im, rowBytes * x, rowBytes, side, strip, imaginary, twiddles);
    const from = (<usize>(first * 16 + u0 - x)) << 2, weights = columnWeights + (<usize>xOut << 2);
    addRows(strip + from, columns, min(step, height - y0), out + (<usize>(y0 * width + xOut) << 2), <usize>width << 2,
      weights, rowWeights + (<usize>y0 << 2));
    addRows(imaginary + from, columns, min(step, height - yImaginary), out + (<usize>(yImaginary * width + xOut) << 2),
      <usize>width << 2, weights, rowWeights + (<usize>yImaginary << 2));
  }
}

function backStrip(
  re: usize, im: usize, at: usize, rowBytes: usize, side: i32, strip: usize, imaginary: usize, twiddles: usize,
): void {
  transposeBack(re + at, rowBytes, side, strip);
  transposeBack(im + at, rowBytes, side, imaginary);
  transformStripBack(strip, imaginary, 64, side, twiddles);
}

/** Rows and columns of a tile from `first` on, out of its strips, row by row. */
function storeRows(
  strips: usize, stripBytes: usize, first: i32, columns: i32, rows: i32, out: usize, width: i32,
): void {
  // `first` is a multiple of 4, as sides and steps are.
  for (let row = 0, from = strips + (<usize>first << 6); row < rows; row++, from += 64, out += <usize>width << 2) {
    let c = 0;
    for (; c + 4 <= columns; c += 4) {
      const x = first + c;
      v128.store(out + (<usize>c << 2), v128.load(from + stripBytes * (x >> 4) + (<usize>(x & 15) << 2)));
    }
    for (; c < columns; c++) {
      const x = first + c;
      store<f32>(out + (<usize>c << 2), load<f32>(from + stripBytes * (x >> 4) + (<usize>(x & 15) << 2)));
    }
  }
}

function addRows(
  from: usize, columns: i32, rows: i32, out: usize, outBytes: usize, columnWeights: usize, rowWeights: usize,
): void {
  for (let row = 0; row < rows; row++, from += 64, out += outBytes, rowWeights += 4) {
    const rowWeight = load<f32>(rowWeights), rowWeight4 = f32x4.splat(rowWeight);
    let c = 0, p = from, q = out, w = columnWeights;
    for (; c + 4 <= columns; c += 4, p += 16, q += 16, w += 16) {
      v128.store(q, f32x4.add(v128.load(q), f32x4.mul(f32x4.mul(rowWeight4, v128.load(w)), v128.load(p))));
    }
    for (; c < columns; c++, p += 4, q += 4, w += 4) store<f32>(
      q, load<f32>(q) + rowWeight * load<f32>(w) * load<f32>(p));
  }
}
