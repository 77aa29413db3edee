/** Point sources of one image by the matched filter of its PSF. */
import { StageError } from '../errors.ts';
import { interpolateRow, type Background } from '../image/background.ts';
import { maskBits } from '../image/maskPlanes.ts';
import { asProduct, type MaskedImage } from '../image/maskedImage.ts';
import { effectiveAreaPx, evaluatePsf, FWHM_PER_SIGMA, psfFwhmPx, type PsfModel } from '../image/psf.ts';
import { buildPsf } from '../image/psfFit.ts';
import { createPsfFitter } from '../image/psfPhotometry.ts';
import { findStars } from '../stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../stages/calibrate/config.ts';
import { detectDefaults } from '../stages/detect/config.ts';
import { detectSources, type Detection } from '../stages/detect/detect.ts';
import { SOURCE_FLAGS } from '../stages/extract/extract.ts';
import { measureDefaults } from '../stages/measure/config.ts';
import { adaptiveMoments } from '../kernels/shapes.ts';
import type { CatalogRow } from './detectCatalog.ts';
import type { AnyImage } from './detectImage.ts';
import type { Steps } from './imageCommand.ts';

export const MATCHED_COLUMNS = ['x', 'y', 'flux', 'fluxErr', 'snr', 'a', 'b', 'theta', 'flags', 'xErr', 'yErr'];
/** Beside `SOURCE_FLAGS`: the fit of the PSF left the peak; position and flux are those of the filter. */
const FLAG_NOT_FITTED = 32;
/**
 * Seeing with which the search for stars begins, pixels: images are mostly sampled with 2 to 6, and a factor of 3 off
 * still finds them.
 */
const GUESS_FWHM_PX = 3.5;

export type MatchedResult = Readonly<{ rows: readonly CatalogRow[]; figures: Readonly<Record<string, number>> }>;

/**
 * The sky comes off, a PSF is fitted to the stars unless the file has one, and the peaks of the filter's SNR are fitted.
 *
 * @param source image and mask are changed.
 * @throws StageError (reject): STARS_TOO_FEW, PSF_STARS_TOO_FEW, BACKGROUND_UNKNOWN.
 */
export function detectMatched(source: AnyImage, thresholdSigma: number, steps: Steps): MatchedResult {
  const { width, height, image, mask } = source, [score, ...scratch] = source.work.scratch;
  if (source.saturation !== null) markFrom(image, mask, source.saturation);
  const config = { ...calibrateConfig, guessSeeingArcsec: GUESS_FWHM_PX };
  const { sky, skyElectrons: level, fwhmPx, stars } = steps.run('stars', () => (
    findStars({ width, height, image, mask }, 1, config, { smooth: scratch[0], work: scratch[1] })
  ));
  const variance = source.variance ?? fillVariance(source.work.variance, sky);
  const planes: MaskedImage = { width, height, image, mask, variance };
  const psf = source.psf ?? steps.run('psf', () => psfOfStars(planes, stars, fwhmPx));
  const found = steps.run('detect', () => detectSources(
    asProduct('differenceImage', planes), psf, score,
    // The scatter of the score is that of the sources in any image but a difference; the sky tells the noise itself.
    { ...detectDefaults, thresholdSigma, isVarianceScaled: false },
  ));
  const positive = found.detections.filter(({ isNegative }) => !isNegative);
  const gain = source.variance === null ? source.gain : null;
  const rows = steps.run('measure', () => positive.map(rowMaker(planes, psf, gain)));
  return {
    rows, figures: {
      sources: rows.length, backgroundLevel: level, backgroundRms: medianSigma(sky),
      psfFwhmPx: psfFwhmPx(psf, width / 2, height / 2),
    },
  };
}

function psfOfStars(planes: MaskedImage, stars: Parameters<typeof buildPsf>[1], fwhmPx: number): PsfModel {
  const result = buildPsf(planes, stars, fwhmPx, calibrateConfig.psf);
  if (result !== null) return result.psf;
  throw new StageError({
    code: 'PSF_STARS_TOO_FEW', stage: 'detect', disposition: 'reject',
    message: `too few stars for the PSF among ${stars.length}, ${calibrateConfig.psf.starCountMin} required`,
  });
}

function markFrom(image: Float32Array, mask: Uint16Array, saturation: number): void {
  const bit = maskBits('SAT');
  for (let i = 0; i < image.length; i++) if (image[i] >= saturation) mask[i] |= bit;
}

/** The sky's variance: a source's own noise is left out, as it would make faint neighbours of it count less. */
function fillVariance(variance: Float32Array, sky: Background): Float32Array {
  const { width, height } = sky, row = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    interpolateRow(sky, sky.sigma, y, row);
    for (let x = 0; x < width; x++) variance[y * width + x] = row[x] * row[x];
  }
  return variance;
}

