/** Fit of two point sources of opposite sign: what a wrong place, a shift or a fading neighbour leaves. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { PsfPatches } from '../../kernels/patches.ts';
import type { MeasureConfig } from './config.ts';
import { fitDamped, type NormalEquations } from './dampedFit.ts';
import { UNUSABLE } from './psfFit.ts';
import { invertSymmetric } from './solve.ts';

type Lobe = Readonly<{ x: number; y: number; flux: number }>;

export type DipoleFit = Readonly<{
  positive: Lobe; negative: Lobe;
  /** Absolute fluxes' mean and difference (positive less negative), with their errors from the variance plane. */
  meanFlux: number; meanFluxErr: number; fluxDiff: number; fluxDiffErr: number;
  /** √ of the sum of the squares of both lobes' signal-to-noise ratios. */
  snr: number;
  chi2: number; pixelCount: number;
}>;

/** Unknowns in order: flux, x, y of the positive lobe, then of the negative. */
const UNKNOWNS = 6;

/**
 * Least squares with weights 1 / variance, by Levenberg's and Marquardt's steps from two starting lobes, on the pixels
 * within `fitHalfSizePx` of either.
 *
 * Of lobes much nearer than a full width only the product of flux and distance is determined: such a fit runs away and
 * is given up.
 *
 * @param patches Of the difference's PSF.
 * @returns Null when it does not converge to two lobes of opposite sign near their starts.
 */
export function fitDipole(
  planes: MaskedImage, patches: PsfPatches, fwhmPx: number, first: Lobe, second: Lobe, config: MeasureConfig,
): DipoleFit | null {
  const start = first.flux > 0 ? [first, second] : [second, first];
  if (!(start[0].flux > 0 && start[1].flux < 0)) return null;
  const box = boxOf(planes, start, patches.half);
  const p = Float64Array.from(start.flatMap(({ flux, x, y }) => [flux, x, y]));
  const terms = new Float64Array(UNKNOWNS * box.width * box.height);
  const gradients = { x: new Float64Array(patches.side ** 2), y: new Float64Array(patches.side ** 2) };
  const at = (place: Float64Array): Equations => equations(planes, patches, box, place, terms, gradients);
  const end = fitDamped(
    // A step that leaves what a dipole may be is too long, as one is that gains nothing.
    p, at(p), (next) => (isAway(next, start, fwhmPx, config) ? null : at(next)), config.dipoleIterationCountMax,
    (value, k) => (k % 3 === 0 ? value : Math.max(-1, Math.min(1, value))),
  );
  return end && resultOf(end, p);
}

type Box = Readonly<{ x0: number; y0: number; width: number; height: number }>;

function boxOf({ width, height }: MaskedImage, lobes: readonly Lobe[], half: number): Box {
  const x0 = Math.max(0, Math.round(Math.min(...lobes.map(({ x }) => x))) - half);
  const y0 = Math.max(0, Math.round(Math.min(...lobes.map(({ y }) => y))) - half);
  const x1 = Math.min(width, Math.round(Math.max(...lobes.map(({ x }) => x))) + half + 1);
  const y1 = Math.min(height, Math.round(Math.max(...lobes.map(({ y }) => y))) + half + 1);
  return { x0, y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) };
}

type Equations = NormalEquations & Readonly<{ pixelCount: number }>;

/** Normal equations of a step from p, and χ² there. @param terms [height × width × 6] of the box, overwritten. */
function equations(
  { image, variance, mask, width }: MaskedImage, patches: PsfPatches, box: Box, p: Float64Array,
  terms: Float64Array, gradients: Readonly<{ x: Float64Array; y: Float64Array }>,
): Equations {
  terms.fill(0);
  for (const lobe of [0, 3]) addLobe(patches, box, p[lobe + 1], p[lobe + 2], p[lobe], terms, lobe, gradients);
  const matrix = new Float64Array(UNKNOWNS * UNKNOWNS), right = new Float64Array(UNKNOWNS);
  let chi2 = 0, pixelCount = 0;
  for (let v = 0, k = 0; v < box.height; v++) {
    for (let u = 0; u < box.width; u++, k++) {
      const j = (box.y0 + v) * width + box.x0 + u;
      if ((mask[j] & UNUSABLE) !== 0 || image[j] - image[j] !== 0 || !(variance[j] > 0)) continue;
      const first = k * UNKNOWNS, w = 1 / variance[j];
      const residual = image[j] - p[0] * terms[first] - p[3] * terms[first + 3];
      chi2 += residual * residual * w;
      pixelCount++;
      for (let a = 0; a < UNKNOWNS; a++) {
        const ta = terms[first + a] * w;
        if (ta === 0) continue;
        right[a] += ta * residual;
        for (let b = a; b < UNKNOWNS; b++) matrix[a * UNKNOWNS + b] += ta * terms[first + b];
      }
    }
  }
  for (let a = 0; a < UNKNOWNS; a++) for (let b = 0; b < a; b++) matrix[a * UNKNOWNS + b] = matrix[b * UNKNOWNS + a];
  return { matrix, right, chi2, pixelCount };
}

