/** The measure stage: rows of diaSources from detections. */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { diaSourceIdOf, type DetectorId, type Visit } from '../../../schemas/ids.ts';
import type { Box } from '../../../schemas/camera.ts';
import type { Band } from '../../../schemas/units.ts';
import { fluxNoisePlanes, type FluxNoise } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage, MaskedImage, MatchedTemplate, VisitImage } from '../../image/maskedImage.ts';
import type { PsfModel } from '../../image/psf.ts';
import type { Wcs } from '../../image/wcs.ts';
import { measureShapes, type SourceShape } from '../../kernels/shapes.ts';
import type { MeasureConfig } from './config.ts';
import { dipoleFields, findTrail, trailFields } from './extended.ts';
import { findGlints } from './glints.ts';
import { pixelFlags } from './pixelFlags.ts';
import { createFitWorkspace, fitPsfs, type FitWorkspace, type PsfFit } from './psfFit.ts';
import { sourceRow } from './sourceRow.ts';
import type { TrailFit } from './trailFit.ts';
import { asOneDetection, findCutTrails, type Piece } from './trailPieces.ts';

/** A diaSource before association: what the pixels say. */
export type MeasuredDiaSource = Omit<DiaSource, 'diaObjectId' | 'ssObjectId' | 'timeProcessedMjdTai'>;

/** What a detection has to tell; the detect stage's `Detection` has it all. */
export type Measurable = Readonly<{
  x: number; y: number; snr: number; isNegative: boolean; footprint: Box; otherLobe: number | null;
}>;

export type ForcedFlux = Readonly<{
  flux: number | null; fluxErr: number | null; isAtEdge: boolean; hasNoGoodPixels: boolean;
}>;

/** PSF fluxes at fixed places: the forced stage's `forcedFluxes`, which the pipeline hands over with its configuration. */
export type ForcedFluxesAt = (
  planes: MaskedImage, psf: PsfModel, places: readonly Readonly<{ x: number; y: number }>[],
) => readonly ForcedFlux[];

export type MeasureInputs = Readonly<{
  visit: Visit; detector: DetectorId; band: Band; midpointMjdTai: number;
  difference: DifferenceImage; differencePsf: PsfModel;
  visitImage: VisitImage; visitPsf: PsfModel; visitWcs: Wcs;
  matchedTemplate: MatchedTemplate; matchedTemplatePsf: PsfModel;
  /** Factor on errors of the difference, as the detect stage measured it. */
  noiseScale: number;
  /** Factor on errors of PSF fluxes of the matched template, whose noise is correlated. */
  templateNoiseFactor: number;
  /** What a PSF flux of the difference has of the noise of both images beside that of its pixels. */
  fluxNoise: FluxNoise;
}>;

/** `trailPiece`: another detection stands for the trail that it is a part of. */
export type MeasureDropReason = 'noGoodPixels' | 'duplicate' | 'trailPiece';

export type MeasureResult = Readonly<{
  /** In the order of their ids, that is of (y, x). */
  rows: readonly MeasuredDiaSource[];
  droppedByReason: Readonly<Partial<Record<MeasureDropReason, number>>>;
}>;

/** Measures every detection; each becomes a row or is counted by the reason it was dropped for. */
export function measureSources(
  inputs: MeasureInputs, detections: readonly Measurable[], forcedFluxes: ForcedFluxesAt, config: MeasureConfig,
): MeasureResult {
  const { difference, differencePsf, visitImage, matchedTemplate } = inputs;
  const workspace = createFitWorkspace(differencePsf, config);
  const fluxNoise = fluxNoisePlanes(visitImage, matchedTemplate, inputs.fluxNoise);
  const fits = fitPsfs(difference, fluxNoise, detections, workspace, config);
  const droppedByReason: Partial<Record<MeasureDropReason, number>> = {};
  const drop = (reason: MeasureDropReason): void => { droppedByReason[reason] = (droppedByReason[reason] ?? 0) + 1; };
  const duplicates = duplicatesOf(detections, fits, config.duplicateDistancePx);
  const sources: { fit: PsfFit; detection: Measurable }[] = [];
  for (const [i, detection] of detections.entries()) {
    const fit = fits[i];
    if (fit === null) drop('noGoodPixels');
    else if (duplicates.has(i)) drop('duplicate');
    else sources.push({ fit, detection });
  }
  sources.sort((a, b) => a.fit.y - b.fit.y || a.fit.x - b.fit.x);
  const { kept, pieceCount } = joined(inputs, sources, workspace, config);
  for (let i = 0; i < pieceCount; i++) drop('trailPiece');
  const dipoles = kept.map(({ fit, detection: { otherLobe } }) => dipoleFields(
    difference, inputs.visitWcs, inputs.noiseScale, fit, otherLobe === null ? null : fits[otherLobe], workspace, config,
  ));
  const places = kept.map(({ fit }) => fit), science = forcedFluxes(visitImage, inputs.visitPsf, places);
  const template = forcedFluxes(matchedTemplate, inputs.matchedTemplatePsf, places);
  const trails = kept.map(({ detection, shape: { light }, trail }) => trailFields(
    difference, inputs.visitWcs, inputs.noiseScale,
    trail ?? findTrail(difference, inputs.noiseScale, detection, light, workspace, config)));
  const { width, height } = difference, glints = findGlints(kept.map(({ fit, detection }, i) => ({
    x: fit.x, y: fit.y, isNegative: detection.isNegative, centroid_flag: fit.isCentroidFailed,
    isDipole: dipoles[i].isDipole, trailLength: trails[i].trailLength,
  })), width, height, config);
  const rows = kept.map(({ fit, detection, shape }, i) => sourceRow(inputs, {
    diaSourceId: diaSourceIdOf(inputs.visit, inputs.detector, i), detection, fit, dipole: dipoles[i], trail: trails[i],
    shape, science: science[i], template: template[i], isGlint: glints[i],
    flags: pixelFlags(difference, fit.x, fit.y, detection.footprint, detection.isNegative),
  }));
  return { rows, droppedByReason };
}

