/** Interpolation of image, variance and mask under an affine map. The twin in `twins/warp.ts` defines the result. */

/** Taps along each axis: two vectors. */
export const TAPS = 8;

/** Index of a position that has no data. */
export const NOWHERE = -1;

/**
 * The list that a part of a row goes through where its pixels do not share their taps: positions, values, variances and
 * masks, and at last the planes. So the long chains of arithmetic of one do not wait in the loops of the others.
 *
 * One array after another, `size` long, 4 bytes each: index of the source pixel; offset of the taps along x, which the
 * variance replaces; of the taps along y, which the mask bits replace; the value. Then sums along y of the columns under
 * a part that shares its taps, of which there are eight more.
 */
export class List {
  @inline static tapsX(list: usize, size: usize): usize { return list + 4 * size; }
  @inline static tapsY(list: usize, size: usize): usize { return list + 8 * size; }
  @inline static values(list: usize, size: usize): usize { return list + 12 * size; }
  @inline static columns(list: usize, size: usize): usize { return list + 16 * size; }
}

/** One row of a cell, from pixel `out` of the output on. */
export function warpRow(
  planes: usize, width: i32, height: i32, cell: usize, dy: f64, count: i32, taps: usize, phases: i32, bits: usize,
  list: usize, out: i32,
): i32 {
  const size = <usize>((count + 3) & ~3), area = <f32>load<f64>(cell, 48), part = <i32>load<f64>(cell, 56);
  const step = part == 0 ? count : part;
  let covered = 0;
  for (let first = 0; first < count; first += step) {
    const end = min(first + step, count);
    let shared = part == 0 ? 0 : (end - first) & ~3;
    const found = shared == 0 ? -1
      : warpShared(planes, width, height, cell, dy, first, shared, area, taps, phases, bits, List.columns(list, size),
        out + first);
    if (found < 0) shared = 0; else covered += found;
    if (shared < end - first) covered += warpEach(
      planes, width, height, cell, dy, first + shared, end - first - shared, area, taps, phases, bits, list, size,
      out + first + shared);
  }
  return covered;
}

class Affine {
  @inline static x(affine: usize, i: f64, dy: f64): f64 {
    return load<f64>(affine) + i * load<f64>(affine, 16) + dy * load<f64>(affine, 24);
  }
  @inline static y(affine: usize, i: f64, dy: f64): f64 {
    return load<f64>(affine, 8) + i * load<f64>(affine, 32) + dy * load<f64>(affine, 40);
  }
}

/**
 * `count` pixels that follow one another in the source, with the taps of the middle one. Returns those that have data;
 * −1 when they do not follow one another, or come near the source's end.
 */
function warpShared(
  planes: usize, width: i32, height: i32, affine: usize, dy: f64, first: i32, count: i32, area: f32, taps: usize,
  phases: i32, bits: usize, columns: usize, out: i32,
): i32 {
  const half = count >> 1, tx = Affine.x(affine, <f64>(first + half), dy), ty = Affine.y(affine, <f64>(first + half), dy);
  const fx = floor<f64>(tx), fy = floor<f64>(ty), left = fx - <f64>half, last = left + <f64>(count - 1);
  // False for NaN too. Vectors read up to four pixels beyond the last one's taps.
  if (!(left >= TAPS / 2 - 1 && last < <f64>(width - TAPS) && fy >= TAPS / 2 - 1 && fy < <f64>(height - TAPS / 2))) return -1;
  if (floor<f64>(Affine.x(affine, <f64>first, dy)) != left
    || floor<f64>(Affine.x(affine, <f64>(first + count - 1), dy)) != last
    || floor<f64>(Affine.y(affine, <f64>first, dy)) != fy
    || floor<f64>(Affine.y(affine, <f64>(first + count - 1), dy)) != fy) return -1;
  const px = <i32>((tx - fx) * <f64>phases + 0.5), py = <i32>((ty - fy) * <f64>phases + 0.5);
  const row = <usize>width << 2, k = <usize>(<i32>fy * width + <i32>left), back = <usize>(TAPS / 2 - 1) * (row + 4);
  sumColumns(<usize>load<u32>(planes) + (k << 2) - back, row, taps + (<usize>py << 5), count + TAPS, columns);
  return finishShared(planes, k, width, count, columns, taps + (<usize>px << 5), <f32>px / <f32>phases,
    <f32>py / <f32>phases, area, bits, out);
}

