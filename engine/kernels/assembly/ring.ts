/** How the pixels of a ring scatter. The twin in `twins/ring.ts` defines the result. */

class Significance {
  /** A pixel over its noise, cut off; NaN where masked, or without a variance. */
  @inline static one(
    image: usize, variance: usize, mask: usize, ignored: i32, scale: f64, limit: f64, j: usize,
  ): f64 {
    const noise = <f64>load<f32>(variance + (j << 2));
    if ((<i32>load<u16>(mask + (j << 1)) & ignored) != 0 || !(noise > 0)) return NaN;
    return max(-limit, min(limit, <f64>load<f32>(image + (j << 2)) / (scale * sqrt(noise))));
  }

  /** That of two pixels. */
  @inline static pair(
    image: usize, variance: usize, mask: usize, ignored: i32, scale: f64, limit: f64, j: usize,
  ): v128 {
    const noise = f64x2.promote_low_f32x4(v128.load64_zero(variance + (j << 2)));
    const value = f64x2.div(
      f64x2.promote_low_f32x4(v128.load64_zero(image + (j << 2))), f64x2.mul(f64x2.splat(scale), f64x2.sqrt(noise)),
    );
    const bits = i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(v128.load32_zero(mask + (j << 1))));
    const isFree = i64x2.eq(v128.and(bits, i64x2.splat(<i64>ignored)), i64x2.splat(0));
    const isUsable = v128.and(isFree, f64x2.gt(noise, f64x2.splat(0)));
    const cut = f64x2.max(f64x2.splat(-limit), f64x2.min(f64x2.splat(limit), value));
    return v128.bitselect(cut, f64x2.splat(NaN), isUsable);
  }
}

/**
 * @param window     [rows + 2 × columns + 2] float64, work: significance of every pixel of the square and around it.
 * @param x0, y0, x1, y1 The square that holds the ring: columns and rows from the first to the last one, all with a
 *                   neighbour on every side.
 * @param x, y       Middle of the ring.
 * @param inner2, outer2 Squares of its radii.
 * @param result     6 × float64: sum, squares, count, products of neighbours, their count, largest mean of 3 × 3.
 */
export function ringNoise(
  image: usize, variance: usize, mask: usize, width: i32, ignored: i32, scale: f64, limit: f64, x0: i32, y0: i32,
  x1: i32, y1: i32, x: f64, y: f64, inner2: f64, outer2: f64, window: usize, result: usize,
): void {
  const columns = x1 - x0 + 3, row = <usize>columns << 3;
  for (let v = y0 - 1, line = window; v <= y1 + 1; v++, line += row) {
    // Of each row what the ring or a neighbour of it needs: its half width one row nearer to the middle, and one more.
    const dy = max<f64>(0, abs<f64>(<f64>v - y) - 1), half = sqrt<f64>(max<f64>(0, outer2 - dy * dy)) + 2;
    const left = max(x0 - 1, <i32>floor(x - half)), right = min(x1 + 1, <i32>ceil(x + half));
    let j = <usize>(v * width + left), to = line + (<usize>(left - x0 + 1) << 3);
    const count = max(0, right - left + 1), pairsEnd = to + (<usize>(count & ~1) << 3);
    for (; to < pairsEnd; j += 2, to += 16) {
      v128.store(to, Significance.pair(image, variance, mask, ignored, scale, limit, j));
    }
    if ((count & 1) != 0) store<f64>(to, Significance.one(image, variance, mask, ignored, scale, limit, j));
  }
  let sum: f64 = 0, square: f64 = 0, product: f64 = 0, most: f64 = 0, count = 0, pairs = 0;
  for (let v = y0; v <= y1; v++) {
    const dy2 = (<f64>v - y) * (<f64>v - y), half = sqrt<f64>(max<f64>(0, outer2 - dy2)) + 1;
    const first = max(x0, <i32>floor(x - half)), last = min(x1, <i32>ceil(x + half));
    for (let u = first, p = window + row * (v - y0 + 1) + (<usize>(first - x0 + 1) << 3); u <= last; u++, p += 8) {
      const r2 = (<f64>u - x) * (<f64>u - x) + dy2;
      if (r2 < inner2 || r2 > outer2) continue;
      const value = load<f64>(p);
      if (value != value) continue;
      sum += value;
      square += value * value;
      count++;
      const right = load<f64>(p, 8), below = load<f64>(p + row);
      if (right == right) { product += value * right; pairs++; }
      if (below == below) { product += value * below; pairs++; }
      if ((u & 1) == 0 || (v & 1) == 0) continue;
      let near = value + right + below;
      if (near != near) continue;
      let members = 3;
      const left = load<f64>(p - 8), above = load<f64>(p - row);
      if (left == left) { near += left; members++; }
      if (above == above) { near += above; members++; }
      const aboveLeft = load<f64>(p - row - 8), aboveRight = load<f64>(p - row, 8);
      if (aboveLeft == aboveLeft) { near += aboveLeft; members++; }
      if (aboveRight == aboveRight) { near += aboveRight; members++; }
      const belowLeft = load<f64>(p + row - 8), belowRight = load<f64>(p + row, 8);
      if (belowLeft == belowLeft) { near += belowLeft; members++; }
      if (belowRight == belowRight) { near += belowRight; members++; }
      const size = abs(near) / sqrt(<f64>members);
      if (size > most) most = size;
    }
  }
  store<f64>(result, sum);
  store<f64>(result, square, 8);
  store<f64>(result, <f64>count, 16);
  store<f64>(result, product, 24);
  store<f64>(result, <f64>pairs, 32);
  store<f64>(result, most, 40);
}
