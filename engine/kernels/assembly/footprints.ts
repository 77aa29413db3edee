/**
 * Footprints: an image less its sky, filtered by three taps along both axes, and the runs of pixels that stand above a
 * threshold. The twin in `twins/footprints.ts` defines the result.
 */
import { addRun, numberRuns, REGION_BYTES, RUN_BYTES } from './label';
import { meshRow } from './mesh';
import { smoothRow } from './smooth';

/** Rows of the ring that feeds the pass along y. */
const SLOTS = 3;

/**
 * Rows y0 … y1 − 1; bands have to come in order. Takes the mesh off the image, in place, as far as row y1; filters
 * it without keeping the plane; finds the runs, joined to those above, and keeps the filtered light of their pixels.
 *
 * @param cells     [rows × columns] float32.
 * @param line      [width + 8] float32, work.
 * @param taps      Three float32, symmetric.
 * @param padded    [width + 18] float32, work.
 * @param ring      [SLOTS × stride] float32, work; stride = width rounded up to 16.
 * @param row       [stride] float32, work.
 * @param rowStarts [height + 1] int32: the first run of each row.
 * @param runs      [capacity] runs.
 * @param light     [lightCapacity] float32; as many as three more than the runs' pixels.
 * @param state     Three int32: runs and their pixels so far, and the rows that have lost their mesh.
 * @returns False when there are more than the capacities.
 */
export function filterRuns(
  image: usize, mask: usize, zeroBits: i32, width: i32, height: i32, y0: i32, y1: i32, cells: usize, columns: i32,
  rows: i32, cellWidth: f64, cellHeight: f64, line: usize, taps: usize, threshold: f32, padded: usize, ring: usize,
  row: usize, rowStarts: usize, runs: usize, capacity: i32, light: usize, lightCapacity: i32, state: usize,
): bool {
  const stride = <usize>((width + 15) & ~15) << 2;
  memory.fill(padded, 0, <usize>(width + 18) << 2);
  memory.fill(ring, 0, stride * SLOTS);
  let ahead = max(0, y0 - 1);
  for (let y = y0; y < y1; y++) {
    for (; ahead <= y + 1; ahead++) {
      const slot = ring + stride * (ahead % SLOTS), at = <usize>(ahead * width);
      if (ahead >= height) { memory.fill(slot, 0, stride); continue; }
      // Up to row y0 the band before has taken it off.
      if (ahead > y0 || y0 == 0) meshRow(cells, columns, rows, cellWidth, cellHeight, ahead, width, line);
      else memory.fill(line, 0, <usize>width << 2);
      takeRow(image + (at << 2), mask + (at << 1), zeroBits, line, width, padded + 4);
      smoothRow(padded, width, taps, 1, slot);
    }
    store<i32>(state, min(ahead, height), 8);
    const before = ring + stride * ((y + SLOTS - 1) % SLOTS), after = ring + stride * ((y + 1) % SLOTS);
    if (!findRow(before, ring + stride * (y % SLOTS), after, y, width, taps, threshold, row, rowStarts, runs, capacity,
      light, lightCapacity, state)) return false;
  }
  store<i32>(rowStarts + (<usize>y1 << 2), load<i32>(state));
  return true;
}

/** image −= line; what is NaN or masked is 0 in `out`. */
function takeRow(image: usize, mask: usize, zeroBits: i32, line: usize, width: i32, out: usize): void {
  const bits = i16x8.splat(<i16>zeroBits), none = i16x8.splat(0);
  let x = 0;
  for (; x + 8 <= width; x += 8, image += 32, mask += 16, out += 32, line += 32) {
    const kept = i16x8.eq(v128.and(v128.load(mask), bits), none);
    const a = f32x4.sub(v128.load(image), v128.load(line)), b = f32x4.sub(v128.load(image, 16), v128.load(line, 16));
    v128.store(image, a);
    v128.store(image, b, 16);
    v128.store(out, v128.and(a, v128.and(i32x4.extend_low_i16x8_s(kept), f32x4.eq(a, a))));
    v128.store(out, v128.and(b, v128.and(i32x4.extend_high_i16x8_s(kept), f32x4.eq(b, b))), 16);
  }
  for (; x < width; x++, image += 4, mask += 2, out += 4, line += 4) {
    const value = load<f32>(image) - load<f32>(line);
    store<f32>(image, value);
    store<f32>(out, value == value && (<i32>load<u16>(mask) & zeroBits) == 0 ? value : 0);
  }
}

