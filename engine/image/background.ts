/**
 * Sky background on a mesh: a clipped mode per cell, a 3 × 3 median over cells, bilinear between their centres.
 * The estimator is SExtractor's (Bertin & Arnouts 1996, §4): 2.5 × median − 1.5 × mean of the clipped pixels, the
 * median alone where crowding skews them.
 */
import { createClippedCells, type ClippedCell } from '../kernels/background.ts';
import { meshRow, subtractMesh, type Mesh } from '../kernels/mesh.ts';
import { median } from './median.ts';

export type BackgroundConfig = Readonly<{
  /** Side of a cell, pixels. */
  cellPx: number;
  /** Pixels farther than this from the cell's centre value do not count, in its standard deviations. */
  clipSigma: number;
  /** A cell with a smaller share of usable pixels takes its value from its neighbours. */
  usableFractionMin: number;
  /** Rows from one that counts to the next; 1 when it is not given. */
  rowStep?: number;
}>;

/** Level and noise at the centres of the cells; cell (column, row) is at row × columns + column. */
export type Background = Mesh & Readonly<{
  width: number; height: number;
  level: Float32Array;
  /** Standard deviation of the sky's pixels. */
  sigma: Float32Array;
}>;

/** Skew beyond which the mode's formula is not to be trusted (SExtractor's own limit), in standard deviations. */
const CROWDED_SKEW = 0.3;

/**
 * @param image [height × width] row-major, any unit. Read only. NaN is ignored.
 * @param mask  Same shape; pixels with any of `ignoreBits` are ignored. Read only.
 * @returns null when no cell has enough usable pixels.
 */
export function measureBackground(
  image: Float32Array, mask: Uint16Array, width: number, height: number, ignoreBits: number, config: BackgroundConfig,
): Background | null {
  const columns = Math.max(1, Math.round(width / config.cellPx)),
    rows = Math.max(1, Math.round(height / config.cellPx));
  const cellWidth = width / columns, cellHeight = height / rows;
  const level = new Float32Array(columns * rows), sigma = new Float32Array(columns * rows);
  const rowStep = config.rowStep ?? 1;
  const cellOf = createClippedCells({
    image, mask, ignoredBits: ignoreBits, width, clipSigma: config.clipSigma, rowStep,
    pixelsMax: Math.ceil(cellWidth + 1) * Math.ceil(cellHeight + 1),
  });
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x0 = Math.round(column * cellWidth), x1 = Math.round((column + 1) * cellWidth);
      const y0 = Math.round(row * cellHeight), y1 = Math.round((row + 1) * cellHeight);
      const pixels = (x1 - x0) * Math.ceil((y1 - y0) / rowStep);
      const cell = cellOf({ x0, x1, y0, y1 }, Math.max(16, config.usableFractionMin * pixels));
      level[row * columns + column] = modeOf(cell);
      sigma[row * columns + column] = cell.sigma;
    }
  }
  if (!fillEmptyCells(level, columns, rows) || !fillEmptyCells(sigma, columns, rows)) return null;
  return {
    width, height, columns, rows, cellWidth, cellHeight,
    level: medianFiltered(level, columns, rows), sigma: medianFiltered(sigma, columns, rows),
  };
}

/** Level of the sky; NaN when it is unknown. */
function modeOf({ median: centre, mean, sigma }: ClippedCell): number {
  const isCrowded = Math.abs(mean - centre) > CROWDED_SKEW * sigma;
  return !(sigma > 0) || isCrowded ? centre : 2.5 * centre - 1.5 * mean;
}

/** Cells without a value take the mean of their known neighbours, ring by ring. False when none is known. */
function fillEmptyCells(cells: Float32Array, columns: number, rows: number): boolean {
  if (!cells.some((value) => !Number.isNaN(value))) return false;
  while (cells.some((value) => Number.isNaN(value))) {
    const before = Float32Array.from(cells);
    for (let i = 0; i < cells.length; i++) {
      if (!Number.isNaN(before[i])) continue;
      const near = neighbours(before, columns, rows, i);
      if (near.length > 0) cells[i] = near.reduce((sum, value) => sum + value, 0) / near.length;
    }
  }
  return true;
}

/**
 * A cell under a bright star or galaxy differs from all its neighbours; the median passes it over. Only neighbours
 * that lie opposite each other count, so that a gradient keeps its slope up to the edge. A corner
 * stays as it is: straight lines through the cells beside it scatter by √5 of a cell's error, more than they mend.
 */
function medianFiltered(cells: Float32Array, columns: number, rows: number): Float32Array {
  return cells.map((value, i) => {
    const column = i % columns, row = (i - column) / columns, group = [value];
    for (const [dx, dy] of [[1, 0], [0, 1], [1, 1], [1, -1]]) {
      if (column < dx || column + dx >= columns || row < Math.abs(dy) || row + Math.abs(dy) >= rows) continue;
      group.push(cells[i - dx - dy * columns], cells[i + dx + dy * columns]);
    }
    return median(group);
  });
}

function neighbours(cells: Float32Array, columns: number, rows: number, index: number): number[] {
  const column = index % columns, row = (index - column) / columns, found: number[] = [];
  for (let r = Math.max(0, row - 1); r <= Math.min(rows - 1, row + 1); r++) {
    for (let c = Math.max(0, column - 1); c <= Math.min(columns - 1, column + 1); c++) {
      const value = cells[r * columns + c];
      if ((r !== row || c !== column) && !Number.isNaN(value)) found.push(value);
    }
  }
  return found;
}

/**
 * One row of a mesh's values: bilinear between centres, extended in a straight line beyond the outermost ones, so that
 * a gradient is followed to the edge of the image.
 *
 * @param cells `level` or `sigma` of the background.
 * @param out   At least `width` long; the first `width` values are overwritten.
 */
export function interpolateRow(background: Background, cells: Float32Array, y: number, out: Float32Array): void {
  meshRow(background, cells, y, background.width, out);
}

/** A mesh's value at a place; the same lines. */
export function interpolateAt(
  { columns, rows, cellWidth, cellHeight }: Mesh, cells: Float32Array, x: number, y: number,
): number {
  const along = (at: number, size: number, count: number): [number, number, number] => {
    if (count === 1) return [0, 0, 0];
    const v = (at + 0.5) / size - 0.5, low = Math.min(Math.max(Math.floor(v), 0), count - 2);
    return [low, low + 1, v - low];
  };
  const [c0, c1, fx] = along(x, cellWidth, columns), [r0, r1, fy] = along(y, cellHeight, rows);
  const left = cells[r0 * columns + c0] * (1 - fy) + cells[r1 * columns + c0] * fy;
  const right = cells[r0 * columns + c1] * (1 - fy) + cells[r1 * columns + c1] * fy;
  return left * (1 - fx) + right * fx;
}

/** Takes the background off, in place. @param image [height × width] row-major; overwritten. NaN stays NaN. */
export function subtractBackground(image: Float32Array, background: Background): void {
  subtractMesh(image, background.width, background.height, background, background.level);
}
