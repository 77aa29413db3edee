/** Variance of the light that is expected. The twin in `twins/variance.ts` defines the result. */

class Light {
  /** Of a column: that of the rows below and above, and the pixel's twice. */
  @inline static column(below: usize, here: usize, above: usize, at: usize): v128 {
    const value = v128.load(here + at);
    return f32x4.add(f32x4.add(v128.load(below + at), v128.load(above + at)), f32x4.add(value, value));
  }

  /** 1-2-1 × 1-2-1, from the columns. */
  @inline static sum(left: v128, own: v128, right: v128): v128 {
    return f32x4.add(f32x4.add(left, right), f32x4.add(own, own));
  }

  @inline static variance(light: v128, read: v128, inverse: v128): v128 {
    return f32x4.mul(f32x4.add(light, f32x4.mul(read, inverse)), inverse);
  }
}

/** Side of the blocks in which the sky has one level, and bytes of what is known of one. */
const BLOCK = 8, BLOCK_BYTES: usize = 16;

/**
 * Rows `first` … `end` − 1, in any order.
 *
 * @param task image, variance, width, height, whether the variance holds 1 / response, cells [rows × columns] float32,
 *             columns, rows, read noise rows [width] float32, their byte offsets [height]; float64 cell width and
 *             height; float32 significances from which a pixel's own light, or 16 times the smoothed light, counts, and
 *             from which a pixel may be sharp; its limit (20 × the square of the sharpness). From 96 on the
 *             lists: mask, or 0 for none; bits beside which nothing is sharp, bits that are listed; list of the sharp,
 *             its room, how many were found; the same of the marked, each with its bits. Then work: 48 bytes for each 8
 *             pixels of a row; `BLOCK_BYTES` for each block of a row, twice; the row of blocks that each is of, or -1;
 *             for each block of a row how far it is from the centre of the cell before it, in cells, float64, and the
 *             offset of that cell in a row of cells, int32, every 16 bytes.
 */
export function varianceRows(task: usize, first: i32, end: i32): void {
  const image = <usize>load<u32>(task), variance = <usize>load<u32>(task, 4), width = load<i32>(task, 8);
  const height = load<i32>(task, 12), reads = <usize>load<u32>(task, 32), readsAt = <usize>load<u32>(task, 36);
  const rowBytes = <usize>width << 2, hasInverse = load<i32>(task, 16) != 0;
  for (let y = first; y < end; y++) {
    const here = image + <usize>y * rowBytes, below = y > 0 ? here - rowBytes : here;
    const above = y + 1 < height ? here + rowBytes : here, out = variance + <usize>y * rowBytes;
    const read = reads + <usize>load<u32>(readsAt + (<usize>y << 2));
    if (!hasInverse) for (let x = 0; x < width; x++) store<f32>(out + (<usize>x << 2), 1);
    fillRow(task, y, below, here, above, out, read, blocksOf(task, y));
    if (load<u32>(task, 96) != 0) listMarked(task, y, width);
  }
}

/** What is known of the blocks of a row: made anew when the row before in its half of the image was of others. */
function blocksOf(task: usize, y: i32): usize {
  const width = load<i32>(task, 8), half = y + y < load<i32>(task, 12) ? 0 : 1, row = y / BLOCK;
  const count = (width + BLOCK - 1) / BLOCK, known = task + 140 + (<usize>half << 2);
  const blocks = <usize>load<u32>(task, 136) + <usize>(half * count) * BLOCK_BYTES;
  if (load<i32>(known) == row) return blocks;
  store<i32>(known, row);
  const cells = <usize>load<u32>(task, 20), columns = load<i32>(task, 24), rows = load<i32>(task, 28);
  const read = <usize>load<u32>(task, 32) + <usize>load<u32>(<usize>load<u32>(task, 36) + (<usize>(row * BLOCK) << 2));
  const cellHeight = load<f64>(task, 48);
  const v = rows == 1 ? 0 : (<f64>(row * BLOCK) + 4) / cellHeight - 0.5;
  const low = min(max(<i32>floor(v), 0), max(rows - 2, 0)), part = rows == 1 ? 0 : v - <f64>low;
  const lower = cells + (<usize>(low * columns) << 2), upper = cells + (<usize>(min(low + 1, rows - 1) * columns) << 2);
  const step: usize = columns > 1 ? 4 : 0;
  let at = blocks, place = <usize>load<u32>(task, 148);
  for (let x = 0; x < width; x += BLOCK, at += BLOCK_BYTES, place += 16) {
    const here = <usize>load<u32>(place, 8), next = here + step, share = load<f64>(place);
    const left = <f64>load<f32>(lower + here) * (1 - part) + <f64>load<f32>(upper + here) * part;
    const right = <f64>load<f32>(lower + next) * (1 - part) + <f64>load<f32>(upper + next) * part;
    const level = <f32>(left * (1 - share) + right * share), light: f32 = level > 0 ? level : 0;
    const sigma = sqrt<f32>(light + load<f32>(read + (<usize>x << 2)));
    store<f32>(at, light);
    store<f32>(at, level * 16 + load<f32>(task, 60) * sigma, 4);
    store<f32>(at, level + load<f32>(task, 56) * sigma, 8);
    store<f32>(at, level + load<f32>(task, 64) * sigma, 12);
  }
  return blocks;
}