/** Filters a row along y and finds its runs. */
function findRow(
  before: usize, here: usize, after: usize, y: i32, width: i32, taps: usize, threshold: f32, row: usize,
  rowStarts: usize, runs: usize, capacity: i32, light: usize, lightCapacity: i32, state: usize,
): bool {
  const middle = v128.load32_splat(taps, 4), side = v128.load32_splat(taps, 8), least = f32x4.splat(threshold);
  let count = load<i32>(state), pixels = load<i32>(state, 4), start = -1;
  const own = count, rowStart = rowStarts + (<usize>y << 2);
  let above = y > 0 ? load<i32>(rowStart - 4) : 0;
  store<i32>(rowStart, own);
  for (let x = 0; x < width; x += 16, before += 64, here += 64, after += 64) {
    const a = filtered(before, here, after, middle, side), b = filtered(before + 16, here + 16, after + 16, middle, side),
      c = filtered(before + 32, here + 32, after + 32, middle, side),
      d = filtered(before + 48, here + 48, after + 48, middle, side);
    const high = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(f32x4.ge(a, least), f32x4.ge(b, least)),
      i16x8.narrow_i32x4_s(f32x4.ge(c, least), f32x4.ge(d, least)));
    if (start < 0 && !v128.any_true(high)) continue;
    let bits = i8x16.bitmask(high);
    if (x + 16 > width) bits &= (1 << (width - x)) - 1;
    const to = row + (<usize>x << 2);
    v128.store(to, a); v128.store(to, b, 16); v128.store(to, c, 32); v128.store(to, d, 48);
    // Ones where a pixel differs from the one before it.
    for (let changes = (bits ^ ((bits << 1) | i32(start >= 0))) & 0xffff; changes != 0; changes &= changes - 1) {
      const at = x + ctz(changes);
      // Of the pixels beyond the row's end, none begins a run.
      if (start < 0) { start = at; continue; }
      if (count == capacity || pixels + at - start + 3 > lightCapacity) return false;
      above = addRun(runs, count++, start, at, above, own);
      pixels = keepLight(row, start, at, light, pixels);
      start = -1;
    }
  }
  if (start >= 0) {
    if (count == capacity || pixels + width - start + 3 > lightCapacity) return false;
    addRun(runs, count++, start, width, above, own);
    pixels = keepLight(row, start, width, light, pixels);
  }
  store<i32>(state, count);
  store<i32>(state, pixels, 4);
  return true;
}

function filtered(before: usize, here: usize, after: usize, middle: v128, side: v128): v128 {
  return f32x4.add(f32x4.mul(middle, v128.load(here)),
    f32x4.mul(side, f32x4.add(v128.load(before), v128.load(after))));
}

/** Copies a run's light, and up to three values more, which the next one overwrites. */
function keepLight(row: usize, start: i32, end: i32, light: usize, pixels: i32): i32 {
  let from = row + (<usize>start << 2), to = light + (<usize>pixels << 2);
  for (let x = start; x < end; x += 4, from += 16, to += 16) v128.store(to, v128.load(from));
  return pixels + end - start;
}

/**
 * Numbers the regions of the runs, and counts tops: pixels that no neighbour exceeds. Runs are left with their region's
 * number in the third place.
 *
 * @param rowLights [height + 1] int32, work.
 * @param regions   [capacity of runs] regions, overwritten.
 * @param tops      [capacity of runs] int32, overwritten: two at most; 0 of regions with fewer pixels than `countMin`.
 * @returns Number of regions.
 */
