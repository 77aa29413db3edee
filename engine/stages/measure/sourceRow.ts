/** What was measured of a source, put into the packet's fields. */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import type { DetectorId, Visit } from '../../../schemas/ids.ts';
import type { Band } from '../../../schemas/units.ts';
import { pixelScaleArcsec, pixelToSky, type Wcs } from '../../image/wcs.ts';
import type { Moments, SourceShape } from '../../kernels/shapes.ts';
import type { DipoleFields, TrailFields } from './extended.ts';
import type { ForcedFlux, Measurable, MeasuredDiaSource } from './measure.ts';
import type { PixelFlags } from './pixelFlags.ts';
import type { PsfFit } from './psfFit.ts';
import { skyErrors } from './skyGeometry.ts';

/** What all rows of a detector share. */
export type RowFrame = Readonly<{
  visit: Visit; detector: DetectorId; band: Band; midpointMjdTai: number; visitWcs: Wcs;
  noiseScale: number; templateNoiseFactor: number;
}>;

export type SourceParts = Readonly<{
  diaSourceId: bigint; detection: Measurable; fit: PsfFit; shape: SourceShape; flags: PixelFlags;
  science: ForcedFlux; template: ForcedFlux; dipole: DipoleFields; trail: TrailFields; isGlint: boolean | null;
}>;

/** One literal of all fields in the schema's order: a record that grows, or is spread together, costs ten times as much. */
export function sourceRow(frame: RowFrame, parts: SourceParts): MeasuredDiaSource {
  const { noiseScale: scale, templateNoiseFactor } = frame, { detection, fit, shape, flags, trail, dipole } = parts;
  const { footprint } = detection, { science, template } = parts, { own, ofPsf, isTruncated } = shape;
  const place = placeOf(frame.visitWcs, fit, scale), area = pixelScaleArcsec(frame.visitWcs) ** 2;
  const aperture = shape.aperture !== null && shape.aperture.noise > 0 ? shape.aperture : null;
  return {
    parentDiaSourceId: null, raErr: place.raErr, decErr: place.decErr, ra_dec_Cov: place.ra_dec_Cov, xErr: place.xErr,
    yErr: place.yErr, centroid_flag: fit.isCentroidFailed, apFlux: aperture === null ? null : aperture.flux,
    apFluxErr: aperture === null ? null : Math.sqrt(aperture.noise) * scale,
    apFlux_flag: aperture === null || isTruncated, apFlux_flag_apertureTruncated: isTruncated,
    isNegative: detection.isNegative, snr: detection.snr, psfFlux: fit.flux, psfFluxErr: fit.fluxErr * scale,
    psfLnL: fit.logLikelihood, psfChi2: fit.chi2, psfNdata: fit.pixelCount, psfFlux_flag: false,
    psfFlux_flag_edge: fit.isAtEdge, psfFlux_flag_noGoodPixels: false, trailFlux: trail.trailFlux,
    trailFluxErr: trail.trailFluxErr, trailRa: trail.trailRa, trailRaErr: trail.trailRaErr, trailDec: trail.trailDec,
    trailDecErr: trail.trailDecErr, trailLength: trail.trailLength, trailLengthErr: trail.trailLengthErr,
    trailAngle: trail.trailAngle, trailAngleErr: trail.trailAngleErr, trailChi2: trail.trailChi2,
    trailNdata: trail.trailNdata, trail_flag_edge: trail.trail_flag_edge, dipoleMeanFlux: dipole.dipoleMeanFlux,
    dipoleMeanFluxErr: dipole.dipoleMeanFluxErr, dipoleFluxDiff: dipole.dipoleFluxDiff,
    dipoleFluxDiffErr: dipole.dipoleFluxDiffErr, dipoleLength: dipole.dipoleLength, dipoleAngle: dipole.dipoleAngle,
    dipoleChi2: dipole.dipoleChi2, dipoleNdata: dipole.dipoleNdata, scienceFlux: science.flux,
    scienceFluxErr: science.fluxErr, forced_PsfFlux_flag: science.flux === null,
    forced_PsfFlux_flag_edge: science.isAtEdge, forced_PsfFlux_flag_noGoodPixels: science.hasNoGoodPixels,
    templateFlux: template.flux,
    templateFluxErr: template.fluxErr === null ? null : template.fluxErr * templateNoiseFactor,
    ixx: own === null ? null : own.xx * area, iyy: own === null ? null : own.yy * area,
    ixy: own === null ? null : own.xy * area, ixxPSF: ofPsf === null ? null : ofPsf.xx * area,
    iyyPSF: ofPsf === null ? null : ofPsf.yy * area, ixyPSF: ofPsf === null ? null : ofPsf.xy * area,
    shape_flag: own === null, shape_flag_no_pixels: false, shape_flag_not_contained: !isContained(fit, detection),
    shape_flag_parent_source: false, extendedness: extendednessOf(own, ofPsf), reliability: null, band: frame.band,
    isDipole: dipole.isDipole, dipoleFitAttempted: dipole.dipoleFitAttempted, timeWithdrawnMjdTai: null,
    pixelFlags: flags.pixelFlags, pixelFlags_bad: flags.pixelFlags_bad, pixelFlags_cr: flags.pixelFlags_cr,
    pixelFlags_crCenter: flags.pixelFlags_crCenter, pixelFlags_edge: flags.pixelFlags_edge,
    pixelFlags_nodata: flags.pixelFlags_nodata, pixelFlags_nodataCenter: flags.pixelFlags_nodataCenter,
    pixelFlags_interpolated: flags.pixelFlags_interpolated,
    pixelFlags_interpolatedCenter: flags.pixelFlags_interpolatedCenter,
    pixelFlags_offimage: flags.pixelFlags_offimage, pixelFlags_saturated: flags.pixelFlags_saturated,
    pixelFlags_saturatedCenter: flags.pixelFlags_saturatedCenter, pixelFlags_suspect: flags.pixelFlags_suspect,
    pixelFlags_suspectCenter: flags.pixelFlags_suspectCenter, pixelFlags_streak: flags.pixelFlags_streak,
    pixelFlags_streakCenter: flags.pixelFlags_streakCenter, pixelFlags_injected: flags.pixelFlags_injected,
    pixelFlags_injectedCenter: flags.pixelFlags_injectedCenter,
    pixelFlags_injected_template: flags.pixelFlags_injected_template,
    pixelFlags_injected_templateCenter: flags.pixelFlags_injected_templateCenter, glint_trail: parts.isGlint,
    diaSourceId: parts.diaSourceId, visit: BigInt(frame.visit), detector: frame.detector,
    midpointMjdTai: frame.midpointMjdTai, ra: place.ra, dec: place.dec, x: fit.x, y: fit.y,
    bboxSize: Math.max(footprint.x1 - footprint.x0, footprint.y1 - footprint.y0),
  };
}

