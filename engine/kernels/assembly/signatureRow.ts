/**
 * Signals of an amp's row to electrons at their place on the detector: bias, linearity, gain, and, unless charge has to
 * be put back first, dark and flat. Layouts are those of `signature.ts`.
 */
import { readable, Stored } from './scaled';

class Pixel {
  @inline static isNone(at: usize): bool {
    const value = load<f32>(at);
    return value != value;
  }

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
  const isMissing = bias != 0 && Pixel.isNone(bias + at) || dark != 0 && Pixel.isNone(dark + at);
  if (isMissing || value != value || (flat != 0 && !(load<f32>(flat + at) > 0))) {
    store<f32>(image + at, f32.NaN);
    return missingBits;
  }
  if (bias != 0 && !(abs<f32>(load<f32>(bias + at)) <= load<f32>(limits))) return badBit;
  if (dark != 0 && !(load<f32>(dark + at) <= load<f32>(limits, 4))) return badBit;
  if (flat == 0) return 0;
  const response = load<f32>(flat + at);
  return response >= load<f32>(limits, 8) && response <= load<f32>(limits, 12) ? 0 : badBit;
}

/** Brings a row's signals to their place on the detector, as electrons. Returns the pixels marked. */
export function storeRow(task: usize, amp: usize, pixels: usize, raw: usize, y: i32, columns: i32): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20), isFinished = load<i32>(task, 60) != 0;
  const flip = load<i32>(amp, 20) != 0, offset = load<i32>(amp, 12) + y * load<i32>(amp, 16);
  const table = <usize>load<u32>(amp, 36), odd = <usize>load<u32>(task, 68);
  if (load<i32>(amp, 116) != 0) return storeDead(task, amp, raw, offset, columns);
  const biasFloats = <usize>load<u32>(task, 24), darkFloats = isFinished ? <usize>load<u32>(task, 28) : 0;
  const flatFloats = isFinished ? <usize>load<u32>(task, 36) : 0;
  const isScaled = (biasFloats | darkFloats | flatFloats) == 0 && Stored.isKnown(task + BIAS)
    && Stored.isKnown(task + DARK) && Stored.isKnown(task + FLAT);
  if (table != 0) {
    const bias = readable(biasFloats, task + BIAS, offset, columns);
    straighten(
      pixels, columns, flip, bias, offset, load<f32>(amp, 28), load<f32>(amp, 32), table, load<f32>(amp, 40),
      load<f32>(amp, 44),
    );
  }
  const listed = isScaled ? storeScaled(task, amp, pixels, offset, columns, flip, odd)
    : storeFloats(task, amp, pixels, offset, columns, flip, odd);
  let marked = 0;
  for (let k = 0; k < listed; k++) {
    const to = load<i32>(odd + (<usize>k << 2)), bias = readable(biasFloats, task + BIAS, to, 8);
    const dark = isFinished ? readable(darkFloats, task + DARK, to, 8) : 0;
    const flat = isFinished ? readable(flatFloats, task + FLAT, to, 8) : 0;
    for (let i = to; i < to + 8; i++) marked += markPixel(task, image, mask, bias, dark, flat, i);
  }
  const rest = columns & 7;
  if (rest != 0) marked += storeRest(task, amp, pixels, offset, columns, columns - rest, flip);
  if (load<i32>(amp, 84) >= load<i32>(amp, 56)) markHigh(task, amp, raw, mask, offset, columns);
  return marked;
}

/** Where the task's records of `readable` lie. */
const BIAS: usize = 96, DARK: usize = 116, FLAT: usize = 136;

class Eight {
  @inline static reverse(v: v128): v128 { return v128.shuffle<i32>(v, v, 3, 2, 1, 0); }

  /** Where eight signals begin whose first place on the detector is the j-th of the row. */
  @inline static from(pixels: usize, columns: i32, j: i32, flip: bool): usize {
    return pixels + (<usize>(flip ? columns - 8 - j : j) << 2);
  }

  @inline static straight(v: v128, c2: v128, c3: v128): v128 {
    return f32x4.add(v, f32x4.mul(f32x4.mul(v, v), f32x4.add(c2, f32x4.mul(c3, v))));
  }
}

/**
 * Whole eights of a row whose calibrations are all in 16 bits. Those with pixels that calibrations may not want are
 * listed, to be looked at afterwards; returns how many.
 */
