/** Sums over an ellipse of an image. The twin in `twins/ellipse.ts` defines the result. */

/**
 * Pixels whose centres lie in the ellipse cxx dx² + cyy dy² + cxy dx dy ≤ radius². One that another source holds, or a
 * bad one, is replaced by the one opposite, and counts nothing when that is one too.
 *
 * @param variance [height × width] float32, or 0: then `pixelVariance` serves.
 * @param labels   [height × width] int32: 0, or the label of the source that holds the pixel.
 * @param reachX, reachY Half width and height of the ellipse.
 * @param result   Five f64, overwritten: Σ v, Σ r v, Σ variance, pixels inside, pixels that were replaced or lost.
 */
export function sumEllipse(
  image: usize, variance: usize, mask: usize, labels: usize, width: i32, height: i32, label: i32, badBits: i32,
  pixelVariance: f64, x: f64, y: f64, cxx: f64, cyy: f64, cxy: f64, reachX: f64, reachY: f64, radius: f64, result: usize,
): void {
  const radius2 = radius * radius;
  const i0 = max<i32>(0, <i32>ceil<f64>(x - reachX)), i1 = min<i32>(width - 1, <i32>floor<f64>(x + reachX));
  const j0 = max<i32>(0, <i32>ceil<f64>(y - reachY)), j1 = min<i32>(height - 1, <i32>floor<f64>(y + reachY));
  let flux: f64 = 0, moment: f64 = 0, sum: f64 = 0, inside = 0, replaced = 0;
  for (let j = j0; j <= j1; j++) {
    const dy = <f64>j - y;
    // Where the row meets the ellipse, and a pixel more on either side: what is inside is asked again.
    const middle = x - cxy * dy / (2 * cxx), rest = cxy * cxy * dy * dy - 4 * cxx * (cyy * dy * dy - radius2);
    const halfWidth = rest > 0 ? sqrt<f64>(rest) / (2 * cxx) : 0;
    const first = max<i32>(i0, <i32>floor<f64>(middle - halfWidth) - 1);
    const last = min<i32>(i1, <i32>ceil<f64>(middle + halfWidth) + 1);
    for (let i = first; i <= last; i++) {
      const dx = <f64>i - x, r2 = cxx * dx * dx + cyy * dy * dy + cxy * dx * dy;
      if (r2 > radius2) continue;
      inside++;
      let pixel = j * width + i;
      if (!isFree(image, mask, labels, pixel, label, badBits)) {
        replaced++;
        const u = <i32>floor<f64>(2 * x - <f64>i + 0.5), v = <i32>floor<f64>(2 * y - <f64>j + 0.5);
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        pixel = v * width + u;
        if (!isFree(image, mask, labels, pixel, label, badBits)) continue;
      }
      const value = <f64>load<f32>(image + (<usize>pixel << 2));
      flux += value;
      moment += sqrt<f64>(max<f64>(0, r2)) * value;
      sum += variance == 0 ? pixelVariance : <f64>load<f32>(variance + (<usize>pixel << 2));
    }
  }
  store<f64>(result, flux); store<f64>(result, moment, 8); store<f64>(result, sum, 16);
  store<f64>(result, <f64>inside, 24); store<f64>(result, <f64>replaced, 32);
}

function isFree(image: usize, mask: usize, labels: usize, pixel: i32, label: i32, badBits: i32): bool {
  const owner = load<i32>(labels + (<usize>pixel << 2)), value = load<f32>(image + (<usize>pixel << 2));
  return (owner == 0 || owner == label) && (<i32>load<u16>(mask + (<usize>pixel << 1)) & badBits) == 0
    && value == value;
}
