/** Interpolation of image, variance and mask under an affine map. The twin in `twins/warp.ts` defines the result. */

/** Taps along each axis: two vectors. */
const TAPS = 8;

/** Index of a position that has no data. */
const NOWHERE = -1;
/**
 * Bytes of a position in the row's list: index of the source pixel, offsets of the taps along x and along y, the interpolated value;
 * then both fractions, which variance and mask bits replace.
 */
const POSITION_BYTES: usize = 32;

/**
 * A row goes through a list: positions, values, variances and masks, and at last the planes. So the long chains of arithmetic of one
 * do not wait in the loops of the others, and nothing is read while planes that may share its cache sets are written.
 *
 * @param planes  Pointers, u32: the source's image, variance, mask; then those of the output.
 * @param width, height Size of the source.
 * @param affine  Six f64: source position of output pixel (x0 + i, y0 + j) is (tx + i xx + j xy, ty + i yx + j yy).
 * @param taps    [(phases + 1) × 8] float32.
 * @param bits    u32: bits that mean "no data", bits that are carried over, then two pairs of a bit and what it becomes.
 * @param positions [x1 − x0] positions, work.
 * @returns Pixels that have data.
 */
export function warpCell(
  planes: usize, width: i32, height: i32, outWidth: i32, x0: i32, y0: i32, x1: i32, y1: i32, affine: usize, area: f64,
  taps: usize, phases: i32, bits: usize, positions: usize,
): i32 {
  const count = x1 - x0;
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    findPositions(affine, <f64>(y - y0), count, width, height, phases, positions);
    interpolateRow(<usize>load<u32>(planes), <usize>width << 2, taps, count, positions);
    covered += carryRow(<usize>load<u32>(planes, 4), <usize>load<u32>(planes, 8), width, count, area, bits, positions);
    storeRow(planes, y * outWidth + x0, count, load<u32>(bits), positions);
  }
  return covered;
}

/** Writes the values; a position whose value is not finite becomes one without data. */
function interpolateRow(image: usize, row: usize, taps: usize, count: i32, at: usize): void {
  const back = <usize>(TAPS / 2 - 1) * (row + 4);
  for (let i = 0; i < count; i++, at += POSITION_BYTES) {
    const k = load<i32>(at);
    if (k == NOWHERE) continue;
    const value = interpolate(image + (<usize>k << 2) - back, row, taps + load<u32>(at, 4), taps + load<u32>(at, 8));
    store<f32>(at, value, 12);
    if (!(value - value == 0)) store<i32>(at, NOWHERE);
  }
}

/** Variance (bilinear, double precision) and mask (union) of the four pixels around each position, which lacks data when they do. */
function carryRow(variance: usize, mask: usize, width: i32, count: i32, area: f64, bits: usize, at: usize): i32 {
  const noData = load<u32>(bits), carried = load<u32>(bits, 4), rowBytes = <usize>width << 2;
  let covered = 0;
  for (let i = 0; i < count; i++, at += POSITION_BYTES) {
    const k = load<i32>(at);
    if (k == NOWHERE) continue;
    const p = variance + (<usize>k << 2), q = p + rowBytes, m = mask + (<usize>k << 1), n = m + (rowBytes >> 1);
    const fx = load<f64>(at, 16), fy = load<f64>(at, 24);
    const found = <u32>load<u16>(m) | load<u16>(m, 2) | load<u16>(n) | load<u16>(n, 2);
    const value = (1 - fy) * ((1 - fx) * <f64>load<f32>(p) + fx * <f64>load<f32>(p, 4)) +
      fy * ((1 - fx) * <f64>load<f32>(q) + fx * <f64>load<f32>(q, 4));
    if ((found & noData) != 0 || !(value - value == 0)) { store<i32>(at, NOWHERE); continue; }
    let kept = found & carried;
    if (found != 0) {
      if ((found & load<u32>(bits, 8)) != 0) kept |= load<u32>(bits, 12);
      if ((found & load<u32>(bits, 16)) != 0) kept |= load<u32>(bits, 20);
    }
    store<f32>(at, <f32>(<f64>load<f32>(at, 12) * area), 12);
    store<f32>(at, <f32>(value * area), 16);
    store<u32>(at, kept, 20);
    covered++;
  }
  return covered;
}

function storeRow(planes: usize, j: i32, count: i32, noData: u32, at: usize): void {
  let image = <usize>load<u32>(planes, 12) + (<usize>j << 2), variance = <usize>load<u32>(planes, 16) + (<usize>j << 2);
  let mask = <usize>load<u32>(planes, 20) + (<usize>j << 1);
  for (let i = 0; i < count; i++, at += POSITION_BYTES, image += 4, variance += 4, mask += 2) {
    const hasData = load<i32>(at) != NOWHERE;
    store<f32>(image, hasData ? load<f32>(at, 12) : f32.NaN);
    store<f32>(variance, hasData ? load<f32>(at, 16) : 0);
    store<u16>(mask, <u16>(hasData ? load<u32>(at, 20) : noData));
  }
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