/** Adds the marked pixels of a row to their list. */
function listMarked(task: usize, y: i32, width: i32): void {
  const wanted = load<i32>(task, 104), wanted8 = i16x8.splat(<i16>wanted), start = y * width;
  let mask = <usize>load<u32>(task, 96) + (<usize>start << 1), x = 0;
  for (; x + 16 <= width; x += 16, mask += 32) {
    const a = v128.and(v128.load(mask), wanted8), b = v128.and(v128.load(mask, 16), wanted8);
    if (!v128.any_true(v128.or(a, b))) continue;
    for (let k = 0; k < 16; k++) appendMarked(task, <i32>load<u16>(mask + (<usize>k << 1)) & wanted, start + x + k);
  }
  for (; x < width; x++, mask += 2) appendMarked(task, <i32>load<u16>(mask) & wanted, start + x);
}

/** Adds a pixel and its bits, where it has any. */
function appendMarked(task: usize, bits: i32, i: i32): void {
  if (bits == 0) return;
  const found = load<i32>(task, 128), at = <usize>load<u32>(task, 120) + (<usize>found << 3);
  store<i32>(task, found + 1, 128);
  if (found >= load<i32>(task, 124)) return;
  store<i32>(at, i);
  store<i32>(at, bits, 4);
}

/** Lists a sharp pixel, unless it lies at the image's edge or beside a pixel that hides what is sharp. */
function addSharp(task: usize, y: i32, x: i32): void {
  const width = load<i32>(task, 8), mask = <usize>load<u32>(task, 96), row = <usize>width << 1;
  if (mask == 0 || x < 1 || y < 1 || x + 1 >= width || y + 1 >= load<i32>(task, 12)) return;
  const i = y * width + x, m = mask + (<usize>i << 1) - 2, blocking = load<i32>(task, 100);
  if (((three(m - row) | three(m) | three(m + row)) & blocking) != 0) return;
  const found = load<i32>(task, 116);
  store<i32>(task, found + 1, 116);
  if (found < load<i32>(task, 112)) store<i32>(<usize>load<u32>(task, 108) + (<usize>found << 2), i);
}

/** Bits of three pixels beside each other. */
function three(m: usize): i32 {
  return <i32>load<u16>(m) | <i32>load<u16>(m, 2) | <i32>load<u16>(m, 4);
}

/**
 * Most pixels see nothing but the sky. Eights in which some may see more, or be sharp, are listed first, by a loop that
 * keeps its numbers in registers; their variances are made apart and take their places when all have the sky's.
 */
function fillRow(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, blocks: usize,
): void {
  const width = load<i32>(task, 8), list = <usize>load<u32>(task, 132), inner = max((width - 4) & ~(BLOCK - 1), 0);
  // The row's ends have no neighbours beyond.
  const first = min(BLOCK, width), end = max(first, inner);
  for (let x = 0; x < first; x++) fillPixel(task, y, below, here, above, out, read, x, blocks);
  const listed = listBright(below, here, above, first, end, blocks, list);
  const results = (listed + 15) & ~15;
  let result = results;
  for (let entry = list; entry < listed; entry += 4, result += 32) {
    const x = load<i32>(entry) >> 8, quiet = load<i32>(entry) & 255, at = out + (<usize>x << 2);
    const block = blocks + <usize>(x / BLOCK) * BLOCK_BYTES;
    if ((quiet & 15) != 15) v128.store(result, fourOf(task, y, below, here, above, out, read, x, block));
    else v128.store(result, Light.variance(v128.load32_splat(block), v128.load(read + (<usize>x << 2)), v128.load(at)));
    if ((quiet >> 4) != 15) v128.store(result, fourOf(task, y, below, here, above, out, read, x + 4, block), 16);
    else {
      const sky = v128.load32_splat(block), inverse = v128.load(at, 16);
      v128.store(result, Light.variance(sky, v128.load(read + (<usize>x << 2), 16), inverse), 16);
    }
  }
  fillSky(first, end, blocks, read, out);
  result = results;
  for (let entry = list; entry < listed; entry += 4, result += 32) {
    const to = out + (<usize>(load<i32>(entry) >> 8) << 2);
    v128.store(to, v128.load(result));
    v128.store(to, v128.load(result, 16), 16);
  }
  for (let x = end; x < width; x++) fillPixel(task, y, below, here, above, out, read, x, blocks);
}

