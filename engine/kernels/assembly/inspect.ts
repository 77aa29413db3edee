/** What an image from a file holds: pixels without a value, saturated ones, and its range. Twin: `twins/inspect.ts`. */

/**
 * Sets `noData` in the mask, NaN in the image and 0 in the variance where the image is not finite or, with a variance
 * given, that is not positive and finite.
 *
 * @param hasVariance 0 when the variance is of no account; it is then only written.
 * @param result  f32 lowest and highest pixel that has none of `unusable`, i32 how many have none, f32 lowest variance:
 *                carried on from what they hold.
 * @returns How many known pixels are at `saturation` or above.
 */
export function inspectPixels(
  image: usize, variance: usize, mask: usize, count: i32, hasVariance: i32, saturation: f32, noData: i32, unusable: i32,
  result: usize,
): i32 {
  const zero = f32x4.splat(0), full = f32x4.splat(saturation), blank = i32x4.splat(unusable),
    any = i32x4.splat(hasVariance != 0 ? 0 : -1);
  let low = v128.load32_splat(result), high = v128.load32_splat(result, 4), least = v128.load32_splat(result, 12);
  let usable = 0, saturated = 0, x = 0;
  for (; x + 4 <= count; x += 4, image += 16, variance += 16, mask += 8) {
    const value = v128.load(image), noise = v128.load(variance);
    least = v128.bitselect(least, f32x4.pmin(least, noise), any);
    const isVaried = v128.and(f32x4.gt(noise, zero), f32x4.eq(f32x4.sub(noise, noise), zero));
    const isKnown = v128.and(f32x4.eq(f32x4.sub(value, value), zero), v128.or(any, isVaried));
    if (!i32x4.all_true(isKnown)) {
      v128.store(image, v128.bitselect(value, f32x4.splat(f32.NaN), isKnown));
      v128.store(variance, v128.and(noise, isKnown));
      for (let i = 0; i < 4; i++) {
        if (((i32x4.bitmask(isKnown) >> i) & 1) == 0) store<u16>(
          mask + (<usize>i << 1), load<u16>(mask + (<usize>i << 1)) | <u16>noData);
      }
    }
    saturated += popcnt(i32x4.bitmask(v128.and(isKnown, f32x4.ge(value, full))));
    const bits = v128.load16x4_u(mask);
    const isUsed = v128.and(isKnown, i32x4.eq(v128.and(bits, blank), i32x4.splat(0)));
    usable += popcnt(i32x4.bitmask(isUsed));
    low = f32x4.pmin(low, v128.bitselect(value, low, isUsed));
    high = f32x4.pmax(high, v128.bitselect(value, high, isUsed));
  }
  let lowest = lowestOf(low), highest = -lowestOf(f32x4.neg(high)), leastNoise = lowestOf(least);
  for (; x < count; x++, image += 4, variance += 4, mask += 2) {
    const value = load<f32>(image), noise = load<f32>(variance);
    if (hasVariance != 0 && noise < leastNoise) leastNoise = noise;
    if (value - value != 0 || (hasVariance != 0 && !(noise > 0 && noise - noise == 0))) {
      store<f32>(image, f32.NaN);
      store<f32>(variance, 0);
      store<u16>(mask, load<u16>(mask) | <u16>noData);
      continue;
    }
    if (value >= saturation) saturated++;
    if ((<i32>load<u16>(mask) & unusable) != 0) continue;
    usable++;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  store<f32>(result, lowest);
  store<f32>(result, highest, 4);
  store<i32>(result, load<i32>(result, 8) + usable, 8);
  store<f32>(result, leastNoise, 12);
  return saturated;
}

function lowestOf(four: v128): f32 {
  const a = f32x4.extract_lane(four, 0), b = f32x4.extract_lane(four, 1), c = f32x4.extract_lane(four, 2),
    d = f32x4.extract_lane(four, 3);
  const p = b < a ? b : a, q = d < c ? d : c;
  return q < p ? q : p;
}
