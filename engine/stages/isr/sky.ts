/** The sky's level over the detector, from a few of its rows: the noise that it makes need not be known better. */
import { fillEmptyCells, medianFiltered } from '../../image/background.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { sampleCell } from '../../kernels/sample.ts';
import type { Mesh } from '../../kernels/mesh.ts';

/** Level and noise at the centres of the cells. */
export type SampledSky = Mesh & Readonly<{ level: Float32Array; sigma: Float32Array }>;

/** A cell with a smaller share of usable pixels takes its value from its neighbours. */
const USABLE_FRACTION_MIN = 0.2;
/** Fewest pixels that tell a cell's level. */
const PIXELS_MIN = 16;

export function meshOf(width: number, height: number, cellPx: number): Mesh {
  const columns = Math.max(1, Math.round(width / cellPx)), rows = Math.max(1, Math.round(height / cellPx));
  return { columns, rows, cellWidth: width / columns, cellHeight: height / rows };
}

/** Rows from one that is looked at to the next, for so many in a cell. */
export function sampleStep({ cellHeight }: Mesh, rowsPerCell: number): number {
  return Math.max(1, Math.floor(cellHeight / rowsPerCell));
}

/**
 * Median of each cell's sampled pixels, then of its neighbours (a cell under a galaxy is passed over). The mean light
 * of faint sources stays in: it is there, and so is its noise.
 *
 * @param sampled Rows that are looked at, ascending; others are not read.
 * @returns Null when no cell has enough usable pixels.
 */
export function measureSky(
  { image, mask, width }: MaskedImage, ignoredBits: number, mesh: Mesh, sampled: Int32Array,
): SampledSky | null {
  const { columns, rows, cellWidth, cellHeight } = mesh, task = { image, mask, width, ignoredBits };
  const level = new Float32Array(columns * rows).fill(NaN), sigma = new Float32Array(columns * rows).fill(NaN);
  for (let row = 0; row < rows; row++) {
    const y0 = Math.round(row * cellHeight), y1 = Math.round((row + 1) * cellHeight);
    const own = sampled.filter((y) => y >= y0 && y < y1);
    for (let column = 0; column < columns; column++) {
      const x0 = Math.round(column * cellWidth), x1 = Math.round((column + 1) * cellWidth);
      const { count, median, lower } = sampleCell(task, own, x0, x1);
      if (count < Math.max(PIXELS_MIN, USABLE_FRACTION_MIN * own.length * (x1 - x0))) continue;
      level[row * columns + column] = median;
      sigma[row * columns + column] = median - lower;
    }
  }
  if (!fillEmptyCells(level, columns, rows) || !fillEmptyCells(sigma, columns, rows)) return null;
  return { ...mesh, level: medianFiltered(level, columns, rows), sigma };
}