/**
 * Derivative of a patch with respect to its centre: minus the five-point slope of its pixels, which is within
 * 1/(30 σ⁴) of the true one, 0.7 % at σ = 1.5 px. The two outermost rows and columns, where
 * the PSF has ended, are left alone.
 *
 * @param step 1 for the derivative along x, the patch's side along y.
 * @param out  [side × side] row-major.
 */
function patchGradient(patch: Float64Array, side: number, step: number, out: Float64Array): void {
  for (let v = 2; v < side - 2; v++) {
    for (let u = 2, k = v * side + 2; u < side - 2; u++, k++) {
      out[k] = (8 * (patch[k - step] - patch[k + step]) + patch[k + 2 * step] - patch[k - 2 * step]) / 12;
    }
  }
}

/** Fills a lobe's three derivatives, from term `first` of each pixel on: by its flux, x and y. */
function addLobe(
  patches: PsfPatches, box: Box, x: number, y: number, flux: number, terms: Float64Array, first: number,
  gradients: Readonly<{ x: Float64Array; y: Float64Array }>,
): void {
  const { half, side } = patches, patch = patches.at(x, y);
  patchGradient(patch, side, 1, gradients.x);
  patchGradient(patch, side, side, gradients.y);
  const left = Math.round(x) - half - box.x0, low = Math.round(y) - half - box.y0;
  for (let v = Math.max(0, -low); v < side && low + v < box.height; v++) {
    for (let u = Math.max(0, -left); u < side && left + u < box.width; u++) {
      const k = UNKNOWNS * ((low + v) * box.width + left + u) + first, i = v * side + u;
      terms[k] = patch[i];
      terms[k + 1] = flux * gradients.x[i];
      terms[k + 2] = flux * gradients.y[i];
    }
  }
}

/** Lobes that changed sign, ran off, fell together or grew beyond what they showed. */
function isAway(p: Float64Array, start: readonly Lobe[], fwhmPx: number, config: MeasureConfig): boolean {
  const isFar = [0, 1].some((n) => Math.hypot(p[3 * n + 1] - start[n].x, p[3 * n + 2] - start[n].y)
    > config.dipoleShiftMaxFwhm * fwhmPx);
  const isTooStrong = [0, 1].some((n) => Math.abs(p[3 * n]) > config.dipoleGrowthMax * Math.abs(start[n].flux));
  return isFar || isTooStrong || !(p[0] > 0 && p[3] < 0)
    || Math.hypot(p[1] - p[4], p[2] - p[5]) < config.dipoleLengthMinFwhm * fwhmPx;
}

function resultOf({ matrix, chi2, pixelCount }: Equations, p: Float64Array): DipoleFit | null {
  const covariance = matrix.slice();
  if (!invertSymmetric(covariance, UNKNOWNS)) return null;
  const [plus, minus] = [p[0], p[3]], vp = covariance[0], vm = covariance[3 * UNKNOWNS + 3], c = covariance[3];
  // |F₋| is −F₋, so the covariance changes its sign.
  return {
    positive: { flux: plus, x: p[1], y: p[2] }, negative: { flux: minus, x: p[4], y: p[5] },
    meanFlux: (plus - minus) / 2, meanFluxErr: Math.sqrt(Math.max(0, vp + vm - 2 * c)) / 2,
    fluxDiff: plus + minus, fluxDiffErr: Math.sqrt(Math.max(0, vp + vm + 2 * c)),
    snr: Math.sqrt((plus * plus) / vp + (minus * minus) / vm), chi2, pixelCount,
  };
}
