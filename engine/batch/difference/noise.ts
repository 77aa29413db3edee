/** Variance of each pixel from the light that is expected there, which its own noise does not move. */
import { interpolateRow, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import { varianceSlope } from '../../stages/difference/subtract.ts';
import { pairConfig } from './config.ts';
import { PairRefused, type PairImage } from './inputs.ts';

/** How the variance came about, for the report. */
export type NoiseReport = Readonly<{
  source: 'given' | 'given, smoothed' | 'gain and read noise' | 'sky scatter and gain' | 'sky scatter';
  /** Electrons per unit of the image; null where it plays no part. */
  gain: number | null; readNoise: number | null;
  skyLevel: number; skySigma: number;
  /** Sky variance predicted by gain and read noise, or given, over that measured. */
  varianceRatio: number;
  notes: readonly string[];
}>;

/** Noise of the 1-2-1 × 1-2-1 mean, relative to a pixel's: 6 / 16. */
const BINOMIAL_NOISE = 0.375;

/**
 * Fills the variance plane.
 *
 * A variance computed from each pixel's own counts is small where the pixel fluctuated down: it makes faint negative
 * detections of noise. So light counts only where a source is significant, and elsewhere the sky's level stands for it.
 * A given plane that follows its pixels (its slope over them tells) loses the fluctuation's part and nothing else.
 *
 * @param planes Image sky subtracted, read only; variance overwritten: as given, or the image with its sky, from which
 *               the sky's level is taken.
 * @param sky    For the noise that the sky shows.
 * @throws PairRefused GAIN_ABSURD when a gain from the command line contradicts the sky's noise.
 */
export function setVariance(source: PairImage, sky: Background): NoiseReport {
  return source.isVarianceGiven ? smoothGiven(source, sky) : fromGain(source, sky);
}

function smoothGiven({ planes }: PairImage, sky: Background): NoiseReport {
  const { variance, mask } = planes, blank = maskBits('BAD', 'SAT', 'NO_DATA');
  const slope = varianceSlope(planes, blank), skySigma = median(sky.sigma);
  const typical = typicalOf(variance, mask, blank);
  const isFollowing = slope > pairConfig.noise.slopeShareMin * (typical / skySigma ** 2);
  if (isFollowing) {
    forExpectedLight(planes, sky, (j, value, expected) => {
      const smoothed = variance[j] - slope * (value - expected);
      // A slope that does not hold for this pixel must not turn its variance around.
      variance[j] = Math.max(smoothed, 0.2 * variance[j]);
    });
  }
  return {
    source: isFollowing ? 'given, smoothed' : 'given', gain: isFollowing ? 1 / slope : null, readNoise: null,
    skyLevel: 0, skySigma, varianceRatio: typical / skySigma ** 2, notes: [],
  };
}

function typicalOf(variance: Float32Array, mask: Uint16Array, blank: number): number {
  const sample: number[] = [], step = Math.max(1, Math.floor(variance.length / 100_000)) | 1;
  for (let j = 0; j < variance.length; j += step) if ((mask[j] & blank) === 0) sample.push(variance[j]);
  return median(sample);
}

function fromGain(source: PairImage, sky: Background): NoiseReport {
  const { planes: { image, variance, mask, width } } = source, { agreementMax, skySigmaMin } = pairConfig.noise;
  for (let j = 0; j < variance.length; j++) variance[j] -= image[j];
  const skyLevel = typicalOf(variance, mask, maskBits('NO_DATA')), skySigma = median(sky.sigma);
  const told = predictedVariance(source, skyLevel), readNoise = source.readNoise ?? 0;
  const varianceRatio = told === null ? NaN : told / skySigma ** 2;
  requireSane(source, skyLevel, skySigma, varianceRatio);
  const notes: string[] = [];
  const isBelieved = varianceRatio <= agreementMax && varianceRatio >= 1 / agreementMax;
  // Without a gain the sky tells it: its level over its variance, where it has a level.
  const fromSky = skyLevel > skySigmaMin * skySigma ? skyLevel / skySigma ** 2 : null;
  const gain = isBelieved || (source.gain !== null && fromSky === null) ? source.gain : fromSky;
  if (isBelieved && gain !== null) {
    const readVariance = (readNoise / gain) ** 2;
    for (let j = 0; j < variance.length; j++) variance[j] = Math.max(variance[j], 0) / gain + readVariance;
  } else {
    notes.push(source.gain === null ? `${source.path}: no gain in header or options; the noise is the sky's own`
      : `${source.path}: gain ${source.gain} and read noise ${readNoise} give ${varianceRatio.toPrecision(3)} ` +
        'times the variance that the sky shows; the sky is believed');
    const row = new Float32Array(width);
    for (let y = 0; y < sky.height; y++) {
      interpolateRow(sky, sky.sigma, y, row);
      for (let x = 0; x < width; x++) variance[y * width + x] = row[x] * row[x];
    }
  }
  if (gain !== null) forExpectedLight(source.planes, sky, (j, _, expected) => { variance[j] += expected / gain; });
  for (let j = 0; j < variance.length; j++) if (Number.isNaN(image[j])) variance[j] = 0;
  return {
    source: isBelieved ? 'gain and read noise' : gain === null ? 'sky scatter' : 'sky scatter and gain',
    gain, readNoise: isBelieved ? readNoise : null, skyLevel, skySigma, varianceRatio, notes,
  };
}

/** Variance of a pixel of the sky; null without a gain. */
function predictedVariance({ gain, readNoise }: PairImage, skyLevel: number): number | null {
  return gain === null ? null : Math.max(skyLevel, 0) / gain + ((readNoise ?? 0) / gain) ** 2;
}

function requireSane(source: PairImage, skyLevel: number, skySigma: number, ratio: number): void {
  const { absurdRatio, skySigmaMin } = pairConfig.noise;
  const isTooNoisy = ratio > absurdRatio, isTooQuiet = ratio < 1 / absurdRatio && skyLevel > skySigmaMin * skySigma;
  if (!source.isGainOption || !(isTooNoisy || isTooQuiet)) return;
  throw new PairRefused('GAIN_ABSURD',
    `${source.path}: a gain of ${source.gain} makes the variance of a sky of ${skyLevel.toPrecision(4)} ` +
    `${ratio.toPrecision(3)} times the ${(skySigma ** 2).toPrecision(4)} that its pixels show`);
}

/**
 * Visits each pixel with its value over the sky and the light expected there: 0 in the sky, the binomial mean of 3 × 3
 * pixels where that is significant, the pixel's own value where it is bright. NaN pixels are left out.
 */
function forExpectedLight(
  { image, width, height }: MaskedImage, sky: Background, visit: (j: number, value: number, expected: number) => void,
): void {
  const { sourceSigma, brightSigma } = pairConfig.noise, sigma = new Float32Array(width);
  const sums = [0, 1, 2].map(() => new Float32Array(width));
  horizontalSums(image, 0, width, sums[0]);
  sums[2].set(sums[0]); // The row below the first is taken as equal to it.
  for (let y = 0; y < height; y++) {
    horizontalSums(image, Math.min(y + 1, height - 1) * width, width, sums[(y + 1) % 3]);
    interpolateRow(sky, sky.sigma, y, sigma);
    const below = sums[(y + 2) % 3], here = sums[y % 3], above = sums[(y + 1) % 3];
    for (let x = 0, j = y * width; x < width; x++, j++) {
      const value = image[j];
      if (value !== value) continue;
      const smooth = (below[x] + 2 * here[x] + above[x]) / 16;
      const expected = value > brightSigma * sigma[x] ? value
        : smooth > sourceSigma * BINOMIAL_NOISE * sigma[x] ? smooth : 0;
      visit(j, value, expected);
    }
  }
}

/** 1-2-1 sums along a row; a pixel without data counts as sky. */
function horizontalSums(image: Float32Array, start: number, width: number, out: Float32Array): void {
  const at = (x: number): number => {
    const value = image[start + Math.min(Math.max(x, 0), width - 1)];
    return value === value ? value : 0;
  };
  for (let x = 0; x < width; x++) out[x] = at(x - 1) + 2 * at(x) + at(x + 1);
}
