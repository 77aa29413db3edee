/** Pixels that are masked or not finite, or near a masked one. */
import { kernelsOf, pointerTo } from './kernels.ts';
import { markBlankTwin, markNearTwin } from './twins/near.ts';

/**
 * out = 1 where a pixel within `reach` along both axes (a square) has one of the bits, else 0.
 *
 * @param mask  [height × width]. Read only.
 * @param reach Pixels, a whole number.
 * @param out   Same shape, overwritten.
 */
export function markNear(
  mask: Uint16Array, bits: number, width: number, height: number, reach: number, out: Uint8Array,
): void {
  if (!Number.isInteger(reach) || reach < 0) throw new Error(`a reach of ${reach} is not a number of pixels`);
  const kernels = kernelsOf(mask, out);
  if (kernels === null) { markNearTwin(mask, bits, width, height, reach, out); return; }
  kernels.compiled.markNear(pointerTo(kernels, mask), bits, width, height, reach, pointerTo(kernels, out));
}

/**
 * Sets 1 where a pixel has one of the bits or is not finite; the others stay as they are.
 *
 * @param mask, image Any shape. Read only.
 * @param out         Same shape, changed in place.
 */
export function markBlank(mask: Uint16Array, bits: number, image: Float32Array, out: Uint8Array): void {
  const kernels = kernelsOf(mask, image, out);
  if (kernels === null) { markBlankTwin(mask, bits, image, out); return; }
  kernels.compiled.markBlank(pointerTo(kernels, mask), bits, pointerTo(kernels, image), out.length,
    pointerTo(kernels, out));
}
