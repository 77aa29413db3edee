/** A PSF that varies over an image: placed at fractions of a pixel, and fitted to stars. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { shiftTaps, PAD, PHASES, PHASE_STRIDE } from './shiftTaps.ts';
import { createStampWork, fitStarTwin, movePaddedTwin, placePsfTwin } from './twins/starFit.ts';

/** [height × width] row-major. Read only. */
export type FitPlanes = Readonly<{
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

/** [terms × size × size], size odd. */
export type StampModel = Readonly<{ size: number; coefficients: Float32Array }>;

export type StarFit = Readonly<{
  x: number; y: number; xErr: number; yErr: number;
  /** In the image's unit, and its error without the model's own. */
  flux: number; fluxErr: number;
  chi2: number; pixelCount: number;
}>;

export type StampKernels = Readonly<{
  /**
   * Gauss and Newton for flux and both coordinates on the pixels within `radius` of the rounded start.
   *
   * @param terms  Of the model there: one weight for each of its stamps.
   * @param radius At most half the stamp; it is cut there.
   * @param light  [size × size] of neighbours' light about the rounded start, the image's unit; null for none.
   * @returns Null when the fit leaves the star, or fewer than half of the pixels are usable.
   */
  fit(terms: readonly number[], x: number, y: number, radius: number, light: Float32Array | null): StarFit | null;
  /** The model with unit sum, its middle moved by (dx, dy), |·| ≤ 1. @param out [size × size], overwritten. */
  place(terms: readonly number[], dx: number, dy: number, out: Float32Array): void;
  /** Any stamp moved by (dx, dy), |·| ≤ 1. @param out [size × size], overwritten; may be the stamp itself. */
  move(stamp: Float32Array, dx: number, dy: number, out: Float32Array): void;
}>;

let tableOfThread: Float32Array | null = null;

/** Weights of all phases; between two a straight line errs by 4e-6. */
function tapTable(): Float32Array {
  if (tableOfThread !== null) return tableOfThread;
  const table = new Float32Array((2 * PHASES + 1) * PHASE_STRIDE);
  for (let p = 0; p <= 2 * PHASES; p++) table.set(shiftTaps(p / PHASES - 1), p * PHASE_STRIDE);
  return tableOfThread = table;
}

/**
 * @param planes What `fit` reads.
 * @param skip   Mask bits of pixels that are not used.
 * @param model  Its coefficients are copied now.
 */
export function createStampKernels(planes: FitPlanes, skip: number, model: StampModel): StampKernels {
  const kernels = kernelsOf(planes.image, planes.variance, planes.mask);
  return (kernels && createCompiled(kernels, planes, skip, model)) ?? createTwins(planes, skip, model);
}

/** Floats from one row of a padded stamp to the next. */
function strideOf(size: number): number {
  return (size + 2 * PAD + 7) & ~3;
}

function createTwins(planes: FitPlanes, skip: number, model: StampModel): StampKernels {
  const { size } = model, work = createStampWork(size, strideOf(size)), table = tapTable();
  return {
    fit: (terms, x, y, radius, light) => (
      fitStarTwin(planes, skip, model, Float32Array.from(terms), table, x, y, radius, light, work)
    ),
    place: (terms, dx, dy, out) => {
      placePsfTwin(model, Float32Array.from(terms), table, dx, dy, work);
      unpad(work.out, 0, size, out);
    },
    move: (stamp, dx, dy, out) => {
      pad(stamp, size, work.local, 0);
      movePaddedTwin(size, table, dx, dy, work);
      unpad(work.out, 0, size, out);
    },
  };
}

function pad(stamp: Float32Array, size: number, to: Float32Array, start: number): void {
  const stride = strideOf(size);
  to.fill(0, start, start + stride * (size + 2 * PAD));
  for (let row = 0; row < size; row++) {
    to.set(stamp.subarray(row * size, (row + 1) * size), start + (row + PAD) * stride + PAD);
  }
}

function unpad(from: Float32Array, start: number, size: number, out: Float32Array): void {
  const stride = strideOf(size);
  for (let row = 0; row < size; row++) {
    const at = start + (row + PAD) * stride + PAD;
    for (let i = 0; i < size; i++) out[row * size + i] = from[at + i];
  }
}

function createCompiled(kernels: Kernels, planes: FitPlanes, skip: number, model: StampModel): StampKernels | null {
  const { size } = model, n = size * size, table = tapTable();
  const stride = strideOf(size), padded = stride * (size + 2 * PAD);
  const terms = model.coefficients.length / n, coefficients = model.coefficients.slice();
  // Stamps in the order in which the kernels expect them: taps, sums, and three padded ones.
  const first = PHASE_STRIDE + n + 4, last = first + 2 * padded;
  const layOut = () => {
    const parts = layOutWork(kernels, {
      table: 4 * table.length, coefficients: 4 * coefficients.length, weights: 32, light: 4 * n,
      stamps: 4 * (last + padded + 4), result: 64,
    });
    if (parts === null) return null;
    const floats = (at: number, length: number) => new Float32Array(kernels.memory.buffer, at, length);
    floats(parts.table, table.length).set(table);
    floats(parts.coefficients, coefficients.length).set(coefficients);
    return {
      parts, weights: floats(parts.weights, 8), light: floats(parts.light, n),
      stamps: floats(parts.stamps, last + padded + 4), result: new Float64Array(kernels.memory.buffer, parts.result, 8),
    };
  };
  let held = layOut();
  if (held === null) return null;
  const work = (): NonNullable<typeof held> => {
    if (held === null || !holdsWork(kernels, held.parts)) held = layOut();
    if (held === null) throw new Error('the work area has shrunk');
    return held;
  };
  const image = pointerTo(kernels, planes.image), variance = pointerTo(kernels, planes.variance);
  const mask = pointerTo(kernels, planes.mask);
  const { width, height } = planes, { compiled } = kernels;
  return {
    fit: (at, xStart, yStart, radius, light) => {
      const { parts, weights, light: lightPart, result } = work();
      weights.set(at);
      if (light !== null) lightPart.set(light);
      const isFitted = compiled.fitStar(
        image, variance, mask, width, height, skip, parts.coefficients, terms, parts.weights, size, stride, parts.table,
        xStart, yStart, radius, light === null ? 0 : parts.light, parts.stamps, parts.result,
      );
      if (isFitted === 0) return null;
      const [x, y, xErr, yErr, flux, fluxErr, chi2, pixelCount] = result;
      return { x, y, flux, fluxErr, xErr, yErr, chi2, pixelCount };
    },
    place: (at, dx, dy, out) => {
      const { parts, weights, stamps } = work();
      weights.set(at);
      compiled.placePsf(
        parts.coefficients, terms, parts.weights, size, stride, parts.table, dx, dy, parts.stamps,
      );
      unpad(stamps, last, size, out);
    },
    move: (stamp, dx, dy, out) => {
      const { parts, stamps } = work();
      pad(stamp, size, stamps, first);
      compiled.movePadded(size, stride, parts.table, dx, dy, parts.stamps);
      unpad(stamps, last, size, out);
    },
  };
}
