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
 * @param defects All pixels that may be bad, rays or missing, in any order; others among them are passed over.
 * @returns Number of pixels filled.
 */
export function interpolateDefects(planes: MaskedImage, runMax: number, defects: ArrayLike<number>): number {
  const { width, mask } = planes;
  let count = 0;
  for (let k = 0; k < defects.length; k++) {
    const i = defects[k];
    if ((mask[i] & DEFECTS) === 0 || (mask[i] & FILLED) !== 0) continue;
    if ((mask[i] & SATURATED) !== 0) continue;
    const x = i % width;
    count += fillPixel(planes, x, (i - x) / width, runMax);
  }
  return count;
}

/** Pixels that are bad, rays or missing. @param indices Work as large as the mask; the result is a view on it. */
export function listDefects({ mask }: MaskedImage, indices: Int32Array): Int32Array {
  return pixelsWith(mask, DEFECTS, indices);
}

function fillPixel(planes: MaskedImage, x: number, y: number, runMax: number): number {
  const { width, height, image, variance, mask } = planes;
  const i = y * width + x;
  const left = distanceToGood(planes, i, -1, x, runMax);
  const right = distanceToGood(planes, i, 1, width - 1 - x, runMax);
  const acrossRow = left > 0 && right > 0 ? left + right - 1 : Infinity;
  // Nothing is shorter than one pixel, and the rows beside lie far away in memory.
  const down = acrossRow === 1 ? 0 : distanceToGood(planes, i, -width, y, runMax);
  const up = acrossRow === 1 ? 0 : distanceToGood(planes, i, width, height - 1 - y, runMax);
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
