/** Hot and cold columns: a constant on top of the sky in every row. */
import { columnHeights } from '../../kernels/light.ts';
import { columnMoments, smallestOf } from '../../kernels/sample.ts';
import { median, medianInPlace } from '../../image/median.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { pairConfig } from './config.ts';

export type ColumnReport = Readonly<{ corrected: number; masked: number }>;

/**
 * Takes off what a column stands above or below its neighbours. The light in it stays: only a column that is noisier
 * than its neighbours too is masked (BAD).
 *
 * @param planes Image, sky included or not, mask, and variance where it is given (of a sound column, its neighbours'
 *               level is taken): changed in place.
 */
export function correctColumns(planes: MaskedImage, isVarianceGiven: boolean): ColumnReport {
  const { width, image, mask } = planes, config = pairConfig.columns;
  const suspects = suspectColumns(planes);
  if (suspects.length === 0) return { corrected: 0, masked: 0 };
  const { levels, scatters, rowCount } = columnStatistics(planes, suspects);
  let corrected = 0, masked = 0;
  for (const x of suspects) {
    const near = neighbours(levels, x, config.neighbourCount);
    if (!Number.isFinite(levels[x]) || near.length < config.neighbourCount) continue;
    const scatter = median(neighbours(scatters, x, config.neighbourCount)), height0 = levels[x] - median(near);
    // A median of n normal values scatters by 1.2533 σ / √n.
    const limit = Math.max((config.sigma * 1.2533) / Math.sqrt(rowCount), config.heightSigmaMin) * scatter;
    if (!(Math.abs(height0) > limit)) continue;
    const isNoisy = scatters[x] > config.scatterRatioMax * scatter;
    const excess = isVarianceGiven && !isNoisy ? columnExcess(planes.variance, width, x) : 0;
    for (let j = x; j < image.length; j += width) {
      image[j] -= height0;
      if (isNoisy) mask[j] |= maskBits('BAD');
      // A light source's variance above the column's own stays.
      else if (excess > 0 && planes.variance[j] > 1.25 * excess) planes.variance[j] -= excess;
    }
    corrected++;
    if (isNoisy) masked++;
  }
  return { corrected, masked };
}

/** Share of the least height that is corrected from which a column is looked at. */
const SUSPECT_SHARE = 0.75;

/**
 * Columns that may stand out, told by a bounded mean that one pass over the image gives; what it cannot judge, the
 * outermost ones, is among them. Of 2048 rows the mean is good to 0.03 of a pixel's noise, with stars to 0.06.
 */
function suspectColumns({ width, height, image }: MaskedImage): number[] {
  const { neighbourCount: distance, heightSigmaMin } = pairConfig.columns;
  const all = Array.from({ length: width }, (_, x) => x);
  if (width < 8 * distance || height < ROW_COUNT_MIN) return all;
  const differences = new Float32Array(SAMPLE_MAX), step = 8 * (Math.ceil(image.length / SAMPLE_MAX) | 1);
  let count = 0;
  // Eight neighbours at a time: they share their lines of the cache.
  for (let first = distance; first < image.length - distance - 8; first += step) {
    for (let j = first; j < first + 8; j++) {
      const d = image[j] - 0.5 * (image[j - distance] + image[j + distance]);
      if (d === d) differences[count++] = Math.abs(d);
    }
  }
  if (count === 0) return all;
  // The difference of a pixel and the mean of two others has √1.5 times a pixel's noise.
  const sigma = (1.4826 * smallestOf(differences.subarray(0, count), count >> 1, image)) / Math.sqrt(1.5);
  const rowStep = height >= 2 * ROW_COUNT_MIN ? 2 : 1;
  const heights = columnHeights(image, width, height, distance, BOUND_SIGMA * sigma, rowStep);
  // Stars stand over few pixels and are cut off, beside more: all columns seem a little low.
  const usual = median(Array.from(heights.subarray(distance, width - distance)));
  return all.filter((x) => x < distance || x >= width - distance
    || Math.abs(heights[x] - usual) > SUSPECT_SHARE * heightSigmaMin * sigma);
}

/** Pixels that tell the noise. */
const SAMPLE_MAX = 50_000;
/** With fewer rows the bounded mean is too noisy to pass columns over. */
const ROW_COUNT_MIN = 1024;
/** Bound of a pixel's height: a hot column's noise is within it, and a star adds no more. */
const BOUND_SIGMA = 5;

/** Fewer usable pixels of a column than this tell no level. */
const PIXEL_COUNT_MIN = 64;

/**
 * Median and robust scatter of columns and their neighbours, NaN of others and where unknown, and the number of pixels
 * behind them at most.
 */
function columnStatistics(
  { width, image, mask }: MaskedImage, columns: readonly number[],
): { levels: Float64Array; scatters: Float64Array; rowCount: number } {
  const task = { width, image, mask, ignoredBits: maskBits('BAD', 'SAT', 'NO_DATA') };
  const levels = new Float64Array(width).fill(NaN), scatters = new Float64Array(width).fill(NaN);
  const wanted = new Uint8Array(width), { neighbourCount, rowStep } = pairConfig.columns;
  for (const x of columns) wanted.fill(1, Math.max(0, x - neighbourCount), x + neighbourCount + 1);
  let rowCount = 0;
  for (let x = 0; x < width; x++) {
    if (wanted[x] === 0) continue;
    const { count, median: level, deviation } = columnMoments(task, x, rowStep);
    if (count < PIXEL_COUNT_MIN) continue;
    rowCount = Math.max(rowCount, count);
    levels[x] = level;
    scatters[x] = 1.4826 * deviation;
  }
  return { levels, scatters, rowCount };
}

/** By how much a column of a plane stands above the two beside it. */
function columnExcess(plane: Float32Array, width: number, x: number): number {
  const beside = x > 0 && x + 1 < width ? [x - 1, x + 1] : [x > 0 ? x - 1 : x + 1];
  const level = (column: number): number => {
    const values = new Float32Array(plane.length / width);
    for (let y = 0; y < values.length; y++) values[y] = plane[y * width + column];
    return medianInPlace(values, values.length);
  };
  return level(x) - median(beside.map(level));
}

function neighbours(values: Float64Array, x: number, reach: number): number[] {
  const near: number[] = [];
  for (let u = Math.max(0, x - reach); u <= Math.min(values.length - 1, x + reach); u++) {
    if (u !== x && Number.isFinite(values[u])) near.push(values[u]);
  }
  return near;
}
