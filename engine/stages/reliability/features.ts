/**
 * What tells a transient from an artefact: numbers without a unit, from the pixels around a diaSource and from its
 * neighbours. Only +, −, ×, ÷, √ and comparisons in fixed order, so that every CPU finds the same bits.
 */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import { RATING_COLUMNS as C, RATING_COLUMN_COUNT, ratePixels, type RatingTask } from '../../kernels/rating.ts';
import { reliabilityConfig as config } from './config.ts';
import { neighboursOf, type Neighbours } from './neighbours.ts';

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

/** What an image's sources share. */
type Context = Readonly<{
  inputs: FeatureInputs; fwhmPx: number; medianVariance: number;
  /** [sources × RATING_COLUMN_COUNT], what their pixels say. */
  table: Float64Array;
}>;

/**
 * Features of every source.
 *
 * @returns [sources × FEATURES.length] row-major.
 */
export function measureFeatures(inputs: FeatureInputs, rows: readonly Ratable[]): Float64Array {
  const count = FEATURES.length, out = new Float64Array(rows.length * count);
  if (rows.length === 0) return out;
  const context = contextOf(inputs, rows), around = neighboursOf(rows, context.fwhmPx);
  rows.forEach((row, i) => {
    const features = featuresOf(context, row, i * RATING_COLUMN_COUNT, around(i));
    for (let k = 0; k < count; k++) {
      const value = features[FEATURES[k]];
      out[i * count + k] = value - value === 0 ? value : -99;
    }
  });
  return out;
}

function contextOf(inputs: FeatureInputs, rows: readonly Ratable[]): Context {
  const { difference: { width, height, variance }, differencePsf } = inputs;
  const fwhmPx = psfFwhmPx(differencePsf, (width - 1) / 2, (height - 1) / 2);
  const step = Math.max(1, Math.floor(variance.length / 4096)) | 1;
  const sample = new Float64Array(variance.length / step + 1);
  let sampled = 0;
  for (let j = 0; j < variance.length; j += step) if (variance[j] > 0) sample[sampled++] = variance[j];
  const sorted = sample.subarray(0, sampled).sort(), places = new Float64Array(3 * rows.length);
  rows.forEach(({ x, y, isNegative }, i) => {
    places[3 * i] = x;
    places[3 * i + 1] = y;
    places[3 * i + 2] = isNegative === true ? -1 : 1;
  });
  return {
    inputs, fwhmPx, medianVariance: sorted[sampled >> 1] ?? 1, table: ratePixels(taskOf(inputs, fwhmPx), places),
  };
}

/** Size at which a pixel over its noise is cut off, so that one bright pixel is no scatter. */
const LIMIT_SIGMA = 4;

function taskOf({ difference, differencePsf, visitImage, visitPsf, matchedTemplate, noiseScale }: FeatureInputs,
  fwhmPx: number): RatingTask {
  const inner = config.ringFwhm * fwhmPx, lineInner = Math.ceil(config.wingsFwhm * fwhmPx);
  return {
    width: difference.width, height: difference.height, difference, differencePsf, visit: visitImage, visitPsf,
    template: matchedTemplate, noiseScale, limit: LIMIT_SIGMA, cellPx: config.psfCellPx,
    unusable: maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR'),
    blemish: maskBits('BAD', 'NO_DATA', 'CR', 'EDGE', 'STREAK'),
    saturated: maskBits('SAT', 'SAT_TEMPLATE', 'SUSPECT'), interpolated: maskBits('INTRP'), noData: maskBits('NO_DATA'),
    half: Math.min(config.halfSizePxMax, Math.max(5, Math.ceil(inner))),
    core2: (config.coreFwhm * fwhmPx) ** 2, wings2: (config.wingsFwhm * fwhmPx) ** 2, ring2: inner ** 2,
    apart2: (2 * fwhmPx) ** 2, inner, outer: 2 * inner, maskReach: config.maskRadiusPx,
    brightReach: config.brightHalfSizePx, lineInner, lineOuter: lineInner + 16,
  };
}

