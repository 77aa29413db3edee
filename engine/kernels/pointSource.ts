/** Point sources: fits of flux and place, and fluxes at fixed places, many at a time. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { patchesRoomBytes, patchHalf, writePatches } from './patches.ts';
import type { PsfStamps } from './psfCells.ts';
import { measurePointsTwin } from './twins/pointSource.ts';

/** A variance plane of the image's size, and the factor by which it adds to the noise of a flux. */
export type AddedNoise = Readonly<{ variance: Float32Array; factor: number }>;

export type PointTask = Readonly<{
  width: number; height: number;
  /** [height × width]. A pixel counts that has none of the bits, a finite value and a positive variance. Read only. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array; ignoredBits: number;
  /** What a flux has of noise beside that of its pixels; null for nothing. */
  added: readonly [AddedNoise, AddedNoise] | null;
  psf: PsfStamps;
  /** Half side of the pixels that a flux is made from, and of those that tell a centroid; at most the PSF stamp's. */
  halfSizePx: number; coreHalfSizePx: number;
  /** Limits of the steps towards a centroid: their number, the way, and the step after which there is no other. */
  steps: Readonly<{ countMax: number; shiftMaxPx: number; convergencePx: number; convergenceErrors: number }>;
}>;

/** Variances multiplied to one number: 16 of up to 1e18 stay below the largest double. */
const PRODUCT_LENGTH = 16;

/**
 * Columns of a row of results. Of the place: whether it was fitted; x, y, and their covariance where it was. Of the flux
 * there, over usable pixels of variance s: Σ p d, Σ p², Σ p² s, Σ p² of all pixels, Σ d²/s, Σ p d/s, Σ p²/s, their
 * number, the noise that is added; and from `products` on products of the variances of 16 of them each.
 */
export const POINT_COLUMNS = {
  isFitted: 0, x: 1, y: 2, xx: 3, xy: 4, yy: 5, signal: 6, squares: 7, noise: 8, allSquares: 9, dataChi2: 10,
  crossChi2: 11, modelChi2: 12, pixelCount: 13, added: 14, products: 15,
} as const;
export type PointColumns = typeof POINT_COLUMNS;

/** What was measured of points, in their order. */
export type Points = Readonly<{ rows: Float64Array; rowLength: number }>;

/**
 * @param places   [sources × 2] x, y; finite.
 * @param isFitted Whether the places are fitted, from there: by linearised least squares, all usable pixels alike.
 */
export function measurePoints(task: PointTask, places: Float64Array, isFitted: boolean): Points {
  const side = 2 * patchHalf(task.psf, task.halfSizePx) + 1;
  const rowLength = POINT_COLUMNS.products + Math.floor((side * side) / PRODUCT_LENGTH) + 1;
  const rows = new Float64Array((places.length / 2) * rowLength), { added } = task;
  if (places.length === 0) return { rows, rowLength };
  const planes = [task.image, task.variance, task.mask, ...(added ?? []).map(({ variance }) => variance)];
  const kernels = kernelsOf(...planes);
  if (kernels === null || !measureCompiled(kernels, task, places, isFitted, rowLength, rows)) {
    measurePointsTwin(task, places, isFitted, rowLength, POINT_COLUMNS, rows);
  }
  return { rows, rowLength };
}

/** Σ log s over the usable pixels of point i. */
export function logVarianceOf({ rows, rowLength }: Points, i: number): number {
  const first = i * rowLength + POINT_COLUMNS.products, pixelCount = rows[i * rowLength + POINT_COLUMNS.pixelCount];
  let sum = 0;
  for (let k = 0; k <= pixelCount / PRODUCT_LENGTH; k++) sum += Math.log(rows[first + k]);
  return sum;
}

/** Points that are measured in one call. */
const CHUNK = 1024;
/** Words and numbers of the task, as `assembly/pointSource.ts` lays it out. */
const WORDS = 16, NUMBERS = 5;

/** @returns False where the work area has no room. */
function measureCompiled(
  kernels: Kernels, task: PointTask, places: Float64Array, isFitted: boolean, rowLength: number, rows: Float64Array,
): boolean {
  const { psf, halfSizePx, steps, added } = task, half = patchHalf(psf, halfSizePx), side = 2 * half + 1;
  const work = layOutWork(kernels, {
    task: 4 * WORDS + 8 * NUMBERS, patches: patchesRoomBytes(psf, halfSizePx), model: 8 * (side * side + 1), sums: 8 * 10,
    places: 16 * CHUNK, rows: 8 * rowLength * CHUNK,
  });
  if (work === null) return false;
  const { buffer } = kernels.memory, to = (plane: Float32Array | Uint16Array) => pointerTo(kernels, plane);
  writePatches(kernels, work.patches, psf, halfSizePx);
  new Int32Array(buffer, work.task, WORDS).set([
    to(task.image), to(task.variance), to(task.mask), task.width, task.height, task.ignoredBits,
    added === null ? 0 : to(added[0].variance), added === null ? 0 : to(added[1].variance), work.patches,
    2 * Math.min(task.coreHalfSizePx, half) + 1, steps.countMax, work.model, work.sums, 8 * rowLength, 0, 0,
  ]);
  new Float64Array(buffer, work.task + 4 * WORDS, NUMBERS).set([
    added?.[0].factor ?? 0, added?.[1].factor ?? 0, steps.shiftMaxPx, steps.convergencePx, steps.convergenceErrors,
  ]);
  const placed = new Float64Array(buffer, work.places, 2 * CHUNK);
  for (let first = 0; 2 * first < places.length; first += CHUNK) {
    const chunk = places.subarray(2 * first, 2 * (first + CHUNK)), count = chunk.length / 2;
    placed.set(chunk);
    kernels.compiled.measurePoints(work.task, work.places, count, isFitted ? 1 : 0, work.rows);
    rows.set(new Float64Array(buffer, work.rows, count * rowLength), first * rowLength);
  }
  return true;
}
