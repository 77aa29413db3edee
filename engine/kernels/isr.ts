/** Instrument signature: raw counts to electrons, flat field, variance of the expected light. */
import { greatestFloatTo, leastFloatFrom } from './floats.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { assembleAmpTwin, divideByFlatTwin, excessSumsTwin, varianceRowTwin } from './twins/isr.ts';

export type AmpTask = Readonly<{
  /** The amp's readout, ADU. Read only. */
  pixels: Uint16Array;
  rawWidth: number;
  /** First imaging pixel of the readout, and how many there are. */
  rawX0: number; rawY0: number; columns: number; rows: number;
  /** Lowest output pixel, and whether the readout runs against the output's axes. */
  x0: number; y0: number; flipX: boolean; flipY: boolean;
  gain: number;
  /** [rows]: level of each raw row, ADU. */
  levels: Float64Array;
  /** [detector height × width], ADU; null for none. */
  bias: Float32Array | null;
  /** Raw counts from which the bits are set; Infinity for never. A saturated pixel has to be a suspect one to count. */
  suspectAdu: number; saturationAdu: number;
  saturatedBit: number; suspectBit: number;
  /** Set where the electrons come out NaN. */
  missingBits: number;
}>;

export type AmpCounts = Readonly<{
  saturatedCount: number; suspectCount: number; lowestAdu: number; highestAdu: number;
}>;

/** Beyond what 16 bits hold. */
const NEVER_ADU = 65536;

/**
 * Puts an amp's imaging pixels at their place: (counts − level − bias) × gain, in double precision; mask bits
 * overwritten.
 *
 * @param image, mask [detector height × width]; the amp's box is overwritten.
 * @returns Counts of pixels, least and greatest raw count (65535 and 0 for an amp without pixels).
 */
export function assembleAmp(task: AmpTask, image: Float32Array, mask: Uint16Array, width: number): AmpCounts {
  const planes = task.bias === null ? [task.pixels, image, mask] : [task.pixels, image, mask, task.bias];
  const kernels = kernelsOf(...planes), work = kernels && layOutWork(kernels, { levels: task.rows * 8, stats: 16 });
  if (kernels === null || work === null) return assembleAmpTwin(task, image, mask, width);
  const { buffer } = kernels.memory, counts = new Int32Array(buffer, work.stats, 4);
  new Float64Array(buffer, work.levels, task.rows).set(task.levels.subarray(0, task.rows));
  const from = pointerTo(kernels, task.pixels) + 2 * (task.rawY0 * task.rawWidth + task.rawX0);
  const firstRow = task.flipY ? task.y0 + task.rows - 1 : task.y0;
  kernels.compiled.assembleAmp(
    from, task.rawWidth, task.columns, task.rows, pointerTo(kernels, image), pointerTo(kernels, mask),
    task.bias === null ? 0 : pointerTo(kernels, task.bias), firstRow * width + task.x0, task.flipY ? -width : width,
    task.flipX ? 1 : 0,
    work.levels, task.gain, countFrom(task.suspectAdu), countFrom(task.saturationAdu),
    task.saturatedBit | (task.suspectBit << 16),
    task.missingBits, work.stats,
  );
  return { saturatedCount: counts[0], suspectCount: counts[1], lowestAdu: counts[2], highestAdu: counts[3] };
}

/** The least whole count that reaches a level. */
function countFrom(level: number): number {
  return Math.min(Math.max(Math.ceil(level), 0), NEVER_ADU);
}

export type FlatLimits = Readonly<{ responseMin: number; responseMax: number; badBit: number; missingBits: number }>;

/**
 * Divides by the pixels' response; where it is NaN, zero or less the image becomes NaN and the mask gets `missingBits`,
 * where it is outside its limits the mask gets `badBit`.
 *
 * @param flat [height × width]. Read only.
 * @returns Pixels marked.
 */
export function divideByFlat(image: Float32Array, mask: Uint16Array, flat: Float32Array, limits: FlatLimits): number {
  const { responseMin, responseMax, badBit, missingBits } = limits, kernels = kernelsOf(image, mask, flat);
  if (kernels === null) return divideByFlatTwin(image, mask, flat, limits);
  const [p, m, f] = [image, mask, flat].map((plane) => pointerTo(kernels, plane));
  return kernels.compiled.divideByFlat(
    p, m, f, leastFloatFrom(responseMin), greatestFloatTo(responseMax), badBit, missingBits, image.length,
  );
}

/**
 * Light of a row above the sky, NaN counting as none, summed 1-2-1 along it; beyond its ends the last pixel goes on.
 *
 * @param image [height × width]; the row begins at `start`. Read only.
 * @param sky   [width]
 * @param out   [width], overwritten.
 */
export function excessSums(image: Float32Array, start: number, sky: Float32Array, out: Float32Array): void {
  const kernels = kernelsOf(image, sky, out), work = kernels && layOutWork(kernels, { padded: (out.length + 2) * 4 });
  if (kernels === null || work === null) { excessSumsTwin(image, start, sky, out); return; }
  kernels.compiled.excessSums(pointerTo(kernels, image) + 4 * start, pointerTo(kernels, sky), out.length, work.padded,
    pointerTo(kernels, out));
}

/** One row of what the variance is made from; all but `flat` and `image` are [width]. */
export type VarianceRow = Readonly<{
  image: Float32Array; variance: Float32Array; flat: Float32Array | null;
  /** First pixel of the row in image, variance and flat. */
  start: number;
  sky: Float32Array;
  /** `excessSums` of three rows. */
  below: Float32Array; here: Float32Array; above: Float32Array;
  readVariance: Float32Array;
  /** Significance from which a pixel's own light, or the smoothed light (in noise of a pixel), is believed. */
  brightSigma: number; smoothSigma: number;
}>;

/**
 * variance = (expected + read / flat) / flat, where the expected light is the sky's (0 at least), or that and the
 * binomial mean of the light above it, or the pixel's own. Single precision: good to 5e-7. NaN where the image is NaN.
 */
export function varianceRow(row: VarianceRow): void {
  const { image, variance, flat, start, sky, below, here, above, readVariance } = row;
  const kernels = kernelsOf(image, variance, sky, below, here, above, readVariance),
    work = kernels && layOutWork(kernels, { pointers: 32 });
  if (kernels === null || work === null) { varianceRowTwin(row); return; }
  const at = (plane: Float32Array): number => pointerTo(kernels, plane);
  new Uint32Array(kernels.memory.buffer, work.pointers, 8).set([
    at(image) + 4 * start, at(sky), at(below), at(here), at(above), at(readVariance),
    flat === null ? 0 : at(flat) + 4 * start, at(variance) + 4 * start,
  ]);
  kernels.compiled.varianceRow(work.pointers, row.brightSigma, row.smoothSigma, sky.length);
}
