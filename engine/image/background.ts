/**
 * Sky background on a mesh: a clipped mode per cell, a 3 × 3 median over cells, bilinear between their centres.
 * The estimator is SExtractor's (Bertin & Arnouts 1996, §4): 2.5 × median − 1.5 × mean of the clipped pixels, the
 * median alone where crowding skews them.
 */
import { medianInPlace, robustSigma } from './median.ts';
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
  /**
   * Cells that stand higher above those around them, in scatters of all cells, are the light of a galaxy or of a bright
   * star's halo, and take their neighbours' level; none when it is not given.
   */
  bumpSigma?: number | null;
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
  if (config.bumpSigma) removeBumps(level, columns, rows, config.bumpSigma);
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

/** Distances of cells that tell what a cell should be, in cells: beyond it, and beyond most galaxies. */
const BUMP_DISTANCES = [2, 4];

/**
 * Makes cells NaN that stand above what lies two and four cells away on opposite sides, which keeps gradients; a corner,
 * which has no opposites, is compared with the plane through the cells beside it. Sources only ever add light.
 */
function removeBumps(level: Float32Array, columns: number, rows: number, bumpSigma: number): void {
  const excess = new Float64Array(level.length).fill(NaN), group = new Float64Array(4 * 2 * BUMP_DISTANCES.length);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const count = gatherOpposites(level, columns, rows, column, row, group);
      if (count > 0) { excess[i] = level[i] - medianInPlace(group, count); continue; }
      const beside = column === 0 ? 1 : -1, above = row === 0 ? columns : -columns;
      if (columns > 2 && rows > 2) {
        excess[i] = level[i] - (level[i + beside] + level[i + above] - level[i + beside + above]);
      }
    }
  }
  const known = excess.filter((value) => !Number.isNaN(value));
  if (known.length < BUMP_CELLS_MIN) return;
  const scatter = robustSigma(known), covered = Array.from(level.keys()).filter((i) => Number.isNaN(level[i]));
  // Cells without a pixel of sky are the middles of bumps, unless the whole field is crowded.
  const bumps = covered.length <= COVERED_SHARE_MAX * level.length ? covered : [];
  for (let i = 0; i < level.length; i++) {
    // A plane through three cells scatters by twice a cell's error, a median of eight and more by little beside it.
    const isAtSide = i % columns === 0 || (i + 1) % columns === 0;
    const isCorner = isAtSide && (i < columns || i >= level.length - columns);
    if (excess[i] > (isCorner ? 2 : 1) * bumpSigma * scatter) bumps.push(i);
  }
  // Light does not end where it ceases to be sure: from a bump on, every neighbour that stands high at all has some.
  for (const i of bumps) level[i] = NaN;
  for (let k = 0; k < bumps.length; k++) {
    for (const i of neighbourCells(columns, rows, bumps[k])) {
      if (!(excess[i] > BUMP_FOOT_SIGMA * scatter) || Number.isNaN(level[i])) continue;
      level[i] = NaN;
      bumps.push(i);
    }
  }
}

/** Share of cells without sky up to which they are single large sources. */
const COVERED_SHARE_MAX = 0.05;
/** Height, in scatters of all cells, to which a bump is followed. */
const BUMP_FOOT_SIGMA = 1;
/** Cells below which their scatter is not known. */
const BUMP_CELLS_MIN = 64;

/** Known cells that lie opposite each other about a cell; returns how many. */
function gatherOpposites(
  level: Float32Array, columns: number, rows: number, column: number, row: number, group: Float64Array,
): number {
  const i = row * columns + column;
  let count = 0;
  const add = (step: number): void => {
    const before = level[i - step], after = level[i + step];
    if (Number.isNaN(before + after)) return;
    group[count++] = before;
    group[count++] = after;
  };
  for (const d of BUMP_DISTANCES) {
    const isInside = column >= d && column + d < columns, isBetween = row >= d && row + d < rows;
    if (isInside) add(d);
    if (isBetween) add(d * columns);
    if (isInside && isBetween) { add(d * columns + d); add(d * columns - d); }
  }
  return count;
}

