/** Passes of matching and subtraction over planes and masks. The twins in `twins/match.ts` define the results. */

/** Peaks are looked for in this many pixels to each side. */
const PEAK_REACH = 2;

/**
 * Pixels above the threshold that are the highest of 5 × 5 in the template, above their own noise there, and whose 3 × 3
 * sum is at least `snrMin` in both images; in order. Of equal neighbours the last counts.
 *
 * @param margin Pixels from the border that are not looked at; at least 2.
 * @returns How many; no more than `capacity` are listed.
 */
export function listBright(
  scienceImage: usize, scienceVariance: usize, image: usize, variance: usize, width: i32, height: i32, margin: i32,
  threshold: f32, snrMin: f64, indices: usize, capacity: i32,
): i32 {
  const least = f32x4.splat(threshold), row = <usize>width << 2, faint = <f32>(FAINT_SHARE * snrMin * snrMin);
  let found = 0;
  for (let y = margin; y < height - margin; y++) {
    const end = y * width + width - margin;
    for (let i = y * width + margin; i < end; i += 16) {
      let lanes = 0;
      if (i + 16 <= end) {
        const p = image + (<usize>i << 2);
        const a = f32x4.gt(v128.load(p), least), b = f32x4.gt(v128.load(p, 16), least);
        const c = f32x4.gt(v128.load(p, 32), least), d = f32x4.gt(v128.load(p, 48), least);
        if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
        lanes = peaksOfThree(a, p, row) | (peaksOfThree(b, p + 16, row) << 4) | (peaksOfThree(c, p + 32, row) << 8)
          | (peaksOfThree(d, p + 48, row) << 12);
      } else {
        for (let k = 0; k < end - i; k++) {
          if (load<f32>(image + (<usize>(i + k) << 2)) > threshold) lanes |= 1 << k;
        }
      }
      for (; lanes != 0; lanes &= lanes - 1) {
        const j = i + ctz(lanes), at = <usize>j << 2;
        if (isFaint(image + at, variance + at, row, faint) || !isPeak(image + at, row)) continue;
        const value = <f64>load<f32>(image + at);
        if (!(value * value > <f64>load<f32>(variance + at))) continue;
        if (boxSnr(scienceImage + at, scienceVariance + at, row) < snrMin) continue;
        if (boxSnr(image + at, variance + at, row) < snrMin) continue;
        if (found < capacity) store<i32>(indices + (<usize>found << 2), j);
        found++;
      }
    }
  }
  return found;
}

/**
 * Positive pixels whose square exceeds `factor` × variance and that no pixel of 5 × 5 exceeds, in order; of equal ones
 * the last counts. Margin and what is returned are as for `listBright`.
 */
export function listPeaksOver(
  image: usize, variance: usize, width: i32, height: i32, margin: i32, factor: f32, indices: usize, capacity: i32,
): i32 {
  const factors = f32x4.splat(factor), zero = f32x4.splat(0), row = <usize>width << 2;
  let found = 0;
  for (let y = margin; y < height - margin; y++) {
    const end = y * width + width - margin;
    for (let i = y * width + margin; i < end; i += 4) {
      const at = <usize>i << 2;
      let lanes = 0;
      if (i + 4 <= end) {
        const value = v128.load(image + at), limit = f32x4.mul(factors, v128.load(variance + at));
        lanes = i32x4.bitmask(v128.and(f32x4.gt(value, zero), f32x4.gt(f32x4.mul(value, value), limit)));
      } else {
        for (let k = 0; k < end - i; k++) {
          const skip = at + (<usize>k << 2), value = load<f32>(image + skip);
          if (value > 0 && value * value > factor * load<f32>(variance + skip)) lanes |= 1 << k;
        }
      }
      for (; lanes != 0; lanes &= lanes - 1) {
        const j = i + ctz(lanes);
        if (!isPeak(image + (<usize>j << 2), row)) continue;
        if (found < capacity) store<i32>(indices + (<usize>found << 2), j);
        found++;
      }
    }
  }
  return found;
}

/**
 * variance += factorX × (right − left)² + factorY × (above − below)² of the plane's neighbours, but on the outermost
 * pixels and where that is not a number.
 */
