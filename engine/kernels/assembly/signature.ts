/**
 * Raw counts of all amps to electrons in one pass: overscan, crosstalk, deferred charge, bias, linearity, gain, and,
 * unless charge has to be put back first, dark and flat. The twins in `twins/signature.ts` define the results.
 *
 * The layout of `task` and of an amp's record is that of `engine/kernels/signature.ts`.
 */

const AMP_BYTES: usize = 96;

class Four {
  @inline static reverse(v: v128): v128 { return v128.shuffle<i32>(v, v, 3, 2, 1, 0); }
  @inline static counts(low: v128, level: v128): v128 { return f32x4.sub(f32x4.convert_i32x4_u(low), level); }
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

/** Takes the other amps' parts out of a row of `count` signals, first the first of them. */
function withoutCrosstalk(
  signals: usize, stride: usize, own: usize, entries: usize, entryCount: i32, count: i32, out: usize,
): void {
  let x = 0;
  for (; x + 16 <= count; x += 16) {
    const at = <usize>x << 2;
    let a = v128.load(own + at), b = v128.load(own + at, 16), c = v128.load(own + at, 32), d = v128.load(own + at, 48);
    for (let k = 0, entry = entries; k < entryCount; k++, entry += 8) {
      const other = signals + <usize>load<i32>(entry) * stride + at, part = v128.load32_splat(entry, 4);
      a = f32x4.sub(a, f32x4.mul(part, v128.load(other)));
      b = f32x4.sub(b, f32x4.mul(part, v128.load(other, 16)));
      c = f32x4.sub(c, f32x4.mul(part, v128.load(other, 32)));
      d = f32x4.sub(d, f32x4.mul(part, v128.load(other, 48)));
    }
    v128.store(out + at, a); v128.store(out + at, b, 16); v128.store(out + at, c, 32); v128.store(out + at, d, 48);
  }
  for (; x < count; x++) {
    const at = <usize>x << 2;
    let value = load<f32>(own + at);
    for (let k = 0, entry = entries; k < entryCount; k++, entry += 8) {
      value -= load<f32>(entry, 4) * load<f32>(signals + <usize>load<i32>(entry) * stride + at);
    }
    store<f32>(out + at, value);
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
 * Rows `first` … `end` − 1 of the readout, of all amps.
 *
 * @param task [22] int32 or float32: amps, ampCount, rawWidth, columns, image, mask, bias, dark, seconds, flat, limits,
 *             badBit, missingBits, saturatedBit, suspectBit, isFinished, signals, clean, before, line. The last four
 *             are work: three sets of rows of ⌈columns⌉ + 1 float32, `stride` bytes apart, and one row; then
 *             stride, and 1 once a pixel is NaN.
 * @returns Pixels that calibrations mark.
 */
export function removeSignature(task: usize, first: i32, end: i32): i32 {
  const amps = <usize>load<u32>(task), ampCount = load<i32>(task, 4), rawWidth = <usize>load<i32>(task, 8) << 1;
  const columns = load<i32>(task, 12), signals = <usize>load<u32>(task, 64), stride = <usize>load<u32>(task, 80);
  let clean = <usize>load<u32>(task, 68), before = <usize>load<u32>(task, 72), marked = 0;
  const line = <usize>load<u32>(task, 76);
  for (let y = first; y < end; y++) {
    for (let k = 0; k < ampCount; k++) {
      const amp = amps + <usize>k * AMP_BYTES, from = <usize>load<u32>(amp) + <usize>y * rawWidth;
      const out = signals + <usize>k * stride, level = load<f32>(<usize>load<u32>(amp, 4) + (<usize>y << 2));
      store<i32>(amp, signalRow(from - 2, level, <usize>load<u32>(amp, 8), columns, out), 84);
      if (load<i32>(amp, 92) == 0) store<f32>(out, 0);
    }
    for (let k = 0; k < ampCount; k++) {
      const amp = amps + <usize>k * AMP_BYTES, own = signals + <usize>k * stride, count = load<i32>(amp, 68);
      let row = own;
      if (count > 0) {
        row = clean + <usize>k * stride;
        withoutCrosstalk(signals, stride, own, <usize>load<u32>(amp, 64), count, columns + 1, row);
      } else if (load<f32>(amp, 52) != 0) {
        row = clean + <usize>k * stride;
        memory.copy(row, own, (<usize>columns + 1) << 2);
      }
      const serial = load<f32>(amp, 48), parallel = load<f32>(amp, 52);
      let pixels = row + 4;
      if (serial != 0 || parallel != 0) {
        const previous = y > 0 ? before + <usize>k * stride : row;
        withoutDeferral(
          row, previous, columns, <usize>load<u32>(amp, 80), 1 + parallel * <f32>(y + 1), parallel * <f32>y, line,
        );
        pixels = line;
      }
      marked += storeRow(task, amp, pixels, <usize>load<u32>(amp) + <usize>y * rawWidth, y, columns);
    }
    const swap = clean;
    clean = before;
    before = swap;
  }
  // The next band finds its previous row where this one left it.
  store<u32>(task, <u32>clean, 68);
  store<u32>(task, <u32>before, 72);
  return marked;
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
  const seconds4 = f32x4.splat(seconds), biasMax = v128.load32_splat(limits), darkMax = v128.load32_splat(limits, 4);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  const gain4 = f32x4.splat(gain), c24 = f32x4.splat(c2), c34 = f32x4.splat(c3), none = i16x8.splat(0);
  let marked = 0, j = 0;
  for (; j + 8 <= columns; j += 8) {
    const to = offset + (flip ? columns - 8 - j : j), at = <usize>to << 2;
    let a = v128.load(pixels + (<usize>j << 2)), b = v128.load(pixels + (<usize>j << 2), 16), sound = i16x8.splat(-1);
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
      a = f32x4.div(a, flatA);
      b = f32x4.div(b, flatB);
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
    const to = offset + (flip ? columns - 1 - j : j), at = <usize>to << 2;
    let w = load<f32>(pixels + (<usize>j << 2));
    if (bias != 0) w -= load<f32>(bias + at);
    if (isCurved) w = w + (w * w) * (c2 + c3 * w);
    if (table != 0) w += Pixel.tableValue(table, perAdu, last, w);
    let value = w * gain;
    if (dark != 0) value -= load<f32>(dark + at) * seconds;
    if (flat != 0) value = value / load<f32>(flat + at);
    store<f32>(image + at, value);
    store<u16>(mask + (<usize>to << 1), 0);
    marked += markPixel(task, image, mask, bias, dark, flat, to, limits, badBit, missingBits);
  }
  if (load<i32>(amp, 84) >= load<i32>(amp, 56)) markHigh(task, amp, raw, mask, offset, columns);
  return marked;
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
