/** Fit of a trail: a point source that moved evenly along a straight line while the shutter was open. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import { createExtendedEquations, TRAIL_UNKNOWNS, type FitEquations, type Frame } from '../../kernels/extended.ts';
import type { PsfPatches } from '../../kernels/patches.ts';
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
  /** χ² of the same pixels under the best fluxes of what was given, or of a point source at the trail's middle. */
  pointChi2: number;
}>;

/** Middle, length and direction of a trail as its footprint shows them. */
export type TrailStart = Readonly<{ x: number; y: number; lengthPx: number; angle: number }>;

/** Unknowns in order. */
const FLUX = 0, X = 1, Y = 2, LENGTH = 3, ANGLE = 4;

/**
 * Least squares with weights 1 / variance, by Levenberg's and Marquardt's steps (model: Vereš et al. 2012, PASP 124,
 * 1197, with the measured PSF in place of a Gaussian).
 *
 * @param workspace Of the difference's PSF.
 * @param start     Where the fit begins.
 * @param sign      −1 for a trail that is missing.
 * @param others    What the trail is compared with: trails, or points of length 0.
 * @returns Null when it does not converge to a length above 0 near its start.
 */
export function fitTrail(
  planes: MaskedImage, workspace: FitWorkspace, sign: number, start: TrailStart, config: MeasureConfig,
  others: readonly TrailStart[] = [],
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
  if (end === null) return null;
  const found = resultOf(end, p, at);
  if (found === null || others.length === 0) return found;
  return { ...found, pointChi2: othersChi2(planes, patches, frame, others) };
}

function frameOf(
  { width, height }: MaskedImage, { x, y, lengthPx, angle }: TrailStart, half: number,
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

/** Mean of the PSF along the line, at steps of a pixel or less, added; a trail of length 0 is a point. */
function addTrail(
  patches: PsfPatches, frame: Frame, { x, y, lengthPx, angle }: TrailStart, out: Float64Array,
): void {
  const steps = Math.max(1, Math.ceil(lengthPx)), cos = Math.cos(angle), sin = Math.sin(angle);
  for (let n = 0; n < steps; n++) {
    const t = ((n + 0.5) / steps - 0.5) * lengthPx;
    addPatch(patches, frame, x + t * cos, y + t * sin, 1 / steps, out);
  }
}

function addPatch(patches: PsfPatches, frame: Frame, x: number, y: number, factor: number, out: Float64Array): void {
  const { half, side } = patches, patch = patches.at(x, y);
  const left = Math.round(x) - half - frame.x0, low = Math.round(y) - half - frame.y0;
  for (let v = Math.max(0, -low); v < side && low + v < frame.height; v++) {
    for (let u = Math.max(0, -left); u < side && left + u < frame.width; u++) {
      out[(low + v) * frame.width + left + u] += factor * patch[v * side + u];
    }
  }
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

/** χ² of the best fluxes of trails and points at fixed places; infinite where they are not determined. */
function othersChi2(
  { image, variance, mask, width }: MaskedImage, patches: PsfPatches, frame: Frame, others: readonly TrailStart[],
): number {
  const count = others.length, matrix = new Float64Array(count * count), right = new Float64Array(count);
  const models = others.map((other) => {
    const model = new Float64Array(frame.width * frame.height);
    addTrail(patches, frame, other, model);
    return model;
  });
  let squares = 0;
  for (let v = 0, k = 0; v < frame.height; v++) {
    for (let u = 0; u < frame.width; u++, k++) {
      const j = (frame.y0 + v) * width + frame.x0 + u;
      if ((mask[j] & UNUSABLE) !== 0 || image[j] - image[j] !== 0 || !(variance[j] > 0)) continue;
      const w = 1 / variance[j];
      squares += image[j] * image[j] * w;
      for (let a = 0; a < count; a++) {
        const value = models[a][k] * w;
        if (value === 0) continue;
        right[a] += value * image[j];
        for (let b = 0; b < count; b++) matrix[a * count + b] += value * models[b][k];
      }
    }
  }
  if (!invertSymmetric(matrix, count)) return Infinity;
  return right.reduce((chi2, value, a) => (
    right.reduce((rest, other, b) => rest - value * other * matrix[a * count + b], chi2)
  ), squares);
}
