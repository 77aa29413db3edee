/**
 * Empirical PSF from stars: recentred stamps, per-pixel polynomial over the detector, neighbours modelled and
 * subtracted, deviating stars and pixels rejected.
 */
import { Matrix, solve } from 'ml-matrix';
import { median, weightedMedian } from './median.ts';
import { evaluatePsf, psfTermCount, shiftStamp, type PsfModel } from './psf.ts';
import {
  addStarLight, createFitScratch, fitStar, type FitScratch, type PhotometryPlanes, type PsfFit,
} from './psfPhotometry.ts';
import { indexOf, usualSize, FWHM_PER_SIGMA, type Star } from './starDetection.ts';
import { maskBits } from './maskPlanes.ts';

export type PsfFitConfig = Readonly<{
  /** Side of the stamp in FWHM, and its bounds in pixels (odd). */
  sizeFwhm: number; sizePxMin: number; sizePxMax: number;
  /** Signal to noise of a star that may serve. */
  snrMin: number;
  /** Most stars that serve; the least contaminated and brightest are taken. */
  starCountMax: number;
  /** Fewest stars of a model at all. */
  starCountMin: number;
  /** Fewest stars of a linear and of a quadratic variation over the detector. */
  linearStarCountMin: number; quadraticStarCountMin: number;
  /** Neighbours' light in a star's stamp, relative to its own, up to which it counts as isolated. */
  neighbourFractionMax: number;
  /** Radius of the fit that places and scales a star, FWHM. */
  fitRadiusFwhm: number;
}>;

export type PsfResult = Readonly<{
  psf: PsfModel;
  /** Stars of the final model with their fits, brightest first. */
  stars: readonly PsfFit[];
  /** Usual relative residual of a star's pixels, noise taken out: the error of the model. */
  modelError: number;
}>;

const ROUNDS = 4;
/** Pixels of a star farther from the model than this, in their errors, are someone else's light. */
const PIXEL_CLIP_SIGMA = 4;
/** Relative error of the model that pixel rejection allows for, so that a bright star's core is not rejected. */
const MODEL_TOLERANCE = 0.05;
/** Floor of a star's error, in errors of the usual star: in the core, and in the wings beyond so many FWHM. */
const CORE_FLOOR = 0.3, WING_FLOOR = 0.03, CORE_RADIUS_FWHM = 1;
/**
 * What is believed before looking: a pixel differs from its ring by less than the ring's own light (a spot of
 * ellipticity 0.1 has ± 0.7 in the wings, where light falls as r⁻⁷), and varies by a quarter of it over the detector.
 */
const RING_SCATTER = 0.7, FIELD_SCATTER = 0.25;

/** Stamp of a star, recentred on its middle pixel, unit flux, with the star's weight in the fit of each pixel. */
type Stamp = { star: Star; x: number; y: number; flux: number; values: Float32Array; sigma: number; isUsed: boolean };

/**
 * @param planes Background subtracted. Read only. The star's own pixels must be unmasked.
 * @param stars  Everything that was detected: neighbours' light is taken from here.
 * @returns null when fewer than `starCountMin` stars serve.
 */
export function buildPsf(
  planes: PhotometryPlanes, stars: readonly Star[], fwhmPx: number, config: PsfFitConfig,
): PsfResult | null {
  const size = stampSize(fwhmPx, config);
  const candidates = selectPsfStars(stars, planes, fwhmPx, size, config);
  if (candidates.length < config.starCountMin) return null;
  const index = indexOf(stars);
  const scratch = createFitScratch({ size });
  const stamps = candidates.map((star): Stamp => ({
    star, x: star.x, y: star.y, flux: star.flux, values: new Float32Array(size * size), sigma: 0, isUsed: true,
  }));
  let psf: PsfModel | null = null, fits: PsfFit[] = [], modelError = 0;
  // Matched-filter fluxes are right in rank only; the stars fitted so far tell their scale.
  let fluxScale = 1;
  for (let round = 0; round < ROUNDS; round++) {
    for (const stamp of stamps) {
      const near = neighboursOf(stamp.star, stars, index, size, fluxScale);
      fillStamp(planes, stamp, size, psf, near, fwhmPx, scratch);
    }
    const used = stamps.filter((stamp) => stamp.isUsed && stamp.flux > 0);
    if (used.length < config.starCountMin) return null;
    subtractPedestals(used, psf, size, fwhmPx, scratch);
    psf = fitModel(used, planes, size, psf === null ? 0 : orderFor(used.length, config), fwhmPx, psf);
    const refit = refitStars(planes, psf, stamps, stars, index, config.fitRadiusFwhm * fwhmPx, fluxScale, scratch);
    fits = refit.fits;
    modelError = refit.modelError;
    fluxScale = refit.fluxScale;
  }
  if (psf === null || fits.length < config.starCountMin) return null;
  return { psf, stars: fits, modelError };
}

