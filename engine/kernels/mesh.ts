/** Planes against a mesh of cell values, bilinear between the cells' centres. */
import { bandsOf } from './bands.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { meshRowTwin, subtractMeshTwin } from './twins/mesh.ts';

/** Cell (column, row) is at row × columns + column; cells share the image evenly. */
export type Mesh = Readonly<{ columns: number; rows: number; cellWidth: number; cellHeight: number }>;

export type MeshCells = Mesh & Readonly<{ cells: Float32Array }>;

/**
 * One row of a mesh: a straight line between the centres of neighbouring cells, which goes on beyond the outermost.
 * Single precision.
 *
 * @param out At least `width` long; the first `width` values are overwritten.
 */
export function meshRow(mesh: Mesh, cells: Float32Array, y: number, width: number, out: Float32Array): void {
  meshRowTwin(mesh, cells, y, width, out);
}

/**
 * to = plane − mesh in rows y0 … y1 − 1; NaN stays NaN.
 *
 * @param plane [height × width].
 * @param to    Same shape; the plane itself when it is not given.
 */
export function subtractMesh(
  plane: Float32Array, width: number, y0: number, y1: number, mesh: MeshCells, to: Float32Array = plane,
): void {
  const { cells } = mesh, kernels = kernelsOf(plane, to);
  const work = kernels && layOutWork(kernels, { line: 4 * (width + 8), cells: 4 * cells.length });
  if (kernels === null || work === null) { subtractMeshTwin(plane, width, y0, y1, mesh, to); return; }
  new Float32Array(kernels.memory.buffer, work.cells, cells.length).set(cells);
  for (const band of bandsOf(kernels, y0, y1)) {
    kernels.compiled.subtractMesh(
      pointerTo(kernels, plane), pointerTo(kernels, to), width, band.y0, band.y1, work.cells, mesh.columns, mesh.rows,
      mesh.cellWidth, mesh.cellHeight, work.line,
    );
  }
}
