/** Passes of matching and subtraction over planes and masks, all of one shape, row-major. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import {
  addSlopesTwin, blankMaskedTwin, flagAboveTwin, flagNaNTwin, keepBitsTwin, listBrightTwin, listPeaksOverTwin,
  slopeRowTwin, subtractMatchedTwin, translateMaskTwin,
} from './twins/match.ts';

type Noisy = Readonly<{ width: number; height: number; image: Float32Array; variance: Float32Array }>;

/**
 * Peaks of the template that are bright in both images: the highest of 5 × 5 pixels (of equal ones the last), above
 * `threshold` and above their own noise, with a 3 × 3 sum of at least `snrMin` in both.
 *
 * @param margin  Pixels from the border that are not looked at, 2 or more.
 * @param indices Overwritten as far as it reaches: y × width + x, in order.
 * @returns How many there are; when more than `indices` holds, the list is not whole.
 */
export function listBright(
  science: Noisy, template: Noisy, margin: number, threshold: number, snrMin: number, indices: Int32Array,
): number {
  if (!(margin >= 2)) throw new Error(`a margin of ${margin} pixels leaves peaks without neighbours`);
  const { width, height } = template;
  const kernels = kernelsOf(science.image, science.variance, template.image, template.variance, indices);
  if (kernels === null) {
    return listBrightTwin(science, template, width, height, margin, threshold, snrMin, indices);
  }
  const [a, b, c, d, to] = [science.image, science.variance, template.image, template.variance, indices]
    .map((view) => pointerTo(kernels, view));
  return kernels.compiled.listBright(a, b, c, d, width, height, margin, threshold, snrMin, to, indices.length);
}

/**
 * Positive pixels whose square exceeds `factor` × variance, in single precision, and that no pixel of 5 × 5 exceeds; of
 * equal ones the last counts. Otherwise as `listBright`.
 */
export function listPeaksOver(
  { image, variance, width, height }: Noisy, margin: number, factor: number, indices: Int32Array,
): number {
  if (!(margin >= 2)) throw new Error(`a margin of ${margin} pixels leaves peaks without neighbours`);
  const kernels = kernelsOf(image, variance, indices);
  if (kernels === null) return listPeaksOverTwin(image, variance, width, height, margin, Math.fround(factor), indices);
  return kernels.compiled.listPeaksOver(pointerTo(kernels, image), pointerTo(kernels, variance), width, height, margin,
    factor, pointerTo(kernels, indices), indices.length);
}

/**
 * variance += factorX × (right − left)² + factorY × (above − below)² of the plane's neighbours, in single precision; not
 * on the outermost pixels, nor where that is not a number.
 */
export function addSlopes(
  plane: Float32Array, width: number, height: number, factorX: number, factorY: number, variance: Float32Array,
): void {
  const kernels = kernelsOf(plane, variance);
  if (kernels === null) {
    addSlopesTwin(plane, width, height, Math.fround(factorX), Math.fround(factorY), variance);
    return;
  }
  kernels.compiled.addSlopes(
    pointerTo(kernels, plane), width, height, factorX, factorY, pointerTo(kernels, variance));
}

/** What `subtractMatched` works on. */
export type SubtractTask = Readonly<{
  width: number; height: number;
  /** Bits of the visit's mask that stay; `noData` is added where its image is not finite. */
  visit: Readonly<{ image: Float32Array; mask: Uint16Array }>; kept: number; noData: number;
  matchedMask: Uint16Array;
  /** The difference is factor × (a − b). */
  a: Float32Array; b: Float32Array; factor: number;
  /**
   * Taken off it, of order 2 at most: coefficients of u^i v^k, with u = 2x/(width − 1) − 1 and v alike, and [i, k] in
   * `degrees`.
   */
  coefficients: Float64Array; degrees: readonly (readonly [number, number])[];
  /** Pixels with one of these bits are 0. */
  blank: number;
  /** Overwritten; may be one of the others. */
  out: Readonly<{ image: Float32Array; mask: Uint16Array }>;
}>;

/** Mask and image of a difference, in single precision; pixels that are blank or not finite are 0. */
export function subtractMatched(task: SubtractTask): void {
  const { width, height, visit, matchedMask, a, b, factor, kept, noData, blank, out } = task;
  const kernels = kernelsOf(visit.image, visit.mask, matchedMask, a, b, out.image, out.mask);
  const work = kernels && layOutWork(kernels, { columns: 4 * width, terms: 12 * height });
  const columns = Float32Array.from({ length: width }, (_, x) => placeIn(x, width)), terms = rowTerms(task);
  if (kernels === null || work === null) { subtractMatchedTwin(task, columns, terms); return; }
  new Float32Array(kernels.memory.buffer, work.columns, width).set(columns);
  new Float32Array(kernels.memory.buffer, work.terms, terms.length).set(terms);
  const [p, q, r, to] = [visit.image, a, b, out.image].map((view) => pointerTo(kernels, view));
  const [visitMask, matched, outMask] = [visit.mask, matchedMask, out.mask].map((view) => pointerTo(kernels, view));
  kernels.compiled.subtractMatched(
    p, visitMask, matched, q, r, factor, kept, blank, noData, work.columns, work.terms, width, height, to, outMask,
  );
}

