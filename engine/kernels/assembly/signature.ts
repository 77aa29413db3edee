/**
 * Raw counts of all amps to electrons in one pass: overscan, crosstalk, deferred charge, bias, linearity, gain, and,
 * unless charge has to be put back first, dark and flat. The twins in `twins/signature.ts` define the results.
 *
 * The layout of `task` and of an amp's record is that of `engine/kernels/signature.ts`.
 */
import { readable } from './scaled';

const AMP_BYTES: usize = 128;
/** Rows of readout that share one usual count. */
const USUAL_ROWS = 256;
/** Columns that are loud or quiet together. */
const BLOCK = 16;
/** How loud a block can be beside the usual count: beyond its amp's reach, and 4 and 16 times that. */
const LOUDNESSES = 3;

class Blocks {
  /** Words of 32 blocks in a row. */
  @inline static words(columns: i32): i32 { return (columns + 32 * BLOCK - 1) / (32 * BLOCK); }
}

class Four {
  @inline static reverse(v: v128): v128 { return v128.shuffle<i32>(v, v, 3, 2, 1, 0); }
  @inline static counts(low: v128, level: v128): v128 { return f32x4.sub(f32x4.convert_i32x4_s(low), level); }
}

/**
 * Signal above the overscan of an amp's row, from the pixel before the first imaging one on. Returns the greatest count
 * of the imaging ones.
 */
function signalRow(from: usize, level: f32, columnLevels: usize, columns: i32, out: usize): i32 {
  const level4 = f32x4.splat(level);
  let highest = i16x8.splat(0);
  store<f32>(out, <f32>load<u16>(from, 0) - level);
  from += 2;
  out += 4;
  let x = 0;
  for (; x + 8 <= columns; x += 8, from += 16, out += 32) {
    const counts = v128.load(from);
    highest = i16x8.max_u(highest, counts);
    v128.store(out, Four.counts(i32x4.extend_low_i16x8_u(counts), level4));
    v128.store(out, Four.counts(i32x4.extend_high_i16x8_u(counts), level4), 16);
  }
  highest = i16x8.max_u(highest, v128.shuffle<i64>(highest, highest, 1, 0));
  highest = i16x8.max_u(highest, v128.shuffle<i32>(highest, highest, 1, 0, 3, 2));
  let high = <i32>max(i16x8.extract_lane_u(highest, 0), i16x8.extract_lane_u(highest, 1));
  for (; x < columns; x++, from += 2, out += 4) {
    const counts = <i32>load<u16>(from);
    high = max(high, counts);
    store<f32>(out, <f32>counts - level);
  }
  if (columnLevels == 0) return high;
  out -= <usize>columns << 2;
  x = 0;
  for (; x + 4 <= columns; x += 4, out += 16, columnLevels += 16) {
    v128.store(out, f32x4.sub(v128.load(out), v128.load(columnLevels)));
  }
  for (; x < columns; x++, out += 4, columnLevels += 4) store<f32>(out, load<f32>(out) - load<f32>(columnLevels));
  return high;
}

/**
 * Which blocks of a row stray from the usual count by more than `reach`, 4 times and 16 times that; a last block that is
 * not whole counts as one that does.
 *
 * @param loud [LOUDNESSES × words] bits, overwritten.
 */
