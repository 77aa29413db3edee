/**
 * A mesh of cell values, bilinear between the cells' centres, against planes. The twins in `twins/mesh.ts` define the
 * results.
 */

/**
 * One row of the mesh: between two centres a straight line, in single precision from its first pixel on; beyond the
 * outermost centres it goes on straight.
 *
 * @param cells [rows × columns] float32.
 * @param out   [width] float32, overwritten.
 */
export function meshRow(
  cells: usize, columns: i32, rows: i32, cellWidth: f64, cellHeight: f64, y: i32, width: i32, out: usize,
): void {
  const v = rows == 1 ? 0 : (<f64>y + 0.5) / cellHeight - 0.5;
  const row = min(max(<i32>floor(v), 0), max(rows - 2, 0)), fy = rows == 1 ? 0 : v - <f64>row;
  const below = cells + (<usize>(row * columns) << 2), above = cells + (<usize>(min(row + 1, rows - 1) * columns) << 2);
  for (let column = 0; column < max(columns - 1, 1); column++) {
    const here = <usize>column << 2, next = <usize>min(column + 1, columns - 1) << 2;
    const left = <f64>load<f32>(below + here) * (1 - fy) + <f64>load<f32>(above + here) * fy;
    const right = <f64>load<f32>(below + next) * (1 - fy) + <f64>load<f32>(above + next) * fy;
    const centre = (<f64>column + 0.5) * cellWidth - 0.5, slope = columns == 1 ? 0 : (right - left) / cellWidth;
    const x0 = column == 0 ? 0 : <i32>ceil(centre);
    const x1 = column >= columns - 2 ? width : min(<i32>ceil(centre + cellWidth), width);
    fillLine(out, x0, x1, <f32>(left + slope * (<f64>x0 - centre)), <f32>slope);
  }
}

/** out[x] = base + step × (x − x0). */
function fillLine(out: usize, x0: i32, x1: i32, base: f32, step: f32): void {
  const bases = f32x4.splat(base), steps = f32x4.splat(step), eight = f32x4.splat(8);
  let low = f32x4(0, 1, 2, 3), high = f32x4(4, 5, 6, 7), x = x0, p = out + (<usize>x0 << 2);
  for (; x + 8 <= x1; x += 8, p += 32) {
    v128.store(p, f32x4.add(bases, f32x4.mul(steps, low)));
    v128.store(p, f32x4.add(bases, f32x4.mul(steps, high)), 16);
    low = f32x4.add(low, eight);
    high = f32x4.add(high, eight);
  }
  for (; x < x1; x++, p += 4) store<f32>(p, base + step * <f32>(x - x0));
}

/**
 * plane −= mesh.
 *
 * @param line [width + 4] float32, work.
 */
export function subtractMesh(
  plane: usize, width: i32, height: i32, cells: usize, columns: i32, rows: i32, cellWidth: f64, cellHeight: f64,
  line: usize,
): void {
  for (let y = 0; y < height; y++) {
    meshRow(cells, columns, rows, cellWidth, cellHeight, y, width, line);
    let x = 0, q = line;
    for (; x + 8 <= width; x += 8, plane += 32, q += 32) {
      v128.store(plane, f32x4.sub(v128.load(plane), v128.load(q)));
      v128.store(plane, f32x4.sub(v128.load(plane, 16), v128.load(q, 16)), 16);
    }
    for (; x < width; x++, plane += 4, q += 4) store<f32>(plane, load<f32>(plane) - load<f32>(q));
  }
}

