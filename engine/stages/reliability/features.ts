/**
 * What tells a transient from an artefact: numbers without a unit, from the pixels around a diaSource and from its
 * neighbours. Only +, −, ×, ÷, √ and comparisons in fixed order, so that every CPU finds the same bits.
 */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import { reliabilityConfig as config } from './config.ts';
import { localNoise } from './localNoise.ts';
import { createLocalPsf, type LocalPsf } from './localPsf.ts';
import { surroundings, type Surroundings } from './surroundings.ts';

/** In the order of a model's features: a model names those that it was trained on. */
export const FEATURES = [
  'snr', 'fitSnr', 'fitOverPeakSnr', 'isNegative', 'isCentroidFailed', 'fwhmPx',
  'psfCorrelation', 'coreChi2', 'wingsChi2', 'ringChi2', 'misfit', 'residualMax', 'residualMin',
  'opposite', 'excess', 'ringLevel', 'sizeRatio', 'ellipticity', 'offset', 'asymmetry', 'sharpness', 'peakShare',
  'usableShare', 'varianceRatio', 'noiseScale',
  'templateSnr', 'templateRatio', 'templatePeak', 'templateSlope', 'templateShare', 'slopeShare', 'visitSharpness',
  'visitSharpSigma', 'templateSharpness',
  'brightPeak', 'brightDistance', 'blemishDistance', 'saturationDistance', 'edgeDistance', 'interpolatedShare',
  'neighbours', 'brighterNeighbour', 'lobeDistance', 'lobeRatio', 'twinDistance', 'columnLevel', 'rowLevel',
  'annulusScatter', 'annulusCorrelation', 'annulusMost', 'brightResidual', 'visitRatio', 'curvatureShare', 'wideRatio',
] as const;
export type FeatureName = (typeof FEATURES)[number];

/** What of a diaSource is asked. */
export type Ratable = Pick<DiaSource, 'x' | 'y' | 'psfFlux' | 'psfFluxErr' | 'snr' | 'isNegative' | 'centroid_flag'>;

export type FeatureInputs = Readonly<{
  difference: MaskedImage; differencePsf: PsfModel; visitImage: MaskedImage; visitPsf: PsfModel;
  matchedTemplate: MaskedImage;
  /** Factor on √variance, as the detect stage measured it. */
  noiseScale: number;
}>;

const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/** What all sources of an image share. */
type Context = Readonly<{
  inputs: FeatureInputs; fwhmPx: number; half: number; psf: LocalPsf; visitPsf: LocalPsf; medianVariance: number;
  /** d, sign × difference, and its weight 1 / variance: [side × side]; weight 0 where unusable. */
  data: Float64Array; weight: Float64Array;
}>;

/**
 * Features of every source.
 *
 * @returns [sources × FEATURES.length] row-major.
 */
export function measureFeatures(inputs: FeatureInputs, rows: readonly Ratable[]): Float64Array {
  const count = FEATURES.length, out = new Float64Array(rows.length * count);
  if (rows.length === 0) return out;
  const context = contextOf(inputs), around = surroundings(inputs, rows, context.fwhmPx);
  rows.forEach((row, i) => fillFeatures(context, row, around(i), out.subarray(i * count, (i + 1) * count)));
  return out;
}

function contextOf(inputs: FeatureInputs): Context {
  const { difference: { width, height, variance }, differencePsf, visitPsf } = inputs;
  const fwhmPx = psfFwhmPx(differencePsf, (width - 1) / 2, (height - 1) / 2);
  const half = Math.min(config.halfSizePxMax, Math.max(5, Math.ceil(config.ringFwhm * fwhmPx)));
  const step = Math.max(1, Math.floor(variance.length / 4096)) | 1;
  const sample = new Float64Array(variance.length / step + 1);
  let sampled = 0;
  for (let j = 0; j < variance.length; j += step) if (variance[j] > 0) sample[sampled++] = variance[j];
  const sorted = sample.subarray(0, sampled).sort(), side = 2 * half + 1;
  return {
    inputs, fwhmPx, half, psf: createLocalPsf(differencePsf, half, config.psfCellPx),
    visitPsf: createLocalPsf(visitPsf, 2, config.psfCellPx), medianVariance: sorted[sampled >> 1] ?? 1,
    data: new Float64Array(side * side), weight: new Float64Array(side * side),
  };
}