function markLoud(from: usize, columns: i32, usual: i32, reach: i32, loud: usize): void {
  const usuals = i16x8.splat(<i16>usual), near = i16x8.splat(<i16>reach);
  const far = i16x8.splat(<i16>min(4 * reach, 65535)), farther = i16x8.splat(<i16>min(16 * reach, 65535));
  const words = Blocks.words(columns);
  for (let word = 0, x = 0; word < words; word++, loud += 4) {
    let isLoud: u32 = 0, isFar: u32 = 0, isFarther: u32 = 0;
    for (let bit: u32 = 1; bit != 0 && x < columns; bit <<= 1, x += BLOCK, from += 2 * BLOCK) {
      if (x + BLOCK > columns) {
        isLoud |= bit; isFar |= bit; isFarther |= bit;
        continue;
      }
      const a = v128.load(from), b = v128.load(from, 16), most = i16x8.max_u(a, b), least = i16x8.min_u(a, b);
      // One of the two differences is 0 unless the block has counts on both sides.
      const away = i16x8.max_u(i16x8.sub_sat_u(most, usuals), i16x8.sub_sat_u(usuals, least));
      if (!v128.any_true(i16x8.sub_sat_u(away, near))) continue;
      isLoud |= bit;
      if (v128.any_true(i16x8.sub_sat_u(away, far))) isFar |= bit;
      if (v128.any_true(i16x8.sub_sat_u(away, farther))) isFarther |= bit;
    }
    store<u32>(loud, isLoud);
    store<u32>(loud + (<usize>words << 2), isFar);
    store<u32>(loud + (<usize>words << 3), isFarther);
  }
}

/** Takes another amp's part out of the blocks of a row in which it is loud: that of its counts beyond the usual one. */
function withoutCrosstalk(own: usize, other: usize, loud: usize, part: f32, usual: i32, columns: i32): void {
  const parts = f32x4.splat(part), usuals = i32x4.splat(usual), words = Blocks.words(columns);
  for (let word = 0; word < words; word++) {
    for (let rest = load<u32>(loud + (<usize>word << 2)); rest != 0; rest &= rest - 1) {
      let x = (32 * word + ctz<i32>(rest)) * BLOCK;
      const end = min(x + BLOCK, columns);
      for (; x + 8 <= end; x += 8) {
        const at = own + (<usize>x << 2), counts = v128.load(other + (<usize>x << 1));
        const a = f32x4.convert_i32x4_s(i32x4.sub(i32x4.extend_low_i16x8_u(counts), usuals));
        const b = f32x4.convert_i32x4_s(i32x4.sub(i32x4.extend_high_i16x8_u(counts), usuals));
        v128.store(at, f32x4.sub(v128.load(at), f32x4.mul(parts, a)));
        v128.store(at, f32x4.sub(v128.load(at, 16), f32x4.mul(parts, b)), 16);
      }
      for (; x < end; x++) {
        const at = own + (<usize>x << 2), beyond = <i32>load<u16>(other + (<usize>x << 1)) - usual;
        store<f32>(at, load<f32>(at) - part * <f32>beyond);
      }
    }
  }
}

/**
 * Puts charge back where it was deferred from.
 *
 * @param row, before Rows of signals whose first pixel is the one before the imaging ones.
 * @param ramp Part of the serial deferral of each of their pixels.
 * @param kept 1 + the part that the parallel transfers deferred. @param deferred That of the row before.
 */
function withoutDeferral(
  row: usize, before: usize, columns: i32, ramp: usize, kept: f32, deferred: f32, out: usize,
): void {
  const kept4 = f32x4.splat(kept), deferred4 = f32x4.splat(deferred);
  let x = 0;
  row += 4; before += 4; ramp += 4;
  for (; x + 4 <= columns; x += 4, row += 16, before += 16, ramp += 16, out += 16) {
    const a = f32x4.mul(v128.load(row), f32x4.add(v128.load(ramp), kept4));
    const b = f32x4.mul(v128.load(before), deferred4), c = f32x4.mul(v128.load(row - 4), v128.load(ramp - 4));
    v128.store(out, f32x4.sub(f32x4.sub(a, b), c));
  }
  for (; x < columns; x++, row += 4, before += 4, ramp += 4, out += 4) {
    const a = load<f32>(row) * (load<f32>(ramp) + kept), b = load<f32>(before) * deferred;
    store<f32>(out, (a - b) - load<f32>(row - 4) * load<f32>(ramp - 4));
  }
}

