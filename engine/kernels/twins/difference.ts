import type { DifferenceNoise } from '../difference.ts';

const { fround } = Math;

/** Twin of `differenceVariance`, in single precision. */
export function differenceVarianceTwin(
  a: Float32Array, b: Float32Array, difference: Float32Array, width: number, height: number, noise: DifferenceNoise,
  out: Float32Array,
): void {
  const slope = fround(noise.slope), believed = fround(noise.believed), shareMin = fround(noise.shareMin),
    scale = fround(noise.scale);
  const columnSum = (j: number): number => (
    fround(fround(difference[j - width] + difference[j]) + difference[j + width]));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const j = y * width + x, total = fround(a[j] + b[j]);
      let variance = total;
      if (slope !== 0 && x > 0 && y > 0 && x + 1 < width && y + 1 < height) {
        const sum = fround(fround(columnSum(j - 1) + columnSum(j)) + columnSum(j + 1));
        if (fround(sum * sum) < fround(believed * total)) {
          const least = fround(shareMin * total);
          variance = fround(total - fround(slope * difference[j]));
          if (variance < least) variance = least;
        }
      }
      out[j] = variance * scale;
    }
  }
}

/** Twin of `listAbove`. */
export function listAboveTwin(
  plane: Float32Array, start: number, noise: Float32Array, factor: number, indices: Int32Array,
): number {
  let found = 0;
  for (let i = 0; i < noise.length; i++) {
    if (!(plane[start + i] > fround(factor * noise[i]))) continue;
    if (found < indices.length) indices[found] = start + i;
    found++;
  }
  return found;
}
