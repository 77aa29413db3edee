/** Fit of a point source to a difference: flux and position with their covariance. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { evaluatePsfAt, type PsfModel } from '../../image/psf.ts';
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

const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');
/** Stamps that a fit works in; made once for all sources of a PSF. */
export type FitWorkspace = Readonly<{
  model: Float32Array; gradientX: Float32Array; gradientY: Float32Array; scratch: Float32Array;
}>;

export function createFitWorkspace(psf: PsfModel): FitWorkspace {
  const stamp = (): Float32Array => new Float32Array(psf.size * psf.size);
  return { model: stamp(), gradientX: stamp(), gradientY: stamp(), scratch: stamp() };
}

/**
 * Flux and centroid by linearised least squares from a peak; all usable pixels weigh alike, and errors come from the
 * variance plane through the fit (sandwich form), so that a variance from the pixels' own counts does not bias it.
 * When the centroid does not converge near the peak, the flux is fitted there alone.
 *
 * @returns Null when too few pixels are usable.
 */
export function fitPsf(
  planes: MaskedImage, psf: PsfModel, peakX: number, peakY: number, workspace: FitWorkspace, config: MeasureConfig,
): PsfFit | null {
  let x = peakX, y = peakY, step: Step | null = null;
  for (let i = 0; i < config.iterationCountMax; i++) {
    step = linearStep(planes, psf, x, y, workspace, config);
    if (step === null) break;
    const dx = clamp(step.dx), dy = clamp(step.dy);
    x += dx;
    y += dy;
    if (Math.hypot(x - peakX, y - peakY) > config.centroidShiftMaxPx) break;
    if (Math.abs(step.dx) > config.convergencePx || Math.abs(step.dy) > config.convergencePx) continue;
    // Within the convergence limit the step's own covariance holds.
    const fixed = fluxAt(planes, psf, x, y, workspace, config);
    const { fluxErr, xx, xy, yy } = step;
    return fixed && { ...fixed, fluxErr, x, y, xx, xy, yy, isCentroidFailed: false };
  }
  const fixed = fluxAt(planes, psf, peakX, peakY, workspace, config);
  return fixed && { ...fixed, x: peakX, y: peakY, xx: null, xy: null, yy: null, isCentroidFailed: true };
}

/** Half a pixel a step keeps the linearisation honest. */
function clamp(step: number): number {
  return Math.max(-0.5, Math.min(0.5, step));
}

type Step = Readonly<{ dx: number; dy: number; fluxErr: number; xx: number; xy: number; yy: number }>;

/** One step of Gauss and Newton from (x, y); null when the equations are singular. */
function linearStep(
  planes: MaskedImage, psf: PsfModel, x: number, y: number, workspace: FitWorkspace, config: MeasureConfig,
): Step | null {
  const { size } = psf, middle = (size - 1) / 2, half = Math.min(config.fitHalfSizePx, middle);
  const { model, gradientX, gradientY } = workspace, { width, height, image, variance } = planes;
  const cx = Math.round(x), cy = Math.round(y);
  evaluatePsfAt(psf, x, y, x - cx, y - cy, model, workspace.scratch);
  fillGradient(model, size, 1, gradientX);
  fillGradient(model, size, size, gradientY);
  // Σ over pixels of products of (p, ∂p/∂x, ∂p/∂y), of those with the data, and of those with the variance.
  const a = new Float64Array(6), b = new Float64Array(3), c = new Float64Array(6);
  for (let v = Math.max(-half, -cy); v <= half && cy + v < height; v++) {
    for (let u = Math.max(-half, -cx); u <= half && cx + u < width; u++) {
      const j = (cy + v) * width + cx + u, k = (v + middle) * size + u + middle;
      if (!isUsable(planes, j)) continue;
      const p = model[k], gx = gradientX[k], gy = gradientY[k], d = image[j], s = variance[j];
      a[0] += p * p; a[1] += p * gx; a[2] += p * gy; a[3] += gx * gx; a[4] += gx * gy; a[5] += gy * gy;
      c[0] += s * p * p; c[1] += s * p * gx; c[2] += s * p * gy;
      c[3] += s * gx * gx; c[4] += s * gx * gy; c[5] += s * gy * gy;
      b[0] += p * d; b[1] += gx * d; b[2] += gy * d;
    }
  }
  const inverse = inverse3(a);
  if (inverse === null) return null;
  const flux = inverse[0] * b[0] + inverse[1] * b[1] + inverse[2] * b[2];
  if (flux === 0) return null;
  const covariance = sandwich3(inverse, c);
  return {
    dx: (inverse[1] * b[0] + inverse[3] * b[1] + inverse[4] * b[2]) / flux,
    dy: (inverse[2] * b[0] + inverse[4] * b[1] + inverse[5] * b[2]) / flux,
    fluxErr: Math.sqrt(covariance[0]),
    xx: covariance[3] / (flux * flux), xy: covariance[4] / (flux * flux), yy: covariance[5] / (flux * flux),
  };
}