class Pixel {
  /** Correction of one signal, ADU, straight between the table's nodes; beyond its ends that of its end. */
  @inline static tableValue(table: usize, perAdu: f32, last: f32, signal: f32): f32 {
    const place = min(max(signal * perAdu, 0), last), node = min(<i32>place, <i32>last - 1);
    const at = table + (<usize>node << 2), here = load<f32>(at);
    return here + (place - <f32>node) * (load<f32>(at, 4) - here);
  }
}

/**
 * Brings a row's signals, less the bias, on a straight line by polynomial and table, in place: a table is looked up pixel
 * by pixel, and the loop of all others need not make room for it.
 */
function straighten(
  pixels: usize, columns: i32, flip: bool, bias: usize, offset: i32, c2: f32, c3: f32, table: usize, perAdu: f32, last: f32,
): void {
  for (let j = 0; j < columns; j++) {
    const from = pixels + (<usize>(flip ? columns - 1 - j : j) << 2);
    let w = load<f32>(from);
    if (bias != 0) w -= load<f32>(bias + (<usize>(offset + j) << 2));
    if (c2 != 0 || c3 != 0) w = w + (w * w) * (c2 + c3 * w);
    store<f32>(from, w + Pixel.tableValue(table, perAdu, last, w));
  }
}

/** Bits of a pixel that its calibrations do not want, else 0; it becomes NaN where they have no value. */
function defectBits(
  image: usize, bias: usize, dark: usize, flat: usize, at: usize, limits: usize, badBit: i32, missingBits: i32,
): i32 {
  const value = load<f32>(image + at);
  if (value != value || (flat != 0 && !(load<f32>(flat + at) > 0))) {
    store<f32>(image + at, f32.NaN);
    return missingBits;
  }
  if (bias != 0 && !(abs<f32>(load<f32>(bias + at)) <= load<f32>(limits))) return badBit;
  if (dark != 0 && !(load<f32>(dark + at) <= load<f32>(limits, 4))) return badBit;
  if (flat == 0) return 0;
  const response = load<f32>(flat + at);
  return response >= load<f32>(limits, 8) && response <= load<f32>(limits, 12) ? 0 : badBit;
}

/**
 * Rows `first` … `end` − 1 of the readout, of all amps.
 *
 * @param task [36] int32 or float32: amps, ampCount, rawWidth, columns, image, mask, bias, dark, seconds, flat, limits,
 *             badBit, missingBits, saturatedBit, suspectBit, isFinished, signals, odd, loud, line, stride, 1 once
 *             a pixel is NaN, next row, inverse, and records of `readable` of bias, dark and flat. `signals` is work: two rows of columns + 1 float32 for each amp,
 *             `stride` bytes apart, the row's own and that before, and one for all; `line` and `odd` are one more each. `loud` has LOUDNESSES ×
 *             `Blocks.words` words for each amp.
 * @returns Pixels that calibrations mark.
 */
export function removeSignature(task: usize, first: i32, end: i32): i32 {
  const amps = <usize>load<u32>(task), ampCount = load<i32>(task, 4), columns = load<i32>(task, 12);
  const signals = <usize>load<u32>(task, 64), stride = <usize>load<u32>(task, 80);
  const loudBytes = <usize>(Blocks.words(columns) * LOUDNESSES) << 2;
  let isNext = first > 0 && load<i32>(task, 88) == first, marked = 0;
  for (let y = first; y < end; y++) {
    let amp = amps, loud = <usize>load<u32>(task, 72);
    for (let k = 0; k < ampCount; k++, amp += AMP_BYTES, loud += loudBytes) {
      const reach = load<i32>(amp, 112);
      if (reach != 0) markLoud(Amp.row(task, amp, y), columns, Usual.count(amp, y), reach, loud);
    }
    // Amps without deferred charge need no row before, and share one that stays in the first-level cache.
    const own = <usize>(y & 1) * stride, shared = signals + <usize>(2 * ampCount) * stride;
    amp = amps;
    for (let k = 0; k < ampCount; k++, amp += AMP_BYTES) {
      const isDeferred = load<f32>(amp, 48) != 0 || load<f32>(amp, 52) != 0, rows = signals + <usize>(2 * k) * stride;
      const row = isDeferred ? rows + own : shared, before = isDeferred && isNext ? rows + stride - own : row;
      marked += finishRow(task, amp, row, before, y, isDeferred);
    }
    isNext = true;
  }
  store<i32>(task, end, 88);
  return marked;
}

