/** Separable convolution of planes. */
import { kernelsOf, planWork, pointerTo, takeWork } from './kernels.ts';
import { smoothSeparableTwin } from './twins/smooth.ts';

/** The compiled rows are made of groups of 16 pixels. */
const WIDTH_MIN = 16;

/**
 * Convolves a plane with the outer product of symmetric taps with themselves.
 *
 * Sums are in single precision: they differ from exact ones by at most (taps + 1) × 6e-8 × Σ |tap| |pixel|.
 *
 * @param image [height × width] row-major. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0;
 *              so does what lies outside.
 * @param mask  Same shape, read only.
 * @param taps  Odd length; only the symmetric part is used: taps[i] of the first half also weighs its mirror pixel along x, and
 *              of the second half along y. Rounded to float32.
 * @param out   Same shape, overwritten; may not be `image`.
 */
export function smoothSeparable(
  image: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float64Array,
  out: Float32Array,
): void {
  if (taps.length % 2 !== 1) throw new Error(`${taps.length} taps have no middle`);
  const kernels = width < WIDTH_MIN ? null : kernelsOf(image, mask, out), half = (taps.length - 1) >> 1;
  if (kernels !== null) {
    const work = planWork(kernels);
    const tapsAt = takeWork(work, taps.length * 4), padded = takeWork(work, (width + taps.length + 15) * 4);
    const ring = takeWork(work, (taps.length + 1) * ((width + 15) & ~15) * 4);
    if (tapsAt !== null && padded !== null && ring !== null) {
      new Float32Array(kernels.memory.buffer, tapsAt, taps.length).set(taps);
      kernels.compiled.smoothSeparable(
        pointerTo(kernels, image), pointerTo(kernels, mask), zeroBits, width, height, tapsAt, half, pointerTo(kernels, out), padded, ring,
      );
      return;
    }
  }
  smoothSeparableTwin(image, mask, zeroBits, width, height, Float32Array.from(taps), out);
}
