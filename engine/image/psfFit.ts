/**
 * Empirical PSF from stars: recentred stamps, per-pixel polynomial over the detector, neighbours modelled and
 * subtracted, deviating stars and pixels rejected.
 */
import { maskBits } from './maskPlanes.ts';
import { median, medianInPlace, weightedMedian } from './median.ts';
import { evaluatePsf, type PsfModel } from './psf.ts';
import { createPsfFitter, type PhotometryPlanes, type PsfFit, type PsfFitter } from './psfPhotometry.ts';
import { fitModel } from './psfSolve.ts';
import { indexOf, usualSize, FWHM_PER_SIGMA, type Star } from './starDetection.ts';

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

/**
 * Stamp of a star, recentred on its middle pixel, unit flux; sigma is the noise of a pixel, `light` what the model says
 * of the neighbours in the stamp as it is cut out.
 */
type Stamp = {
  star: Star; x: number; y: number; flux: number; values: Float32Array; light: Float32Array; sigma: number;
  isUsed: boolean;
};

/**
 * @param planes Background subtracted. Read only. The star's own pixels must be unmasked.
 * @param stars  Everything that was detected: neighbours' light is taken from here.
 * @returns null when fewer than `starCountMin` stars serve.
 */
export function buildPsf(
  planes: PhotometryPlanes, stars: readonly Star[], fwhmPx: number, config: PsfFitConfig,
): PsfResult | null {
  const size = stampSize(fwhmPx, config), index = indexOf(stars);
  const candidates = selectPsfStars(stars, planes, fwhmPx, size, config, index);
  if (candidates.length < config.starCountMin) return null;
  const stamps = candidates.map((star): Stamp => ({
    star, x: star.x, y: star.y, flux: star.flux, values: new Float32Array(size * size),
    light: new Float32Array(size * size), sigma: 0, isUsed: true,
  }));
  const near = stamps.map(({ star }) => neighboursOf(star, stars, index, size));
  const { width, height } = planes, coefficients = new Float32Array(size * size);
  let psf: PsfModel = { size, width, height, order: 0, coefficients };
  let fitter = createPsfFitter(planes, psf), fits: PsfFit[] = [], modelError = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = round === 0 ? null : psf;
    for (const stamp of stamps) fillStamp(planes, stamp, before, fwhmPx, fitter);
    const used = stamps.filter((stamp) => stamp.isUsed && stamp.flux > 0);
    if (used.length < config.starCountMin) return null;
    subtractPedestals(used, before, size, fwhmPx);
    psf = fitModel(used, planes, size, before === null ? 0 : orderFor(used.length, config), fwhmPx, before);
    fitter = createPsfFitter(planes, psf);
    ({ fits, modelError } = refitStars(stamps, near, config.fitRadiusFwhm * fwhmPx, fitter));
  }
  if (fits.length < config.starCountMin) return null;
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
 * Clean, unsaturated sources of the stars' size, whole on the image; isolated ones first, from all parts of the image
 * alike. When too few are isolated, as in a crowded field, the least contaminated of the others join: their neighbours
 * are modelled.
 */
export function selectPsfStars(
  stars: readonly Star[], planes: Pick<PhotometryPlanes, 'width' | 'height'>, fwhmPx: number, size: number,
  config: PsfFitConfig, index = indexOf(stars),
): Star[] {
  const half = (size - 1) / 2, locus = usualSize(stars, config.starCountMin) ?? fwhmPx / FWHM_PER_SIGMA;
  const clean = stars.filter((star) => !star.isSaturated && !star.isBlemished && star.snr >= config.snrMin
    && Math.abs(star.sigmaPx / locus - 1) < 0.15 && star.ellipticity < 0.35
    && star.x >= half && star.y >= half && star.x <= planes.width - 1 - half && star.y <= planes.height - 1 - half);
  const rated = clean.map((star) => ({ star, contamination: contaminationOf(star, stars, index, half, fwhmPx) }));
  const isolated = rated.filter((r) => r.contamination <= config.neighbourFractionMax).map((r) => r.star);
  if (isolated.length >= config.linearStarCountMin) return spread(isolated, planes, config.starCountMax);
  return rated.filter((r) => r.contamination < 1)
    .sort((a, b) => a.contamination - b.contamination || b.star.flux - a.star.flux)
    .slice(0, config.linearStarCountMin).map((r) => r.star).sort((a, b) => b.flux - a.flux);
}

/** Cells along a side from which stars are taken in turn. */
const SELECTION_CELLS = 6;