function fillFeatures(context: Context, row: Ratable, around: Surroundings, out: Float64Array): void {
  const { inputs, fwhmPx, psf, medianVariance } = context, { difference: { width, height, variance } } = inputs;
  const cx = clamp(Math.round(row.x), width), cy = clamp(Math.round(row.y), height);
  const fx = Math.min(0.5, Math.max(-0.5, row.x - cx)), fy = Math.min(0.5, Math.max(-0.5, row.y - cy));
  const sign = row.isNegative === true ? -1 : 1, snr = row.snr ?? 0;
  psf.moveTo(row.x, row.y, fx, fy);
  cutData(context, cx, cy, sign);
  const shape = shapeOf(context, fx, fy), light = templateOf(context, cx, cy, fx, fy, sign, shape);
  const fitSnr = ratio(Math.abs(row.psfFlux ?? 0), row.psfFluxErr ?? 0);
  const values: Record<FeatureName, number> = {
    snr, fitSnr, fitOverPeakSnr: ratio(fitSnr, snr), isNegative: sign < 0 ? 1 : 0,
    isCentroidFailed: row.centroid_flag === true ? 1 : 0, fwhmPx,
    psfCorrelation: shape.correlation, coreChi2: shape.coreChi2, wingsChi2: shape.wingsChi2, ringChi2: shape.ringChi2,
    misfit: ratio(shape.coreChi2, snr), residualMax: ratio(shape.residualMax, snr),
    residualMin: ratio(shape.residualMin, snr), opposite: shape.opposite, excess: shape.excess,
    ringLevel: shape.ringLevel, sizeRatio: shape.sizeRatio, ellipticity: shape.ellipticity, offset: shape.offset,
    asymmetry: shape.asymmetry, sharpness: shape.sharpness, peakShare: shape.peakShare, usableShare: shape.usableShare,
    varianceRatio: variance[cy * width + cx] / medianVariance, noiseScale: inputs.noiseScale,
    ...light, ...sharpnessOf(context, cx, cy, fx, fy, sign, shape.flux), ...around,
    ...localNoise(inputs, row, fwhmPx, psf),
  };
  for (let k = 0; k < FEATURES.length; k++) {
    const value = values[FEATURES[k]];
    out[k] = value - value === 0 ? value : -99;
  }
}

function clamp(value: number, size: number): number {
  return Math.min(size - 1, Math.max(0, value));
}

/** −99 stands for what cannot be told. */
function ratio(a: number, b: number): number {
  return b > 0 ? a / b : -99;
}

function cutData({ inputs, half, data, weight }: Context, cx: number, cy: number, sign: number): void {
  const { difference: { width, height, image, variance, mask }, noiseScale } = inputs, scale = noiseScale * noiseScale;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const px = cx + u, py = cy + v, j = py * width + px;
      const isOn = px >= 0 && py >= 0 && px < width && py < height && (mask[j] & UNUSABLE) === 0 && variance[j] > 0
        && image[j] - image[j] === 0;
      data[k] = isOn ? sign * image[j] : 0;
      weight[k] = isOn ? 1 / (scale * variance[j]) : 0;
    }
  }
}

type Shape = Readonly<{
  flux: number; correlation: number; coreChi2: number; wingsChi2: number; ringChi2: number;
  residualMax: number; residualMin: number; opposite: number; excess: number; ringLevel: number;
  sizeRatio: number; ellipticity: number; offset: number; asymmetry: number; sharpness: number; peakShare: number;
  usableShare: number; square: number;
}>;

