/** Separable convolution of planes. */
import { bandsOf } from './bands.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { normalizeByNoiseTwin, smoothSeparableTwin } from './twins/smooth.ts';

/** The compiled rows are made of groups of 16 pixels, those of half the width of 8. */
export const WIDTH_MIN = 16;

/**
 * Convolves a plane with the outer product of symmetric taps with themselves.
 *
 * Sums are in single precision: they differ from exact ones by at most (taps + 1) × 6e-8 × Σ |tap| |pixel|.
 *
 * @param image [height × width] row-major. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0;
 *              so does what lies outside.
 * @param mask  Same shape, read only.
 * @param taps  Odd length; only the symmetric part is used: taps[i] of the first half also weighs its mirror pixel
 *              along x, and of the second half along y. Rounded to float32.
 * @param out   Same shape, overwritten; may not be `image`.
 * @param core  Where it is not 0, out = core × image − what the taps give: a kernel that is a peak in a shallow bowl.
 *              All pixels are then finite.
 */
export function smoothSeparable(
  image: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float64Array,
  out: Float32Array, core = 0,
): void {
  const half = halfOf(taps), kernels = width < WIDTH_MIN ? null : kernelsOf(image, mask, out);
  const work = kernels && layOutWork(kernels, { ...ringBytes(width, half), line: width * 4 });
  if (kernels === null || work === null) {
    smoothSeparableTwin(image, mask, zeroBits, width, height, Float32Array.from(taps), out);
    if (core !== 0) for (let j = 0; j < out.length; j++) out[j] = Math.fround(Math.fround(core) * image[j]) - out[j];
    return;
  }
  new Float32Array(kernels.memory.buffer, work.taps, taps.length).set(taps);
  for (const { y0, y1 } of bandsOf(kernels, 0, height)) kernels.compiled.smoothSeparable(
    pointerTo(kernels, image), pointerTo(kernels, mask), zeroBits, width, height, y0, y1, core, work.line, work.taps,
    half, pointerTo(kernels, out), work.padded, work.ring,
  );
}

/** @throws Error when there is no middle tap. */
export function halfOf(taps: Float64Array): number {
  if (taps.length % 2 !== 1) throw new Error(`${taps.length} taps have no middle`);
  return (taps.length - 1) >> 1;
}

/** Work of a ring of rows that are smoothed along x. */
export function ringBytes(width: number, half: number): Record<'taps' | 'padded' | 'ring', number> {
  return {
    taps: (2 * half + 1) * 4, padded: (width + 2 * half + 16) * 4, ring: (2 * half + 2) * ((width + 15) & ~15) * 4,
  };
}

export type NoisyPlanes = Readonly<{
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

/**
 * score /= √(taps ⊗ 1 / variance) where that exceeds `least`, else 0; taps as `smoothSeparable` has them. Pixels that have
 * one of `zeroBits`, are not finite in the image or have no positive variance weigh 0; so does what lies outside.
 *
 * @param planes Read only.
 * @param score  [height × width], changed in place.
 */
export const normalizeByNoise = normalizing(
  'normalizeByNoise', (width, half) => ({ ...ringBytes(width, half), lines: 8 * width }), normalizeByNoiseTwin);

type Normalize = (
  planes: NoisyPlanes, zeroBits: number, taps: Float64Array, least: number, score: Float32Array,
) => void;

/**
 * A normalization by its compiled kernel, what that needs of the work area, and its twin, whose taps and `least` are of
 * single precision.
 */
export function normalizing(
  name: 'normalizeByNoise' | 'normalizeHalved',
  workBytes: (width: number, half: number) => Record<'taps' | 'padded' | 'ring' | 'lines', number>,
  twin: (planes: NoisyPlanes, zeroBits: number, taps: Float32Array, least: number, score: Float32Array) => void,
): Normalize {
  return (planes, zeroBits, taps, least, score) => {
    const { width, height, image, variance, mask } = planes, half = halfOf(taps);
    const kernels = width < WIDTH_MIN ? null : kernelsOf(image, variance, mask, score);
    const work = kernels && layOutWork(kernels, workBytes(width, half));
    if (kernels === null || work === null) {
      twin(planes, zeroBits, Float32Array.from(taps), Math.fround(least), score);
      return;
    }
    new Float32Array(kernels.memory.buffer, work.taps, taps.length).set(taps);
    const [s, p, v, m] = [score, image, variance, mask].map((view) => pointerTo(kernels, view));
    kernels.compiled[name](
      s, p, v, m, zeroBits, width, height, work.taps, half, least, work.padded, work.ring, work.lines,
    );
  };
}
