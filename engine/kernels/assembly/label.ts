/** Connected regions above a threshold, by runs of pixels. The twin in `twins/label.ts` defines the result. */

/**
 * A run: first pixel, pixel after the last, and the run that it was joined to (itself for the first of a region), int32
 * each.
 */
const RUN_BYTES: usize = 12;
/** A region: x0, y0, x1, y1, pixels; int32 each. */
const REGION_BYTES: usize = 20;

/**
 * Labels the pixels at which sign × score ≥ threshold; they touch at sides and corners.
 *
 * @param labels    [height × width] int32, overwritten: 0, or 1 + number of the region, in the order of first pixels.
 * @param rowStarts [height + 1] int32, work: the first run of each row.
 * @param runs      [capacity] runs, work.
 * @param regions   [capacity] regions, overwritten.
 * @returns Number of regions; −1 when there are more runs than `capacity`, and `labels` means nothing.
 */
export function labelRegions(
  score: usize, width: i32, height: i32, sign: i32, threshold: f32, labels: usize, rowStarts: usize, runs: usize,
  capacity: i32, regions: usize,
): i32 {
  if (!joinRuns(score, width, height, sign, threshold, rowStarts, runs, capacity)) return -1;
  return numberRegions(width, height, labels, rowStarts, runs, regions);
}

/**
 * As `labelRegions` without labels: `runs` are left as int32 x0, x1 and −1 − the region's number, row by row.
 *
 * @returns Number of regions; −1 when there are more runs than `capacity`.
 */
export function listRuns(
  score: usize, width: i32, height: i32, sign: i32, threshold: f32, rowStarts: usize, runs: usize, capacity: i32,
  regions: usize,
): i32 {
  if (!joinRuns(score, width, height, sign, threshold, rowStarts, runs, capacity)) return -1;
  let regionCount = 0, index = 0;
  for (let y = 0; y < height; y++) {
    for (const end = load<i32>(rowStarts + (<usize>(y + 1) << 2)); index < end; index++) {
      const run = runs + RUN_BYTES * index, start = load<i32>(run), stop = load<i32>(run, 4);
      let next = load<i32>(run, 8), number = regionCount;
      if (next == index) {
        const region = regions + REGION_BYTES * regionCount++;
        store<i32>(region, start); store<i32>(region, y, 4); store<i32>(region, stop, 8); store<i32>(region, 0, 16);
      } else {
        // Runs before this one hold their region's number instead of a way to its first run.
        while (next >= 0) next = load<i32>(runs + RUN_BYTES * next, 8);
        number = -1 - next;
      }
      store<i32>(run, -1 - number, 8);
      const region = regions + REGION_BYTES * number;
      if (start < load<i32>(region)) store<i32>(region, start);
      if (stop > load<i32>(region, 8)) store<i32>(region, stop, 8);
      store<i32>(region, y + 1, 12);
      store<i32>(region, load<i32>(region, 16) + stop - start, 16);
    }
  }
  return regionCount;
}

/** Finds the runs of all rows, each joined to those above; false when there are more than `capacity`. */
function joinRuns(
  score: usize, width: i32, height: i32, sign: i32, threshold: f32, rowStarts: usize, runs: usize, capacity: i32,
): bool {
  let count = 0;
  for (let y = 0; y < height; y++) {
    store<i32>(rowStarts + (<usize>y << 2), count);
    const above = y > 0 ? load<i32>(rowStarts + (<usize>(y - 1) << 2)) : 0;
    count = findRuns(score + (<usize>(y * width) << 2), width, sign, threshold, runs, count, capacity, above,
      y > 0 ? count : 0);
    if (count < 0) return false;
  }
  store<i32>(rowStarts + (<usize>height << 2), count);
  return true;
}

/**
 * Finds the runs of a row and joins them with those of the row before, which are `above` … `aboveEnd` − 1.
 * Returns the number of runs so far; −1 when they are too many.
 */
function findRuns(
  row: usize, width: i32, sign: i32, threshold: f32, runs: usize, count: i32, capacity: i32, above: i32, aboveEnd: i32,
): i32 {
  // The sign's bit turns the scores round.
  const flip = i32x4.splat(sign < 0 ? 1 << 31 : 0), least = f32x4.splat(threshold);
  let start = -1;
  for (let x = 0; x < width; x += 16, row += 64) {
    let mask = 0;
    if (x + 16 <= width) {
      mask = i32x4.bitmask(f32x4.ge(v128.xor(v128.load(row), flip), least))
        | (i32x4.bitmask(f32x4.ge(v128.xor(v128.load(row, 16), flip), least)) << 4)
        | (i32x4.bitmask(f32x4.ge(v128.xor(v128.load(row, 32), flip), least)) << 8)
        | (i32x4.bitmask(f32x4.ge(v128.xor(v128.load(row, 48), flip), least)) << 12);
    } else {
      for (let i = 0; i < width - x; i++) {
        const value = load<f32>(row + (<usize>i << 2));
        if ((sign < 0 ? -value : value) >= threshold) mask |= 1 << i;
      }
    }
    // Ones where a pixel differs from the one before it.
    let changes = (mask ^ ((mask << 1) | i32(start >= 0))) & 0xffff;
    for (; changes != 0; changes &= changes - 1) {
      const at = x + ctz(changes);
      if (start < 0) { start = at; continue; }
      if (count == capacity) return -1;
      above = addRun(runs, count++, start, at, above, aboveEnd);
      start = -1;
    }
  }
  if (start >= 0) {
    if (count == capacity) return -1;
    addRun(runs, count++, start, width, above, aboveEnd);
  }
  return count;
}

