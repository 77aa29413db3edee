/**
 * Sources of an image in one pass: smoothed, pixels above the noise grown and marked in the mask, peaks listed. The twin
 * in `twins/sources.ts` defines the result.
 */
import { meshRow } from './mesh';
import { loadRow, smoothRow, smoothTwoRows } from './smooth';

/**
 * Rows y0 … y1 − 1 of the grid, whose pixels are those of the image (bin 1) or means of 2 × 2 of them (bin 2). The image
 * less its mesh of levels is smoothed as by `smoothSeparable`, into `out` also in the reach + 1 rows on either side.
 * Marks `bit` in the mask within `reach` pixels along both axes of a pixel where out >
 * markFactor × noise; lists local maxima over 8 neighbours where out > peakFactor × noise, `border` pixels or more from
 * the edges; of equal neighbours the first in reading order counts.
 *
 * @param imageWidth, imageHeight Of the image and its mask; `width`, `height` and all else are the grid's.
 * @param level   [rows × columns] float32, or 0 for none; `noise` the same, always there.
 * @param line    [width + 16] float32, work.
 * @param padded, ring As for `smoothSeparable`.
 * @param reach   0 … 63.
 * @param border  At least 1.
 * @param marks   [(2 reach + 1) × words] u64, work, words = width / 64 rounded up: rows of marked pixels, grown along x.
 * @param row     [words + 2] u64, work.
 * @param indices [capacity] int32: y × width + x, in order.
 * @param found   Peaks that are listed already.
 * @returns How many there are now, of which `capacity` are listed.
 */
export function smoothSources(
  image: usize, mask: usize, zeroBits: i32, imageWidth: i32, imageHeight: i32, bin: i32, width: i32, height: i32,
  y0: i32, y1: i32, level: usize, noise: usize, columns: i32, rows: i32, cellWidth: f64, cellHeight: f64, line: usize,
  taps: usize, half: i32, out: usize, padded: usize, ring: usize, markFactor: f32, peakFactor: f32, reach: i32,
  border: i32, bit: i32, marks: usize, row: usize, indices: usize, capacity: i32, found: i32,
): i32 {
  const stride = <usize>((width + 15) & ~15) << 2, slots = 2 * half + 2, rowBytes = <usize>width << 2;
  const words = (width + 63) >> 6, markSlots = 2 * reach + 1, markBytes = <usize>words << 3;
  memory.fill(padded, 0, <usize>(width + 2 * half + 16) << 2);
  memory.fill(ring, 0, stride * slots);
  memory.fill(marks, 0, markBytes * markSlots);
  const first = max(0, y0 - reach - 1), last = min(height, y1 + reach + 1);
  let ahead = max(0, first - half), scanned = max(0, y0 - reach);
  for (let y = first; y < last; y += 2) {
    for (; ahead <= y + 1 + half; ahead++) {
      const slot = ring + stride * (ahead % slots);
      if (ahead >= height) { memory.fill(slot, 0, stride); continue; }
      const at = <usize>(bin * ahead) * imageWidth, to = padded + (<usize>half << 2);
      if (level != 0) meshRow(level, columns, rows, cellWidth, cellHeight, ahead, width, line);
      else memory.fill(line, 0, rowBytes);
      if (bin == 1) loadRow(image + (at << 2), mask + (at << 1), zeroBits, line, width, to);
      else loadBinned(image + (at << 2), mask + (at << 1), zeroBits, line, imageWidth, 2 * ahead + 1 < imageHeight, to);
      smoothRow(padded, width, taps, half, slot);
    }
    const to = out + rowBytes * y;
    smoothTwoRows(ring, stride, slots, y, width, taps, half, to, y + 1 < last ? to + rowBytes : to);
    // A row is looked at when the one after it is there.
    const ready = y + 2 >= height ? min(height, y1 + reach) : min(y + 1, y1 + reach);
    for (; scanned < ready; scanned++) {
      meshRow(noise, columns, rows, cellWidth, cellHeight, scanned, width, line);
      const isOwn = scanned >= max(y0, border) && scanned < min(y1, height - border);
      found = scanRow(out, width, scanned, line, markFactor, peakFactor, isOwn ? border : width, row, words, indices,
        capacity, found);
      growRow(row, words, reach, marks + markBytes * (scanned % markSlots));
      const done = scanned - reach;
      if (done >= y0) markRows(marks, markSlots, words, mask, imageWidth, imageHeight, bin, done, bit);
    }
  }
  // Beyond the last row of the plane nothing is marked.
  for (; scanned < y1 + reach; scanned++) {
    memory.fill(marks + markBytes * (scanned % markSlots), 0, markBytes);
    const done = scanned - reach;
    if (done >= y0) markRows(marks, markSlots, words, mask, imageWidth, imageHeight, bin, done, bit);
  }
  return found;
}

