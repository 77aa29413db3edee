/** Two files in, their difference with its sources out: the stages of the pipeline on images from anywhere. */
import { asVisit, type DetectorId } from '../../../schemas/ids.ts';
import {
  asProduct, type DifferenceImage, type MaskedImage, type MatchedTemplate, type VisitImage,
} from '../../image/maskedImage.ts';
import { createPlaneMemory, type PlaneMemory } from '../../image/planeMemory.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import type { Wcs } from '../../image/wcs.ts';
import { detectSources, type DetectionResult } from '../../stages/detect/detect.ts';
import { differenceImages, type DifferenceBuffers, type DifferenceResult } from '../../stages/difference/difference.ts';
import type { MatchingKernel } from '../../stages/difference/kernelFit.ts';
import { forcedFluxes } from '../../stages/forced/forced.ts';
import { measureSkySources, type SkySources } from '../../stages/forced/skySources.ts';
import { measureSources, type MeasuredDiaSource, type MeasureResult } from '../../stages/measure/measure.ts';
import { rateSources } from '../../stages/reliability/reliability.ts';
import { alignByStars, alignByWcs, type Alignment } from './alignment.ts';
import { pairConfig } from './config.ts';
import { diagnose, type PairDiagnostics } from './diagnostics.ts';
import { judgeDifference, onPair, type Fault } from './judgement.ts';
import { openPairImage, readPairImage, type ImageRequest, type PairImage } from './inputs.ts';
import {
  prepareImage, psfOf, removeDefects, type DefectReport, type Prepared, type PrepareScratch,
} from './prepare.ts';
import { flattenResidualSky } from './residualSky.ts';
import { removeSourceShifts, type ShiftReport } from './sourceShifts.ts';
import { StepClock } from './stepClock.ts';

export type PairRequest = Readonly<{
  science: ImageRequest; template: ImageRequest;
  /** Align by stars, whatever the headers say. */
  isRegistered: boolean;
}>;

/** All in the science file's unit and pixels. */
export type PairDifference = Readonly<{
  difference: DifferenceImage; visitImage: MaskedImage; matchedTemplate: MatchedTemplate;
  /** [height × width], standard deviations. */
  score: Float32Array;
  differencePsf: PsfModel; kernel: MatchingKernel; convolved: 'template' | 'science';
  diagnostics: PairDiagnostics;
  rows: readonly MeasuredDiaSource[];
  skyWcs: Wcs | null; unit: string | null;
  report: PairReport;
}>;

/** What is said about the run, in words and numbers. */
export type PairReport = Readonly<{
  alignment: Omit<Alignment, 'scienceWcs' | 'templateWcs' | 'skyWcs'>;
  noise: Readonly<{ science: Prepared['noise']; template: Prepared['noise'] }>;
  columns: Readonly<{ science: Prepared['columns']; template: Prepared['columns'] }>;
  defects: DefectReport;
  psf: Readonly<{ starCount: number; fwhmPx: number; modelError: number }>;
  figures: Readonly<Record<string, number>>;
  detected: number; droppedByReason: Readonly<Record<string, number>>; noiseScale: number;
  streaks: DetectionResult['streaks']; spikes: DetectionResult['spikes'];
  /** Level and noise where nothing was detected; none of its sources is in the catalogue. */
  skySources: SkySources;
  notes: readonly string[];
  /** Not empty: the difference is degraded. */
  faults: readonly Fault[];
}>;

/**
 * @param clock Is told each step as it ends.
 * @throws PairRefused and FitsError, in one line that names the file or files, for what cannot be used or subtracted.
 */
export function differencePair(request: PairRequest, clock: StepClock): PairDifference {
  const { science, template, memory } = readPair(request);
  clock.end('read');
  const byWcs = request.isRegistered ? null : alignByWcs(science, template);
  const buffers = buffersFor(science.planes, template.planes, memory);
  const own = prepareImage(science, { smooth: buffers.scratch, work: buffers.warpedTemplate.image });
  const other = prepareImage(template, request.isRegistered ? scratchFor(template, memory) : null);
  clock.end('skyAndNoise');
  const alignment = byWcs ?? alignByStars(science, starsOf(own), template, starsOf(other));
  if (request.isRegistered) clock.end('register');
  const defects = removeDefects(
    science.planes, starsOf(own).fwhmPx, asIntegers(buffers.warpedTemplate.variance),
  );
  clock.end('defects');
  const psf = psfOf(science.planes, science.path, starsOf(own));
  clock.end('psf');
  const visitImage = asProduct('visitImage', science.planes);
  const result = onPair(science.path, template.path, () => differenceImages({
    visitImage, visitPsf: psf.psf, visitWcs: alignment.scienceWcs,
    template: asProduct('template', template.planes), templateWcs: alignment.templateWcs,
  }, buffers, pairConfig.difference));
  const noise = { science: own.noise, template: other.noise };
  const faults = judgeDifference({ science: science.path, template: template.path, figures: result.figures, noise });
  const shifts = correctShifts(result);
  const residualSky = flattenResidualSky(result.difference);
  clock.end('matchAndSubtract');
  const diagnostics = diagnose(result.difference, result.stamps, result.kernel);
  clock.end('diagnose');
  const score = result.freePlane;
  const detections = detectSources(result.difference, result.differencePsf, score, pairConfig.detect);
  clock.end('detect');
  const skySources = measureSkySources(
    result.difference, result.differencePsf, detections.noiseScale, 0, pairConfig.forced);
  const measured = measure(visitImage, psf.psf, alignment.skyWcs ?? alignment.scienceWcs, result, detections);
  clock.end('measure');
  const { scienceWcs: _science, templateWcs: _template, skyWcs, ...aligned } = alignment;
  return {
    difference: result.difference, visitImage, matchedTemplate: result.matchedTemplate, score,
    differencePsf: result.differencePsf, kernel: result.kernel, convolved: result.convolved, rows: measured.rows,
    diagnostics, skyWcs, unit: science.unit,
    report: {
      alignment: aligned, noise,
      columns: { science: own.columns, template: other.columns }, defects,
      psf: { starCount: psf.stars.length, modelError: psf.modelError, fwhmPx: middleFwhm(psf.psf) },
      figures: { ...figuresOf(result), ...shifts, ...residualSky },
      detected: detections.detected, noiseScale: detections.noiseScale, streaks: detections.streaks, spikes: detections.spikes,
      skySources,
      droppedByReason: { ...detections.droppedByReason, ...measured.droppedByReason },
      notes: [...own.noise.notes, ...other.noise.notes], faults,
    },
  };
}

