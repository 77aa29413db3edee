/** Interpolation of image, variance and mask under an affine map. The twin in `twins/warp.ts` defines the result. */

/** Taps along each axis: two vectors. */
const TAPS = 8;

/** Index of a position that has no data. */
const NOWHERE = -1;

/**
 * The list that a row goes through: positions, values, variances and masks, and at last the planes. So the long chains
 * of arithmetic of one do not wait in the loops of the others, and nothing is read while planes that may share its
 * cache sets are written.
 *
 * One array after another, `size` long: index of the source pixel; offset of the taps along x, which the variance
 * replaces; of the taps along y, which the mask bits replace; the value, 4 bytes each; both fractions, 8 bytes each;
 * sums along y of the columns under a row, of which there are eight more.
 */
class List {
  @inline static tapsX(list: usize, size: usize): usize { return list + 4 * size; }
  @inline static tapsY(list: usize, size: usize): usize { return list + 8 * size; }
  @inline static values(list: usize, size: usize): usize { return list + 12 * size; }
  @inline static fractionsX(list: usize, size: usize): usize { return list + 16 * size; }
  @inline static fractionsY(list: usize, size: usize): usize { return list + 24 * size; }
  @inline static columns(list: usize, size: usize): usize { return list + 32 * size; }
}

/**
 * @param planes  Pointers, u32: the source's image, variance, mask; then those of the output.
 * @param width, height Size of the source.
 * @param affine  Six f64: source position of output pixel (x0 + i, y0 + j) is (tx + i xx + j xy, ty + i yx + j yy).
 * @param taps    [(phases + 1) × 8] float32.
 * @param bits    u32: bits that mean "no data", bits that are carried over, then two pairs of a bit and what it
 *                becomes.
 * @param list    36 bytes for each pixel of a row, rounded up to a multiple of 4 pixels, and 32 more, work.
 * @returns Pixels that have data.
 */
export function warpCell(
  planes: usize, width: i32, height: i32, outWidth: i32, x0: i32, y0: i32, x1: i32, y1: i32, affine: usize, area: f64,
  taps: usize, phases: i32, bits: usize, list: usize,
): i32 {
  const count = x1 - x0, size = <usize>((count + 3) & ~3);
  let covered = 0;
  for (let y = y0; y < y1; y++) {
    findPositions(affine, <f64>(y - y0), count, size, width, height, phases, list);
    interpolateRow(<usize>load<u32>(planes), <usize>width << 2, taps, count, size, list);
    covered += carryRow(<usize>load<u32>(planes, 4), <usize>load<u32>(planes, 8), width, count, size, area, bits, list);
    storeRow(planes, y * outWidth + x0, count, size, load<u32>(bits), list);
  }
  return covered;
}