/**
 * Means of 2 × 2 pixels less the line; those that are NaN, masked or outside are 0 each.
 *
 * @param line    [(width + 1) / 2] float32.
 * @param hasNext Whether there is a second row.
 */
function loadBinned(
  image: usize, mask: usize, zeroBits: i32, line: usize, width: i32, hasNext: bool, out: usize,
): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0), quarter = f32x4.splat(0.25);
  const pixels = <usize>width << 2, flags = <usize>width << 1;
  let x = 0;
  if (hasNext) {
    for (; x + 8 <= width; x += 8, image += 32, mask += 16, out += 16, line += 16) {
      const level = v128.load(line), left = v128.shuffle<i32>(level, level, 0, 0, 1, 1),
        right = v128.shuffle<i32>(level, level, 2, 2, 3, 3);
      const above = i16x8.eq(v128.and(v128.load(mask), bits), none);
      const below = i16x8.eq(v128.and(v128.load(mask + flags), bits), none);
      const a = f32x4.add(kept(image, left, i32x4.extend_low_i16x8_s(above)),
        kept(image + pixels, left, i32x4.extend_low_i16x8_s(below)));
      const b = f32x4.add(kept(image + 16, right, i32x4.extend_high_i16x8_s(above)),
        kept(image + pixels + 16, right, i32x4.extend_high_i16x8_s(below)));
      const sum = f32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
      v128.store(out, f32x4.mul(quarter, sum));
    }
  }
  for (; x < width; x += 2, image += 8, mask += 4, out += 4, line += 4) {
    const level = load<f32>(line);
    const first = pairOf(image, mask, zeroBits, level, pixels, flags, hasNext);
    const second: f32 = x + 1 < width ? pairOf(image + 4, mask + 2, zeroBits, level, pixels, flags, hasNext) : 0;
    store<f32>(out, <f32>0.25 * (first + second));
  }
}

function kept(image: usize, level: v128, isClear: v128): v128 {
  const value = f32x4.sub(v128.load(image), level);
  return v128.and(value, v128.and(isClear, f32x4.eq(value, value)));
}

/** A pixel and the one below it. */
function pairOf(
  image: usize, mask: usize, zeroBits: i32, level: f32, pixels: usize, flags: usize, hasNext: bool,
): f32 {
  const below: f32 = hasNext ? keptOne(image + pixels, mask + flags, zeroBits, level) : 0;
  return keptOne(image, mask, zeroBits, level) + below;
}

function keptOne(image: usize, mask: usize, zeroBits: i32, level: f32): f32 {
  const value = load<f32>(image) - level;
  return value == value && (<i32>load<u16>(mask) & zeroBits) == 0 ? value : 0;
}

/** Bits of the pixels above the mark, to `row` after its first word; peaks, none with a border of the width. */
function scanRow(
  plane: usize, width: i32, y: i32, line: usize, markFactor: f32, peakFactor: f32, border: i32, row: usize, words: i32,
  indices: usize, capacity: i32, found: i32,
): i32 {
  const marks = f32x4.splat(markFactor), start = plane + (<usize>(y * width) << 2), bytes = <usize>width << 2;
  const out = row + 8, last = width - border;
  memory.fill(row, 0, <usize>(words + 2) << 3);
  for (let x = 0; x < width; x += 16) {
    const p = start + (<usize>x << 2), q = line + (<usize>x << 2);
    let bits = 0;
    if (x + 16 <= width) {
      const a = f32x4.gt(v128.load(p), f32x4.mul(marks, v128.load(q)));
      const b = f32x4.gt(v128.load(p, 16), f32x4.mul(marks, v128.load(q, 16)));
      const c = f32x4.gt(v128.load(p, 32), f32x4.mul(marks, v128.load(q, 32)));
      const d = f32x4.gt(v128.load(p, 48), f32x4.mul(marks, v128.load(q, 48)));
      bits = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    } else {
      for (let k = 0; x + k < width; k++) {
        const at = <usize>k << 2;
        if (load<f32>(p + at) > markFactor * load<f32>(q + at)) bits |= 1 << k;
      }
    }
    if (bits == 0) continue;
    store<u16>(out + (<usize>x >> 3), <u16>bits);
    if (border == width) continue;
    // Where the vectors have neighbours on all sides, most of what is no peak is seen at once.
    if (x > 0 && x + 16 < width) bits &= peakBits(p, q, peakFactor, bytes);
    for (; bits != 0; bits &= bits - 1) {
      const u = x + ctz(bits), at = start + (<usize>u << 2);
      if (u < border || u >= last || !(load<f32>(at) > peakFactor * load<f32>(line + (<usize>u << 2)))) continue;
      if (!isPeak(at, bytes)) continue;
      if (found < capacity) store<i32>(indices + (<usize>found << 2), y * width + u);
      found++;
    }
  }
  return found;
}

