/** Pixels that are masked, or near one that is. The twins in `twins/near.ts` define the results. */

/** A row's own mark, kept in the output between the passes; the result is bit 0. */
const OWN: i32 = 2;

/**
 * out = 1 where a pixel within `reach` along both axes has one of the bits, else 0.
 *
 * @param reach At most 254.
 * @param row   [width + 2 reach + 32] bytes, work.
 * @param ages  [width + 16] bytes, work.
 */
export function markNear(
  mask: usize, bits: i32, width: i32, height: i32, reach: i32, out: usize, row: usize, ages: usize,
): void {
  memory.fill(ages, 255, width);
  for (let y = 0; y < height; y++) {
    markRow(mask + (<usize>(y * width) << 1), bits, width, reach, row);
    ageRow(row, ages, width, reach, out + <usize>(y * width), true);
  }
  memory.fill(ages, 255, width);
  for (let y = height - 1; y >= 0; y--) ageRow(
    out + <usize>(y * width), ages, width, reach, out + <usize>(y * width), false);
}

/**
 * Marks along a row, OWN where a pixel within reach has one of the bits: windows are doubled until they are long
 * enough.
 */
function markRow(mask: usize, bits: i32, width: i32, reach: i32, row: usize): void {
  const length = 2 * reach + 1, total = width + 2 * reach, wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0),
    own = i8x16.splat(<i8>OWN);
  memory.fill(row, 0, <usize>(total + 32));
  let x = 0, p = row + <usize>reach;
  for (; x + 16 <= width; x += 16, p += 16, mask += 32) {
    const low = i16x8.ne(v128.and(v128.load(mask), wanted), none),
      high = i16x8.ne(v128.and(v128.load(mask, 16), wanted), none);
    v128.store(p, v128.and(i8x16.narrow_i16x8_s(low, high), own));
  }
  for (; x < width; x++, p++, mask += 2) store<u8>(p, (<i32>load<u16>(mask) & bits) != 0 ? <u8>OWN : 0);
  for (let covered = 1; covered < length;) {
    const step = min(covered, length - covered);
    // What is read lies ahead of what has been written.
    for (let at = row, end = row + <usize>width + <usize>(2 * reach - step) + 1; at < end; at += 16) {
      v128.store(at, v128.or(v128.load(at), v128.load(at + <usize>step)));
    }
    covered += step;
  }
}

/** Rows since the last OWN mark of each column, and what follows from them. */
function ageRow(from: usize, ages: usize, width: i32, reach: i32, out: usize, isFirst: bool): void {
  const own = i8x16.splat(<i8>OWN), one = i8x16.splat(1), limit = i8x16.splat(<i8>reach),
    kept = isFirst ? own : i8x16.splat(0);
  let x = 0;
  for (; x + 16 <= width; x += 16, from += 16, ages += 16, out += 16) {
    const before = v128.load(from), isOwn = i8x16.eq(v128.and(before, own), own);
    const age = v128.andnot(i8x16.add_sat_u(v128.load(ages), one), isOwn);
    v128.store(ages, age);
    const isNear = v128.and(i8x16.le_u(age, limit), one),
      marked = isFirst ? isNear : v128.or(isNear, v128.and(before, one));
    v128.store(out, v128.or(marked, v128.and(before, kept)));
  }
  for (; x < width; x++, from++, ages++, out++) {
    const before = <i32>load<u8>(from), isOwn = (before & OWN) != 0,
      age = isOwn ? 0 : min(<i32>load<u8>(ages) + 1, 255);
    store<u8>(ages, <u8>age);
    const marked = i32(age <= reach) | (isFirst ? 0 : before & 1);
    store<u8>(out, <u8>(isFirst ? marked | (before & OWN) : marked));
  }
}

/** out = 1 where mask has one of the bits or the image is not finite; elsewhere it stays. */
export function markBlank(mask: usize, bits: i32, image: usize, count: i32, out: usize): void {
  const wanted = i16x8.splat(<i16>bits), none = i16x8.splat(0), zero = f32x4.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8, mask += 16, image += 32, out += 8) {
    const a = v128.load(image), b = v128.load(image, 16);
    const lost = i16x8.narrow_i32x4_s(f32x4.ne(f32x4.sub(a, a), zero), f32x4.ne(f32x4.sub(b, b), zero));
    const marked = v128.or(lost, i16x8.ne(v128.and(v128.load(mask), wanted), none));
    if (!v128.any_true(marked)) continue;
    const bytes = v128.and(i8x16.narrow_i16x8_s(marked, marked), i8x16.splat(1));
    v128.store64_lane(out, v128.bitselect(i8x16.splat(1), v128.load64_zero(out), i8x16.eq(bytes, i8x16.splat(1))), 0);
  }
  for (; i < count; i++, mask += 2, image += 4, out++) {
    const value = load<f32>(image);
    if ((<i32>load<u16>(mask) & bits) != 0 || !(value - value == 0)) store<u8>(out, 1);
  }
}