export function addSlopes(plane: usize, width: i32, height: i32, factorX: f32, factorY: f32, variance: usize): void {
  const fx = f32x4.splat(factorX), fy = f32x4.splat(factorY), row = <usize>width << 2;
  for (let y = 1; y < height - 1; y++) {
    let p = plane + row * y + 4, q = variance + row * y + 4, x = 1;
    for (; x + 4 < width; x += 4, p += 16, q += 16) {
      const dx = f32x4.sub(v128.load(p, 4), v128.load(p - 4)), dy = f32x4.sub(v128.load(p + row), v128.load(p - row));
      const added = f32x4.add(f32x4.mul(fx, f32x4.mul(dx, dx)), f32x4.mul(fy, f32x4.mul(dy, dy)));
      v128.store(q, f32x4.add(v128.load(q), v128.and(added, f32x4.eq(added, added))));
    }
    for (; x < width - 1; x++, p += 4, q += 4) {
      const dx = load<f32>(p, 4) - load<f32>(p - 4), dy = load<f32>(p + row) - load<f32>(p - row);
      const added = factorX * (dx * dx) + factorY * (dy * dy);
      if (added == added) store<f32>(q, load<f32>(q) + added);
    }
  }
}

/** What single precision calls faint is so in double precision too. */
const FAINT_SHARE: f64 = 0.999;

/** Whether the sum of 3 × 3 pixels is certainly no more than a signal to noise; `limit` is nearly its square. */
function isFaint(image: usize, variance: usize, row: usize, limit: f32): bool {
  const sums = f32x4.add(f32x4.add(v128.load(image - row - 4), v128.load(image - 4)), v128.load(image + row - 4));
  const noise = f32x4.add(
    f32x4.add(v128.load(variance - row - 4), v128.load(variance - 4)), v128.load(variance + row - 4));
  const sum = f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1) + f32x4.extract_lane(sums, 2);
  return sum * abs(sum) < limit * (
    f32x4.extract_lane(noise, 0) + f32x4.extract_lane(noise, 1) + f32x4.extract_lane(noise, 2));
}

/** Which of four pixels that come into question are as `isPeak` asks among 3 × 3: that rules most out. */
function peaksOfThree(asked: v128, at: usize, row: usize): i32 {
  if (!v128.any_true(asked)) return 0;
  const value = v128.load(at), below = at - row, above = at + row;
  const before = v128.or(
    v128.or(f32x4.gt(v128.load(below - 4), value), f32x4.gt(v128.load(below), value)),
    v128.or(f32x4.gt(v128.load(below, 4), value), f32x4.gt(v128.load(at - 4), value)));
  const after = v128.or(
    v128.or(f32x4.ge(v128.load(above - 4), value), f32x4.ge(v128.load(above), value)),
    v128.or(f32x4.ge(v128.load(above, 4), value), f32x4.ge(v128.load(at, 4), value)));
  return i32x4.bitmask(v128.andnot(asked, v128.or(before, after)));
}

function isPeak(at: usize, row: usize): bool {
  const value = load<f32>(at);
  for (let v = -PEAK_REACH; v <= PEAK_REACH; v++) {
    for (let u = -PEAK_REACH; u <= PEAK_REACH; u++) {
      const other = load<f32>(at + row * v + (<usize>u << 2));
      if (other > value || (other == value && (v > 0 || (v == 0 && u > 0)))) return false;
    }
  }
  return true;
}

/** Sum of 3 × 3 pixels over its noise; 0 where that is not positive, or something is not a number. */
function boxSnr(image: usize, variance: usize, row: usize): f64 {
  let sum: f64 = 0, noise: f64 = 0;
  for (let v = -1; v <= 1; v++) {
    for (let u = -1; u <= 1; u++) {
      const skip = row * v + (<usize>u << 2);
      sum += <f64>load<f32>(image + skip);
      noise += <f64>load<f32>(variance + skip);
    }
  }
  const snr = noise > 0 ? sum / sqrt<f64>(noise) : 0;
  return snr == snr ? snr : 0;
}

/**
 * outMask = (visitMask & kept) | matchedMask, with `noData` where the visit is not finite; out = factor × (a − b) − a
 * polynomial where that has none of `blank` and the result is finite, else 0.
 *
 * @param columns [width] float32: u of each column.
 * @param terms   [height × 3] float32: coefficients of 1, u and u² in each row.
 */
export function subtractMatched(
  visit: usize, visitMask: usize, matchedMask: usize, a: usize, b: usize, factor: f32, kept: i32, blank: i32, noData: i32,
  columns: usize, terms: usize, width: i32, height: i32, out: usize, outMask: usize,
): void {
  for (let y = 0; y < height; y++, terms += 12) {
    const at = <usize>(y * width) << 2, m = at >> 1;
    subtractMatchedRow(visit + at, visitMask + m, matchedMask + m, a + at, b + at, factor, kept, blank, noData, columns,
      load<f32>(terms), load<f32>(terms, 4), load<f32>(terms, 8), width, out + at, outMask + m);
  }
}

