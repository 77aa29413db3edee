/** What a stamp is fitted to, and how much each of its pixels says. The twin in `twins/stampPixels.ts` defines it. */

/**
 * @param first  Index of the stamp's first pixel; all around it there is one pixel more.
 * @param sums   [2 × (side + 2)] float64, work.
 * @param weights, data [side²] float64, overwritten.
 * @returns Pixels that may be used.
 */
export function stampPixels(
  image: usize, variance: usize, convolved: usize, unusable: usize, width: i32, first: i32, side: i32, share: f64,
  errorFraction: f64, sums: usize, weights: usize, data: usize,
): i32 {
  const row = <usize>width << 2, fluxes = sums + (<usize>(side + 2) << 3);
  let used = 0;
  for (let v = 0, start = first; v < side; v++, start += width) {
    for (let u = -1, to: usize = 0; u <= side; u++, to += 8) {
      let noise: f64 = 0, flux: f64 = 0;
      for (let k = 0, at = (<usize>(start + u) << 2) - row; k < 3; k++, at += row) {
        noise += <f64>load<f32>(variance + at) + share * <f64>load<f32>(convolved + at);
        flux += <f64>load<f32>(image + at);
      }
      store<f64>(sums + to, noise);
      store<f64>(fluxes + to, flux);
    }
    for (let u = 0, p = sums, q = fluxes; u < side; u++, p += 8, q += 8, weights += 8, data += 8) {
      const j = <usize>(start + u);
      if (load<u8>(unusable + j) != 0) {
        store<f64>(weights, 0);
        store<f64>(data, 0);
        continue;
      }
      const error = errorFraction * ((load<f64>(q) + load<f64>(q, 8) + load<f64>(q, 16)) / 9);
      const total = (load<f64>(p) + load<f64>(p, 8) + load<f64>(p, 16)) / 9 + error * error;
      store<f64>(weights, total > 0 ? 1 / total : 0);
      store<f64>(data, <f64>load<f32>(image + (j << 2)));
      used++;
    }
  }
  return used;
}
