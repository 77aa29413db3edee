/** Connected regions above a threshold, by runs of pixels. The twin in `twins/label.ts` defines the result. */

/**
 * A run: first pixel, pixel after the last, and the run that it was joined to (itself for the first of a region), int32
 * each.
 */
export const RUN_BYTES: usize = 12;
/** A region: x0, y0, x1, y1, pixels; int32 each. */
export const REGION_BYTES: usize = 20;

/**
 * Finds the runs of rows y0 … y1 − 1 at which sign × score ≥ threshold, each joined to those above that it touches at
 * sides and corners. Bands have to come in order.
 *
 * @param rowStarts [height + 1] int32: the first run of each row; that of row y1 is written too.
 * @param runs      [capacity] runs.
 * @param count     Runs of the rows before.
 * @returns Runs so far; −1 when there are more than `capacity`.
 */
export function joinRuns(
  score: usize, width: i32, y0: i32, y1: i32, sign: i32, threshold: f32, rowStarts: usize, runs: usize, capacity: i32,
  count: i32,
): i32 {
  for (let y = y0; y < y1; y++) {
    store<i32>(rowStarts + (<usize>y << 2), count);
    const above = y > 0 ? load<i32>(rowStarts + (<usize>(y - 1) << 2)) : 0;
    count = findRuns(score + (<usize>(y * width) << 2), width, sign, threshold, runs, count, capacity, above,
      y > 0 ? count : 0);
    if (count < 0) return -1;
  }
  store<i32>(rowStarts + (<usize>y1 << 2), count);
  return count;
}

/**
 * Numbers regions in the order of their first runs and measures them; `runs` are left as int32 x0, x1 and −1 − the
 * region's number, row by row.
 *
 * @param regions As many as there are runs, overwritten.
 * @returns Number of regions.
 */
export function numberRuns(height: i32, rowStarts: usize, runs: usize, regions: usize): i32 {
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
export function addRun(runs: usize, index: i32, start: i32, end: i32, above: i32, aboveEnd: i32): i32 {
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
