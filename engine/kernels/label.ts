/** Connected regions of a plane above a threshold. */
import { leastFloatFrom } from './floats.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { labelRegionsTwin, listRegionTwin } from './twins/label.ts';

/** Regions in the order of their first pixels, row by row. */
export type Regions = Readonly<{
  count: number;
  /** Five numbers a region: x0, y0, x1, y1 (half-open box) and pixels. */
  boxes: Int32Array;
}>;

/** Numbers of a region. */
export const REGION_FIELDS = 5;
const RUN_BYTES = 12;

/**
 * Labels the pixels at which sign × score ≥ threshold, joined where they touch at a side or corner.
 *
 * @param score     [height × width]. Read only; NaN is outside.
 * @param threshold Compared without rounding.
 * @param labels    [height × width], overwritten: 0 outside, else 1 + number of the region.
 */
export function labelRegions(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number, labels: Int32Array,
): Regions {
  const kernels = kernelsOf(score, labels);
  return (kernels === null ? null : labelCompiled(kernels, score, width, height, sign, threshold, labels))
    ?? labelRegionsTwin(score, width, height, sign, threshold, labels);
}

/** Null when there are more runs than the work area holds: some 260,000, so many as only noise has. */
function labelCompiled(
  kernels: Kernels, score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
  labels: Int32Array,
): Regions | null {
  // Offsets of rows, and what rounding to cache lines may take.
  const rowBytes = (height + 1) * 4, regionBytes = REGION_FIELDS * 4;
  const capacity = Math.floor((KERNEL_WORK_BYTES - rowBytes - 256) / (RUN_BYTES + regionBytes));
  const work = capacity > 0 ? layOutWork(kernels, {
    rowStarts: rowBytes, runs: capacity * RUN_BYTES, regions: capacity * regionBytes,
  }) : null;
  if (work === null) return null;
  const count = kernels.compiled.labelRegions(
    pointerTo(kernels, score), width, height, sign, leastFloatFrom(threshold), pointerTo(kernels, labels),
    work.rowStarts, work.runs, capacity, work.regions,
  );
  if (count < 0) return null;
  return { count, boxes: new Int32Array(kernels.memory.buffer, work.regions, REGION_FIELDS * count).slice() };
}

/**
 * The pixels of a region in reading order, as indices in the plane.
 *
 * @param labels As `labelRegions` left them. Read only.
 * @param label  1 + number of the region.
 * @param count  Its pixels.
 */
export function listRegion(
  labels: Int32Array, width: number, box: Readonly<{ x0: number; y0: number; x1: number; y1: number }>, label: number,
  count: number,
): Int32Array {
  const kernels = kernelsOf(labels), work = kernels && layOutWork(kernels, { indices: 4 * count });
  if (kernels === null || work === null) return listRegionTwin(labels, width, box, label, count);
  const found = kernels.compiled.listRegion(
    pointerTo(kernels, labels), width, box.x0, box.y0, box.x1, box.y1, label, work.indices, count,
  );
  return new Int32Array(kernels.memory.buffer, work.indices, found).slice();
}