/** Position on the sky and its errors. */
function placeOf(
  wcs: Wcs, { x, y, xx, xy, yy }: PsfFit, noiseScale: number,
): Pick<DiaSource, 'ra' | 'dec' | 'raErr' | 'decErr' | 'ra_dec_Cov' | 'xErr' | 'yErr'> {
  const { raDeg: ra, decDeg: dec } = pixelToSky(wcs, x, y);
  if (xx === null || yy === null || xy === null) {
    return { ra, dec, raErr: null, decErr: null, ra_dec_Cov: null, xErr: null, yErr: null };
  }
  const { raErr, decErr, ra_dec_Cov } = skyErrors(wcs, x, y, { xx, xy, yy }, noiseScale);
  return {
    ra, dec, raErr, decErr, ra_dec_Cov, xErr: noiseScale * Math.sqrt(xx), yErr: noiseScale * Math.sqrt(yy),
  };
}

function isContained({ x, y }: PsfFit, { footprint: { x0, y0, x1, y1 } }: Measurable): boolean {
  return x >= x0 - 0.5 && x < x1 - 0.5 && y >= y0 - 0.5 && y < y1 - 0.5;
}

/** By how much the area exceeds the PSF's: 0 at its size or below, 1 at twice it. */
function extendednessOf(own: Moments | null, ofPsf: Moments | null): number | null {
  if (own === null || ofPsf === null) return null;
  return Math.min(1, Math.max(0, (own.xx + own.yy) / (ofPsf.xx + ofPsf.yy) - 1));
}