/** Each column is summed along y once, even and odd rows by themselves, not for each of the eight pixels that need it. */
function sumColumns(from: usize, row: usize, py: usize, count: i32, columns: usize): void {
  const p0 = v128.load32_splat(py), p1 = v128.load32_splat(py, 4), p2 = v128.load32_splat(py, 8),
    p3 = v128.load32_splat(py, 12), p4 = v128.load32_splat(py, 16), p5 = v128.load32_splat(py, 20),
    p6 = v128.load32_splat(py, 24), p7 = v128.load32_splat(py, 28);
  for (let x: usize = 0, end = <usize>count << 2; x < end; x += 16) {
    let p = from + x;
    let even = f32x4.mul(p0, v128.load(p));
    p += row;
    let odd = f32x4.mul(p1, v128.load(p));
    p += row;
    even = f32x4.add(even, f32x4.mul(p2, v128.load(p)));
    p += row;
    odd = f32x4.add(odd, f32x4.mul(p3, v128.load(p)));
    p += row;
    even = f32x4.add(even, f32x4.mul(p4, v128.load(p)));
    p += row;
    odd = f32x4.add(odd, f32x4.mul(p5, v128.load(p)));
    p += row;
    even = f32x4.add(even, f32x4.mul(p6, v128.load(p)));
    p += row;
    odd = f32x4.add(odd, f32x4.mul(p7, v128.load(p)));
    v128.store(columns + x, f32x4.add(even, odd));
  }
}

/** Sums along x, variance and mask, and all three into the output. */
function finishShared(
  planes: usize, k: usize, width: i32, count: i32, columns: usize, px: usize, fractionX: f32, fractionY: f32, area: f32,
  bits: usize, out: i32,
): i32 {
  const p0 = v128.load32_splat(px), p1 = v128.load32_splat(px, 4), p2 = v128.load32_splat(px, 8),
    p3 = v128.load32_splat(px, 12), p4 = v128.load32_splat(px, 16), p5 = v128.load32_splat(px, 20),
    p6 = v128.load32_splat(px, 24), p7 = v128.load32_splat(px, 28);
  const fx = f32x4.splat(fractionX), fy = f32x4.splat(fractionY);
  let covered = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 16) {
    const value = Four.along(columns + i, p0, p1, p2, p3, p4, p5, p6, p7);
    covered += Four.finish(planes, k + (i >> 2), width, value, fx, fy, area, bits, <usize>out + (i >> 2));
  }
  return covered;
}

export class Four {
  /** Sums of eight pixels along x from `at` on, for four pixels that share their taps. */
  @inline static along(
    at: usize, p0: v128, p1: v128, p2: v128, p3: v128, p4: v128, p5: v128, p6: v128, p7: v128,
  ): v128 {
    const a = f32x4.add(f32x4.mul(v128.load(at), p0), f32x4.mul(v128.load(at, 16), p4));
    const b = f32x4.add(f32x4.mul(v128.load(at, 4), p1), f32x4.mul(v128.load(at, 20), p5));
    const d = f32x4.add(f32x4.mul(v128.load(at, 8), p2), f32x4.mul(v128.load(at, 24), p6));
    const e = f32x4.add(f32x4.mul(v128.load(at, 12), p3), f32x4.mul(v128.load(at, 28), p7));
    return f32x4.add(f32x4.add(a, d), f32x4.add(b, e));
  }
  /** Four values with variance and mask from pixel `k` of the source on, into the output from pixel `out` on. */
  @inline static finish(
    planes: usize, k: usize, width: i32, value: v128, fx: v128, fy: v128, area: f32, bits: usize, out: usize,
  ): i32 {
    const v = <usize>load<u32>(planes, 4) + (k << 2), row = <usize>width << 2, zero = f32x4.splat(0);
    const low = lineOf(v, fx), variance = f32x4.add(low, f32x4.mul(fy, f32x4.sub(lineOf(v + row, fx), low)));
    const at = <usize>load<u32>(planes, 8) + (k << 1), next = at + (row >> 1), lostBits = i32x4.splat(load<u32>(bits));
    const found = v128.or(v128.or(v128.load16x4_u(at), v128.load16x4_u(at, 2)),
      v128.or(v128.load16x4_u(next), v128.load16x4_u(next, 2)));
    let isLost = v128.or(f32x4.ne(f32x4.sub(value, value), zero), f32x4.ne(f32x4.sub(variance, variance), zero));
    let kept = zero;
    if (v128.any_true(found)) {
      isLost = v128.or(isLost, i32x4.ne(v128.and(found, lostBits), zero));
      kept = carriedOf(found, bits);
    }
    const areas = f32x4.splat(area);
    const kept4 = v128.bitselect(f32x4.splat(f32.NaN), f32x4.mul(value, areas), isLost);
    v128.store(<usize>load<u32>(planes, 12) + (out << 2), kept4);
    v128.store(<usize>load<u32>(planes, 16) + (out << 2), v128.andnot(f32x4.mul(variance, areas), isLost));
    kept = v128.bitselect(lostBits, kept, isLost);
    v128.store64_lane(<usize>load<u32>(planes, 20) + (out << 1), i16x8.narrow_i32x4_u(kept, kept), 0);
    return 4 - popcnt(i32x4.bitmask(isLost));
  }
}

/** Between four pixels and those to their right. */
function lineOf(at: usize, fraction: v128): v128 {
  const here = v128.load(at);
  return f32x4.add(here, f32x4.mul(fraction, f32x4.sub(v128.load(at, 4), here)));
}

