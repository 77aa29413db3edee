/** Sums over an ellipse of an image. The twin in `twins/ellipse.ts` defines the result. */


/**
 * Pixels whose centres lie in the ellipse cxx dx² + cyy dy² + cxy dx dy ≤ radius². One that another source holds, or a
 * bad one, is replaced by the one opposite, and counts nothing when that is one too.
 *
 * @param variance [height × width] float32, or 0: then `pixelVariance` serves.
 * @param marks    A bit for every pixel, from the lowest of each byte on: whether a source holds it.
 * @param labels   [height × width] int32: which; means nothing where the bit is not set.
 * @param reachX, reachY Half width and height of the ellipse.
 * @param result   Five f64, overwritten: Σ v, Σ r v, Σ variance, pixels inside, pixels that were replaced or lost.
 */
export function sumEllipse(
  image: usize, variance: usize, mask: usize, marks: usize, labels: usize, width: i32, height: i32, label: i32,
  badBits: i32, pixelVariance: f64, x: f64, y: f64, cxx: f64, cyy: f64, cxy: f64, reachX: f64, reachY: f64, radius: f64,
  result: usize,
): void {
  const radius2 = radius * radius;
  const i0 = max<i32>(0, <i32>ceil<f64>(x - reachX)), i1 = min<i32>(width - 1, <i32>floor<f64>(x + reachX));
  const j0 = max<i32>(0, <i32>ceil<f64>(y - reachY)), j1 = min<i32>(height - 1, <i32>floor<f64>(y + reachY));
  const columns = i32x4(0, 1, 2, 3), xs = f64x2.splat(x), radii = f64x2.splat(radius2);
  const cxxs = f64x2.splat(cxx), cxys = f64x2.splat(cxy);
  const none = f64x2.splat(0), steady = f64x2.splat(pixelVariance), bad = i32x4.splat(badBits), zero = i32x4.splat(0);
  // Two lanes each: pixels of even columns and of odd ones.
  let flux = none, moment = none, sum = none, inside = 0, replaced = 0;
  fetchBox(image, mask, marks, width, i0, i1, j0, j1, result);
  for (let j = j0; j <= j1; j++) {
    const dy = <f64>j - y, dys = f64x2.splat(dy), cyydy2 = cyy * dy * dy, square = f64x2.splat(cyydy2);
    // Where the row meets the ellipse, and a pixel more on either side: what is inside is asked again.
    const middle = x - cxy * dy / (2 * cxx), rest = cxy * cxy * dy * dy - 4 * cxx * (cyy * dy * dy - radius2);
    const halfWidth = rest > 0 ? sqrt<f64>(rest) / (2 * cxx) : 0;
    const first = max<i32>(i0, <i32>floor<f64>(middle - halfWidth) - 1);
    const last = min<i32>(i1, <i32>ceil<f64>(middle + halfWidth) + 1);
    const firsts = i32x4.splat(first), lasts = i32x4.splat(last);
    for (let i = first & ~3; i <= last; i += 4) {
      const pixel = j * width + i, at = <usize>pixel << 2, places = i32x4.add(columns, i32x4.splat(i));
      const low = f64x2.sub(f64x2.convert_low_i32x4_s(places), xs);
      const high = f64x2.sub(f64x2.convert_low_i32x4_s(v128.shuffle<i64>(places, places, 1, 1)), xs);
      const r2low = f64x2.add(f64x2.add(f64x2.mul(f64x2.mul(cxxs, low), low), square),
        f64x2.mul(f64x2.mul(cxys, low), dys));
      const r2high = f64x2.add(f64x2.add(f64x2.mul(f64x2.mul(cxxs, high), high), square),
        f64x2.mul(f64x2.mul(cxys, high), dys));
      const isLow = f64x2.le(r2low, radii), isHigh = f64x2.le(r2high, radii);
      const isInside = v128.and(v128.shuffle<i32>(isLow, isHigh, 0, 2, 4, 6),
        v128.and(i32x4.ge_s(places, firsts), i32x4.le_s(places, lasts)));
      const lanes = i32x4.bitmask(isInside);
      if (lanes == 0) continue;
      inside += popcnt(lanes);
      if (i + 4 <= width) {
        const values = v128.load(image + at), flags = v128.load16x4_u(mask + (at >> 1));
        const byte = marks + <usize>(pixel >> 3), shift = pixel & 7;
        const held = (shift > 4 ? <i32>load<u16>(byte) : <i32>load<u8>(byte)) >> shift & lanes;
        let isFree = v128.and(f32x4.eq(values, values), i32x4.eq(v128.and(flags, bad), zero));
        if (held != 0) {
          const isHeld = i32x4.ne(v128.and(i32x4.splat(held), i32x4(1, 2, 4, 8)), zero);
          isFree = v128.andnot(isFree, v128.andnot(isHeld, i32x4.eq(v128.load(labels + at), i32x4.splat(label))));
        }
        if (!v128.any_true(v128.andnot(isInside, isFree))) {
          const kept = v128.and(values, isInside), noise = variance == 0 ? none : v128.load(variance + at);
          const left = f64x2.promote_low_f32x4(kept), right = f64x2.promote_low_f32x4(v128.shuffle<i64>(kept, kept, 1, 1));
          const isLeft = i64x2.extend_low_i32x4_s(isInside), isRight = i64x2.extend_high_i32x4_s(isInside);
          const noiseLeft = variance == 0 ? steady : f64x2.promote_low_f32x4(noise);
          const noiseRight = variance == 0 ? steady : f64x2.promote_low_f32x4(v128.shuffle<i64>(noise, noise, 1, 1));
          flux = f64x2.add(f64x2.add(flux, left), right);
          moment = f64x2.add(f64x2.add(moment, f64x2.mul(f64x2.sqrt(f64x2.max(none, r2low)), left)),
            f64x2.mul(f64x2.sqrt(f64x2.max(none, r2high)), right));
          sum = f64x2.add(f64x2.add(sum, v128.and(noiseLeft, isLeft)), v128.and(noiseRight, isRight));
          continue;
        }
      }
      // One by one, where someone else's pixel is among them, or the row ends.
      for (let k = 0; k < 4; k++) {
        if ((lanes >> k & 1) == 0) continue;
        let used = pixel + k;
        if (!isOwn(image, mask, marks, labels, used, label, badBits)) {
          replaced++;
          used = opposite(2 * x - <f64>(i + k), 2 * y - <f64>j, width, height);
          if (used < 0 || !isOwn(image, mask, marks, labels, used, label, badBits)) continue;
        }
        const dx = <f64>(i + k) - x, r2 = cxx * dx * dx + cyydy2 + cxy * dx * dy;
        const noise = variance == 0 ? pixelVariance : <f64>load<f32>(variance + (<usize>used << 2));
        const value = <f64>load<f32>(image + (<usize>used << 2));
        flux = f64x2.add(flux, inLane(value, k));
        moment = f64x2.add(moment, inLane(sqrt<f64>(max<f64>(0, r2)) * value, k));
        sum = f64x2.add(sum, inLane(noise, k));
      }
    }
  }
  store<f64>(result, f64x2.extract_lane(flux, 0) + f64x2.extract_lane(flux, 1));
  store<f64>(result, f64x2.extract_lane(moment, 0) + f64x2.extract_lane(moment, 1), 8);
  store<f64>(result, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1), 16);
  store<f64>(result, <f64>inside, 24); store<f64>(result, <f64>replaced, 32);
}

