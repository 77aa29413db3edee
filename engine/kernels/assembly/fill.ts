/** Short runs of defects filled from beside. The twin in `twins/fill.ts` defines the results. */

/** Steps to the nearest pixel that has none of the bits, 0 when none lies within `most`. @param m, step In bytes. */
function distanceToGood(m: usize, step: i32, most: i32, unknown: i32): i32 {
  for (let k = 1; k <= most; k++) {
    m += step;
    if ((<i32>load<u16>(m) & unknown) == 0) return k;
  }
  return 0;
}

/**
 * Fills listed pixels that are defects, not saturated and not yet filled, where the shorter of the runs along row and
 * column is no longer than `runMax`, with the straight line between its ends.
 *
 * @param list [count] int32: pixels of the image.
 * @returns Pixels filled.
 */
export function fillRuns(
  image: usize, variance: usize, mask: usize, width: i32, height: i32, list: usize, count: i32, runMax: i32,
  defects: i32, saturated: i32, filled: i32, missing: i32,
): i32 {
  const unknown = defects | saturated | filled;
  let done = 0;
  for (let k = 0; k < count; k++, list += 4) {
    const i = load<i32>(list), m = mask + (<usize>i << 1), bits = <i32>load<u16>(m);
    if ((bits & defects) == 0 || (bits & (filled | saturated)) != 0) continue;
    const x = i % width, y = i / width;
    let a = distanceToGood(m, -2, min(x, runMax), unknown);
    let b = distanceToGood(m, 2, min(width - 1 - x, runMax), unknown);
    let run = a > 0 && b > 0 ? a + b - 1 : i32.MAX_VALUE, step = 1;
    // Nothing is shorter than one pixel, and the rows beside lie far away in memory.
    if (run != 1) {
      const down = distanceToGood(m, -(width << 1), min(y, runMax), unknown);
      const up = distanceToGood(m, width << 1, min(height - 1 - y, runMax), unknown);
      const across = down > 0 && up > 0 ? down + up - 1 : i32.MAX_VALUE;
      if (across < run) {
        run = across; a = down; b = up; step = width;
      }
    }
    if (run > runMax) continue;
    const weight = <f64>b / <f64>(a + b), rest = 1 - weight;
    const before = <usize>(i - a * step) << 2, after = <usize>(i + b * step) << 2, at = <usize>i << 2;
    store<f32>(image + at, <f32>(weight * <f64>load<f32>(image + before) + rest * <f64>load<f32>(image + after)));
    store<f32>(variance + at,
      <f32>(weight * <f64>load<f32>(variance + before) + rest * <f64>load<f32>(variance + after)));
    store<u16>(m, <u16>((bits | filled) & ~missing));
    done++;
  }
  return done;
}
