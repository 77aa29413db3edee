/** Repelled charge put back, dark off, flat divided. The twin in `twins/finish.ts` defines the results. */
import { readable } from './scaled';

/**
 * What flows into each pixel of a row by repulsion: x (2 q² − left² − right²) + y (2 q² − below² − above²), a
 * neighbour that is NaN or outside counting as the pixel itself. Adds it to `base`.
 *
 * @param below, above 0 outside the image.
 */
function restoreRow(
  base: usize, row: usize, below: usize, above: usize, x: f32, y: f32, count: i32, isGuarded: bool, out: usize,
): void {
  const x4 = f32x4.splat(x), y4 = f32x4.splat(y);
  store<f32>(out, restored(base, row, below, above, x, y, 0, count));
  let i = 1;
  if (!isGuarded && below != 0 && above != 0) {
    for (; i + 4 < count; i += 4) {
      const at = <usize>i << 2, q = v128.load(row + at), l = v128.load(row + at - 4), r = v128.load(row + at + 4);
      const d = v128.load(below + at), u = v128.load(above + at), q2 = f32x4.mul(q, q), two = f32x4.add(q2, q2);
      const across = f32x4.sub(f32x4.sub(two, f32x4.mul(l, l)), f32x4.mul(r, r));
      const along = f32x4.sub(f32x4.sub(two, f32x4.mul(d, d)), f32x4.mul(u, u));
      v128.store(out + at, f32x4.add(v128.load(base + at), f32x4.add(f32x4.mul(x4, across), f32x4.mul(y4, along))));
    }
  }
  for (; i + 4 < count; i += 4) {
    const at = <usize>i << 2, q = v128.load(row + at), q2 = f32x4.mul(q, q);
    const left = Square.or(v128.load(row + at - 4), q2), right = Square.or(v128.load(row + at + 4), q2);
    const down = below != 0 ? Square.or(v128.load(below + at), q2) : q2;
    const up = above != 0 ? Square.or(v128.load(above + at), q2) : q2;
    const two = f32x4.add(q2, q2);
    const across = f32x4.sub(f32x4.sub(two, left), right), along = f32x4.sub(f32x4.sub(two, down), up);
    v128.store(out + at, f32x4.add(v128.load(base + at), f32x4.add(f32x4.mul(x4, across), f32x4.mul(y4, along))));
  }
  for (; i < count; i++) store<f32>(out + (<usize>i << 2), restored(base, row, below, above, x, y, i, count));
}

class Square {
  /** Squares, or what stands for those of NaN. */
  @inline static or(v: v128, other: v128): v128 {
    return v128.bitselect(f32x4.mul(v, v), other, f32x4.eq(v, v));
  }
  @inline static one(at: usize, other: f32): f32 {
    const v = load<f32>(at);
    return v == v ? v * v : other;
  }
}

function restored(base: usize, row: usize, below: usize, above: usize, x: f32, y: f32, i: i32, count: i32): f32 {
  const at = <usize>i << 2, q = load<f32>(row + at), q2 = q * q;
  const left = i > 0 ? Square.one(row + at - 4, q2) : q2, right = i + 1 < count ? Square.one(row + at + 4, q2) : q2;
  const down = below != 0 ? Square.one(below + at, q2) : q2, up = above != 0 ? Square.one(above + at, q2) : q2;
  const across: f32 = q2 + q2 - left - right, along: f32 = q2 + q2 - down - up;
  return load<f32>(base + at) + (x * across + y * along);
}

/** Rows that each half of the image keeps of the first round, a power of 2. */
const KEPT = 8;

class Ring {
  /** Where the first round's result of a row lies; 0 outside the image. */
  @inline static row(task: usize, y: i32): usize {
    const height = load<i32>(task, 12), half = y + y < height ? 0 : KEPT;
    if (y < 0 || y >= height) return 0;
    return <usize>load<u32>(task, 56) + <usize>(half + (y & (KEPT - 1))) * <usize>load<u32>(task, 60);
  }
}

/**
 * First of two rounds in which repelled charge is put back, of rows `first` … `end` − 1: from what was read.
 *
 * @param task image, mask, width, height, dark, float32 seconds, flat, float32 parts per electron along x and y, limits
 *             (biasMax, which is not used, darkMax, responseMin, responseMax, float32), badBit, missingBits, plane of
 *             1 / response (0 for none), whether pixels may be NaN, work of 2 × KEPT + 1 rows of float32, their stride.
 *             Beyond the limits, from 80 on, records of `readable` of dark and flat.
 */
