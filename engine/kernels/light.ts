/** Variance from the light that is expected in a pixel, and columns that stand out of their neighbourhood. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import type { Mesh } from './mesh.ts';
import { addExpectedLightTwin, columnHeightsTwin } from './twins/light.ts';

export type ExpectedLight = Readonly<{
  /** Significance of a pixel from which its own value is the light expected there, in its noise. */
  brightSigma: number;
  /** The same of the 1-2-1 × 1-2-1 mean of 3 × 3 pixels, which is else expected; in the pixel's noise. */
  sourceSigma: number;
  /** What a pixel's variance changes by for each unit of its own value, and of the light expected. */
  own: number; perLight: number;
  /** Share of its variance that is left at least. */
  shareMin: number;
}>;

/**
 * variance += own × value + perLight × expected, where expected is 0 in the sky, the mean of 3 × 3 pixels where that is
 * significant and the pixel's own value where it is bright. Pixels that are NaN are left out; among neighbours they
 * count as sky. Single precision.
 *
 * @param image    [height × width], 2 pixels wide at least. Read only.
 * @param variance Changed in place.
 * @param sigma    Noise of the pixels, which significance is measured in, as cells of the mesh.
 */
export function addExpectedLight(
  image: Float32Array, variance: Float32Array, width: number, height: number, mesh: Mesh, sigma: Float32Array,
  light: ExpectedLight,
): void {
  const kernels = kernelsOf(image, variance);
  const work = kernels && layOutWork(kernels, { lines: 16 * (width + 8), cells: sigma.byteLength });
  if (kernels === null || work === null) {
    addExpectedLightTwin(image, variance, width, height, mesh, sigma, light);
    return;
  }
  new Float32Array(kernels.memory.buffer, work.cells, sigma.length).set(sigma);
  kernels.compiled.addExpectedLight(
    pointerTo(kernels, image), pointerTo(kernels, variance), width, height, work.cells, mesh.columns, mesh.rows,
    mesh.cellWidth, mesh.cellHeight, work.lines, light.brightSigma, light.sourceSigma, light.own, light.perLight,
    light.shareMin,
  );
}

/**
 * Mean height of each column's pixels over the mean of those `distance` to either side; every pixel's is bounded by
 * ± limit, so that stars count little. Of every `rowStep`-th row. NaN adds nothing; the outermost `distance` columns
 * get 0.
 *
 * @param image [height × width]. Read only.
 */
export function columnHeights(
  image: Float32Array, width: number, height: number, distance: number, limit: number, rowStep = 1,
): Float32Array {
  const kernels = kernelsOf(image), work = kernels === null ? null : layOutWork(kernels, { sums: 4 * width });
  const sums = kernels === null || work === null ? new Float32Array(width)
    : new Float32Array(kernels.memory.buffer, work.sums, width).fill(0);
  if (kernels === null || work === null) {
    columnHeightsTwin(image, width, height, rowStep, distance, Math.fround(limit), sums);
  } else {
    kernels.compiled.columnHeights(pointerTo(kernels, image), width, height, rowStep, distance, limit, work.sums);
  }
  const rows = Math.ceil(height / rowStep);
  return Float32Array.from(sums, (sum) => sum / rows);
}
