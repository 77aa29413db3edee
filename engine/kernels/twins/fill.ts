import type { FillBits, FillPlanes } from '../fill.ts';

/** Twin of `fillRuns`. */
export function fillRunsTwin(planes: FillPlanes, bits: FillBits, runMax: number, pixels: ArrayLike<number>): number {
  const { width, mask } = planes;
  let count = 0;
  for (let k = 0; k < pixels.length; k++) {
    const i = pixels[k], x = i % width;
    if ((mask[i] & bits.defects) === 0 || (mask[i] & (bits.filled | bits.saturated)) !== 0) continue;
    count += fillPixel(planes, bits, x, (i - x) / width, runMax);
  }
  return count;
}

function fillPixel(planes: FillPlanes, bits: FillBits, x: number, y: number, runMax: number): number {
  const { width, height, image, variance, mask } = planes, i = y * width + x;
  const unknown = bits.defects | bits.saturated | bits.filled;
  const left = distanceToGood(mask, unknown, i, -1, Math.min(x, runMax));
  const right = distanceToGood(mask, unknown, i, 1, Math.min(width - 1 - x, runMax));
  const acrossRow = left > 0 && right > 0 ? left + right - 1 : Infinity;
  const down = distanceToGood(mask, unknown, i, -width, Math.min(y, runMax));
  const up = distanceToGood(mask, unknown, i, width, Math.min(height - 1 - y, runMax));
  const acrossColumn = down > 0 && up > 0 ? down + up - 1 : Infinity;
  if (Math.min(acrossRow, acrossColumn) > runMax) return 0;
  const [a, b, step] = acrossRow <= acrossColumn ? [left, right, 1] : [down, up, width];
  const before = i - a * step, after = i + b * step, weight = b / (a + b);
  image[i] = weight * image[before] + (1 - weight) * image[after];
  variance[i] = weight * variance[before] + (1 - weight) * variance[after];
  mask[i] = (mask[i] | bits.filled) & ~bits.missing;
  return 1;
}

/** Steps to the nearest pixel that was good from the start, 0 when none lies within `most`. */
function distanceToGood(mask: Uint16Array, unknown: number, i: number, step: number, most: number): number {
  for (let k = 1; k <= most; k++) if ((mask[i + k * step] & unknown) === 0) return k;
  return 0;
}