class Amp {
  /** First imaging pixel of a row of its readout. */
  @inline static row(task: usize, amp: usize, y: i32): usize {
    return <usize>load<u32>(amp) + <usize>y * (<usize>load<i32>(task, 8) << 1);
  }
}

class Usual {
  @inline static count(amp: usize, y: i32): i32 {
    return <i32>load<u16>(<usize>load<u32>(amp, 108) + (<usize>(y / USUAL_ROWS) << 1));
  }

  @inline static level(amp: usize, y: i32): f32 {
    return load<f32>(<usize>load<u32>(amp, 4) + (<usize>y << 2));
  }

  @inline static signal(amp: usize, y: i32): f32 {
    return <f32>Usual.count(amp, y) - Usual.level(amp, y);
  }

  /** Crosstalk of the others' usual signals. */
  @inline static talk(task: usize, amp: usize, y: i32): f32 {
    const amps = <usize>load<u32>(task);
    let entry = <usize>load<u32>(amp, 64), sum: f32 = 0;
    for (let rest = load<i32>(amp, 68); rest > 0; rest--, entry += 12) {
      sum += load<f32>(entry, 4) * Usual.signal(amps + <usize>load<i32>(entry) * AMP_BYTES, y);
    }
    return sum;
  }
}

/** One amp's row from counts to electrons. @param before The signals of the row before. Returns the pixels marked. */
function finishRow(task: usize, amp: usize, row: usize, before: usize, y: i32, isDeferred: bool): i32 {
  const columns = load<i32>(task, 12), raw = Amp.row(task, amp, y);
  const level = Usual.level(amp, y) + Usual.talk(task, amp, y);
  store<i32>(amp, signalRow(raw - 2, level, <usize>load<u32>(amp, 8), columns, row), 84);
  if (load<i32>(amp, 92) == 0) store<f32>(row, 0);
  removeCrosstalk(task, amp, row + 4, y, columns);
  if (!isDeferred) return storeRow(task, amp, row + 4, raw, y, columns);
  const parallel = load<f32>(amp, 52), line = <usize>load<u32>(task, 76);
  withoutDeferral(
    row, before, columns, <usize>load<u32>(amp, 80), 1 + parallel * <f32>(y + 1), parallel * <f32>y, line,
  );
  return storeRow(task, amp, line, raw, y, columns);
}

function removeCrosstalk(task: usize, amp: usize, own: usize, y: i32, columns: i32): void {
  const amps = <usize>load<u32>(task), words = <usize>Blocks.words(columns) << 2;
  let entry = <usize>load<u32>(amp, 64);
  for (let rest = load<i32>(amp, 68); rest > 0; rest--, entry += 12) {
    const index = <usize>load<i32>(entry), other = amps + index * AMP_BYTES;
    const loud = <usize>load<u32>(task, 72) + (index * LOUDNESSES + <usize>load<i32>(entry, 8)) * words;
    withoutCrosstalk(own, Amp.row(task, other, y), loud, load<f32>(entry, 4), Usual.count(other, y), columns);
  }
}

