/** Variance of pixels from the light that is expected there. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { fillVarianceTwin, meshRowOf, readRowOf, squares, type MeshRow } from './twins/variance.ts';

export type VarianceTask = Readonly<{
  /** [height × width], electrons after the flat. Read only. */
  image: Float32Array;
  /** Response; null for none. Read only. */
  flat: Float32Array | null;
  width: number; height: number;
  /** Level of the sky at the centres of equal cells, of which (column, row) is at row × columns + column. */
  sky: Readonly<{ columns: number; rows: number; cellWidth: number; cellHeight: number; level: Float32Array }>;
  /** Variance of the read noise, electrons², in boxes that cover the image. */
  readNoise: readonly Readonly<{ x0: number; x1: number; y0: number; y1: number; variance: number }>[];
  /** Significance from which a pixel's own light, or the smoothed light (in noise of a pixel), is believed. */
  brightSigma: number; smoothSigma: number;
}>;

/**
 * variance = (expected + read / flat) / flat, where the expected light is the sky's (0 at least), or that and the
 * binomial mean of the light above it, or the pixel's own. Single precision: good to 1e-6. NaN where the image is NaN.
 *
 * @param out [height × width], overwritten.
 */
export function fillVariance(task: VarianceTask, out: Float32Array): void {
  const { image, flat, width, height, sky } = task, cells = Math.max(sky.columns - 1, 1);
  const kernels = flat === null ? kernelsOf(image, out) : kernelsOf(image, out, flat);
  const stride = Math.ceil((width + 2) / 16) * 64 + 64;
  const work = kernels && layOutWork(kernels, { mesh: 16 * (cells + 1), ring: 7 * stride, read: stride });
  if (kernels === null || work === null) { fillVarianceTwin(task, out); return; }
  const { buffer } = kernels.memory, read = new Float32Array(buffer, work.read, width), { compiled } = kernels;
  const floats = (index: number) => new Float32Array(buffer, work.mesh + 4 * (cells + 1) + 4 * cells * index, cells);
  const mesh: MeshRow = {
    starts: new Int32Array(buffer, work.mesh, cells + 1), left: floats(0), slopes: floats(1), centres: floats(2),
  };
  const [from, to] = [pointerTo(kernels, image), pointerTo(kernels, out)];
  const response = flat === null ? 0 : pointerTo(kernels, flat);
  const [bright, smooth] = squares(task);
  for (let y = -1; y < height; y++) {
    if (y + 1 < height) {
      meshRowOf(task, y + 1, mesh);
      compiled.varianceAhead(from, work.mesh, cells, y + 1, width, work.ring, stride);
    }
    if (y < 0) continue;
    readRowOf(task, y, read);
    compiled.varianceRow(from, to, response, work.read, y, width, height, work.ring, stride, bright, smooth);
  }
}
