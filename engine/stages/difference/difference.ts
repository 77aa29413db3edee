/** The difference stage: template warped, matched to the visit, subtracted, and the noise made white. */
import { StageError } from '../../errors.ts';
import { addScaled, scalePlane, subtractPolynomial } from '../../kernels/arithmetic.ts';
import { convolveByCell, convolveConstant } from '../../kernels/convolve.ts';
import { differenceVariance } from '../../kernels/difference.ts';
import { blankMasked, subtractMatched } from '../../kernels/match.ts';
import { smoothSeparable } from '../../kernels/smooth.ts';
import { spreadMask } from '../../kernels/spread.ts';
import type { FluxNoise } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import {
  asProduct, type DifferenceImage, type MaskedImage, type MatchedTemplate, type Template, type VisitImage,
  type WarpedTemplate,
} from '../../image/maskedImage.ts';
import { evaluatePsf, FWHM_PER_SIGMA, type PsfModel } from '../../image/psf.ts';
import type { Wcs } from '../../image/wcs.ts';
import type { DifferenceConfig } from './config.ts';
import {
  fluxNoiseFactor, identityWhitening, interpolationPower, noisePowerOf, psfErrorFactor, whitenedSpread, whiteningOf,
  type NoisePower, type Whitening,
} from './decorrelate.ts';
import { listStamps, residualFraction, type StampRecord } from './diagnostics.ts';
import { evaluateKernel, fitMatchingKernel, type KernelFit, type MatchingKernel } from './kernelFit.ts';
import { psfThroughConstant, psfThroughKernel, psfThroughLocal } from './psfOfDifference.ts';
import { measureDisplacement, type Displacement } from './register.ts';
import { termDegrees } from './polynomial.ts';
import { chooseStamps, markUnusable, stampFwhmPx, type StampChoice } from './stamps.ts';
import { medianOfSample, significanceMoments } from './statistics.ts';
import {
  addRegistrationVariance, convolvePlanes, differenceNoise, fitCellBackground, kernelReachPx, markEdge,
  varianceSlope,
} from './subtract.ts';
import { warpTemplate, type WarpResult } from './warp.ts';
import { localWhitening, termsAt, WHOLE, type LocalWhitening } from './whitenLocally.ts';

export type DifferenceInputs = Readonly<{
  visitImage: VisitImage; visitPsf: PsfModel; visitWcs: Wcs;
  template: Template; templateWcs: Wcs;
}>;

/** Planes of the visit's size, all overwritten: the products lie in the first three. */
export type DifferenceBuffers = Readonly<{
  /** `convolved` may be the template's own planes where they have this size; it is then lost. */
  warpedTemplate: MaskedImage; convolved: MaskedImage; scratch: Float32Array;
  /** [height × width] */
  unusable: Uint8Array;
}>;

export type DifferenceResult = Readonly<{
  difference: DifferenceImage;
  matchedTemplate: MatchedTemplate;
  /** The plane of the buffers that holds nothing any more, [height × width]. */
  freePlane: Float32Array;
  /** PSF of the difference, and of the matched template. */
  differencePsf: PsfModel; matchedTemplatePsf: PsfModel;
  /** Factor on the error of a PSF flux of the matched template, whose pixels correlate, over its variance plane's. */
  templateNoiseFactor: number;
  /** What a PSF flux of the difference has of the noise of both images beside that of its pixels. */
  fluxNoise: FluxNoise;
  kernel: MatchingKernel;
  /** Every place that was looked at for the kernel. */
  stamps: readonly StampRecord[];
  convolved: 'template' | 'science';
  figures: Readonly<Record<string, number>>;
}>;

/** Pixels that mean nothing in a difference: nothing is computed from them. */
const BLANK = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE');
const NO_DATA = maskBits('NO_DATA');
/** What of the visit's mask a difference keeps; DETECTED belongs to the visit. */
const KEPT = 0xffff & ~maskBits('DETECTED', 'DETECTED_NEGATIVE');
/** Template pixels whose loss the kernel spreads. */
const SPREAD = maskBits('BAD', 'NO_DATA', 'SAT_TEMPLATE');
/** Autocorrelation of noise that no interpolation has touched. */
const WHITE = Float64Array.of(1);
/** Reach of the kernel's body: at a border the sky beyond is missed to this share of a neighbour's flux. */
const EDGE_SHARE = 0.005;