/** Sets `bit` in the mask where plane > factor × mesh. */
export function markAboveMesh(
  plane: usize, width: i32, height: i32, cells: usize, columns: i32, rows: i32, cellWidth: f64, cellHeight: f64,
  factor: f32, mask: usize, bit: i32, line: usize,
): void {
  const factors = f32x4.splat(factor), bits = i16x8.splat(<i16>bit);
  for (let y = 0; y < height; y++) {
    meshRow(cells, columns, rows, cellWidth, cellHeight, y, width, line);
    let x = 0, q = line;
    for (; x + 8 <= width; x += 8, plane += 32, q += 32, mask += 16) {
      const low = f32x4.gt(v128.load(plane), f32x4.mul(factors, v128.load(q)));
      const high = f32x4.gt(v128.load(plane, 16), f32x4.mul(factors, v128.load(q, 16)));
      const marked = i16x8.narrow_i32x4_s(low, high);
      if (v128.any_true(marked)) v128.store(mask, v128.or(v128.load(mask), v128.and(marked, bits)));
    }
    for (; x < width; x++, plane += 4, q += 4, mask += 2) {
      if (load<f32>(plane) > factor * load<f32>(q)) store<u16>(mask, <u16>(<i32>load<u16>(mask) | bit));
    }
  }
}

/** Sets `bit` in the mask where the byte is not 0. */
export function markBytes(bytes: usize, count: i32, mask: usize, bit: i32): void {
  const bits = i16x8.splat(<i16>bit), zero = i8x16.splat(0);
  let i = 0;
  for (; i + 16 <= count; i += 16, bytes += 16, mask += 32) {
    const marked = i8x16.ne(v128.load(bytes), zero);
    if (!v128.any_true(marked)) continue;
    v128.store(mask, v128.or(v128.load(mask), v128.and(i16x8.extend_low_i8x16_s(marked), bits)));
    v128.store(mask, v128.or(v128.load(mask, 16), v128.and(i16x8.extend_high_i8x16_s(marked), bits)), 16);
  }
  for (; i < count; i++, bytes++, mask += 2) {
    if (load<u8>(bytes) != 0) store<u16>(mask, <u16>(<i32>load<u16>(mask) | bit));
  }
}

/**
 * Local maxima of the plane over 8 neighbours above the mesh, `border` pixels or more from the edges; of equal
 * neighbours the first in reading order counts. `border` is 1 at least.
 *
 * @param line    [width + 4] float32, work.
 * @param indices [capacity] int32: y × width + x, in order.
 * @returns How many there are, of which `capacity` are listed.
 */
export function listPeaks(
  plane: usize, width: i32, height: i32, border: i32, cells: usize, columns: i32, rows: i32, cellWidth: f64,
  cellHeight: f64, line: usize, indices: usize, capacity: i32,
): i32 {
  const first = border & ~15;
  let found = 0;
  for (let y = border; y < height - border; y++) {
    meshRow(cells, columns, rows, cellWidth, cellHeight, y, width, line);
    const row = plane + (<usize>(y * width) << 2);
    for (let x = first; x < width - border; x += 16) {
      const p = row + (<usize>x << 2), q = line + (<usize>x << 2);
      let bits = 0;
      if (x + 16 <= width) {
        const a = f32x4.gt(v128.load(p), v128.load(q)), b = f32x4.gt(v128.load(p, 16), v128.load(q, 16));
        const c = f32x4.gt(v128.load(p, 32), v128.load(q, 32)), d = f32x4.gt(v128.load(p, 48), v128.load(q, 48));
        if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
        bits = i32x4.bitmask(a) | (i32x4.bitmask(b) << 4) | (i32x4.bitmask(c) << 8) | (i32x4.bitmask(d) << 12);
      } else {
        for (let k = 0; x + k < width; k++) {
          const at = <usize>k << 2;
          if (load<f32>(p + at) > load<f32>(q + at)) bits |= 1 << k;
        }
      }
      for (; bits != 0; bits &= bits - 1) {
        const u = x + ctz(bits);
        if (u < border || u >= width - border || !isPeak(row + (<usize>u << 2), <usize>width << 2)) continue;
        if (found < capacity) store<i32>(indices + (<usize>found << 2), y * width + u);
        found++;
      }
    }
  }
  return found;
}

function isPeak(at: usize, stride: usize): bool {
  const value = load<f32>(at), above = at - stride, below = at + stride;
  return value >= load<f32>(at, 4) && value > load<f32>(at - 4)
    && value > load<f32>(above - 4) && value > load<f32>(above) && value > load<f32>(above, 4)
    && value >= load<f32>(below - 4) && value >= load<f32>(below) && value >= load<f32>(below, 4);
}
