/** Straight lines through high places of a plane. The twins in `twins/hough.ts` define the results. */

/**
 * Lists the cells of a grid that have a place above `threshold`, and those that have one below its negative.
 *
 * @param step, cellPx  Distance between places that are looked at, and between cells: a multiple of it, pixels.
 * @param high, low     int32, overwritten: indices of cells.
 * @param counts        2 × int32: how many of each.
 */
export function listExtremes(
  plane: usize, mask: usize, width: i32, height: i32, ignored: i32, step: i32, cellPx: i32, columns: i32, rows: i32,
  threshold: f64, high: usize, low: usize, counts: usize,
): void {
  let highs = 0, lows = 0;
  for (let row = 0, cell = 0; row < rows; row++) {
    const bottom = min(height, (row + 1) * cellPx);
    for (let column = 0; column < columns; column++, cell++) {
      const right = min(width, (column + 1) * cellPx);
      let highest: f32 = -Infinity, lowest: f32 = Infinity;
      for (let v = row * cellPx + (step >> 1); v < bottom; v += step) {
        for (let u = column * cellPx + (step >> 1); u < right; u += step) {
          const j = <usize>(v * width + u), value = load<f32>(plane + (j << 2));
          if ((<i32>load<u16>(mask + (j << 1)) & ignored) != 0) continue;
          if (value > highest) highest = value;
          if (value < lowest) lowest = value;
        }
      }
      if (<f64>highest >= threshold) { store<i32>(high + (<usize>highs << 2), cell); highs++; }
      if (<f64>lowest <= -threshold) { store<i32>(low + (<usize>lows << 2), cell); lows++; }
    }
  }
  store<i32>(counts, highs);
  store<i32>(counts, lows, 4);
}

/**
 * Adds `weight` to the votes of every line through a point.
 *
 * @param directions [angles × 2] float64: cos and sin.
 * @param votes      [angles × distances] uint16, distances from −half on.
 */
export function voteForLines(
  x: f64, y: f64, weight: i32, directions: usize, angles: i32, distances: i32, half: i32, votes: usize,
): void {
  const row = <usize>distances << 1;
  for (let a = 0, at = votes + (<usize>half << 1); a < angles; a++, directions += 16, at += row) {
    const distance = <i32>floor(x * load<f64>(directions) + y * load<f64>(directions, 8) + 0.5);
    const to = at + (<isize>distance << 1);
    store<u16>(to, <u16>(<i32>load<u16>(to) + weight));
  }
}

/** Place of the largest of `count` uint16 values, the first of equal ones; −1 when all are 0. */
export function mostVotes(votes: usize, count: i32): i32 {
  let most = i16x8.splat(0), i = 0, highest: i32 = 0;
  for (; i + 8 <= count; i += 8) most = i16x8.max_u(most, v128.load(votes + (<usize>i << 1)));
  for (; i < count; i++) highest = max(highest, <i32>load<u16>(votes + (<usize>i << 1)));
  const halves = i16x8.max_u(most, v128.shuffle<i16>(most, most, 4, 5, 6, 7, 0, 1, 2, 3));
  const pairs = i16x8.max_u(halves, v128.shuffle<i16>(halves, halves, 2, 3, 0, 1, 6, 7, 4, 5));
  highest = max(highest, max(i16x8.extract_lane_u(pairs, 0), i16x8.extract_lane_u(pairs, 1)));
  if (highest == 0) return -1;
  const wanted = i16x8.splat(<i16>highest);
  for (i = 0; i + 8 <= count; i += 8) {
    const lanes = i16x8.bitmask(i16x8.eq(v128.load(votes + (<usize>i << 1)), wanted));
    if (lanes != 0) return i + ctz(lanes);
  }
  for (; i < count; i++) if (<i32>load<u16>(votes + (<usize>i << 1)) == highest) return i;
  return -1;
}