function storeScaled(
  task: usize, amp: usize, pixels: usize, offset: i32, columns: i32, flip: bool, odd: usize,
): i32 {
  const isFinished = load<i32>(task, 60) != 0, bias = <usize>load<u32>(task, BIAS), c2 = load<f32>(amp, 28);
  const dark = isFinished ? <usize>load<u32>(task, DARK) : 0, flat = isFinished ? <usize>load<u32>(task, FLAT) : 0;
  const c3 = load<f32>(amp, 32), hasTable = load<u32>(amp, 36) != 0, isCurved = !hasTable && (c2 != 0 || c3 != 0);
  const gain = v128.load32_splat(amp, 24), none = i16x8.splat(0), isBiased = bias != 0 && !hasTable;
  const biasScale = Stored.scale(task + BIAS), biasZero = Stored.zero(task + BIAS), one = f32x4.splat(1);
  const flatScale = Stored.scale(task + FLAT), flatZero = Stored.zero(task + FLAT);
  let image = <usize>load<u32>(task, 16) + (<usize>offset << 2);
  let mask = <usize>load<u32>(task, 20) + (<usize>offset << 1);
  let inverse = flat != 0 ? <usize>load<u32>(task, 92) : 0, listed = 0, at = <usize>offset << 1;
  if (inverse != 0) inverse += <usize>offset << 2;
  for (let j = 0; j + 8 <= columns; j += 8, image += 32, mask += 16, at += 16) {
    // Upwards on the detector: memory comes slower the other way.
    const from = Eight.from(pixels, columns, j, flip);
    let a = v128.load(from), b = v128.load(from, 16), beyond = none;
    if (flip) {
      const swap = Eight.reverse(a);
      a = Eight.reverse(b);
      b = swap;
    }
    if (bias != 0) {
      const stored = v128.load(bias + at);
      beyond = Stored.beyond(stored, task + BIAS);
      if (isBiased) {
        a = f32x4.sub(a, Stored.low(stored, biasScale, biasZero));
        b = f32x4.sub(b, Stored.high(stored, biasScale, biasZero));
      }
    }
    if (isCurved) {
      a = Eight.straight(a, f32x4.splat(c2), f32x4.splat(c3));
      b = Eight.straight(b, f32x4.splat(c2), f32x4.splat(c3));
    }
    a = f32x4.mul(a, gain);
    b = f32x4.mul(b, gain);
    if (dark != 0) {
      const stored = v128.load(dark + at), seconds = v128.load32_splat(task, 32);
      const scale = Stored.scale(task + DARK), zero = Stored.zero(task + DARK);
      beyond = v128.or(beyond, Stored.beyond(stored, task + DARK));
      a = f32x4.sub(a, f32x4.mul(Stored.low(stored, scale, zero), seconds));
      b = f32x4.sub(b, f32x4.mul(Stored.high(stored, scale, zero), seconds));
    }
    if (flat != 0) {
      const stored = v128.load(flat + at);
      beyond = v128.or(beyond, Stored.beyond(stored, task + FLAT));
      const inverseA = f32x4.div(one, Stored.low(stored, flatScale, flatZero));
      const inverseB = f32x4.div(one, Stored.high(stored, flatScale, flatZero));
      a = f32x4.mul(a, inverseA);
      b = f32x4.mul(b, inverseB);
      if (inverse != 0) {
        v128.store(inverse, inverseA);
        v128.store(inverse, inverseB, 16);
        inverse += 32;
      }
    }
    v128.store(image, a);
    v128.store(image, b, 16);
    v128.store(mask, none);
    store<i32>(odd + (<usize>listed << 2), offset + j);
    listed += i32(v128.any_true(beyond));
  }
  return listed;
}

