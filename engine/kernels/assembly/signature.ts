/**
 * Raw counts of all amps to electrons in one pass: overscan, crosstalk, deferred charge, bias, linearity, gain, and,
 * unless charge has to be put back first, dark and flat. The twins in `twins/signature.ts` define the results.
 *
 * The layout of `task` and of an amp's record is that of `engine/kernels/signature.ts`.
 */
import { storeRow } from './signatureRow';

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

/**
 * Rows `first` … `end` − 1 of the readout, of all amps.
 *
 * @param task [36] int32 or float32: amps, ampCount, rawWidth, columns, image, mask, bias, dark, seconds, flat, limits,
 *             badBit, missingBits, saturatedBit, suspectBit, isFinished, signals, odd, loud, line, stride, 1 once
 *             a pixel is NaN, next row, inverse, and records of `readable` of bias, dark and flat. `signals` is work: two
 *             rows of columns + 1 float32 for each amp, `stride` bytes apart, the row's own and that before, and one for
 *             all; `line` and `odd` are one more each. `loud` has LOUDNESSES × `Blocks.words` words for each amp.
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
