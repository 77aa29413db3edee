/** Which sources ask for more than a point: dipoles and trails, fitted and put into the packet's fields. */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { FWHM_PER_SIGMA } from '../../image/psf.ts';
import { pixelScaleArcsec, pixelToSky, type Wcs } from '../../image/wcs.ts';
import type { SourceShape } from '../../kernels/shapes.ts';
import type { MeasureConfig } from './config.ts';
import { fitDipole, type DipoleFit } from './dipoleFit.ts';
import type { Measurable } from './measure.ts';
import type { FitWorkspace, PsfFit } from './psfFit.ts';
import { bearingDeg, skyErrors } from './skyGeometry.ts';
import { fitTrail, type TrailFit, type TrailStart } from './trailFit.ts';

export type DipoleFields = Pick<DiaSource, Extract<keyof DiaSource, `dipole${string}`> | 'isDipole'>;
export type TrailFields = Pick<DiaSource, Extract<keyof DiaSource, `trail${string}`>>;

const NO_DIPOLE: Omit<DipoleFields, 'dipoleFitAttempted'> = {
  dipoleMeanFlux: null, dipoleMeanFluxErr: null, dipoleFluxDiff: null, dipoleFluxDiffErr: null, dipoleLength: null,
  dipoleAngle: null, dipoleChi2: null, dipoleNdata: 0, isDipole: false,
};

/**
 * Fits a dipole where a peak of the other sign lies near. It is one (Rubin's dipoleFitTask) when both lobes together
 * are significant and neither holds more than 65 % of their flux.
 */
export function dipoleFields(
  planes: MaskedImage, wcs: Wcs, noiseScale: number, fit: PsfFit, other: PsfFit | null, workspace: FitWorkspace,
  config: MeasureConfig,
): DipoleFields {
  if (other === null || fit.flux * other.flux >= 0) return { ...NO_DIPOLE, dipoleFitAttempted: false };
  const dipole = fitDipole(planes, workspace, fit, other, config);
  if (dipole === null) return { ...NO_DIPOLE, dipoleFitAttempted: true };
  const { positive, negative } = dipole, scale = pixelScaleArcsec(wcs);
  const length = Math.hypot(positive.x - negative.x, positive.y - negative.y);
  return {
    dipoleMeanFlux: dipole.meanFlux, dipoleMeanFluxErr: noiseScale * dipole.meanFluxErr,
    dipoleFluxDiff: dipole.fluxDiff, dipoleFluxDiffErr: noiseScale * dipole.fluxDiffErr,
    dipoleLength: length * scale, dipoleAngle: bearingDeg(wcs, negative, positive), dipoleChi2: dipole.chi2,
    dipoleNdata: dipole.pixelCount, isDipole: isDipole(dipole, config), dipoleFitAttempted: true,
  };
}

function isDipole({ positive, negative, snr }: DipoleFit, config: MeasureConfig): boolean {
  const a = positive.flux, b = -negative.flux;
  return snr >= config.dipoleSnrMin && Math.max(a, b) <= config.dipoleFluxShareMax * (a + b);
}

const NO_TRAIL: TrailFields = {
  trailFlux: null, trailFluxErr: null, trailRa: null, trailRaErr: null, trailDec: null, trailDecErr: null,
  trailLength: null, trailLengthErr: null, trailAngle: null, trailAngleErr: null, trailChi2: null, trailNdata: 0,
  trail_flag_edge: null,
};

/**
 * Fits a trail where the footprint is longer than the PSF's; null where that does not describe the pixels better than a
 * point, or its length is not significant.
 *
 * @param light Of the footprint's pixels; 0 where its sides are not a trail's.
 */
export function findTrail(
  planes: MaskedImage, noiseScale: number, detection: Measurable, light: SourceShape['light'], workspace: FitWorkspace,
  config: MeasureConfig,
): TrailFit | null {
  const start = elongationOf(light, workspace.fwhmPx, config);
  if (start === null) return null;
  const trail = fitTrail(planes, workspace, detection.isNegative ? -1 : 1, start, config);
  return trail !== null && isTrail(trail, workspace.fwhmPx, noiseScale, config.trailChi2GainMin, config) ? trail : null;
}

/** A packet's fields of a trail, or of none. */
export function trailFields(planes: MaskedImage, wcs: Wcs, noiseScale: number, trail: TrailFit | null): TrailFields {
  if (trail === null) return NO_TRAIL;
  const scale = pixelScaleArcsec(wcs), { raDeg, decDeg } = pixelToSky(wcs, trail.x, trail.y);
  const errors = skyErrors(wcs, trail.x, trail.y, trail, noiseScale);
  const cos = Math.cos(trail.angle), sin = Math.sin(trail.angle);
  const end = (side: number) => (
    { x: trail.x + (side * trail.lengthPx * cos) / 2, y: trail.y + (side * trail.lengthPx * sin) / 2 }
  );
  return {
    trailFlux: trail.flux, trailFluxErr: noiseScale * trail.fluxErr, trailRa: raDeg, trailRaErr: errors.raErr,
    trailDec: decDeg, trailDecErr: errors.decErr, trailLength: trail.lengthPx * scale,
    trailLengthErr: noiseScale * trail.lengthErrPx * scale,
    // Which end came first is not known: 0 to 180.
    trailAngle: ((bearingDeg(wcs, end(-1), end(1)) % 180) + 180) % 180,
    trailAngleErr: (noiseScale * trail.angleErr * 180) / Math.PI, trailChi2: trail.chi2, trailNdata: trail.pixelCount,
    trail_flag_edge: touchesEdge(planes, [end(-1), end(1)]),
  };
}

/**
 * Whether a trail describes its pixels better than points do, and its length is significant.
 *
 * @param chi2GainMin By how much better, in χ² of the noise as it was measured.
 */
export function isTrail(
  trail: TrailFit, fwhmPx: number, noiseScale: number, chi2GainMin: number, config: MeasureConfig,
): boolean {
  return trail.pointChi2 - trail.chi2 > chi2GainMin * noiseScale * noiseScale
    && trail.lengthPx > config.trailLengthMinFwhm * fwhmPx
    && trail.lengthPx > config.trailLengthSigmaMin * noiseScale * trail.lengthErrPx;
}

const EDGE = maskBits('EDGE', 'NO_DATA');

function touchesEdge({ mask, width, height }: MaskedImage, ends: readonly { x: number; y: number }[]): boolean {
  return ends.some(({ x, y }) => {
    const u = Math.round(x), v = Math.round(y);
    return u < 0 || v < 0 || u >= width || v >= height || (mask[v * width + u] & EDGE) !== 0;
  });
}

/**
 * Second moments of the footprint's pixels, by their flux: of a line of length L smeared by a PSF, σ² + L²/12 along it
 * and σ² across. Null where they are not those of a trail, or were not asked for.
 */
function elongationOf(
  light: SourceShape['light'], fwhmPx: number, config: MeasureConfig,
): TrailStart | null {
  const { sum } = light;
  if (!(sum > 0)) return null;
  const x = light.x / sum, y = light.y / sum;
  const xx = light.xx / sum - x * x, xy = light.xy / sum - x * y, yy = light.yy / sum - y * y;
  const half = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy), sigma2 = (fwhmPx / FWHM_PER_SIGMA) ** 2;
  if (half + spread < config.trailElongationMin * sigma2 || half - spread > config.trailWidthMax * sigma2) return null;
  return { x, y, lengthPx: Math.sqrt(12 * (half + spread - 0.8 * sigma2)), angle: Math.atan2(2 * xy, xx - yy) / 2 };
}
