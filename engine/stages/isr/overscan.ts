import type { Amp } from '../../../schemas/camera.ts';
import { medianInPlace, robustSigma } from '../../image/median.ts';
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

/**
 * Level to take off each row of an amp: the median of the row's overscan columns (a bright star that bleeds into the
 * serial register spoils a few columns, and a mean would follow them), shrunk towards the running mean of neighbouring
 * rows by the share of the rows' scatter that is only noise.
 *
 * @param raw     The amp's readout, ADU. Read only.
 * @param smoothingRows Length of the running mean; 1 keeps each row's own median.
 * @param levels  One value for each row of `amp.rawData`, ADU. Overwritten.
 * @param scratch As long as an overscan row or longer. Contents are destroyed.
 */
export function measureOverscan(
  raw: RawAmp, amp: Amp, smoothingRows: number, levels: Float64Array, scratch: Float32Array,
): OverscanReport {
  const { x0, x1 } = amp.rawSerialOverscan;
  const count = x1 - x0, rowCount = levels.length;
  const noises = new Float64Array(rowCount);
  for (let i = 0; i < rowCount; i++) {
    const row = (amp.rawData.y0 + i) * raw.width;
    for (let j = 0; j < count; j++) scratch[j] = raw.pixels[row + x0 + j];
    levels[i] = medianInPlace(scratch, count);
    for (let j = 0; j < count; j++) scratch[j] = Math.abs(scratch[j] - levels[i]);
    noises[i] = 1.4826 * medianInPlace(scratch, count);
  }
  // The mean over rows: the median of whole numbers of ADU would be a whole number itself.
  const noiseAdu = noises.reduce((sum, noise) => sum + noise, 0) / rowCount;
  const rowStructureFraction = shrinkTowardsRunningMean(levels, smoothingRows, (1.2533 * noiseAdu) / Math.sqrt(count));
  return { levelAdu: medianInPlace(Float64Array.from(levels), rowCount), noiseAdu, rowStructureFraction };
}

/** Wiener's weight: real variance over total variance. Returns it. */
function shrinkTowardsRunningMean(levels: Float64Array, length: number, noise: number): number {
  if (length <= 1) return 1;
  const smooth = runningMean(levels, length);
  const scatter = robustSigma(levels.map((level, i) => level - smooth[i]));
  const realFraction = scatter > 0 ? Math.max(0, 1 - (noise * noise) / (scatter * scatter)) : 0;
  for (let i = 0; i < levels.length; i++) levels[i] = smooth[i] + realFraction * (levels[i] - smooth[i]);
  return realFraction;
}

/** Mean of up to `length` values centred on each; symmetric windows shrink at the ends, so that slopes are kept. */
function runningMean(values: Float64Array, length: number): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = sums[i] + values[i];
  return values.map((_, i) => {
    const reach = Math.min((length - 1) >> 1, i, values.length - 1 - i);
    return (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1);
  });
}