/** What the mask bits found become. */
function carriedOf(found: v128, bits: usize): v128 {
  const zero = i32x4.splat(0);
  const first = v128.and(i32x4.ne(v128.and(found, v128.load32_splat(bits, 8)), zero), v128.load32_splat(bits, 12));
  const second = v128.and(i32x4.ne(v128.and(found, v128.load32_splat(bits, 16)), zero), v128.load32_splat(bits, 20));
  return v128.or(v128.and(found, v128.load32_splat(bits, 4)), v128.or(first, second));
}

/** `count` pixels, each with taps of its own. */
function warpEach(
  planes: usize, width: i32, height: i32, affine: usize, dy: f64, first: i32, count: i32, area: f32, taps: usize,
  phases: i32, bits: usize, list: usize, size: usize, out: i32,
): i32 {
  findPositions(affine, dy, <f64>first, count, size, width, height, phases, list);
  interpolateRow(<usize>load<u32>(planes), <usize>width << 2, taps, count, size, list);
  const covered = carryRow(<usize>load<u32>(planes, 4), <usize>load<u32>(planes, 8), width, count, size, area,
    <f32>phases, bits, list);
  storeRow(planes, out, count, size, load<u32>(bits), list);
  return covered;
}

/** Positions of a part of a row, two at a time. */
export function findPositions(
  affine: usize, dy: f64, from: f64, count: i32, size: usize, width: i32, height: i32, phases: i32, list: usize,
): void {
  const tx0 = v128.load64_splat(affine), ty0 = v128.load64_splat(affine, 8), xx = v128.load64_splat(affine, 16);
  const yx = v128.load64_splat(affine, 32), dyxy = f64x2.splat(dy * load<f64>(affine, 24)),
    dyyy = f64x2.splat(dy * load<f64>(affine, 40));
  const phaseScale = f64x2.splat(<f64>phases), half = f64x2.splat(0.5), first = f64x2.splat(<f64>(TAPS / 2 - 1)),
    two = f64x2.splat(2);
  const xEnd = f64x2.splat(<f64>(width - TAPS / 2)), yEnd = f64x2.splat(<f64>(height - TAPS / 2));
  const widths = i32x4.splat(width), nowhere = i32x4.splat(NOWHERE);
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size);
  let dx = f64x2.add(f64x2.splat(from), f64x2(0, 1));
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
  }
}

/** Writes the values; a position whose value is not finite becomes one without data. */
function interpolateRow(image: usize, row: usize, taps: usize, count: i32, size: usize, list: usize): void {
  const back = <usize>(TAPS / 2 - 1) * (row + 4);
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), values = List.values(list, size);
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const k = load<i32>(list + i);
    if (k == NOWHERE) continue;
    const value = interpolate(image + (<usize>k << 2) - back, row, taps + load<u32>(tapsX + i),
      taps + load<u32>(tapsY + i));
    store<f32>(values + i, value);
    if (!(value - value == 0)) store<i32>(list + i, NOWHERE);
  }
}

/**
 * Variance (bilinear at the taps' phase) and mask (union) of the four pixels around each position, which lacks data when
 * they do.
 */
export function carryRow(
  variance: usize, mask: usize, width: i32, count: i32, size: usize, area: f32, phases: f32, bits: usize, list: usize,
): i32 {
  const noData = load<u32>(bits), carried = load<u32>(bits, 4), rowBytes = <usize>width << 2;
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), values = List.values(list, size);
  let covered = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const k = load<i32>(list + i);
    if (k == NOWHERE) continue;
    const p = variance + (<usize>k << 2), q = p + rowBytes, m = mask + (<usize>k << 1), n = m + (rowBytes >> 1);
    const fx = <f32>(load<i32>(tapsX + i) >> 5) / phases, fy = <f32>(load<i32>(tapsY + i) >> 5) / phases;
    const found = <u32>load<u16>(m) | <u32>load<u16>(m, 2) | <u32>load<u16>(n) | <u32>load<u16>(n, 2);
    const low = load<f32>(p) + fx * (load<f32>(p, 4) - load<f32>(p));
    const value = low + fy * (load<f32>(q) + fx * (load<f32>(q, 4) - load<f32>(q)) - low);
    if ((found & noData) != 0 || !(value - value == 0)) { store<i32>(list + i, NOWHERE); continue; }
    let kept = found & carried;
    if (found != 0) {
      if ((found & load<u32>(bits, 8)) != 0) kept |= load<u32>(bits, 12);
      if ((found & load<u32>(bits, 16)) != 0) kept |= load<u32>(bits, 20);
    }
    store<f32>(values + i, load<f32>(values + i) * area);
    store<f32>(tapsX + i, value * area);
    store<u32>(tapsY + i, kept);
    covered++;
  }
  return covered;
}

export function storeRow(planes: usize, j: i32, count: i32, size: usize, noData: u32, list: usize): void {
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
