/** Interpolation of cells that are turned a little, in two passes. The twin in `twins/warp.ts` defines the result. */
import { carryRow, findPositions, Four, List, NOWHERE, storeRow, TAPS } from './warp';

/** Bytes from one line of a sheared cell to the next: of 64 pixels, and a cache line so that they lie in many sets. */
const LINE_BYTES: usize = 320;

/**
 * A cell that is turned a little: first every row of the source that it needs along x, at the places where the cell's
 * columns cross that row, which are evenly apart; then along the columns, slanted as they are, with taps for each pixel.
 */
export function warpSheared(
  planes: usize, width: i32, height: i32, cell: usize, count: i32, rows: i32, out: i32, outWidth: i32, taps: usize,
  phases: i32, bits: usize, list: usize, lines: usize,
): i32 {
  const tx = load<f64>(cell), ty = load<f64>(cell, 8), yx = load<f64>(cell, 32), yy = load<f64>(cell, 40);
  const area = <f32>load<f64>(cell, 48), part = <i32>-load<f64>(cell, 56), shear = load<f64>(cell, 64),
    slope = load<f64>(cell, 72);
  const across = <f64>(count - 1) * yx, down = <f64>(rows - 1) * yy, image = <usize>load<u32>(planes);
  const top = <i32>floor<f64>(ty + min<f64>(across, 0) + min<f64>(down, 0)) - (TAPS / 2 - 1);
  const last = <i32>floor<f64>(ty + max<f64>(across, 0) + max<f64>(down, 0)) + TAPS / 2;
  for (let y = top, line = lines; y <= last; y++, line += LINE_BYTES) {
    slantedLine(image + (<usize>(y * width) << 2), tx + (<f64>y - ty) * shear, slope, count, part, taps, phases, line);
  }
  const size = <usize>count;
  let covered = 0;
  for (let j = 0; j < rows; j++, out += outWidth) {
    findPositions(cell, <f64>j, 0, count, size, width, height, phases, list);
    covered += slantedRow(planes, width, count, size, area, top, taps, <f32>phases, bits, list, lines, out);
  }
  return covered;
}

/** A row of the source at places `left + i slope`, along x. */
function slantedLine(
  row: usize, left: f64, slope: f64, count: i32, part: i32, taps: usize, phases: i32, line: usize,
): void {
  for (let first = 0; first < count; first += part) {
    const end = min(first + part, count), half = (end - first) >> 1, middle = left + <f64>(first + half) * slope;
    const begin = floor<f64>(middle) - <f64>half;
    if (floor<f64>(left + <f64>first * slope) == begin
      && floor<f64>(left + <f64>(end - 1) * slope) == begin + <f64>(end - 1 - first)) {
      const px = taps + (<usize><i32>((middle - floor<f64>(middle)) * <f64>phases + 0.5) << 5);
      slantedPart(row + (<usize>(<i32>begin - (TAPS / 2 - 1)) << 2), px, end - first, line + (<usize>first << 2));
      continue;
    }
    for (let i = first; i < end; i++) {
      const x = left + <f64>i * slope, ix = floor<f64>(x), px = taps + (<usize><i32>((x - ix) * <f64>phases + 0.5) << 5);
      const from = row + (<usize>(<i32>ix - (TAPS / 2 - 1)) << 2);
      const four = f32x4.add(f32x4.mul(v128.load(from), v128.load(px)), f32x4.mul(v128.load(from, 16), v128.load(px, 16)));
      const two = f32x4.add(four, v128.shuffle<f32>(four, four, 2, 3, 0, 1));
      store<f32>(line + (<usize>i << 2), f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1));
    }
  }
}

/** `count` pixels, a multiple of 4, that follow one another in the source and share their taps. */
function slantedPart(from: usize, px: usize, count: i32, line: usize): void {
  const p0 = v128.load32_splat(px), p1 = v128.load32_splat(px, 4), p2 = v128.load32_splat(px, 8),
    p3 = v128.load32_splat(px, 12), p4 = v128.load32_splat(px, 16), p5 = v128.load32_splat(px, 20),
    p6 = v128.load32_splat(px, 24), p7 = v128.load32_splat(px, 28);
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 16) {
    v128.store(line + i, Four.along(from + i, p0, p1, p2, p3, p4, p5, p6, p7));
  }
}

