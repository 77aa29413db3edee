/** Photometric zero point of a detector from the references that lie on it. */
import { nJyOfAbMag } from '../../../schemas/units.ts';
import { StageError } from '../../errors.ts';
import { robustSigma, weightedMedian } from '../../image/median.ts';
import type { ReferenceStar } from '../../image/references.ts';
import type { MeasuredStar } from './astrometry.ts';
import type { CalibrateConfig } from './config.ts';

export type PhotometricCalibration = Readonly<{
  /** Multiplies electrons of this exposure. PSF fluxes so scaled are total fluxes. */
  nJyPerElectron: number;
  /** AB magnitude of a source that gives one electron a second. */
  zeroPointMag: number;
  /** Its statistical error, and the scatter of one standard; magnitudes. */
  zeroPointErrMag: number; scatterMag: number;
  standardCount: number;
  /**
   * Magnitudes of the zero point per magnitude of g − i about the reference colour, and its error: 0 and NaN where too
   * few standards have a colour. Taken off the standards only when it is beyond its error; fluxes are those of a source
   * of the reference colour.
   */
  colourTerm: number; colourTermErr: number;
}>;

const CLIP_ROUNDS = 6;
/** Magnitudes per unit of relative flux: 2.5 / ln 10. */
const MAG_PER_RELATIVE = 2.5 / Math.LN10;

/**
 * Each standard gives mag + 2.5 log₁₀(electrons); their weighted median, then the weighted mean of those near it.
 * Where standards of many colours show a term in it, it is taken off first.
 *
 * @throws StageError (reject): ZERO_POINT_STARS_TOO_FEW, ZERO_POINT_SCATTERED.
 */
export function fitZeroPoint(
  pairs: readonly Readonly<{ star: MeasuredStar; reference: ReferenceStar }>[], exposureSeconds: number,
  config: CalibrateConfig['photometry'],
): PhotometricCalibration {
  const all = standardsOf(pairs, config);
  const isolated = all.filter((standard) => standard.isIsolated);
  let chosen: readonly Standard[] = isolated.length >= Math.max(config.standardCountMin, 5) ? isolated : all;
  if (chosen.length < config.standardCountMin) {
    throw new StageError({
      code: 'ZERO_POINT_STARS_TOO_FEW', stage: 'calibrate', disposition: 'reject',
      message: `${chosen.length} photometric standards, ${config.standardCountMin} required`,
      details: { standardCount: chosen.length, standardCountMin: config.standardCountMin },
    });
  }
  const colour = colourTermOf(chosen, config);
  if (Math.abs(colour.term) > config.colourSignificance * colour.error) {
    chosen = chosen.map((s) => (
      s.colour === null ? s : { ...s, value: s.value - colour.term * (s.colour - config.referenceColourMag) }
    ));
  }
  let centre = weightedMedian(chosen.map((s) => s.value), chosen.map((s) => s.error ** -2)), kept = chosen;
  for (let round = 0; round < CLIP_ROUNDS; round++) {
    const scaled = chosen.map((standard) => (standard.value - centre) / standard.error);
    const limit = config.clipSigma * Math.max(1, robustSigma(scaled));
    const next = chosen.filter((_, i) => Math.abs(scaled[i]) <= limit);
    centre = weightedMean(next);
    if (next.length === kept.length && round > 0) break;
    kept = next;
  }
  const weightSum = kept.reduce((sum, standard) => sum + standard.error ** -2, 0);
  const squares = kept.reduce((sum, s) => sum + (s.value - centre) ** 2, 0);
  const scatterMag = Math.sqrt(squares / Math.max(1, kept.length - 1));
  if (scatterMag > config.scatterMagMax) {
    throw new StageError({
      code: 'ZERO_POINT_SCATTERED', stage: 'calibrate', disposition: 'reject',
      message: `${kept.length} photometric standards scatter by ${scatterMag.toFixed(2)} mag, `
        + `${config.scatterMagMax} at most: the references' magnitudes are not those of this sky or band`,
      details: { scatterMag, scatterMagMax: config.scatterMagMax, standardCount: kept.length },
    });
  }
  // Standards that scatter by more than their errors tell less than these promise.
  const chi2 = kept.reduce((sum, s) => sum + ((s.value - centre) / s.error) ** 2, 0);
  const excess = Math.max(1, Math.sqrt(chi2 / Math.max(1, kept.length - 1)));
  return {
    nJyPerElectron: nJyOfAbMag(centre),
    zeroPointMag: centre - 2.5 * Math.log10(exposureSeconds),
    zeroPointErrMag: excess / Math.sqrt(weightSum), scatterMag, standardCount: kept.length,
    colourTerm: colour.term, colourTermErr: colour.error,
  };
}

/** Straight line of the standards' values over their colours, outliers clipped. */
function colourTermOf(
  standards: readonly Standard[], config: CalibrateConfig['photometry'],
): { term: number; error: number } {
  const unknown = { term: 0, error: NaN };
  let kept = standards.flatMap((s) => (s.colour === null ? [] : [{ ...s, colour: s.colour }]));
  let term = 0, error = NaN;
  for (let round = 0; round < CLIP_ROUNDS; round++) {
    if (kept.length < config.colourStandardCountMin) return unknown;
    let w = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (const s of kept) { const weight = s.error ** -2; w += weight; x += weight * s.colour; y += weight * s.value; }
    for (const s of kept) {
      const d = s.colour - x / w, weight = s.error ** -2;
      xx += weight * d * d;
      xy += weight * d * (s.value - y / w);
    }
    if (!(xx > 0)) return unknown;
    term = xy / xx;
    const residuals = kept.map((s) => (s.value - y / w - term * (s.colour - x / w)) / s.error);
    const scatter = Math.max(1, robustSigma(residuals));
    error = scatter / Math.sqrt(xx);
    const next = kept.filter((_, i) => Math.abs(residuals[i]) <= config.clipSigma * scatter);
    if (next.length === kept.length) break;
    kept = next;
  }
  return { term, error };
}

type Standard = Readonly<{ value: number; error: number; colour: number | null; isIsolated: boolean }>;

function standardsOf(
  pairs: readonly Readonly<{ star: MeasuredStar; reference: ReferenceStar }>[], config: CalibrateConfig['photometry'],
): Standard[] {
  const standards: Standard[] = [];
  for (const { star, reference } of pairs) {
    if (reference.mag === null || star.flux < config.snrMin * star.fluxErr) continue;
    const fluxErrMag = MAG_PER_RELATIVE * (star.fluxErr / star.flux);
    standards.push({
      value: reference.mag + 2.5 * Math.log10(star.flux), isIsolated: star.isIsolated,
      colour: reference.colourMag,
      error: Math.hypot(fluxErrMag, reference.magErr ?? 0, config.scatterFloorMag),
    });
  }
  return standards;
}

function weightedMean(standards: readonly Standard[]): number {
  let weights = 0, sum = 0;
  for (const s of standards) { weights += s.error ** -2; sum += s.value * s.error ** -2; }
  return sum / weights;
}