/**
 * visitImage − matchedTemplate in the visit's unit, with its noise white, its variance, its mask and its PSF.
 *
 * Whichever image has the narrower PSF is convolved. When that is the visit, the template stays as it is and the
 * difference is scaled back to the visit's fluxes.
 *
 * @throws StageError TEMPLATE_COVERAGE_TOO_SMALL, KERNEL_STARS_TOO_FEW, BAD_SUBTRACTION.
 */
export function differenceImages(
  inputs: DifferenceInputs, buffers: DifferenceBuffers, config: DifferenceConfig,
): DifferenceResult {
  const { visitImage } = inputs, { unusable } = buffers;
  const { warp, choice, widths, displacement } = registeredTemplate(inputs, buffers, config);
  const isTemplateSharper = widths.template <= widths.visit * config.convolveScienceRatio;
  const sharper = isTemplateSharper ? warp.warped : visitImage, other = isTemplateSharper ? visitImage : warp.warped;
  const fit = fitMatchingKernel(
    sharper, other, unusable, choice.fitted, blurSigmaPx(widths.template, widths.visit), config.kernel,
    config.kernelStars, isTemplateSharper ? 0 : config.kernelNoiseRemoved,
  );
  const { kernel } = fit, middle = new Float32Array(kernel.size ** 2);
  evaluateKernel(kernel, (visitImage.width - 1) / 2, (visitImage.height - 1) / 2, middle);
  const typicalSharper = typicalVariance(sharper), typicalOther = typicalVariance(other);
  const power = isTemplateSharper
    ? noisePowerOf(middle, kernel.size, warp.noiseX, warp.noiseY) : noisePowerOf(middle, kernel.size, WHITE, WHITE);
  const powerY = isTemplateSharper ? interpolationPower(WHITE, WHITE) : interpolationPower(warp.noiseX, warp.noiseY);
  const halfSize = config.decorrelationHalfSizePx, isLocal = !isTemplateSharper && kernel.order > 0;
  const whitening = whiteningOf(power, powerY, typicalOther, typicalSharper, halfSize, isLocal ? WHOLE : undefined);
  const local = isLocal ? localWhitening(kernel, powerY, typicalOther, typicalSharper, halfSize) : null;
  const scale = isTemplateSharper ? 1 : 1 / kernel.sum;
  const { matched, raw, background } = isTemplateSharper
    ? subtractMatchedTemplate(visitImage, warp.warped, kernel, middle, power.variance, buffers, config)
    : subtractFromMatchedVisit(
      visitImage, warp.warped, kernel, middle, noiseShares(kernel, middle, power, whitening, config), buffers, config,
    );
  if (displacement !== null) allowForScatter(displacement, matched, raw, config.registration.scatterMinPx);
  const { difference, freePlane } = config.isDecorrelated
    ? whiten(raw, whitening, local, buffers.scratch) : { difference: raw, freePlane: buffers.scratch };
  blankMasked(difference, NO_DATA);
  const matchedTemplatePsf = isTemplateSharper ? inputs.visitPsf : psfThroughKernel(inputs.visitPsf, kernel);
  const differencePsf = config.isDecorrelated
    ? whitenedPsf(matchedTemplatePsf, whitening, local) : matchedTemplatePsf;
  const figures = {
    coverageFraction: warp.coverageFraction, isScienceConvolved: isTemplateSharper ? 0 : 1,
    kernelSum: kernel.sum, kernelSpatialOrder: kernel.order,
    displacementPx: displacement?.rmsPx ?? 0, displacementResidualPx: displacement?.residualPx ?? 0,
    starScatterXPx: displacement?.scatterXPx ?? 0, starScatterYPx: displacement?.scatterYPx ?? 0,
    visitFwhmPx: widths.visit, templateFwhmPx: widths.template, ...fitFigures(fit, choice),
    backgroundDifferenceNJy: background[0] * scale, whitenedVarianceRatio: whitening.varianceRatio,
    backgroundChi2: backgroundChi2(difference),
  };
  requireSubtraction(figures, config);
  return {
    difference: asProduct('differenceImage', difference), matchedTemplate: asProduct('matchedTemplate', matched),
    freePlane,
    differencePsf, matchedTemplatePsf,
    templateNoiseFactor: isTemplateSharper
      ? psfErrorFactor(power, middlePsf(inputs.visitPsf), inputs.visitPsf.size) : 1,
    fluxNoise: fluxNoiseOver(
      config.isDecorrelated ? whitening : identityWhitening(power), power, powerY, differencePsf,
      isTemplateSharper ? null : scale,
    ),
    kernel, stamps: listStamps(fit, choice), convolved: isTemplateSharper ? 'template' : 'science', figures,
  };
}

