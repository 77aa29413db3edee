import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { fillRuns } from '../../kernels/fill.ts';
import { pixelsWith } from './masks.ts';

const DEFECTS = maskBits('BAD', 'CR', 'NO_DATA');
const BITS = {
  defects: DEFECTS, saturated: maskBits('SAT'), filled: maskBits('INTRP'), missing: maskBits('NO_DATA'),
};

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
  return fillRuns(planes, BITS, runMax, defects);
}

/** Pixels that are bad, rays or missing. @param indices Work as large as the mask; the result is a view on it. */
export function listDefects({ mask }: MaskedImage, indices: Int32Array): Int32Array {
  return pixelsWith(mask, DEFECTS, indices);
}
