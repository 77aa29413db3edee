import type { FootprintTask, Footprints } from '../footprints.ts';
import { labelRegions } from './label.ts';
import { subtractMeshTwin } from './mesh.ts';
import { smoothSeparableTwin } from './smooth.ts';

/**
 * Twin of `findFootprints`, by planes.
 *
 * @param done Rows that the mesh has been taken off already.
 */
export function findFootprintsTwin(task: FootprintTask, done = 0): Footprints {
  const { image, mask, width, height, countMin } = task, taps = Float32Array.of(task.sideTap, task.middleTap, task.sideTap);
  subtractMeshTwin(image, width, done, height, task.mesh, image);
  const plane = new Float32Array(image.length), labels = new Int32Array(image.length);
  smoothSeparableTwin(image, mask, task.zeroBits, width, height, taps, plane);
  const regions = labelRegions(plane, width, height, 1, task.threshold, labels), tops = new Int32Array(regions.count);
  const runs: number[] = [], rowStarts = new Int32Array(height + 1), light: number[] = [];
  for (let y = 0, j = 0; y < height; y++) {
    rowStarts[y] = runs.length / 3;
    for (let x = 0; x < width; x++, j++) {
      if (labels[j] === 0) continue;
      const number = labels[j] - 1;
      if (x > 0 && labels[j - 1] !== 0) runs[runs.length - 2] = x + 1;
      else runs.push(x, x + 1, number);
      light.push(plane[j]);
      if (regions.boxes[5 * number + 4] >= countMin && tops[number] < 2 && isTop(plane, width, height, x, y)) tops[number]++;
    }
  }
  rowStarts[height] = runs.length / 3;
  return { regions, runs: Int32Array.from(runs), rowStarts, light: Float32Array.from(light), tops };
}

function isTop(plane: Float32Array, width: number, height: number, x: number, y: number): boolean {
  const value = plane[y * width + x];
  for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
      if (plane[v * width + u] > value) return false;
    }
  }
  return true;
}
