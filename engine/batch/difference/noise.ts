/** Variance of each pixel from the light that is expected there, which its own noise does not move. */
import { interpolateRow, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import { addExpectedLight, type ExpectedLight } from '../../kernels/light.ts';
import { medianOfSample } from '../../stages/difference/statistics.ts';
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
 * @throws PairRefused GAIN_ABSURD when gain or read noise from the command line contradicts the sky's noise, and
 *         VARIANCE_ABSURD when a given variance does.
 */
export function setVariance(source: PairImage, sky: Background): NoiseReport {
  return source.isVarianceGiven ? smoothGiven(source, sky) : fromGain(source, sky);
}

function smoothGiven({ planes, path }: PairImage, sky: Background): NoiseReport {
  const { variance, mask } = planes, blank = maskBits('BAD', 'SAT', 'NO_DATA');
  const slope = varianceSlope(planes, blank), skySigma = median(sky.sigma);
  const typical = typicalOf(variance, mask, blank), ratio = typical / skySigma ** 2;
  const { absurdVarianceRatio } = pairConfig.noise;
  if (!(ratio <= absurdVarianceRatio && ratio >= 1 / absurdVarianceRatio)) {
    throw new PairRefused('VARIANCE_ABSURD', `${path}: the given variance of ${typical.toPrecision(4)} is ` +
      `${ratio.toPrecision(3)} times the ${(skySigma ** 2).toPrecision(4)} that the sky's pixels show, ` +
      `1/${absurdVarianceRatio} … ${absurdVarianceRatio} accepted`);
  }
  const isFollowing = slope > pairConfig.noise.slopeShareMin * (typical / skySigma ** 2);
  if (isFollowing) {
    // A slope that does not hold for a pixel must not turn its variance around.
    addLight(planes, sky, { own: -slope, perLight: slope, shareMin: 0.2 });
  }
  return {
    source: isFollowing ? 'given, smoothed' : 'given', gain: isFollowing ? 1 / slope : null, readNoise: null,
    skyLevel: 0, skySigma, varianceRatio: ratio, notes: [],
  };
}

function typicalOf(variance: Float32Array, mask: Uint16Array, blank: number): number {
  return medianOfSample(variance, mask, blank);
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
    notes.push(source.gain === null ? `${source.path}: no gain above 0 in header or options; the noise is the sky's own`
      : `${source.path}: gain ${source.gain} and read noise ${readNoise} give ${varianceRatio.toPrecision(3)} ` +
        'times the variance that the sky shows; the sky is believed');
    const row = new Float32Array(width);
    for (let y = 0; y < sky.height; y++) {
      interpolateRow(sky, sky.sigma, y, row);
      for (let x = 0; x < width; x++) variance[y * width + x] = row[x] * row[x];
    }
  }
  if (gain !== null) addLight(source.planes, sky, { own: 0, perLight: 1 / gain, shareMin: 0 });
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
  if (!source.isNoiseOption || !(isTooNoisy || isTooQuiet)) return;
  throw new PairRefused('GAIN_ABSURD',
    `${source.path}: a gain of ${source.gain} and read noise of ${source.readNoise ?? 0} make the variance of a sky of ${skyLevel.toPrecision(4)} ` +
    `${ratio.toPrecision(3)} times the ${(skySigma ** 2).toPrecision(4)} that its pixels show`);
}

/**
 * Adds to the variance what the pixel's own value and the light expected there say: 0 in the sky, the binomial mean of
 * 3 × 3 pixels where that is significant, the pixel's own value where it is bright.
 */
function addLight(
  { image, variance, width, height }: MaskedImage, sky: Background,
  change: Pick<ExpectedLight, 'own' | 'perLight' | 'shareMin'>,
): void {
  const { sourceSigma, brightSigma } = pairConfig.noise;
  addExpectedLight(image, variance, width, height, sky, sky.sigma, {
    ...change, brightSigma, sourceSigma: sourceSigma * BINOMIAL_NOISE,
  });
}
