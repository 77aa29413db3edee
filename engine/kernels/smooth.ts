/** Separable convolution of planes. */
import { bandsOf } from './bands.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import type { MeshCells } from './mesh.ts';
import { normalizeByNoiseTwin, smoothSeparableTwin } from './twins/smooth.ts';

/** The compiled rows are made of groups of 16 pixels. */
const WIDTH_MIN = 16;

export type SmoothOptions = Readonly<{
  /** Taken off the image before, bilinear between the cells' centres. */
  mesh?: MeshCells | null;
  /** Rows that are made; the whole plane when they are not given. Rows beside them are read. */
  y0?: number; y1?: number;
}>;

/**
 * Convolves a plane with the outer product of symmetric taps with themselves.
 *
 * Sums are in single precision: they differ from exact ones by at most (taps + 1) × 6e-8 × Σ |tap| |pixel|.
 *
 * @param image [height × width] row-major. Read only. NaN, and pixels with any of `zeroBits` in the mask, count as 0;
 *              so does what lies outside.
 * @param mask  Same shape, read only.
 * @param taps  Odd length; only the symmetric part is used: taps[i] of the first half also weighs its mirror pixel
 *                along x, and of the second half along y. Rounded to float32.
 * @param out   Same shape, overwritten in the rows that are made; may not be `image`.
 */
export function smoothSeparable(
  image: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float64Array,
  out: Float32Array, { mesh = null, y0 = 0, y1 = height }: SmoothOptions = {},
): void {
  if (taps.length % 2 !== 1) throw new Error(`${taps.length} taps have no middle`);
  const kernels = width < WIDTH_MIN ? null : kernelsOf(image, mask, out), half = (taps.length - 1) >> 1;
  if (kernels !== null) {
    const work = layOutWork(kernels, {
      taps: taps.length * 4, padded: (width + taps.length + 15) * 4, ring: (taps.length + 1) * ((width + 15) & ~15) * 4,
      line: (width + 8) * 4, cells: 4 * (mesh?.cells.length ?? 0),
    });
    if (work !== null) {
      new Float32Array(kernels.memory.buffer, work.taps, taps.length).set(taps);
      if (mesh !== null) new Float32Array(kernels.memory.buffer, work.cells, mesh.cells.length).set(mesh.cells);
      for (const band of bandsOf(kernels, y0, y1)) {
        kernels.compiled.smoothSeparable(
          pointerTo(kernels, image), pointerTo(kernels, mask), zeroBits, width, height, band.y0, band.y1, work.cells,
          mesh?.columns ?? 0, mesh?.rows ?? 0, mesh?.cellWidth ?? 0, mesh?.cellHeight ?? 0, work.line, work.taps, half,
          pointerTo(kernels, out), work.padded, work.ring,
        );
      }
      return;
    }
  }
  smoothSeparableTwin(image, mask, zeroBits, width, height, Float32Array.from(taps), out, y0, y1, mesh);
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
export function normalizeByNoise(
  planes: NoisyPlanes, zeroBits: number, taps: Float64Array, least: number, score: Float32Array,
): void {
  if (taps.length % 2 !== 1) throw new Error(`${taps.length} taps have no middle`);
  const { width, height, image, variance, mask } = planes, half = (taps.length - 1) >> 1;
  const kernels = width < WIDTH_MIN ? null : kernelsOf(image, variance, mask, score);
  const work = kernels && layOutWork(kernels, {
    taps: taps.length * 4, padded: (width + taps.length + 15) * 4, ring: (taps.length + 1) * ((width + 15) & ~15) * 4,
    lines: 8 * width,
  });
  if (kernels === null || work === null) {
    normalizeByNoiseTwin(planes, zeroBits, Float32Array.from(taps), Math.fround(least), score);
    return;
  }
  new Float32Array(kernels.memory.buffer, work.taps, taps.length).set(taps);
  const [s, p, v, m] = [score, image, variance, mask].map((view) => pointerTo(kernels, view));
  kernels.compiled.normalizeByNoise(
    s, p, v, m, zeroBits, width, height, work.taps, half, least, work.padded, work.ring, work.lines,
  );
}
