/** The measure stage: rows of diaSources from detections. */
import { newDiaSource, type DiaSource } from '../../../schemas/diaRows.ts';
import { diaSourceIdOf, type DetectorId, type Visit } from '../../../schemas/ids.ts';
import type { Box } from '../../../schemas/camera.ts';
import type { Band } from '../../../schemas/units.ts';
import { fluxNoisePlanes, type FluxNoise } from '../../image/fluxNoise.ts';
import type { DifferenceImage, MaskedImage, MatchedTemplate, VisitImage } from '../../image/maskedImage.ts';
import type { PsfModel } from '../../image/psf.ts';
import { pixelScaleArcsec, pixelToSky, type Wcs } from '../../image/wcs.ts';
import type { MeasureConfig } from './config.ts';
import { dipoleFields, trailFields, type DipoleFields } from './extended.ts';
import { findGlints } from './glints.ts';
import { pixelFlags } from './pixelFlags.ts';
import { createFitWorkspace, fitPsfs, type FitWorkspace, type PsfFit } from './psfFit.ts';
import { adaptiveMoments, apertureFlux, type Moments } from './shape.ts';
import { skyErrors } from './skyGeometry.ts';

/** A diaSource before association: what the pixels say. */
export type MeasuredDiaSource = Omit<DiaSource, 'diaObjectId' | 'ssObjectId' | 'timeProcessedMjdTai'>;

/** What a detection has to tell; the detect stage's `Detection` has it all. */
export type Measurable = Readonly<{
  x: number; y: number; snr: number; isNegative: boolean; footprint: Box; otherLobe: number | null;
}>;