/**
 * Derivative of the model with respect to its centre: minus the five-point slope of its pixels, which is within
 * 1/(30 σ⁴) of the true one, 0.7 % at σ = 1.5 px. The two outermost rows or columns, where the PSF has ended, get 0.
 *
 * @param step 1 for the derivative along x, the stamp's side along y.
 */
function fillGradient(model: Float32Array, size: number, step: number, out: Float32Array): void {
  out.fill(0);
  for (let v = 2; v < size - 2; v++) {
    for (let u = 2; u < size - 2; u++) {
      const k = v * size + u;
      out[k] = (8 * (model[k - step] - model[k + step]) + model[k + 2 * step] - model[k - 2 * step]) / 12;
    }
  }
}

function isUsable({ image, variance, mask }: MaskedImage, j: number): boolean {
  return (mask[j] & UNUSABLE) === 0 && Number.isFinite(image[j]) && variance[j] > 0;
}

/** Flux at a fixed position with the figures of the fit there; null when too few pixels are usable. */
function fluxAt(
  planes: MaskedImage, psf: PsfModel, x: number, y: number, workspace: FitWorkspace, config: MeasureConfig,
): Pick<PsfFit, 'flux' | 'fluxErr' | 'isAtEdge' | 'chi2' | 'logLikelihood' | 'pixelCount'> | null {
  const { size } = psf, middle = (size - 1) / 2, half = Math.min(config.fitHalfSizePx, middle);
  const { width, height, image, variance } = planes, { model } = workspace, cx = Math.round(x), cy = Math.round(y);
  evaluatePsfAt(psf, x, y, x - cx, y - cy, model, workspace.scratch);
  let signal = 0, squares = 0, noise = 0, allSquares = 0, pixelCount = 0;
  let dataChi2 = 0, crossChi2 = 0, modelChi2 = 0, logarithms = 0;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      const p = model[(v + middle) * size + u + middle], px = cx + u, py = cy + v, j = py * width + px;
      allSquares += p * p;
      if (px < 0 || py < 0 || px >= width || py >= height || !isUsable(planes, j)) continue;
      const d = image[j], s = variance[j];
      signal += p * d;
      squares += p * p;
      noise += p * p * s;
      dataChi2 += (d * d) / s;
      crossChi2 += (p * d) / s;
      modelChi2 += (p * p) / s;
      logarithms += Math.log(2 * Math.PI * s);
      pixelCount++;
    }
  }
  if (!(squares >= config.usableShareMin * allSquares)) return null;
  const flux = signal / squares, chi2 = dataChi2 - 2 * flux * crossChi2 + flux * flux * modelChi2;
  const isAtEdge = cx < half || cy < half || cx + half >= width || cy + half >= height;
  const logLikelihood = -0.5 * (chi2 + logarithms);
  return { flux, fluxErr: Math.sqrt(noise) / squares, isAtEdge, chi2, logLikelihood, pixelCount };
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