function stampSize(fwhmPx: number, config: PsfFitConfig): number {
  const wanted = 2 * Math.ceil((config.sizeFwhm * fwhmPx) / 2) + 1;
  return Math.min(Math.max(wanted, config.sizePxMin), config.sizePxMax);
}

function orderFor(starCount: number, config: PsfFitConfig): 0 | 1 | 2 {
  if (starCount >= config.quadraticStarCountMin) return 2;
  return starCount >= config.linearStarCountMin ? 1 : 0;
}

/**
 * Clean, unsaturated sources of the stars' size, whole on the image; isolated ones first. When too few are isolated,
 * as in a crowded field, the least contaminated of the others join: their neighbours are modelled.
 */
export function selectPsfStars(
  stars: readonly Star[], planes: Pick<PhotometryPlanes, 'width' | 'height'>, fwhmPx: number, size: number,
  config: PsfFitConfig,
): Star[] {
  const half = (size - 1) / 2, locus = usualSize(stars, config.starCountMin) ?? fwhmPx / FWHM_PER_SIGMA;
  const index = indexOf(stars);
  const clean = stars.filter((star) => !star.isSaturated && !star.isBlemished && star.snr >= config.snrMin
    && Math.abs(star.sigmaPx / locus - 1) < 0.15 && star.ellipticity < 0.35
    && star.x >= half && star.y >= half && star.x <= planes.width - 1 - half && star.y <= planes.height - 1 - half);
  const rated = clean.map((star) => ({ star, contamination: contaminationOf(star, stars, index, half, fwhmPx) }));
  const isolated = rated.filter((r) => r.contamination <= config.neighbourFractionMax);
  if (isolated.length >= config.linearStarCountMin) return isolated.slice(0, config.starCountMax).map((r) => r.star);
  return rated.filter((r) => r.contamination < 1)
    .sort((a, b) => a.contamination - b.contamination || b.star.flux - a.star.flux)
    .slice(0, config.linearStarCountMin).map((r) => r.star).sort((a, b) => b.flux - a.flux);
}

/** Light of neighbours relative to the star's, near ones counting more: Σ f / f₀ × min(1, 4 (FWHM / d)²). */
function contaminationOf(
  star: Star, stars: readonly Star[], index: ReturnType<typeof indexOf>, reach: number, fwhmPx: number,
): number {
  let sum = 0;
  for (const j of index.within(star.x, star.y, reach * Math.SQRT2)) {
    const other = stars[j];
    if (other === star) continue;
    const distance = Math.hypot(other.x - star.x, other.y - star.y);
    sum += (other.flux / star.flux) * Math.min(1, 4 * (fwhmPx / distance) ** 2);
  }
  return sum;
}

type Source = Readonly<{ x: number; y: number; flux: number }>;

function neighboursOf(
  star: Star, stars: readonly Star[], index: ReturnType<typeof indexOf>, size: number, fluxScale: number,
): Source[] {
  return index.within(star.x, star.y, size).sort((i, j) => i - j).filter((j) => stars[j] !== star)
    .map((j) => ({ x: stars[j].x, y: stars[j].y, flux: stars[j].flux * fluxScale }));
}

/**
 * Cuts the star out, takes modelled neighbours off, replaces unusable pixels (by the model; in the first round by the
 * opposite pixel), moves its centroid to the middle of the stamp and scales it to unit flux.
 */
function fillStamp(
  planes: PhotometryPlanes, stamp: Stamp, size: number, psf: PsfModel | null, near: readonly Source[], fwhmPx: number,
  scratch: FitScratch,
): void {
  const half = (size - 1) >> 1, cx = Math.round(stamp.x), cy = Math.round(stamp.y);
  const cut = new Float32Array(size * size), light = new Float32Array(size * size);
  if (psf !== null) {
    addStarLight(psf, near, cx, cy, light, scratch);
    addStarLight(psf, [stamp], cx, cy, scratch.profile.fill(0), scratch);
  }
  const skip = maskBits('SAT', 'BAD', 'NO_DATA', 'CR');
  const usable = (i: number, j: number) => {
    const at = (cy + j) * planes.width + cx + i;
    return cx + i >= 0 && cy + j >= 0 && cx + i < planes.width && cy + j < planes.height
      && (planes.mask[at] & skip) === 0 && planes.image[at] === planes.image[at];
  };
  let variance = 0, count = 0;
  for (let j = -half; j <= half; j++) {
    for (let i = -half; i <= half; i++) {
      const k = (j + half) * size + i + half, at = (cy + j) * planes.width + cx + i;
      if (usable(i, j)) {
        cut[k] = planes.image[at] - light[k];
        variance += planes.variance[at];
        count++;
      } else if (psf !== null) cut[k] = scratch.profile[k];
      else cut[k] = usable(-i, -j) ? planes.image[(cy - j) * planes.width + cx - i] : 0;
    }
  }
  shiftStamp(cut, size, cx - stamp.x, cy - stamp.y, stamp.values, scratch.shiftScratch);
  if (psf === null) stamp.flux = apertureSum(stamp.values, size, 1.5 * fwhmPx);
  for (let k = 0; k < cut.length; k++) stamp.values[k] /= stamp.flux;
  stamp.sigma = Math.sqrt(variance / count) / stamp.flux;
}

