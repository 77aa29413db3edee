/** Connected regions of a plane above a threshold. */
import { bandsOf } from './bands.ts';
import { leastFloatFrom } from './floats.ts';
import { KERNEL_WORK_BYTES, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { listRunsTwin } from './twins/label.ts';

/** Regions in the order of their first pixels, row by row. */
export type Regions = Readonly<{
  count: number;
  /** Five numbers a region: x0, y0, x1, y1 (half-open box) and pixels. */
  boxes: Int32Array;
}>;

/** Numbers of a region. */
export const REGION_FIELDS = 5;
/** Bytes of a run in the work area. */
export const RUN_BYTES = 12;

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
 * Connected pixels at which sign × score ≥ threshold, joined where they touch at a side or corner; in the order of their
 * first pixels.
 *
 * @param score     [height × width]. Read only; NaN is outside.
 * @param threshold Compared without rounding.
 */
export function listRunRegions(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): RunRegion[] {
  const kernels = kernelsOf(score);
  return (kernels === null ? null : listCompiled(kernels, score, width, height, sign, threshold))
    ?? listRunsTwin(score, width, height, sign, threshold);
}

/** Null when there are more runs than the work area holds: some 260,000, so many as only noise has. */
function listCompiled(
  kernels: Kernels, score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): RunRegion[] | null {
  const work = layOutRuns(kernels, height);
  if (work === null) return null;
  let runCount = 0;
  for (const { y0, y1 } of bandsOf(kernels, 0, height)) {
    runCount = kernels.compiled.joinRuns(
      pointerTo(kernels, score), width, y0, y1, sign, leastFloatFrom(threshold), work.rowStarts, work.runs,
      work.capacity, runCount,
    );
    if (runCount < 0) return null;
  }
  const count = kernels.compiled.numberRuns(height, work.rowStarts, work.runs, work.regions);
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
