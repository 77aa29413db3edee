/** Normal equations of the fits of trails and dipoles. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { createPsfPatches, patchesRoomBytes, patchHalf, writePatches } from './patches.ts';
import type { PsfStamps } from './psfCells.ts';
import { dipoleEquationsTwin, trailEquationsTwin } from './twins/extended.ts';

export type ExtendedTask = Readonly<{
  width: number; height: number;
  /** [height × width]. A pixel counts that has none of the bits, a finite value and a positive variance. Read only. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array; ignoredBits: number;
  psf: PsfStamps;
  /** Half side of the PSF's patches, at most its stamp's. */
  halfSizePx: number;
}>;

/** The pixels that are fitted, all on the image. */
export type Frame = Readonly<{ x0: number; y0: number; width: number; height: number }>;

/** Normal equations of a step: [n × n] row-major and [n], χ², and how many pixels count. */
export type FitEquations = Readonly<{ matrix: Float64Array; right: Float64Array; chi2: number; pixelCount: number }>;

/** A trail: flux, middle, length in pixels, angle from +x towards +y. A dipole: flux, x, y of either lobe. */
export type ExtendedEquations = Readonly<{
  trail: (p: Float64Array) => FitEquations;
  dipole: (p: Float64Array) => FitEquations;
}>;

export const TRAIL_UNKNOWNS = 5, DIPOLE_UNKNOWNS = 6;

/** The model of a trail is the mean of the PSF at steps of a pixel or less: below 1e-3 of the integral. */
function stepsOf(length: number): number {
  return Math.max(2, Math.ceil(length));
}

/** Equations of the step from p, of the pixels of a frame with weights 1 / variance. */
export function createExtendedEquations(task: ExtendedTask, frame: Frame): ExtendedEquations {
  const kernels = kernelsOf(task.image, task.variance, task.mask);
  return (kernels && createCompiled(kernels, task, frame)) ?? createTwins(task, frame);
}

function createTwins(task: ExtendedTask, frame: Frame): ExtendedEquations {
  const patches = createPsfPatches(task.psf, task.halfSizePx), sums = new Float64Array(SUMS);
  return {
    trail(p) {
      trailEquationsTwin(task, frame, patches, p, stepsOf(p[3]), sums);
      return trailOf(sums);
    },
    dipole(p) {
      dipoleEquationsTwin(task, frame, patches, p, sums);
      return dipoleOf(sums);
    },
  };
}

/** Sums of a step; numbers of a pixel of the frame that are worked on. */
const SUMS = 50, NUMBERS = 8;

/** Null where the work area has no room. */
function createCompiled(kernels: Kernels, task: ExtendedTask, frame: Frame): ExtendedEquations | null {
  const { psf, halfSizePx } = task, side = 2 * patchHalf(psf, halfSizePx) + 1, { buffer } = kernels.memory;
  const layOut = () => {
    const work = layOutWork(kernels, {
      task: 56, patches: patchesRoomBytes(psf, halfSizePx), planes: 8 * NUMBERS * frame.width * frame.height,
      patch: 8 * (side * side + 1), sums: 8 * SUMS, p: 8 * DIPOLE_UNKNOWNS,
    });
    if (work === null) return null;
    writePatches(kernels, work.patches, psf, halfSizePx);
    new Int32Array(buffer, work.task, 13).set([
      ...[task.image, task.variance, task.mask].map((plane) => pointerTo(kernels, plane)), task.width, task.ignoredBits,
      work.patches, frame.x0, frame.y0, frame.width, frame.height, work.planes, work.patch, work.sums,
    ]);
    return work;
  };
  let held = layOut();
  if (held === null) return null;
  const work = (): NonNullable<typeof held> => {
    if (held === null || !holdsWork(kernels, held)) held = layOut();
    if (held === null) throw new Error('the work area has shrunk');
    return held;
  };
  const { compiled } = kernels;
  return {
    trail([flux, x, y, length, angle]) {
      const at = work();
      compiled.trailEquations(at.task, flux, x, y, length, Math.cos(angle), Math.sin(angle), stepsOf(length));
      return trailOf(new Float64Array(buffer, at.sums, SUMS));
    },
    dipole(p) {
      const at = work();
      new Float64Array(buffer, at.p, DIPOLE_UNKNOWNS).set(p);
      compiled.dipoleEquations(at.task, at.p);
      return dipoleOf(new Float64Array(buffer, at.sums, SUMS));
    },
  };
}

/** From sums of pairs of the derivatives and the residual, row by row from the diagonal; χ², pixels. */
function trailOf(sums: Float64Array): FitEquations {
  const n = TRAIL_UNKNOWNS, matrix = new Float64Array(n * n), right = new Float64Array(n);
  let next = 0;
  for (let a = 0; a < n; a++) {
    for (let b = a; b < n; b++, next++) matrix[a * n + b] = matrix[b * n + a] = sums[next];
    right[a] = sums[next++];
  }
  return { matrix, right, chi2: sums[next], pixelCount: sums[next + 1] };
}

/** From [6 × 6] products of derivatives, of use from the diagonal on, and [6] of those with the residual; χ², pixels. */
function dipoleOf(sums: Float64Array): FitEquations {
  const n = DIPOLE_UNKNOWNS, matrix = new Float64Array(n * n);
  for (let a = 0; a < n; a++) for (let b = a; b < n; b++) matrix[a * n + b] = matrix[b * n + a] = sums[a * n + b];
  return { matrix, right: sums.slice(n * n, n * n + n), chi2: sums[n * n + n], pixelCount: sums[n * n + n + 1] };
}
