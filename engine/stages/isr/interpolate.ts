import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { pixelsWith } from './masks.ts';

const DEFECTS = maskBits('BAD', 'CR', 'NO_DATA'), SATURATED = maskBits('SAT'), FILLED = maskBits('INTRP');
const MISSING = maskBits('NO_DATA'), UNKNOWN = DEFECTS | SATURATED | FILLED;

/**
 * Fills short runs of bad pixels and cosmic rays along rows or columns, whichever run is shorter, with the straight
 * line between the good pixels at its ends, and marks them INTRP. Saturated pixels and edges of the data are left:
 * nothing is known there.
 *
 * @param planes image (changed where filled) and mask (INTRP added). Missing pixels (NaN) within short runs are filled
 * too and lose NO_DATA; BAD stays.
 * @param indices [height × width], contents destroyed.
 * @returns Number of pixels filled.
 */
export function interpolateDefects(planes: MaskedImage, runMax: number, indices: Int32Array): number {
  const { width, mask } = planes;
  let count = 0;
  for (const i of pixelsWith(mask, DEFECTS, indices)) {
    if ((mask[i] & SATURATED) !== 0) continue;
    const x = i % width;
    count += fillPixel(planes, x, (i - x) / width, runMax);
  }
  return count;
}

function fillPixel(planes: MaskedImage, x: number, y: number, runMax: number): number {
  const { width, height, image, variance, mask } = planes;
  const i = y * width + x;
  const left = distanceToGood(planes, i, -1, x, runMax);
  const right = distanceToGood(planes, i, 1, width - 1 - x, runMax);
  const down = distanceToGood(planes, i, -width, y, runMax);
  const up = distanceToGood(planes, i, width, height - 1 - y, runMax);
  const acrossRow = left > 0 && right > 0 ? left + right - 1 : Infinity;
  const acrossColumn = down > 0 && up > 0 ? down + up - 1 : Infinity;
  if (Math.min(acrossRow, acrossColumn) > runMax) return 0;
  const [a, b, step] = acrossRow <= acrossColumn ? [left, right, 1] : [down, up, width];
  const before = i - a * step, after = i + b * step, weight = b / (a + b);
  image[i] = weight * image[before] + (1 - weight) * image[after];
  variance[i] = weight * variance[before] + (1 - weight) * variance[after];
  mask[i] = (mask[i] | FILLED) & ~MISSING;
  return 1;
}

/** Steps to the nearest pixel that was good from the start, 0 when none lies within a fillable run. */
function distanceToGood(
  planes: MaskedImage, i: number, step: number, room: number, runMax: number,
): number {
  for (let k = 1; k <= Math.min(room, runMax); k++) {
    if ((planes.mask[i + k * step] & UNKNOWN) === 0) return k;
  }
  return 0;
}
