import type { Mesh, MeshCells } from '../mesh.ts';

const { fround } = Math;

/** Twin of a row of `subtractMesh`; also what JavaScript reads of a mesh. */
export function meshRowTwin(mesh: Mesh, cells: Float32Array, y: number, width: number, out: Float32Array): void {
  const { columns, rows, cellWidth, cellHeight } = mesh;
  const v = rows === 1 ? 0 : (y + 0.5) / cellHeight - 0.5;
  const row = Math.min(Math.max(Math.floor(v), 0), Math.max(rows - 2, 0)), fy = rows === 1 ? 0 : v - row;
  const below = row * columns, above = Math.min(row + 1, rows - 1) * columns;
  for (let column = 0; column < Math.max(columns - 1, 1); column++) {
    const next = Math.min(column + 1, columns - 1);
    const left = cells[below + column] * (1 - fy) + cells[above + column] * fy;
    const right = cells[below + next] * (1 - fy) + cells[above + next] * fy;
    const centre = (column + 0.5) * cellWidth - 0.5, slope = columns === 1 ? 0 : (right - left) / cellWidth;
    const x0 = column === 0 ? 0 : Math.ceil(centre);
    const x1 = column >= columns - 2 ? width : Math.min(Math.ceil(centre + cellWidth), width);
    const base = fround(left + slope * (x0 - centre)), step = fround(slope);
    for (let x = x0; x < x1; x++) out[x] = base + fround(step * (x - x0));
  }
}

export function subtractMeshTwin(
  plane: Float32Array, width: number, y0: number, y1: number, mesh: MeshCells, to: Float32Array,
): void {
  const line = new Float32Array(width);
  for (let y = y0, j = y0 * width; y < y1; y++) {
    meshRowTwin(mesh, mesh.cells, y, width, line);
    for (let x = 0; x < width; x++, j++) to[j] = plane[j] - line[x];
  }
}