/**
 * Reads a word of each cache line of a box. One after the other, the sums would wait for every row of a place that nobody
 * has looked at for long; loads that depend on nothing are waited for together, ten at a time.
 */
function fetchBox(
  image: usize, mask: usize, marks: usize, width: i32, i0: i32, i1: i32, j0: i32, j1: i32, out: usize,
): void {
  let sum = 0;
  for (let j = j0; j <= j1; j++) {
    const first = <usize>(j * width + i0), last = <usize>(j * width + i1);
    for (let p = (image + (first << 2)) & ~63, end = image + (last << 2); p <= end; p += 64) sum ^= load<i32>(p);
    for (let p = (mask + (first << 1)) & ~63, end = mask + (last << 1); p <= end; p += 64) sum ^= load<i32>(p);
    sum ^= <i32>load<u8>(marks + (first >> 3));
  }
  // Stored, lest the loads be found to serve nobody.
  store<i32>(out, sum);
}

function inLane(value: f64, k: i32): v128 {
  return (k & 1) == 0 ? f64x2.replace_lane(f64x2.splat(0), 0, value) : f64x2.replace_lane(f64x2.splat(0), 1, value);
}

/** The pixel at a place; −1 when it is outside the image. */
function opposite(x: f64, y: f64, width: i32, height: i32): i32 {
  const u = <i32>floor<f64>(x + 0.5), v = <i32>floor<f64>(y + 0.5);
  return u < 0 || v < 0 || u >= width || v >= height ? -1 : v * width + u;
}

/** Whether a pixel is good, and no other source's. */
function isOwn(
  image: usize, mask: usize, marks: usize, labels: usize, pixel: i32, label: i32, badBits: i32,
): bool {
  const isHeld = (<i32>load<u8>(marks + <usize>(pixel >> 3)) >> (pixel & 7) & 1) != 0;
  const value = load<f32>(image + (<usize>pixel << 2));
  return (!isHeld || load<i32>(labels + (<usize>pixel << 2)) == label)
    && (<i32>load<u16>(mask + (<usize>pixel << 1)) & badBits) == 0 && value == value;
}