export function countTops(
  height: i32, rowStarts: usize, runs: usize, light: usize, countMin: i32, rowLights: usize, regions: usize, tops: usize,
): i32 {
  const count = numberRuns(height, rowStarts, runs, regions);
  memory.fill(tops, 0, <usize>count << 2);
  let pixels = 0;
  for (let y = 0, index = 0; y < height; y++) {
    store<i32>(rowLights + (<usize>y << 2), pixels);
    for (const end = load<i32>(rowStarts + (<usize>(y + 1) << 2)); index < end; index++) {
      const run = runs + RUN_BYTES * index;
      pixels += load<i32>(run, 4) - load<i32>(run);
      store<i32>(run, -1 - load<i32>(run, 8), 8);
    }
  }
  store<i32>(rowLights + (<usize>height << 2), pixels);
  for (let y = 0; y < height; y++) countRow(y, height, rowStarts, runs, light, countMin, rowLights, regions, tops);
  return count;
}

function countRow(
  y: i32, height: i32, rowStarts: usize, runs: usize, light: usize, countMin: i32, rowLights: usize, regions: usize,
  tops: usize,
): void {
  const first = load<i32>(rowStarts + (<usize>y << 2)), end = load<i32>(rowStarts + (<usize>(y + 1) << 2));
  if (first == end) return;
  const rowAbove = <usize>max(y - 1, 0) << 2, rowBelow = <usize>min(y + 1, height) << 2;
  let above = load<i32>(rowStarts + rowAbove), below = end;
  const aboveEnd = first, belowEnd = y + 1 < height ? load<i32>(rowStarts + rowBelow, 4) : end;
  if (y == 0) above = first;
  let own = light + (<usize>load<i32>(rowLights + (<usize>y << 2)) << 2);
  let aboveLight = light + (<usize>load<i32>(rowLights + rowAbove) << 2);
  let belowLight = light + (<usize>load<i32>(rowLights + rowBelow) << 2);
  for (let index = first; index < end; index++) {
    const run = runs + RUN_BYTES * index, x0 = load<i32>(run), x1 = load<i32>(run, 4), number = load<i32>(run, 8);
    const top = tops + (<usize>number << 2);
    while (above < aboveEnd && load<i32>(runs + RUN_BYTES * above, 4) < x0) {
      aboveLight += lengthOf(runs, above++);
    }
    while (below < belowEnd && load<i32>(runs + RUN_BYTES * below, 4) < x0) {
      belowLight += lengthOf(runs, below++);
    }
    if (load<i32>(regions + REGION_BYTES * number, 16) >= countMin) {
      for (let x = x0, p = own; x < x1 && load<i32>(top) < 2; x++, p += 4) {
        const value = load<f32>(p);
        if ((x > x0 && load<f32>(p - 4) > value) || (x + 1 < x1 && load<f32>(p, 4) > value)) continue;
        if (isExceeded(runs, above, aboveEnd, aboveLight, x, value)) continue;
        if (isExceeded(runs, below, belowEnd, belowLight, x, value)) continue;
        store<i32>(top, load<i32>(top) + 1);
      }
    }
    own += <usize>(x1 - x0) << 2;
  }
}

/** Bytes of the light of a run. */
function lengthOf(runs: usize, index: i32): usize {
  const run = runs + RUN_BYTES * index;
  return <usize>(load<i32>(run, 4) - load<i32>(run)) << 2;
}

/** Whether a pixel at x − 1, x or x + 1 of these runs is higher than `value`. */
function isExceeded(runs: usize, index: i32, end: i32, light: usize, x: i32, value: f32): bool {
  for (; index < end; index++) {
    const run = runs + RUN_BYTES * index, x0 = load<i32>(run), x1 = load<i32>(run, 4);
    if (x0 > x + 1) return false;
    for (let u = max(x0, x - 1), last = min(x1, x + 2); u < last; u++) {
      if (load<f32>(light + (<usize>(u - x0) << 2)) > value) return true;
    }
    light += <usize>(x1 - x0) << 2;
  }
  return false;
}
