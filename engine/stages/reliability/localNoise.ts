/**
 * What the pixels around a diaSource are like, beyond its own light: whether they scatter as their variance says,
 * without memory of their neighbours; whether the bright light nearby has been subtracted; and whether visit, template
 * and their second derivatives hold the light that the source would need.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import { ringNoise } from '../../kernels/ring.ts';
import { reliabilityConfig as config } from './config.ts';
import type { FeatureInputs, FeatureName, Ratable } from './features.ts';
import type { LocalPsf } from './localPsf.ts';

export type LocalNoise = Pick<
  Record<FeatureName, number>,
  'annulusScatter' | 'annulusCorrelation' | 'annulusMost' | 'brightResidual' | 'visitRatio' | 'curvatureShare' | 'wideRatio'
>;

const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/** @param psf The difference's PSF, moved to the source. */
export function localNoise(inputs: FeatureInputs, row: Ratable, fwhmPx: number, psf: LocalPsf): LocalNoise {
  return {
    ...annulus(inputs, row, fwhmPx), brightResidual: brightResidual(inputs, row, fwhmPx),
    ...lightNeeded(inputs, row, fwhmPx, psf),
  };
}

/** Size at which a pixel over its noise is cut off, so that one bright pixel is no scatter. */
const LIMIT_SIGMA = 4;

/** Difference over noise at a pixel, cut off; NaN where unusable. */
function significance({ difference: { image, variance, mask }, noiseScale }: FeatureInputs, j: number): number {
  if ((mask[j] & UNUSABLE) !== 0 || !(variance[j] > 0)) return NaN;
  const value = image[j] / (noiseScale * Math.sqrt(variance[j]));
  return Math.max(-LIMIT_SIGMA, Math.min(LIMIT_SIGMA, value));
}

/**
 * Ring between the source's wings and twice as far: mean square, correlation of neighbours, and the largest mean of
 * 3 × 3 pixels of either sign, in its standard deviations.
 */
function annulus(
  inputs: FeatureInputs, { x, y }: Ratable, fwhmPx: number,
): Pick<LocalNoise, 'annulusScatter' | 'annulusCorrelation' | 'annulusMost'> {
  const inner = config.ringFwhm * fwhmPx, { difference, noiseScale } = inputs;
  const { sum, square, count, product, pairs, most } = ringNoise(
    { ...difference, ignoredBits: UNUSABLE, scale: noiseScale, limit: LIMIT_SIGMA }, { x, y, inner, outer: 2 * inner },
  );
  if (count < 8 || pairs < 8) return { annulusScatter: -99, annulusCorrelation: -99, annulusMost: -99 };
  const level = sum / count, scatter = square / count - level * level;
  return {
    annulusScatter: scatter, annulusCorrelation: scatter > 0 ? (product / pairs - level * level) / scatter : 0,
    annulusMost: most,
  };
}

/** Mean square of the difference over its noise where the template is brightest nearby, outside the source itself. */
function brightResidual(inputs: FeatureInputs, { x, y }: Ratable, fwhmPx: number): number {
  const { matchedTemplate: { image }, difference: { width, height } } = inputs;
  const half = config.brightHalfSizePx, cx = Math.round(x), cy = Math.round(y), apart2 = (2 * fwhmPx) ** 2;
  let brightest = -Infinity, at = -1;
  for (let v = Math.max(2, cy - half); v <= Math.min(height - 3, cy + half); v += 2) {
    for (let u = Math.max(2, cx - half); u <= Math.min(width - 3, cx + half); u += 2) {
      const value = image[v * width + u];
      if (!(value > brightest) || (u - x) * (u - x) + (v - y) * (v - y) < apart2) continue;
      brightest = value;
      at = v * width + u;
    }
  }
  if (at < 0) return -99;
  let sum = 0, count = 0;
  for (let v = -2; v <= 2; v++) {
    for (let u = -2; u <= 2; u++) {
      const value = significance(inputs, at + v * width + u);
      if (value !== value) continue;
      sum += value * value;
      count++;
    }
  }
  return count > 0 ? sum / count : -99;
}

/**
 * `visitRatio`: the visit's own light over the source's flux; what brightens has 1 or more. `curvatureShare`: how much
 * of the difference the template's Laplacian explains, as a wrong width of the kernel leaves it. `wideRatio`: flux in
 * the wings over that in the core.
 */
function lightNeeded(
  { difference, visitImage, matchedTemplate }: FeatureInputs, { x, y, isNegative }: Ratable, fwhmPx: number,
  psf: LocalPsf,
): Pick<LocalNoise, 'visitRatio' | 'curvatureShare' | 'wideRatio'> {
  const { width, height, mask, image } = difference, t = matchedTemplate.image, { half, stamp: p } = psf;
  const cx = Math.round(x), cy = Math.round(y), sign = isNegative === true ? -1 : 1;
  const core2 = (config.coreFwhm * fwhmPx) ** 2, wings2 = (config.wingsFwhm * fwhmPx) ** 2;
  let pp = 0, pd = 0, pv = 0, dd = 0, ld = 0, ll = 0, core = 0, corePsf = 0, wings = 0, wingsPsf = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const px = cx + u, py = cy + v, r2 = (px - x) * (px - x) + (py - y) * (py - y);
      if (r2 > wings2 || px < 1 || py < 1 || px >= width - 1 || py >= height - 1) continue;
      const j = py * width + px, d = image[j], laplacian = t[j - 1] + t[j + 1] + t[j - width] + t[j + width] - 4 * t[j];
      if ((mask[j] & UNUSABLE) !== 0 || d - d !== 0 || laplacian - laplacian !== 0) continue;
      pp += p[k] * p[k]; pd += p[k] * d; pv += p[k] * visitImage.image[j];
      dd += d * d; ld += laplacian * d; ll += laplacian * laplacian;
      if (r2 > core2) { wings += d; wingsPsf += p[k]; } else { core += d; corePsf += p[k]; }
    }
  }
  const flux = sign * pd;
  if (!(flux > 0) || !(pp > 0)) return { visitRatio: -99, curvatureShare: -99, wideRatio: -99 };
  return {
    visitRatio: pv / flux, curvatureShare: ll > 0 && dd > 0 ? (ld * ld) / (ll * dd) : 0,
    wideRatio: sign * core > 0 && wingsPsf > 0 ? (wings / wingsPsf) / (core / corePsf) : -99,
  };
}