/** One row of the output, from the lines: four pixels at once where they follow one another in the source. */
function slantedRow(
  planes: usize, width: i32, count: i32, size: usize, area: f32, top: i32, taps: usize, phases: f32, bits: usize,
  list: usize, lines: usize, out: i32,
): i32 {
  const variance = <usize>load<u32>(planes, 4), mask = <usize>load<u32>(planes, 8), noData = load<u32>(bits);
  const tapsX = List.tapsX(list, size), tapsY = List.tapsY(list, size), ahead = i32x4(0, 1, 2, 3);
  let covered = 0, y = -1, rowStart = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 16) {
    const k = load<i32>(list + i);
    if (y < 0 || k < rowStart || k >= rowStart + width) { y = k / width; rowStart = y * width; }
    if (!i32x4.all_true(i32x4.eq(v128.load(list + i), i32x4.add(i32x4.splat(k), ahead)))) {
      covered += slantedEach(variance, mask, width, size, area, top, taps, phases, bits, list, lines, i);
      storeRow(planes, out + <i32>(i >> 2), 4, size, noData, list + i);
      continue;
    }
    const value = alongColumns(
      lines + <usize>(y - (TAPS / 2 - 1) - top) * LINE_BYTES + i, taps, load<u32>(tapsY + i), load<u32>(tapsY + i, 4),
      load<u32>(tapsY + i, 8), load<u32>(tapsY + i, 12));
    const scale = f32x4.splat(phases);
    const fx = f32x4.div(f32x4.convert_i32x4_s(i32x4.shr_s(v128.load(tapsX + i), 5)), scale);
    const fy = f32x4.div(f32x4.convert_i32x4_s(i32x4.shr_s(v128.load(tapsY + i), 5)), scale);
    covered += Four.finish(planes, <usize>k, width, value, fx, fy, area, bits, <usize>out + (i >> 2));
  }
  return covered;
}

/** Four columns of the lines, each with taps of its own (byte offsets); even and odd lines by themselves. */
function alongColumns(line: usize, taps: usize, o0: usize, o1: usize, o2: usize, o3: usize): v128 {
  let p = v128.load(taps + o0), q = v128.load(taps + o1), r = v128.load(taps + o2), s = v128.load(taps + o3);
  let a = v128.shuffle<f32>(p, q, 0, 4, 1, 5), b = v128.shuffle<f32>(p, q, 2, 6, 3, 7);
  let c = v128.shuffle<f32>(r, s, 0, 4, 1, 5), d = v128.shuffle<f32>(r, s, 2, 6, 3, 7);
  let even = f32x4.mul(v128.shuffle<f32>(a, c, 0, 1, 4, 5), v128.load(line));
  let odd = f32x4.mul(v128.shuffle<f32>(a, c, 2, 3, 6, 7), v128.load(line + LINE_BYTES));
  even = f32x4.add(even, f32x4.mul(v128.shuffle<f32>(b, d, 0, 1, 4, 5), v128.load(line + 2 * LINE_BYTES)));
  odd = f32x4.add(odd, f32x4.mul(v128.shuffle<f32>(b, d, 2, 3, 6, 7), v128.load(line + 3 * LINE_BYTES)));
  p = v128.load(taps + o0, 16); q = v128.load(taps + o1, 16); r = v128.load(taps + o2, 16); s = v128.load(taps + o3, 16);
  a = v128.shuffle<f32>(p, q, 0, 4, 1, 5); b = v128.shuffle<f32>(p, q, 2, 6, 3, 7);
  c = v128.shuffle<f32>(r, s, 0, 4, 1, 5); d = v128.shuffle<f32>(r, s, 2, 6, 3, 7);
  even = f32x4.add(even, f32x4.mul(v128.shuffle<f32>(a, c, 0, 1, 4, 5), v128.load(line + 4 * LINE_BYTES)));
  odd = f32x4.add(odd, f32x4.mul(v128.shuffle<f32>(a, c, 2, 3, 6, 7), v128.load(line + 5 * LINE_BYTES)));
  even = f32x4.add(even, f32x4.mul(v128.shuffle<f32>(b, d, 0, 1, 4, 5), v128.load(line + 6 * LINE_BYTES)));
  odd = f32x4.add(odd, f32x4.mul(v128.shuffle<f32>(b, d, 2, 3, 6, 7), v128.load(line + 7 * LINE_BYTES)));
  return f32x4.add(even, odd);
}

/** Four pixels of which one changes the row or column of the source, each by itself; `i` bytes into the list. */
function slantedEach(
  variance: usize, mask: usize, width: i32, size: usize, area: f32, top: i32, taps: usize, phases: f32, bits: usize,
  list: usize, lines: usize, i: usize,
): i32 {
  const tapsY = List.tapsY(list, size), values = List.values(list, size);
  for (let at = i; at < i + 16; at += 4) {
    const y = load<i32>(list + at) / width, py = taps + load<u32>(tapsY + at);
    let line = lines + <usize>(y - (TAPS / 2 - 1) - top) * LINE_BYTES + at;
    let even = load<f32>(py) * load<f32>(line), odd = load<f32>(py, 4) * load<f32>(line + LINE_BYTES);
    for (let b: usize = 8; b < 32; b += 8) {
      line += 2 * LINE_BYTES;
      even += load<f32>(py + b) * load<f32>(line);
      odd += load<f32>(py + b, 4) * load<f32>(line + LINE_BYTES);
    }
    const value = even + odd;
    store<f32>(values + at, value);
    if (!(value - value == 0)) store<i32>(list + at, NOWHERE);
  }
  return carryRow(variance, mask, width, 4, size, area, phases, bits, list + i);
}
