/** A PSF moved to sub-pixel places, many times over: evaluated once a cell of the image, where it is asked for. */
import { movePatch, type Patch } from '../kernels/pointSource.ts';
import { shiftTaps, SHIFT_HALF_WIDTH } from '../kernels/shiftTaps.ts';
import { psfTermCount, psfTerms, type PsfModel } from './psf.ts';

/**
 * Side of the cells in which a PSF counts as constant, pixels: a seeing that grows by a tenth across 4,096 px is then
 * off by 1.6e-3 at most, and few sources need a cell of their own.
 */
const CELL_PX = 128;
const TAPS = 2 * SHIFT_HALF_WIDTH + 1;

export type PsfPatches = Readonly<{
  half: number; side: number;
  /**
   * The PSF of unit sum over its whole stamp, centred at (x, y), on the square of `side` pixels around (round(x),
   * round(y)); valid until the next call. [side × side] row-major.
   */
  at: (x: number, y: number) => Float64Array;
  /** What the patch at (x, y) is made of; valid until the next call. */
  partsAt: (x: number, y: number) => Patch;
}>;

const shared = new WeakMap<PsfModel, Map<number, PsfPatches>>();

/** The patches of a PSF, made once for all who ask for that size. */
export function patchesOf(psf: PsfModel, half: number): PsfPatches {
  let bySize = shared.get(psf);
  if (bySize === undefined) shared.set(psf, bySize = new Map());
  let patches = bySize.get(half);
  if (patches === undefined) bySize.set(half, patches = createPsfPatches(psf, half));
  return patches;
}

/** @param half Half side of the patches; at most the PSF stamp's. */
export function createPsfPatches(psf: PsfModel, half: number): PsfPatches {
  const reach = Math.min(half, (psf.size - 1) / 2), side = 2 * reach + 1, padded = side + TAPS - 1;
  const cells = new Map<number, Float64Array>(), across = Math.ceil(psf.width / CELL_PX) + 1;
  const rows = new Float64Array(padded * side), out = new Float64Array(side * side);
  const sums = termSums(psf), taps = new Float64Array(2 * TAPS);
  const tapsX = taps.subarray(0, TAPS), tapsY = taps.subarray(TAPS);
  let lastX = NaN, lastY = NaN;
  const cellOf = (x: number, y: number): Float64Array => {
    const column = Math.min(Math.max(Math.floor(x / CELL_PX), 0), across - 1);
    const row = Math.max(Math.floor(y / CELL_PX), 0);
    const key = row * across + column, known = cells.get(key);
    if (known !== undefined) return known;
    const cell = cropped(psf, sums, (column + 0.5) * CELL_PX, (row + 0.5) * CELL_PX, padded);
    cells.set(key, cell);
    return cell;
  };
  const partsAt = (x: number, y: number): Patch => {
    fillTaps(x - Math.round(x), tapsX);
    fillTaps(y - Math.round(y), tapsY);
    return { cell: cellOf(x, y), taps };
  };
  return {
    half: reach, side, partsAt,
    at(x, y) {
      if (x === lastX && y === lastY) return out;
      lastX = x;
      lastY = y;
      movePatch(partsAt(x, y), side, rows, out);
      return out;
    },
  };
}

/** Sum of each term's pixels over the whole stamp. */
function termSums({ size, order, coefficients }: PsfModel): Float64Array {
  const n = size * size;
  return Float64Array.from({ length: psfTermCount(order) }, (_, k) => {
    let sum = 0;
    for (let j = k * n; j < (k + 1) * n; j++) sum += coefficients[j];
    return sum;
  });
}

/** The PSF at a place as `evaluatePsf` gives it, cut or filled with zeros to a side. */
function cropped(psf: PsfModel, sums: Float64Array, x: number, y: number, side: number): Float64Array {
  const { size, coefficients } = psf, cell = new Float64Array(side * side), offset = (size - side) / 2;
  const weights = psfTerms(psf, x, y);
  const total = weights.reduce((sum, weight, k) => sum + weight * sums[k], 0);
  const first = Math.max(0, -offset), last = Math.min(side, size - offset);
  weights.forEach((weight, k) => {
    const factor = weight / total;
    for (let row = first; row < last; row++) {
      const from = (k * size + row + offset) * size + offset, to = row * side;
      for (let column = first; column < last; column++) cell[to + column] += factor * coefficients[from + column];
    }
  });
  return cell;
}

/** Places within a pixel at which taps are tabulated; between them they are straight to (1/256)² π² / 8 = 2e-5. */
const PLACES = 256;
let table: Float64Array | null = null;

/** Taps for a shift of −1/2 … 1/2, from the table. */
function fillTaps(shift: number, taps: Float64Array): void {
  if (table === null) {
    table = new Float64Array((PLACES + 1) * TAPS);
    for (let i = 0; i <= PLACES; i++) table.set(shiftTaps(i / PLACES - 0.5), i * TAPS);
  }
  const place = (shift + 0.5) * PLACES, below = Math.min(PLACES - 1, Math.max(0, Math.floor(place)));
  const share = place - below;
  for (let t = 0, k = below * TAPS; t < TAPS; t++, k++) taps[t] = table[k] + share * (table[k + TAPS] - table[k]);
}

/**
 * Derivative of a patch with respect to its centre: minus the five-point slope of its pixels, which is within
 * 1/(30 σ⁴) of the true one, 0.7 % at σ = 1.5 px. The two outermost rows and columns, where
 * the PSF has ended, are left alone.
 *
 * @param step 1 for the derivative along x, the patch's side along y.
 * @param out  [side × side] row-major.
 */
export function patchGradient(patch: Float64Array, side: number, step: number, out: Float64Array): void {
  for (let v = 2; v < side - 2; v++) {
    for (let u = 2, k = v * side + 2; u < side - 2; u++, k++) {
      out[k] = (8 * (patch[k - step] - patch[k + step]) + patch[k + 2 * step] - patch[k - 2 * step]) / 12;
    }
  }
}
