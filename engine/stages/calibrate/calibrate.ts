/** From electrons to a calibrated visit image: sky subtracted, PSF, WCS and fluxes in nJy. */
import { abMagOfNJy } from '../../../schemas/units.ts';
import { StageError } from '../../errors.ts';
import { scalePlane } from '../../kernels/arithmetic.ts';
import { measureBackground, subtractBackground, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { asProduct, type PostIsrImage, type VisitImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import { FWHM_PER_SIGMA, psfFwhmPx, psfShape, type PsfModel } from '../../image/psf.ts';
import { buildPsf, isOneStar, type PsfResult } from '../../image/psfFit.ts';
import { createPsfFitter } from '../../image/psfPhotometry.ts';
import type { ReferenceStar } from '../../image/references.ts';
import type { RankedPoint } from '../../image/starMatch.ts';
import {
  indexOf, markSources, seeingOf, starsOfPeaks, usualSize, type DetectionScratch, type Star,
} from '../../image/starDetection.ts';
import { pixelScaleArcsec, pixelToSky, type Wcs } from '../../image/wcs.ts';
import { fitWcs, type AstrometricFit, type MeasuredStar } from './astrometry.ts';
import type { CalibrateConfig } from './config.ts';
import { fitZeroPoint, type PhotometricCalibration } from './zeroPoint.ts';

/** A star of the image, calibrated: nJy, degrees, pixels. */
export type CalibratedStar = MeasuredStar & Readonly<{
  raDeg: number; decDeg: number;
  /** The reference that it was matched to. */
  refId: string | null;
}>;

export type Calibrated = Readonly<{
  visitImage: VisitImage;
  wcs: Wcs;
  psf: PsfModel;
  photometry: PhotometricCalibration;
  /** Stars with a PSF fit, brightest first; flux and fluxErr in nJy. */
  stars: readonly CalibratedStar[];
  figures: Readonly<Record<string, number>>;
}>;

/** Runs a step of a stage; whoever wants to know how long it takes hands in a runner with a clock. */
export type StepRunner = <T>(step: string, work: () => T) => T;

/**
 * @param postIsr  Electrons; its planes are changed in place and become the visit image.
 * @param nominal  WCS from the commanded pointing.
 * @param references Of the region, for the exposure's band.
 * @param scratch  Two planes of the image's size; contents destroyed.
 * @throws StageError (reject): BACKGROUND_UNKNOWN, STARS_TOO_FEW, PSF_STARS_TOO_FEW, WCS_STARS_TOO_FEW,
 *         WCS_STARS_TOO_CLOSE, ZERO_POINT_STARS_TOO_FEW, ZERO_POINT_SCATTERED.
 */
export function calibrate(
  postIsr: PostIsrImage, nominal: Wcs, references: readonly ReferenceStar[], exposureSeconds: number,
  config: CalibrateConfig, scratch: DetectionScratch, run: StepRunner = (_, work) => work(),
): Calibrated {
  const { width, height } = postIsr;
  const found = run('stars', () => findStars(postIsr, pixelScaleArcsec(nominal), config, scratch));
  const { fwhmPx, stars } = found;
  const psf = run('psf', () => buildPsf(postIsr, stars, fwhmPx, config.psf));
  if (psf === null) throw tooFew(
    'PSF_STARS_TOO_FEW', 'stars for the PSF', `of ${stars.length} found fewer than ${config.psf.starCountMin} serve`,
  );
  const measured = run('measure', () => measureStars(postIsr, stars, psf, fwhmPx, config));
  const astrometry = run('astrometry', () => (
    fitWcs(measured, anchorsOf(stars), references, nominal, width, height, config.astrometry)
  ));
  const photometry = run('photometry', () => fitZeroPoint(astrometry.pairs, exposureSeconds, config.photometry));
  run('scale', () => {
    scalePlane(postIsr.image, photometry.nJyPerElectron);
    scalePlane(postIsr.variance, photometry.nJyPerElectron ** 2);
  });
  return {
    visitImage: asProduct('visitImage', postIsr), wcs: astrometry.wcs, psf: psf.psf, photometry,
    stars: calibratedStars(measured, astrometry, photometry.nJyPerElectron),
    figures: figuresOf(astrometry, photometry, psf, found),
  };
}

/**
 * Sky and stars: a first background, the sources seen over it masked, a second background from what is left, and the
 * stars over that. The image is left background subtracted, its mask with DETECTED.
 */
export function findStars(
  planes: Pick<PostIsrImage, 'width' | 'height' | 'image' | 'mask'>, pixelScale: number, config: CalibrateConfig,
  scratch: DetectionScratch,
): { sky: Background; skyElectrons: number; fwhmPx: number; stars: Star[] } {
  const { width, height, image, mask } = planes;
  const unusable = maskBits('BAD', 'NO_DATA', 'SAT');
  const isLarge = width * height > config.wholeSkyPixelsMax;
  const mesh = { ...config.background, bumpSigma: config.bumpSigma };
  const first = requireBackground(measureBackground(image, mask, width, height, unusable, {
    ...mesh, rowStep: isLarge ? config.firstRowStep : 1,
  }));
  const guess = Math.max(2, config.guessSeeingArcsec / pixelScale);
  // The image keeps its sky until that is known well, so that it comes off once.
  const source = { image, mask, sky: first, level: first.level };
  const seeingPx = seeingOf(source, guess, config.seeingStarCountMin, config.stars, scratch);
  if (seeingPx === null) throw tooFew(
    'STARS_TOO_FEW', 'stars to tell the seeing', `fewer than ${config.seeingStarCountMin} found`,
  );
  const { sourceMaskSigma, sourceMaskGrowthFwhm } = config;
  const peaks = markSources(source, seeingPx, sourceMaskSigma, sourceMaskGrowthFwhm, config.stars, scratch);
  // In a crowded field hardly a pixel is free of stars; the first, clipped background then has to do.
  const sky = measureBackground(image, mask, width, height, unusable | maskBits('DETECTED'), {
    ...mesh, rowStep: isLarge ? config.rowStep : 1,
  }) ?? first;
  subtractBackground(image, sky);
  const change = sky.level.map((level, k) => level - first.level[k]);
  const stars = starsOfPeaks(image, mask, sky, change, peaks, seeingPx, config.stars, scratch.smooth);
  const size = usualSize(stars, config.seeingStarCountMin);
  const fwhmPx = size === null ? seeingPx : size * FWHM_PER_SIGMA;
  return { sky, skyElectrons: median(sky.level), fwhmPx, stars };
}

function requireBackground(background: Background | null): Background {
  if (background !== null) return background;
  throw new StageError({
    code: 'BACKGROUND_UNKNOWN', message: 'no part of the image shows the sky',
    stage: 'calibrate', disposition: 'reject',
  });
}

/**
 * PSF fits of the stars that can be fitted, brightest first. Isolated is a star that has no neighbour that was detected,
 * and none under its own core either: one that the model fits about as well as its own stars.
 */
function measureStars(
  planes: PostIsrImage, stars: readonly Star[], { psf, modelError }: PsfResult, fwhmPx: number, config: CalibrateConfig,
): MeasuredStar[] {
  const fitter = createPsfFitter(planes, psf), index = indexOf(stars), measured: MeasuredStar[] = [];
  for (let i = 0; i < stars.length && measured.length < config.measuredStarCountMax; i++) {
    const star = stars[i];
    if (star.isSaturated || star.isBlemished) continue;
    const fit = fitter.fit(star.x, star.y, config.psf.fitRadiusFwhm * fwhmPx, null);
    if (fit === null) continue;
    const isIsolated = isOneStar(fit, modelError + config.blendErrorMax) && index.within(star.x, star.y, 3 * fwhmPx)
      .every((j) => j === i || stars[j].flux < config.isolationFractionMax * star.flux);
    const { x, y, xErr, yErr, flux, fluxErr } = fit;
    measured.push({ x, y, xErr, yErr, flux, fluxErr, isIsolated });
  }
  return measured.sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
}

/** The pattern of the field; saturated stars lie somewhere near their middle. */
function anchorsOf(stars: readonly Star[]): RankedPoint[] {
  return stars.map(({ x, y, errorPx, isSaturated }) => ({ x, y, errorPx: isSaturated ? 1 : errorPx }));
}

function calibratedStars(
  measured: readonly MeasuredStar[], astrometry: AstrometricFit, factor: number,
): CalibratedStar[] {
  const refIds = new Map(astrometry.pairs.map((pair) => [pair.star, pair.reference.refId]));
  return measured.map((star) => ({
    ...star, ...pixelToSky(astrometry.wcs, star.x, star.y), flux: star.flux * factor, fluxErr: star.fluxErr * factor,
    refId: refIds.get(star) ?? null,
  }));
}

type Found = ReturnType<typeof findStars>;

/** Summary statistics of the detector. */
function figuresOf(
  astrometry: AstrometricFit, photometry: PhotometricCalibration, psf: PsfResult, { sky, skyElectrons, stars }: Found,
): Record<string, number> {
  const scale = pixelScaleArcsec(astrometry.wcs), model = psf.psf;
  const x = (model.width - 1) / 2, y = (model.height - 1) / 2;
  const fwhmPx = psfFwhmPx(model, x, y), shape = psfShape(model, x, y);
  return {
    skyElectrons, skySigmaElectrons: median(sky.sigma),
    skyMagPerArcsec2: abMagOfNJy((Math.max(skyElectrons, 1e-3) * photometry.nJyPerElectron) / scale ** 2),
    starCount: stars.length, saturatedStarCount: stars.filter(({ isSaturated }) => isSaturated).length,
    psfStarCount: psf.stars.length, psfModelError: psf.modelError, psfOrder: model.order,
    seeingPx: fwhmPx, seeingArcsec: fwhmPx * scale, psfE1: shape.e1, psfE2: shape.e2,
    psfEllipticity: Math.hypot(shape.e1, shape.e2), pixelScaleArcsec: scale,
    wcsStandardCount: astrometry.pairs.length, wcsRmsMas: astrometry.rmsMas,
    wcsOrder: astrometry.distortionOrder, wcsCornerErrorMas: astrometry.cornerErrorMas,
    pointingErrorArcsec: astrometry.pointingErrorArcsec,
    zeroPointMag: photometry.zeroPointMag, zeroPointErrMag: photometry.zeroPointErrMag,
    zeroPointScatterMag: photometry.scatterMag, zeroPointStandardCount: photometry.standardCount,
    colourTerm: photometry.colourTerm, colourTermErr: photometry.colourTermErr,
  };
}

function tooFew(code: string, what: string, found: string): StageError {
  return new StageError({
    code, stage: 'calibrate', disposition: 'reject', // The same pixels will have the same stars.
    message: `too few ${what}: ${found}`,
  });
}