/**
 * What the variance planes of the visit and of the matched template, as they are given out, count more in a PSF flux
 * than in a pixel of the difference.
 *
 * @param scale Factor from the template's flux scale to the difference's where the visit was convolved; null where the
 *              template was.
 */
function fluxNoiseOver(
  whitening: Whitening, power: NoisePower, powerY: Float64Array, psf: PsfModel, scale: number | null,
): FluxNoise {
  const stamp = middlePsf(psf), { varianceRatio, factorX, factorY } = whitening;
  const x = fluxNoiseFactor(whitening, power.power, stamp, psf.size);
  const y = fluxNoiseFactor(whitening, powerY, stamp, psf.size);
  return scale === null
    ? { visit: y - varianceRatio, template: x / power.variance - varianceRatio }
    : { visit: scale * scale * (x - factorX), template: y - factorY };
}

type PsfWidths = Readonly<{ visit: number; template: number }>;

type RegisteredTemplate = Readonly<{
  warp: WarpResult; choice: StampChoice; widths: PsfWidths; displacement: Displacement | null;
}>;

/** The template on the visit's pixels and the stamps, warped again where stars show that it lies beside the visit. */
function registeredTemplate(
  { template, templateWcs, visitImage, visitWcs }: DifferenceInputs, buffers: DifferenceBuffers,
  config: DifferenceConfig,
): RegisteredTemplate {
  const marginPx = config.kernel.halfSizePx + config.kernelStars.stampHalfSizePx, { unusable } = buffers;
  const choose = (warp: WarpResult): StampChoice => {
    markUnusable(visitImage, warp.warped, config.kernel.halfSizePx >> 1, unusable);
    return chooseStamps(visitImage, warp.warped, unusable, marginPx, config.kernelStars, buffers.scratch);
  };
  const warp = warpTemplate(template, templateWcs, visitWcs, buffers.warpedTemplate, config.warp);
  const choice = choose(warp), widths = psfWidths(visitImage, warp.warped, choice);
  const windowPx = Math.max(widths.visit, widths.template) / FWHM_PER_SIGMA;
  const displacement = choice.kind === 'stars'
    ? measureDisplacement(visitImage, warp.warped, choice.stamps, windowPx, config.registration) : null;
  if (displacement === null || displacement.rmsPx < config.registration.displacementMinPx) {
    return { warp, choice, widths, displacement };
  }
  const again = warpTemplate(template, templateWcs, visitWcs, buffers.warpedTemplate, config.warp, displacement);
  return { warp: again, choice: choose(again), widths, displacement };
}

function middlePsf(psf: PsfModel): Float32Array {
  const stamp = new Float32Array(psf.size * psf.size);
  evaluatePsf(psf, (psf.width - 1) / 2, (psf.height - 1) / 2, stamp);
  return stamp;
}

function psfWidths(visit: MaskedImage, warped: WarpedTemplate, choice: StampChoice): PsfWidths {
  const level = ({ image, mask }: MaskedImage): number => medianOfSample(image, mask, BLANK);
  return {
    visit: stampFwhmPx(visit, choice.stamps, level(visit)), template: stampFwhmPx(warped, choice.stamps, level(warped)),
  };
}

/** Width of the Gaussian that turns one PSF into the other; half of the wider one at least, when they are alike. */
function blurSigmaPx(a: number, b: number): number {
  const wider = Math.max(a, b) / FWHM_PER_SIGMA, narrower = Math.min(a, b) / FWHM_PER_SIGMA;
  const blur = Math.sqrt(Math.max(0, wider * wider - narrower * narrower));
  return Number.isFinite(blur) ? Math.max(blur, wider / 2) : 1;
}

function typicalVariance(planes: MaskedImage): number {
  return medianOfSample(planes.variance, planes.mask, BLANK);
}

/** The matched template, and the difference before its noise is made white. */
type Subtraction = Readonly<{ matched: MaskedImage; raw: MaskedImage; background: Float64Array }>;