/** From −1 to 1. */
function placeIn(index: number, length: number): number {
  return length === 1 ? 0 : (2 * index) / (length - 1) - 1;
}

/** [height × 3]: coefficients of 1, u and u² of each row. */
function rowTerms({ height, coefficients, degrees }: SubtractTask): Float32Array {
  const terms = new Float32Array(3 * height), sums = new Float64Array(3);
  for (let y = 0; y < height; y++) {
    const v = placeIn(y, height), powers = [1, v, v * v];
    sums.fill(0);
    for (let n = 0; n < degrees.length; n++) sums[degrees[n][0]] += coefficients[n] * powers[degrees[n][1]];
    terms.set(sums, 3 * y);
  }
  return terms;
}

/** NaN in the image and 0 in the variance where the mask has one of the bits. */
export function blankMasked(
  { image, variance, mask }: Readonly<{ image: Float32Array; variance: Float32Array; mask: Uint16Array }>, bits: number,
): void {
  const kernels = kernelsOf(image, variance, mask);
  if (kernels === null) { blankMaskedTwin(image, variance, mask, bits); return; }
  const [p, v, m] = [image, variance, mask].map((view) => pointerTo(kernels, view));
  kernels.compiled.blankMasked(p, v, m, bits, mask.length);
}

/** mask &= kept. */
export function keepBits(mask: Uint16Array, kept: number): void {
  const kernels = kernelsOf(mask);
  if (kernels === null) { keepBitsTwin(mask, kept); return; }
  kernels.compiled.keepBits(pointerTo(kernels, mask), kept, mask.length);
}

/** Sets `bit` in the mask where the plane exceeds `limit`, which is rounded to single precision. */
export function flagAbove(plane: Float32Array, limit: number, mask: Uint16Array, bit: number): void {
  const kernels = kernelsOf(plane, mask);
  if (kernels === null) { flagAboveTwin(plane, limit, mask, bit); return; }
  kernels.compiled.flagAbove(pointerTo(kernels, plane), limit, pointerTo(kernels, mask), bit, mask.length);
}

/** Sets `bit` in the mask where the plane is NaN. */
export function flagNaN(plane: Float32Array, mask: Uint16Array, bit: number): void {
  const kernels = kernelsOf(plane, mask);
  if (kernels === null) { flagNaNTwin(plane, mask, bit); return; }
  kernels.compiled.flagNaN(pointerTo(kernels, plane), pointerTo(kernels, mask), bit, mask.length);
}

/** Neighbours of a row that `slopeSums` looks at. */
export type SlopeLimits = Readonly<{
  /** Neither of the two has one of these bits. */
  blank: number;
  /** The square of their difference is below this, the variance of the left one at most that. */
  differenceSquareMax: number; varianceMax: number;
  /** Rows from one that counts to the next. */
  rowStep: number;
}>;

/** Σ Δvariance Δimage and Σ Δimage² over neighbours along rows, in double precision. */
export function slopeSums(
  planes: Noisy & Readonly<{ mask: Uint16Array }>, limits: SlopeLimits,
): { products: number; squares: number } {
  const { width, height, image, variance, mask } = planes, { blank, rowStep } = limits;
  const most = Math.fround(limits.differenceSquareMax), highest = Math.fround(limits.varianceMax);
  const kernels = kernelsOf(image, variance, mask), work = kernels && layOutWork(kernels, { sums: 64 });
  const sums = kernels === null || work === null ? new Float64Array(8)
    : new Float64Array(kernels.memory.buffer, work.sums, 8).fill(0);
  for (let y = 0; y < height; y += rowStep) {
    const start = y * width;
    if (kernels === null || work === null) {
      slopeRowTwin(planes, blank, start, width, most, highest, sums);
      continue;
    }
    const [p, v, m] = [image, variance, mask].map((view) => pointerTo(kernels, view));
    kernels.compiled.slopeRow(p + 4 * start, v + 4 * start, m + 2 * start, blank, width, most, highest, work.sums);
  }
  return { products: sums[0] + sums[1] + sums[2] + sums[3], squares: sums[4] + sums[5] + sums[6] + sums[7] };
}

/**
 * Turns big-endian 16-bit masks into ours, in place: where a stored number shares a bit with `from`, `to` is set.
 *
 * @param moves `from` within 16 bits.
 */
export function translateMask(mask: Uint16Array, moves: readonly (readonly [from: number, to: number])[]): void {
  const kernels = kernelsOf(mask), work = kernels && layOutWork(kernels, { moves: 8 * Math.max(1, moves.length) });
  if (kernels === null || work === null) { translateMaskTwin(mask, moves); return; }
  new Uint32Array(kernels.memory.buffer, work.moves, 2 * moves.length).set(moves.flat());
  kernels.compiled.translateMask(pointerTo(kernels, mask), mask.length, work.moves, moves.length);
}
