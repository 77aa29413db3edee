/**
 * Raw counts of all amps to electrons in one pass: overscan, crosstalk, deferred charge, bias, linearity, gain, and,
 * unless charge has to be put back first, dark and flat. The twins in `twins/signature.ts` define the results.
 *
 * The layout of `task` and of an amp's record is that of `engine/kernels/signature.ts`.
 */

const AMP_BYTES: usize = 128;
/** Rows of readout that share one usual count. */
const USUAL_ROWS = 256;
/** Columns that are loud or quiet together. */
const BLOCK = 16;
/** Rows of an amp that are read one after another. */
const TOGETHER = 4;

class Blocks {
  /** Bytes of an amp's loudness: one for each block, and zeros to a multiple of 16. */
  @inline static stride(columns: i32): usize { return (<usize>(columns + 255) >> 8) << 4; }
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
 * How far each block of a row strays from the usual count: 0 for within `reach`, 1 beyond, 2 beyond 8 times, 3 beyond
 * 64 times that; 3 for a last block that is not whole.
 *
 * @param loud [blocks] bytes, overwritten.
 */
function markLoud(from: usize, columns: i32, usual: i32, reach: i32, loud: usize): void {
  const usuals = i16x8.splat(<i16>usual), near = i16x8.splat(<i16>reach);
  const far = i16x8.splat(<i16>min(8 * reach, 65535)), farther = i16x8.splat(<i16>min(64 * reach, 65535));
  let x = 0;
  for (; x + BLOCK <= columns; x += BLOCK, from += 2 * BLOCK, loud++) {
    const a = v128.load(from), b = v128.load(from, 16), most = i16x8.max_u(a, b), least = i16x8.min_u(a, b);
    // One of the two differences is 0 unless the block has counts on both sides.
    const away = i16x8.max_u(i16x8.sub_sat_u(most, usuals), i16x8.sub_sat_u(usuals, least));
    const isLoud = v128.any_true(i16x8.sub_sat_u(away, near));
    if (!isLoud) { store<u8>(loud, 0); continue; }
    const isFar = v128.any_true(i16x8.sub_sat_u(away, far)), isFarther = v128.any_true(i16x8.sub_sat_u(away, farther));
    store<u8>(loud, <u8>(1 + <i32>isFar + <i32>isFarther));
  }
  if (x < columns) store<u8>(loud, 3);
}

/** Takes another amp's part out of the blocks of a row in which it is louder than `quiet`. */
function withoutCrosstalk(
  own: usize, other: usize, loud: usize, quiet: i32, part: f32, usual: f32, columns: i32,
): void {
  const quiets = i8x16.splat(<i8>quiet), parts = f32x4.splat(part), usuals = f32x4.splat(usual);
  for (let block = 0; block * BLOCK < columns; block += 16) {
    for (let rest = i8x16.bitmask(i8x16.gt_u(v128.load(loud + <usize>block), quiets)); rest != 0; rest &= rest - 1) {
      let x = (block + ctz(rest)) * BLOCK;
      const end = min(x + BLOCK, columns);
      for (; x + 4 <= end; x += 4) {
        const at = <usize>x << 2, change = f32x4.mul(parts, f32x4.sub(v128.load(other + at), usuals));
        v128.store(own + at, f32x4.sub(v128.load(own + at), change));
      }
      for (; x < end; x++) {
        const at = <usize>x << 2;
        store<f32>(own + at, load<f32>(own + at) - part * (load<f32>(other + at) - usual));
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

  /** Signals and their correction by the table. */
  @inline static byTable(w: v128, table: usize, perAdu: f32, last: f32): v128 {
    let change = f32x4.splat(Pixel.tableValue(table, perAdu, last, f32x4.extract_lane(w, 0)));
    change = f32x4.replace_lane(change, 1, Pixel.tableValue(table, perAdu, last, f32x4.extract_lane(w, 1)));
    change = f32x4.replace_lane(change, 2, Pixel.tableValue(table, perAdu, last, f32x4.extract_lane(w, 2)));
    change = f32x4.replace_lane(change, 3, Pixel.tableValue(table, perAdu, last, f32x4.extract_lane(w, 3)));
    return f32x4.add(w, change);
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
 * Rows `first` … `end` − 1 of the readout, of all amps. A few rows of one amp are read after another, as readouts of
 * equal places tend to meet in the caches.
 *
 * @param task [24] int32 or float32: amps, ampCount, rawWidth, columns, image, mask, bias, dark, seconds, flat, limits,
 *             badBit, missingBits, saturatedBit, suspectBit, isFinished, signals, (nothing), loud, line, stride, 1 once
 *             a pixel is NaN, next row, inverse. `signals` is work: TOGETHER + 1 rows of columns + 1 float32 for each
 *             amp, `stride` bytes apart; `line` is one more. `loud` has TOGETHER × `Blocks.stride` bytes for each amp,
 *             at first 0.
 * @returns Pixels that calibrations mark.
 */
export function removeSignature(task: usize, first: i32, end: i32): i32 {
  const amps = <usize>load<u32>(task), ampCount = load<i32>(task, 4), columns = load<i32>(task, 12);
  const signals = <usize>load<u32>(task, 64), stride = <usize>load<u32>(task, 80), set = stride * (TOGETHER + 1);
  let isNext = first > 0 && load<i32>(task, 88) == first, marked = 0;
  for (let y0 = first; y0 < end; y0 += TOGETHER) {
    const y1 = min(y0 + TOGETHER, end);
    for (let k = 0; k < ampCount; k++) readAmp(task, amps + <usize>k * AMP_BYTES, k, y0, y1);
    for (let y = y0; y < y1; y++) {
      const rows = signals + <usize>(y - y0 + 1) * stride;
      levelRow(task, y);
      for (let k = 0; k < ampCount; k++) {
        marked += finishRow(task, amps + <usize>k * AMP_BYTES, rows + <usize>k * set, rows, y, y - y0, isNext);
      }
      isNext = true;
    }
    // The next rows find the one before where this band's first had its own.
    for (let k = 0; k < ampCount; k++) {
      const amp = amps + <usize>k * AMP_BYTES;
      if (load<f32>(amp, 48) == 0 && load<f32>(amp, 52) == 0) continue;
      const from = signals + <usize>k * set;
      memory.copy(from, from + <usize>(y1 - y0) * stride, (<usize>columns + 1) << 2);
    }
  }
  store<i32>(task, end, 88);
  return marked;
}

/** Signals of an amp's rows, above a level that has the others' usual crosstalk in it, and where they are loud. */
function readAmp(task: usize, amp: usize, k: i32, y0: i32, y1: i32): void {
  const rawWidth = <usize>load<i32>(task, 8) << 1, columns = load<i32>(task, 12), stride = <usize>load<u32>(task, 80);
  const reach = load<i32>(amp, 112), loudStride = Blocks.stride(columns);
  let out = <usize>load<u32>(task, 64) + <usize>(k * (TOGETHER + 1) + 1) * stride, highest = 0;
  let loud = <usize>load<u32>(task, 72) + <usize>(k * TOGETHER) * loudStride;
  for (let y = y0; y < y1; y++, out += stride, loud += loudStride) {
    const from = <usize>load<u32>(amp) + <usize>y * rawWidth;
    if (reach != 0) markLoud(from, columns, Usual.count(amp, y), reach, loud);
    const level = Usual.level(amp, y) + Usual.talk(task, amp, y);
    const high = signalRow(from - 2, level, <usize>load<u32>(amp, 8), columns, out);
    if (load<i32>(amp, 92) == 0) store<f32>(out, 0);
    highest = max(highest, high);
  }
  store<i32>(amp, highest, 84);
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

/** Each amp's usual signal in a row, as its signals have it. */
function levelRow(task: usize, y: i32): void {
  const ampCount = load<i32>(task, 4);
  let amp = <usize>load<u32>(task);
  for (let k = 0; k < ampCount; k++, amp += AMP_BYTES) {
    if (load<i32>(amp, 112) != 0) store<f32>(amp, Usual.signal(amp, y) - Usual.talk(task, amp, y), 104);
  }
}

/** The rest of what is to be done to a row of signals. @param rows The first amp's. Returns the pixels marked. */
function finishRow(task: usize, amp: usize, row: usize, rows: usize, y: i32, inBand: i32, isNext: bool): i32 {
  const columns = load<i32>(task, 12), stride = <usize>load<u32>(task, 80), line = <usize>load<u32>(task, 76);
  removeCrosstalk(task, amp, row + 4, rows + 4, inBand, columns);
  const serial = load<f32>(amp, 48), parallel = load<f32>(amp, 52);
  let pixels = row + 4;
  if (serial != 0 || parallel != 0) {
    withoutDeferral(
      row, isNext ? row - stride : row, columns, <usize>load<u32>(amp, 80), 1 + parallel * <f32>(y + 1),
      parallel * <f32>y, line,
    );
    pixels = line;
  }
  return storeRow(task, amp, pixels, <usize>load<u32>(amp) + <usize>y * (<usize>load<i32>(task, 8) << 1), y, columns);
}

function removeCrosstalk(task: usize, amp: usize, own: usize, signals: usize, inBand: i32, columns: i32): void {
  const amps = <usize>load<u32>(task), set = <usize>load<u32>(task, 80) * (TOGETHER + 1);
  const loudStride = Blocks.stride(columns), loud = <usize>load<u32>(task, 72) + <usize>inBand * loudStride;
  let entry = <usize>load<u32>(amp, 64);
  for (let rest = load<i32>(amp, 68); rest > 0; rest--, entry += 12) {
    const other = <usize>load<i32>(entry);
    withoutCrosstalk(
      own, signals + other * set, loud + other * TOGETHER * loudStride, load<i32>(entry, 8), load<f32>(entry, 4),
      load<f32>(amps + other * AMP_BYTES, 104), columns,
    );
  }
}

/** Brings a row's signals to their place on the detector, as electrons. Returns the pixels marked. */
function storeRow(task: usize, amp: usize, pixels: usize, raw: usize, y: i32, columns: i32): i32 {
  const image = <usize>load<u32>(task, 16), mask = <usize>load<u32>(task, 20), bias = <usize>load<u32>(task, 24);
  const isFinished = load<i32>(task, 60) != 0, dark = isFinished ? <usize>load<u32>(task, 28) : 0;
  const flat = isFinished ? <usize>load<u32>(task, 36) : 0, seconds = load<f32>(task, 32);
  const limits = <usize>load<u32>(task, 40), badBit = load<i32>(task, 44), missingBits = load<i32>(task, 48);
  const flip = load<i32>(amp, 20) != 0, offset = load<i32>(amp, 12) + y * load<i32>(amp, 16);
  const gain = load<f32>(amp, 24), c2 = load<f32>(amp, 28), c3 = load<f32>(amp, 32), isCurved = c2 != 0 || c3 != 0;
  const table = <usize>load<u32>(amp, 36), perAdu = load<f32>(amp, 40), last = load<f32>(amp, 44);
  const inverse = flat != 0 ? <usize>load<u32>(task, 92) : 0, one = f32x4.splat(1);
  if (load<i32>(amp, 116) != 0) return storeDead(task, amp, raw, offset, columns);
  const seconds4 = f32x4.splat(seconds), biasMax = v128.load32_splat(limits), darkMax = v128.load32_splat(limits, 4);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  const gain4 = f32x4.splat(gain), c24 = f32x4.splat(c2), c34 = f32x4.splat(c3), none = i16x8.splat(0);
  let marked = 0, j = 0;
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
      a = f32x4.sub(a, biasA);
      b = f32x4.sub(b, biasB);
      sound = v128.and(f32x4.le(f32x4.abs(biasA), biasMax), f32x4.le(f32x4.abs(biasB), biasMax));
    }
    if (isCurved) {
      a = f32x4.add(a, f32x4.mul(f32x4.mul(a, a), f32x4.add(c24, f32x4.mul(c34, a))));
      b = f32x4.add(b, f32x4.mul(f32x4.mul(b, b), f32x4.add(c24, f32x4.mul(c34, b))));
    }
    if (table != 0) {
      a = Pixel.byTable(a, table, perAdu, last);
      b = Pixel.byTable(b, table, perAdu, last);
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
    if (i32x4.all_true(sound)) continue;
    for (let i = 0; i < 8; i++) {
      marked += markPixel(task, image, mask, bias, dark, flat, to + i, limits, badBit, missingBits);
    }
  }
  for (; j < columns; j++) {
    const to = offset + j, at = <usize>to << 2;
    let w = load<f32>(pixels + (<usize>(flip ? columns - 1 - j : j) << 2));
    if (bias != 0) w -= load<f32>(bias + at);
    if (isCurved) w = w + (w * w) * (c2 + c3 * w);
    if (table != 0) w += Pixel.tableValue(table, perAdu, last, w);
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
