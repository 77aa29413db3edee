/** Planes against a mesh of cell values, bilinear between the cells' centres. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { listPeaksTwin, markAboveMeshTwin, markBytesTwin, meshRowTwin, subtractMeshTwin } from './twins/mesh.ts';

/** Cell (column, row) is at row × columns + column; cells share the image evenly. */
export type Mesh = Readonly<{ columns: number; rows: number; cellWidth: number; cellHeight: number }>;

/**
 * One row of a mesh: a straight line between the centres of neighbouring cells, which goes on beyond the outermost.
 * Single precision.
 *
 * @param out At least `width` long; the first `width` values are overwritten.
 */
export function meshRow(mesh: Mesh, cells: Float32Array, y: number, width: number, out: Float32Array): void {
  meshRowTwin(mesh, cells, y, width, out);
}

/** plane −= mesh, in place; NaN stays NaN. @param plane [height × width]. */
export function subtractMesh(
  plane: Float32Array, width: number, height: number, mesh: Mesh, cells: Float32Array,
): void {
  const placed = place(kernelsOf(plane), width, cells);
  if (placed === null) { subtractMeshTwin(plane, width, height, mesh, cells); return; }
  const { kernels, line, at } = placed;
  kernels.compiled.subtractMesh(
    pointerTo(kernels, plane), width, height, at, mesh.columns, mesh.rows, mesh.cellWidth, mesh.cellHeight, line,
  );
}

/**
 * Sets `bit` in the mask where plane > factor × mesh.
 *
 * @param plane [height × width]. Read only.
 * @param mask  Same shape, changed in place.
 */
export function markAboveMesh(
  plane: Float32Array, width: number, height: number, mesh: Mesh, cells: Float32Array, factor: number,
  mask: Uint16Array, bit: number,
): void {
  const placed = place(kernelsOf(plane, mask), width, cells);
  if (placed === null) {
    markAboveMeshTwin(plane, width, height, mesh, cells, Math.fround(factor), mask, bit);
    return;
  }
  const { kernels, line, at } = placed;
  kernels.compiled.markAboveMesh(
    pointerTo(kernels, plane), width, height, at, mesh.columns, mesh.rows, mesh.cellWidth, mesh.cellHeight, factor,
    pointerTo(kernels, mask), bit, line,
  );
}

/** Sets `bit` in the mask where the byte is not 0. Same shapes. */
export function markBytes(bytes: Uint8Array, mask: Uint16Array, bit: number): void {
  const kernels = kernelsOf(bytes, mask);
  if (kernels === null) { markBytesTwin(bytes, mask, bit); return; }
  kernels.compiled.markBytes(pointerTo(kernels, bytes), bytes.length, pointerTo(kernels, mask), bit);
}

/**
 * Local maxima of a plane that exceed the mesh. No peak lies nearer than `border` (1 or more) to an edge; of equal
 * neighbours the first in reading order counts.
 *
 * @param plane   [height × width]. Read only.
 * @param indices Overwritten as far as it reaches: y × width + x, in order.
 * @returns How many there are; when more than `indices` holds, the list is not whole.
 */
export function listPeaks(
  plane: Float32Array, width: number, height: number, border: number, mesh: Mesh, cells: Float32Array,
  indices: Int32Array,
): number {
  if (!(border >= 1)) throw new Error(`a border of ${border} pixels leaves peaks without neighbours`);
  const placed = place(kernelsOf(plane, indices), width, cells);
  if (placed === null) return listPeaksTwin(plane, width, height, border, mesh, cells, indices);
  const { kernels, line, at } = placed;
  return kernels.compiled.listPeaks(
    pointerTo(kernels, plane), width, height, border, at, mesh.columns, mesh.rows, mesh.cellWidth, mesh.cellHeight,
    line, pointerTo(kernels, indices), indices.length,
  );
}

type Placed = Readonly<{ kernels: Kernels; line: number; at: number }>;

/** Copies a mesh to the work area, with a line beside it. Null without kernels or room. */
function place(kernels: Kernels | null, width: number, cells: Float32Array): Placed | null {
  const work = kernels && layOutWork(kernels, { line: 4 * (width + 4), cells: 4 * cells.length });
  if (kernels === null || work === null) return null;
  new Float32Array(kernels.memory.buffer, work.cells, cells.length).set(cells);
  return { kernels, line: work.line, at: work.cells };
}
