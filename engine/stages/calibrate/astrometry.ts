/** The image's WCS from reference stars, beginning with where the telescope thought it pointed. */
import { StageError } from '../../errors.ts';
import { fitAffine } from '../../image/affine.ts';
import { evaluatePolynomial, exponentsOf, fitPolynomials, varianceOfFit, type Sample } from '../../image/leastSquares.ts';
import { robustSigma } from '../../image/median.ts';
import type { ReferenceStar } from '../../image/references.ts';
import { matchStarLists, type RankedPoint } from '../../image/starMatch.ts';
import { pixelScaleArcsec, pixelToSky, separationArcsec, skyToPixel, type Wcs } from '../../image/wcs.ts';
import { tanSipOf, type SkyMap } from '../../image/wcsFit.ts';
import type { CalibrateConfig } from './config.ts';

export type MeasuredStar = Readonly<{
  x: number; y: number; xErr: number; yErr: number;
  /** Fit of the PSF, in the image's unit. */
  flux: number; fluxErr: number;
  /** No neighbour brings a noticeable share of its light. */
  isIsolated: boolean;
}>;

export type AstrometricFit = Readonly<{
  wcs: Wcs;
  /** Star and its reference, the clipped fit's members only. */
  pairs: readonly Readonly<{ star: MeasuredStar; reference: ReferenceStar }>[];
  /** Scatter along one axis, milliarcseconds. */
  rmsMas: number;
  /** Of the polynomial beside the camera's own distortion: 1, 2 or 3. */
  distortionOrder: number;
  /** By how much the nominal pointing was off at the detector's centre, arcseconds. */
  pointingErrorArcsec: number;
  /** Error of the fit along one axis at the corner that it tells the least of, milliarcseconds. */
  cornerErrorMas: number;
}>;

const FIT_ROUNDS = 6;

/**
 * Stars are matched to the places that the nominal WCS predicts, and a polynomial is fitted that takes measured places to
 * predicted ones: of first order, and of second or third when that fits better by far more than chance. With the nominal
 * WCS, distortion and all, it is the map to the sky, which a TAN-SIP follows.
 *
 * @param stars   With fits of the PSF, brightest first.
 * @param anchors All that was detected, brightest first, saturated ones too: their pattern finds the place.
 * @param nominal As commanded; may be off by the errors that the configuration allows.
 * @throws StageError (reject) WCS_STARS_TOO_FEW when fewer standards than required agree on one place,
 *         WCS_STARS_TOO_CLOSE when they lie so close together that they do not tell the detector's corners.
 */
export function fitWcs(
  stars: readonly MeasuredStar[], anchors: readonly RankedPoint[], references: readonly ReferenceStar[], nominal: Wcs,
  width: number, height: number, config: CalibrateConfig['astrometry'],
): AstrometricFit {
  const scale = pixelScaleArcsec(nominal), middle = { x: (width - 1) / 2, y: (height - 1) / 2 };
  // The camera turns about the boresight, which carries a detector at the field's edge along.
  const lever = Math.hypot(middle.x - nominal.crpix[0], middle.y - nominal.crpix[1]);
  const shiftMaxPx = config.pointingErrorArcsec / scale + lever * config.rotationErrorDeg * (Math.PI / 180);
  const predicted = predictedReferences(references, nominal, width, height, shiftMaxPx, config.referenceCountMax);
  const match = matchStarLists(
    stars.map((star) => ({ x: star.x, y: star.y, errorPx: Math.hypot(star.xErr, star.yErr) / Math.SQRT2 })), predicted,
    {
      shiftMaxPx, rotationMaxDeg: config.rotationErrorDeg, voterCount: config.voterCount, binPx: config.voteBinPx,
      finalRadiusPx: config.pairRadiusPx, pairCountMin: config.standardCountMin,
    }, anchors,
  );
  if (match === null) throw tooFew(0, stars.length, predicted.length, config.standardCountMin);
  const matched = match.pairs.map(([i, j]) => (
    pairOf(stars[i], predicted[j], scale, width, height, config.centroidFloorPx)
  ));
  const fit = bestFit(matched, config);
  if (fit === null || fit.kept.length < config.standardCountMin) {
    throw tooFew(fit?.kept.length ?? 0, stars.length, predicted.length, config.standardCountMin);
  }
  const cornerErrorMas = cornerErrorPx(fit) * scale * 1000;
  if (cornerErrorMas > config.cornerErrorMasMax) throw tooClose(fit, cornerErrorMas, config.cornerErrorMasMax);
  const toSky: SkyMap = (x, y) => {
    const [u, v] = unitOf(x, y, width, height);
    const at = fit.coefficients.map((c) => evaluatePolynomial(c, fit.order, u, v));
    return pixelToSky(nominal, at[0], at[1]);
  };
  const centre = toSky(middle.x, middle.y), expected = pixelToSky(nominal, middle.x, middle.y);
  return {
    wcs: tanSipOf(toSky, width, height, nominal.crval),
    pairs: fit.kept.map(({ star, reference }) => ({ star, reference })),
    rmsMas: fit.rmsPx * scale * 1000, distortionOrder: fit.order, cornerErrorMas,
    pointingErrorArcsec: separationArcsec(centre.raDeg, centre.decDeg, expected.raDeg, expected.decDeg),
  };
}

