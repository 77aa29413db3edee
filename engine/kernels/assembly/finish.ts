/** Repelled charge put back, dark off, flat divided. The twin in `twins/finish.ts` defines the results. */
import { readable, Stored } from './scaled';

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

/** Where the task's records of `readable` lie. */
const DARK: usize = 80, FLAT: usize = 100;

function finishRow(task: usize, y: i32): i32 {
  const width = load<i32>(task, 8), first = y * width, to = <usize>load<u32>(task) + (<usize>first << 2);
  const stride = <usize>load<u32>(task, 60), line = <usize>load<u32>(task, 56) + <usize>(2 * KEPT) * stride;
  restoreRow(
    to, Ring.row(task, y), Ring.row(task, y - 1), Ring.row(task, y + 1), load<f32>(task, 28), load<f32>(task, 32),
    width, load<i32>(task, 52) != 0, line,
  );
  const isScaled = (load<u32>(task, 16) | load<u32>(task, 24)) == 0 && Stored.isKnown(task + DARK)
    && Stored.isKnown(task + FLAT), eights = width & ~7;
  const marked = isScaled ? finishScaled(task, line, to, first, eights) : finishFloats(task, line, to, first, eights);
  return marked + finishRest(task, line, to, first, eights, width);
}

/** Whole eights of a row whose calibrations are in 16 bits. Returns pixels marked. */
function finishScaled(task: usize, line: usize, to: usize, first: i32, eights: i32): i32 {
  const darks = <usize>load<u32>(task, DARK), flats = <usize>load<u32>(task, FLAT), seconds = v128.load32_splat(task, 20);
  const darkScale = Stored.scale(task + DARK), darkZero = Stored.zero(task + DARK), one = f32x4.splat(1);
  const flatScale = Stored.scale(task + FLAT), flatZero = Stored.zero(task + FLAT);
  const inverse = flats != 0 ? <usize>load<u32>(task, 48) : 0;
  let marked = 0;
  for (let i = 0; i < eights; i += 8) {
    const at = <usize>i << 2, place = <usize>(first + i) << 1;
    let a = v128.load(line + at), b = v128.load(line + at, 16), beyond = i16x8.splat(0);
    const isNumber = v128.and(f32x4.eq(a, a), f32x4.eq(b, b));
    if (darks != 0) {
      const stored = v128.load(darks + place);
      beyond = Stored.beyond(stored, task + DARK);
      a = f32x4.sub(a, f32x4.mul(Stored.low(stored, darkScale, darkZero), seconds));
      b = f32x4.sub(b, f32x4.mul(Stored.high(stored, darkScale, darkZero), seconds));
    }
    if (flats != 0) {
      const stored = v128.load(flats + place);
      beyond = v128.or(beyond, Stored.beyond(stored, task + FLAT));
      const inverseA = f32x4.div(one, Stored.low(stored, flatScale, flatZero));
      const inverseB = f32x4.div(one, Stored.high(stored, flatScale, flatZero));
      a = f32x4.mul(a, inverseA);
      b = f32x4.mul(b, inverseB);
      if (inverse != 0) {
        v128.store(inverse + (place << 1), inverseA);
        v128.store(inverse + (place << 1), inverseB, 16);
      }
    }
    v128.store(to + at, a);
    v128.store(to + at, b, 16);
    if (v128.any_true(v128.or(beyond, v128.not(isNumber)))) marked += markEight(task, to, first, i);
  }
  return marked;
}

/** As `finishScaled`, of calibrations of which some are float32, or hardly one stored number is wanted. */
function finishFloats(task: usize, line: usize, to: usize, first: i32, eights: i32): i32 {
  const width = load<i32>(task, 8), limits = <usize>load<u32>(task, 36), start = <usize>first << 2;
  const dark = readable(<usize>load<u32>(task, 16), task + DARK, first, width), one = f32x4.splat(1);
  const flat = readable(<usize>load<u32>(task, 24), task + FLAT, first, width);
  const inverse = flat != 0 ? <usize>load<u32>(task, 48) : 0, seconds = v128.load32_splat(task, 20);
  const darkMax = v128.load32_splat(limits, 4), least = v128.load32_splat(limits, 8), most = v128.load32_splat(limits, 12);
  let marked = 0;
  for (let i = 0; i < eights; i += 8) {
    const at = <usize>i << 2;
    let a = v128.load(line + at), b = v128.load(line + at, 16);
    let sound = v128.and(f32x4.eq(a, a), f32x4.eq(b, b));
    if (dark != 0) {
      const currentA = v128.load(dark + start + at), currentB = v128.load(dark + start + at, 16);
      a = f32x4.sub(a, f32x4.mul(currentA, seconds));
      b = f32x4.sub(b, f32x4.mul(currentB, seconds));
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
    if (i32x4.bitmask(sound) != 15) marked += markEight(task, to, first, i);
  }
  return marked;
}

/** The last columns, fewer than eight. Returns pixels marked. */
function finishRest(task: usize, line: usize, to: usize, first: i32, from: i32, width: i32): i32 {
  if (from == width) return 0;
  const count = width - from, dark = readable(<usize>load<u32>(task, 16), task + DARK, first + from, count);
  const flat = readable(<usize>load<u32>(task, 24), task + FLAT, first + from, count), start = <usize>first << 2;
  const inverse = flat != 0 ? <usize>load<u32>(task, 48) : 0, seconds = load<f32>(task, 20);
  let marked = 0;
  for (let i = from; i < width; i++) {
    const at = <usize>i << 2;
    let value = load<f32>(line + at);
    if (dark != 0) value -= load<f32>(dark + start + at) * seconds;
    if (flat != 0) {
      const portion: f32 = <f32>1 / load<f32>(flat + start + at);
      value *= portion;
      if (inverse != 0) store<f32>(inverse + start + at, portion);
    }
    store<f32>(to + at, value);
    marked += markOdd(task, dark, flat, to, first, i);
  }
  return marked;
}

/** Looks at eight pixels of a row from the i-th on. Returns pixels marked. */
function markEight(task: usize, row: usize, first: i32, i: i32): i32 {
  const dark = readable(<usize>load<u32>(task, 16), task + DARK, first + i, 8);
  const flat = readable(<usize>load<u32>(task, 24), task + FLAT, first + i, 8);
  let marked = 0;
  for (let k = i; k < i + 8; k++) marked += markOdd(task, dark, flat, row, first, k);
  return marked;
}

/** Marks a pixel that the calibrations do not want; where they have no value it becomes NaN. 1 when it is marked. */
function markOdd(task: usize, dark: usize, flat: usize, row: usize, first: i32, i: i32): i32 {
  const at = <usize>i << 2, limits = <usize>load<u32>(task, 36), plane = <usize>(first + i) << 2;
  const m = <usize>load<u32>(task, 4) + (plane >> 1), inverse = <usize>load<u32>(task, 48);
  let isSound = true;
  if (dark != 0) {
    const current = load<f32>(dark + plane);
    if (current != current) store<f32>(row + at, f32.NaN);
    isSound = current <= load<f32>(limits, 4);
  }
  if (flat != 0) {
    const response = load<f32>(flat + plane);
    if (!(response > 0)) store<f32>(row + at, f32.NaN);
    if (inverse != 0) store<f32>(inverse + plane, <f32>1 / response);
    isSound = isSound && response >= load<f32>(limits, 8) && response <= load<f32>(limits, 12);
  }
  const value = load<f32>(row + at);
  if (isSound && value == value) return 0;
  store<u16>(m, load<u16>(m) | <u16>(value == value ? load<i32>(task, 40) : load<i32>(task, 44)));
  return 1;
}