/**
 * Takes off the light around each star that is neither its own nor a modelled neighbour's: faint or extended sources,
 * or an error of the sky's mesh. It is what the model leaves in the outer part of the stamp, as a median over its
 * pixels.
 *
 * A pedestal in proportion to the stars' fluxes would be their own wings. Other light only ever adds, and weighs less
 * the brighter the star: so the median over stars, by squared flux, of pedestal / flux stays in the PSF.
 */
function subtractPedestals(
  stamps: readonly Stamp[], psf: PsfModel | null, size: number, fwhmPx: number, scratch: FitScratch,
): void {
  const half = (size - 1) >> 1, radius = Math.min(2 * fwhmPx, 0.75 * half);
  const pedestals = stamps.map((stamp) => {
    if (psf === null) scratch.profile.fill(0);
    else evaluatePsf(psf, stamp.x, stamp.y, scratch.profile);
    const outer: number[] = [];
    for (let k = 0; k < stamp.values.length; k++) {
      const i = (k % size) - half, j = Math.floor(k / size) - half;
      if (i * i + j * j >= radius * radius) outer.push(stamp.values[k] - scratch.profile[k]);
    }
    return median(outer);
  });
  const own = weightedMedian(pedestals, stamps.map((stamp) => stamp.flux * stamp.flux));
  stamps.forEach((stamp, s) => {
    for (let k = 0; k < stamp.values.length; k++) stamp.values[k] -= pedestals[s] - own;
  });
}

function apertureSum(values: Float32Array, size: number, radiusPx: number): number {
  const half = (size - 1) >> 1;
  let sum = 0;
  for (let j = -half; j <= half; j++) {
    for (let i = -half; i <= half; i++) {
      if (i * i + j * j <= radiusPx * radiusPx) sum += values[(j + half) * size + i + half];
    }
  }
  return sum;
}

/**
 * Least squares for the coefficients of every pixel. In the core a star weighs 1 / (noise² + floor²), for beyond some
 * brightness the model's form, not the noise, limits; in the wings the brightest stars, which show them best, weigh by
 * noise almost alone.
 *
 * From the second round on, pixels that deviate are left out, and the round before gives each pixel a prior: its value
 * is near that of its ring, and varies over the detector by a share of it. Where the stars say more, they decide;
 * where they say nothing, far out in the wings, noise does not become structure.
 */
function fitModel(
  stamps: readonly Stamp[], planes: PhotometryPlanes, size: number, order: 0 | 1 | 2, fwhmPx: number,
  before: PsfModel | null,
): PsfModel {
  const termCount = psfTermCount(order), n = size * size, half = (size - 1) >> 1;
  const terms = stamps.map((stamp) => termsAt(stamp, planes).slice(0, termCount));
  const usualSigma = median(stamps.map((stamp) => stamp.sigma));
  const [core, wings] = [CORE_FLOOR, WING_FLOOR].map((floor) => stamps.map(
    (stamp) => 1 / (stamp.sigma ** 2 + (floor * usualSigma) ** 2),
  ));
  const expected = before === null ? null : stamps.map((stamp) => {
    const profile = new Float32Array(n);
    evaluatePsf(before, stamp.x, stamp.y, profile);
    return profile;
  });
  const rings = before === null ? null : ringMeans(before);
  const coefficients = new Float32Array(termCount * n);
  for (let k = 0; k < n; k++) {
    const kept = expected === null ? null : keptStamps(stamps, expected, k, termCount);
    const radius = Math.hypot((k % size) - half, Math.floor(k / size) - half);
    const weights = radius < CORE_RADIUS_FWHM * fwhmPx ? core : wings;
    const prior = rings === null ? null : Math.max(rings[k], 1e-9);
    const solution = solvePixel(terms, weights, kept, (s) => stamps[s].values[k], prior);
    for (let t = 0; t < termCount; t++) coefficients[t * n + k] = solution[t];
  }
  return { size, width: planes.width, height: planes.height, order, coefficients };
}

/**
 * For each pixel of the stamp, the mean of the model's constant term over the pixels at the same distance, to half a
 * pixel.
 */