/** D = visit − (K ⊗ template) − background. Of the warped template nothing is left. */
function subtractMatchedTemplate(
  visit: VisitImage, warped: WarpedTemplate, kernel: MatchingKernel, middle: Float32Array, convolvedVariance: number,
  { convolved: matched }: DifferenceBuffers, config: DifferenceConfig,
): Subtraction {
  const difference: MaskedImage = warped;
  convolvePlanes(warped, kernel, middle.map((value) => value * value), convolvedVariance, matched);
  matched.mask.set(warped.mask);
  const reach = kernelReachPx(middle, kernel.size, config.maskSpreadFraction);
  spreadMask(warped.mask, visit.width, visit.height, SPREAD, reach, matched.mask);
  const background = subtractLevelled(
    visit, { a: visit.image, b: matched.image, factor: 1, scale: 1, mask: matched.mask }, kernel, difference, config,
  );
  markEdge(difference.mask, visit.width, visit.height, kernelReachPx(middle, kernel.size, EDGE_SHARE));
  const slope = varianceSlope(visit, BLANK | maskBits('CR'));
  differenceVariance(
    visit.variance, matched.variance, difference.image, visit.width, visit.height, differenceNoise(slope),
    difference.variance,
  );
  blankMasked(matched, NO_DATA);
  return { matched, raw: difference, background };
}

/** How the noise of the visit's and the template's pixels comes to be in the difference. */
type NoiseShares = Readonly<{ spread: Float32Array; visit: number; template: number }>;

/**
 * When the visit is the convolved image its noise is the larger one, and what φ will make of it counts: the variance is
 * that of the whitened difference, divided by what `whiten` multiplies it with.
 */
function noiseShares(
  kernel: MatchingKernel, middle: Float32Array, power: NoisePower, whitening: Whitening, config: DifferenceConfig,
): NoiseShares {
  if (!config.isDecorrelated) return { spread: middle.map((value) => value * value), visit: power.variance, template: 1 };
  return {
    spread: whitenedSpread(middle, kernel.size, whitening), visit: whitening.factorX / whitening.varianceRatio,
    template: whitening.factorY / whitening.varianceRatio,
  };
}

/** D = (K ⊗ visit + background − template) / ΣK. The background is in the template's flux scale. */
function subtractFromMatchedVisit(
  visit: VisitImage, warped: WarpedTemplate, kernel: MatchingKernel, middle: Float32Array, noise: NoiseShares,
  { convolved: difference }: DifferenceBuffers, config: DifferenceConfig,
): Subtraction {
  const matched: MaskedImage = warped;
  const scale = 1 / kernel.sum, reach = kernelReachPx(middle, kernel.size, config.maskSpreadFraction);
  convolvePlanes(visit, kernel, noise.spread, noise.visit, difference);
  for (const planes of [matched, difference]) {
    scalePlane(planes.image, scale);
    scalePlane(planes.variance, scale * scale);
  }
  addScaled(difference.variance, matched.variance, noise.template);
  difference.mask.set(matched.mask);
  spreadMask(visit.mask, visit.width, visit.height, maskBits('BAD', 'SAT', 'NO_DATA'), reach, difference.mask);
  const background = subtractLevelled(
    visit, { a: matched.image, b: difference.image, factor: -1, mask: difference.mask, scale: -scale }, kernel,
    difference, config,
  );
  markEdge(difference.mask, visit.width, visit.height, kernelReachPx(middle, kernel.size, EDGE_SHARE));
  return { matched, raw: difference, background };
}

/**
 * A difference is factor × (a − b); `mask` is what the template and the kernel's reach give it, `scale` what its
 * background is over the kernel's.
 */
type Subtracted = Readonly<{ a: Float32Array; b: Float32Array; factor: number; scale: number; mask: Uint16Array }>;

/**
 * Image and mask of the difference, without the background fitted at the stamps and what clipped cells of the whole
 * difference still show. Returns the background's coefficients in the kernel's flux scale.
 */