function subtractMatchedRow(
  visit: usize, visitMask: usize, matchedMask: usize, a: usize, b: usize, factor: f32, kept: i32, blank: i32, noData: i32,
  columns: usize, c0: f32, c1: f32, c2: f32, count: i32, out: usize, outMask: usize,
): void {
  const keptBits = i16x8.splat(<i16>kept), blankBits = i16x8.splat(<i16>blank), lost = i16x8.splat(<i16>noData);
  const zero = f32x4.splat(0), factors = f32x4.splat(factor), none = i16x8.splat(0);
  const k0 = f32x4.splat(c0), k1 = f32x4.splat(c1), k2 = f32x4.splat(c2);
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const at = <usize>i << 2, m = <usize>i << 1;
    const v0 = v128.load(visit + at), v1 = v128.load(visit + at, 16);
    const isLost = i16x8.narrow_i32x4_s(f32x4.ne(f32x4.sub(v0, v0), zero), f32x4.ne(f32x4.sub(v1, v1), zero));
    const mask = v128.or(v128.or(v128.and(v128.load(visitMask + m), keptBits), v128.load(matchedMask + m)),
      v128.and(isLost, lost));
    v128.store(outMask + m, mask);
    const isClear = i16x8.eq(v128.and(mask, blankBits), none), u0 = v128.load(columns + at), u1 = v128.load(columns + at, 16);
    const p0 = f32x4.add(k0, f32x4.mul(u0, f32x4.add(k1, f32x4.mul(u0, k2))));
    const p1 = f32x4.add(k0, f32x4.mul(u1, f32x4.add(k1, f32x4.mul(u1, k2))));
    const d0 = f32x4.sub(f32x4.mul(factors, f32x4.sub(v128.load(a + at), v128.load(b + at))), p0);
    const d1 = f32x4.sub(f32x4.mul(factors, f32x4.sub(v128.load(a + at, 16), v128.load(b + at, 16))), p1);
    const f0 = f32x4.eq(f32x4.sub(d0, d0), zero), f1 = f32x4.eq(f32x4.sub(d1, d1), zero);
    v128.store(out + at, v128.and(d0, v128.and(f0, i32x4.extend_low_i16x8_s(isClear))));
    v128.store(out + at, v128.and(d1, v128.and(f1, i32x4.extend_high_i16x8_s(isClear))), 16);
  }
  for (; i < count; i++) {
    const at = <usize>i << 2, m = <usize>i << 1, value = load<f32>(visit + at), u = load<f32>(columns + at);
    let mask = (<i32>load<u16>(visitMask + m) & kept) | <i32>load<u16>(matchedMask + m);
    if (value - value != 0) mask |= noData;
    store<u16>(outMask + m, <u16>mask);
    const d = factor * (load<f32>(a + at) - load<f32>(b + at)) - (c0 + u * (c1 + u * c2));
    store<f32>(out + at, (mask & blank) == 0 && d - d == 0 ? d : 0);
  }
}

/** image = NaN and variance = 0 where mask has one of the bits. */
export function blankMasked(image: usize, variance: usize, mask: usize, bits: i32, count: i32): void {
  const wanted = i16x8.splat(<i16>bits);
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const m = mask + (<usize>i << 1);
    if (!v128.any_true(v128.and(v128.load(m), wanted))) continue;
    for (let k = i; k < i + 8; k++) blankOne(image, variance, mask, bits, k);
  }
  for (; i < count; i++) blankOne(image, variance, mask, bits, i);
}

function blankOne(image: usize, variance: usize, mask: usize, bits: i32, i: i32): void {
  const at = <usize>i << 2;
  if ((<i32>load<u16>(mask + (<usize>i << 1)) & bits) == 0) return;
  store<f32>(image + at, f32.NaN);
  store<f32>(variance + at, 0);
}

/** mask &= kept. */
export function keepBits(mask: usize, kept: i32, count: i32): void {
  const bits = i16x8.splat(<i16>kept);
  let i = 0;
  for (; i + 16 <= count; i += 16, mask += 32) {
    const a = v128.load(mask), b = v128.load(mask, 16);
    // Most pixels have no bit that goes, and need not be written.
    if (!v128.any_true(v128.andnot(v128.or(a, b), bits))) continue;
    v128.store(mask, v128.and(a, bits));
    v128.store(mask, v128.and(b, bits), 16);
  }
  for (; i < count; i++, mask += 2) store<u16>(mask, <u16>(<i32>load<u16>(mask) & kept));
}