/** What becomes a row; the trail is known where several detections lie on it. */
type Source = Readonly<{ detection: Measurable; fit: PsfFit; shape: SourceShape; trail: TrailFit | null }>;

/** The sources, in their order, without those that are pieces of a trail for which another stands. */
function joined(
  inputs: MeasureInputs, sources: readonly Readonly<{ fit: PsfFit; detection: Measurable }>[], workspace: FitWorkspace,
  config: MeasureConfig,
): { kept: Source[]; pieceCount: number } {
  const shapes = shapesOf(inputs, sources, workspace, config);
  const all = sources.map((source, i): Piece => ({ ...source, light: shapes[i].light }));
  const cuts = findCutTrails(inputs.difference, all, workspace, inputs.noiseScale, config);
  const pieces = new Set(cuts.flatMap((cut) => cut.pieces.slice(1)));
  const wholes = new Map(cuts.map((cut) => [cut.pieces[0], cut]));
  const kept = all.flatMap(({ fit, detection }, i): Source[] => {
    if (pieces.has(i)) return [];
    const cut = wholes.get(i), shape = shapes[i];
    return [cut === undefined
      ? { fit, detection, shape, trail: null }
      : { fit, detection: asOneDetection(cut, all), shape, trail: cut.trail }];
  });
  return { kept, pieceCount: pieces.size };
}

/** Detections whose fit ended where that of a more significant one of the same sign did. */
function duplicatesOf(
  detections: readonly Measurable[], fits: readonly (PsfFit | null)[], distancePx: number,
): Set<number> {
  const order = [...detections.keys()].filter((i) => fits[i] !== null);
  order.sort((a, b) => fits[a]!.y - fits[b]!.y || a - b); // Filtered above.
  const duplicates = new Set<number>();
  for (let n = 0; n < order.length; n++) {
    for (let m = n + 1; m < order.length; m++) {
      const a = order[n], b = order[m], fitA = fits[a]!, fitB = fits[b]!; // As above.
      if (fitB.y - fitA.y > distancePx) break;
      if (detections[a].isNegative !== detections[b].isNegative) continue;
      if (Math.hypot(fitA.x - fitB.x, fitA.y - fitB.y) > distancePx) continue;
      duplicates.add(detections[a].snr >= detections[b].snr ? b : a);
    }
  }
  return duplicates;
}

/** Moments of the PSF are found from a Gaussian of this second moment, px²: between the seeings of all cameras. */
const MOMENT_START_PX2 = 4;

/** Cells in which the PSF's moments are measured once, pixels: they vary more slowly than its pixels. */
const MOMENT_CELL_PX = 256;

function shapesOf(
  { difference, differencePsf }: MeasureInputs, sources: readonly Readonly<{ fit: PsfFit; detection: Measurable }>[],
  { fwhmPx }: FitWorkspace, config: MeasureConfig,
): SourceShape[] {
  return measureShapes({
    ...difference, noData: maskBits('NO_DATA'), detected: maskBits('DETECTED'),
    detectedNegative: maskBits('DETECTED_NEGATIVE'), psf: differencePsf, halfSizePx: config.fitHalfSizePx,
    radius: config.apertureRadiusPx, limits: config, startPx2: MOMENT_START_PX2, cellPx: MOMENT_CELL_PX,
    sideMin: config.trailSideMinFwhm * fwhmPx, sideMax: config.trailSideMaxPx,
  }, sources.map(({ fit: { x, y }, detection: { isNegative, footprint } }) => (
    { x, y, sign: isNegative ? -1 : 1, footprint })));
}