type Predicted = Readonly<{ x: number; y: number; reference: ReferenceStar }>;

/** References that may lie on the detector, the brightest first; those without a magnitude last. */
function predictedReferences(
  references: readonly ReferenceStar[], nominal: Wcs, width: number, height: number, margin: number, countMax: number,
): Predicted[] {
  // Without the distortion, which is dear to invert, to within a hundredth of the way to the boresight.
  const undistorted = { ...nominal, sip: null }, found: Predicted[] = [];
  const far = Math.hypot(Math.abs(nominal.crpix[0]) + width, Math.abs(nominal.crpix[1]) + height);
  const wide = nominal.sip === null ? margin : margin + 0.01 * far;
  const isNear = (x: number, y: number, reach: number): boolean => (
    // A comparison with NaN, behind the tangent plane, is false.
    x > -reach && y > -reach && x < width + reach && y < height + reach
  );
  const inView = references.filter(({ raDeg, decDeg }) => {
    const { x, y } = skyToPixel(undistorted, raDeg, decDeg);
    return isNear(x, y, wide);
  }).sort((a, b) => (a.mag ?? Infinity) - (b.mag ?? Infinity) || a.decDeg - b.decDeg || a.raDeg - b.raDeg);
  for (const reference of inView) {
    const { x, y } = skyToPixel(nominal, reference.raDeg, reference.decDeg);
    if (isNear(x, y, margin)) found.push({ x, y, reference });
    if (found.length === countMax) break;
  }
  return found;
}

type MatchedStar = Sample & Readonly<{ star: MeasuredStar; reference: ReferenceStar }>;

/** Pixels as −1 … 1 over the image. */
function unitOf(x: number, y: number, width: number, height: number): [number, number] {
  return [(2 * x) / (width - 1) - 1, (2 * y) / (height - 1) - 1];
}

/** From the measured place to the predicted one, both in pixels. */
function pairOf(
  star: MeasuredStar, predicted: Predicted, scale: number, width: number, height: number, floorPx: number,
): MatchedStar {
  const [u, v] = unitOf(star.x, star.y, width, height), { reference } = predicted;
  const starPx = Math.hypot(Math.hypot(star.xErr, star.yErr) / Math.SQRT2, floorPx);
  const referencePx = Math.hypot(reference.raErrMas, reference.decErrMas) / Math.SQRT2 / 1000 / scale;
  const weight = 1 / (starPx * starPx + referencePx * referencePx);
  return { u, v, value: [predicted.x, predicted.y], weight, star, reference };
}

type Fit = Readonly<{
  order: number; coefficients: readonly Float64Array[]; kept: readonly MatchedStar[]; rmsPx: number;
}>;

