/**
 * Loads one value of every cache line of a square of pixels: loads that wait for no other go to memory many at a time,
 * where loops that calculate wait for most of them one by one.
 *
 * @param shift Logarithm of a pixel's bytes.
 * @param step  From one row that is loaded to the next.
 * @returns What was loaded, for the loads to be of use.
 */
export function touch(
  plane: usize, shift: usize, width: i32, height: i32, cx: i32, cy: i32, reach: i32, step: i32,
): i32 {
  const left = <usize>max(0, cx - reach) << shift, right = <usize>min(width - 1, cx + reach) << shift;
  const bottom = min(height - 1, cy + reach), rowBytes = <usize>width << shift;
  let bits = 0;
  for (let v = max(0, cy - reach); v <= bottom; v += step) {
    const row = plane + <usize>v * rowBytes, end = row + right;
    for (let at = row + left; at < end; at += 64) bits ^= load<u8>(at);
    if (left <= right) bits ^= load<u8>(end);
  }
  return bits;
}
