/**
 * Smoothing of what changes little from pixel to pixel, at half the resolution: squares of 2 × 2 pixels are smoothed,
 * and the result is bilinear between their centres. The twins in `twins/halved.ts` define the results.
 */
import { smoothRow, smoothTwoRows } from './smooth';

/** Bytes before a line's first value: its left neighbour, on a vector's border. */
const BEFORE: usize = 16;

/** Lines of work: four smoothed rows by turns and one between two of them, each with a neighbour on either side. */
class Lines {
  @inline static bytes(width: i32): usize { return (<usize>((width + 15) & ~15) << 2) + 2 * BEFORE; }
  @inline static at(lines: usize, bytes: usize, row: i32): usize { return lines + bytes * (row & 3) + BEFORE; }
  @inline static between(lines: usize, bytes: usize): usize { return lines + (bytes << 2) + BEFORE; }
}

/**
 * out = plane, halved, smoothed with the taps and doubled; masked pixels and NaN count as 0, as what lies outside does.
 *
 * @param width, height At least 16 and 1.
 * @param taps, padded, ring As for `smoothSeparable`, for half the width.
 * @param lines [5 × (half the width rounded up to 16, and 8)] float32, work.
 */
export function smoothHalved(
  plane: usize, mask: usize, zeroBits: i32, width: i32, height: i32, taps: usize, half: i32, out: usize, padded: usize,
  ring: usize, lines: usize,
): void {
  smooth(out, plane, 0, mask, zeroBits, width, height, taps, half, 0, padded, ring, lines);
}

/**
 * score /= √(1 / variance, halved, smoothed and doubled) where that exceeds `least`, else 0. Pixels that are masked, not
 * finite in the image or without a positive variance weigh 0, as what lies outside does.
 */
export function normalizeHalved(
  score: usize, image: usize, variance: usize, mask: usize, zeroBits: i32, width: i32, height: i32, taps: usize,
  half: i32, least: f32, padded: usize, ring: usize, lines: usize,
): void {
  smooth(score, image, variance, mask, zeroBits, width, height, taps, half, least, padded, ring, lines);
}

function smooth(
  out: usize, plane: usize, variance: usize, mask: usize, zeroBits: i32, width: i32, height: i32, taps: usize,
  half: i32, least: f32, padded: usize, ring: usize, lines: usize,
): void {
  const columns = (width + 1) >> 1, rows = (height + 1) >> 1, stride = <usize>((columns + 15) & ~15) << 2;
  const slots = 2 * half + 2, rowBytes = <usize>width << 2, bytes = Lines.bytes(columns);
  const between = Lines.between(lines, bytes);
  memory.fill(padded, 0, <usize>(columns + 2 * half + 16) << 2);
  memory.fill(ring, 0, stride * slots);
  let ahead = 0, made = 0;
  for (let row = 0; row < rows; row++) {
    if (made <= min(row + 1, rows - 1)) {
      for (; ahead <= made + 1 + half; ahead++) {
        const slot = ring + stride * (ahead % slots), at = rowBytes * (2 * ahead);
        if (ahead >= rows) { memory.fill(slot, 0, stride); continue; }
        const next = 2 * ahead + 1 < height ? rowBytes : 0;
        halveRow(plane + at, variance == 0 ? 0 : variance + at, mask + (at >> 1), next, zeroBits, width,
          padded + (<usize>half << 2));
        smoothRow(padded, columns, taps, half, slot);
      }
      smoothTwoRows(ring, stride, slots, made, columns, taps, half, Lines.at(lines, bytes, made),
        Lines.at(lines, bytes, made + 1));
      made += 2;
    }
    const own = Lines.at(lines, bytes, row), to = out + rowBytes * (2 * row);
    mixLines(own, Lines.at(lines, bytes, max(row - 1, 0)), columns, between);
    if (variance == 0) storeDoubled(between, width, to); else divideDoubled(between, width, least, to);
    if (2 * row + 1 >= height) break;
    mixLines(own, Lines.at(lines, bytes, min(row + 1, rows - 1)), columns, between);
    if (variance == 0) storeDoubled(between, width, to + rowBytes);
    else divideDoubled(between, width, least, to + rowBytes);
  }
}

class Pixels {
  /** Four of them, or what they weigh; 0 where they do not count. */
  @inline static four(plane: usize, variance: usize, isKept: v128): v128 {
    const value = v128.load(plane), zero = f32x4.splat(0), isFinite = f32x4.eq(f32x4.sub(value, value), zero);
    if (variance == 0) return v128.and(value, v128.and(isKept, isFinite));
    const noise = v128.load(variance), isUsed = v128.and(v128.and(isFinite, f32x4.gt(noise, zero)), isKept);
    return v128.and(f32x4.div(f32x4.splat(1), noise), isUsed);
  }
  @inline static one(plane: usize, variance: usize, mask: usize, zeroBits: i32): f32 {
    const value = load<f32>(plane);
    if (value - value != 0 || (<i32>load<u16>(mask) & zeroBits) != 0) return 0;
    if (variance == 0) return value;
    const noise = load<f32>(variance);
    return noise > 0 ? 1 / noise : 0;
  }
}

