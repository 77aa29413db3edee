/** Lists of pixels, so that what concerns few of them does not go over all. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { listAtLeastTwin, listMaskedTwin, listSharpTwin } from './twins/list.ts';

/**
 * Pixels that have one of the bits, in order.
 *
 * @param mask    Any shape. Read only.
 * @param indices Overwritten, as far as it reaches.
 * @returns How many there are; when more than `indices` holds, the list is not whole.
 */
export function listMasked(mask: Uint16Array, bits: number, indices: Int32Array): number {
  const kernels = kernelsOf(mask, indices);
  if (kernels === null) return listMaskedTwin(mask, bits, indices);
  return kernels.compiled.listMasked(
    pointerTo(kernels, mask), bits, mask.length, pointerTo(kernels, indices), indices.length,
  );
}

/**
 * Pixels that stand above the mean of their four neighbours by more than `sigma` standard deviations of that difference
 * (a pixel's × √1.25), in order; none of the outermost, none where something is NaN. Masks are not asked.
 *
 * @param image, variance [height × width]. Read only.
 * @param sigma   At least 0.
 * @param rows    First row that is looked at, and the one after the last; all when they are not given.
 * @param indices Overwritten, as far as it reaches.
 * @returns As `listMasked`.
 */
export function listSharp(
  image: Float32Array, variance: Float32Array, width: number, height: number, sigma: number, indices: Int32Array,
  rows: readonly [number, number] = [0, height],
): number {
  if (!(sigma >= 0)) throw new Error(`a limit of sharpness of ${sigma} is below 0`);
  const limit2 = Math.fround(1.25 * sigma * sigma), kernels = kernelsOf(image, variance, indices);
  if (kernels === null) return listSharpTwin(image, variance, width, height, rows[0], rows[1], limit2, indices);
  return kernels.compiled.listSharp(
    pointerTo(kernels, image), pointerTo(kernels, variance), width, height, rows[0], rows[1], limit2,
    pointerTo(kernels, indices), indices.length,
  );
}

/**
 * Pixels at or above a limit, rounded to single precision, in order.
 *
 * @param plane   Read only; a row, or some.
 * @param indices As long at least, anywhere; overwritten as far as there are pixels.
 * @returns How many there are.
 */
export function listAtLeast(plane: Float32Array, limit: number, indices: Int32Array): number {
  const least = Math.fround(limit), kernels = kernelsOf(plane);
  const work = kernels && layOutWork(kernels, { indices: 4 * plane.length });
  if (kernels === null || work === null) return listAtLeastTwin(plane, least, indices);
  const found = kernels.compiled.listAtLeast(pointerTo(kernels, plane), least, plane.length, work.indices);
  indices.set(new Int32Array(kernels.memory.buffer, work.indices, found));
  return found;
}
