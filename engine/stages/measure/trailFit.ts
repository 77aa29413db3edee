/** Fit of a trail: a point source that moved evenly along a straight line while the shutter was open. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { PsfPatches } from '../../kernels/patches.ts';
import type { MeasureConfig } from './config.ts';
import { fitDamped, type NormalEquations } from './dampedFit.ts';
import { UNUSABLE } from './psfFit.ts';
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
const FLUX = 0, X = 1, Y = 2, LENGTH = 3, ANGLE = 4, UNKNOWNS = 5;

/** Pixels around a trail and the workspace of its fit. */
type Frame = Readonly<{ x0: number; y0: number; width: number; height: number }>;

/**
 * Least squares with weights 1 / variance, by Levenberg's and Marquardt's steps (model: Vereš et al. 2012, PASP 124,
 * 1197, with the measured PSF in place of a Gaussian).
 *
 * @param patches Of the difference's PSF.
 * @param start   Middle, length and direction as the footprint's moments show them.
 * @param sign    −1 for a trail that is missing.
 * @returns Null when it does not converge to a length above 0 near its start.
 */
export function fitTrail(
  planes: MaskedImage, patches: PsfPatches, sign: number,
  start: Readonly<{ x: number; y: number; lengthPx: number; angle: number }>, config: MeasureConfig,
): TrailFit | null {
  const frame = frameOf(planes, start, patches.half), size = frame.width * frame.height;
  const terms = Array.from({ length: UNKNOWNS }, () => new Float64Array(size)), scratch = new Float64Array(size);
  const p = Float64Array.of(1, start.x, start.y, start.lengthPx, start.angle);
  const at = (place: Float64Array): Equations => equations(planes, patches, frame, place, terms, scratch);
  const { modelData, modelSquare } = at(p);
  if (modelSquare === 0) return null;
  p[FLUX] = modelData / modelSquare; // Linear: the best flux of the starting line.
  const isAway = (next: Float64Array): boolean => (
    Math.hypot(next[X] - start.x, next[Y] - start.y) > start.lengthPx / 2 + patches.half
    || !(next[LENGTH] > 0) || next[LENGTH] > 2 * start.lengthPx + 4 * patches.half || !(sign * next[FLUX] > 0)
  );
  const end = fitDamped(p, at(p), (next) => (isAway(next) ? null : at(next)), config.trailIterationCountMax);
  return end && resultOf(planes, patches, frame, end, p);
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

type Equations = NormalEquations & Readonly<{ pixelCount: number; modelData: number; modelSquare: number }>;

/** Angle by which the trail is turned to see what that changes, radians: a tenth of a pixel at an end 20 px away. */
const TURN = 0.005;

function equations(
  { image, variance, mask, width }: MaskedImage, patches: PsfPatches, frame: Frame, p: Float64Array,
  terms: readonly Float64Array[], scratch: Float64Array,
): Equations {
  fillDerivatives(patches, frame, p, terms, scratch);
  const matrix = new Float64Array(UNKNOWNS * UNKNOWNS), right = new Float64Array(UNKNOWNS);
  const values = new Float64Array(UNKNOWNS);
  let chi2 = 0, pixelCount = 0, modelData = 0, modelSquare = 0;
  for (let v = 0, k = 0; v < frame.height; v++) {
    for (let u = 0; u < frame.width; u++, k++) {
      const j = (frame.y0 + v) * width + frame.x0 + u;
      if ((mask[j] & UNUSABLE) !== 0 || image[j] - image[j] !== 0 || !(variance[j] > 0)) continue;
      const w = 1 / variance[j], model = terms[FLUX][k], residual = image[j] - p[FLUX] * model;
      chi2 += residual * residual * w;
      modelData += model * image[j] * w;
      modelSquare += model * model * w;
      pixelCount++;
      for (let a = 0; a < UNKNOWNS; a++) values[a] = terms[a][k];
      for (let a = 0; a < UNKNOWNS; a++) {
        right[a] += values[a] * residual * w;
        for (let b = a; b < UNKNOWNS; b++) matrix[a * UNKNOWNS + b] += values[a] * values[b] * w;
      }
    }
  }
  for (let a = 0; a < UNKNOWNS; a++) for (let b = 0; b < a; b++) matrix[a * UNKNOWNS + b] = matrix[b * UNKNOWNS + a];
  return { matrix, right, chi2, pixelCount, modelData, modelSquare };
}

/** The model of unit flux, and its derivatives times the flux: by the middle's place, the length and the direction. */
function fillDerivatives(
  patches: PsfPatches, frame: Frame, p: Float64Array, terms: readonly Float64Array[], scratch: Float64Array,
): void {
  const [model, byX, byY, byLength, byAngle] = terms, { width, height } = frame, flux = p[FLUX];
  const cos = Math.cos(p[ANGLE]), sin = Math.sin(p[ANGLE]), length = p[LENGTH];
  drawTrail(patches, frame, p[X], p[Y], length, p[ANGLE], model);
  for (let v = 0, k = 0; v < height; v++) {
    for (let u = 0; u < width; u++, k++) {
      const isInner = u > 1 && v > 1 && u < width - 2 && v < height - 2;
      byX[k] = isInner ? flux * slope(model, k, 1) : 0;
      byY[k] = isInner ? flux * slope(model, k, width) : 0;
    }
  }
  // A longer trail of the same flux has more at its ends and less along it.
  byLength.fill(0);
  for (const end of [-0.5, 0.5]) {
    addPatch(patches, frame, p[X] + end * length * cos, p[Y] + end * length * sin, 0.5, byLength);
  }
  for (let k = 0; k < model.length; k++) byLength[k] = (flux * (byLength[k] - model[k])) / length;
  drawTrail(patches, frame, p[X], p[Y], length, p[ANGLE] + TURN, byAngle);
  drawTrail(patches, frame, p[X], p[Y], length, p[ANGLE] - TURN, scratch);
  for (let k = 0; k < model.length; k++) byAngle[k] = (flux * (byAngle[k] - scratch[k])) / (2 * TURN);
}

/** Minus the five-point slope: what a step of the middle changes. */
function slope(model: Float64Array, k: number, step: number): number {
  return (8 * (model[k - step] - model[k + step]) + model[k + 2 * step] - model[k - 2 * step]) / 12;
}

/** Mean of the PSF along the line, at steps of a pixel or less: below 1e-3 of the integral for any sampled PSF. */
function drawTrail(
  patches: PsfPatches, frame: Frame, x: number, y: number, length: number, angle: number, out: Float64Array,
): void {
  const steps = Math.max(2, Math.ceil(length)), cos = Math.cos(angle), sin = Math.sin(angle);
  out.fill(0);
  for (let n = 0; n < steps; n++) {
    const t = ((n + 0.5) / steps - 0.5) * length;
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
  planes: MaskedImage, patches: PsfPatches, frame: Frame, { matrix, chi2, pixelCount }: Equations, p: Float64Array,
): TrailFit | null {
  const covariance = matrix.slice();
  if (!invertSymmetric(covariance, UNKNOWNS)) return null;
  const at = (a: number, b: number): number => covariance[a * UNKNOWNS + b];
  const turns = Math.round(p[ANGLE] / Math.PI);
  return {
    flux: p[FLUX], fluxErr: Math.sqrt(at(FLUX, FLUX)), x: p[X], y: p[Y], xx: at(X, X), xy: at(X, Y), yy: at(Y, Y),
    lengthPx: p[LENGTH], lengthErrPx: Math.sqrt(at(LENGTH, LENGTH)),
    angle: p[ANGLE] - turns * Math.PI, angleErr: Math.sqrt(at(ANGLE, ANGLE)), chi2, pixelCount,
    pointChi2: pointChi2(planes, patches, frame, p[X], p[Y]),
  };
}

function pointChi2(
  { image, variance, mask, width }: MaskedImage, patches: PsfPatches, frame: Frame, x: number, y: number,
): number {
  const model = new Float64Array(frame.width * frame.height);
  addPatch(patches, frame, x, y, 1, model);
  let dd = 0, pd = 0, pp = 0;
  for (let v = 0, k = 0; v < frame.height; v++) {
    for (let u = 0; u < frame.width; u++, k++) {
      const j = (frame.y0 + v) * width + frame.x0 + u;
      if ((mask[j] & UNUSABLE) !== 0 || image[j] - image[j] !== 0 || !(variance[j] > 0)) continue;
      const w = 1 / variance[j];
      dd += image[j] * image[j] * w;
      pd += model[k] * image[j] * w;
      pp += model[k] * model[k] * w;
    }
  }
  return pp > 0 ? dd - (pd * pd) / pp : dd;
}
