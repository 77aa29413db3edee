/**
 * Sky background on a mesh: a clipped mode per cell, a 3 × 3 median over cells, bilinear between their centres.
 * The estimator is SExtractor's (Bertin & Arnouts 1996, §4): 2.5 × median − 1.5 × mean of the clipped pixels, the
 * median alone where crowding skews them.
 */
import { clipCells, type CountedCell } from '../kernels/cells.ts';
import { meshRow, subtractMesh, type Mesh } from '../kernels/mesh.ts';

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
  const edges = Int32Array.from({ length: columns + 1 }, (_, column) => Math.round(column * cellWidth));
  const task = { image, mask, ignoredBits: ignoreBits, width, clipSigma: config.clipSigma, rowStep };
  for (let row = 0; row < rows; row++) {
    const y0 = Math.round(row * cellHeight), y1 = Math.round((row + 1) * cellHeight);
    clipCells(task, edges, y0, y1).forEach((cell, column) => {
      const pixels = (edges[column + 1] - edges[column]) * Math.ceil((y1 - y0) / rowStep);
      const isKnown = cell.usable >= Math.max(16, config.usableFractionMin * pixels);
      level[row * columns + column] = isKnown ? modeOf(cell) : NaN;
      sigma[row * columns + column] = isKnown ? cell.sigma : NaN;
    });
  }
  if (!fillEmptyCells(level, columns, rows) || !fillEmptyCells(sigma, columns, rows)) return null;
  return {
    width, height, columns, rows, cellWidth, cellHeight,
    level: medianFiltered(level, columns, rows), sigma: medianFiltered(sigma, columns, rows),
  };
}

/** Level of the sky; NaN when it is unknown. */
function modeOf({ median: centre, mean, sigma }: CountedCell): number {
  const isCrowded = Math.abs(mean - centre) > CROWDED_SKEW * sigma;
  return !(sigma > 0) || isCrowded ? centre : 2.5 * centre - 1.5 * mean;
}

/** Cells without a value take the mean of their known neighbours, ring by ring. False when none is known. */
export function fillEmptyCells(cells: Float32Array, columns: number, rows: number): boolean {
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
export function medianFiltered(cells: Float32Array, columns: number, rows: number): Float32Array {
  const out = new Float32Array(cells.length), group = new Float64Array(9);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const isInside = column > 0 && column + 1 < columns, isBetween = row > 0 && row + 1 < rows;
      let count = 1;
      group[0] = cells[i];
      if (isInside) { group[count++] = cells[i - 1]; group[count++] = cells[i + 1]; }
      if (isBetween) { group[count++] = cells[i - columns]; group[count++] = cells[i + columns]; }
      if (isInside && isBetween) {
        group[count++] = cells[i - columns - 1]; group[count++] = cells[i + columns + 1];
        group[count++] = cells[i - columns + 1]; group[count++] = cells[i + columns - 1];
      }
      out[i] = count === 1 ? cells[i] : middleOf(group, count);
    }
  }
  return out;
}

/** The middle one of an odd number of values, which are sorted by insertion: there are nine at most. */
function middleOf(group: Float64Array, count: number): number {
  for (let i = 1; i < count; i++) {
    const value = group[i];
    let at = i;
    for (; at > 0 && group[at - 1] > value; at--) group[at] = group[at - 1];
    group[at] = value;
  }
  return group[count >> 1];
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
  const u = columns === 1 ? 0 : (x + 0.5) / cellWidth - 0.5, v = rows === 1 ? 0 : (y + 0.5) / cellHeight - 0.5;
  const c = Math.min(Math.max(Math.floor(u), 0), Math.max(columns - 2, 0)), fx = u - c;
  const r = Math.min(Math.max(Math.floor(v), 0), Math.max(rows - 2, 0)), fy = v - r;
  const right = columns === 1 ? 0 : 1, below = r * columns + c, above = rows === 1 ? below : below + columns;
  return (cells[below] * (1 - fy) + cells[above] * fy) * (1 - fx)
    + (cells[below + right] * (1 - fy) + cells[above + right] * fy) * fx;
}

/** Takes the background off, in place. @param image [height × width] row-major; overwritten. NaN stays NaN. */
export function subtractBackground(image: Float32Array, background: Background): void {
  subtractMesh(image, background.width, 0, background.height, { ...background, cells: background.level });
}