/** The highest order whose χ² falls, per coefficient that it adds, by several times what chance gives. */
function bestFit(matched: readonly MatchedStar[], config: CalibrateConfig['astrometry']): Fit | null {
  let best: Fit | null = null;
  for (let order = 1; order <= config.orderMax; order++) {
    const coefficientCount = exponentsOf(order).length;
    if (matched.length < (order === 1 ? 3 : config.starsPerCoefficient * coefficientCount)) break;
    const fit = fitClipped(matched, order, config.clipSigma);
    if (best === null || fit === null) { best ??= fit; continue; }
    const added = 2 * (coefficientCount - exponentsOf(best.order).length);
    const freedom = 2 * (fit.kept.length - coefficientCount);
    // Both orders on the stars that the higher one keeps.
    const before = chi2Of(fit.kept, fit.kept, best.order), after = chi2Of(fit.kept, fit.kept, order);
    if (((before - after) / added) / (after / freedom) > config.orderSignificance) best = fit;
  }
  return best;
}

function chi2Of(fitted: readonly MatchedStar[], judged: readonly MatchedStar[], order: number): number {
  const coefficients = fitPolynomials(fitted, order);
  return judged.reduce((sum, pair) => {
    const r = residualOf(coefficients, order, pair);
    return sum + pair.weight * (r.x * r.x + r.y * r.y);
  }, 0);
}

/** Weighted least squares; residuals normalised by their errors are clipped against their own robust scatter. */
function fitClipped(all: readonly MatchedStar[], order: number, clipSigma: number): Fit | null {
  const required = exponentsOf(order).length;
  let kept = [...all], coefficients: Float64Array[] | null = null;
  for (let round = 0; round < FIT_ROUNDS; round++) {
    if (kept.length < required || isOnLine(kept)) return null;
    const current = coefficients = fitPolynomials(kept, order);
    const residuals = all.map((pair) => residualOf(current, order, pair));
    const scaled = residuals.flatMap((r, i) => [r.x * Math.sqrt(all[i].weight), r.y * Math.sqrt(all[i].weight)]);
    const limit = clipSigma * Math.max(robustSigma(scaled), 1e-12);
    const next = all.filter((_, i) => Math.abs(scaled[2 * i]) <= limit && Math.abs(scaled[2 * i + 1]) <= limit);
    if (next.length === kept.length) break;
    kept = next;
  }
  if (coefficients === null || kept.length === 0) return null;
  let squares = 0;
  for (const pair of kept) {
    const r = residualOf(coefficients, order, pair);
    squares += r.x * r.x + r.y * r.y;
  }
  return { order, coefficients, kept, rmsPx: Math.sqrt(squares / (2 * kept.length)) };
}

/** Stars along one line tell nothing of what is beside it. */
function isOnLine(pairs: readonly MatchedStar[]): boolean {
  return fitAffine(pairs.map(({ u, v, weight }) => ({ from: { x: u, y: v }, to: { x: u, y: v }, weight }))) === null;
}

function residualOf(coefficients: readonly Float64Array[], order: number, pair: Sample): { x: number; y: number } {
  return {
    x: pair.value[0] - evaluatePolynomial(coefficients[0], order, pair.u, pair.v),
    y: pair.value[1] - evaluatePolynomial(coefficients[1], order, pair.u, pair.v),
  };
}

/** Formal error along one axis at the worst of the corners; larger where stars scatter by more than their errors. */
function cornerErrorPx({ order, kept }: Fit): number {
  const freedom = 2 * (kept.length - exponentsOf(order).length);
  const scatter = freedom > 0 ? Math.max(1, chi2Of(kept, kept, order) / freedom) : 1;
  const variances = [[-1, -1], [1, -1], [-1, 1], [1, 1]].map(([u, v]) => varianceOfFit(kept, order, u, v));
  return Math.sqrt(scatter * Math.max(...variances));
}

function tooClose({ kept }: Fit, errorMas: number, errorMasMax: number): StageError {
  return new StageError({
    code: 'WCS_STARS_TOO_CLOSE', stage: 'calibrate', disposition: 'reject', // The same pixels will have the same stars.
    message: `${kept.length} standards lie so close together that a corner of the detector is known to `
      + `${errorMas.toFixed(0)} mas, ${errorMasMax} allowed`,
    details: { matched: kept.length, errorMas, errorMasMax },
  });
}

function tooFew(matched: number, stars: number, references: number, required: number): StageError {
  return new StageError({
    code: 'WCS_STARS_TOO_FEW', stage: 'calibrate', disposition: 'reject', // The same pixels will have the same stars.
    message: `${matched} standards matched of ${stars} stars and ${references} references, ${required} required`,
    details: { matched, stars, references, required },
  });
}
