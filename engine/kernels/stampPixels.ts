/** What the stamps of a matching kernel are fitted to. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { stampPixelsTwin } from './twins/stampPixels.ts';

export type StampPixelTask = Readonly<{
  width: number;
  /** [· × width] each: the image to be matched, its variance, and that of the one that is convolved. Read only. */
  image: Float32Array; variance: Float32Array; convolvedVariance: Float32Array;
  /** Same shape; 1 where a pixel may not be used. */
  unusable: Uint8Array;
  /** Half side of the stamps, pixels. */
  stampHalf: number;
  /** Share of the convolved image's variance that is left after its kernel. */
  share: number;
  /** Share of the flux by which a model may fail without being noise. */
  errorFraction: number;
}>;

/**
 * Values of a stamp's pixels, and one over their variance, from the means of 3 × 3 pixels; 0 where a pixel may not be
 * used. Weights from a pixel's own counts would favour pixels that fluctuate down.
 *
 * @param x, y Its middle; one pixel more on every side is on the image.
 * @param weights, data [side²], overwritten.
 * @returns How many pixels may be used.
 */
export function stampPixels(
  task: StampPixelTask, x: number, y: number, weights: Float64Array, data: Float64Array,
): number {
  const { width, image, variance, convolvedVariance, unusable, stampHalf, share, errorFraction } = task;
  const side = 2 * stampHalf + 1, first = (y - stampHalf) * width + x - stampHalf, bytes = 8 * side * side;
  const kernels = kernelsOf(image, variance, convolvedVariance, unusable);
  const work = kernels && layOutWork(kernels, { sums: 16 * (side + 2), weights: bytes, data: bytes });
  if (kernels === null || work === null) return stampPixelsTwin(task, first, weights, data);
  const { compiled, memory: { buffer } } = kernels;
  const used = compiled.stampPixels(
    pointerTo(kernels, image), pointerTo(kernels, variance), pointerTo(kernels, convolvedVariance),
    pointerTo(kernels, unusable), width, first, side, share, errorFraction, work.sums, work.weights, work.data,
  );
  weights.set(new Float64Array(buffer, work.weights, side * side));
  data.set(new Float64Array(buffer, work.data, side * side));
  return used;
}
