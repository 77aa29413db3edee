/** The image's WCS from reference stars, beginning with where the telescope thought it pointed. */
import { StageError } from '../../errors.ts';
import { fitAffine, applyAffine, type Affine, type Pair } from '../../image/affine.ts';
import { robustSigma } from '../../image/median.ts';
import type { ReferenceStar } from '../../image/references.ts';
import { matchStarLists } from '../../image/starMatch.ts';
import { pixelScaleArcsec, skyToPixel, skyToPlane, type Wcs } from '../../image/wcs.ts';
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
  /** By how much the nominal pointing was off at the detector's centre, arcseconds. */
  pointingErrorArcsec: number;
}>;

const FIT_ROUNDS = 5;

/**
 * @param stars   Brightest first.
 * @param nominal As commanded; may be off by the errors that the configuration allows.
 * @throws StageError WCS_STARS_TOO_FEW (reject) when fewer standards than required agree on one place.
 */
export function fitWcs(
  stars: readonly MeasuredStar[], references: readonly ReferenceStar[], nominal: Wcs, width: number, height: number,
  config: CalibrateConfig['astrometry'],
): AstrometricFit {
  const scale = pixelScaleArcsec(nominal);
  const shiftMaxPx = config.pointingErrorArcsec / scale;
  const predicted = predictedReferences(references, nominal, width, height, shiftMaxPx);
  const match = matchStarLists(
    stars.map((star) => ({ x: star.x, y: star.y, errorPx: Math.hypot(star.xErr, star.yErr) / Math.SQRT2 })), predicted,
    {
      shiftMaxPx, rotationMaxDeg: config.rotationErrorDeg, voterCount: config.voterCount, binPx: config.voteBinPx,
      finalRadiusPx: config.pairRadiusPx, pairCountMin: config.standardCountMin,
    },
  );
  if (match === null) throw tooFew(0, stars.length, predicted.length, config.standardCountMin);
  const matched = match.pairs.map(
    ([i, j]) => pairOf(stars[i], predicted[j].reference, nominal, scale, config.centroidFloorPx),
  );
  const fit = fitClipped(matched, config.clipSigma);
  if (fit === null || fit.kept.length < config.standardCountMin) {
    throw tooFew(fit?.kept.length ?? 0, stars.length, predicted.length, config.standardCountMin);
  }
  const wcs = wcsOf(fit.plane, nominal.crval);
  return {
    wcs, pairs: fit.kept.map(({ star, reference }) => ({ star, reference })), rmsMas: fit.rmsDeg * 3.6e6,
    pointingErrorArcsec: offsetArcsec(wcs, nominal, width, height),
  };
}

type Predicted = Readonly<{ x: number; y: number; reference: ReferenceStar }>;

/** References that may lie on the detector, brightest first; those without a magnitude last. */
function predictedReferences(
  references: readonly ReferenceStar[], nominal: Wcs, width: number, height: number, margin: number,
): Predicted[] {
  const found: Predicted[] = [];
  for (const reference of references) {
    const { x, y } = skyToPixel(nominal, reference.raDeg, reference.decDeg);
    // A comparison with NaN, behind the tangent plane, is false.
    if (x > -margin && y > -margin && x < width + margin && y < height + margin) found.push({ x, y, reference });
  }
  return found.sort((a, b) => (a.reference.mag ?? Infinity) - (b.reference.mag ?? Infinity) || a.y - b.y || a.x - b.x);
}

type MatchedStar = Pair & Readonly<{ star: MeasuredStar; reference: ReferenceStar }>;

/** From pixels to the tangent plane at the reference point, degrees. */
function pairOf(
  star: MeasuredStar, reference: ReferenceStar, nominal: Wcs, scale: number, floorPx: number,
): MatchedStar {
  const { xi, eta } = skyToPlane(nominal.crval, reference.raDeg, reference.decDeg);
  const starMas = Math.hypot(Math.hypot(star.xErr, star.yErr) / Math.SQRT2, floorPx) * scale * 1000;
  const referenceMas = Math.hypot(reference.raErrMas, reference.decErrMas) / Math.SQRT2;
  const weight = 1 / (starMas * starMas + referenceMas * referenceMas);
  return { from: { x: star.x, y: star.y }, to: { x: xi, y: eta }, weight, star, reference };
}

/** Affine least squares; residuals normalised by their errors are clipped against their own robust scatter. */
function fitClipped(
  all: readonly MatchedStar[], clipSigma: number,
): { plane: Affine; kept: MatchedStar[]; rmsDeg: number } | null {
  let kept = [...all], plane: Affine | null = null;
  for (let round = 0; round < FIT_ROUNDS; round++) {
    plane = fitAffine(kept);
    if (plane === null) return null;
    const current = plane;
    const residuals = all.map((pair) => residualOf(current, pair));
    const scaled = residuals.flatMap((r, i) => [r.x * Math.sqrt(all[i].weight), r.y * Math.sqrt(all[i].weight)]);
    const limit = clipSigma * Math.max(robustSigma(scaled), 1e-12);
    const next = all.filter((_, i) => Math.abs(scaled[2 * i]) <= limit && Math.abs(scaled[2 * i + 1]) <= limit);
    if (next.length === kept.length) break;
    kept = next;
  }
  if (plane === null || kept.length === 0) return null;
  let squares = 0;
  for (const pair of kept) {
    const r = residualOf(plane, pair);
    squares += r.x * r.x + r.y * r.y;
  }
  return { plane, kept, rmsDeg: Math.sqrt(squares / (2 * kept.length)) };
}

function residualOf(plane: Affine, pair: Pair): { x: number; y: number } {
  const at = applyAffine(plane, pair.from.x, pair.from.y);
  return { x: pair.to.x - at.x, y: pair.to.y - at.y };
}

/** The reference point stays where the telescope was told to point; its pixel is where the fitted plane is zero. */
function wcsOf(plane: Affine, crval: readonly [number, number]): Wcs {
  const determinant = plane.a * plane.e - plane.b * plane.d;
  const x = (plane.b * plane.f - plane.e * plane.c) / determinant;
  const y = (plane.d * plane.c - plane.a * plane.f) / determinant;
  return { crval, crpix: [x, y], cd: [plane.a, plane.b, plane.d, plane.e], sip: null };
}

function offsetArcsec(wcs: Wcs, nominal: Wcs, width: number, height: number): number {
  const at = (w: Wcs) => {
    const u = (width - 1) / 2 - w.crpix[0], v = (height - 1) / 2 - w.crpix[1];
    return { xi: w.cd[0] * u + w.cd[1] * v, eta: w.cd[2] * u + w.cd[3] * v };
  };
  const a = at(wcs), b = at(nominal);
  return Math.hypot(a.xi - b.xi, a.eta - b.eta) * 3600;
}

function tooFew(matched: number, stars: number, references: number, required: number): StageError {
  return new StageError({
    code: 'WCS_STARS_TOO_FEW', stage: 'calibrate', disposition: 'reject', // The same pixels will have the same stars.
    message: `${matched} standards matched of ${stars} stars and ${references} references, ${required} required`,
    details: { matched, stars, references, required },
  });
}