/** Lists eights with pixels that see more than the sky or may be sharp: x × 256 + bits of those that do not. */
function listBright(
  below: usize, here: usize, above: usize, first: i32, end: i32, blocks: usize, list: usize,
): usize {
  let at = <usize>first << 2, block = blocks + <usize>(first / BLOCK) * BLOCK_BYTES;
  if (first >= end) return list;
  let before = Light.column(below, here, above, at - 16), a = Light.column(below, here, above, at);
  for (let x = first; x < end; x += BLOCK, at += 32, block += BLOCK_BYTES) {
    const b = Light.column(below, here, above, at + 16), after = Light.column(below, here, above, at + 32);
    const source = v128.load32_splat(block, 4), high = v128.load32_splat(block, 12);
    const sumA = Light.sum(v128.shuffle<f32>(before, a, 3, 4, 5, 6), a, v128.shuffle<f32>(a, b, 1, 2, 3, 4));
    const sumB = Light.sum(v128.shuffle<f32>(a, b, 3, 4, 5, 6), b, v128.shuffle<f32>(b, after, 1, 2, 3, 4));
    const quietA = v128.and(f32x4.le(sumA, source), f32x4.le(v128.load(here + at), high));
    const quietB = v128.and(f32x4.le(sumB, source), f32x4.le(v128.load(here + at, 16), high));
    const quiet = i32x4.bitmask(quietA) | (i32x4.bitmask(quietB) << 4);
    store<i32>(list, (x << 8) | quiet);
    list += quiet == 255 ? 0 : 4;
    before = b;
    a = after;
  }
  return list;
}

/** Variances of whole eights that see the sky alone, in place of 1 / response. */
function fillSky(first: i32, end: i32, blocks: usize, read: usize, out: usize): void {
  let block = blocks + <usize>(first / BLOCK) * BLOCK_BYTES;
  read += <usize>first << 2;
  out += <usize>first << 2;
  for (let x = first; x < end; x += BLOCK, block += BLOCK_BYTES, read += 32, out += 32) {
    const light = v128.load32_splat(block);
    v128.store(out, Light.variance(light, v128.load(read), v128.load(out)));
    v128.store(out, Light.variance(light, v128.load(read, 16), v128.load(out, 16)), 16);
  }
}

/** Variances of four pixels, not at the row's ends, of which some may see more than the sky; lists the sharp ones. */
function fourOf(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, x: i32, block: usize,
): v128 {
  const at = <usize>x << 2, value = v128.load(here + at), twice = f32x4.add(value, value);
  const sum = Light.sum(
    Light.column(below, here, above, at - 4), Light.column(below, here, above, at),
    Light.column(below, here, above, at + 4),
  );
  const sixteenth = f32x4.splat(0.0625), zero = f32x4.splat(0);
  const smooth = f32x4.pmax(zero, f32x4.mul(sum, sixteenth)), isBright = f32x4.gt(value, v128.load32_splat(block, 8));
  const isSource = f32x4.gt(sum, v128.load32_splat(block, 4));
  const light = v128.bitselect(v128.bitselect(value, smooth, isBright), v128.load32_splat(block), isSource);
  const variance = v128.bitselect(
    Light.variance(light, v128.load(read + at), v128.load(out + at)), f32x4.splat(f32.NaN), f32x4.eq(value, value),
  );
  const vertical = f32x4.add(v128.load(below + at), v128.load(above + at));
  const four = f32x4.add(vertical, f32x4.add(v128.load(here + at - 4), v128.load(here + at + 4)));
  const rise = f32x4.sub(f32x4.add(twice, twice), four), limit = f32x4.mul(variance, v128.load32_splat(task, 68));
  const isHigh = v128.and(f32x4.gt(value, v128.load32_splat(block, 12)), f32x4.gt(rise, zero));
  const isSharp = v128.and(isHigh, f32x4.gt(f32x4.mul(rise, rise), limit));
  for (let lanes = i32x4.bitmask(isSharp); lanes != 0; lanes &= lanes - 1) addSharp(task, y, x + ctz(lanes));
  return variance;
}

class One {
  /** As `Light.column`. */
  @inline static column(below: usize, here: usize, above: usize, x: i32): f32 {
    const at = <usize>x << 2, value = load<f32>(here + at);
    return (load<f32>(below + at) + load<f32>(above + at)) + (value + value);
  }
}

function fillPixel(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, x: i32, blocks: usize,
): void {
  const width = load<i32>(task, 8), at = <usize>x << 2, value = load<f32>(here + at), inverse = load<f32>(out + at);
  const left = max(x - 1, 0), right = min(x + 1, width - 1), block = blocks + <usize>(x / BLOCK) * BLOCK_BYTES;
  const own = One.column(below, here, above, x);
  const sum: f32 = (One.column(below, here, above, left) + One.column(below, here, above, right)) + (own + own);
  let light = load<f32>(block);
  if (sum > load<f32>(block, 4)) light = value > load<f32>(block, 8) ? value : sum > 0 ? sum * <f32>0.0625 : 0;
  const result = (light + load<f32>(read + at) * inverse) * inverse;
  const beside: f32 = load<f32>(here + (<usize>left << 2)) + load<f32>(here + (<usize>right << 2));
  const four: f32 = (load<f32>(below + at) + load<f32>(above + at)) + beside, rise: f32 = 4 * value - four;
  store<f32>(out + at, value == value ? result : f32.NaN);
  if (value > load<f32>(block, 12) && rise > 0 && rise * rise > result * load<f32>(task, 68)) addSharp(task, y, x);
}
