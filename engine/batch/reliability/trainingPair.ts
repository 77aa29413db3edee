/** A pair of images through the stages of `vesper difference`, with some of its precautions left out. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import { allocateMaskedImage, asProduct } from '../../image/maskedImage.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { createPlaneMemory } from '../../image/planeMemory.ts';
import type { Wcs } from '../../image/wcs.ts';
import { detectSources } from '../../stages/detect/detect.ts';
import type { DifferenceConfig } from '../../stages/difference/config.ts';
import { differenceImages } from '../../stages/difference/difference.ts';
import { forcedFluxes } from '../../stages/forced/forced.ts';
import { measureSources, type MeasuredDiaSource } from '../../stages/measure/measure.ts';
import type { FeatureInputs } from '../../stages/reliability/features.ts';
import { asVisit, type DetectorId } from '../../../schemas/ids.ts';
import { pairConfig } from '../difference/config.ts';
import type { PairImage } from '../difference/inputs.ts';
import { prepareImage, psfOf, removeDefects } from '../difference/prepare.ts';
import { flattenResidualSky } from '../difference/residualSky.ts';
import { removeSourceShifts } from '../difference/sourceShifts.ts';

/** One image of a pair, in electrons; noise of `1 / gain` electrons² an electron. */
export type TrainingImage = Readonly<{
  /** [side × side] row-major. Read only. */
  image: Float32Array; saturated: Uint8Array; wcs: Wcs; gain: number; readNoise: number;
}>;

/** Precautions left out: each leaves artefacts of its kind. */
export const WEAKNESSES = ['rays', 'registration', 'shifts', 'kernel', 'saturation'] as const;
export type Weakness = (typeof WEAKNESSES)[number];

export type TrainingResult = Readonly<{ rows: readonly MeasuredDiaSource[]; inputs: FeatureInputs }>;

/** @throws StageError, PairRefused when the pair cannot be subtracted. */
export function differenceForTraining(
  science: TrainingImage, template: TrainingImage, side: number, weaknesses: ReadonlySet<Weakness>,
): TrainingResult {
  const has = (weakness: Weakness): boolean => weaknesses.has(weakness);
  const memory = createPlaneMemory(80 * side * side);
  const own = pairImageOf(science, side, 'science', !has('saturation'));
  const other = pairImageOf(template, side, 'template', true);
  const planes = memory.copyOf(own.planes), templatePlanes = memory.copyOf(other.planes);
  const plane = (): MaskedImage => memory.maskedImage(side, side);
  const buffers = {
    warpedTemplate: plane(), convolved: plane(), scratch: memory.float32(side * side),
    unusable: memory.uint8(side * side),
  };
  const labels = new Int32Array(
    buffers.warpedTemplate.variance.buffer, buffers.warpedTemplate.variance.byteOffset, side * side,
  );
  const scratch = { smooth: buffers.scratch, work: buffers.warpedTemplate.image };
  const prepared = prepareImage({ ...own, planes }, scratch);
  prepareImage({ ...other, planes: templatePlanes }, null);
  const stars = prepared.stars;
  if (stars === null) throw new Error('the image was prepared without its stars');
  if (!has('rays')) removeDefects(planes, stars.fwhmPx, labels);
  const { psf } = psfOf(planes, 'science', stars), visitImage = asProduct('visitImage', planes);
  const result = differenceImages({
    visitImage, visitPsf: psf, visitWcs: science.wcs, template: asProduct('template', templatePlanes),
    templateWcs: template.wcs,
  }, buffers, configOf(weaknesses));
  const { starScatterXPx: xPx, starScatterYPx: yPx, whitenedVarianceRatio: varianceRatio } = result.figures;
  if (!has('shifts') && Math.hypot(xPx, yPx) >= pairConfig.difference.registration.scatterMinPx) {
    removeSourceShifts(result.difference, result.matchedTemplate, { xPx, yPx, varianceRatio }, result.freePlane);
  }
  flattenResidualSky(result.difference);
  const { difference, differencePsf, matchedTemplate, matchedTemplatePsf, templateNoiseFactor, fluxNoise } = result;
  const { detections, noiseScale } = detectSources(difference, differencePsf, result.freePlane, pairConfig.detect);
  const measured = measureSources({
    visit: asVisit(20100101_00000), detector: 0 as DetectorId, band: 'r', midpointMjdTai: 0, // In 0 … 255.
    visitImage, visitPsf: psf, visitWcs: science.wcs, noiseScale, difference, differencePsf, matchedTemplate,
    matchedTemplatePsf, templateNoiseFactor, fluxNoise,
  }, detections, (image, model, places) => forcedFluxes(image, model, places, pairConfig.forced), pairConfig.measure);
  return {
    rows: measured.rows,
    inputs: { difference, differencePsf, visitImage, visitPsf: psf, matchedTemplate, noiseScale },
  };
}

function configOf(weaknesses: ReadonlySet<Weakness>): DifferenceConfig {
  const config = pairConfig.difference;
  return {
    ...config,
    ...(weaknesses.has('registration') && {
      registration: { ...config.registration, displacementMinPx: Infinity, scatterMinPx: Infinity },
    }),
    ...(weaknesses.has('kernel') && {
      kernel: { ...config.kernel, spatialOrder: 0 as const, widthRatios: [1], degrees: [2], halfSizePx: 9 },
    }),
    // What is learned from are failures too.
    stampChi2Max: Infinity, backgroundChi2Max: Infinity,
  };
}

function pairImageOf(
  { image, saturated, wcs, gain, readNoise }: TrainingImage, side: number, path: string, isMasked: boolean,
): PairImage {
  const planes = allocateMaskedImage(side, side), bits = maskBits('SAT');
  planes.image.set(image);
  if (isMasked) for (let j = 0; j < saturated.length; j++) if (saturated[j] !== 0) planes.mask[j] = bits;
  return {
    path, planes, isVarianceGiven: false, wcs, projection: 'RA---TAN', unit: 'electron', gain, isNoiseOption: false,
    readNoise, saturation: null,
  };
}