/** Brings a row's signals to their place on the detector, as electrons. Returns the pixels marked. */
function storeRow(task: usize, amp: usize, pixels: usize, raw: usize, y: i32, columns: i32): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20);
  const flip = load<i32>(amp, 20) != 0, offset = load<i32>(amp, 12) + y * load<i32>(amp, 16);
  if (load<i32>(amp, 116) != 0) return storeDead(task, amp, raw, offset, columns);
  const bias = readable(<usize>load<u32>(task, 24), task + 96, offset, columns), isFinished = load<i32>(task, 60) != 0;
  const dark = isFinished ? readable(<usize>load<u32>(task, 28), task + 112, offset, columns) : 0;
  const flat = isFinished ? readable(<usize>load<u32>(task, 36), task + 128, offset, columns) : 0;
  const limits = <usize>load<u32>(task, 40), badBit = load<i32>(task, 44), missingBits = load<i32>(task, 48);
  const seconds = load<f32>(task, 32);
  const gain = load<f32>(amp, 24), c2 = load<f32>(amp, 28), c3 = load<f32>(amp, 32), table = <usize>load<u32>(amp, 36);
  const isCurved = table == 0 && (c2 != 0 || c3 != 0), hasBias = bias != 0 && table == 0;
  const inverse = flat != 0 ? <usize>load<u32>(task, 92) : 0, one = f32x4.splat(1);
  if (table != 0) {
    straighten(pixels, columns, flip, bias, offset, c2, c3, table, load<f32>(amp, 40), load<f32>(amp, 44));
  }
  const seconds4 = f32x4.splat(seconds), biasMax = v128.load32_splat(limits), darkMax = v128.load32_splat(limits, 4);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  const gain4 = f32x4.splat(gain), c24 = f32x4.splat(c2), c34 = f32x4.splat(c3), none = i16x8.splat(0);
  // Eights with pixels that calibrations may not want are listed and looked at afterwards.
  const odd = <usize>load<u32>(task, 68);
  let marked = 0, listed = 0, j = 0;
  for (; j + 8 <= columns; j += 8) {
    // Upwards on the detector: memory comes slower the other way.
    const to = offset + j, at = <usize>to << 2, from = pixels + (<usize>(flip ? columns - 8 - j : j) << 2);
    let a = v128.load(from), b = v128.load(from, 16), sound = i16x8.splat(-1);
    if (flip) {
      const swap = Four.reverse(a);
      a = Four.reverse(b);
      b = swap;
    }
    if (bias != 0) {
      const biasA = v128.load(bias + at), biasB = v128.load(bias + at, 16);
      if (hasBias) {
        a = f32x4.sub(a, biasA);
        b = f32x4.sub(b, biasB);
      }
      sound = v128.and(f32x4.le(f32x4.abs(biasA), biasMax), f32x4.le(f32x4.abs(biasB), biasMax));
    }
    if (isCurved) {
      a = f32x4.add(a, f32x4.mul(f32x4.mul(a, a), f32x4.add(c24, f32x4.mul(c34, a))));
      b = f32x4.add(b, f32x4.mul(f32x4.mul(b, b), f32x4.add(c24, f32x4.mul(c34, b))));
    }
    a = f32x4.mul(a, gain4);
    b = f32x4.mul(b, gain4);
    if (dark != 0) {
      const darkA = v128.load(dark + at), darkB = v128.load(dark + at, 16);
      a = f32x4.sub(a, f32x4.mul(darkA, seconds4));
      b = f32x4.sub(b, f32x4.mul(darkB, seconds4));
      sound = v128.and(sound, v128.and(f32x4.le(darkA, darkMax), f32x4.le(darkB, darkMax)));
    }
    if (flat != 0) {
      const flatA = v128.load(flat + at), flatB = v128.load(flat + at, 16);
      const inverseA = f32x4.div(one, flatA), inverseB = f32x4.div(one, flatB);
      a = f32x4.mul(a, inverseA);
      b = f32x4.mul(b, inverseB);
      if (inverse != 0) {
        v128.store(inverse + at, inverseA);
        v128.store(inverse + at, inverseB, 16);
      }
      sound = v128.and(sound, v128.and(f32x4.ge(flatA, least), f32x4.ge(flatB, least)));
      sound = v128.and(sound, v128.and(f32x4.le(flatA, most), f32x4.le(flatB, most)));
    }
    v128.store(image + at, a); v128.store(image + at, b, 16);
    v128.store(mask + (<usize>to << 1), none);
    // Values that are no numbers come of calibrations that are none, or of none of use.
    store<i32>(odd + (<usize>listed << 2), to);
    listed += i32(i32x4.bitmask(sound) != 15);
  }
  for (let k = 0; k < listed; k++) {
    const to = load<i32>(odd + (<usize>k << 2));
    for (let i = to; i < to + 8; i++) {
      marked += markPixel(task, image, mask, bias, dark, flat, i, limits, badBit, missingBits);
    }
  }
  for (; j < columns; j++) {
    const to = offset + j, at = <usize>to << 2;
    let w = load<f32>(pixels + (<usize>(flip ? columns - 1 - j : j) << 2));
    if (hasBias) w -= load<f32>(bias + at);
    if (isCurved) w = w + (w * w) * (c2 + c3 * w);
    let value = w * gain;
    if (dark != 0) value -= load<f32>(dark + at) * seconds;
    if (flat != 0) {
      const response: f32 = <f32>1 / load<f32>(flat + at);
      value = value * response;
      if (inverse != 0) store<f32>(inverse + at, response);
    }
    store<f32>(image + at, value);
    store<u16>(mask + (<usize>to << 1), 0);
    marked += markPixel(task, image, mask, bias, dark, flat, to, limits, badBit, missingBits);
  }
  if (load<i32>(amp, 84) >= load<i32>(amp, 56)) markHigh(task, amp, raw, mask, offset, columns);
  return marked;
}