/** @param at Where the source's row of the table begins. */
function featuresOf(
  context: Context, row: Ratable, at: number, around: Neighbours,
): Record<FeatureName, number> {
  const { inputs, fwhmPx, medianVariance, table: t } = context, { difference: { width, height } } = inputs;
  const isNegative = row.isNegative === true, snr = row.snr ?? 0, pp = t[at + C.pp];
  const flux = pp > 0 ? t[at + C.pd] / pp : 0, fitSnr = ratio(Math.abs(row.psfFlux ?? 0), row.psfFluxErr ?? 0);
  const near = t[at + C.nearCount], noise = inputs.noiseScale;
  return {
    snr, fitSnr, fitOverPeakSnr: ratio(fitSnr, snr), isNegative: isNegative ? 1 : 0,
    isCentroidFailed: row.centroid_flag === true ? 1 : 0, fwhmPx, noiseScale: noise,
    varianceRatio: t[at + C.variance] / medianVariance,
    ...shapeOf(t, at, flux, snr), ...templateOf(t, at, flux), ...sharpnessOf(t, at, isNegative ? -1 : 1, flux),
    ...annulusOf(t, at), ...lightNeededOf(t, at, isNegative ? -1 : 1), ...around,
    brightResidual: ratio(t[at + C.brightSquare], t[at + C.brightCount]),
    brightPeak: t[at + C.brightest] / Math.sqrt(t[at + C.variance]),
    brightDistance: Math.sqrt(t[at + C.brightDistance2]), blemishDistance: Math.sqrt(t[at + C.blemish2]),
    saturationDistance: Math.sqrt(t[at + C.saturation2]),
    edgeDistance: Math.min(row.x, row.y, width - 1 - row.x, height - 1 - row.y, 64),
    interpolatedShare: near > 0 ? t[at + C.interpolatedCount] / near : 0,
    columnLevel: levelOf(t[at + C.columnSum], t[at + C.columnCount], isNegative, noise),
    rowLevel: levelOf(t[at + C.rowSum], t[at + C.rowCount], isNegative, noise),
  };
}

/** −99 stands for what cannot be told. */
function ratio(a: number, b: number): number {
  return b > 0 ? a / b : -99;
}

/** Mean of a column or row beyond the source's wings, in standard deviations of the mean: bad columns, bleeding. */
function levelOf(sum: number, count: number, isNegative: boolean, noiseScale: number): number {
  return count > 0 ? ((isNegative ? -1 : 1) * sum) / (noiseScale * Math.sqrt(count)) : 0;
}

type Shape = Pick<
  Record<FeatureName, number>,
  | 'psfCorrelation' | 'coreChi2' | 'wingsChi2' | 'ringChi2' | 'misfit' | 'residualMax' | 'residualMin' | 'opposite'
  | 'excess' | 'ringLevel' | 'sizeRatio' | 'ellipticity' | 'offset' | 'asymmetry' | 'sharpness' | 'peakShare'
  | 'usableShare'
>;

/** How the light agrees with the PSF: fit, residuals by ring, moments under the PSF as weight. */
function shapeOf(t: Float64Array, at: number, flux: number, snr: number): Shape {
  const pp = t[at + C.pp], pd = t[at + C.pd], dd = t[at + C.dd], widthOf = t[at + C.nrr] / pp;
  const mx = t[at + C.mx], my = t[at + C.my], mxx = t[at + C.mxx], mxy = t[at + C.mxy], myy = t[at + C.myy];
  const coreChi2 = ratio(t[at + C.coreChi2], t[at + C.coreCount]), peak = flux * Math.sqrt(pp * t[at + C.middleWeight]);
  return {
    psfCorrelation: dd > 0 ? pd / Math.sqrt(pp * dd) : 0, coreChi2,
    wingsChi2: ratio(t[at + C.wingsChi2], t[at + C.wingsCount]),
    ringChi2: ratio(t[at + C.ringChi2], t[at + C.ringCount]), misfit: ratio(coreChi2, snr),
    residualMax: ratio(t[at + C.residualMax], snr), residualMin: ratio(t[at + C.residualMin], snr),
    opposite: ratio(Math.sqrt(t[at + C.opposite]), peak), excess: ratio(Math.sqrt(t[at + C.excess]), peak),
    ringLevel: ratio(t[at + C.ringSum], Math.sqrt(t[at + C.ringCount])),
    sizeRatio: ratio((mxx + myy) / widthOf, pd),
    ellipticity: ratio(Math.sqrt((mxx - myy) * (mxx - myy) + 4 * mxy * mxy), Math.abs(mxx + myy)),
    offset: ratio(Math.sqrt((mx * mx + my * my) / widthOf), Math.abs(pd)),
    asymmetry: ratio(t[at + C.mirrored], t[at + C.absolute]),
    sharpness: ratio(t[at + C.height], flux * t[at + C.psfHeight]),
    peakShare: ratio(t[at + C.middleData], flux * t[at + C.middlePsf]), usableShare: ratio(pp, t[at + C.allPp]),
  };
}

type TemplateLight = Pick<
  Record<FeatureName, number>,
  'templateSnr' | 'templateRatio' | 'templatePeak' | 'templateSlope' | 'templateShare' | 'slopeShare'
>;

