/** Interpolation of image, variance and mask under an affine map. The twin in `twins/warp.ts` defines the result. */

/** Taps along each axis: two vectors. */
const TAPS = 8;

/** A source position that cannot be interpolated. */
const NOWHERE = -1;
/** Bytes of a position in the row's list: index of the source pixel, offsets of the two rows of taps, a gap; then both fractions. */
const POSITION_BYTES: usize = 32;

/**
 * @param planes  Pointers, u32: the source's image, variance, mask; then those of the output.
 * @param width, height Size of the source.
 * @param affine  Six f64: source position of output pixel (x0 + i, y0 + j) is (tx + i xx + j xy, ty + i yx + j yy).
 * @param taps    [(phases + 1) × 8] float32.
 * @param bits    u32: bits that mean "no data", bits that are carried over, then two pairs of a bit and what it becomes.
 * @param positions [x1 − x0] positions, work. Finding them by themselves keeps their long chains of additions and roundings out of
 *                the loop that interpolates.
 * @returns Pixels that have data.
 */
export function warpCell(
  planes: usize, width: i32, height: i32, outWidth: i32, x0: i32, y0: i32, x1: i32, y1: i32, affine: usize, area: f64,
  taps: usize, phases: i32, bits: usize, positions: usize,
): i32 {
  const image = <usize>load<u32>(planes), outImage = <usize>load<u32>(planes, 12), row = <usize>width << 2;
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    findPositions(affine, <f64>(y - y0), x1 - x0, width, height, phases, positions);
    let j = y * outWidth + x0, at = positions;
    for (let end = j + x1 - x0; j < end; j++, at += POSITION_BYTES) {
      const k = load<i32>(at);
      if (k != NOWHERE) {
        const from = image + (<usize>(k - (TAPS / 2 - 1) * (width + 1)) << 2);
        const value = interpolate(from, row, taps + load<u32>(at, 4), taps + load<u32>(at, 8));
        if (value - value == 0 && carry(planes, width, k, j, load<f64>(at, 16), load<f64>(at, 24), area, bits)) {
          store<f32>(outImage + (<usize>j << 2), <f32>(<f64>value * area));
          covered++;
          continue;
        }
      }
      clearPixel(planes, j, bits);
    }
  }
  return covered;
}

/** Positions of one row of a cell. */
function findPositions(affine: usize, dy: f64, count: i32, width: i32, height: i32, phases: i32, out: usize): void {
  const tx0 = load<f64>(affine), ty0 = load<f64>(affine, 8), xx = load<f64>(affine, 16), dyxy = dy * load<f64>(affine, 24);
  const yx = load<f64>(affine, 32), dyyy = dy * load<f64>(affine, 40), phaseScale = <f64>phases;
  const xEnd = <f64>(width - TAPS / 2), yEnd = <f64>(height - TAPS / 2);
  for (let i = 0; i < count; i++, out += POSITION_BYTES) {
    const dx = <f64>i, tx = tx0 + dx * xx + dyxy, ty = ty0 + dx * yx + dyyy, fx = floor(tx), fy = floor(ty);
    // False for NaN too.
    if (fx >= TAPS / 2 - 1 && fy >= TAPS / 2 - 1 && fx < xEnd && fy < yEnd) {
      const fractionX = tx - fx, fractionY = ty - fy;
      store<i32>(out, <i32>fy * width + <i32>fx);
      store<i32>(out, <i32>(fractionX * phaseScale + 0.5) << 5, 4);
      store<i32>(out, <i32>(fractionY * phaseScale + 0.5) << 5, 8);
      store<f64>(out, fractionX, 16);
      store<f64>(out, fractionY, 24);
    } else {
      store<i32>(out, NOWHERE);
    }
  }
}

/** Sums along y first, eight columns at once, even and odd rows by themselves; then along x. */
function interpolate(from: usize, row: usize, px: usize, py: usize): f32 {
  let tap = v128.load32_splat(py), next = v128.load32_splat(py, 4), second = from + row;
  let low = f32x4.mul(tap, v128.load(from)), high = f32x4.mul(tap, v128.load(from, 16));
  let lowOdd = f32x4.mul(next, v128.load(second)), highOdd = f32x4.mul(next, v128.load(second, 16));
  for (let b: usize = 8; b < <usize>TAPS * 4; b += 8) {
    from = second + row;
    second = from + row;
    tap = v128.load32_splat(py + b);
    next = v128.load32_splat(py + b, 4);
    low = f32x4.add(low, f32x4.mul(tap, v128.load(from)));
    high = f32x4.add(high, f32x4.mul(tap, v128.load(from, 16)));
    lowOdd = f32x4.add(lowOdd, f32x4.mul(next, v128.load(second)));
    highOdd = f32x4.add(highOdd, f32x4.mul(next, v128.load(second, 16)));
  }
  low = f32x4.mul(f32x4.add(low, lowOdd), v128.load(px));
  high = f32x4.mul(f32x4.add(high, highOdd), v128.load(px, 16));
  const four = f32x4.add(low, high), two = f32x4.add(four, v128.shuffle<f32>(four, four, 2, 3, 0, 1));
  return f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1);
}

/** Variance (bilinear, double precision) and mask (union) of the four pixels around a position. False when they lack data. */
function carry(planes: usize, width: i32, k: i32, j: i32, fx: f64, fy: f64, area: f64, bits: usize): bool {
  const variance = <usize>load<u32>(planes, 4) + (<usize>k << 2), mask = <usize>load<u32>(planes, 8) + (<usize>k << 1);
  const below = variance + (<usize>width << 2), maskBelow = mask + (<usize>width << 1);
  const found = <u32>load<u16>(mask) | load<u16>(mask, 2) | load<u16>(maskBelow) | load<u16>(maskBelow, 2);
  const value = (1 - fy) * ((1 - fx) * <f64>load<f32>(variance) + fx * <f64>load<f32>(variance, 4)) +
    fy * ((1 - fx) * <f64>load<f32>(below) + fx * <f64>load<f32>(below, 4));
  if ((found & load<u32>(bits)) != 0 || !(value - value == 0)) return false;
  store<f32>(<usize>load<u32>(planes, 16) + (<usize>j << 2), <f32>(value * area));
  let kept = found & load<u32>(bits, 4);
  if ((found & load<u32>(bits, 8)) != 0) kept |= load<u32>(bits, 12);
  if ((found & load<u32>(bits, 16)) != 0) kept |= load<u32>(bits, 20);
  store<u16>(<usize>load<u32>(planes, 20) + (<usize>j << 1), <u16>kept);
  return true;
}

function clearPixel(planes: usize, j: i32, bits: usize): void {
  store<f32>(<usize>load<u32>(planes, 12) + (<usize>j << 2), f32.NaN);
  store<f32>(<usize>load<u32>(planes, 16) + (<usize>j << 2), 0);
  store<u16>(<usize>load<u32>(planes, 20) + (<usize>j << 1), <u16>load<u32>(bits));
}