/** Which of 16 pixels are higher than the mesh and than their neighbours along both axes. */
function peakBits(p: usize, q: usize, factor: f32, stride: usize): i32 {
  const factors = f32x4.splat(factor);
  return i32x4.bitmask(highest(p, q, factors, stride)) | (i32x4.bitmask(highest(p + 16, q + 16, factors, stride)) << 4)
    | (i32x4.bitmask(highest(p + 32, q + 32, factors, stride)) << 8)
    | (i32x4.bitmask(highest(p + 48, q + 48, factors, stride)) << 12);
}

function highest(p: usize, q: usize, factors: v128, stride: usize): v128 {
  const value = v128.load(p);
  const along = v128.and(f32x4.gt(value, v128.load(p - 4)), f32x4.ge(value, v128.load(p, 4)));
  const across = v128.and(f32x4.gt(value, v128.load(p - stride)), f32x4.ge(value, v128.load(p + stride)));
  return v128.and(f32x4.gt(value, f32x4.mul(factors, v128.load(q))), v128.and(along, across));
}

function isPeak(at: usize, stride: usize): bool {
  const value = load<f32>(at), above = at - stride, below = at + stride;
  return value >= load<f32>(at, 4) && value > load<f32>(at - 4)
    && value > load<f32>(above - 4) && value > load<f32>(above) && value > load<f32>(above, 4)
    && value >= load<f32>(below - 4) && value >= load<f32>(below) && value >= load<f32>(below, 4);
}

/** Bits within `reach` of one along x. @param row With a word of zeros on each side. */
function growRow(row: usize, words: i32, reach: i32, out: usize): void {
  for (let at = row + 8, end = row + 8 + (<usize>words << 3); at < end; at += 8, out += 8) {
    const before = load<u64>(at - 8), here = load<u64>(at), after = load<u64>(at, 8);
    let grown = here;
    if ((before | here | after) != 0) {
      for (let k: u64 = 1; k <= <u64>reach; k++) {
        grown |= (here << k) | (before >> (64 - k)) | (here >> k) | (after << (64 - k));
      }
    }
    store<u64>(out, grown);
  }
}

/** Sets the bit in the image's pixels of a row of the grid, where any row of the ring has one. */
function markRows(
  ring: usize, slots: i32, words: i32, mask: usize, width: i32, height: i32, bin: i32, row: i32, bit: i32,
): void {
  const rowBytes = <usize>words << 3, first = mask + (<usize>(bin * row * width) << 1);
  const rowCount = bin == 2 && 2 * row + 1 < height ? 2 : 1;
  for (let word = 0; word < words; word++) {
    let bits: u64 = 0;
    for (let s = 0, at = ring + (<usize>word << 3); s < slots; s++, at += rowBytes) bits |= load<u64>(at);
    if (bits == 0) continue;
    if (bin == 1) { markWord(bits, first, word << 6, width, bit); continue; }
    const low = doubled(<u32>bits), high = doubled(<u32>(bits >> 32));
    for (let k = 0; k < rowCount; k++) {
      const at = first + (<usize>(k * width) << 1);
      markWord(low, at, word << 7, width, bit);
      markWord(high, at, (word << 7) + 64, width, bit);
    }
  }
}

/** Every bit twice. */
function doubled(bits: u32): u64 {
  let b = <u64>bits;
  b = (b | (b << 16)) & 0x0000ffff0000ffff;
  b = (b | (b << 8)) & 0x00ff00ff00ff00ff;
  b = (b | (b << 4)) & 0x0f0f0f0f0f0f0f0f;
  b = (b | (b << 2)) & 0x3333333333333333;
  b = (b | (b << 1)) & 0x5555555555555555;
  return b | (b << 1);
}

/** Sets the bit in up to 64 pixels of a row from x on. */
function markWord(bits: u64, mask: usize, x: i32, width: i32, bit: i32): void {
  const lanes = i16x8(1, 2, 4, 8, 16, 32, 64, 128), none = i16x8.splat(0), wanted = i16x8.splat(<i16>bit);
  for (; bits != 0 && x < width; x += 8, bits >>= 8) {
    const eight = <i32>(bits & 255), to = mask + (<usize>x << 1);
    if (eight == 0) continue;
    if (x + 8 <= width) {
      const isMarked = i16x8.ne(v128.and(i16x8.splat(<i16>eight), lanes), none);
      v128.store(to, v128.or(v128.load(to), v128.and(isMarked, wanted)));
      continue;
    }
    for (let k = 0; x + k < width; k++) {
      if ((eight >> k & 1) == 0) continue;
      const at = to + (<usize>k << 1);
      store<u16>(at, <u16>(<i32>load<u16>(at) | bit));
    }
  }
}
