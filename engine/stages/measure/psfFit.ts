/** Fit of a point source to a difference: flux and position with their covariance. */
import { addedFluxNoise, fluxNoiseOf, type FluxNoisePlanes } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import { createPsfPatches, type PsfPatches } from '../../image/psfPatch.ts';
import { createPointSums, type PointSums } from '../../kernels/pointSource.ts';
import type { MeasureConfig } from './config.ts';

export type PsfFit = Readonly<{
  /** Same unit as the image, with its sign. */
  flux: number; fluxErr: number;
  x: number; y: number;
  /** Covariance of x and y, px²; null when only the flux was fitted. */
  xx: number | null; xy: number | null; yy: number | null;
  /** Whether the position is the peak's because the fit of it failed. */
  isCentroidFailed: boolean;
  isAtEdge: boolean;
  chi2: number; logLikelihood: number; pixelCount: number;
}>;

/** Pixels that no fit uses. */
export const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');
/** What the fits of all sources of a PSF share. */
export type FitWorkspace = Readonly<{
  fwhmPx: number;
  /** Of the flux and its figures; of the steps towards the centroid, which need the core alone. */
  whole: PsfPatches; core: PsfPatches;
  wholeSums: PointSums; coreSums: PointSums;
  /** What a flux has of noise beside that of its pixels. */
  fluxNoise: FluxNoisePlanes;
}>;

/** Half side of the pixels that tell a centroid, in full widths: 1.4 of them hold all but 1e-3 of its information. */
const CORE_FWHM = 1.4;

/**
 * @param planes    Of the image that the sources are on.
 * @param fluxNoise Of the same image.
 */
export function createFitWorkspace(
  planes: MaskedImage, psf: PsfModel, fluxNoise: FluxNoisePlanes, config: MeasureConfig,
): FitWorkspace {
  const fwhmPx = psfFwhmPx(psf, (psf.width - 1) / 2, (psf.height - 1) / 2);
  const whole = createPsfPatches(psf, config.fitHalfSizePx);
  const core = createPsfPatches(psf, Math.min(config.fitHalfSizePx, Math.max(4, Math.ceil(CORE_FWHM * fwhmPx)) + 2));
  const point = { ...planes, ignoredBits: UNUSABLE };
  return {
    fwhmPx, whole, core, fluxNoise,
    wholeSums: createPointSums(point, whole.side), coreSums: createPointSums(point, core.side),
  };
}

/**
 * Flux and centroid by linearised least squares from a peak; all usable pixels weigh alike, and errors come from the
 * variance plane through the fit (sandwich form), so that a variance from the pixels' own counts does not bias it.
 * When the centroid does not converge near the peak, the flux is fitted there alone.
 *
 * @returns Null when too few pixels are usable.
 */
export function fitPsf(
  planes: MaskedImage, peakX: number, peakY: number, workspace: FitWorkspace, config: MeasureConfig,
): PsfFit | null {
  let x = peakX, y = peakY;
  for (let i = 0; i < config.iterationCountMax; i++) {
    const step = linearStep(planes, x, y, workspace);
    if (step === null) break;
    x += clamp(step.dx);
    y += clamp(step.dy);
    if (Math.hypot(x - peakX, y - peakY) > config.centroidShiftMaxPx) break;
    // Steps converge quadratically: after one as small as this, the next is below a hundredth of the error.
    const limit = Math.max(config.convergencePx, config.convergenceErrors * step.errorPx);
    if (Math.abs(step.dx) > limit || Math.abs(step.dy) > limit) continue;
    const fixed = fluxAt(planes, x, y, workspace, config);
    // Within the convergence limit the covariance at the last place holds.
    return fixed && { ...fixed, ...step.covariance(), x, y, isCentroidFailed: false };
  }
  const fixed = fluxAt(planes, peakX, peakY, workspace, config);
  return fixed && { ...fixed, x: peakX, y: peakY, xx: null, xy: null, yy: null, isCentroidFailed: true };
}

/** Half a pixel a step keeps the linearisation honest. */
function clamp(step: number): number {
  return Math.max(-0.5, Math.min(0.5, step));
}

type Step = Readonly<{
  dx: number; dy: number;
  /** Rough error of a coordinate, from the middle pixel's variance. */
  errorPx: number;
  covariance: () => Readonly<{ xx: number; xy: number; yy: number }>;
}>;

