/** Fringes of a band's night sky from exposures of different places: what is left where sources do not meet. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { fitSky, gridOf } from '../../stages/isr/fringe.ts';
import { calibrationsConfig } from './config.ts';

/** One exposure's light beside its smooth sky, over the sky's level; NaN where sources or defects are known. */
export type SkyResidual = Readonly<{ plane: Float32Array; skyElectrons: number }>;

export type FringeFrame = Readonly<{
  /** [height × width], relative to the sky's level, mean 0. */
  plane: Float32Array;
  /** Standard deviation of the fringes, and of the noise that is left in the frame; relative to the sky. */
  rms: number; noise: number;
}>;

/** Pixels with another bit than these say nothing of the sky. */
const ALLOWED = maskBits('EDGE', 'CROSSTALK');

/**
 * Takes the smooth sky off an exposure.
 *
 * @param planes image (electrons, flat-fielded, fringes in it) and mask, read only.
 * @returns Null when too few pixels tell the sky, or it gives no light.
 */
export function skyResidual(planes: MaskedImage): SkyResidual | null {
  const { width, height, image, mask } = planes;
  const sky = fitSky(planes, null, gridOf(height, calibrationsConfig.fringeSamplePx), ALLOWED);
  if (sky === null || !(sky.level > calibrationsConfig.fringeSkyElectronsMin)) return null;
  const plane = new Float32Array(image.length), row = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    sky.fillRow(y, row);
    for (let x = 0, i = y * width; x < width; x++, i++) {
      plane[i] = (mask[i] & ~ALLOWED) === 0 ? (image[i] - row[x]) / sky.level : NaN;
    }
  }
  return { plane, skyElectrons: sky.level };
}

/**
 * The median of the residuals, pixel by pixel, smoothed by a Gaussian: fringes are broader, and noise is not.
 *
 * @param residuals Of one detector and band, read only; their planes are [height × width].
 */
export function combineFringes(residuals: readonly Float32Array[], width: number, height: number): FringeFrame {
  const middle = medianPlane(residuals), plane = smoothed(middle, width, height, calibrationsConfig.fringeSmoothPx);
  let sum = 0, square = 0, fine = 0, count = 0;
  for (let i = 0; i < plane.length; i++) { sum += plane[i]; }
  const mean = sum / plane.length;
  for (let i = 0; i < plane.length; i++) {
    plane[i] -= mean;
    square += plane[i] * plane[i];
    if (Number.isNaN(middle[i])) continue;
    // Sources that met stand far out; what is usual is what counts.
    fine += Math.abs(middle[i] - plane[i] - mean);
    count++;
  }
  // A Gaussian of width σ keeps 1 / (2 √π σ) of white noise, whose mean size is √(2/π) of its σ.
  const noise = (fine / count) * Math.sqrt(Math.PI / 2) / (2 * Math.sqrt(Math.PI) * calibrationsConfig.fringeSmoothPx);
  return { plane, rms: Math.sqrt(square / plane.length), noise };
}

/** Medians of what is known at each pixel, the mean of the middle two when even; NaN where nothing is. */
function medianPlane(planes: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(planes[0].length), group = new Float64Array(planes.length);
  for (let i = 0; i < out.length; i++) {
    let count = 0;
    for (const plane of planes) {
      const value = plane[i];
      if (Number.isNaN(value)) continue;
      let at = count++;
      for (; at > 0 && group[at - 1] > value; at--) group[at] = group[at - 1];
      group[at] = value;
    }
    out[i] = count === 0 ? NaN : (group[(count - 1) >> 1] + group[count >> 1]) / 2;
  }
  return out;
}

/** A Gaussian mean of the pixels that are known, along rows and then columns; 0 where none is near. */
function smoothed(plane: Float32Array, width: number, height: number, sigmaPx: number): Float32Array {
  const reach = Math.ceil(3 * sigmaPx);
  const taps = Float64Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigmaPx) ** 2));
  const values = plane.map((value) => (Number.isNaN(value) ? 0 : value));
  const weights = plane.map((value) => (Number.isNaN(value) ? 0 : 1));
  for (const part of [values, weights]) {
    for (let y = 0; y < height; y++) convolveLine(part, y * width, 1, width, taps);
    for (let x = 0; x < width; x++) convolveLine(part, x, width, height, taps);
  }
  return values.map((value, i) => (weights[i] > 0 ? value / weights[i] : 0));
}

/** In place; nothing lies beyond the ends. */
function convolveLine(plane: Float32Array, start: number, step: number, count: number, taps: Float64Array): void {
  const reach = taps.length >> 1, line = new Float64Array(count);
  for (let k = 0; k < count; k++) line[k] = plane[start + k * step];
  for (let k = 0; k < count; k++) {
    let sum = 0;
    for (let t = Math.max(-reach, -k); t <= Math.min(reach, count - 1 - k); t++) sum += taps[t + reach] * line[k + t];
    plane[start + k * step] = sum;
  }
}

/** How many places on the sky, farther from each other than sources and their wings reach. */
export function countPlaces(frames: readonly Readonly<{ raDeg: number; decDeg: number }>[]): number {
  const places: { raDeg: number; decDeg: number }[] = [], least = calibrationsConfig.fringeShiftArcsec / 3600;
  for (const { raDeg, decDeg } of frames) {
    const isNear = places.some((other) => {
      const along = ((raDeg - other.raDeg + 540) % 360 - 180) * Math.cos((decDeg * Math.PI) / 180);
      return Math.hypot(along, decDeg - other.decDeg) < least;
    });
    if (!isNear) places.push({ raDeg, decDeg });
  }
  return places.length;
}
