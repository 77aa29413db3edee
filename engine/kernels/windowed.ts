/** Sources under a Gaussian window: centroid, moments, and what the mask says. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { measureWindowTwin } from './twins/windowed.ts';

export type WindowedTask = Readonly<{
  /** [height × width]; NaN counts nothing. Read only. */
  image: Float32Array;
  mask: Uint16Array;
  width: number; height: number;
  /** Standard deviation of the window, pixels, 0.5 at least; it ends at 3.6 of them. */
  sigmaPx: number;
  /** Steps of the centroid at most, and the step below which it stands, pixels. */
  steps: number; tolerancePx: number;
  /** Distance from its start at which the centroid is lost, pixels. */
  driftPx: number;
  /** Square of the distance within which the mask's bits are gathered, pixels². */
  flagReach2: number;
}>;

export type Windowed = Readonly<{
  x: number; y: number;
  /** Σ w v and Σ w², w being 1 in the middle. */
  flux: number; weights: number;
  /** Moments of the windowed light about (x, y), pixels². */
  xx: number; yy: number; xy: number;
  /** Highest pixel within √8 of the centroid. */
  peak: number;
  bits: number;
}>;

const REACH_SIGMA = 3.6;

/**
 * Windowed centroid by fixed-point iteration with source-extractor's factor 2 (a Gaussian source under an equal window
 * shows half its offset), then second moments. Null when the centroid runs away or there is no light.
 *
 * @returns A function of the pixel where the iteration starts.
 */
export function createWindowed(task: WindowedTask): (x: number, y: number) => Windowed | null {
  if (!(task.sigmaPx >= 0.5)) throw new Error(`a window of ${task.sigmaPx} pixels`);
  const reach = Math.ceil(REACH_SIGMA * task.sigmaPx);
  const table = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp((-0.5 * k * k) / task.sigmaPx ** 2));
  const kernels = kernelsOf(task.image, task.mask);
  return (kernels && createCompiled(kernels, task, table)) ?? ((x, y) => measureWindowTwin(task, table, x, y));
}

function createCompiled(
  kernels: Kernels, task: WindowedTask, table: Float64Array,
): ((x: number, y: number) => Windowed | null) | null {
  const reach = table.length - 1, bytes = { table: 8 * table.length, lines: 48 * (2 * reach + 1), result: 64 };
  const layOut = () => {
    const parts = layOutWork(kernels, bytes);
    if (parts !== null) new Float64Array(kernels.memory.buffer, parts.table, table.length).set(table);
    return parts;
  };
  let work = layOut();
  if (work === null) return null;
  const image = pointerTo(kernels, task.image), mask = pointerTo(kernels, task.mask);
  const { width, height, sigmaPx, steps, tolerancePx, driftPx, flagReach2 } = task;
  let out = new Float64Array(kernels.memory.buffer, work.result, 8);
  return (xStart, yStart) => {
    if (work === null || !holdsWork(kernels, work)) {
      work = layOut();
      if (work === null) throw new Error('the work area has shrunk');
      out = new Float64Array(kernels.memory.buffer, work.result, 8);
    }
    const bits = kernels.compiled.measureWindow(
      image, mask, width, height, xStart, yStart, sigmaPx, reach, work.table, steps, tolerancePx, driftPx, flagReach2,
      work.lines, work.result,
    );
    if (bits < 0) return null;
    const [x, y, flux, weights, xx, yy, xy, peak] = out;
    return { x, y, flux, weights, xx, yy, xy, peak, bits };
  };
}