/** One step of Gauss and Newton from (x, y); null when the equations are singular. */
function linearStep(planes: MaskedImage, x: number, y: number, workspace: FitWorkspace): Step | null {
  const { width, height, variance } = planes, { core, coreSums } = workspace;
  const cx = Math.round(x), cy = Math.round(y), patch = core.partsAt(x, y);
  const [a0, a1, a2, a3, a4, a5, b0, b1, b2] = coreSums.products(patch, cx, cy);
  const inverse = inverse3(Float64Array.of(a0, a1, a2, a3, a4, a5));
  if (inverse === null) return null;
  const flux = inverse[0] * b0 + inverse[1] * b1 + inverse[2] * b2;
  if (flux === 0) return null;
  const middle = Math.min(height - 1, Math.max(0, cy)) * width + Math.min(width - 1, Math.max(0, cx));
  return {
    dx: (inverse[1] * b0 + inverse[3] * b1 + inverse[4] * b2) / flux,
    dy: (inverse[2] * b0 + inverse[4] * b1 + inverse[5] * b2) / flux,
    errorPx: Math.sqrt(Math.max(0, inverse[3] * variance[middle])) / Math.abs(flux),
    covariance: () => covarianceOf(coreSums.noises(patch, cx, cy), flux, inverse),
  };
}

/** Σ over pixels of products with the variance between the inverses; of the model that the last step used. */
function covarianceOf(
  noises: Float64Array, flux: number, inverse: Float64Array,
): Readonly<{ xx: number; xy: number; yy: number }> {
  const covariance = sandwich3(inverse, noises), flux2 = flux * flux;
  return { xx: covariance[3] / flux2, xy: covariance[4] / flux2, yy: covariance[5] / flux2 };
}

/** Flux at a fixed position with the figures of the fit there; null when too few pixels are usable. */
function fluxAt(
  { width, height }: MaskedImage, x: number, y: number, { whole, wholeSums, fluxNoise }: FitWorkspace,
  config: MeasureConfig,
): Pick<PsfFit, 'flux' | 'fluxErr' | 'isAtEdge' | 'chi2' | 'logLikelihood' | 'pixelCount'> | null {
  const { half, side } = whole, cx = Math.round(x), cy = Math.round(y), patch = whole.partsAt(x, y);
  const {
    signal, squares, noise, allSquares, dataChi2, crossChi2, modelChi2, pixelCount, logVariance,
  } = wholeSums.flux(patch, cx, cy);
  if (!(squares >= config.usableShareMin * allSquares)) return null;
  const logarithms = logVariance + pixelCount * Math.log(2 * Math.PI);
  const flux = signal / squares, chi2 = dataChi2 - 2 * flux * crossChi2 + flux * flux * modelChi2;
  const isAtEdge = cx < half || cy < half || cx + half >= width || cy + half >= height;
  const fluxErr = Math.sqrt(fluxNoiseOf(noise, addedFluxNoise(fluxNoise, patch, side, cx, cy))) / squares;
  return { flux, fluxErr, isAtEdge, chi2, logLikelihood: -0.5 * (chi2 + logarithms), pixelCount };
}

/** Inverse of a symmetric 3 × 3 matrix (00, 01, 02, 11, 12, 22); null when it is singular. */
function inverse3([a, b, c, d, e, f]: Float64Array): Float64Array | null {
  const determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d);
  if (!(determinant > 1e-12 * a * d * f)) return null;
  return Float64Array.of(
    (d * f - e * e) / determinant, (c * e - b * f) / determinant, (b * e - c * d) / determinant,
    (a * f - c * c) / determinant, (b * c - a * e) / determinant, (a * d - b * b) / determinant,
  );
}

const INDEX_3 = [0, 1, 2, 1, 3, 4, 2, 4, 5] as const;

/** M C M for symmetric 3 × 3 matrices. */
function sandwich3(m: Float64Array, c: Float64Array): Float64Array {
  const out = new Float64Array(6);
  for (let i = 0; i < 3; i++) {
    for (let j = i; j < 3; j++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) {
        for (let l = 0; l < 3; l++) sum += m[INDEX_3[3 * i + k]] * c[INDEX_3[3 * k + l]] * m[INDEX_3[3 * l + j]];
      }
      out[INDEX_3[3 * i + j]] = sum;
    }
  }
  return out;
}
