/** Variance of the light that is expected. The twin in `twins/variance.ts` defines the result. */

class Light {
  /** Three rows of a column, summed 1-2-1. */
  @inline static column(below: usize, here: usize, above: usize, at: usize): v128 {
    const middle = v128.load(here + at);
    return f32x4.add(f32x4.add(v128.load(below + at), middle), f32x4.add(middle, v128.load(above + at)));
  }

  @inline static columnOf(below: usize, here: usize, above: usize, x: i32): f32 {
    const at = <usize>x << 2, middle = load<f32>(here + at);
    return (load<f32>(below + at) + middle) + (middle + load<f32>(above + at));
  }

  /** Each column sum and the next. */
  @inline static pair(here: v128, after: v128): v128 {
    return f32x4.add(here, v128.shuffle<f32>(here, after, 1, 2, 3, 4));
  }

  /** Each pair and the one before: 1-2-1 along the row. */
  @inline static sum(before: v128, here: v128): v128 {
    return f32x4.add(v128.shuffle<f32>(before, here, 3, 4, 5, 6), here);
  }

  /** The pixels' own light where it is bright, the smoothed where it is significant, else the sky's. */
  @inline static expected(value: v128, sum: v128, sky: v128, source: v128, bright: v128): v128 {
    const smooth = f32x4.pmax(f32x4.splat(0), f32x4.mul(sum, f32x4.splat(0.0625)));
    const isSource = f32x4.gt(sum, source), isBright = f32x4.gt(value, bright);
    const expected = v128.bitselect(value, v128.bitselect(smooth, sky, isSource), isBright);
    return v128.bitselect(expected, f32x4.splat(f32.NaN), f32x4.eq(value, value));
  }
}

/**
 * Rows `first` … `end` − 1, in any order.
 *
 * @param task image, variance, width, height, whether the variance holds 1 / response, cells [rows × columns] float32,
 *             columns, rows, read noise rows [width] float32, their byte offsets [height]; float64 cell width and
 *             height; float32 significances from which a pixel's own light, or 16 times the smoothed light, counts;
 *             work of 8 float32.
 */
export function varianceRows(task: usize, first: i32, end: i32): void {
  const image = <usize>load<u32>(task), variance = <usize>load<u32>(task, 4), width = load<i32>(task, 8);
  const height = load<i32>(task, 12), cells = <usize>load<u32>(task, 20), columns = load<i32>(task, 24);
  const rows = load<i32>(task, 28), reads = <usize>load<u32>(task, 32), readsAt = <usize>load<u32>(task, 36);
  const cellWidth = load<f64>(task, 40), cellHeight = load<f64>(task, 48), bright = load<f32>(task, 56);
  const source = load<f32>(task, 60), rowBytes = <usize>width << 2, pieces = max(columns - 1, 1);
  for (let y = first; y < end; y++) {
    const v = rows == 1 ? 0 : (<f64>y + 0.5) / cellHeight - 0.5;
    const row = min(max(<i32>floor(v), 0), max(rows - 2, 0)), part = rows == 1 ? 0 : v - <f64>row;
    const low = cells + (<usize>(row * columns) << 2), high = cells + (<usize>(min(row + 1, rows - 1) * columns) << 2);
    const here = image + <usize>y * rowBytes, below = y > 0 ? here - rowBytes : here;
    const above = y + 1 < height ? here + rowBytes : here, out = variance + <usize>y * rowBytes;
    const read = reads + <usize>load<u32>(readsAt + (<usize>y << 2));
    let x0 = 0;
    for (let c = 0; c < pieces; c++) {
      const at = <usize>c << 2, next = <usize>min(c + 1, columns - 1) << 2, centre = (<f64>c + 0.5) * cellWidth - 0.5;
      const left = <f64>load<f32>(low + at) * (1 - part) + <f64>load<f32>(high + at) * part;
      const right = <f64>load<f32>(low + next) * (1 - part) + <f64>load<f32>(high + next) * part;
      const slope = columns == 1 ? 0 : (right - left) / cellWidth;
      const x1 = c + 1 == pieces ? width : min(<i32>ceil(centre + cellWidth) & ~7, width), middle = (x0 + x1) >> 1;
      if (x1 <= x0) continue;
      const level = <f32>(left + slope * (<f64>middle - centre));
      const sigma = sqrt<f32>(max<f32>(level, 0) + load<f32>(read + (<usize>middle << 2)));
      fillPiece(
        task, below, here, above, out, read, x0, x1, <f32>(left + slope * (<f64>x0 - centre)), <f32>slope,
        source * sigma, bright * sigma,
      );
      x0 = x1;
    }
  }
}