/** A row of an amp that says nothing: missing, but for the marks of its counts. Returns 0: no calibration says so. */
function storeDead(task: usize, amp: usize, raw: usize, offset: i32, columns: i32): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20), missingBits = load<i32>(task, 48);
  for (let j = 0; j < columns; j++) {
    store<f32>(image + (<usize>(offset + j) << 2), f32.NaN);
    store<u16>(mask + (<usize>(offset + j) << 1), <u16>missingBits);
  }
  store<i32>(task, 1, 84);
  if (load<i32>(amp, 84) >= load<i32>(amp, 56)) markHigh(task, amp, raw, mask, offset, columns);
  return 0;
}

/** 1 where the pixel is marked. */
function markPixel(
  task: usize, image: usize, mask: usize, bias: usize, dark: usize, flat: usize, i: i32, limits: usize, badBit: i32,
  missingBits: i32,
): i32 {
  const bits = defectBits(image, bias, dark, flat, <usize>i << 2, limits, badBit, missingBits);
  if (bits == 0) return 0;
  if (bits == missingBits) store<i32>(task, 1, 84);
  store<u16>(mask + (<usize>i << 1), <u16>bits);
  return 1;
}

/** Marks saturated and suspect pixels of a row that has some, and counts them. */
function markHigh(task: usize, amp: usize, raw: usize, mask: usize, offset: i32, columns: i32): void {
  const saturatedBit = load<i32>(task, 52), suspectBit = load<i32>(task, 56), flip = load<i32>(amp, 20) != 0;
  const suspect = load<i32>(amp, 56), saturation = load<i32>(amp, 60);
  for (let j = 0; j < columns; j++) {
    const counts = <i32>load<u16>(raw + (<usize>j << 1));
    if (counts < suspect) continue;
    const isSaturated = counts >= saturation, m = mask + (<usize>(offset + (flip ? columns - 1 - j : j)) << 1);
    store<u16>(m, load<u16>(m) | <u16>(isSaturated ? saturatedBit : suspectBit));
    const counter = amp + (isSaturated ? 72 : 76);
    store<i32>(counter, load<i32>(counter) + 1);
  }
}
