/** Footprints of sources: what stands above a threshold of an image that was filtered with three taps. */
import { bandsOf } from './bands.ts';
import { leastFloatFrom } from './floats.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { REGION_FIELDS, RUN_BYTES, type Regions } from './label.ts';
import type { MeshCells } from './mesh.ts';
import { findFootprintsTwin } from './twins/footprints.ts';

export type FootprintTask = Readonly<{
  /** [height × width]; the mesh is taken off in place. */
  image: Float32Array;
  /** Pixels with one of `zeroBits`, NaN and what lies outside count as 0 for the filter. */
  mask: Uint16Array; zeroBits: number;
  width: number; height: number;
  mesh: MeshCells;
  /** Weights of a pixel and, twice, of its neighbours, along both axes; rounded to float32. */
  middleTap: number; sideTap: number;
  /** Filtered pixels that are not below it belong to a footprint; compared without rounding. */
  threshold: number;
  /** Footprints of fewer pixels are not looked at for tops. */
  countMin: number;
}>;

export type Footprints = Readonly<{
  /** Connected at sides and corners, in the order of their first pixels. */
  regions: Regions;
  /** Three numbers a run: x0, x1 (half-open) and the number of its region; row by row, from left to right. */
  runs: Int32Array;
  /** [height + 1]: the first run of each row, and the end of the last. */
  rowStarts: Int32Array;
  /** Filtered light of the runs' pixels, run after run. */
  light: Float32Array;
  /**
   * How many pixels of each region no neighbour exceeds, two at most: what has one of them is one hill. 0 for regions
   * of fewer than `countMin` pixels.
   */
  tops: Int32Array;
}>;

/**
 * @param scratch As many floats as the image has pixels; contents destroyed.
 */
export function findFootprints(task: FootprintTask, scratch: Float32Array): Footprints {
  const kernels = kernelsOf(task.image, task.mask, scratch);
  return kernels === null ? findFootprintsTwin(task) : findCompiled(kernels, task, scratch);
}

/** Bytes of work for a run: itself, and its region and tops should it be the only run of one. */
const RUN_WORK_BYTES = RUN_BYTES + 4 * REGION_FIELDS + 4;

function findCompiled(kernels: Kernels, task: FootprintTask, scratch: Float32Array): Footprints {
  const { width, height, mesh } = task, rowBytes = 4 * (height + 1), stride = (width + 15) & ~15;
  const bytes = {
    line: 4 * (width + 8), cells: 4 * mesh.cells.length, taps: 12, padded: 4 * (width + 18), ring: 12 * stride,
    row: 4 * stride, state: 12, rowStarts: rowBytes, rowLights: rowBytes,
  };
  const room = KERNEL_WORK_BYTES - 1024 - Object.values(bytes).reduce((sum, size) => sum + size, 0);
  const capacity = Math.floor(room / RUN_WORK_BYTES);
  const work = capacity < 1 ? null : layOutWork(kernels, {
    ...bytes, runs: RUN_BYTES * capacity, regions: 4 * REGION_FIELDS * capacity, tops: 4 * capacity,
  });
  if (work === null) return findFootprintsTwin(task);
  const { buffer } = kernels.memory, state = new Int32Array(buffer, work.state, 3).fill(0);
  new Float32Array(buffer, work.cells, mesh.cells.length).set(mesh.cells);
  new Float32Array(buffer, work.taps, 3).set([task.sideTap, task.middleTap, task.sideTap]);
  const [image, mask, light] = [task.image, task.mask, scratch].map((plane) => pointerTo(kernels, plane));
  for (const { y0, y1 } of bandsOf(kernels, 0, height)) {
    const isWhole = kernels.compiled.filterRuns(
      image, mask, task.zeroBits, width, height, y0, y1, work.cells, mesh.columns, mesh.rows, mesh.cellWidth,
      mesh.cellHeight, work.line, work.taps, leastFloatFrom(task.threshold), work.padded, work.ring, work.row,
      work.rowStarts, work.runs, capacity, light, scratch.length, work.state,
    );
    if (isWhole === 0) return findFootprintsTwin(task, state[2]);
  }
  const count = kernels.compiled.countTops(
    height, work.rowStarts, work.runs, light, task.countMin, work.rowLights, work.regions, work.tops,
  );
  const ints = (at: number, length: number): Int32Array => new Int32Array(buffer, at, length).slice();
  return {
    regions: { count, boxes: ints(work.regions, REGION_FIELDS * count) }, runs: ints(work.runs, 3 * state[0]),
    rowStarts: ints(work.rowStarts, height + 1), light: scratch.slice(0, state[1]), tops: ints(work.tops, count),
  };
}
