import type { SourcesTask } from '../sources.ts';
import { meshRowTwin } from './mesh.ts';
import { smoothSeparableTwin } from './smooth.ts';

const { fround } = Math;

/** Twin of `smoothSources`. */
export function smoothSourcesTwin(
  task: SourcesTask, mask: Uint16Array, bit: number, out: Float32Array,
): Int32Array {
  const { image, width, height, mesh, reach, border } = task, line = new Float32Array(width), peaks: number[] = [];
  const level = task.level === null ? null : { ...mesh, cells: task.level };
  // Marks of one row may not be asked for by another, should the bit be one of those that count as zero.
  smoothSeparableTwin(image, mask, task.zeroBits, width, height, Float32Array.from(task.taps), out,
    Math.max(0, task.y0 - reach - 1), Math.min(height, task.y1 + reach + 1), level);
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

function markAround({ width, y0, y1, reach }: SourcesTask, x: number, y: number, mask: Uint16Array, bit: number): void {
  for (let v = Math.max(y0, y - reach); v <= Math.min(y1 - 1, y + reach); v++) {
    for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) mask[v * width + u] |= bit;
  }
}

function isPeak(plane: Float32Array, j: number, width: number): boolean {
  const value = plane[j];
  return value >= plane[j + 1] && value > plane[j - 1]
    && value > plane[j - width - 1] && value > plane[j - width] && value > plane[j - width + 1]
    && value >= plane[j + width - 1] && value >= plane[j + width] && value >= plane[j + width + 1];
}