/** Positions of one row of a cell, two at a time. */
function findPositions(
  affine: usize, dy: f64, count: i32, size: usize, width: i32, height: i32, phases: i32, list: usize,
): void {
  const tx0 = v128.load64_splat(affine), ty0 = v128.load64_splat(affine, 8), xx = v128.load64_splat(affine, 16);
  const yx = v128.load64_splat(affine, 32), dyxy = f64x2.splat(dy * load<f64>(affine, 24)),
    dyyy = f64x2.splat(dy * load<f64>(affine, 40));
  const phaseScale = f64x2.splat(<f64>phases), half = f64x2.splat(0.5), first = f64x2.splat(<f64>(TAPS / 2 - 1)),
    two = f64x2.splat(2);
  const xEnd = f64x2.splat(<f64>(width - TAPS / 2)), yEnd = f64x2.splat(<f64>(height - TAPS / 2));
  const widths = i32x4.splat(width), nowhere = i32x4.splat(NOWHERE);
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), fractionsX = List.fractionsX(list, size),
    fractionsY = List.fractionsY(list, size);
  let dx = f64x2(0, 1);
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 8, dx = f64x2.add(dx, two)) {
    const tx = f64x2.add(f64x2.add(tx0, f64x2.mul(dx, xx)), dyxy),
      ty = f64x2.add(f64x2.add(ty0, f64x2.mul(dx, yx)), dyyy);
    const fx = f64x2.floor(tx), fy = f64x2.floor(ty), fractionX = f64x2.sub(tx, fx), fractionY = f64x2.sub(ty, fy);
    // False for NaN too.
    const isInside = v128.and(v128.and(f64x2.ge(fx, first), f64x2.ge(fy, first)),
      v128.and(f64x2.lt(fx, xEnd), f64x2.lt(fy, yEnd)));
    const k = i32x4.add(i32x4.mul(i32x4.trunc_sat_f64x2_s_zero(fy), widths), i32x4.trunc_sat_f64x2_s_zero(fx));
    v128.store64_lane(list + i, v128.bitselect(k, nowhere, v128.shuffle<i32>(isInside, isInside, 0, 2, 0, 2)), 0);
    const px = i32x4.trunc_sat_f64x2_s_zero(f64x2.add(f64x2.mul(fractionX, phaseScale), half));
    const py = i32x4.trunc_sat_f64x2_s_zero(f64x2.add(f64x2.mul(fractionY, phaseScale), half));
    v128.store64_lane(tapsX + i, i32x4.shl(px, 5), 0);
    v128.store64_lane(tapsY + i, i32x4.shl(py, 5), 0);
    v128.store(fractionsX + 2 * i, fractionX);
    v128.store(fractionsY + 2 * i, fractionY);
  }
}

/** Writes the values; a position whose value is not finite becomes one without data. */
function interpolateRow(image: usize, row: usize, taps: usize, count: i32, size: usize, list: usize): void {
  const back = <usize>(TAPS / 2 - 1) * (row + 4);
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), values = List.values(list, size);
  if (isRegular(count, size, list)) {
    interpolateRegular(image + (<usize>load<i32>(list) << 2) - back, row, taps + load<u32>(tapsX),
      taps + load<u32>(tapsY), count, List.columns(list, size), values);
    for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
      const value = load<f32>(values + i);
      if (!(value - value == 0)) store<i32>(list + i, NOWHERE);
    }
    return;
  }
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const k = load<i32>(list + i);
    if (k == NOWHERE) continue;
    const value = interpolate(image + (<usize>k << 2) - back, row, taps + load<u32>(tapsX + i),
      taps + load<u32>(tapsY + i));
    store<f32>(values + i, value);
    if (!(value - value == 0)) store<i32>(list + i, NOWHERE);
  }
}

/** Whether all positions of a row are within the source, one pixel after another, with the same taps. */
function isRegular(count: i32, size: usize, list: usize): bool {
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), k = load<i32>(list);
  if (k == NOWHERE) return false;
  const px = load<u32>(tapsX), py = load<u32>(tapsY);
  for (let i = 1; i < count; i++) {
    const at = <usize>i << 2;
    if (load<i32>(list + at) != k + i || load<u32>(tapsX + at) != px || load<u32>(tapsY + at) != py) return false;
  }
  return true;
}

/**
 * As `interpolate` for a regular row, in the same order: each column is summed once, not for each of the eight pixels
 * that need it.
 *
 * @param from    First pixel under the first position.
 * @param columns [count + 7] float32, work.
 */