/** Pixels `x0` … `x1` − 1 of a row, the first at a multiple of 8, where the sky is a straight line. */
function fillPiece(
  task: usize, below: usize, here: usize, above: usize, out: usize, read: usize, x0: i32, x1: i32, base: f32,
  slope: f32, source: f32, bright: f32,
): void {
  const width = load<i32>(task, 8), hasInverse = load<i32>(task, 16) != 0, zero = f32x4.splat(0);
  const sixteen = f32x4.splat(16), source4 = f32x4.splat(source), bright4 = f32x4.splat(bright);
  const eight = f32x4.splat(slope * 8), slope4 = f32x4.splat(slope), base4 = f32x4.splat(base);
  let inverseA = f32x4.splat(1), inverseB = f32x4.splat(1), x = x0;
  let levelA = f32x4.add(base4, f32x4.mul(slope4, f32x4(0, 1, 2, 3)));
  let levelB = f32x4.add(base4, f32x4.mul(slope4, f32x4(4, 5, 6, 7)));
  if (x + 8 <= x1 && x + 12 <= width) {
    // The lowest limits of the piece, so that most pixels need no others.
    const fall = min<f32>(slope * <f32>(x1 - x0), 0), low = f32x4.splat(base + fall + bright);
    const lowSum = f32x4.splat((base + fall) * 16 + source);
    let a = Light.column(below, here, above, <usize>x << 2);
    const first = x > 0 ? Light.column(below, here, above, <usize>(x - 4) << 2)
      : f32x4.splat(f32x4.extract_lane(a, 0));
    let before = Light.pair(first, a);
    for (; x + 8 <= x1 && x + 12 <= width; x += 8) {
      const at = <usize>x << 2, b = Light.column(below, here, above, at + 16);
      const after = Light.column(below, here, above, at + 32), valueA = v128.load(here + at);
      const valueB = v128.load(here + at, 16), pairA = Light.pair(a, b), pairB = Light.pair(b, after);
      const sumA = Light.sum(before, pairA), sumB = Light.sum(pairA, pairB);
      let lightA = f32x4.pmax(zero, levelA), lightB = f32x4.pmax(zero, levelB);
      const quietA = v128.and(f32x4.le(sumA, lowSum), f32x4.le(valueA, low));
      const quietB = v128.and(f32x4.le(sumB, lowSum), f32x4.le(valueB, low));
      if (i32x4.bitmask(v128.and(quietA, quietB)) != 15) {
        const sourceA = f32x4.add(f32x4.mul(levelA, sixteen), source4), brightA = f32x4.add(levelA, bright4);
        const sourceB = f32x4.add(f32x4.mul(levelB, sixteen), source4), brightB = f32x4.add(levelB, bright4);
        lightA = Light.expected(valueA, sumA, lightA, sourceA, brightA);
        lightB = Light.expected(valueB, sumB, lightB, sourceB, brightB);
      }
      if (hasInverse) {
        inverseA = v128.load(out + at);
        inverseB = v128.load(out + at, 16);
      }
      lightA = f32x4.add(lightA, f32x4.mul(v128.load(read + at), inverseA));
      lightB = f32x4.add(lightB, f32x4.mul(v128.load(read + at, 16), inverseB));
      v128.store(out + at, f32x4.mul(lightA, inverseA));
      v128.store(out + at, f32x4.mul(lightB, inverseB), 16);
      levelA = f32x4.add(levelA, eight);
      levelB = f32x4.add(levelB, eight);
      before = pairB;
      a = after;
    }
  }
  const levels = task + 64;
  while (x < x1) {
    v128.store(levels, levelA);
    v128.store(levels, levelB, 16);
    for (let at = levels; at < levels + 32 && x < x1; x++, at += 4) {
      fillPixel(task, below, here, above, out, read, x, load<f32>(at), source, bright, hasInverse);
    }
    levelA = f32x4.add(levelA, eight);
    levelB = f32x4.add(levelB, eight);
  }
}

function fillPixel(
  task: usize, below: usize, here: usize, above: usize, out: usize, read: usize, x: i32, level: f32, source: f32,
  bright: f32, hasInverse: bool,
): void {
  const width = load<i32>(task, 8), at = <usize>x << 2, value = load<f32>(here + at);
  const middle = Light.columnOf(below, here, above, x), left = Light.columnOf(below, here, above, x > 0 ? x - 1 : x);
  const right = Light.columnOf(below, here, above, x + 1 < width ? x + 1 : x);
  const sum = (left + middle) + (middle + right), inverse: f32 = hasInverse ? load<f32>(out + at) : 1;
  let light: f32 = level > 0 ? level : 0;
  if (value > level + bright) light = value;
  else if (sum > level * 16 + source) light = sum > 0 ? sum * <f32>0.0625 : 0;
  const result = (light + load<f32>(read + at) * inverse) * inverse;
  store<f32>(out + at, value == value ? result : f32.NaN);
}
