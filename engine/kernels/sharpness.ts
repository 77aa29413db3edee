/** Sharpness of pixels, by which cosmic rays are told from stars. */
import { kernelsOf, pointerTo } from './kernels.ts';
import { fillSharpnessTwin } from './twins/sharpness.ts';

export type SharpnessBits = Readonly<{
  /** A pixel that has one of these, or touches one that has, even at a corner, has sharpness 0. */
  unusable: number;
  /** A neighbour with one of these is left out of the mean. */
  replaced: number;
}>;

/**
 * Height of each pixel over the mean of its four neighbours, in standard deviations of the difference: a pixel minus
 * the mean of n neighbours scatters by √(variance (1 + 1/n)). Single precision: good to 5e-7 of the terms.
 *
 * @param image, variance, mask [height × width]. Read only. Where the result is NaN, 0 is written; so on the outermost
 *                pixels.
 * @param limit   At least 0. Rounded to float32.
 * @param out     [height × width], overwritten; none of the above.
 * @param indices Pixels above the limit, in order. Overwritten, as far as it reaches.
 * @returns How many there are; when more than `indices` holds, the list is not whole.
 */
export function fillSharpness(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, width: number, height: number, bits: SharpnessBits,
  limit: number,
  out: Float32Array, indices: Int32Array,
): number {
  if (!(limit >= 0)) throw new Error(`a limit of sharpness of ${limit} is below 0`);
  const kernels = kernelsOf(image, variance, mask, out, indices);
  if (kernels === null) return fillSharpnessTwin(
    image, variance, mask, width, height, bits, Math.fround(limit), out, indices);
  const [p, v, m, to, list] = [image, variance, mask, out, indices].map((plane) => pointerTo(kernels, plane));
  return kernels.compiled.fillSharpness(p, v, m, width, height, bits.unusable, bits.replaced, limit, to, list,
    indices.length);
}
