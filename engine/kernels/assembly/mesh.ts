/**
 * A mesh of cell values, bilinear between the cells' centres, against planes. The twins in `twins/mesh.ts` define the
 * results.
 */

/**
 * One row of the mesh: between two centres a straight line, in single precision from its first pixel on; beyond the
 * outermost centres it goes on straight.
 *
 * @param cells [rows × columns] float32.
 * @param out   [width + 8] float32, overwritten.
 */
export function meshRow(
  cells: usize, columns: i32, rows: i32, cellWidth: f64, cellHeight: f64, y: i32, width: i32, out: usize,
): void {
  const v = rows == 1 ? 0 : (<f64>y + 0.5) / cellHeight - 0.5;
  const row = min(max(<i32>floor(v), 0), max(rows - 2, 0)), fy = rows == 1 ? 0 : v - <f64>row;
  const below = cells + (<usize>(row * columns) << 2), above = cells + (<usize>(min(row + 1, rows - 1) * columns) << 2);
  let left = <f64>load<f32>(below) * (1 - fy) + <f64>load<f32>(above) * fy;
  for (let column = 0; column < max(columns - 1, 1); column++) {
    const next = <usize>min(column + 1, columns - 1) << 2;
    const right = <f64>load<f32>(below + next) * (1 - fy) + <f64>load<f32>(above + next) * fy;
    const centre = (<f64>column + 0.5) * cellWidth - 0.5, slope = columns == 1 ? 0 : (right - left) / cellWidth;
    const x0 = column == 0 ? 0 : <i32>ceil(centre);
    const x1 = column >= columns - 2 ? width : min(<i32>ceil(centre + cellWidth), width);
    fillLine(out, x0, x1, <f32>(left + slope * (<f64>x0 - centre)), <f32>slope);
    left = right;
  }
}

/** out[x] = base + step × (x − x0); up to seven values after x1 are written too. */
function fillLine(out: usize, x0: i32, x1: i32, base: f32, step: f32): void {
  const bases = f32x4.splat(base), steps = f32x4.splat(step), eight = f32x4.splat(8);
  let low = f32x4(0, 1, 2, 3), high = f32x4(4, 5, 6, 7), p = out + (<usize>x0 << 2);
  for (const end = out + (<usize>x1 << 2); p < end; p += 32) {
    v128.store(p, f32x4.add(bases, f32x4.mul(steps, low)));
    v128.store(p, f32x4.add(bases, f32x4.mul(steps, high)), 16);
    low = f32x4.add(low, eight);
    high = f32x4.add(high, eight);
  }
}

/**
 * to = from − mesh in rows y0 … y1 − 1; both may be the same plane.
 *
 * @param line [width + 8] float32, work.
 */
export function subtractMesh(
  from: usize, to: usize, width: i32, y0: i32, y1: i32, cells: usize, columns: i32, rows: i32, cellWidth: f64,
  cellHeight: f64, line: usize,
): void {
  const skip = <usize>(y0 * width) << 2;
  from += skip;
  to += skip;
  for (let y = y0; y < y1; y++) {
    meshRow(cells, columns, rows, cellWidth, cellHeight, y, width, line);
    let x = 0, q = line;
    for (; x + 8 <= width; x += 8, from += 32, to += 32, q += 32) {
      v128.store(to, f32x4.sub(v128.load(from), v128.load(q)));
      v128.store(to, f32x4.sub(v128.load(from, 16), v128.load(q, 16)), 16);
    }
    for (; x < width; x++, from += 4, to += 4, q += 4) store<f32>(to, load<f32>(from) - load<f32>(q));
  }
}
