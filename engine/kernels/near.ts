/** Pixels that are masked or not finite, or near a masked one. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { markBlankTwin, markNearTwin } from './twins/near.ts';

/** Farthest that ages of one byte tell. */
const REACH_MAX = 254;

/**
 * out = 1 where a pixel within `reach` along both axes (a square) has one of the bits, else 0.
 *
 * @param mask  [height × width]. Read only.
 * @param reach Pixels, 0 … 254.
 * @param out   Same shape, overwritten.
 */
export function markNear(
  mask: Uint16Array, bits: number, width: number, height: number, reach: number, out: Uint8Array,
): void {
  if (!Number.isInteger(reach) || reach < 0 || reach > REACH_MAX) throw new Error(
    `a reach of ${reach} is not 0 … ${REACH_MAX}`);
  const kernels = kernelsOf(mask, out), work = kernels
    && layOutWork(kernels, { row: width + 2 * reach + 32, ages: width + 16 });
  if (kernels === null || work === null) { markNearTwin(mask, bits, width, height, reach, out); return; }
  kernels.compiled.markNear(
    pointerTo(kernels, mask), bits, width, height, reach, pointerTo(kernels, out), work.row, work.ages,
  );
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