/**
 * Quarters of the sums of 2 × 2 pixels: columns first, then neighbours.
 *
 * @param next Bytes of the planes to the second row, half of that for the mask; 0 when there is none.
 */
function halveRow(
  plane: usize, variance: usize, mask: usize, next: usize, zeroBits: i32, width: i32, out: usize,
): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0), quarter = f32x4.splat(0.25);
  const second: usize = variance == 0 ? 0 : next;
  let x = 0;
  for (; x + 8 <= width; x += 8, plane += 32, mask += 16, out += 16) {
    let kept = i16x8.eq(v128.and(v128.load(mask), bits), none);
    let low = Pixels.four(plane, variance, i32x4.extend_low_i16x8_s(kept));
    let high = Pixels.four(plane + 16, variance == 0 ? 0 : variance + 16, i32x4.extend_high_i16x8_s(kept));
    if (next != 0) {
      kept = i16x8.eq(v128.and(v128.load(mask + (next >> 1)), bits), none);
      low = f32x4.add(low, Pixels.four(plane + next, variance + second, i32x4.extend_low_i16x8_s(kept)));
      high = f32x4.add(high, Pixels.four(
        plane + next + 16, variance == 0 ? 0 : variance + second + 16, i32x4.extend_high_i16x8_s(kept)));
    }
    v128.store(out, f32x4.mul(quarter, f32x4.add(
      v128.shuffle<f32>(low, high, 0, 2, 4, 6), v128.shuffle<f32>(low, high, 1, 3, 5, 7))));
    if (variance != 0) variance += 32;
  }
  for (; x < width; x += 2, plane += 8, mask += 4, out += 4) {
    let left = Pixels.one(plane, variance, mask, zeroBits), right: f32 = 0;
    if (next != 0) left += Pixels.one(plane + next, variance + second, mask + (next >> 1), zeroBits);
    if (x + 1 < width) {
      right = Pixels.one(plane + 4, variance == 0 ? 0 : variance + 4, mask + 2, zeroBits);
      if (next != 0) right += Pixels.one(
        plane + next + 4, variance == 0 ? 0 : variance + second + 4, mask + (next >> 1) + 2, zeroBits);
    }
    store<f32>(out, <f32>0.25 * (left + right));
    if (variance != 0) variance += 8;
  }
}

/** Three quarters of one line and a quarter of its neighbour; the ends are repeated beyond. */
function mixLines(own: usize, other: usize, columns: i32, out: usize): void {
  const most = f32x4.splat(0.75), rest = f32x4.splat(0.25);
  for (let x: usize = 0, end = <usize>columns << 2; x < end; x += 16) v128.store(
    out + x, f32x4.add(f32x4.mul(most, v128.load(own + x)), f32x4.mul(rest, v128.load(other + x))));
  store<f32>(out - 4, load<f32>(out));
  const last = out + (<usize>(columns - 1) << 2);
  store<f32>(last, load<f32>(last), 4);
}

class Doubled {
  /** Pixels of four columns: three quarters of their own and a quarter of the left for even ones, the right for odd. */
  @inline static beside(line: usize, offset: usize): v128 {
    const most = f32x4.mul(f32x4.splat(0.75), v128.load(line));
    return f32x4.add(most, f32x4.mul(f32x4.splat(0.25), v128.load(line + offset)));
  }
  @inline static one(line: usize, x: i32): f32 {
    const at = line + (<usize>(x >> 1) << 2), other = (x & 1) == 0 ? at - 4 : at + 4;
    return <f32>0.75 * load<f32>(at) + <f32>0.25 * load<f32>(other);
  }
}

function storeDoubled(line: usize, width: i32, out: usize): void {
  let x = 0;
  for (let at = line, to = out; x + 8 <= width; x += 8, at += 16, to += 32) {
    const even = Doubled.beside(at, -4), odd = Doubled.beside(at, 4);
    v128.store(to, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
  }
  for (; x < width; x++) store<f32>(out + (<usize>x << 2), Doubled.one(line, x));
}

function divideDoubled(line: usize, width: i32, least: f32, score: usize): void {
  const limit = f32x4.splat(least);
  let x = 0;
  for (let at = line, to = score; x + 8 <= width; x += 8, at += 16, to += 32) {
    const even = Doubled.beside(at, -4), odd = Doubled.beside(at, 4);
    const low = v128.shuffle<f32>(even, odd, 0, 4, 1, 5), high = v128.shuffle<f32>(even, odd, 2, 6, 3, 7);
    v128.store(to, v128.and(f32x4.div(v128.load(to), f32x4.sqrt(low)), f32x4.gt(low, limit)));
    v128.store(to, v128.and(f32x4.div(v128.load(to, 16), f32x4.sqrt(high)), f32x4.gt(high, limit)), 16);
  }
  for (; x < width; x++) {
    const weight = Doubled.one(line, x), to = score + (<usize>x << 2);
    store<f32>(to, weight > least ? load<f32>(to) / sqrt<f32>(weight) : 0);
  }
}
