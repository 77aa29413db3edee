/**
 * Sums over the pixels of a point source, in the order of the pixels and in double precision. The twins in
 * `twins/pointSource.ts` define the results.
 *
 * `model` is [side²] float64: the PSF on the square around pixel (cx, cy).
 */

class Pixel {
  @inline static isUsable(image: usize, variance: usize, mask: usize, ignored: i32, j: usize): bool {
    const value = load<f32>(image + (j << 2));
    return (<i32>load<u16>(mask + (j << 1)) & ignored) == 0 && value - value == 0 && load<f32>(variance + (j << 2)) > 0;
  }
}

class Slope {
  /** Minus the five-point slope; 0 within two pixels of the patch's border. */
  @inline static at(model: usize, k: usize, step: usize, isInner: bool): f64 {
    if (!isInner) return 0;
    const p = model + k;
    return (8 * (load<f64>(p - step) - load<f64>(p + step)) + load<f64>(p + 2 * step) - load<f64>(p - 2 * step)) / 12;
  }
}

/** A value of nine neighbours, `step` bytes apart, two at a time. */
@inline
function nine(at: usize, step: usize, taps: usize): v128 {
  let sum = f64x2.mul(v128.load64_splat(taps), v128.load(at));
  for (let t: usize = 8; t < 72; t += 8) {
    at += step;
    sum = f64x2.add(sum, f64x2.mul(v128.load64_splat(taps + t), v128.load(at)));
  }
  return sum;
}

/**
 * Moves a patch by a part of a pixel: nine taps along rows, then along columns.
 *
 * @param cell [(side + 8)²] float64; `taps` [2 × 9]: along x, along y.
 * @param rows [(side + 8) × side + 1] float64, work.
 * @param out  [side² + 1] float64, overwritten; the last one is of no use.
 */
export function movePatch(cell: usize, side: i32, taps: usize, rows: usize, out: usize): void {
  const padded = side + 8, paddedBytes = <usize>padded << 3, rowBytes = <usize>side << 3;
  // Of an odd number the last pair ends one beyond, where the next row begins.
  for (let v = 0, from = cell, to = rows; v < padded; v++, from += paddedBytes, to += rowBytes) {
    for (let u: usize = 0; u < rowBytes; u += 16) v128.store(to + u, nine(from + u, 8, taps));
  }
  for (let j: usize = 0, end = rowBytes * side; j < end; j += 16) {
    v128.store(out + j, nine(rows + j, rowBytes, taps + 72));
  }
}

/**
 * Σ of products of (p, ∂p/∂x, ∂p/∂y), weighed by the variance where `isWeighed`, then of those with the data.
 *
 * @param result [9] float64: 00, 01, 02, 11, 12, 22, and 0, 1, 2.
 */
export function pointProducts(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, ignored: i32, model: usize, side: i32, cx: i32,
  cy: i32, isWeighed: i32, result: usize,
): void {
  const half = side >> 1, row = <usize>side << 3;
  let a0: f64 = 0, a1: f64 = 0, a2: f64 = 0, a3: f64 = 0, a4: f64 = 0, a5: f64 = 0;
  let b0: f64 = 0, b1: f64 = 0, b2: f64 = 0;
  for (let v = max(-half, -cy), bottom = min(half, height - 1 - cy); v <= bottom; v++) {
    const isInnerRow = v >= 2 - half && v <= half - 2;
    for (let u = max(-half, -cx), right = min(half, width - 1 - cx); u <= right; u++) {
      const j = <usize>((cy + v) * width + cx + u), k = <usize>((v + half) * side + u + half) << 3;
      if (!Pixel.isUsable(image, variance, mask, ignored, j)) continue;
      const isInner = isInnerRow && u >= 2 - half && u <= half - 2;
      const p = load<f64>(model + k), gx = Slope.at(model, k, 8, isInner), gy = Slope.at(model, k, row, isInner);
      if (isWeighed != 0) {
        const s = <f64>load<f32>(variance + (j << 2));
        a0 += s * p * p; a1 += s * p * gx; a2 += s * p * gy; a3 += s * gx * gx; a4 += s * gx * gy; a5 += s * gy * gy;
      } else {
        const d = <f64>load<f32>(image + (j << 2));
        a0 += p * p; a1 += p * gx; a2 += p * gy; a3 += gx * gx; a4 += gx * gy; a5 += gy * gy;
        b0 += p * d; b1 += gx * d; b2 += gy * d;
      }
    }
  }
  store<f64>(result, a0); store<f64>(result, a1, 8); store<f64>(result, a2, 16); store<f64>(result, a3, 24);
  store<f64>(result, a4, 32); store<f64>(result, a5, 40); store<f64>(result, b0, 48); store<f64>(result, b1, 56);
  store<f64>(result, b2, 64);
}

/**
 * Sums for a flux at a fixed place.
 *
 * @param result [8] float64: Σ p d, Σ p², Σ p² s, Σ p² of all pixels, Σ d²/s, Σ p d/s, Σ p²/s, pixels; of the usable
 *               ones, s their variance.
 * @param products [side² / 16, rounded up] float64, overwritten: products of the variances of 16 usable pixels each.
 */
export function pointFlux(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, ignored: i32, model: usize, side: i32, cx: i32,
  cy: i32, products: usize, result: usize,
): void {
  const half = side >> 1;
  let signal: f64 = 0, squares: f64 = 0, noise: f64 = 0, all: f64 = 0, dd: f64 = 0, pd: f64 = 0, pp: f64 = 0;
  let product: f64 = 1, count = 0;
  for (let v = -half, k = model; v <= half; v++) {
    for (let u = -half; u <= half; u++, k += 8) {
      const p = load<f64>(k), x = cx + u, y = cy + v;
      all += p * p;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const j = <usize>(y * width + x);
      if (!Pixel.isUsable(image, variance, mask, ignored, j)) continue;
      const d = <f64>load<f32>(image + (j << 2)), s = <f64>load<f32>(variance + (j << 2)), w = 1 / s;
      signal += p * d;
      squares += p * p;
      noise += p * p * s;
      dd += d * d * w;
      pd += p * d * w;
      pp += p * p * w;
      product *= s;
      count++;
      if ((count & 15) == 0) { store<f64>(products, product); products += 8; product = 1; }
    }
  }
  store<f64>(products, product);
  store<f64>(result, signal); store<f64>(result, squares, 8); store<f64>(result, noise, 16);
  store<f64>(result, all, 24); store<f64>(result, dd, 32); store<f64>(result, pd, 40);
  store<f64>(result, pp, 48); store<f64>(result, <f64>count, 56);
}
