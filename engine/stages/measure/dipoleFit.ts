/** Fit of two point sources of opposite sign: what a wrong place, a shift or a fading neighbour leaves. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import { createExtendedEquations, DIPOLE_UNKNOWNS, type FitEquations, type Frame } from '../../kernels/extended.ts';
import type { MeasureConfig } from './config.ts';
import { fitDamped } from './dampedFit.ts';
import { UNUSABLE, type FitWorkspace } from './psfFit.ts';
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

/**
 * Least squares with weights 1 / variance, by Levenberg's and Marquardt's steps from two starting lobes, on the pixels
 * within `fitHalfSizePx` of either.
 *
 * Of lobes much nearer than a full width only the product of flux and distance is determined: such a fit runs away and
 * is given up.
 *
 * @param workspace Of the difference's PSF.
 * @returns Null when it does not converge to two lobes of opposite sign near their starts.
 */
export function fitDipole(
  planes: MaskedImage, { patches, psf, fwhmPx }: FitWorkspace, first: Lobe, second: Lobe, config: MeasureConfig,
): DipoleFit | null {
  const start = first.flux > 0 ? [first, second] : [second, first];
  if (!(start[0].flux > 0 && start[1].flux < 0)) return null;
  const box = boxOf(planes, start, patches.half);
  const p = Float64Array.from(start.flatMap(({ flux, x, y }) => [flux, x, y]));
  const { dipole: at } = createExtendedEquations(
    { ...planes, ignoredBits: UNUSABLE, psf, halfSizePx: patches.half }, box);
  const end = fitDamped(
    // A step that leaves what a dipole may be is too long, as one is that gains nothing.
    p, at(p), (next) => (isAway(next, start, fwhmPx, config) ? null : at(next)), config.dipoleIterationCountMax,
    (value, k) => (k % 3 === 0 ? value : Math.max(-1, Math.min(1, value))),
  );
  return end && resultOf(end, p);
}

function boxOf({ width, height }: MaskedImage, lobes: readonly Lobe[], half: number): Frame {
  const x0 = Math.max(0, Math.round(Math.min(...lobes.map(({ x }) => x))) - half);
  const y0 = Math.max(0, Math.round(Math.min(...lobes.map(({ y }) => y))) - half);
  const x1 = Math.min(width, Math.round(Math.max(...lobes.map(({ x }) => x))) + half + 1);
  const y1 = Math.min(height, Math.round(Math.max(...lobes.map(({ y }) => y))) + half + 1);
  return { x0, y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) };
}

/** Lobes that changed sign, ran off, fell together or grew beyond what they showed. */
function isAway(p: Float64Array, start: readonly Lobe[], fwhmPx: number, config: MeasureConfig): boolean {
  const isFar = [0, 1].some((n) => Math.hypot(p[3 * n + 1] - start[n].x, p[3 * n + 2] - start[n].y)
    > config.dipoleShiftMaxFwhm * fwhmPx);
  const isTooStrong = [0, 1].some((n) => Math.abs(p[3 * n]) > config.dipoleGrowthMax * Math.abs(start[n].flux));
  return isFar || isTooStrong || !(p[0] > 0 && p[3] < 0)
    || Math.hypot(p[1] - p[4], p[2] - p[5]) < config.dipoleLengthMinFwhm * fwhmPx;
}

function resultOf({ matrix, chi2, pixelCount }: FitEquations, p: Float64Array): DipoleFit | null {
  const covariance = matrix.slice();
  if (!invertSymmetric(covariance, DIPOLE_UNKNOWNS)) return null;
  const [plus, minus] = [p[0], p[3]], vp = covariance[0], vm = covariance[3 * DIPOLE_UNKNOWNS + 3], c = covariance[3];
  // |F₋| is −F₋, so the covariance changes its sign.
  return {
    positive: { flux: plus, x: p[1], y: p[2] }, negative: { flux: minus, x: p[4], y: p[5] },
    meanFlux: (plus - minus) / 2, meanFluxErr: Math.sqrt(Math.max(0, vp + vm - 2 * c)) / 2,
    fluxDiff: plus + minus, fluxDiffErr: Math.sqrt(Math.max(0, vp + vm + 2 * c)),
    snr: Math.sqrt((plus * plus) / vp + (minus * minus) / vm), chi2, pixelCount,
  };
}
