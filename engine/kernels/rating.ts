/** Numbers from the pixels around sources, of which the features of their reliability are made. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { psfRoomBytes, writePsf, type PsfStamps } from './psfCells.ts';
import { ratePixelsTwin } from './twins/rating.ts';

/** Of one image size, [height × width] row-major. Read only. */
export type RatingPlanes = Readonly<{ image: Float32Array; variance: Float32Array; mask: Uint16Array }>;

export type RatingTask = Readonly<{
  width: number; height: number;
  difference: RatingPlanes; differencePsf: PsfStamps;
  visit: Readonly<{ image: Float32Array; variance: Float32Array }>; visitPsf: PsfStamps;
  template: Readonly<{ image: Float32Array }>;
  /** Mask bits: of pixels that count nowhere, of blemishes, of saturated and interpolated pixels, of those without data. */
  unusable: number; blemish: number; saturated: number; interpolated: number; noData: number;
  /** Half side of the stamp, 5 or more; side of the cells in which a PSF is one; pixels. */
  half: number; cellPx: number;
  /** Factor on √variance, and where pixels over their noise are cut off. */
  noiseScale: number; limit: number;
  /** Squares of the radii of core, wings and ring, and of the distance at which bright light is not the source's; px². */
  core2: number; wings2: number; ring2: number; apart2: number;
  /** Radii of the ring in which the noise is told; half sides in which the mask and the template are looked through. */
  inner: number; outer: number; maskReach: number; brightReach: number;
  /** Distances from the source from which on and up to which its column and row are looked at. */
  lineInner: number; lineOuter: number;
}>;

/** Columns of the table, in order. Sums are over usable pixels; p is the PSF, d the data, T the template's light. */
const COLUMNS = [
  // Within the wings: Σp², Σpd, Σd², Σp² of all; Σpd × (dx, dy, dx², dx dy, dy²), Σp²r².
  'pp', 'pd', 'dd', 'allPp', 'mx', 'my', 'mxx', 'mxy', 'myy', 'nrr',
  // χ² of the fitted PSF's residuals and pixels; the largest and least over their noise.
  'coreChi2', 'wingsChi2', 'ringChi2', 'coreCount', 'wingsCount', 'ringCount', 'residualMax', 'residualMin',
  // Squares of what is 2.5 σ below 0; 2.5 σ above in the ring; the ring's sum; differences to the mirror image, and sum.
  'opposite', 'excess', 'ringSum', 'mirrored', 'absolute',
  // Heights over neighbours, weight, datum and PSF of the middle.
  'height', 'psfHeight', 'middleWeight', 'middleData', 'middlePsf',
  // Upper triangle of the equations of T, ∂T/∂x, ∂T/∂y, and their right sides; Σp², ΣpT, peak, weight, steepest slope².
  'tt', 'ttx', 'tty', 'txtx', 'txty', 'tyty', 'td', 'txd', 'tyd', 'templatePp', 'templatePt', 'templatePeak',
  'templateWeight', 'steepest2',
  // Heights over neighbours of the visit's PSF, the visit, the template; 0 all where there is no room for them.
  'hasRoom', 'visitPsfHeight', 'visitHeight', 'templateHeight', 'visitVariance',
  // With the visit's light and the template's Laplacian L: Σp², Σpd, ΣpV, Σd², ΣLd, ΣL²; d and p in core and wings.
  'neededPp', 'neededPd', 'neededPv', 'neededDd', 'neededLd', 'neededLl', 'coreLight', 'corePsf', 'wingsLight',
  'wingsPsf',
  // Brightest light of the template around and its distance², the difference's variance in the middle.
  'brightest', 'brightDistance2', 'variance',
  // Distance² to the mask's blemishes and saturated pixels; pixels within 3, and of them interpolated ones.
  'blemish2', 'saturation2', 'nearCount', 'interpolatedCount',
  // Sums over their noise and counts, along column and row; then of `ringNoise`.
  'columnSum', 'columnCount', 'rowSum', 'rowCount', 'noiseSum', 'noiseSquare', 'noiseCount', 'noiseProduct',
  'noisePairs', 'noiseMost',
  // Squares over noise where the template is brightest nearby.
  'brightSquare', 'brightCount',
] as const;
export type RatingColumn = (typeof COLUMNS)[number];

