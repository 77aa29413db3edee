/** One frame as a visit: subtract the template, detect, measure, cut out; later, fluxes forced at known places. */
import type { DetectorId } from '../../../schemas/ids.ts';
import { planCutouts } from '../../image/cutout.ts';
import { PIXEL_NOISE_ALONE } from '../../image/fluxNoise.ts';
import { asProduct, type DifferenceImage, type MaskedImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import { skyToPixel, type Wcs } from '../../image/wcs.ts';
import { detectSources, type DetectionResult } from '../../stages/detect/detect.ts';
import { forcedFluxes, forcedPhotometry } from '../../stages/forced/forced.ts';
import { measureSources, type MeasuredDiaSource, type MeasureResult } from '../../stages/measure/measure.ts';
import { rateSources } from '../../stages/reliability/reliability.ts';
import { selectCutoutSide } from '../../stages/packet/cutoutSide.ts';
import { encodeCutouts } from '../../stages/packet/spool.ts';
import { removeDefects } from '../difference/prepare.ts';
import { blurFrame, blursOf } from './blur.ts';
import { seriesConfig } from './config.ts';
import { readFrame } from './frame.ts';
import type { SeriesFrame, SeriesManifest } from './manifest.ts';
import { qualityOf, type FrameQuality } from './quality.ts';
import { readPlanes, type SeriesTemplate } from './products.ts';
import { findFrameStars, frameWcs } from './registration.ts';
import { psfOnFrame, subtractTemplate, type Subtraction } from './subtract.ts';

/** What the detector of a camera has: the series' only one. */
const DETECTOR = 0 as DetectorId; // In 0 … 255.

/** A frame's difference as later steps need it: without pixels. */
export type FrameDifference = Readonly<{
  differencePsf: PsfModel; scale: number; noiseScale: number;
  /** Of the Gaussian that the frame was blurred with before it was matched. */
  blurPx: number;
  rows: readonly MeasuredDiaSource[]; cutouts: Uint8Array | null;
  detected: number; droppedByReason: Readonly<Record<string, number>>;
  figures: Readonly<Record<string, number>>; quality: FrameQuality;
}>;

export type ForcedPoint = Readonly<{
  psfFlux: number | null; psfFluxErr: number | null; scienceFlux: number | null; scienceFluxErr: number | null;
}>;

/**
 * The frame's pixels on the reference's flux scale, sky subtracted; cosmic rays marked (CR) and filled from beside.
 *
 * @param scale Further factor of the flux ratio: 1 before the kernel has told it.
 */
export function visitPlanes(
  frame: SeriesFrame, manifest: Pick<SeriesManifest, 'overrides'>, scale: number,
): MaskedImage {
  const { planes, file } = readFrame(frame.path, manifest.overrides);
  if (file.checksum !== frame.checksum) throw new Error(`${frame.path} is not the file that the series began with`);
  const ratio = frame.fluxRatio * scale, { image, variance } = planes;
  for (let j = 0; j < image.length; j++) {
    image[j] = (image[j] - frame.skyAdu) / ratio;
    variance[j] /= ratio * ratio;
  }
  removeDefects(planes, frame.fwhmPx, new Int32Array(image.length));
  return planes;
}

/** @throws StageError when the frame cannot be subtracted. @param keep Receives the difference image. */
export function differenceFrame(
  frame: SeriesFrame, manifest: SeriesManifest, template: SeriesTemplate, keep: (planes: DifferenceImage) => void,
): FrameDifference {
  const visitWcs = frameWcs(template.wcs, frame.toReference);
  const { subtraction, blurPx } = matchFrame(frame, manifest, template, visitWcs);
  const { difference, differencePsf, figures, scale, freePlane } = subtraction;
  const detections = detectSources(difference, differencePsf, freePlane, seriesConfig.detect);
  const measured = measure(frame, visitWcs, subtraction, detections);
  keep(difference);
  const droppedByReason: Record<string, number> = { ...detections.droppedByReason };
  for (const [reason, count] of Object.entries(measured.droppedByReason)) {
    droppedByReason[reason] = (droppedByReason[reason] ?? 0) + count;
  }
  return {
    differencePsf, scale, blurPx, noiseScale: detections.noiseScale,
    rows: measured.rows, cutouts: cutoutsOf(visitWcs, subtraction, measured),
    detected: detections.detected, droppedByReason, quality: qualityOf(difference, measured.rows),
    figures: finite({
      ...figures, fluxScale: frame.fluxRatio * scale, noiseScale: detections.noiseScale,
      scoreScatter: detections.scoreScatter, skyAdu: frame.skyAdu,
      blurPx,
      seeingPx: psfFwhmPx(differencePsf, (difference.width - 1) / 2, (difference.height - 1) / 2),
    }),
  };
}

/** The frame minus the template; blurred, where the kernel fails by less of the light then. */
function matchFrame(
  frame: SeriesFrame, manifest: SeriesManifest, { template, wcs, psf }: SeriesTemplate, visitWcs: Wcs,
): Readonly<{ subtraction: Subtraction; blurPx: number }> {
  const visit = visitPlanes(frame, manifest, 1);
  const { firstPx, againPx } = blursOf(
    visit, findFrameStars(visit), psfOnFrame(psf, frame.toReference, visit.width, visit.height));
  const match = (planes: MaskedImage, blurPx: number) => {
    blurFrame(planes, blurPx);
    return { blurPx, subtraction: subtractTemplate(planes, visitWcs, template, wcs, psf, frame.toReference) };
  };
  const failing = ({ subtraction }: ReturnType<typeof match>): number => subtraction.figures['modelErrorFraction'];
  const first = match(visit, firstPx), share = failing(first);
  if (firstPx > 0 || share <= seriesConfig.blur.modelErrorMax) return first;
  const again = match(visitPlanes(frame, manifest, 1), againPx);
  // The later subtraction has the planes of the earlier one.
  return failing(again) < share ? again : match(visitPlanes(frame, manifest, 1), firstPx);
}

function measure(
  frame: SeriesFrame, visitWcs: Wcs, subtraction: Subtraction, { detections, noiseScale }: DetectionResult,
): MeasureResult {
  const { difference, differencePsf, visitImage, matchedTemplate } = subtraction;
  const measured = measureSources({
    visit: frame.visit, detector: DETECTOR, band: frame.band, midpointMjdTai: frame.midpointMjdTai,
    difference, differencePsf, visitImage, visitPsf: differencePsf, visitWcs,
    matchedTemplate, matchedTemplatePsf: differencePsf,
    // Blurred and flattened frames' noise is not that of their variance planes' pixels.
    noiseScale, templateNoiseFactor: 1, fluxNoise: PIXEL_NOISE_ALONE,
  }, detections, (planes, psf, places) => forcedFluxes(planes, psf, places, seriesConfig.forced), seriesConfig.measure);
  return {
    ...measured, rows: rateSources(
      { difference, differencePsf, visitImage, visitPsf: differencePsf, matchedTemplate, noiseScale }, measured.rows,
    ),
  };
}

function cutoutsOf(
  wcs: Wcs, { difference, visitImage, matchedTemplate, differencePsf }: Subtraction, { rows }: MeasureResult,
): Uint8Array | null {
  if (rows.length === 0) return null;
  return encodeCutouts(new Map(rows.map((row) => {
    const box = { x: row.x, y: row.y, side: selectCutoutSide(row.bboxSize), wcs };
    const [ofDifference, science, template] = planCutouts(
      [difference, visitImage, matchedTemplate].map((planes) => ({ planes, psf: differencePsf })), box);
    return [row.diaSourceId, { difference: ofDifference, science, template, neighbours: null }] as const;
  })));
}

/**
 * Fluxes at sky positions on a frame whose difference was kept; null where it cannot be measured. ADU of the reference.
 */
export function forceFrame(
  frame: SeriesFrame, manifest: SeriesManifest, differencePath: string,
  made: Pick<FrameDifference, 'differencePsf' | 'scale' | 'blurPx' | 'noiseScale'>,
  positions: readonly Readonly<{ raDeg: number; decDeg: number }>[],
): ForcedPoint[] {
  if (positions.length === 0) return [];
  const wcs = frameWcs(manifest.referenceWcs, frame.toReference);
  const difference = asProduct('differenceImage', readPlanes(differencePath));
  const planes = visitPlanes(frame, manifest, made.scale);
  blurFrame(planes, made.blurPx);
  const visit = asProduct('visitImage', planes);
  const places = positions.map(({ raDeg, decDeg }) => skyToPixel(wcs, raDeg, decDeg));
  return forcedPhotometry(
    difference, made.differencePsf, visit, made.differencePsf, places, made.noiseScale, seriesConfig.forced,
  );
}

function finite(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)));
}
