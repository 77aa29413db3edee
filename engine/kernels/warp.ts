/** Interpolation of a masked image onto another grid, cell by cell. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels, type WorkParts } from './kernels.ts';
import { warpCellsTwin } from './twins/warp.ts';

/** Planes of one grid, row-major. */
export type WarpPlanes = Readonly<{
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

/** Source position of a cell's pixel (i, j), counted from its first: (tx + i·xx + j·xy, ty + i·yx + j·yy). */
export type WarpAffine = Readonly<{ tx: number; ty: number; xx: number; xy: number; yx: number; yy: number }>;

export type WarpBits = Readonly<{
  /** Source pixels with one of these have no data; output pixels without get them. */
  noData: number;
  /** Bits that an output pixel gets when one of the four source pixels around it has them. */
  carried: number;
  /** Bits that turn into others on the way. */
  moved: readonly [readonly [from: number, to: number], readonly [from: number, to: number]];
}>;

export type WarpTask = Readonly<{
  from: WarpPlanes;
  /** Overwritten where cells are warped. */
  out: WarpPlanes;
  /**
   * [(phases + 1) × 2 halfWidth]: weights of the pixels floor(t) − halfWidth + 1 … floor(t) + halfWidth along each
   * axis.
   */
  taps: Float64Array;
  halfWidth: number; phases: number; bits: WarpBits;
}>;

/** What holds in a cell. */
export type WarpCell = Readonly<{
  affine: WarpAffine;
  /** Of an output pixel, in the source. */
  area: number;
  /** Pixels of a row that share taps: of the output's row, or of the source's where the cell is sheared; 0 for none. */
  part: number;
  /**
   * Where it is not null the cell is turned so little that it is interpolated along the rows of the source first: row y
   * is crossed by column i at tx + (y − ty) shear + i slope. Then along the columns.
   */
  sheared: Readonly<{ shear: number; slope: number }> | null;
}>;

/**
 * Warps the output rows y0 ≤ y < y1 and returns how many of their pixels have data. Each affine holds in a cell of
 * `cellPx` columns, the first from column 0 on, the last to the row's end.
 */
export type WarpCells = (affines: readonly WarpAffine[], cellPx: number, y0: number, y1: number) => number;

/** The half width that is compiled: two vectors of four taps. */
const COMPILED_HALF_WIDTH = 4;
/** Bytes that the compiled warp keeps for each pixel of a row, and for the row. */
const LIST_BYTES = 20, LIST_ROW_BYTES = 32;
/** Doubles that tell the compiled warp of a cell. */
const CELL_FLOATS = 10;
/** Lines of a sheared cell, and the columns that they have room for. */
const LINES_MAX = 96, LINE_FLOATS = 80, SHEARED_WIDTH_MAX = 64;
/** Lengths of a part of a row, longest first; multiples of 4. */
const PARTS = [64, 32, 16, 8] as const;

/** Phases by which a pixel at the end of a part may lie beside the taps that it takes: of 1024, 0.002 px. */
const DRIFT_MAX = 2;

/** Pixels of a row that may share the taps of their middle one: so many that none drifts too far; 0 where 8 are too many. */
function sharedPart(drift: number, phases: number): number {
  return PARTS.find((part) => (part / 2) * drift * phases <= DRIFT_MAX) ?? 0;
}

/**
 * Image: separable taps of the nearest phase, times the area of an output pixel in the source. Variance: bilinear at that
 * phase, times that area. Mask: union of the four pixels around. An output pixel that needs a source pixel which is
 * outside, not finite or without data is NaN with variance 0. Single precision.
 *
 * Where pixels of the output lie nearly one source pixel apart, parts of a row take the phase of their middle pixel, as
 * `sharedPart` has it: a column is then summed once and not eight times. A cell that is turned by less than some degrees
 * is interpolated along x and y one after the other, along its own slanted columns (two passes, as Catmull and Smith 1980):
 * twice eight taps a pixel and not sixty-four.
 */
export function createWarp(task: WarpTask): WarpCells {
  const { from, out, taps, halfWidth } = task;
  const kernels = kernelsOf(from.image, from.variance, from.mask, out.image, out.variance, out.mask);
  const compiled = kernels === null || halfWidth !== COMPILED_HALF_WIDTH ? null : createCompiledWarp(kernels, task);
  if (compiled !== null) return compiled;
  const rounded = Float32Array.from(taps);
  return (affines, cellPx, y0, y1) => (
    warpCellsTwin(task, rounded, cellsOf(affines, cellPx, y1 - y0, task), cellPx, y0, y1));
}

/** @throws Error when they do not make a row of the output. */
function cellsOf(
  affines: readonly WarpAffine[], cellPx: number, rows: number, { from, out, phases }: WarpTask,
): WarpCell[] {
  if (affines.length !== Math.ceil(out.width / cellPx)) throw new Error(
    `${affines.length} cells of ${cellPx} px do not make a row of ${out.width} px`);
  return affines.map((affine, c) => {
    const { xx, xy, yx, yy } = affine, area = Math.abs(xx * yy - xy * yx);
    const part = sharedPart(Math.max(Math.abs(xx - 1), Math.abs(yx)), phases);
    if (part > 0) return { affine, area, part, sheared: null };
    const shear = xy / yy, slope = xx - shear * yx, along = sharedPart(Math.abs(slope - 1), phases);
    const isSheared = along > 0 && fitsLines(affine, Math.min(cellPx, out.width - c * cellPx), rows, from);
    return isSheared ? { affine, area, part: along, sheared: { shear, slope } } : { affine, area, part, sheared: null };
  });
}

/** Whether a cell of so many columns and rows lies well within the source, of which there is room for the rows it needs. */
function fitsLines(
  { tx, ty, xx, xy, yx, yy }: WarpAffine, columns: number, rows: number, { width, height }: WarpPlanes,
): boolean {
  const [i, j] = [columns - 1, rows - 1];
  const xs = [tx, tx + i * xx, tx + j * xy, tx + i * xx + j * xy];
  const ys = [ty, ty + i * yx, ty + j * yy, ty + i * yx + j * yy], lines = Math.max(...ys) - Math.min(...ys) + 10;
  // Taps reach four pixels, vectors four more, and slanted columns a fraction of one.
  const isInside = Math.min(...xs, ...ys) >= 8 && Math.max(...xs) < width - 16 && Math.max(...ys) < height - 8;
  return isInside && columns % 4 === 0 && columns <= SHEARED_WIDTH_MAX && lines <= LINES_MAX;
}

/** Null when the work area has no room for the taps. */
function createCompiledWarp(kernels: Kernels, task: WarpTask): WarpCells | null {
  const { from, out, phases } = task;
  let work = layOutWarp(kernels, task);
  if (work === null) return null;
  return (affines, cellPx, y0, y1) => {
    kernels.holder.checkpoint?.();
    // Other kernels may have run since the last cells.
    if (work === null || !holdsWork(kernels, work)) work = layOutWarp(kernels, task);
    if (work === null) throw new Error('the work area has shrunk');
    const cells = new Float64Array(kernels.memory.buffer, work.cells, CELL_FLOATS * affines.length);
    cellsOf(affines, cellPx, y1 - y0, task).forEach(({ affine: { tx, ty, xx, xy, yx, yy }, area, part, sheared }, c) => {
      const { shear, slope } = sheared ?? { shear: 0, slope: 1 };
      cells.set([tx, ty, xx, xy, yx, yy, area, sheared === null ? part : -part, shear, slope], CELL_FLOATS * c);
    });
    return kernels.compiled.warpCells(
      work.planes, from.width, from.height, out.width, y0, y1, cellPx, work.cells, work.taps, phases, work.bits,
      work.list, work.lines,
    );
  };
}

type WarpParts = WorkParts<'taps' | 'planes' | 'cells' | 'bits' | 'list' | 'lines'>;

function layOutWarp(kernels: Kernels, { from, out, taps, bits }: WarpTask): WarpParts | null {
  const work = layOutWork(kernels, {
    taps: taps.length * 4, planes: 24, cells: out.width * CELL_FLOATS * 8, bits: 24,
    list: ((out.width + 3) & ~3) * LIST_BYTES + LIST_ROW_BYTES, lines: 4 * LINES_MAX * LINE_FLOATS,
  });
  if (work === null) return null;
  const { buffer } = kernels.memory;
  new Float32Array(buffer, work.taps, taps.length).set(taps);
  new Uint32Array(buffer, work.planes, 6).set(
    [from.image, from.variance, from.mask, out.image, out.variance, out.mask].map((plane) => pointerTo(kernels, plane)),
  );
  new Uint32Array(buffer, work.bits, 6).set([bits.noData, bits.carried, ...bits.moved.flat()]);
  return work;
}