type ForcedFlux = Readonly<{
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

export type MeasureDropReason = 'noGoodPixels' | 'duplicate';

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
  const workspace = createFitWorkspace(differencePsf, config), psfShapes = psfMoments(inputs, workspace, config);
  const fluxNoise = fluxNoisePlanes(visitImage, matchedTemplate, inputs.fluxNoise);
  const fits = fitPsfs(difference, differencePsf, fluxNoise, detections, workspace, config);
  const droppedByReason: Partial<Record<MeasureDropReason, number>> = {};
  const drop = (reason: MeasureDropReason): void => { droppedByReason[reason] = (droppedByReason[reason] ?? 0) + 1; };
  const duplicates = duplicatesOf(detections, fits, config.duplicateDistancePx);
  const kept: { fit: PsfFit; detection: Measurable; dipole: DipoleFields }[] = [];
  for (const [i, detection] of detections.entries()) {
    const fit = fits[i];
    if (fit === null) { drop('noGoodPixels'); continue; }
    if (duplicates.has(i)) { drop('duplicate'); continue; }
    const other = detection.otherLobe === null ? null : fits[detection.otherLobe];
    const dipole = dipoleFields(
      inputs.difference, inputs.visitWcs, inputs.noiseScale, fit, other, workspace, config,
    );
    kept.push({ fit, detection, dipole });
  }
  kept.sort((a, b) => a.fit.y - b.fit.y || a.fit.x - b.fit.x);
  const places = kept.map(({ fit }) => fit), science = forcedFluxes(visitImage, inputs.visitPsf, places);
  const template = forcedFluxes(matchedTemplate, inputs.matchedTemplatePsf, places);
  const rows = kept.map(({ fit, detection, dipole }, counter) => ({
    ...rowOf(inputs, diaSourceIdOf(inputs.visit, inputs.detector, counter), fit, detection, config),
    ...forcedFields(science[counter], template[counter], inputs.templateNoiseFactor), ...dipole,
    ...shapeFields(inputs, fit, detection, psfShapes, config),
    ...trailFields(inputs.difference, inputs.visitWcs, inputs.noiseScale, detection, workspace, config),
  }));
  const { width, height } = inputs.difference, glints = findGlints(rows, width, height, config);
  return { rows: rows.map((row, i) => ({ ...row, glint_trail: glints[i] })), droppedByReason };
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

type ForcedFields = Pick<DiaSource,
  | 'scienceFlux' | 'scienceFluxErr' | 'templateFlux' | 'templateFluxErr' | 'forced_PsfFlux_flag'
  | 'forced_PsfFlux_flag_edge' | 'forced_PsfFlux_flag_noGoodPixels'>;

function forcedFields(science: ForcedFlux, template: ForcedFlux, templateNoiseFactor: number): ForcedFields {
  return {
    scienceFlux: science.flux, scienceFluxErr: science.fluxErr, templateFlux: template.flux,
    templateFluxErr: template.fluxErr === null ? null : template.fluxErr * templateNoiseFactor,
    forced_PsfFlux_flag: science.flux === null, forced_PsfFlux_flag_edge: science.isAtEdge,
    forced_PsfFlux_flag_noGoodPixels: science.hasNoGoodPixels,
  };
}

function rowOf(
  inputs: MeasureInputs, diaSourceId: bigint, fit: PsfFit, detection: Measurable, config: MeasureConfig,
): MeasuredDiaSource {
  const { difference, noiseScale } = inputs, { footprint } = detection;
  const aperture = apertureFlux(difference, fit.x, fit.y, config.apertureRadiusPx);
  const { diaObjectId: _object, ssObjectId: _ssObject, timeProcessedMjdTai: _time, ...row } = newDiaSource({
    diaSourceId, visit: BigInt(inputs.visit), detector: inputs.detector, midpointMjdTai: inputs.midpointMjdTai,
    timeProcessedMjdTai: 0, // Taken out again: association draws it.
    band: inputs.band, x: fit.x, y: fit.y, centroid_flag: fit.isCentroidFailed,
    ...skyFields(inputs.visitWcs, fit, noiseScale),
    apFlux: aperture.flux, apFluxErr: aperture.fluxErr === null ? null : aperture.fluxErr * noiseScale,
    apFlux_flag: aperture.flux === null || aperture.isTruncated, apFlux_flag_apertureTruncated: aperture.isTruncated,
    isNegative: detection.isNegative, snr: detection.snr,
    psfFlux: fit.flux, psfFluxErr: fit.fluxErr * noiseScale, psfLnL: fit.logLikelihood, psfChi2: fit.chi2,
    psfNdata: fit.pixelCount, psfFlux_flag: false, psfFlux_flag_edge: fit.isAtEdge, psfFlux_flag_noGoodPixels: false,
    bboxSize: Math.max(footprint.x1 - footprint.x0, footprint.y1 - footprint.y0), glint_trail: null,
    ...pixelFlags(difference, fit.x, fit.y, footprint, detection.isNegative),
  });
  return row;
}

/** Position and its errors. */
function skyFields(
  wcs: Wcs, fit: PsfFit, noiseScale: number,
): Pick<DiaSource, 'ra' | 'dec' | 'raErr' | 'decErr' | 'ra_dec_Cov' | 'xErr' | 'yErr'> {
  const { raDeg, decDeg } = pixelToSky(wcs, fit.x, fit.y), { xx, xy, yy } = fit;
  if (xx === null || yy === null || xy === null) {
    return { ra: raDeg, dec: decDeg, raErr: null, decErr: null, ra_dec_Cov: null, xErr: null, yErr: null };
  }
  return {
    ra: raDeg, dec: decDeg, xErr: noiseScale * Math.sqrt(xx), yErr: noiseScale * Math.sqrt(yy),
    ...skyErrors(wcs, fit.x, fit.y, { xx, xy, yy }, noiseScale),
  };
}

/** Moments start from a Gaussian of this second moment, px²: between the seeings of all cameras. */
const MOMENT_START_PX2 = 4;

/** Cells in which the PSF's moments are measured once, pixels: they vary more slowly than its pixels. */
const MOMENT_CELL_PX = 256;

/** Moments of the PSF near a place. */
function psfMoments(
  { differencePsf: psf }: MeasureInputs, { patches }: FitWorkspace, config: MeasureConfig,
): (x: number, y: number) => Moments | null {
  const known = new Map<number, Moments | null>(), across = Math.ceil(psf.width / MOMENT_CELL_PX) + 1;
  return (x, y) => {
    const column = Math.max(0, Math.floor(x / MOMENT_CELL_PX)), row = Math.max(0, Math.floor(y / MOMENT_CELL_PX));
    const key = row * across + column, cell = known.get(key);
    if (cell !== undefined) return cell;
    const stamp = patches.at((column + 0.5) * MOMENT_CELL_PX, (row + 0.5) * MOMENT_CELL_PX), { half, side } = patches;
    const moments = adaptiveMoments(stamp, side, side, half, half, 1, half, MOMENT_START_PX2, config);
    known.set(key, moments);
    return moments;
  };
}

function shapeFields(
  inputs: MeasureInputs, fit: PsfFit, detection: Measurable, psfShapes: (x: number, y: number) => Moments | null,
  config: MeasureConfig,
): Partial<DiaSource> {
  const { difference: { image, width, height } } = inputs, ofPsf = psfShapes(fit.x, fit.y);
  const isContained = fit.x >= detection.footprint.x0 - 0.5 && fit.x < detection.footprint.x1 - 0.5 &&
    fit.y >= detection.footprint.y0 - 0.5 && fit.y < detection.footprint.y1 - 0.5;
  const start = ofPsf === null ? MOMENT_START_PX2 : (ofPsf.xx + ofPsf.yy) / 2, half = config.fitHalfSizePx;
  const own = adaptiveMoments(image, width, height, fit.x, fit.y, detection.isNegative ? -1 : 1, half, start, config);
  const areaArcsec2 = pixelScaleArcsec(inputs.visitWcs) ** 2;
  return {
    ixx: scaled(own?.xx, areaArcsec2), ixy: scaled(own?.xy, areaArcsec2), iyy: scaled(own?.yy, areaArcsec2),
    ixxPSF: scaled(ofPsf?.xx, areaArcsec2), ixyPSF: scaled(ofPsf?.xy, areaArcsec2),
    iyyPSF: scaled(ofPsf?.yy, areaArcsec2),
    shape_flag: own === null, shape_flag_no_pixels: false, shape_flag_not_contained: !isContained,
    shape_flag_parent_source: false, extendedness: extendednessOf(own, ofPsf),
  };
}

function scaled(value: number | undefined, factor: number): number | null {
  return value === undefined ? null : value * factor;
}

/** By how much the area exceeds the PSF's: 0 at its size or below, 1 at twice it. */
function extendednessOf(own: Moments | null, ofPsf: Moments | null): number | null {
  if (own === null || ofPsf === null) return null;
  return Math.min(1, Math.max(0, (own.xx + own.yy) / (ofPsf.xx + ofPsf.yy) - 1));
}

