/** Robust statistics of a plane from a regular sample of it. */
import { selectInPlace } from '../../image/median.ts';
import { smallestOf } from '../../kernels/sample.ts';

/** Values that a sample holds at most: the median of 50,000 is good to 0.6 % of a standard deviation. */
const SAMPLE_COUNT_MAX = 50_000;

/** Neighbours that are taken together: half a cache line, of which the first costs as much as all. */
const GROUP = 8;

/**
 * Median of the finite values of a plane whose mask has none of the bits; of an even number the lower middle one. A
 * plane of more than 50,000 values is sampled at regular places. NaN when nothing is used.
 */
export function medianOfSample(plane: Float32Array, mask: Uint16Array, bits: number): number {
  return middleOf(sampleOf(plane, mask, bits), plane);
}

/** The values that `medianOfSample` takes, in order. */
export function sampleOf(plane: Float32Array, mask: Uint16Array, bits: number): Float32Array {
  const step = groupStep(plane.length), values = new Float32Array(SAMPLE_COUNT_MAX + GROUP);
  let count = 0;
  for (let first = 0; first < plane.length; first += step) {
    for (let j = first, end = Math.min(first + GROUP, plane.length); j < end; j++) {
      const value = plane[j];
      if ((mask[j] & bits) === 0 && value - value === 0) values[count++] = value;
    }
  }
  return values.subarray(0, count);
}

/**
 * Median of an image over its noise and 1.4826 × the median absolute deviation, from the same places, where the
 * variance is positive; NaN when nothing is used.
 */
export function significanceMoments(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, bits: number,
): { median: number; scatter: number } {
  const step = groupStep(image.length), sample = new Float32Array(SAMPLE_COUNT_MAX + GROUP);
  let count = 0;
  for (let first = 0; first < image.length; first += step) {
    for (let j = first, end = Math.min(first + GROUP, image.length); j < end; j++) {
      const value = image[j] / Math.sqrt(variance[j]);
      if ((mask[j] & bits) === 0 && variance[j] > 0 && value - value === 0) sample[count++] = value;
    }
  }
  const values = sample.subarray(0, count), median = middleOf(values, image);
  for (let i = 0; i < count; i++) values[i] = Math.abs(values[i] - median);
  return { median, scatter: 1.4826 * middleOf(values, image) };
}

/** The lower middle one of many values; NaN when there are none. */
function middleOf(values: Float32Array, beside: Float32Array): number {
  return values.length === 0 ? NaN : smallestOf(values, (values.length - 1) >> 1, beside);
}

/** From one group to the next: an odd number of groups, so that the sample does not run along columns. */
function groupStep(length: number): number {
  const step = Math.max(1, Math.ceil(length / SAMPLE_COUNT_MAX));
  return GROUP * (step > 1 ? step | 1 : 1);
}

/** Median of the values, of an even number the lower middle one; they are reordered. NaN when there are none. */
export function medianOf(values: Float64Array): number {
  return values.length === 0 ? NaN : selectInPlace(values, 0, values.length, (values.length - 1) >> 1);
}

/** Median and 1.4826 × median absolute deviation; the values are destroyed. */
export function robustMoments(values: Float64Array): { median: number; scatter: number } {
  const median = medianOf(values);
  for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i] - median);
  return { median, scatter: 1.4826 * medianOf(values) };
}