/** The template's light under the source, and how much of the difference it and its slopes explain. */
function templateOf(t: Float64Array, at: number, flux: number): TemplateLight {
  const pp = t[at + C.templatePp], weight = t[at + C.templateWeight], dd = t[at + C.dd];
  const light = ratio(t[at + C.templatePt], pp);
  const slopes = explained2(t[at + C.txtx], t[at + C.txty], t[at + C.tyty], t[at + C.txd], t[at + C.tyd]);
  return {
    templateSnr: light * Math.sqrt(pp * weight), templateRatio: ratio(light, Math.abs(flux)),
    templatePeak: t[at + C.templatePeak] * Math.sqrt(weight),
    templateSlope: ratio(Math.sqrt(t[at + C.steepest2]), Math.abs(flux)),
    templateShare: ratio(explained3(t, at), dd), slopeShare: ratio(slopes, dd),
  };
}

/** bᵀ A⁻¹ b of a symmetric 2 × 2 system: what of Σd² its two functions explain; 0 when it is singular. */
function explained2(xx: number, xy: number, yy: number, x: number, y: number): number {
  const determinant = xx * yy - xy * xy;
  return determinant > 1e-9 * xx * yy ? (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant : 0;
}

/** The same of the template and both its slopes. */
function explained3(t: Float64Array, at: number): number {
  const a = t[at + C.tt], p = t[at + C.ttx], q = t[at + C.tty], c = t[at + C.txtx], r = t[at + C.txty];
  const e = t[at + C.tyty], x = t[at + C.td], y = t[at + C.txd], z = t[at + C.tyd];
  const c00 = c * e - r * r, c01 = q * r - p * e, c02 = p * r - q * c;
  const determinant = a * c00 + p * c01 + q * c02;
  if (!(determinant > 1e-9 * a * c * e)) return 0;
  const c11 = a * e - q * q, c12 = p * q - a * r, c22 = a * c - p * p;
  return (c00 * x * x + c11 * y * y + c22 * z * z + 2 * (c01 * x * y + c02 * x * z + c12 * y * z)) / determinant;
}

/**
 * How sharp visit and template themselves are here, relative to a star of the source's flux, and by how many standard
 * deviations the visit is sharper: a cosmic ray or hot pixel is, whatever has been convolved since.
 */
function sharpnessOf(
  t: Float64Array, at: number, sign: number, flux: number,
): Pick<Record<FeatureName, number>, 'visitSharpness' | 'visitSharpSigma' | 'templateSharpness'> {
  if (t[at + C.hasRoom] === 0) return { visitSharpness: -99, visitSharpSigma: -99, templateSharpness: -99 };
  const ofStar = flux * t[at + C.visitPsfHeight], visit = t[at + C.visitHeight], template = t[at + C.templateHeight];
  return {
    visitSharpness: ratio(sign * visit, ofStar),
    visitSharpSigma: ratio(visit - template - sign * ofStar, Math.sqrt(t[at + C.visitVariance])),
    templateSharpness: ratio(template, flux * t[at + C.psfHeight]),
  };
}

/**
 * Ring between the source's wings and twice as far: mean square, correlation of neighbours, and the largest mean of
 * 3 × 3 pixels of either sign, in its standard deviations.
 */
function annulusOf(
  t: Float64Array, at: number,
): Pick<Record<FeatureName, number>, 'annulusScatter' | 'annulusCorrelation' | 'annulusMost'> {
  const count = t[at + C.noiseCount], pairs = t[at + C.noisePairs];
  if (count < 8 || pairs < 8) return { annulusScatter: -99, annulusCorrelation: -99, annulusMost: -99 };
  const level = t[at + C.noiseSum] / count, scatter = t[at + C.noiseSquare] / count - level * level;
  return {
    annulusScatter: scatter,
    annulusCorrelation: scatter > 0 ? (t[at + C.noiseProduct] / pairs - level * level) / scatter : 0,
    annulusMost: t[at + C.noiseMost],
  };
}

/**
 * `visitRatio`: the visit's own light over the source's flux; what brightens has 1 or more. `curvatureShare`: how much
 * of the difference the template's Laplacian explains, as a wrong width of the kernel leaves it. `wideRatio`: flux in
 * the wings over that in the core.
 */
function lightNeededOf(
  t: Float64Array, at: number, sign: number,
): Pick<Record<FeatureName, number>, 'visitRatio' | 'curvatureShare' | 'wideRatio'> {
  const flux = sign * t[at + C.neededPd], dd = t[at + C.neededDd], ld = t[at + C.neededLd], ll = t[at + C.neededLl];
  if (!(flux > 0) || !(t[at + C.neededPp] > 0)) return { visitRatio: -99, curvatureShare: -99, wideRatio: -99 };
  const core = t[at + C.coreLight], wingsPsf = t[at + C.wingsPsf];
  return {
    visitRatio: t[at + C.neededPv] / flux, curvatureShare: ll > 0 && dd > 0 ? (ld * ld) / (ll * dd) : 0,
    wideRatio: sign * core > 0 && wingsPsf > 0
      ? (t[at + C.wingsLight] / wingsPsf) / (core / t[at + C.corePsf]) : -99,
  };
}
