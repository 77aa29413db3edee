/**
 * Absolute magnitude and slope of one body in one band, by the H, G12 system (Muinonen et al. 2010, Icarus 209, 542):
 * least squares over reduced magnitudes. Both parts of the system are linear in G12 in flux, not in magnitude, so H is
 * solved for exactly at each G12, and G12 is searched.
 */
import { phaseMagnitudeG12 } from './phase.ts';

/** One observation: apparent magnitude and error, distances in au, phase angle in degrees. */
export type PhasePoint = Readonly<{
  mag: number; magErr: number; helioRangeAu: number; topoRangeAu: number; phaseDeg: number;
}>;

/** A fit; errors and covariance are those of the least squares, from the errors of the magnitudes alone. */
export type PhaseFit = Readonly<{
  h: number; hErr: number; g12: number; g12Err: number | null; covariance: number | null; chi2: number; used: number;
  /** G12 was not fitted, and is `ASSUMED_G12`. */
  isAssumed: boolean;
}>;

/** Where too little is known: between the S types' 0.41 and the C types' 0.64 (Oszkiewicz et al. 2012). */
export const ASSUMED_G12 = 0.5;
/** A slope is asked of at least this many points over at least this much phase, degrees: else H and G12 are one. */
const POINTS_MIN = 4, PHASE_SPAN_MIN_DEG = 2;
/** Physical range with room for noise; beyond it phase functions turn negative. */
const G12_MIN = -0.2, G12_MAX = 1.2;

/** @returns Null without a point that has a magnitude and an error. The order of the points does not matter. */
export function fitPhaseCurve(points: readonly PhasePoint[]): PhaseFit | null {
  const usable = points.filter(isUsable)
    .sort((a, b) => a.phaseDeg - b.phaseDeg || a.mag - b.mag || a.magErr - b.magErr);
  if (usable.length === 0) return null;
  const span = usable[usable.length - 1].phaseDeg - usable[0].phaseDeg;
  if (usable.length < POINTS_MIN || span < PHASE_SPAN_MIN_DEG) return fitAt(usable, ASSUMED_G12, true);
  const g12 = leastChi2(usable);
  // At the end of the range the data ask for what is no phase curve.
  if (g12 <= G12_MIN || g12 >= G12_MAX) return fitAt(usable, ASSUMED_G12, true);
  return withErrors(usable, fitAt(usable, g12, false));
}

function isUsable({ mag, magErr, helioRangeAu, topoRangeAu, phaseDeg }: PhasePoint): boolean {
  return Number.isFinite(mag) && magErr > 0 && helioRangeAu > 0 && topoRangeAu > 0 && phaseDeg >= 0 && phaseDeg < 150;
}

function reduced({ mag, helioRangeAu, topoRangeAu }: PhasePoint): number {
  return mag - 5 * Math.log10(helioRangeAu * topoRangeAu);
}

/** The best H at a slope: a weighted mean. */
function fitAt(points: readonly PhasePoint[], g12: number, isAssumed: boolean): PhaseFit {
  let weights = 0, sum = 0;
  for (const point of points) {
    const weight = 1 / point.magErr ** 2;
    weights += weight;
    sum += weight * (reduced(point) - phaseMagnitudeG12(g12, point.phaseDeg));
  }
  const h = sum / weights;
  let chi2 = 0;
  for (const point of points) {
    chi2 += ((reduced(point) - phaseMagnitudeG12(g12, point.phaseDeg) - h) / point.magErr) ** 2;
  }
  return {
    h, hErr: Math.sqrt(1 / weights), g12, g12Err: null, covariance: null, chi2, used: points.length, isAssumed,
  };
}

/** The slope of least χ²: a walk over the range, for the two branches may each have a minimum, then golden sections. */
function leastChi2(points: readonly PhasePoint[]): number {
  const steps = 140, chi2 = (g12: number): number => fitAt(points, g12, false).chi2;
  const at = (k: number): number => G12_MIN + ((G12_MAX - G12_MIN) * k) / steps;
  let best = 0, least = Infinity;
  for (let k = 0; k <= steps; k++) {
    const value = chi2(at(k));
    if (value < least) { least = value; best = k; }
  }
  let low = at(Math.max(0, best - 1)), high = at(Math.min(steps, best + 1));
  const golden = (Math.sqrt(5) - 1) / 2;
  for (let pass = 0; pass < 40; pass++) {
    const a = high - golden * (high - low), b = low + golden * (high - low);
    if (chi2(a) < chi2(b)) high = b; else low = a;
  }
  const middle = (low + high) / 2;
  return best === 0 || best === steps ? at(best) : middle;
}

/** Inverse of the normal matrix at the minimum; the derivative by G12 from both sides. */
function withErrors(points: readonly PhasePoint[], fit: PhaseFit): PhaseFit {
  const step = 1e-4;
  let hh = 0, hg = 0, gg = 0;
  for (const { magErr, phaseDeg } of points) {
    const above = phaseMagnitudeG12(fit.g12 + step, phaseDeg), below = phaseMagnitudeG12(fit.g12 - step, phaseDeg);
    const slope = (above - below) / (2 * step), weight = 1 / magErr ** 2;
    hh += weight;
    hg += weight * slope;
    gg += weight * slope * slope;
  }
  const determinant = hh * gg - hg * hg;
  if (!(determinant > 1e-12 * hh * gg)) return fitAt(points, ASSUMED_G12, true);
  return {
    ...fit, hErr: Math.sqrt(gg / determinant), g12Err: Math.sqrt(hh / determinant), covariance: -hg / determinant,
  };
}