function interpolateRegular(
  from: usize, row: usize, px: usize, py: usize, count: i32, columns: usize, values: usize,
): void {
  const total = <usize>(count + TAPS - 1) << 2;
  for (let next: usize = 0; next < total;) {
    // The last four overlap those before, so that nothing beyond them is read.
    const x = min(next, total - 16);
    let even = f32x4.mul(v128.load32_splat(py), v128.load(from + x));
    let odd = f32x4.mul(v128.load32_splat(py, 4), v128.load(from + row + x));
    for (let r: usize = 2, p = from + 2 * row + x; r < <usize>TAPS; r += 2, p += 2 * row) {
      even = f32x4.add(even, f32x4.mul(v128.load32_splat(py + 4 * r), v128.load(p)));
      odd = f32x4.add(odd, f32x4.mul(v128.load32_splat(py + 4 * r, 4), v128.load(p + row)));
    }
    v128.store(columns + x, f32x4.add(even, odd));
    next = x + 16;
  }
  const p0 = v128.load32_splat(px), p1 = v128.load32_splat(px, 4), p2 = v128.load32_splat(px, 8),
    p3 = v128.load32_splat(px, 12), p4 = v128.load32_splat(px, 16), p5 = v128.load32_splat(px, 20),
    p6 = v128.load32_splat(px, 24), p7 = v128.load32_splat(px, 28);
  let i: usize = 0;
  const end = <usize>count << 2;
  for (; i + 16 <= end; i += 16) {
    const c = columns + i;
    const a = f32x4.add(f32x4.mul(v128.load(c), p0), f32x4.mul(v128.load(c, 16), p4));
    const b = f32x4.add(f32x4.mul(v128.load(c, 4), p1), f32x4.mul(v128.load(c, 20), p5));
    const d = f32x4.add(f32x4.mul(v128.load(c, 8), p2), f32x4.mul(v128.load(c, 24), p6));
    const e = f32x4.add(f32x4.mul(v128.load(c, 12), p3), f32x4.mul(v128.load(c, 28), p7));
    v128.store(values + i, f32x4.add(f32x4.add(a, d), f32x4.add(b, e)));
  }
  for (; i < end; i += 4) {
    const c = columns + i, a = load<f32>(c) * load<f32>(px) + load<f32>(c, 16) * load<f32>(px, 16);
    const b = load<f32>(c, 4) * load<f32>(px, 4) + load<f32>(c, 20) * load<f32>(px, 20);
    const d = load<f32>(c, 8) * load<f32>(px, 8) + load<f32>(c, 24) * load<f32>(px, 24);
    const e = load<f32>(c, 12) * load<f32>(px, 12) + load<f32>(c, 28) * load<f32>(px, 28);
    store<f32>(values + i, (a + d) + (b + e));
  }
}

/**
 * Variance (bilinear, double precision) and mask (union) of the four pixels around each position, which lacks data when
 * they do.
 */
function carryRow(
  variance: usize, mask: usize, width: i32, count: i32, size: usize, area: f64, bits: usize, list: usize,
): i32 {
  const noData = load<u32>(bits), carried = load<u32>(bits, 4), rowBytes = <usize>width << 2;
  const variances = List.tapsX(list, size), masks = List.tapsY(list, size), values = List.values(list, size);
  const fractionsX = List.fractionsX(list, size), fractionsY = List.fractionsY(list, size);
  let covered = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const k = load<i32>(list + i);
    if (k == NOWHERE) continue;
    const p = variance + (<usize>k << 2), q = p + rowBytes, m = mask + (<usize>k << 1), n = m + (rowBytes >> 1);
    const fx = load<f64>(fractionsX + 2 * i), fy = load<f64>(fractionsY + 2 * i);
    const found = <u32>load<u16>(m) | load<u16>(m, 2) | load<u16>(n) | load<u16>(n, 2);
    const value = (1 - fy) * ((1 - fx) * <f64>load<f32>(p) + fx * <f64>load<f32>(p, 4)) +
      fy * ((1 - fx) * <f64>load<f32>(q) + fx * <f64>load<f32>(q, 4));
    if ((found & noData) != 0 || !(value - value == 0)) { store<i32>(list + i, NOWHERE); continue; }
    let kept = found & carried;
    if (found != 0) {
      if ((found & load<u32>(bits, 8)) != 0) kept |= load<u32>(bits, 12);
      if ((found & load<u32>(bits, 16)) != 0) kept |= load<u32>(bits, 20);
    }
    store<f32>(values + i, <f32>(<f64>load<f32>(values + i) * area));
    store<f32>(variances + i, <f32>(value * area));
    store<u32>(masks + i, kept);
    covered++;
  }
  return covered;
}

