/**
 * Calibration planes in files: 16 bits with scale and zero, half of what a night has to read for every detector, or
 * float32 as others write them.
 */
import type { ReadPlane } from '../kernels/scaled.ts';
import {
  numberCard, readFits, readImageInto, readStored16Into, requireHdu, requireSize, scalingOf, type FitsCard, type FitsHdu,
  type FitsHduOut,
} from './fits.ts';
import { medianInPlace } from './median.ts';

export type { ReadPlane } from '../kernels/scaled.ts';

/** Steps of what is stored in the noise of a plane: rounding adds a step / √12, 1 / 55 of the noise. */
const STEPS_IN_NOISE = 16;
/** Stored number of a pixel without value, and the most that others can be from zero. */
const BLANK = -32768, FARTHEST = 32767;

/**
 * A detector's calibration from the extension IMAGE of a file.
 *
 * @param room [height × width] overwritten; the result lies in it, as it is or in the first half of its bytes.
 * @throws FitsError, one line: damaged, no IMAGE, of another size.
 */
export function readCalibrationPlane(
  path: string, { width, height }: Readonly<{ width: number; height: number }>, room: Float32Array,
): ReadPlane {
  const hdu = requireHdu(readFits(path), 'IMAGE');
  requireSize(hdu, width, height);
  const { scale, zero } = scalingOf(hdu);
  // Stored numbers serve as they are where those without value are the least.
  if (!isWhole16(hdu) || scale < 0) { readImageInto(hdu, room); return room; }
  const stored = new Uint16Array(room.buffer, room.byteOffset, width * height);
  readStored16Into(hdu, stored);
  // What was signed is unsigned now.
  return { stored, scale: Math.fround(scale), zero: Math.fround(zero + BLANK * scale) };
}

/** Whether its numbers are of 16 bits, uncompressed, the least of them for those without value. */
function isWhole16({ bitpix, tiles, header }: FitsHdu): boolean {
  return bitpix === 16 && tiles === null && numberCard(header, 'BLANK') === BLANK;
}

/**
 * A plane as an HDU in 16 bits. Steps are as fine as the range allows, or a sixteenth of the noise between neighbours
 * when a few pixels are so far off that they would be coarser: those are then the farthest that 16 bits hold.
 *
 * @param plane [height × width]; NaN becomes BLANK. Read only.
 */
export function calibrationHdu(
  plane: Float32Array, width: number, height: number, cards: readonly FitsCard[],
): FitsHduOut {
  const { scale, zero } = stepsOf(plane);
  const data = Int16Array.from(plane, (value) => {
    if (Number.isNaN(value)) return BLANK;
    return Math.max(-FARTHEST, Math.min(FARTHEST, Math.round((value - zero) / scale)));
  });
  return {
    name: 'IMAGE', data, width, height, cards: [['BSCALE', scale], ['BZERO', zero], ['BLANK', BLANK], ...cards],
  };
}

/** Both are float32 numbers. */
function stepsOf(plane: Float32Array): { scale: number; zero: number } {
  let least = Infinity, most = -Infinity;
  for (const value of plane) {
    if (value < least && value > -Infinity) least = value;
    if (value > most && value < Infinity) most = value;
  }
  if (!(least <= most)) return { scale: 1, zero: 0 };
  const whole = (most - least) / (2 * FARTHEST), { middle, noise } = sampled(plane), fine = noise / STEPS_IN_NOISE;
  if (noise > 0 && fine < whole) return { scale: Math.fround(fine), zero: Math.fround(middle) };
  // Rounding may not push the ends out.
  return { scale: Math.fround(whole * (1 + 1e-6)) || 1, zero: Math.fround((least + most) / 2) };
}

/** Median, and the standard deviation of the noise by that of neighbours' differences; of a few pixels. */
function sampled(plane: Float32Array): { middle: number; noise: number } {
  const values: number[] = [], differences: number[] = [];
  // A prime, so that no column is preferred.
  for (let i = 0; i + 1 < plane.length; i += 251) {
    const difference = Math.abs(plane[i + 1] - plane[i]);
    if (!Number.isFinite(difference)) continue;
    values.push(plane[i]);
    differences.push(difference);
  }
  if (values.length === 0) return { middle: 0, noise: 0 };
  const [middle, step] = [values, differences].map((all) => medianInPlace(Float64Array.from(all), all.length));
  return { middle, noise: (1.4826 * step) / Math.SQRT2 };
}