/**
 * Bytes of a pixel. Of the science image: itself, another, scratch and the unusable pixels; of the template: itself, and
 * where stars tell how it lies the scratch of its stars; where it has another size what is convolved has its own planes.
 */
const SCIENCE_BYTES = 2 * 10 + 4 + 1, TEMPLATE_BYTES = 10, STARS_BYTES = 8, CONVOLVED_BYTES = 10;

type Pair = Readonly<{ science: PairImage; template: PairImage; memory: PlaneMemory }>;

/** Both images in one memory, with room for all that is made of them. */
function readPair(request: PairRequest): Pair {
  const science = openPairImage(request.science), template = openPairImage(request.template);
  const pixels = science.width * science.height, templatePixels = template.width * template.height;
  const isSameSize = science.width === template.width && science.height === template.height;
  const memory = createPlaneMemory(
    (SCIENCE_BYTES + (isSameSize ? 0 : CONVOLVED_BYTES)) * pixels +
    (TEMPLATE_BYTES + (request.isRegistered ? STARS_BYTES : 0)) * templatePixels,
  );
  return {
    science: readPairImage(science, memory.maskedImage(science.width, science.height)),
    template: readPairImage(template, memory.maskedImage(template.width, template.height)), memory,
  };
}

function scratchFor({ planes: { image } }: PairImage, memory: PlaneMemory): PrepareScratch {
  return { smooth: memory.float32(image.length), work: memory.float32(image.length) };
}

/** Stars of an image that was prepared with scratch. */
function starsOf({ stars }: Prepared): NonNullable<Prepared['stars']> {
  if (stars === null) throw new Error('the image was prepared without its stars');
  return stars;
}

/** Once it is warped, nobody needs the template. */
function buffersFor({ width, height }: MaskedImage, template: MaskedImage, memory: PlaneMemory): DifferenceBuffers {
  return {
    warpedTemplate: memory.maskedImage(width, height),
    convolved: template.width === width && template.height === height ? template : memory.maskedImage(width, height),
    scratch: memory.float32(width * height), unusable: memory.uint8(width * height),
  };
}

function asIntegers(plane: Float32Array): Int32Array {
  return new Int32Array(plane.buffer, plane.byteOffset, plane.length);
}

function middleFwhm(psf: PsfModel): number {
  return psfFwhmPx(psf, (psf.width - 1) / 2, (psf.height - 1) / 2);
}

/** Only where stars scatter: elsewhere a shift would be noise, or a transient. */
function correctShifts({ difference, matchedTemplate, freePlane, figures }: DifferenceResult): Partial<ShiftReport> {
  const { starScatterXPx: xPx, starScatterYPx: yPx, whitenedVarianceRatio: varianceRatio } = figures;
  if (!(Math.hypot(xPx, yPx) >= pairConfig.difference.registration.scatterMinPx)) return {};
  return removeSourceShifts(difference, matchedTemplate, { xPx, yPx, varianceRatio }, freePlane);
}

/** The difference stage's figures without a unit in their names: here it is the science file's. */
function figuresOf({ figures }: DifferenceResult): Record<string, number> {
  const { backgroundDifferenceNJy, ...rest } = figures;
  return { ...rest, backgroundDifference: backgroundDifferenceNJy };
}

/** Rows are named by visit, detector and band, which files from anywhere do not have: these stand for them. */
const VISIT = asVisit(20100101_00000), DETECTOR = 0 as DetectorId, BAND = 'r'; // A detector is in 0 … 255.

function measure(
  visitImage: VisitImage, visitPsf: PsfModel, wcs: Wcs, result: DifferenceResult,
  { detections, noiseScale }: DetectionResult,
): MeasureResult {
  const measured = measureSources({
    visit: VISIT, detector: DETECTOR, band: BAND, midpointMjdTai: 0, visitImage, visitPsf, visitWcs: wcs, noiseScale,
    difference: result.difference, differencePsf: result.differencePsf, matchedTemplate: result.matchedTemplate,
    matchedTemplatePsf: result.matchedTemplatePsf, templateNoiseFactor: result.templateNoiseFactor,
    fluxNoise: result.fluxNoise,
  }, detections, (planes, psf, places) => forcedFluxes(planes, psf, places, pairConfig.forced), pairConfig.measure);
  const { difference, differencePsf, matchedTemplate } = result;
  return {
    ...measured,
    rows: rateSources({ difference, differencePsf, visitImage, visitPsf, matchedTemplate, noiseScale }, measured.rows),
  };
}