export function restoreRows(task: usize, first: i32, end: i32): void {
  const image = <usize>load<u32>(task), width = load<i32>(task, 8), height = load<i32>(task, 12);
  const rowBytes = <usize>width << 2, isGuarded = load<i32>(task, 52) != 0;
  for (let y = first; y < end; y++) {
    const p = image + <usize>y * rowBytes;
    restoreRow(
      p, p, y > 0 ? p - rowBytes : 0, y + 1 < height ? p + rowBytes : 0, load<f32>(task, 28), load<f32>(task, 32),
      width, isGuarded, Ring.row(task, y),
    );
  }
}

/** Second round, from the first's result of the rows themselves and those beside; dark, flat. Returns pixels marked. */
export function finishRows(task: usize, first: i32, end: i32): i32 {
  let marked = 0;
  for (let y = first; y < end; y++) marked += finishRow(task, y);
  return marked;
}

function finishRow(task: usize, y: i32): i32 {
  const width = load<i32>(task, 8), seconds = load<f32>(task, 20), limits = <usize>load<u32>(task, 36);
  const dark = readable(<usize>load<u32>(task, 16), task + 80, y * width, width), inverse = <usize>load<u32>(task, 48);
  const flat = readable(<usize>load<u32>(task, 24), task + 96, y * width, width);
  const start = <usize>(y * width) << 2, to = <usize>load<u32>(task) + start;
  const m = <usize>load<u32>(task, 4) + (start >> 1);
  const line = <usize>load<u32>(task, 56) + <usize>(2 * KEPT) * <usize>load<u32>(task, 60);
  restoreRow(
    to, Ring.row(task, y), Ring.row(task, y - 1), Ring.row(task, y + 1), load<f32>(task, 28), load<f32>(task, 32),
    width, load<i32>(task, 52) != 0, line,
  );
  const seconds4 = f32x4.splat(seconds), darkMax = v128.load32_splat(limits, 4), one = f32x4.splat(1);
  const least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  let i = 0, marked = 0;
  for (; i + 8 <= width; i += 8) {
    const at = <usize>i << 2;
    let a = v128.load(line + at), b = v128.load(line + at, 16);
    let sound = v128.and(f32x4.eq(a, a), f32x4.eq(b, b));
    if (dark != 0) {
      const currentA = v128.load(dark + start + at), currentB = v128.load(dark + start + at, 16);
      a = f32x4.sub(a, f32x4.mul(currentA, seconds4));
      b = f32x4.sub(b, f32x4.mul(currentB, seconds4));
      sound = v128.and(sound, v128.and(f32x4.le(currentA, darkMax), f32x4.le(currentB, darkMax)));
    }
    if (flat != 0) {
      const flatA = v128.load(flat + start + at), flatB = v128.load(flat + start + at, 16);
      const inverseA = f32x4.div(one, flatA), inverseB = f32x4.div(one, flatB);
      a = f32x4.mul(a, inverseA);
      b = f32x4.mul(b, inverseB);
      if (inverse != 0) {
        v128.store(inverse + start + at, inverseA);
        v128.store(inverse + start + at, inverseB, 16);
      }
      sound = v128.and(sound, v128.and(f32x4.ge(flatA, least), f32x4.ge(flatB, least)));
      sound = v128.and(sound, v128.and(f32x4.le(flatA, most), f32x4.le(flatB, most)));
    }
    v128.store(to + at, a);
    v128.store(to + at, b, 16);
    if (i32x4.bitmask(sound) == 15) continue;
    for (let k = i; k < i + 8; k++) marked += markOdd(task, dark, flat, to, m, start, k);
  }
  for (; i < width; i++) {
    const at = <usize>i << 2;
    let value = load<f32>(line + at);
    if (dark != 0) value -= load<f32>(dark + start + at) * seconds;
    if (flat != 0) {
      const portion: f32 = <f32>1 / load<f32>(flat + start + at);
      value *= portion;
      if (inverse != 0) store<f32>(inverse + start + at, portion);
    }
    store<f32>(to + at, value);
    marked += markOdd(task, dark, flat, to, m, start, i);
  }
  return marked;
}

/** Marks a pixel that the calibrations do not want; where they have no response it becomes NaN. 1 when it is marked. */
function markOdd(task: usize, dark: usize, flat: usize, row: usize, mask: usize, start: usize, i: i32): i32 {
  const at = <usize>i << 2, limits = <usize>load<u32>(task, 36), m = mask + (<usize>i << 1);
  let isSound = dark == 0 || load<f32>(dark + start + at) <= load<f32>(limits, 4);
  if (flat != 0) {
    const response = load<f32>(flat + start + at);
    if (!(response > 0)) store<f32>(row + at, f32.NaN);
    isSound = isSound && response >= load<f32>(limits, 8) && response <= load<f32>(limits, 12);
  }
  const value = load<f32>(row + at);
  if (isSound && value == value) return 0;
  store<u16>(m, load<u16>(m) | <u16>(value == value ? load<i32>(task, 40) : load<i32>(task, 44)));
  return 1;
}
