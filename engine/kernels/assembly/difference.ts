/** Variance of a difference, and lists of pixels above a noise that varies. Twins: `twins/difference.ts`. */

/**
 * out = scale × (a + b − slope × difference, or `shareMin` of a + b at least) on inner pixels where the sum of 3 × 3
 * pixels of the difference squared is below `believed` × (a + b); scale × (a + b) elsewhere.
 */
export function differenceVariance(
  a: usize, b: usize, difference: usize, width: i32, height: i32, slope: f32, believed: f32, shareMin: f32, scale: f32,
  out: usize,
): void {
  const row = <usize>width << 2;
  for (let y = 0; y < height; y++, a += row, b += row, difference += row, out += row) {
    if (slope == 0 || y == 0 || y == height - 1 || width < 3) { plainVariance(a, b, 0, width, scale, out); continue; }
    plainVariance(a, b, 0, 1, scale, out);
    innerVariance(a, b, difference, row, width - 1, slope, believed, shareMin, scale, out);
    plainVariance(a, b, width - 1, width, scale, out);
  }
}

function plainVariance(a: usize, b: usize, from: i32, to: i32, scale: f32, out: usize): void {
  const scales = f32x4.splat(scale);
  let x = <usize>from << 2;
  const end = <usize>to << 2;
  for (; x + 16 <= end; x += 16) v128.store(out + x, f32x4.mul(f32x4.add(v128.load(a + x), v128.load(b + x)), scales));
  for (; x < end; x += 4) store<f32>(out + x, (load<f32>(a + x) + load<f32>(b + x)) * scale);
}

function innerVariance(
  a: usize, b: usize, d: usize, row: usize, last: i32, slope: f32, believed: f32, shareMin: f32, scale: f32, out: usize,
): void {
  const end = <usize>last << 2;
  let x: usize = 4;
  // Sums of columns serve three groups. Those beside the row's ends are read and not used.
  let before = Columns.sum(d - 12, row), here = Columns.sum(d + 4, row);
  for (; x + 16 <= end; x += 16) {
    const next = Columns.sum(d + x + 16, row), total = f32x4.add(v128.load(a + x), v128.load(b + x));
    const left = v128.shuffle<f32>(before, here, 3, 4, 5, 6), right = v128.shuffle<f32>(here, next, 1, 2, 3, 4);
    const sum = f32x4.add(f32x4.add(left, here), right);
    const isNoise = f32x4.lt(f32x4.mul(sum, sum), f32x4.mul(f32x4.splat(believed), total));
    const corrected = f32x4.sub(total, f32x4.mul(f32x4.splat(slope), v128.load(d + x))),
      least = f32x4.mul(f32x4.splat(shareMin), total);
    const bounded = v128.bitselect(least, corrected, f32x4.lt(corrected, least));
    v128.store(out + x, f32x4.mul(v128.bitselect(bounded, total, isNoise), f32x4.splat(scale)));
    before = here;
    here = next;
  }
  for (; x < end; x += 4) {
    const total = load<f32>(a + x) + load<f32>(b + x);
    const sum = Columns.one(d + x - 4, row) + Columns.one(d + x, row) + Columns.one(d + x + 4, row);
    let variance = total;
    if (sum * sum < believed * total) {
      variance = total - slope * load<f32>(d + x);
      if (variance < shareMin * total) variance = shareMin * total;
    }
    store<f32>(out + x, variance * scale);
  }
}

/** Of three rows: the one before, that of `at`, and the next. */
class Columns {
  @inline static sum(at: usize, row: usize): v128 {
    return f32x4.add(f32x4.add(v128.load(at - row), v128.load(at)), v128.load(at + row));
  }
  @inline static one(at: usize, row: usize): f32 { return load<f32>(at - row) + load<f32>(at) + load<f32>(at + row); }
}

/**
 * Indices (counted from `plane`) of values above factor × noise, in order. Returns how many, of which `capacity` are
 * listed.
 */
export function listAbove(plane: usize, noise: usize, count: i32, factor: f32, indices: usize, capacity: i32): i32 {
  const factors = f32x4.splat(factor);
  let found = 0, i = 0;
  for (; i + 16 <= count; i += 16, plane += 64, noise += 64) {
    let bits = i32x4.bitmask(f32x4.gt(v128.load(plane), f32x4.mul(factors, v128.load(noise))))
      | (i32x4.bitmask(f32x4.gt(v128.load(plane, 16), f32x4.mul(factors, v128.load(noise, 16)))) << 4)
      | (i32x4.bitmask(f32x4.gt(v128.load(plane, 32), f32x4.mul(factors, v128.load(noise, 32)))) << 8)
      | (i32x4.bitmask(f32x4.gt(v128.load(plane, 48), f32x4.mul(factors, v128.load(noise, 48)))) << 12);
    for (; bits != 0; bits &= bits - 1, found++) if (found < capacity) store<i32>(
      indices + (<usize>found << 2), i + ctz(bits));
  }
  for (; i < count; i++, plane += 4, noise += 4) {
    if (!(load<f32>(plane) > factor * load<f32>(noise))) continue;
    if (found < capacity) store<i32>(indices + (<usize>found << 2), i);
    found++;
  }
  return found;
}
