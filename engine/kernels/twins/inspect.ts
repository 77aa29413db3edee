import type { PixelRange } from '../inspect.ts';

/** Twin of `inspectPixels`: of a span of pixels. */
export function inspectPixelsTwin(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, start: number, end: number, hasVariance: boolean,
  saturation: number, noData: number, unusable: number, range: PixelRange,
): number {
  let saturated = 0;
  for (let j = start; j < end; j++) {
    const value = image[j], noise = variance[j];
    if (hasVariance && noise < range.lowestVariance) range.lowestVariance = noise;
    if (!Number.isFinite(value) || (hasVariance && !(noise > 0 && noise < Infinity))) {
      image[j] = NaN;
      variance[j] = 0;
      mask[j] |= noData;
      continue;
    }
    if (value >= saturation) saturated++;
    if ((mask[j] & unusable) !== 0) continue;
    range.usable++;
    if (value < range.lowest) range.lowest = value;
    if (value > range.highest) range.highest = value;
  }
  return saturated;
}
