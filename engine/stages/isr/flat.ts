import { divideByFlat as dividePixels } from '../../kernels/isr.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

/**
 * Divides by the pixels' response; marks pixels that respond too little or too much as BAD, and those with no usable
 * response (NaN, zero or less) also as NO_DATA, their value NaN.
 *
 * @param flat [height × width], response relative to the mean. Read only.
 * @param out  image in electrons and mask, changed in place.
 * @returns Number of pixels marked.
 */
export function divideByFlat(flat: Float32Array, out: MaskedImage, responseMin: number, responseMax: number): number {
  return dividePixels(out.image, out.mask, flat, {
    responseMin, responseMax, badBit: maskBits('BAD'), missingBits: maskBits('BAD', 'NO_DATA'),
  });
}

/** Marks pixels whose bias lies far from the detector's usual value as BAD. Returns how many. */
export function markBiasDefects(bias: Float32Array, mask: Uint16Array, limitAdu: number): number {
  const badBit = maskBits('BAD');
  let count = 0;
  // The overscan has been taken off a bias frame, so that its usual value is zero.
  for (let i = 0; i < mask.length; i++) {
    if (bias[i] > limitAdu || bias[i] < -limitAdu) { mask[i] |= badBit; count++; }
  }
  return count;
}