function subtractLevelled(
  visit: VisitImage, { a, b, factor, scale, mask: matchedMask }: Subtracted, kernel: MatchingKernel, difference: MaskedImage,
  config: DifferenceConfig,
): Float64Array {
  const { image, mask, width, height } = difference;
  subtractMatched({
    width, height, visit, kept: KEPT, noData: NO_DATA, matchedMask, a, b, factor, blank: BLANK, out: difference,
    coefficients: kernel.background.map((value) => value * scale), degrees: termDegrees(kernel.backgroundOrder),
  });
  if (config.backgroundOrder < 0) return kernel.background;
  const rest = fitCellBackground(
    image, mask, width, height, BLANK | maskBits('EDGE', 'CR'), config.backgroundCellPx, config.backgroundOrder,
  );
  subtractPolynomial(image, width, height, rest, termDegrees(config.backgroundOrder), mask, BLANK);
  return kernel.background.map((value, k) => value + (k < rest.length ? rest[k] / scale : 0));
}

/** Tells the variance of the difference how far single stars lie off the registration, where that is more than noise. */
function allowForScatter(
  { scatterXPx, scatterYPx }: Displacement, matchedTemplate: MaskedImage, difference: MaskedImage, scatterMinPx: number,
): void {
  if (Math.hypot(scatterXPx, scatterYPx) < scatterMinPx) return;
  const { image, width, height } = matchedTemplate;
  addRegistrationVariance(image, width, height, scatterXPx, scatterYPx, difference.variance);
}

function whitenedPsf(psf: PsfModel, { kernel, size }: Whitening, local: LocalWhitening | null): PsfModel {
  return local === null ? psfThroughConstant(psf, kernel, size) : psfThroughLocal(psf, local);
}

/**
 * The difference with its image in the plane that was free, and the plane that is free now. Where φ is local the noise
 * it leaves is everywhere what it is in the middle.
 */
function whiten(
  { image, variance, mask, width, height }: MaskedImage, whitening: Whitening, local: LocalWhitening | null,
  free: Float32Array,
): { difference: MaskedImage; freePlane: Float32Array } {
  if (local === null && whitening.bowl !== null) {
    smoothSeparable(image, mask, 0, width, height, whitening.bowl.taps, free, whitening.bowl.core);
  } else if (local === null) convolveConstant(image, width, height, whitening.size, whitening.kernel, free);
  else {
    const { size, terms } = local;
    convolveByCell(image, width, height, size, { terms, weightsAt: (x, y, out) => termsAt(local, x, y, out) }, free);
  }
  scalePlane(variance, whitening.varianceRatio);
  return { difference: { image: free, variance, mask, width, height }, freePlane: image };
}

/** Square of the robust scatter of difference over noise, which sources do not move. */
function backgroundChi2(difference: MaskedImage): number {
  const { image, variance, mask } = difference;
  return significanceMoments(image, variance, mask, BLANK | maskBits('EDGE')).scatter ** 2;
}

function fitFigures(
  fit: KernelFit, choice: StampChoice,
): Readonly<Record<string, number>> & Readonly<{ stampChi2: number; stampCandidates: number }> {
  return {
    stampsAreTiles: choice.kind === 'tiles' ? 1 : 0, stampCandidates: choice.candidateCount,
    stampsMasked: choice.maskedCount, stampsCrowded: choice.crowdedCount, stampsUsed: fit.stampsUsed,
    stampsRejected: fit.stampsRejected, stampsEmpty: fit.stampsEmpty, stampIterations: fit.iterationCount,
    stampChi2: fit.stampChi2Median, stampResidualFraction: residualFraction(fit.stamps),
  };
}

function requireSubtraction(
  figures: Readonly<{ stampChi2: number; backgroundChi2: number; stampCandidates: number }>, config: DifferenceConfig,
): void {
  const { stampChi2, backgroundChi2: chi2 } = figures;
  const isBackgroundGood = chi2 >= config.backgroundChi2Min && chi2 <= config.backgroundChi2Max;
  if (stampChi2 <= config.stampChi2Max && isBackgroundGood) return;
  throw new StageError({
    code: 'BAD_SUBTRACTION',
    message: `χ² a pixel is ${stampChi2.toFixed(2)} at the kernel's stamps and ${chi2.toFixed(2)} in the background; ` +
      `at most ${config.stampChi2Max}, and ${config.backgroundChi2Min} … ${config.backgroundChi2Max}, are ` +
      `accepted; ${figures.stampCandidates} sources are bright in both images`,
    disposition: 'reject', // The same pixels will subtract as badly.
    details: {
      stampChi2, stampChi2Max: config.stampChi2Max, backgroundChi2: chi2, stampCandidates: figures.stampCandidates,
      backgroundChi2Min: config.backgroundChi2Min, backgroundChi2Max: config.backgroundChi2Max,
    },
  });
}