/** How the light agrees with the PSF: fit, residuals by ring, moments under the PSF as weight. */
function shapeOf({ fwhmPx, half, psf, data, weight }: Context, fx: number, fy: number): Shape {
  const { side, stamp: p } = psf, core2 = (config.coreFwhm * fwhmPx) ** 2, wings2 = (config.wingsFwhm * fwhmPx) ** 2;
  const ring2 = (config.ringFwhm * fwhmPx) ** 2;
  let pp = 0, pd = 0, dd = 0, all = 0;
  // Moments of data and of model under the PSF.
  let m0 = 0, mx = 0, my = 0, mxx = 0, mxy = 0, myy = 0, n0 = 0, nrr = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, r2 = dx * dx + dy * dy;
      if (r2 > wings2) continue;
      all += p[k] * p[k];
      if (weight[k] === 0) continue;
      const d = data[k], g = p[k], gd = g * d;
      pp += g * g; pd += gd; dd += d * d;
      m0 += gd; mx += gd * dx; my += gd * dy; mxx += gd * dx * dx; mxy += gd * dx * dy; myy += gd * dy * dy;
      n0 += g * g; nrr += g * g * r2;
    }
  }
  const flux = pp > 0 ? pd / pp : 0, widthOf = nrr / n0;
  let coreChi2 = 0, wingsChi2 = 0, ringChi2 = 0, nCore = 0, nWings = 0, nRing = 0, most = -99, least = 99;
  let opposite = 0, excess = 0, ringSum = 0, difference = 0, absolute = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, r2 = dx * dx + dy * dy;
      if (r2 > ring2 || weight[k] === 0) continue;
      const root = Math.sqrt(weight[k]), residual = (data[k] - flux * p[k]) * root, square = residual * residual;
      const value = data[k] * root;
      if (value < -2.5) opposite += value * value;
      if (r2 > wings2) {
        ringChi2 += square; nRing++; ringSum += value;
        if (value > 2.5) excess += value * value;
        continue;
      }
      if (r2 > core2) { wingsChi2 += square; nWings++; } else { coreChi2 += square; nCore++; }
      if (residual > most) most = residual;
      if (residual < least) least = residual;
      const mirror = side * side - 1 - k;
      if (weight[mirror] !== 0) { difference += Math.abs(data[k] - data[mirror]); absolute += Math.abs(data[k]); }
    }
  }
  const middle = half * side + half, ownPeak = aboveNeighbours(data, side, middle);
  return {
    flux, correlation: dd > 0 ? pd / Math.sqrt(pp * dd) : 0, square: dd,
    coreChi2: ratio(coreChi2, nCore), wingsChi2: ratio(wingsChi2, nWings), ringChi2: ratio(ringChi2, nRing),
    residualMax: most, residualMin: least,
    opposite: ratio(Math.sqrt(opposite), flux * Math.sqrt(pp * weight[middle])),
    excess: ratio(Math.sqrt(excess), flux * Math.sqrt(pp * weight[middle])),
    ringLevel: ratio(ringSum, Math.sqrt(nRing)),
    sizeRatio: ratio((mxx + myy) / widthOf, m0),
    ellipticity: ratio(Math.sqrt((mxx - myy) ** 2 + 4 * mxy * mxy), Math.abs(mxx + myy)),
    offset: ratio(Math.sqrt((mx * mx + my * my) / widthOf), Math.abs(m0)),
    asymmetry: ratio(difference, absolute),
    sharpness: ratio(ownPeak, flux * aboveNeighbours(p, side, middle)),
    peakShare: ratio(data[middle], flux * p[middle]), usableShare: ratio(pp, all),
  };
}

/** By how much a pixel, or the one beside it that does so most, stands above the mean of its eight neighbours. */
function aboveNeighbours(plane: Float64Array, side: number, at: number): number {
  let most = -Infinity;
  for (const j of [at, at - 1, at + 1, at - side, at + side]) {
    const mean = (plane[j - 1] + plane[j + 1] + plane[j - side] + plane[j + side] + plane[j - side - 1]
      + plane[j - side + 1] + plane[j + side - 1] + plane[j + side + 1]) / 8;
    if (plane[j] - mean > most) most = plane[j] - mean;
  }
  return most;
}

type TemplateLight = Pick<
  Record<FeatureName, number>,
  'templateSnr' | 'templateRatio' | 'templatePeak' | 'templateSlope' | 'templateShare' | 'slopeShare'
>;

/**
 * The template's light under the source, and how much of the difference it explains: a (T, ∂T/∂x, ∂T/∂y) fit takes all
 * of what a wrong flux scale or a wrong place leaves of a star, and little of a transient beside a nucleus.
 */