function medianSigma({ sigma }: Background): number {
  return Float32Array.from(sigma).sort()[sigma.length >> 1];
}

/** Position and flux by a fit of the PSF, shape by adaptive moments; the filter's own values where a fit fails. */
function rowMaker(
  planes: MaskedImage, psf: PsfModel, gain: number | null,
): (detection: Detection) => CatalogRow {
  const { width, height, mask } = planes, fitter = createPsfFitter(planes, psf);
  const fwhmPx = psfFwhmPx(psf, width / 2, height / 2), radius = calibrateConfig.psf.fitRadiusFwhm * fwhmPx;
  const stamp = new Float32Array(psf.size * psf.size), reach = Math.ceil(fwhmPx);
  return (detection) => {
    const fit = fitter.fit(detection.x, detection.y, radius, null);
    const { x, y } = fit ?? detection, place = detection.y * width + detection.x;
    evaluatePsf(psf, x, y, stamp);
    const own = ownNoise(stamp, psf.size, radius), filterErr = Math.sqrt(planes.variance[place] * effectiveAreaPx(stamp));
    const flux = fit?.flux ?? detection.snr * filterErr, skyErr = fit?.fluxErr ?? filterErr;
    const photons = gain === null ? 0 : Math.max(flux, 0) / gain;
    const fluxErr = Math.sqrt(skyErr * skyErr + photons * own.flux);
    const along = (err: number, share: number) => Math.sqrt(err * err + (photons * share) / (flux * flux));
    let bits = 0;
    for (let v = Math.max(0, detection.y - reach); v <= Math.min(height - 1, detection.y + reach); v++) {
      for (let u = Math.max(0, detection.x - reach); u <= Math.min(width - 1, detection.x + reach); u++) {
        bits |= mask[v * width + u];
      }
    }
    const isAtBorder = x < radius || y < radius || x > width - 1 - radius || y > height - 1 - radius;
    return {
      x, y, flux, fluxErr, snr: detection.snr, ...shapeOf(planes, x, y, fwhmPx),
      xErr: fit === null ? NaN : along(fit.xErr, own.x), yErr: fit === null ? NaN : along(fit.yErr, own.y),
      flags: (detection.isBlended ? SOURCE_FLAGS.blended : 0) | (fit === null ? FLAG_NOT_FITTED : 0)
        | ((bits & maskBits('BAD', 'NO_DATA', 'CR')) !== 0 ? SOURCE_FLAGS.crowded : 0)
        | ((bits & maskBits('SAT')) !== 0 ? SOURCE_FLAGS.saturated : 0) | (isAtBorder ? SOURCE_FLAGS.incomplete : 0),
    };
  };
}

/**
 * What a source's own photons add to a fit that weighs all pixels alike: variance of the flux over flux / gain, and of
 * each coordinate over (flux / gain) / flux². For the estimator Σ g d / Σ g², g being the PSF or its slope, that is
 * Σ g² p / (Σ g²)².
 */
function ownNoise(stamp: Float32Array, size: number, radius: number): { flux: number; x: number; y: number } {
  const middle = (size - 1) / 2, reach = Math.min(Math.floor(radius), middle - 1);
  const squares = [0, 0, 0], cubes = [0, 0, 0];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      if (dx * dx + dy * dy > radius * radius) continue;
      const j = (middle + dy) * size + middle + dx, light = Math.max(stamp[j], 0);
      const slopes = [stamp[j], (stamp[j + 1] - stamp[j - 1]) / 2, (stamp[j + size] - stamp[j - size]) / 2];
      slopes.forEach((slope, k) => { squares[k] += slope * slope; cubes[k] += slope * slope * light; });
    }
  }
  const [flux, x, y] = cubes.map((cube, k) => cube / squares[k] ** 2);
  return { flux, x, y };
}

/** NaN where the moments do not converge. */
function shapeOf(planes: MaskedImage, x: number, y: number, fwhmPx: number): { a: number; b: number; theta: number } {
  const start = (fwhmPx / FWHM_PER_SIGMA) ** 2;
  const moments = adaptiveMoments(
    planes.image, planes.width, planes.height, x, y, 1, Math.ceil(2 * fwhmPx), start, measureDefaults,
  );
  if (moments === null) return { a: NaN, b: NaN, theta: NaN };
  const { xx, xy, yy } = moments, half = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy);
  return {
    a: Math.sqrt(half + spread), b: Math.sqrt(Math.max(0, half - spread)),
    theta: (Math.atan2(2 * xy, xx - yy) / 2) * (180 / Math.PI),
  };
}
