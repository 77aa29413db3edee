/** What sky the polynomials of the difference stage leave. */
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { median } from '../../image/median.ts';
import { createClippedCells } from '../../kernels/background.ts';
import { subtractMesh, type Mesh } from '../../kernels/mesh.ts';
import { pairConfig, skyMesh } from './config.ts';

export type ResidualSky = Readonly<{
  /** Scatter of the mesh that was taken off, and what the noise of its cells explains; the image's unit. */
  residualSkyRms: number; residualSkyNoise: number;
  /** Usual level of the cells before. */
  residualLevel: number;
}>;

const UNUSED = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'CR');

/**
 * Takes a smooth mesh off the difference, changed in place: the errors of both images' own skies.
 *
 * Those took the mode of cells that stars fill, which scatters by 2.1 times the mean of as many pixels. A difference is
 * empty enough for medians, which scatter by 1.25 of it; each cell takes the binomial mean of the 3 × 3 around it,
 * which leaves a quarter of the noise of the mode of one and follows a sky that bends from cell to cell. (Means would
 * do better still, but photons' noise is skewed: the mean of a sky of 600 electrons lies a sixth of an electron above most
 * of its pixels.)
 */
export function flattenResidualSky(difference: DifferenceImage): ResidualSky {
  const { width, height, image } = difference, { cellPx } = skyMesh(width, height);
  const columns = Math.max(1, Math.round(width / cellPx)), rows = Math.max(1, Math.round(height / cellPx));
  const mesh = { columns, rows, cellWidth: width / columns, cellHeight: height / rows };
  const { medians, noises } = clippedMedians(difference, mesh), known = medians.filter(Number.isFinite);
  if (known.length === 0) return { residualSkyRms: 0, residualSkyNoise: 0, residualLevel: 0 };
  const residualLevel = median(known), level = smoothed(medians, columns, rows, residualLevel);
  subtractMesh(image, width, 0, height, { ...mesh, cells: level });
  return {
    residualSkyRms: Math.sqrt(level.reduce((sum, value) => sum + (value - residualLevel) ** 2, 0) / level.length),
    residualSkyNoise: BINOMIAL_NOISE * median(noises.filter(Number.isFinite)), residualLevel,
  };
}

/** Median of each cell's usable pixels within the clipping limit, and its error; NaN where too few are usable. */
function clippedMedians(
  { width, image, mask }: DifferenceImage, { columns, rows, cellWidth, cellHeight }: Mesh,
): { medians: Float32Array; noises: Float32Array } {
  const { clipSigma, usableFractionMin } = pairConfig.stars.background;
  const medians = new Float32Array(columns * rows), noises = new Float32Array(columns * rows);
  const cellOf = createClippedCells({
    image, mask, ignoredBits: UNUSED, width, clipSigma, rowStep: 1,
    pixelsMax: Math.ceil(cellWidth + 1) * Math.ceil(cellHeight + 1),
  });
  for (let i = 0; i < medians.length; i++) {
    const column = i % columns, row = (i - column) / columns;
    const x0 = Math.round(column * cellWidth), x1 = Math.round((column + 1) * cellWidth);
    const y0 = Math.round(row * cellHeight), y1 = Math.round((row + 1) * cellHeight), area = (x1 - x0) * (y1 - y0);
    const { median: middle, sigma } = cellOf({ x0, x1, y0, y1 }, Math.max(16, usableFractionMin * area));
    medians[i] = middle;
    noises[i] = (1.2533 * sigma) / Math.sqrt(area);
  }
  return { medians, noises };
}

/** Noise of a mean with weights 1-2-1 × 1-2-1, relative to a cell's: √(16 + 4 × 4 + 4) / 16. */
const BINOMIAL_NOISE = 0.375;

/** Mean of the known cells of the 3 × 3 around each, weights 1-2-1 × 1-2-1; `otherwise` where none is known. */
function smoothed(cells: Float32Array, columns: number, rows: number, otherwise: number): Float32Array {
  return cells.map((_, i) => {
    const column = i % columns, row = (i - column) / columns;
    let sum = 0, total = 0;
    for (let r = Math.max(0, row - 1); r <= Math.min(rows - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 1); c <= Math.min(columns - 1, column + 1); c++) {
        const value = cells[r * columns + c];
        const weight = (r === row ? 2 : 1) * (c === column ? 2 : 1);
        if (Number.isFinite(value)) { sum += weight * value; total += weight; }
      }
    }
    return total > 0 ? sum / total : otherwise;
  });
}
