/**
 * Smoothing of what changes little from pixel to pixel, at half the resolution: a quarter of the work. Squares of 2 × 2
 * pixels and the bilinear way back widen by themselves, by 1 px² along each axis (`HALVING_PX2`).
 */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { halfOf, normalizing, ringBytes, WIDTH_MIN } from './smooth.ts';
import { normalizeHalvedTwin, smoothHalvedTwin } from './twins/halved.ts';

/** Second moment along an axis that halving and doubling add: ¼ of the squares, ¾ of the lines between them, px². */
export const HALVING_PX2 = 1;

/**
 * Smooths with taps in units of 2 pixels.
 *
 * @param plane [height × width] row-major. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0;
 *              so does what lies outside.
 * @param mask  Same shape, read only.
 * @param taps  As for `smoothSeparable`.
 * @param out   Same shape, overwritten; may not be `plane`.
 */
export function smoothHalved(
  plane: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float64Array,
  out: Float32Array,
): void {
  const half = halfOf(taps), kernels = width < WIDTH_MIN ? null : kernelsOf(plane, mask, out);
  const work = kernels && layOutWork(kernels, halvedBytes(width, half));
  if (kernels === null || work === null) {
    smoothHalvedTwin(plane, mask, zeroBits, width, height, Float32Array.from(taps), out);
    return;
  }
  new Float32Array(kernels.memory.buffer, work.taps, taps.length).set(taps);
  kernels.compiled.smoothHalved(
    pointerTo(kernels, plane), pointerTo(kernels, mask), zeroBits, width, height, work.taps, half,
    pointerTo(kernels, out), work.padded, work.ring, work.lines,
  );
}

/**
 * score /= √(taps ⊗ 1 / variance) where that exceeds `least`, else 0; taps as `smoothHalved` has them. Pixels that have
 * one of `zeroBits`, are not finite in the image or have no positive variance weigh 0; so does what lies outside.
 *
 * @param planes Read only.
 * @param score  [height × width], changed in place.
 */
export const normalizeHalved = normalizing('normalizeHalved', halvedBytes, normalizeHalvedTwin);

/** Rows of half the width; five lines with a neighbour on either side. */
function halvedBytes(width: number, half: number): Record<'taps' | 'padded' | 'ring' | 'lines', number> {
  const columns = (width + 1) >> 1, bytes = ringBytes(columns, half);
  return { ...bytes, lines: 5 * (4 * ((columns + 15) & ~15) + 32) };
}
