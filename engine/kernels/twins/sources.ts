import type { Mesh } from '../mesh.ts';
import type { SourcesTask } from '../sources.ts';
import { meshRowTwin } from './mesh.ts';
import { smoothSeparableTwin } from './smooth.ts';

const { fround } = Math;

/** Pixels of the grid along both axes, and a mesh over the image as one over the grid. */
export function gridOf(
  { width, height, bin, mesh }: Pick<SourcesTask, 'width' | 'height' | 'bin' | 'mesh'>,
): { width: number; height: number; mesh: Mesh } {
  const { columns, rows, cellWidth, cellHeight } = mesh;
  return {
    width: Math.ceil(width / bin), height: Math.ceil(height / bin),
    mesh: { columns, rows, cellWidth: cellWidth / bin, cellHeight: cellHeight / bin },
  };
}

/** Twin of `smoothSources`. */
export function smoothSourcesTwin(
  task: SourcesTask, mask: Uint16Array, bit: number, out: Float32Array,
): Int32Array {
  const { reach, border, bin } = task, { width, height, mesh } = gridOf(task), line = new Float32Array(width);
  const peaks: number[] = [], level = task.level === null ? null : { ...mesh, cells: task.level };
  // Marks of one row may not be asked for by another, should the bit be one of those that count as zero.
  const [image, own, zeroBits, taken] = bin === 1 ? [task.image, mask, task.zeroBits, level] as const
    : [binned(task, mask, width, height), new Uint16Array(width * height), 0, null] as const;
  smoothSeparableTwin(image, own, zeroBits, width, height, Float32Array.from(task.taps), out,
    Math.max(0, task.y0 - reach - 1), Math.min(height, task.y1 + reach + 1), taken);
  const mark = fround(task.markFactor), peak = fround(task.peakFactor);
  for (let y = Math.max(0, task.y0 - reach); y < Math.min(height, task.y1 + reach); y++) {
    meshRowTwin(mesh, task.noise, y, width, line);
    for (let x = 0; x < width; x++) {
      const j = y * width + x;
      if (!(out[j] > fround(mark * line[x]))) continue;
      markAround(task, x, y, mask, bit);
      const isInside = y >= Math.max(task.y0, border) && y < Math.min(task.y1, height - border)
        && x >= border && x < width - border;
      if (isInside && out[j] > fround(peak * line[x]) && isPeak(out, j, width)) peaks.push(j);
    }
  }
  return Int32Array.from(peaks);
}

/** Means of 2 × 2 pixels less their level; those that are NaN, masked or outside are 0 each. */
function binned(task: SourcesTask, mask: Uint16Array, columns: number, rows: number): Float32Array {
  const { image, width, height, zeroBits } = task, { mesh } = gridOf(task), out = new Float32Array(columns * rows);
  const line = new Float32Array(columns);
  const light = (x: number, y: number, level: number): number => {
    if (x >= width || y >= height || (mask[y * width + x] & zeroBits) !== 0) return 0;
    const value = fround(image[y * width + x] - level);
    return value === value ? value : 0;
  };
  for (let y = 0; y < rows; y++) {
    if (task.level !== null) meshRowTwin(mesh, task.level, y, columns, line);
    for (let x = 0; x < columns; x++) {
      const left = fround(light(2 * x, 2 * y, line[x]) + light(2 * x, 2 * y + 1, line[x]));
      const right = fround(light(2 * x + 1, 2 * y, line[x]) + light(2 * x + 1, 2 * y + 1, line[x]));
      out[y * columns + x] = fround(left + right) / 4;
    }
  }
  return out;
}

function markAround(task: SourcesTask, x: number, y: number, mask: Uint16Array, bit: number): void {
  const { width, height, bin, y0, y1, reach } = task, left = bin * Math.max(0, x - reach);
  const right = Math.min(width, bin * (x + reach + 1));
  for (let v = bin * Math.max(y0, y - reach); v < Math.min(height, bin * Math.min(y1, y + reach + 1)); v++) {
    for (let u = left; u < right; u++) mask[v * width + u] |= bit;
  }
}

function isPeak(plane: Float32Array, j: number, width: number): boolean {
  const value = plane[j];
  return value >= plane[j + 1] && value > plane[j - 1]
    && value > plane[j - width - 1] && value > plane[j - width] && value > plane[j - width + 1]
    && value >= plane[j + width - 1] && value >= plane[j + width] && value >= plane[j + width + 1];
}
