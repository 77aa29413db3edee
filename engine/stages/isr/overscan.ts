import type { Amp } from '../../../schemas/camera.ts';
import { columnMedians, overscanMedians } from '../../kernels/overscan.ts';
import { medianOf } from '../../kernels/sample.ts';
import type { RawAmp } from '../../image/rawExposure.ts';

export type OverscanReport = Readonly<{
  /** Median of the rows' levels, ADU. */
  levelAdu: number;
  /** Standard deviation of a single overscan pixel within its row, ADU: the read noise as it was tonight. */
  noiseAdu: number;
  /**
   * Share of the scatter between rows that is real, 0 … 1; the rest is the medians' own noise and was averaged away.
   */
  rowStructureFraction: number;
}>;

/** How overscans are used: as in the stage's configuration. */
export type OverscanConfig = Readonly<{
  overscanSmoothingRows: number; overscanSkipPx: number; overscanStructureSigma: number;
}>;

/** A median's standard error over a mean's. */
const MEDIAN_ERROR = 1.2533;
/** Rows from one whose scatter is measured to the next: of 500 rows of 52 pixels the noise is known to 0.7 per cent. */
const NOISE_STEP = 4;

/**
 * Level to take off each row of an amp: the median of the row's overscan columns (a bright star that bleeds into the
 * serial register spoils a few columns, and a mean would follow them), shrunk towards the running mean of neighbouring
 * rows by the share of the rows' scatter that is only noise.
 *
 * @param raw     The amp's readout, ADU. Read only.
 * @param levels  One value for each row of `amp.rawData`, ADU. Overwritten.
 */
export function measureOverscan(
  raw: RawAmp, amp: Amp, { overscanSmoothingRows, overscanSkipPx }: OverscanConfig, levels: Float64Array,
): OverscanReport {
  const x0 = firstPixel(amp.rawSerialOverscan.x0, amp.rawSerialOverscan.x1, overscanSkipPx);
  const count = amp.rawSerialOverscan.x1 - x0;
  const deviations = new Float64Array(Math.ceil(levels.length / NOISE_STEP)), start = amp.rawData.y0 * raw.width + x0;
  overscanMedians(raw.pixels, start, raw.width, count, levels, deviations, NOISE_STEP);
  // The mean over rows: the median of whole numbers of ADU would be a whole number itself.
  const noiseAdu = (1.4826 * deviations.reduce((sum, deviation) => sum + deviation, 0)) / deviations.length;
  const rowStructureFraction =
    shrinkTowardsRunningMean(levels, overscanSmoothingRows, (MEDIAN_ERROR * noiseAdu) / Math.sqrt(count), raw.pixels);
  return { levelAdu: medianOf(levels, raw.pixels), noiseAdu, rowStructureFraction };
}

/** Skips leading pixels unless too few would be left. */
function firstPixel(from: number, end: number, skip: number): number {
  return end - from > 4 * skip ? from + skip : from;
}

/**
 * Level of each imaging column beyond that of its row, from the parallel overscan: medians down the columns, less their
 * own median, as far as they differ more than their noise lets them.
 *
 * A column that bleeds stands far above the others there, and takes the level of those beside it.
 *
 * @param raw     The amp's readout, ADU. Read only.
 * @param noiseAdu Of a pixel, as the serial overscan has it.
 * @returns [imaging columns] ADU in the order of reading; null where columns do not truly differ, or none was read.
 */
export function measureColumns(
  raw: RawAmp, amp: Amp, config: OverscanConfig, noiseAdu: number,
): Float32Array | null {
  const box = amp.rawParallelOverscan, columns = amp.rawData.x1 - amp.rawData.x0;
  if (box === null || box.x1 - box.x0 !== columns || noiseAdu <= 0) return null;
  const y0 = firstPixel(box.y0, box.y1, config.overscanSkipPx), count = box.y1 - y0;
  const levels = new Float64Array(columns);
  columnMedians(raw.pixels, y0 * raw.width + box.x0, raw.width, count, levels);
  const middle = medianOf(levels, raw.pixels);
  const noise = Math.hypot((MEDIAN_ERROR * noiseAdu) / Math.sqrt(count), 0.29);
  replaceBleeds(levels, middle, noise);
  let square = 0;
  for (let x = 0; x < columns; x++) square += (levels[x] - middle) ** 2;
  const ratio = square / columns / (noise * noise);
  // A mean of n squares of normal values scatters by √(2/n).
  if (ratio < 1 + config.overscanStructureSigma * Math.sqrt(2 / columns)) return null;
  return Float32Array.from(levels, (level) => (1 - 1 / ratio) * (level - middle));
}

/** Levels above the middle by more than ten times their noise and 5 ADU, and those beside them, are interpolated. */
function replaceBleeds(levels: Float64Array, middle: number, noise: number): void {
  const limit = middle + Math.max(10 * noise, 5), isBad = Array.from(levels, (level) => level > limit);
  let lastGood = -1;
  for (let x = 0; x < levels.length; x++) {
    if (isBad[x] || isBad[x - 1] || isBad[x + 1]) continue;
    const from = lastGood < 0 ? levels[x] : levels[lastGood];
    for (let k = lastGood + 1; k < x; k++) {
      levels[k] = lastGood < 0 ? from : from + ((levels[x] - from) * (k - lastGood)) / (x - lastGood);
    }
    lastGood = x;
  }
  levels.fill(lastGood < 0 ? middle : levels[lastGood], lastGood + 1);
}

/** Wiener's weight: real variance over total variance. Returns it. */
function shrinkTowardsRunningMean(levels: Float64Array, length: number, noise: number, beside: Uint16Array): number {
  if (length <= 1) return 1;
  const smooth = runningMean(levels, length), deviations = new Float64Array(levels.length);
  for (let i = 0; i < levels.length; i++) deviations[i] = levels[i] - smooth[i];
  const centre = medianOf(deviations, beside);
  for (let i = 0; i < levels.length; i++) deviations[i] = Math.abs(deviations[i] - centre);
  const scatter = 1.4826 * medianOf(deviations, beside);
  const realFraction = scatter > 0 ? Math.max(0, 1 - (noise * noise) / (scatter * scatter)) : 0;
  for (let i = 0; i < levels.length; i++) levels[i] = smooth[i] + realFraction * (levels[i] - smooth[i]);
  return realFraction;
}

/** Mean of up to `length` values centred on each; symmetric windows shrink at the ends, so that slopes are kept. */
function runningMean(values: Float64Array, length: number): Float64Array {
  const n = values.length, sums = new Float64Array(n + 1), means = new Float64Array(n), reachMax = (length - 1) >> 1;
  for (let i = 0; i < n; i++) sums[i + 1] = sums[i] + values[i];
  for (let i = 0; i < n; i++) {
    const reach = Math.min(reachMax, i, n - 1 - i);
    means[i] = (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1);
  }
  return means;
}