/** As `storeScaled`, of calibrations of which some are float32, or hardly one stored number is wanted. */
function storeFloats(
  task: usize, amp: usize, pixels: usize, offset: i32, columns: i32, flip: bool, odd: usize,
): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20), isFinished = load<i32>(task, 60) != 0;
  const bias = readable(<usize>load<u32>(task, 24), task + BIAS, offset, columns);
  const dark = isFinished ? readable(<usize>load<u32>(task, 28), task + DARK, offset, columns) : 0;
  const flat = isFinished ? readable(<usize>load<u32>(task, 36), task + FLAT, offset, columns) : 0;
  const limits = <usize>load<u32>(task, 40), c2 = load<f32>(amp, 28), c3 = load<f32>(amp, 32);
  const hasTable = load<u32>(amp, 36) != 0, isCurved = !hasTable && (c2 != 0 || c3 != 0);
  const isBiased = bias != 0 && !hasTable;
  const inverse = flat != 0 ? <usize>load<u32>(task, 92) : 0, one = f32x4.splat(1);
  const biasMax = v128.load32_splat(limits), darkMax = v128.load32_splat(limits, 4), seconds = v128.load32_splat(task, 32);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  const gain = v128.load32_splat(amp, 24), c24 = f32x4.splat(c2), c34 = f32x4.splat(c3), none = i16x8.splat(0);
  let listed = 0;
  for (let j = 0; j + 8 <= columns; j += 8) {
    const to = offset + j, at = <usize>to << 2, from = Eight.from(pixels, columns, j, flip);
    let a = v128.load(from), b = v128.load(from, 16), sound = i16x8.splat(-1);
    if (flip) {
      const swap = Eight.reverse(a);
      a = Eight.reverse(b);
      b = swap;
    }
    if (bias != 0) {
      const biasA = v128.load(bias + at), biasB = v128.load(bias + at, 16);
      if (isBiased) {
        a = f32x4.sub(a, biasA);
        b = f32x4.sub(b, biasB);
      }
      sound = v128.and(f32x4.le(f32x4.abs(biasA), biasMax), f32x4.le(f32x4.abs(biasB), biasMax));
    }
    if (isCurved) {
      a = Eight.straight(a, c24, c34);
      b = Eight.straight(b, c24, c34);
    }
    a = f32x4.mul(a, gain);
    b = f32x4.mul(b, gain);
    if (dark != 0) {
      const darkA = v128.load(dark + at), darkB = v128.load(dark + at, 16);
      a = f32x4.sub(a, f32x4.mul(darkA, seconds));
      b = f32x4.sub(b, f32x4.mul(darkB, seconds));
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
  return listed;
}

/** The last columns of a row, fewer than eight. Returns the pixels marked. */
function storeRest(
  task: usize, amp: usize, pixels: usize, offset: i32, columns: i32, first: i32, flip: bool,
): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20), isFinished = load<i32>(task, 60) != 0;
  const start = offset + first, count = columns - first;
  const bias = readable(<usize>load<u32>(task, 24), task + BIAS, start, count);
  const dark = isFinished ? readable(<usize>load<u32>(task, 28), task + DARK, start, count) : 0;
  const flat = isFinished ? readable(<usize>load<u32>(task, 36), task + FLAT, start, count) : 0;
  const gain = load<f32>(amp, 24), c2 = load<f32>(amp, 28), c3 = load<f32>(amp, 32), hasTable = load<u32>(amp, 36) != 0;
  const seconds = load<f32>(task, 32), inverse = flat != 0 ? <usize>load<u32>(task, 92) : 0;
  let marked = 0;
  for (let j = first; j < columns; j++) {
    const to = offset + j, at = <usize>to << 2;
    let w = load<f32>(pixels + (<usize>(flip ? columns - 1 - j : j) << 2));
    if (bias != 0 && !hasTable) w -= load<f32>(bias + at);
    if (!hasTable && (c2 != 0 || c3 != 0)) w = w + (w * w) * (c2 + c3 * w);
    let value = w * gain;
    if (dark != 0) value -= load<f32>(dark + at) * seconds;
    if (flat != 0) {
      const response: f32 = <f32>1 / load<f32>(flat + at);
      value = value * response;
      if (inverse != 0) store<f32>(inverse + at, response);
    }
    store<f32>(image + at, value);
    store<u16>(mask + (<usize>to << 1), 0);
    marked += markPixel(task, image, mask, bias, dark, flat, to);
  }
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
function markPixel(task: usize, image: usize, mask: usize, bias: usize, dark: usize, flat: usize, i: i32): i32 {
  const limits = <usize>load<u32>(task, 40), badBit = load<i32>(task, 44), missingBits = load<i32>(task, 48);
  const bits = defectBits(image, bias, dark, flat, <usize>i << 2, limits, badBit, missingBits);
  if (bits == 0) return 0;
  if (bits == missingBits) store<i32>(task, 1, 84);
  store<u16>(mask + (<usize>i << 1), <u16>bits);
  const inverse = <usize>load<u32>(task, 92), at = <usize>i << 2;
  if (flat != 0 && inverse != 0) store<f32>(inverse + at, <f32>1 / load<f32>(flat + at));
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
