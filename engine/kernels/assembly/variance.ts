/** Variance of the light that is expected. The twin in `twins/variance.ts` defines the result. */

class Light {
  /** The rows below and above. */
  @inline static vertical(below: usize, above: usize, at: usize): v128 {
    return f32x4.add(v128.load(below + at), v128.load(above + at));
  }

  /** Light of the four neighbours. @param before The pixel before the first of the row's own. */
  @inline static four(vertical: v128, before: usize): v128 {
    return f32x4.add(vertical, f32x4.add(v128.load(before), v128.load(before, 8)));
  }

  /** 1-2-1 × 1-2-1: that of the corners, once, of the neighbours, twice, and the pixel's, four times. */
  @inline static sum(corners: v128, four: v128, twice: v128): v128 {
    const cross = f32x4.add(four, twice);
    return f32x4.add(corners, f32x4.add(cross, cross));
  }

  /** Four times the height over the mean of the four neighbours. */
  @inline static rise(twice: v128, four: v128): v128 {
    return f32x4.sub(f32x4.add(twice, twice), four);
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
 *             from which four times a height may be sharp; its limit (20 × the square of the sharpness). From 96 on the
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
    store<f32>(at, load<f32>(task, 64) * sigma, 12);
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
 * Eight pixels at a time are taken to see nothing but the sky; those that may see more are listed with their
 * 1 / response, and done again: a loop without branches keeps its numbers in registers.
 */
function fillRow(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, blocks: usize,
): void {
  const width = load<i32>(task, 8), list = <usize>load<u32>(task, 132);
  let x = 0, next = list;
  // The row's ends have no neighbours beyond.
  for (; x < min(BLOCK, width); x++) {
    fillPixel(task, y, below, here, above, out, read, x, blocks, load<f32>(out + (<usize>x << 2)));
  }
  if (x + 12 <= width) {
    let at = <usize>x << 2, before = Light.vertical(below, above, at - 16), a = Light.vertical(below, above, at);
    for (let block = blocks + BLOCK_BYTES; x + 12 <= width; x += BLOCK, block += BLOCK_BYTES) {
      at = <usize>x << 2;
      const light = v128.load32_splat(block), inverseA = v128.load(out + at), inverseB = v128.load(out + at, 16);
      v128.store(next, inverseA);
      v128.store(next, inverseB, 16);
      store<i32>(next, x, 32);
      v128.store(out + at, Light.variance(light, v128.load(read + at), inverseA));
      v128.store(out + at, Light.variance(light, v128.load(read + at, 16), inverseB), 16);
      const b = Light.vertical(below, above, at + 16), after = Light.vertical(below, above, at + 32);
      const fourA = Light.four(a, here + at - 4), fourB = Light.four(b, here + at + 12);
      const valueA = v128.load(here + at), valueB = v128.load(here + at, 16);
      const twiceA = f32x4.add(valueA, valueA), twiceB = f32x4.add(valueB, valueB);
      const cornersA = f32x4.add(v128.shuffle<f32>(before, a, 3, 4, 5, 6), v128.shuffle<f32>(a, b, 1, 2, 3, 4));
      const cornersB = f32x4.add(v128.shuffle<f32>(a, b, 3, 4, 5, 6), v128.shuffle<f32>(b, after, 1, 2, 3, 4));
      const source = v128.load32_splat(block, 4), sharp = v128.load32_splat(block, 12);
      const quietA = f32x4.le(Light.sum(cornersA, fourA, twiceA), source);
      const quietB = f32x4.le(Light.sum(cornersB, fourB, twiceB), source);
      const flatA = f32x4.le(Light.rise(twiceA, fourA), sharp), flatB = f32x4.le(Light.rise(twiceB, fourB), sharp);
      const quiet = i32x4.bitmask(v128.and(quietA, flatA)) | (i32x4.bitmask(v128.and(quietB, flatB)) << 4);
      store<i32>(next, quiet, 36);
      next += quiet == 255 ? 0 : 48;
      before = b;
      a = after;
    }
  }
  for (let entry = list; entry < next; entry += 48) {
    const from = load<i32>(entry, 32), quiet = load<i32>(entry, 36);
    const block = blocks + <usize>(from / BLOCK) * BLOCK_BYTES;
    if ((quiet & 15) != 15) fillFour(task, y, below, here, above, out, read, from, block, v128.load(entry));
    if ((quiet >> 4) != 15) fillFour(task, y, below, here, above, out, read, from + 4, block, v128.load(entry, 16));
  }
  for (; x < width; x++) {
    fillPixel(task, y, below, here, above, out, read, x, blocks, load<f32>(out + (<usize>x << 2)));
  }
}

/** Four pixels, not at the row's ends, of which some may see more than the sky, or be sharp. */
function fillFour(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, x: i32, block: usize,
  inverse: v128,
): void {
  const at = <usize>x << 2, value = v128.load(here + at), twice = f32x4.add(value, value);
  const four = Light.four(Light.vertical(below, above, at), here + at - 4);
  const corners = f32x4.add(Light.vertical(below, above, at - 4), Light.vertical(below, above, at + 4));
  const sum = Light.sum(corners, four, twice), sixteenth = f32x4.splat(0.0625), zero = f32x4.splat(0);
  const smooth = f32x4.pmax(zero, f32x4.mul(sum, sixteenth)), isBright = f32x4.gt(value, v128.load32_splat(block, 8));
  const isSource = f32x4.gt(sum, v128.load32_splat(block, 4));
  const light = v128.bitselect(v128.bitselect(value, smooth, isBright), v128.load32_splat(block), isSource);
  const variance = v128.bitselect(
    Light.variance(light, v128.load(read + at), inverse), f32x4.splat(f32.NaN), f32x4.eq(value, value),
  );
  v128.store(out + at, variance);
  const rise = Light.rise(twice, four), limit = f32x4.mul(variance, v128.load32_splat(task, 68));
  const isSharp = v128.and(f32x4.gt(rise, v128.load32_splat(block, 12)), f32x4.gt(f32x4.mul(rise, rise), limit));
  for (let lanes = i32x4.bitmask(isSharp); lanes != 0; lanes &= lanes - 1) addSharp(task, y, x + ctz(lanes));
}

/** Light of the rows below and above a column. */
function verticalOf(below: usize, above: usize, x: i32): f32 {
  return load<f32>(below + (<usize>x << 2)) + load<f32>(above + (<usize>x << 2));
}

function fillPixel(
  task: usize, y: i32, below: usize, here: usize, above: usize, out: usize, read: usize, x: i32, blocks: usize,
  inverse: f32,
): void {
  const width = load<i32>(task, 8), at = <usize>x << 2, value = load<f32>(here + at), twice: f32 = value + value;
  const left = max(x - 1, 0), right = min(x + 1, width - 1), block = blocks + <usize>(x / BLOCK) * BLOCK_BYTES;
  const beside = load<f32>(here + (<usize>left << 2)) + load<f32>(here + (<usize>right << 2));
  const corners = verticalOf(below, above, left) + verticalOf(below, above, right);
  const four = verticalOf(below, above, x) + beside, cross: f32 = four + twice, sum: f32 = corners + (cross + cross);
  let light = load<f32>(block);
  if (sum > load<f32>(block, 4)) light = value > load<f32>(block, 8) ? value : sum > 0 ? sum * <f32>0.0625 : 0;
  const result = (light + load<f32>(read + at) * inverse) * inverse, rise: f32 = (twice + twice) - four;
  store<f32>(out + at, value == value ? result : f32.NaN);
  if (rise > load<f32>(block, 12) && rise * rise > result * load<f32>(task, 68)) addSharp(task, y, x);
}
