/** Crosstalk coefficients from exposures of the sky: what stands in an amp where another reads a bright star. */
import type { Detector } from '../../../schemas/camera.ts';
import { medianInPlace, robustSigma } from '../../image/median.ts';
import type { RawAmp } from '../../image/rawExposure.ts';
import { calibrationsConfig } from './config.ts';

/**
 * Bright pixels of one amp over their surroundings, ADU, and what all amps read at the same time over theirs: both less
 * the same of a pixel beside. In a crowded field pixels stand below the mean of their surroundings mostly, by several
 * ADU, and clipped means follow them; two pixels differ as often one way as the other.
 */
type Bright = Readonly<{
  signals: number[]; readings: readonly number[][];
  /** Of each pixel: those of one star have one number. */
  stars: number[];
}>;

/** Of each amp, what was seen while it was bright. */
export type TalkSamples = readonly Bright[];

export type Coefficient = Readonly<{ part: number; error: number }>;

/** Surroundings along the row: beyond a star's ghost, and near enough for one sky. */
const NEAR_PX = 6, FAR_PX = 9;
/** From a bright pixel to the one that it is compared with, along the row: surroundings and all lie clear of it. */
const CONTROL_PX = 24;
/** Side of the cells whose bright pixels count as one star: what else lies there errs for all of them alike. */
const STAR_PX = 32;

export function createTalkSamples({ amps }: Detector): TalkSamples {
  return amps.map(() => ({ signals: [], readings: amps.map(() => []), stars: [] }));
}

/**
 * Adds an exposure's bright pixels that are not saturated. Amps are read at the same time, pixel by pixel.
 *
 * @param raw The detector's amps in its order, ADU. Read only.
 */
export function addTalkSamples(samples: TalkSamples, raw: readonly RawAmp[], { amps }: Detector): void {
  amps.forEach(({ rawData: { x0, x1, y0, y1 }, biasLevelAdu, saturationAdu }, source) => {
    const { pixels, width } = raw[source], { signals, readings, stars } = samples[source];
    // Beyond those of the exposures before.
    const first = (stars.at(-1) ?? -1) + 1, columns = Math.ceil(width / STAR_PX);
    const least = calibrationsConfig.crosstalkSignalMin * (saturationAdu - biasLevelAdu);
    for (let y = y0; y < y1; y++) {
      for (let x = x0 + FAR_PX; x < x1 - FAR_PX; x++) {
        const i = y * width + x;
        if (pixels[i] < biasLevelAdu + least || pixels[i] >= saturationAdu) continue;
        const control = x + CONTROL_PX + FAR_PX < x1 ? i + CONTROL_PX : i - CONTROL_PX;
        if (x - CONTROL_PX < x0 + FAR_PX && control < i) continue;
        const signal = difference(pixels, i, control);
        if (signal < least || pixels[control] >= saturationAdu) continue;
        signals.push(signal);
        stars.push(first + Math.floor(y / STAR_PX) * columns + Math.floor(x / STAR_PX));
        readings.forEach((list, victim) => { list.push(difference(raw[victim].pixels, i, control)); });
      }
    }
  });
}

function difference(pixels: Uint16Array, i: number, control: number): number {
  return overSurroundings(pixels, i) - overSurroundings(pixels, control);
}

function overSurroundings(pixels: Uint16Array, i: number): number {
  let sum = 0;
  for (let k = NEAR_PX; k <= FAR_PX; k++) sum += pixels[i - k] + pixels[i + k];
  return pixels[i] - sum / (2 * (FAR_PX - NEAR_PX + 1));
}

/**
 * The part of each amp's signal that appears in each other: least squares through 0 of what is not far from it, as a
 * star of the other amp would be.
 *
 * @returns [victim][source]; null where the pixels are too few.
 */
export function fitCrosstalk(samples: TalkSamples): (Coefficient | null)[][] {
  return samples.map((_, victim) => samples.map((bright, source) =>
    (victim === source ? null : fitCoefficient(bright, bright.readings[victim]))));
}

function fitCoefficient({ signals, stars }: Bright, readings: readonly number[]): Coefficient | null {
  if (signals.length < calibrationsConfig.crosstalkPixelsMin) return null;
  const ratios = Float64Array.from(signals, (signal, k) => readings[k] / signal);
  let part = medianInPlace(ratios, ratios.length), error = Infinity;
  for (let round = 0; round < calibrationsConfig.crosstalkRounds; round++) {
    const residuals = readings.map((reading, k) => reading - part * signals[k]), sigma = robustSigma(residuals);
    const limit = calibrationsConfig.crosstalkClipSigma * sigma;
    const pulls = new Map<number, number>();
    let product = 0, square = 0;
    for (let k = 0; k < signals.length; k++) {
      if (Math.abs(residuals[k]) > limit) continue;
      product += signals[k] * readings[k];
      square += signals[k] * signals[k];
      pulls.set(stars[k], (pulls.get(stars[k]) ?? 0) + signals[k] * residuals[k]);
    }
    if (square === 0) return null;
    part = product / square;
    // Pixels of one star err together where the other amp's sky is crowded: stars count, not pixels.
    error = Math.sqrt([...pulls.values()].reduce((sum, pull) => sum + pull * pull, 0)) / square;
  }
  return { part, error };
}

export type CrosstalkReport = Readonly<{
  /** Pairs of amps whose coefficient was measured well enough to be taken, and of those the ones that differ from 0. */
  pairs: number; significant: number; errorMedian: number; largest: number; exposures: number;
}>;

/**
 * Coefficients that are known well enough, those that do not differ from 0 as 0; the camera's where they are not.
 *
 * @returns Null when none is known well enough. `rows` are [victim][source].
 */
export function usableCrosstalk(
  measured: readonly (readonly (Coefficient | null)[])[], { amps }: Detector, exposures: number,
): Readonly<{ rows: number[][]; report: CrosstalkReport }> | null {
  const { crosstalkErrorMax, crosstalkSigmaMin } = calibrationsConfig, used: Coefficient[] = [];
  const rows = measured.map((row, victim) => row.map((found, source) => {
    if (found === null || !(found.error <= crosstalkErrorMax)) return amps[victim].crosstalk?.[source] ?? 0;
    used.push(found);
    return Math.abs(found.part) >= crosstalkSigmaMin * found.error ? found.part : 0;
  }));
  if (used.length === 0) return null;
  return {
    rows, report: {
      pairs: used.length, exposures,
      significant: used.filter(({ part, error }) => Math.abs(part) >= crosstalkSigmaMin * error).length,
      errorMedian: medianInPlace(Float64Array.from(used, ({ error }) => error), used.length),
      largest: used.reduce((most, { part }) => Math.max(most, Math.abs(part)), 0),
    },
  };
}
