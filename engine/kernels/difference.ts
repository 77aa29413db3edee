/** Variance of a difference of images, and pixels that stand out of a noise that varies. */
import { kernelsOf, pointerTo } from './kernels.ts';
import { differenceVarianceTwin, listAboveTwin } from './twins/difference.ts';

export type DifferenceNoise = Readonly<{
  /** How much a pixel's variance rises with its own flux; 0 when it does not. */
  slope: number;
  /**
   * Where (sum of 3 × 3 pixels of the difference)² is at least this multiple of the pixel's variance, a source is
   * believed.
   */
  believed: number;
  /** Share of a pixel's variance that the correction leaves at least. */
  shareMin: number;
  scale: number;
}>;

/**
 * Variance of the difference: the sum of both, with what the pixel's own fluctuation adds to it (slope × difference)
 * taken off where no source is believed; on the outermost pixels nothing is. Single precision: good to 1e-6.
 *
 * @param a, b, difference [height × width]. Read only.
 * @param out Overwritten; may be `a` or `b`.
 */
export function differenceVariance(
  a: Float32Array, b: Float32Array, difference: Float32Array, width: number, height: number, noise: DifferenceNoise,
  out: Float32Array,
): void {
  const kernels = kernelsOf(a, b, difference, out);
  if (kernels === null) { differenceVarianceTwin(a, b, difference, width, height, noise, out); return; }
  const [p, q, d, to] = [a, b, difference, out].map((plane) => pointerTo(kernels, plane));
  kernels.compiled.differenceVariance(p, q, d, width, height, noise.slope, noise.believed, noise.shareMin, noise.scale,
    to);
}

/**
 * Lists the pixels of a span whose value exceeds factor × noise, in single precision.
 *
 * @param plane   Any shape; the span begins at `start` and is as long as `noise`.
 * @param noise   One value a pixel of the span. Read only.
 * @param indices Overwritten as far as it reaches: indices in `plane`, in order.
 * @returns How many there are; when more than `indices` holds, the list is not whole.
 */
export function listAbove(
  plane: Float32Array, start: number, noise: Float32Array, factor: number, indices: Int32Array,
): number {
  const kernels = kernelsOf(plane, noise, indices);
  if (kernels === null) return listAboveTwin(plane, start, noise, Math.fround(factor), indices);
  const found = kernels.compiled.listAbove(
    pointerTo(kernels, plane) + 4 * start, pointerTo(kernels, noise), noise.length, factor, pointerTo(kernels, indices),
    indices.length,
  );
  for (let i = 0, count = Math.min(found, indices.length); i < count; i++) indices[i] += start;
  return found;
}