function ringMeans(psf: PsfModel): Float64Array {
  const { size, coefficients } = psf, half = (size - 1) >> 1, n = size * size;
  const ring = (k: number) => Math.round(Math.hypot((k % size) - half, Math.floor(k / size) - half));
  const sums = new Float64Array(size), counts = new Float64Array(size);
  for (let k = 0; k < n; k++) { sums[ring(k)] += coefficients[k]; counts[ring(k)]++; }
  return Float64Array.from({ length: n }, (_, k) => sums[ring(k)] / counts[ring(k)]);
}

/** Which stars count for a pixel; null for all, and when too many deviate for that to be the stars' fault. */
function keptStamps(
  stamps: readonly Stamp[], expected: readonly Float32Array[], k: number, termCount: number,
): boolean[] | null {
  let keptCount = 0;
  const kept = stamps.map((stamp, s) => {
    const limit = PIXEL_CLIP_SIGMA * Math.hypot(stamp.sigma, MODEL_TOLERANCE * expected[s][k]);
    const isKept = Math.abs(stamp.values[k] - expected[s][k]) <= limit;
    if (isKept) keptCount++;
    return isKept;
  });
  return keptCount === stamps.length || keptCount < Math.max(3 * termCount, stamps.length / 3) ? null : kept;
}

function termsAt(at: Readonly<{ x: number; y: number }>, planes: PhotometryPlanes): number[] {
  const u = (2 * at.x) / (planes.width - 1) - 1, v = (2 * at.y) / (planes.height - 1) - 1;
  return [1, u, v, u * u, u * v, v * v];
}

/** @param prior Usual value of the pixel's ring, which bounds the coefficients; null for none. */
function solvePixel(
  terms: readonly number[][], weights: readonly number[], kept: readonly boolean[] | null, value: (s: number) => number,
  prior: number | null,
): number[] {
  const count = terms[0].length, normal = Matrix.zeros(count, count), right = new Array<number>(count).fill(0);
  for (let s = 0; s < terms.length; s++) {
    if (kept !== null && !kept[s]) continue;
    for (let p = 0; p < count; p++) {
      const weighted = weights[s] * terms[s][p];
      right[p] += weighted * value(s);
      for (let q = 0; q < count; q++) normal.set(p, q, normal.get(p, q) + weighted * terms[s][q]);
    }
  }
  if (prior !== null) {
    for (let p = 0; p < count; p++) {
      const scatter = (p === 0 ? RING_SCATTER : FIELD_SCATTER) * prior;
      normal.set(p, p, normal.get(p, p) + 1 / scatter ** 2);
    }
    right[0] += prior / (RING_SCATTER * prior) ** 2;
  }
  if (count === 1) return [right[0] / normal.get(0, 0)];
  return solve(normal, Matrix.columnVector(right)).to1DArray();
}

/** Fits each star with the model, rejects those that deviate from it far more than the others do. */
function refitStars(
  planes: PhotometryPlanes, psf: PsfModel, stamps: Stamp[], stars: readonly Star[], index: ReturnType<typeof indexOf>,
  radiusPx: number, fluxScale: number, scratch: FitScratch,
): { fits: PsfFit[]; modelError: number; fluxScale: number } {
  const light = new Float32Array(psf.size * psf.size);
  const fitted: { stamp: Stamp; fit: PsfFit; error: number }[] = [];
  for (const stamp of stamps) {
    const near = neighboursOf(stamp.star, stars, index, psf.size, fluxScale);
    addStarLight(psf, near, Math.round(stamp.x), Math.round(stamp.y), light.fill(0), scratch);
    const fit = fitStar(planes, psf, stamp.x, stamp.y, radiusPx, light, scratch);
    stamp.isUsed = false;
    if (fit === null || Math.hypot(fit.x - stamp.star.x, fit.y - stamp.star.y) > 1) continue;
    // χ² beyond the noise's, as a share of the star's own signal to noise: the same number for bright and faint stars.
    const excess = fit.chi2 - (fit.pixelCount - 3);
    fitted.push({ stamp, fit, error: Math.sqrt(Math.max(0, excess)) * (fit.fluxErr / fit.flux) });
  }
  if (fitted.length === 0) return { fits: [], modelError: NaN, fluxScale };
  const usual = median(fitted.map((f) => f.error));
  const spread = 1.4826 * median(fitted.map((f) => Math.abs(f.error - usual)));
  const kept = fitted.filter((f) => f.error <= usual + 4 * spread + 0.01);
  for (const { stamp, fit } of kept) {
    stamp.isUsed = true;
    stamp.x = fit.x;
    stamp.y = fit.y;
    stamp.flux = fit.flux;
  }
  return {
    fits: kept.map((f) => f.fit), modelError: usual,
    fluxScale: median(kept.map((f) => f.fit.flux / f.stamp.star.flux)),
  };
}
