/** Fit of a trail: a point source that moved evenly along a straight line while the shutter was open. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import { createExtendedEquations, TRAIL_UNKNOWNS, type FitEquations, type Frame } from '../../kernels/extended.ts';
import type { MeasureConfig } from './config.ts';
import { fitDamped } from './dampedFit.ts';
import { UNUSABLE, type FitWorkspace } from './psfFit.ts';
import { invertSymmetric } from './solve.ts';

export type TrailFit = Readonly<{
  flux: number; fluxErr: number;
  /** Middle of the trail, its covariance; px, px². */
  x: number; y: number; xx: number; xy: number; yy: number;
  lengthPx: number; lengthErrPx: number;
  /** Direction from +x towards +y, −π/2 … π/2; radians. */
  angle: number; angleErr: number;
  chi2: number; pixelCount: number;
  /** χ² of the same pixels under the best point source at the trail's middle. */
  pointChi2: number;
}>;

/** Unknowns in order. */
const FLUX = 0, X = 1, Y = 2, LENGTH = 3, ANGLE = 4;

/**
 * Least squares with weights 1 / variance, by Levenberg's and Marquardt's steps (model: Vereš et al. 2012, PASP 124,
 * 1197, with the measured PSF in place of a Gaussian).
 *
 * @param workspace Of the difference's PSF.
 * @param start     Middle, length and direction as the footprint's moments show them.
 * @param sign      −1 for a trail that is missing.
 * @returns Null when it does not converge to a length above 0 near its start.
 */
export function fitTrail(
  planes: MaskedImage, workspace: FitWorkspace, sign: number,
  start: Readonly<{ x: number; y: number; lengthPx: number; angle: number }>, config: MeasureConfig,
): TrailFit | null {
  const { patches } = workspace, frame = frameOf(planes, start, patches.half);
  const p = Float64Array.of(1, start.x, start.y, start.lengthPx, start.angle);
  const { trail: at } = createExtendedEquations(
    { ...planes, ignoredBits: UNUSABLE, psf: workspace.psf, halfSizePx: patches.half }, frame);
  const { matrix: [modelSquare], right: [left] } = at(p);
  if (modelSquare === 0) return null;
  p[FLUX] += left / modelSquare; // Linear: the best flux of the starting line.
  const isAway = (next: Float64Array): boolean => (
    Math.hypot(next[X] - start.x, next[Y] - start.y) > start.lengthPx / 2 + patches.half
    || !(next[LENGTH] > 0) || next[LENGTH] > 2 * start.lengthPx + 4 * patches.half || !(sign * next[FLUX] > 0)
  );
  const end = fitDamped(p, at(p), (next) => (isAway(next) ? null : at(next)), config.trailIterationCountMax);
  return end && resultOf(end, p, at);
}

function frameOf(
  { width, height }: MaskedImage,
  { x, y, lengthPx, angle }: Readonly<{ x: number; y: number; lengthPx: number; angle: number }>, half: number,
): Frame {
  // Room for a trail half as long again as its footprint.
  const reachX = Math.abs(Math.cos(angle)) * 0.75 * lengthPx + half;
  const reachY = Math.abs(Math.sin(angle)) * 0.75 * lengthPx + half;
  const x0 = Math.max(0, Math.floor(x - reachX)), y0 = Math.max(0, Math.floor(y - reachY));
  return {
    x0, y0, width: Math.max(0, Math.min(width, Math.ceil(x + reachX) + 1) - x0),
    height: Math.max(0, Math.min(height, Math.ceil(y + reachY) + 1) - y0),
  };
}

function resultOf(
  { matrix, chi2, pixelCount }: FitEquations, p: Float64Array, equationsAt: (p: Float64Array) => FitEquations,
): TrailFit | null {
  const covariance = matrix.slice();
  if (!invertSymmetric(covariance, TRAIL_UNKNOWNS)) return null;
  const at = (a: number, b: number): number => covariance[a * TRAIL_UNKNOWNS + b];
  const turns = Math.round(p[ANGLE] / Math.PI);
  return {
    flux: p[FLUX], fluxErr: Math.sqrt(at(FLUX, FLUX)), x: p[X], y: p[Y], xx: at(X, X), xy: at(X, Y), yy: at(Y, Y),
    lengthPx: p[LENGTH], lengthErrPx: Math.sqrt(at(LENGTH, LENGTH)),
    angle: p[ANGLE] - turns * Math.PI, angleErr: Math.sqrt(at(ANGLE, ANGLE)), chi2, pixelCount,
    pointChi2: pointChi2(equationsAt, p[X], p[Y]),
  };
}

/** χ² of the best point: of a trail without length the model is one, and without flux the residuals are the data. */
function pointChi2(equationsAt: (p: Float64Array) => FitEquations, x: number, y: number): number {
  const { matrix: [pp], right: [pd], chi2 } = equationsAt(Float64Array.of(0, x, y, 0, 0));
  return pp > 0 ? chi2 - (pd * pd) / pp : chi2;
}
