/** Aperture fluxes, adaptive moments and footprints of sources, many at a time. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { patchesRoomBytes, patchHalf, writePatches } from './patches.ts';
import type { PsfStamps } from './psfCells.ts';
import { adaptiveMoments, measureShapesTwin } from './twins/shapes.ts';

export { adaptiveMoments };

/** Second moments, px². */
export type Moments = Readonly<{ xx: number; xy: number; yy: number }>;

/** Steps at most, largest second moment that is a shape, and relative change at which the moments have converged. */
export type MomentLimits = Readonly<{
  momentIterationCountMax: number; momentMaxPx2: number; momentConvergence: number;
}>;

export type ShapesTask = Readonly<{
  /** [height × width]. Read only. */
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
  /** Mask bits: of pixels without data, and of those in footprints of either sign. */
  noData: number; detected: number; detectedNegative: number;
  psf: PsfStamps;
  /** Half side of the pixels whose moments are taken, at most the PSF stamp's for it; radius of the aperture; pixels. */
  halfSizePx: number; radius: number;
  limits: MomentLimits;
  /** Second moment of the Gaussian from which those of the PSF are found; cells in which they are found once, pixels. */
  startPx2: number; cellPx: number;
  /** Footprints of which sums are wanted: the longer side, pixels. */
  sideMin: number; sideMax: number;
}>;

/** Of one source: x, y, −1 or 1, and its footprint. */
export type ShapePlace = Readonly<{
  x: number; y: number; sign: number; footprint: Readonly<{ x0: number; y0: number; x1: number; y1: number }>;
}>;

export type SourceShape = Readonly<{
  /** Sum within the circle, pixels on its rim by their share, and Σ share² V; null where it holds one without data. */
  aperture: Readonly<{ flux: number; noise: number }> | null;
  /** Whether the circle reaches beyond the image; the sums are of the pixels on it. */
  isTruncated: boolean;
  /** Moments of source and PSF; null where they do not converge to a shape. */
  own: Moments | null; ofPsf: Moments | null;
  /** Σ over the footprint's pixels of light, × u, v, u², uv, v². */
  light: Readonly<{ sum: number; x: number; y: number; xx: number; xy: number; yy: number }>;
}>;

const PLACE_NUMBERS = 7, COLUMN_COUNT = 18;

export function measureShapes(task: ShapesTask, sources: readonly ShapePlace[]): SourceShape[] {
  const places = new Float64Array(PLACE_NUMBERS * sources.length), out = new Float64Array(COLUMN_COUNT * sources.length);
  sources.forEach(({ x, y, sign, footprint: { x0, y0, x1, y1 } }, i) => {
    const at = PLACE_NUMBERS * i;
    places[at] = x; places[at + 1] = y; places[at + 2] = sign;
    places[at + 3] = x0; places[at + 4] = y0; places[at + 5] = x1; places[at + 6] = y1;
  });
  const kernels = kernelsOf(task.image, task.variance, task.mask);
  if (kernels === null || !measureCompiled(kernels, task, places, out)) measureShapesTwin(task, places, out);
  return sources.map((_, i) => shapeOf(out, COLUMN_COUNT * i));
}

function shapeOf(t: Float64Array, at: number): SourceShape {
  return {
    aperture: t[at + 3] !== 0 ? null : { flux: t[at], noise: t[at + 1] }, isTruncated: t[at + 2] !== 0,
    own: momentsOf(t, at + 4), ofPsf: momentsOf(t, at + 8),
    light: { sum: t[at + 12], x: t[at + 13], y: t[at + 14], xx: t[at + 15], xy: t[at + 16], yy: t[at + 17] },
  };
}

function momentsOf(t: Float64Array, at: number): Moments | null {
  return t[at] === 0 ? null : { xx: t[at + 1], xy: t[at + 2], yy: t[at + 3] };
}

/** Sources that are measured in one call. */
const CHUNK = 1024;
/** Words and numbers of the task, as `assembly/shapes.ts` lays it out; numbers of a cell of the PSF's moments. */
const WORDS = 16, NUMBERS = 7, CELL_NUMBERS = 5;

/** @returns False where the work area has no room. */
function measureCompiled(kernels: Kernels, task: ShapesTask, places: Float64Array, out: Float64Array): boolean {
  const { psf, halfSizePx, cellPx, limits } = task, side = 2 * patchHalf(psf, halfSizePx) + 1;
  const across = Math.ceil(psf.width / cellPx) + 1, down = Math.ceil(psf.height / cellPx) + 1;
  const work = layOutWork(kernels, {
    task: 4 * WORDS + 8 * NUMBERS, patches: patchesRoomBytes(psf, halfSizePx), patch: 8 * (side * side + 1),
    window: 8 * (2 * halfSizePx + 1) ** 2, cells: 8 * CELL_NUMBERS * across * down,
    places: 8 * PLACE_NUMBERS * CHUNK, out: 8 * COLUMN_COUNT * CHUNK,
  });
  if (work === null) return false;
  const { buffer } = kernels.memory;
  writePatches(kernels, work.patches, psf, halfSizePx);
  new Float64Array(buffer, work.cells, CELL_NUMBERS * across * down).fill(0);
  new Int32Array(buffer, work.task, WORDS).set([
    ...[task.image, task.variance, task.mask].map((plane) => pointerTo(kernels, plane)), task.width, task.height,
    task.noData, task.detected, task.detectedNegative, work.patches, halfSizePx, limits.momentIterationCountMax,
    work.window, work.patch, work.cells, across, 0,
  ]);
  new Float64Array(buffer, work.task + 4 * WORDS, NUMBERS).set([
    cellPx, task.radius, task.startPx2, limits.momentMaxPx2, limits.momentConvergence, task.sideMin, task.sideMax,
  ]);
  const placed = new Float64Array(buffer, work.places, PLACE_NUMBERS * CHUNK), count = places.length / PLACE_NUMBERS;
  for (let first = 0; first < count; first += CHUNK) {
    const chunk = Math.min(CHUNK, count - first);
    placed.set(places.subarray(PLACE_NUMBERS * first, PLACE_NUMBERS * (first + chunk)));
    kernels.compiled.measureShapes(work.task, work.places, chunk, work.out);
    out.set(new Float64Array(buffer, work.out, COLUMN_COUNT * chunk), COLUMN_COUNT * first);
  }
  return true;
}
