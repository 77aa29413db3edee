/** Separable Gaussian smoothing of planes. */

/** Taps of a Gaussian of the standard deviation given, sampled at pixel centres to 3.5 σ, unit sum; length odd. */
export function gaussianTaps(sigmaPx: number): Float64Array {
  const half = Math.ceil(3.5 * sigmaPx);
  const taps = new Float64Array(2 * half + 1);
  let sum = 0;
  for (let i = 0; i < taps.length; i++) sum += taps[i] = Math.exp(-0.5 * ((i - half) / sigmaPx) ** 2);
  for (let i = 0; i < taps.length; i++) taps[i] /= sum;
  return taps;
}

/**
 * Convolves a plane with the outer product of symmetric taps with themselves.
 *
 * @param image [height × width] row-major. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0;
 *              so does what lies outside.
 * @param mask  Same shape, read only.
 * @param out   Same shape, overwritten.
 * @param work  Same shape, contents destroyed. Neither `out` nor `work` may be `image`.
 */
export function smoothSeparable(
  image: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float64Array,
  out: Float32Array, work: Float32Array,
): void {
  const half = (taps.length - 1) >> 1;
  const padded = new Float64Array(width + 2 * half);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const value = image[row + x];
      padded[half + x] = value === value && (mask[row + x] & zeroBits) === 0 ? value : 0;
    }
    for (let x = 0; x < width; x++) {
      let sum = taps[half] * padded[x + half];
      for (let t = 0, mirror = 2 * half; t < half; t++, mirror--) sum += taps[t] * (padded[x + t] + padded[x + mirror]);
      work[row + x] = sum;
    }
  }
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    const middle = y * width;
    for (let x = 0; x < width; x++) sums[x] = taps[half] * work[middle + x];
    for (let t = 1; t <= half; t++) {
      const weight = taps[half + t], below = middle - t * width, above = middle + t * width;
      if (y >= t && y + t < height) for (let x = 0; x < width; x++) sums[x] += weight * (work[below + x] + work[above + x]);
      else if (y >= t) for (let x = 0; x < width; x++) sums[x] += weight * work[below + x];
      else if (y + t < height) for (let x = 0; x < width; x++) sums[x] += weight * work[above + x];
    }
    out.set(sums, middle);
  }
}