function storeRow(planes: usize, j: i32, count: i32, size: usize, noData: u32, list: usize): void {
  const image = <usize>load<u32>(planes, 12) + (<usize>j << 2),
    variance = <usize>load<u32>(planes, 16) + (<usize>j << 2);
  const mask = <usize>load<u32>(planes, 20) + (<usize>j << 1), nan = f32x4.splat(f32.NaN),
    lost = i32x4.splat(<i32>noData);
  const variances = List.tapsX(list, size), masks = List.tapsY(list, size), values = List.values(list, size),
    nowhere = i32x4.splat(NOWHERE);
  let i: usize = 0;
  const end = <usize>count << 2;
  for (; i + 16 <= end; i += 16) {
    const isLost = i32x4.eq(v128.load(list + i), nowhere), found = v128.bitselect(lost, v128.load(masks + i), isLost);
    v128.store(image + i, v128.bitselect(nan, v128.load(values + i), isLost));
    v128.store(variance + i, v128.andnot(v128.load(variances + i), isLost));
    v128.store64_lane(mask + (i >> 1), i16x8.narrow_i32x4_u(found, found), 0);
  }
  for (; i < end; i += 4) {
    const isLost = load<i32>(list + i) == NOWHERE;
    store<f32>(image + i, isLost ? f32.NaN : load<f32>(values + i));
    store<f32>(variance + i, isLost ? 0 : load<f32>(variances + i));
    store<u16>(mask + (i >> 1), <u16>(isLost ? noData : load<u32>(masks + i)));
  }
}

/** Sums along y first, eight columns at once, even and odd rows by themselves; then along x. */
function interpolate(from: usize, row: usize, px: usize, py: usize): f32 {
  let row0 = from, row1 = from + row, tap = v128.load32_splat(py), next = v128.load32_splat(py, 4);
  let low = f32x4.mul(tap, v128.load(row0)), high = f32x4.mul(tap, v128.load(row0, 16));
  let lowOdd = f32x4.mul(next, v128.load(row1)), highOdd = f32x4.mul(next, v128.load(row1, 16));
  row0 = row1 + row; row1 = row0 + row; tap = v128.load32_splat(py, 8); next = v128.load32_splat(py, 12);
  low = f32x4.add(low, f32x4.mul(tap, v128.load(row0))); high = f32x4.add(high, f32x4.mul(tap, v128.load(row0, 16)));
  lowOdd = f32x4.add(lowOdd, f32x4.mul(next, v128.load(row1)));
  highOdd = f32x4.add(highOdd, f32x4.mul(next, v128.load(row1, 16)));
  row0 = row1 + row; row1 = row0 + row; tap = v128.load32_splat(py, 16); next = v128.load32_splat(py, 20);
  low = f32x4.add(low, f32x4.mul(tap, v128.load(row0))); high = f32x4.add(high, f32x4.mul(tap, v128.load(row0, 16)));
  lowOdd = f32x4.add(lowOdd, f32x4.mul(next, v128.load(row1)));
  highOdd = f32x4.add(highOdd, f32x4.mul(next, v128.load(row1, 16)));
  row0 = row1 + row; row1 = row0 + row; tap = v128.load32_splat(py, 24); next = v128.load32_splat(py, 28);
  low = f32x4.add(low, f32x4.mul(tap, v128.load(row0))); high = f32x4.add(high, f32x4.mul(tap, v128.load(row0, 16)));
  lowOdd = f32x4.add(lowOdd, f32x4.mul(next, v128.load(row1)));
  highOdd = f32x4.add(highOdd, f32x4.mul(next, v128.load(row1, 16)));
  low = f32x4.mul(f32x4.add(low, lowOdd), v128.load(px));
  high = f32x4.mul(f32x4.add(high, highOdd), v128.load(px, 16));
  const four = f32x4.add(low, high), two = f32x4.add(four, v128.shuffle<f32>(four, four, 2, 3, 0, 1));
  return f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1);
}
