/** Which sources ask for more than a point: dipoles and trails, fitted and put into the packet's fields. */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { FWHM_PER_SIGMA } from '../../image/psf.ts';
import { pixelScaleArcsec, pixelToSky, type Wcs } from '../../image/wcs.ts';
import type { MeasureConfig } from './config.ts';
import { fitDipole, type DipoleFit } from './dipoleFit.ts';
import type { Measurable } from './measure.ts';
import type { FitWorkspace, PsfFit } from './psfFit.ts';
import { bearingDeg, skyErrors } from './skyGeometry.ts';
import { fitTrail, type TrailFit } from './trailFit.ts';

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
  const dipole = fitDipole(planes, workspace.patches, workspace.fwhmPx, fit, other, config);
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
 * Fits a trail where the footprint is longer than the PSF's, and reports it where it describes the pixels better than a
 * point and its length is significant; elsewhere there is none.
 */
export function trailFields(
  planes: MaskedImage, wcs: Wcs, noiseScale: number, detection: Measurable, workspace: FitWorkspace,
  config: MeasureConfig,
): TrailFields {
  const start = elongationOf(planes, detection, workspace.fwhmPx, config);
  if (start === null) return NO_TRAIL;
  const trail = fitTrail(planes, workspace.patches, detection.isNegative ? -1 : 1, start, config);
  if (trail === null || !isTrail(trail, workspace.fwhmPx, noiseScale, config)) return NO_TRAIL;
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

function isTrail(trail: TrailFit, fwhmPx: number, noiseScale: number, config: MeasureConfig): boolean {
  return trail.pointChi2 - trail.chi2 > config.trailChi2GainMin * noiseScale * noiseScale
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
 * and σ² across. Null where they are not those of a trail.
 */
function elongationOf(
  { image, mask, width }: MaskedImage, { footprint, isNegative }: Measurable, fwhmPx: number, config: MeasureConfig,
): { x: number; y: number; lengthPx: number; angle: number } | null {
  const { x0, y0, x1, y1 } = footprint, side = Math.max(x1 - x0, y1 - y0);
  if (side < config.trailSideMinFwhm * fwhmPx || side > config.trailSideMaxPx) return null;
  const bits = maskBits(isNegative ? 'DETECTED_NEGATIVE' : 'DETECTED'), sign = isNegative ? -1 : 1;
  let sum = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
  for (let v = y0; v < y1; v++) {
    for (let u = x0; u < x1; u++) {
      const j = v * width + u, value = sign * image[j];
      if ((mask[j] & bits) === 0 || !(value > 0)) continue;
      sum += value; sx += value * u; sy += value * v;
      sxx += value * u * u; sxy += value * u * v; syy += value * v * v;
    }
  }
  if (!(sum > 0)) return null;
  const x = sx / sum, y = sy / sum, xx = sxx / sum - x * x, xy = sxy / sum - x * y, yy = syy / sum - y * y;
  const half = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy), sigma2 = (fwhmPx / FWHM_PER_SIGMA) ** 2;
  if (half + spread < config.trailElongationMin * sigma2 || half - spread > config.trailWidthMax * sigma2) return null;
  return { x, y, lengthPx: Math.sqrt(12 * (half + spread - 0.8 * sigma2)), angle: Math.atan2(2 * xy, xx - yy) / 2 };
}
