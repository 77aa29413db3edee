/** Connected regions of a plane above a threshold. */
import { leastFloatFrom } from './floats.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { labelRegionsTwin, listRegionsTwin, listRunsTwin } from './twins/label.ts';

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

/** As many runs and regions as the work area has room for; null when that is none. */
function layOutRuns(
  kernels: Kernels, height: number,
): (Record<'rowStarts' | 'runs' | 'regions', number> & { capacity: number }) | null {
  // Offsets of rows, and what rounding to cache lines may take.
  const rowBytes = (height + 1) * 4, regionBytes = REGION_FIELDS * 4;
  const capacity = Math.floor((KERNEL_WORK_BYTES - rowBytes - 256) / (RUN_BYTES + regionBytes));
  const work = capacity > 0 ? layOutWork(kernels, {
    rowStarts: rowBytes, runs: capacity * RUN_BYTES, regions: capacity * regionBytes,
  }) : null;
  return work && { ...work, capacity };
}

/** Null when there are more runs than the work area holds: some 260,000, so many as only noise has. */
function labelCompiled(
  kernels: Kernels, score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
  labels: Int32Array,
): Regions | null {
  const work = layOutRuns(kernels, height);
  if (work === null) return null;
  kernels.holder.checkpoint?.();
  const count = kernels.compiled.labelRegions(
    pointerTo(kernels, score), width, height, sign, leastFloatFrom(threshold), pointerTo(kernels, labels),
    work.rowStarts, work.runs, work.capacity, work.regions,
  );
  if (count < 0) return null;
  return { count, boxes: new Int32Array(kernels.memory.buffer, work.regions, REGION_FIELDS * count).slice() };
}

/** Pixels y × width + x0 … x1 − 1 of a row that belong to one region. */
export type Run = Readonly<{ y: number; x0: number; x1: number }>;

/** A region with its runs, in reading order. */
export type RunRegion = Readonly<{
  /** Half-open. */
  box: Readonly<{ x0: number; y0: number; x1: number; y1: number }>;
  pixelCount: number;
  runs: readonly Run[];
}>;

/**
 * The regions that `labelRegions` finds, in the same order, by their runs instead of labels on a plane: for few and small
 * ones.
 */
export function listRunRegions(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): RunRegion[] {
  const kernels = kernelsOf(score);
  return (kernels === null ? null : listCompiled(kernels, score, width, height, sign, threshold))
    ?? listRunsTwin(score, width, height, sign, threshold);
}

/** Null when there are more runs than the work area holds. */
function listCompiled(
  kernels: Kernels, score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): RunRegion[] | null {
  const work = layOutRuns(kernels, height);
  if (work === null) return null;
  const count = kernels.compiled.listRuns(
    pointerTo(kernels, score), width, height, sign, leastFloatFrom(threshold), work.rowStarts, work.runs,
    work.capacity, work.regions,
  );
  if (count < 0) return null;
  const { buffer } = kernels.memory, starts = new Int32Array(buffer, work.rowStarts, height + 1);
  const runs = new Int32Array(buffer, work.runs, 3 * starts[height]);
  const boxes = new Int32Array(buffer, work.regions, REGION_FIELDS * count), regions: (RunRegion & { runs: Run[] })[] = [];
  for (let n = 0; n < count; n++) {
    const [x0, y0, x1, y1, pixelCount] = boxes.subarray(REGION_FIELDS * n, REGION_FIELDS * (n + 1));
    regions.push({ box: { x0, y0, x1, y1 }, pixelCount, runs: [] });
  }
  for (let y = 0; y < height; y++) {
    for (let i = starts[y]; i < starts[y + 1]; i++) {
      regions[-1 - runs[3 * i + 2]].runs.push({ y, x0: runs[3 * i], x1: runs[3 * i + 1] });
    }
  }
  return regions;
}

/** Pixels of regions, and how many of each region's no neighbour exceeds, two at most. */
export type RegionPixels = Readonly<{
  /** y × width + x, one region after the other, each in reading order; only of regions that are large enough. */
  indices: Int32Array;
  /** Of every region; 0 for those that are too small. */
  tops: Int32Array;
}>;

/**
 * @param labels   As `labelRegions` left them; of regions with fewer pixels than `countMin` they become 0.
 * @param plane    Same shape, in which tops are counted: a region with one of them is one hill. Read only.
 */
export function listRegions(
  labels: Int32Array, plane: Float32Array, width: number, height: number, regions: Regions, countMin: number,
): RegionPixels {
  const { boxes, count } = regions, kernels = kernelsOf(labels, plane);
  let pixels = 0;
  for (let n = 0; n < count; n++) {
    const own = boxes[REGION_FIELDS * n + 4];
    if (own >= countMin) pixels += own;
  }
  const work = kernels && layOutWork(kernels, { boxes: boxes.byteLength, tops: 4 * count, indices: 4 * pixels });
  if (kernels === null || work === null) return listRegionsTwin(labels, plane, width, height, regions, countMin);
  const { buffer } = kernels.memory;
  new Int32Array(buffer, work.boxes, boxes.length).set(boxes);
  kernels.compiled.listRegions(
    pointerTo(kernels, labels), pointerTo(kernels, plane), width, height, work.boxes, count, countMin, work.tops,
    work.indices, pixels,
  );
  return {
    indices: new Int32Array(buffer, work.indices, pixels).slice(), tops: new Int32Array(buffer, work.tops, count).slice(),
  };
}
