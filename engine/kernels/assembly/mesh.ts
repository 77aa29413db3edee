/** A mesh of cell values, bilinear between the cells' centres, against planes. The twins in `twins/mesh.ts` define the results. */

/**
 * One row of the mesh: between two centres a straight line, in single precision from its first pixel on; beyond the
 * outermost centres it goes on straight.
 *
 * @param cells [rows × columns] float32.
 * @param out   [width] float32, overwritten.
 */
function meshRow(
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
  const bases = f32x4.splat(base), steps = f32x4.splat(step), four = f32x4.splat(4);
  let at = f32x4(0, 1, 2, 3), x = x0, p = out + (<usize>x0 << 2);
  for (; x + 4 <= x1; x += 4, p += 16) {
    v128.store(p, f32x4.add(bases, f32x4.mul(steps, at)));
    at = f32x4.add(at, four);
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
 * Local maxima of the plane over 8 neighbours above level + factor × sigma (two meshes of one shape), `border` pixels
 * or more from the edges; of equal neighbours the first in reading order counts. `border` is 1 at least.
 *
 * @param line    [2 × (width + 4)] float32, work.
 * @param indices [capacity] int32: y × width + x, in order.
 * @returns How many there are, of which `capacity` are listed.
 */
export function listPeaks(
  plane: usize, width: i32, height: i32, border: i32, level: usize, sigma: usize, columns: i32, rows: i32,
  cellWidth: f64, cellHeight: f64, factor: f32, line: usize, indices: usize, capacity: i32,
): i32 {
  const other = line + (<usize>(width + 4) << 2), factors = f32x4.splat(factor), first = border & ~15;
  let found = 0;
  for (let y = border; y < height - border; y++) {
    meshRow(level, columns, rows, cellWidth, cellHeight, y, width, line);
    meshRow(sigma, columns, rows, cellWidth, cellHeight, y, width, other);
    const row = plane + (<usize>(y * width) << 2);
    for (let x = first; x < width - border; x += 16) {
      let bits = 0;
      if (x + 16 <= width) {
        for (let k = 0; k < 4; k++) {
          const at = <usize>(x + 4 * k) << 2;
          const limit = f32x4.add(v128.load(line + at), f32x4.mul(factors, v128.load(other + at)));
          bits |= i32x4.bitmask(f32x4.gt(v128.load(row + at), limit)) << (4 * k);
        }
      } else {
        for (let k = 0; x + k < width; k++) {
          const at = <usize>(x + k) << 2;
          if (load<f32>(row + at) > load<f32>(line + at) + factor * load<f32>(other + at)) bits |= 1 << k;
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