/** Place of each column in a row of the table. */
export const RATING_COLUMNS = Object.fromEntries(
  COLUMNS.map((name, k) => [name, k])) as Readonly<Record<RatingColumn, number>>; // Made from all its keys.
export const RATING_COLUMN_COUNT = COLUMNS.length;

/**
 * @param places [sources × 3]: x, y, and −1 for a source that is a decrease, else 1.
 * @returns [sources × RATING_COLUMN_COUNT] row-major.
 */
export function ratePixels(task: RatingTask, places: Float64Array): Float64Array {
  const { difference, visit, template } = task, count = places.length / 3;
  const out = new Float64Array(count * RATING_COLUMN_COUNT);
  if (count === 0) return out;
  const kernels = kernelsOf(
    difference.image, difference.variance, difference.mask, visit.image, visit.variance, template.image);
  if (kernels === null || !rateCompiled(kernels, task, places, out)) ratePixelsTwin(task, places, out);
  return out;
}

/** Sources that are rated in one call. */
const CHUNK = 512;
/** Bytes of the head of the task, as `assembly/ratingTask.ts` lays it out. */
const WORDS = 26, NUMBERS_AT = 104, TASK_BYTES = 176;

/** @returns False where the work area has no room. */
function rateCompiled(kernels: Kernels, task: RatingTask, places: Float64Array, out: Float64Array): boolean {
  const side = 2 * task.half + 1, padded = side + 6, window = 2 * Math.ceil(task.outer) + 3;
  const work = layOutWork(kernels, {
    task: TASK_BYTES, psf: psfRoomBytes(task.differencePsf), visitPsf: psfRoomBytes(task.visitPsf),
    moving: 8 * (padded * padded + padded * side + 9), stamp: 8 * (side * side + 1), visitStamp: 8 * 26,
    data: 8 * side * side, weight: 8 * side * side, window: 8 * window * window,
    places: 24 * CHUNK, table: 8 * RATING_COLUMN_COUNT * CHUNK,
  });
  if (work === null) return false;
  const { buffer } = kernels.memory, { difference, visit, template } = task;
  writePsf(kernels, work.psf, task.differencePsf);
  writePsf(kernels, work.visitPsf, task.visitPsf);
  new Int32Array(buffer, work.task, WORDS).set([
    ...[difference.image, difference.variance, difference.mask, visit.image, visit.variance, template.image].map(
      (plane) => pointerTo(kernels, plane)),
    task.width, task.height, task.half, task.unusable, task.blemish, task.saturated, task.interpolated, task.noData,
    task.maskReach, task.brightReach, task.lineInner, task.lineOuter, work.psf, work.visitPsf, work.moving, work.stamp,
    work.visitStamp, work.data, work.weight, work.window,
  ]);
  new Float64Array(buffer, work.task + NUMBERS_AT, 9).set([
    task.cellPx, task.noiseScale, task.core2, task.wings2, task.ring2, task.apart2, task.inner, task.outer, task.limit,
  ]);
  const placed = new Float64Array(buffer, work.places, 3 * CHUNK);
  for (let first = 0; 3 * first < places.length; first += CHUNK) {
    const chunk = places.subarray(3 * first, 3 * (first + CHUNK)), count = chunk.length / 3;
    placed.set(chunk);
    kernels.compiled.ratePixels(work.task, work.places, count, work.table);
    out.set(new Float64Array(buffer, work.table, count * RATING_COLUMN_COUNT), first * RATING_COLUMN_COUNT);
  }
  return true;
}