/** Returns the first run above that may touch the next one. */
function addRun(runs: usize, index: i32, start: i32, end: i32, above: i32, aboveEnd: i32): i32 {
  const run = runs + RUN_BYTES * index;
  store<i32>(run, start);
  store<i32>(run, end, 4);
  store<i32>(run, index, 8);
  while (above < aboveEnd && load<i32>(runs + RUN_BYTES * above, 4) < start) above++;
  for (let i = above; i < aboveEnd && load<i32>(runs + RUN_BYTES * i) <= end; i++) join(runs, index, i);
  return above;
}

/** The lower of both roots stays the root: the region's first run. */
function join(runs: usize, a: i32, b: i32): void {
  const rootA = rootOf(runs, a), rootB = rootOf(runs, b), root = min(rootA, rootB);
  store<i32>(runs + RUN_BYTES * rootA, root, 8);
  store<i32>(runs + RUN_BYTES * rootB, root, 8);
}

function rootOf(runs: usize, index: i32): i32 {
  let run = runs + RUN_BYTES * index, next = load<i32>(run, 8);
  while (next != index) {
    // Each step halves the way for the next one.
    store<i32>(run, load<i32>(runs + RUN_BYTES * next, 8), 8);
    index = next;
    run = runs + RUN_BYTES * index;
    next = load<i32>(run, 8);
  }
  return index;
}

/** Numbers regions in the order of their first runs, measures them and writes the labels. */
function numberRegions(width: i32, height: i32, labels: usize, rowStarts: usize, runs: usize, regions: usize): i32 {
  let count = 0, index = 0;
  memory.fill(labels, 0, <usize>(width * height) << 2);
  for (let y = 0; y < height; y++) {
    const row = labels + (<usize>(y * width) << 2);
    for (const end = load<i32>(rowStarts + (<usize>(y + 1) << 2)); index < end; index++) {
      const run = runs + RUN_BYTES * index, start = load<i32>(run), stop = load<i32>(run, 4),
        root = rootOf(runs, index);
      let number = -load<i32>(runs + RUN_BYTES * root, 4);
      if (root == index) {
        // Its end is not needed any more; the region's number takes its place, negative.
        number = ++count;
        store<i32>(run, -number, 4);
        const region = regions + REGION_BYTES * (number - 1);
        store<i32>(region, start); store<i32>(region, y, 4); store<i32>(region, stop, 8); store<i32>(region, 0, 16);
      }
      const region = regions + REGION_BYTES * (number - 1);
      if (start < load<i32>(region)) store<i32>(region, start);
      if (stop > load<i32>(region, 8)) store<i32>(region, stop, 8);
      store<i32>(region, y + 1, 12);
      store<i32>(region, load<i32>(region, 16) + stop - start, 16);
      for (let x = row + (<usize>start << 2), last = row + (<usize>stop << 2); x < last; x += 4) store<i32>(x, number);
    }
  }
  return count;
}

/**
 * Pixels of all regions of `countMin` or more, one region after the other, each in reading order. Smaller ones are taken
 * out of the labels.
 *
 * @param plane   [height × width] float32, in which tops are counted: pixels that no neighbour exceeds.
 * @param regions As `labelRegions` left them.
 * @param tops    [count] int32, overwritten: tops of each region, two at most; 0 of those that are left out.
 * @param indices [capacity] int32: y × width + x.
 * @returns How many there are; −1 when more than `capacity`, and labels may lack small regions already.
 */
export function listRegions(
  labels: usize, plane: usize, width: i32, height: i32, regions: usize, count: i32, countMin: i32, tops: usize,
  indices: usize, capacity: i32,
): i32 {
  let found = 0;
  for (let n = 0; n < count; n++) {
    const region = regions + REGION_BYTES * n, pixels = load<i32>(region, 16), isKept = pixels >= countMin;
    if (isKept && found + pixels > capacity) return -1;
    let topCount = 0;
    for (let y = load<i32>(region, 4), y1 = load<i32>(region, 12); y < y1; y++) {
      for (let x = load<i32>(region), x1 = load<i32>(region, 8); x < x1; x++) {
        const index = y * width + x, at = labels + (<usize>index << 2);
        if (load<i32>(at) != n + 1) continue;
        if (!isKept) { store<i32>(at, 0); continue; }
        store<i32>(indices + (<usize>found << 2), index);
        found++;
        if (topCount < 2 && isTop(plane, width, height, x, y)) topCount++;
      }
    }
    store<i32>(tops + (<usize>n << 2), topCount);
  }
  return found;
}

function isTop(plane: usize, width: i32, height: i32, x: i32, y: i32): bool {
  const value = load<f32>(plane + (<usize>(y * width + x) << 2));
  for (let v = max(0, y - 1), v1 = min(height - 1, y + 1); v <= v1; v++) {
    for (let u = max(0, x - 1), u1 = min(width - 1, x + 1); u <= u1; u++) {
      if (load<f32>(plane + (<usize>(v * width + u) << 2)) > value) return false;
    }
  }
  return true;
}