/** mask |= bit where plane > limit. */
export function flagAbove(plane: usize, limit: f32, mask: usize, bit: i32, count: i32): void {
  const limits = f32x4.splat(limit), bits = i16x8.splat(<i16>bit);
  let i = 0;
  for (; i + 8 <= count; i += 8, plane += 32, mask += 16) {
    const marked = i16x8.narrow_i32x4_s(f32x4.gt(v128.load(plane), limits), f32x4.gt(v128.load(plane, 16), limits));
    if (v128.any_true(marked)) v128.store(mask, v128.or(v128.load(mask), v128.and(marked, bits)));
  }
  for (; i < count; i++, plane += 4, mask += 2) {
    if (load<f32>(plane) > limit) store<u16>(mask, <u16>(<i32>load<u16>(mask) | bit));
  }
}

/** Sets `bit` in the mask where the plane is NaN. */
export function flagNaN(plane: usize, mask: usize, bit: i32, count: i32): void {
  const bits = i16x8.splat(<i16>bit);
  let i = 0;
  for (; i + 8 <= count; i += 8, plane += 32, mask += 16) {
    const a = v128.load(plane), b = v128.load(plane, 16);
    const marked = i16x8.narrow_i32x4_s(f32x4.ne(a, a), f32x4.ne(b, b));
    if (v128.any_true(marked)) v128.store(mask, v128.or(v128.load(mask), v128.and(marked, bits)));
  }
  for (; i < count; i++, plane += 4, mask += 2) {
    const value = load<f32>(plane);
    if (value != value) store<u16>(mask, <u16>(<i32>load<u16>(mask) | bit));
  }
}

/**
 * Σ Δvariance Δimage and Σ Δimage² of neighbours along a row, each in four sums of every fourth pixel, which are added at
 * last; only where both masks are clear of `blank`, Δimage² < most, the left variance ≤ highest and Δvariance finite. The
 * last up to four pixels of a row are not looked at.
 *
 * @param result Eight f64, added to: the four sums of products, then those of squares.
 */
export function slopeRow(
  image: usize, variance: usize, mask: usize, blank: i32, count: i32, most: f32, highest: f32, result: usize,
): void {
  const bits = i32x4.splat(blank), none = i32x4.splat(0), mosts = f32x4.splat(most), limit = f32x4.splat(highest);
  let p = v128.load(result), q = v128.load(result, 16), r = v128.load(result, 32), s = v128.load(result, 48);
  for (let i = 0; i + 4 < count; i += 4, image += 16, variance += 16, mask += 8) {
    const v = v128.load(variance), d = f32x4.sub(v128.load(image, 4), v128.load(image));
    const isClear = i32x4.eq(v128.and(v128.or(v128.load16x4_u(mask), v128.load16x4_u(mask, 2)), bits), none);
    const change = f32x4.sub(v128.load(variance, 4), v), isKnown = f32x4.eq(f32x4.sub(change, change), f32x4.splat(0));
    const isUsed = v128.and(v128.and(isClear, f32x4.lt(f32x4.mul(d, d), mosts)), v128.and(f32x4.le(v, limit), isKnown));
    const dv = v128.and(change, isUsed), di = v128.and(d, isUsed);
    const low = f64x2.promote_low_f32x4(di), high = f64x2.promote_low_f32x4(v128.shuffle<i64>(di, di, 1, 1));
    p = f64x2.add(p, f64x2.mul(low, f64x2.promote_low_f32x4(dv)));
    q = f64x2.add(q, f64x2.mul(high, f64x2.promote_low_f32x4(v128.shuffle<i64>(dv, dv, 1, 1))));
    r = f64x2.add(r, f64x2.mul(low, low));
    s = f64x2.add(s, f64x2.mul(high, high));
  }
  v128.store(result, p); v128.store(result, q, 16); v128.store(result, r, 32); v128.store(result, s, 48);
}

/**
 * Big-endian 16-bit masks to ours, in place: of each pair of `moves` that a stored number shares a bit with, the second
 * bit is set.
 *
 * @param moves [2 × moveCount] u32.
 */
export function translateMask(mask: usize, count: i32, moves: usize, moveCount: i32): void {
  let i = 0;
  for (; i + 16 <= count; i += 16) {
    const p = mask + (<usize>i << 1);
    if (!v128.any_true(v128.or(v128.load(p), v128.load(p, 16)))) continue;
    for (let k = i; k < i + 16; k++) translateOne(mask + (<usize>k << 1), moves, moveCount);
  }
  for (; i < count; i++) translateOne(mask + (<usize>i << 1), moves, moveCount);
}

function translateOne(at: usize, moves: usize, moveCount: i32): void {
  const raw = <u32>load<u16>(at);
  if (raw == 0) return;
  const stored = ((raw << 8) & 0xff00) | (raw >> 8);
  let bits: u32 = 0;
  for (let k = 0; k < moveCount; k++) {
    const move = moves + (<usize>k << 3);
    if ((stored & load<u32>(move)) != 0) bits |= load<u32>(move, 4);
  }
  store<u16>(at, <u16>bits);
}