/** The brightest of every cell, then the second of every cell, and so on. Brightest first. */
function spread(
  brightestFirst: readonly Star[], { width, height }: Pick<PhotometryPlanes, 'width' | 'height'>, countMax: number,
): Star[] {
  const taken = new Int32Array(SELECTION_CELLS * SELECTION_CELLS);
  const turns = brightestFirst.map((star) => {
    const cell = (at: number, size: number): number => (
      Math.min(Math.floor((at / size) * SELECTION_CELLS), SELECTION_CELLS - 1)
    );
    return taken[cell(star.y, height) * SELECTION_CELLS + cell(star.x, width)]++;
  });
  const order = brightestFirst.map((_, i) => i).sort((i, j) => turns[i] - turns[j] || i - j).slice(0, countMax);
  return order.sort((i, j) => i - j).map((i) => brightestFirst[i]);
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

function neighboursOf(star: Star, stars: readonly Star[], index: ReturnType<typeof indexOf>, size: number): Star[] {
  return index.within(star.x, star.y, size).sort((i, j) => i - j).filter((j) => stars[j] !== star).map((j) => stars[j]);
}

/** Pixels that tell nothing of a star's profile. */
const UNUSABLE = maskBits('SAT', 'BAD', 'NO_DATA', 'CR');

/**
 * Cuts the star out, takes modelled neighbours off, replaces unusable pixels (by the model; in the first round by the
 * opposite pixel), moves its centroid to the middle of the stamp and scales it to unit flux.
 */
function fillStamp(
  planes: PhotometryPlanes, stamp: Stamp, psf: PsfModel | null, fwhmPx: number, fitter: PsfFitter,
): void {
  const { image, variance, mask, width, height } = planes, { values, light } = stamp;
  const size = Math.sqrt(values.length), half = (size - 1) >> 1, cx = Math.round(stamp.x), cy = Math.round(stamp.y);
  let own: Float32Array | null = null;
  const isUsable = (at: number): boolean => (mask[at] & UNUSABLE) === 0 && image[at] === image[at];
  let noise = 0, count = 0;
  for (let j = -half; j <= half; j++) {
    for (let i = -half; i <= half; i++) {
      // Stars are whole on the image, and fits do not leave them.
      const k = (j + half) * size + i + half, at = (cy + j) * width + cx + i;
      const isInside = cx + i >= 0 && cy + j >= 0 && cx + i < width && cy + j < height;
      if (isInside && isUsable(at)) {
        values[k] = image[at] - light[k];
        noise += variance[at];
        count++;
      } else if (psf !== null) {
        if (own === null) fitter.addLight([stamp], cx, cy, own = new Float32Array(size * size));
        values[k] = own[k];
      } else {
        const opposite = (cy - j) * width + cx - i;
        values[k] = isInside && opposite >= 0 && opposite < image.length && isUsable(opposite) ? image[opposite] : 0;
      }
    }
  }
  fitter.move(values, cx - stamp.x, cy - stamp.y, values);
  if (psf === null) stamp.flux = apertureSum(values, size, 1.5 * fwhmPx);
  for (let k = 0; k < values.length; k++) values[k] /= stamp.flux;
  stamp.sigma = Math.sqrt(noise / count) / stamp.flux;
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
  stamps: readonly Stamp[], psf: PsfModel | null, size: number, fwhmPx: number,
): void {
  const half = (size - 1) >> 1, radius = Math.min(2 * fwhmPx, 0.75 * half);
  const outer = Int32Array.from(Array(size * size).keys())
    .filter((k) => ((k % size) - half) ** 2 + (Math.floor(k / size) - half) ** 2 >= radius * radius);
  const left = new Float64Array(outer.length), profile = new Float32Array(size * size);
  const pedestals = stamps.map((stamp) => {
    if (psf !== null) evaluatePsf(psf, stamp.x, stamp.y, profile);
    for (let i = 0; i < outer.length; i++) left[i] = stamp.values[outer[i]] - profile[outer[i]];
    return medianInPlace(left, left.length);
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

/** Fits each star with the model, rejects those that deviate from it far more than the others do. */
function refitStars(
  stamps: readonly Stamp[], near: readonly (readonly Star[])[], radiusPx: number, fitter: PsfFitter,
): { fits: PsfFit[]; modelError: number } {
  // Matched-filter fluxes are right in rank only; the stars fitted so far tell their scale.
  const fluxScale = median(stamps.filter((stamp) => stamp.isUsed).map((stamp) => stamp.flux / stamp.star.flux));
  const fitted: { stamp: Stamp; fit: PsfFit; error: number }[] = [];
  stamps.forEach((stamp, s) => {
    const cx = Math.round(stamp.x), cy = Math.round(stamp.y);
    const sources = near[s].map(({ x, y, flux }) => ({ x, y, flux: flux * fluxScale }));
    fitter.addLight(sources, cx, cy, stamp.light.fill(0));
    const fit = fitter.fit(stamp.x, stamp.y, radiusPx, stamp.light);
    stamp.isUsed = false;
    if (fit === null || Math.hypot(fit.x - stamp.star.x, fit.y - stamp.star.y) > 1) return;
    // χ² beyond the noise's, as a share of the star's own signal to noise: the same number for bright and faint stars.
    const excess = fit.chi2 - (fit.pixelCount - 3);
    fitted.push({ stamp, fit, error: Math.sqrt(Math.max(0, excess)) * (fit.fluxErr / fit.flux) });
    if (Math.round(fit.x) === cx && Math.round(fit.y) === cy) return;
    fitter.addLight(sources, Math.round(fit.x), Math.round(fit.y), stamp.light.fill(0));
  });
  if (fitted.length === 0) return { fits: [], modelError: NaN };
  const usual = median(fitted.map((f) => f.error));
  const spreadOfErrors = 1.4826 * median(fitted.map((f) => Math.abs(f.error - usual)));
  const kept = fitted.filter((f) => f.error <= usual + 4 * spreadOfErrors + 0.01);
  for (const { stamp, fit } of kept) {
    stamp.isUsed = true;
    stamp.x = fit.x;
    stamp.y = fit.y;
    stamp.flux = fit.flux;
  }
  return { fits: kept.map((f) => f.fit), modelError: usual };
}
