/** Builds the template: the mean of the best frames on the reference's pixels, in ADU of the reference. */
import { threadPlaneMemory } from '../../image/planeMemory.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { allocateMaskedImage, asProduct, type MaskedImage, type Template } from '../../image/maskedImage.ts';
import { medianInPlace } from '../../image/median.ts';
import { buildPsf } from '../../image/psfFit.ts';
import type { PsfModel } from '../../image/psf.ts';
import type { Wcs } from '../../image/wcs.ts';
import { differenceDefaults } from '../../stages/difference/config.ts';
import { warpTemplate } from '../../stages/difference/warp.ts';
import { measureBackground } from '../../image/background.ts';
import { measureSeeing } from '../../image/starDetection.ts';
import { seriesConfig } from './config.ts';
import { FrameRejected } from './frame.ts';

/** What decides whether a frame is good enough for the template. */
export type Candidate = Readonly<{ fwhmPx: number; skySigmaAdu: number; fluxRatio: number }>;

/**
 * Indices of the frames for the template, best first: sharp ones, and of those the deep and transparent.
 * Their merit is the signal to noise of a faint star, 1 / (noise on the reference's scale × FWHM).
 */
export function chooseTemplateFrames(frames: readonly Candidate[]): number[] {
  const { frameCountMax, frameCountMin, fwhmRatioMax, noiseRatioMax } = seriesConfig.template;
  const noise = (f: Candidate) => f.skySigmaAdu / f.fluxRatio;
  const sharpest = Math.min(...frames.map((f) => f.fwhmPx)), quietest = Math.min(...frames.map(noise));
  const isGood = (f: Candidate) => f.fwhmPx <= fwhmRatioMax * sharpest && noise(f) <= noiseRatioMax * quietest;
  const order = frames.map((_, index) => index).sort((a, b) => {
    const [f, g] = [frames[a], frames[b]];
    return Number(isGood(g)) - Number(isGood(f)) || noise(f) * f.fwhmPx - noise(g) * g.fwhmPx || a - b;
  });
  const good = frames.filter(isGood).length;
  return order.slice(0, Math.min(frameCountMax, Math.max(good, frameCountMin)));
}

/** A frame on its own pixels, sky subtracted, in ADU of the reference, and where it lies. */
export type TemplateInput = Readonly<{ planes: MaskedImage; wcs: Wcs; weight: number }>;

/**
 * Weighted mean over the frames, cosmic rays left out. Pixels that no frame covers are NO_DATA. Pixels where more than a
 * share of the weight is saturated are SAT: a star whose core came from other frames than its wings has no PSF.
 */
export function combineFrames(
  inputs: readonly TemplateInput[], reference: Wcs, width: number, height: number,
): Template {
  const warped = inputs.map(({ planes, wcs }) => {
    const memory = threadPlaneMemory(10 * (planes.image.length + width * height));
    const { warped: { image, variance, mask } } = warpTemplate(
      asProduct('template', memory.copyOf(planes)), wcs, reference, memory.maskedImage(width, height),
      { ...differenceDefaults.warp, coverageFractionMin: 0 },
    );
    return { width, height, image: image.slice(), variance: variance.slice(), mask: mask.slice() };
  });
  const clipped = warped.length >= 4 ? markCosmicRays(warped) : warped.map(() => null);
  const { saturatedShareMax } = seriesConfig.template;
  const out = allocateMaskedImage(width, height), sat = maskBits('SAT_TEMPLATE'), noData = maskBits('NO_DATA');
  for (let j = 0; j < out.image.length; j++) {
    let weights = 0, sum = 0, variance = 0, saturated = 0;
    for (let i = 0; i < warped.length; i++) {
      const { image, mask, variance: v } = warped[i], weight = inputs[i].weight;
      if ((mask[j] & noData) !== 0 || clipped[i]?.[j] === 1) continue;
      if ((mask[j] & sat) !== 0) { saturated += weight; continue; }
      weights += weight;
      sum += weight * image[j];
      variance += weight * weight * v[j];
    }
    if (weights === 0 && saturated === 0) { out.image[j] = NaN; out.mask[j] = noData; continue; }
    if (saturated > saturatedShareMax * (weights + saturated)) out.mask[j] |= maskBits('SAT');
    out.image[j] = weights > 0 ? sum / weights : 0;
    out.variance[j] = weights > 0 ? variance / (weights * weights) : 1;
  }
  return asProduct('template', out);
}

/**
 * Pixels far above the median of the frames, unless many together: then a star was brighter, which belongs to the
 * template.
 */
function markCosmicRays(warped: readonly MaskedImage[]): Uint8Array[] {
  const { clipSigma, clipLightFraction, clipNeighbourCountMax } = seriesConfig.template;
  const { width, height } = warped[0], n = width * height;
  const flags = warped.map(() => new Uint8Array(n)), values = new Float64Array(warped.length);
  for (let j = 0; j < n; j++) {
    let count = 0;
    for (const { image } of warped) if (Number.isFinite(image[j])) values[count++] = image[j];
    if (count < 4) continue;
    const middle = medianInPlace(values, count);
    for (let i = 0; i < warped.length; i++) {
      const limit = clipSigma * Math.sqrt(warped[i].variance[j]) + clipLightFraction * Math.max(middle, 0);
      if (warped[i].image[j] - middle > limit) flags[i][j] = 1;
    }
  }
  return flags.map((flagged) => {
    const kept = new Uint8Array(n);
    for (let y = 2; y < height - 2; y++) {
      for (let x = 2; x < width - 2; x++) {
        if (flagged[y * width + x] === 0) continue;
        let count = 0;
        for (let v = -2; v <= 2; v++) for (let u = -2; u <= 2; u++) count += flagged[(y + v) * width + x + u];
        if (count <= clipNeighbourCountMax) kept[y * width + x] = 1;
      }
    }
    return kept;
  });
}

/** @throws FrameRejected when the template shows too few stars for a PSF. */
export function templatePsf(
  template: Template,
): { psf: PsfModel; fwhmPx: number; starCount: number; modelError: number } {
  const n = template.width * template.height, memory = threadPlaneMemory(18 * n);
  const planes = memory.copyOf(template), { width, height, image, mask } = planes;
  const sky = measureBackground(image, mask, width, height, maskBits('NO_DATA', 'SAT'), seriesConfig.background);
  if (sky === null) throw new FrameRejected('the template shows no sky');
  const scratch = { smooth: memory.float32(n), work: memory.float32(n) };
  const seeing = measureSeeing(
    image, mask, sky, seriesConfig.guessFwhmPx, seriesConfig.seeingStarCountMin, seriesConfig.stars, scratch,
  );
  const built = seeing && buildPsf(planes, seeing.stars, seeing.fwhmPx, seriesConfig.psf);
  if (!seeing || !built) throw new FrameRejected('the template shows too few stars for a PSF');
  return { psf: built.psf, fwhmPx: seeing.fwhmPx, starCount: built.stars.length, modelError: built.modelError };
}