function templateOf(
  { inputs, fwhmPx, half, psf, data, weight }: Context, cx: number, cy: number, fx: number, fy: number, sign: number,
  shape: Shape,
): TemplateLight {
  const { matchedTemplate: { image, width, height } } = inputs, wings2 = (config.wingsFwhm * fwhmPx) ** 2;
  const a = new Float64Array(6), b = new Float64Array(3);
  let pp = 0, pt = 0, peak = 0, middleWeight = 0, steepest = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const dx = u - fx, dy = v - fy, px = cx + u, py = cy + v;
      if (dx * dx + dy * dy > wings2 || px < 1 || py < 1 || px >= width - 1 || py >= height - 1) continue;
      if (weight[k] === 0) continue;
      const j = py * width + px, t = image[j], d = sign * data[k];
      const tx = (image[j + 1] - image[j - 1]) / 2, ty = (image[j + width] - image[j - width]) / 2;
      if (t - t !== 0 || tx - tx !== 0 || ty - ty !== 0) continue;
      a[0] += t * t; a[1] += t * tx; a[2] += t * ty; a[3] += tx * tx; a[4] += tx * ty; a[5] += ty * ty;
      b[0] += t * d; b[1] += tx * d; b[2] += ty * d;
      pp += psf.stamp[k] * psf.stamp[k];
      pt += psf.stamp[k] * t;
      if (t > peak) peak = t;
      if (tx * tx + ty * ty > steepest) steepest = tx * tx + ty * ty;
      if (weight[k] > middleWeight) middleWeight = weight[k];
    }
  }
  const light = ratio(pt, pp), slopes = explained2(a[3], a[4], a[5], b[1], b[2]);
  return {
    templateSnr: light * Math.sqrt(pp * middleWeight), templateRatio: ratio(light, Math.abs(shape.flux)),
    templatePeak: peak * Math.sqrt(middleWeight), templateSlope: ratio(Math.sqrt(steepest), Math.abs(shape.flux)),
    templateShare: ratio(explained3(a, b), shape.square), slopeShare: ratio(slopes, shape.square),
  };
}

/** bᵀ A⁻¹ b of a symmetric 2 × 2 system: what of Σd² its two functions explain; 0 when it is singular. */
function explained2(xx: number, xy: number, yy: number, x: number, y: number): number {
  const determinant = xx * yy - xy * xy;
  return determinant > 1e-9 * xx * yy ? (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant : 0;
}

/** The same of three functions; A is (00, 01, 02, 11, 12, 22). */
function explained3(m: Float64Array, b: Float64Array): number {
  const [a, p, q, c, r, e] = m;
  const c00 = c * e - r * r, c01 = q * r - p * e, c02 = p * r - q * c;
  const determinant = a * c00 + p * c01 + q * c02;
  if (!(determinant > 1e-9 * a * c * e)) return 0;
  const c11 = a * e - q * q, c12 = p * q - a * r, c22 = a * c - p * p;
  return (
    c00 * b[0] * b[0] + c11 * b[1] * b[1] + c22 * b[2] * b[2]
    + 2 * (c01 * b[0] * b[1] + c02 * b[0] * b[2] + c12 * b[1] * b[2])
  ) / determinant;
}

/**
 * How sharp visit and template themselves are here, relative to a star of the source's flux, and by how many standard
 * deviations the visit is sharper: a cosmic ray or hot pixel is, whatever has been convolved since.
 */
function sharpnessOf(
  { inputs, visitPsf, psf }: Context, cx: number, cy: number, fx: number, fy: number, sign: number, flux: number,
): Pick<Record<FeatureName, number>, 'visitSharpness' | 'visitSharpSigma' | 'templateSharpness'> {
  const { visitImage, matchedTemplate, difference: { width, height } } = inputs;
  if (cx < 2 || cy < 2 || cx >= width - 2 || cy >= height - 2) {
    return { visitSharpness: -99, visitSharpSigma: -99, templateSharpness: -99 };
  }
  visitPsf.moveTo(cx + fx, cy + fy, fx, fy);
  const ofStar = flux * aboveNeighbours(visitPsf.stamp, 5, 12), middle = psf.half * psf.side + psf.half;
  const visit = sharpestNear(visitImage, cx, cy), template = sharpestNear(matchedTemplate, cx, cy);
  const sigma = Math.sqrt(visitImage.variance[cy * width + cx]);
  return {
    visitSharpness: ratio(sign * visit, ofStar), visitSharpSigma: ratio(visit - template - sign * ofStar, sigma),
    templateSharpness: ratio(template, flux * aboveNeighbours(psf.stamp, psf.side, middle)),
  };
}

const own = new Float64Array(25);

function sharpestNear({ image, width }: MaskedImage, cx: number, cy: number): number {
  for (let v = -2, k = 0; v <= 2; v++) for (let u = -2; u <= 2; u++, k++) own[k] = image[(cy + v) * width + cx + u];
  return aboveNeighbours(own, 5, 12);
}