/** Rounds in which values settle between their neighbours: over a hole of five cells, to a hundredth. */
const SETTLE_ROUNDS = 24;

/**
 * Cells without a value take the mean of their known neighbours, ring by ring; then those between the cells on opposite
 * sides of them until they settle, which carries a gradient across a hole. False when none is known.
 */
export function fillEmptyCells(cells: Float32Array, columns: number, rows: number): boolean {
  const empty = Array.from(cells.keys()).filter((i) => Number.isNaN(cells[i]));
  if (empty.length === cells.length) return false;
  for (let left = empty; left.length > 0;) {
    const before = Float32Array.from(cells);
    for (const i of left) {
      const near = neighbours(before, columns, rows, i);
      if (near.length > 0) cells[i] = near.reduce((sum, value) => sum + value, 0) / near.length;
    }
    left = left.filter((i) => Number.isNaN(cells[i]));
  }
  for (let round = 0; round < SETTLE_ROUNDS; round++) {
    for (const i of empty) {
      const column = i % columns, isInside = column > 0 && column + 1 < columns;
      const isBetween = i >= columns && i + columns < cells.length;
      if (!isInside && !isBetween) continue;
      let sum = 0;
      if (isInside) sum += cells[i - 1] + cells[i + 1];
      if (isBetween) sum += cells[i - columns] + cells[i + columns];
      cells[i] = sum / (isInside && isBetween ? 4 : 2);
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
  const out = Float32Array.from(cells);
  for (let column = 1; column + 1 < columns; column++) {
    for (const i of [column, (rows - 1) * columns + column]) out[i] = middleOf(cells[i - 1], cells[i], cells[i + 1]);
  }
  for (let row = 1; row + 1 < rows; row++) {
    const first = row * columns;
    for (const i of [first, first + columns - 1]) {
      out[i] = middleOf(cells[i - columns], cells[i], cells[i + columns]);
    }
    filterRow(cells, columns, first, out);
  }
  return out;
}

/**
 * The inner cells of a row: the middle one of nine in a square whose columns are sorted is the middle one of three: the
 * highest of the lowest, the middle of the middle ones, the lowest of the highest.
 */
function filterRow(cells: Float32Array, columns: number, first: number, out: Float32Array): void {
  const { min, max } = Math;
  let lowA = 0, middleA = 0, highA = 0, lowB = 0, middleB = 0, highB = 0;
  for (let column = 0; column < columns; column++) {
    const i = first + column, a = cells[i - columns], b = cells[i], c = cells[i + columns];
    const low = min(a, b), high = max(a, b), lowC = min(low, c), highC = max(high, c), middleC = max(low, min(high, c));
    if (column >= 2) {
      out[i - 1] = middleOf(
        max(lowA, lowB, lowC), middleOf(middleA, middleB, middleC), min(highA, highB, highC),
      );
    }
    lowA = lowB; middleA = middleB; highA = highB;
    lowB = lowC; middleB = middleC; highB = highC;
  }
}

function middleOf(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

function neighbours(cells: Float32Array, columns: number, rows: number, index: number): number[] {
  return neighbourCells(columns, rows, index).map((i) => cells[i]).filter((value) => !Number.isNaN(value));
}

/** The 8 cells around one, those that there are. */
function neighbourCells(columns: number, rows: number, index: number): number[] {
  const column = index % columns, row = (index - column) / columns, found: number[] = [];
  for (let r = Math.max(0, row - 1); r <= Math.min(rows - 1, row + 1); r++) {
    for (let c = Math.max(0, column - 1); c <= Math.min(columns - 1, column + 1); c++) {
      if (r !== row || c !== column) found.push(r * columns + c);
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
