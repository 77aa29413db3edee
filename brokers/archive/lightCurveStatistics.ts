/**
 * Statistics of a light curve in one band beyond those that packets carry. Definitions are those of Rubin's plugins
 * (lsst/meas_base diaCalculationPlugins.py: ap_linearFit, ap_madFlux, ap_skewFlux, ap_percentileFlux, ap_stetsonJ,
 * ap_chi2Flux), on psfFlux of the detections.
 */

/** Time in days, flux and its error in nJy; null where it was not measured. */
export type FluxPoint = Readonly<{ midpointMjdTai: number; psfFlux: number | null; psfFluxErr: number | null }>;

/** nJy, days. Null where there are too few points. */
export type LightCurveStatistics = Readonly<{
  /** Detections with a flux and an error. */
  count: number;
  mean: number; sigma: number | null;
  /** Weighted straight line: nJy a day, and the flux at the mean time of the points. */
  linearSlope: number | null; linearIntercept: number | null; linearTimeMjdTai: number | null;
  /** Median absolute deviation, scaled to the standard deviation of normal values. */
  mad: number; skew: number | null;
  percentile05: number; percentile25: number; percentile50: number; percentile75: number; percentile95: number;
  stetsonJ: number | null;
  /** Of a constant flux: the weighted mean. */
  chi2: number;
}>;

type Point = Readonly<{ time: number; flux: number; err: number }>;

/** 1 / Φ⁻¹(3/4). */
const MAD_SCALE = 1.482602218505602;
/** Passes in which Stetson's mean settles, and the relative change at which it has (meas_base's values). */
const STETSON_PASSES = 20, STETSON_TOLERANCE = 1e-6;

/** @returns Null without a point that has a flux and an error above zero. The order of the points does not matter. */
export function lightCurveStatistics(points: readonly FluxPoint[]): LightCurveStatistics | null {
  const used = points.flatMap(({ midpointMjdTai, psfFlux, psfFluxErr }): Point[] => (
    psfFlux === null || psfFluxErr === null || !(psfFluxErr > 0) ? []
      : [{ time: midpointMjdTai, flux: psfFlux, err: psfFluxErr }]
  )).sort((a, b) => a.time - b.time || a.flux - b.flux || a.err - b.err);
  if (used.length === 0) return null;
  const sorted = used.map(({ flux }) => flux).sort((a, b) => a - b);
  const mean = weightedMean(used), middle = percentile(sorted, 0.5), line = linearFit(used);
  return {
    count: used.length, mean, sigma: standardDeviation(sorted),
    linearSlope: line?.slope ?? null, linearIntercept: line?.intercept ?? null, linearTimeMjdTai: line?.time ?? null,
    mad: MAD_SCALE * percentile(sorted.map((flux) => Math.abs(flux - middle)).sort((a, b) => a - b), 0.5),
    skew: skewness(sorted),
    percentile05: percentile(sorted, 0.05), percentile25: percentile(sorted, 0.25), percentile50: middle,
    percentile75: percentile(sorted, 0.75), percentile95: percentile(sorted, 0.95),
    stetsonJ: stetsonJ(used),
    chi2: used.reduce((sum, { flux, err }) => sum + ((flux - mean) / err) ** 2, 0),
  };
}

function weightedMean(points: readonly Point[], weightOf = ({ err }: Point): number => 1 / (err * err)): number {
  let weights = 0, sum = 0;
  for (const point of points) {
    const weight = weightOf(point);
    weights += weight;
    sum += weight * point.flux;
  }
  return sum / weights;
}

/** Linear between the neighbours, as numpy's default. @param sorted Ascending, not empty. */
function percentile(sorted: readonly number[], fraction: number): number {
  const place = fraction * (sorted.length - 1), low = Math.floor(place), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = average(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Adjusted Fisher–Pearson coefficient G₁: unbiased for normal values (Joanes & Gill 1998). */
function skewness(values: readonly number[]): number | null {
  const n = values.length;
  if (n < 3) return null;
  const centre = average(values);
  let m2 = 0, m3 = 0;
  for (const value of values) {
    m2 += (value - centre) ** 2 / n;
    m3 += (value - centre) ** 3 / n;
  }
  return m2 === 0 ? 0 : (Math.sqrt(n * (n - 1)) / (n - 2)) * (m3 / m2 ** 1.5);
}

/** Weighted least squares; null when all points are of one instant. */
function linearFit(points: readonly Point[]): { slope: number; intercept: number; time: number } | null {
  const time = average(points.map((point) => point.time));
  let w = 0, wt = 0, wtt = 0, wf = 0, wtf = 0;
  for (const { time: at, flux, err } of points) {
    const weight = 1 / (err * err), t = at - time;
    w += weight;
    wt += weight * t;
    wtt += weight * t * t;
    wf += weight * flux;
    wtf += weight * t * flux;
  }
  const determinant = w * wtt - wt * wt;
  if (!(determinant > 1e-12 * w * wtt)) return null;
  const slope = (w * wtf - wt * wf) / determinant;
  return { slope, intercept: (wf - slope * wt) / w, time };
}

/** Stetson's J of single observations about his robust mean (Stetson 1996, PASP 108, 851, eq. 1 and §2). */
function stetsonJ(points: readonly Point[]): number | null {
  const n = points.length;
  if (n < 2) return null;
  const scale = Math.sqrt(n / (n - 1)), mean = stetsonMean(points, scale);
  const sum = points.reduce((total, { flux, err }) => {
    const excess = ((scale * (flux - mean)) / err) ** 2 - 1;
    return total + Math.sign(excess) * Math.sqrt(Math.abs(excess));
  }, 0);
  return sum / n;
}

/** A weighted mean in which outliers count less: weight times 1 / (1 + (|δ| / 2)²), until it settles. */
function stetsonMean(points: readonly Point[], scale: number): number {
  let mean = percentile(points.map(({ flux }) => flux).sort((a, b) => a - b), 0.5);
  for (let pass = 0; pass < STETSON_PASSES; pass++) {
    const next = weightedMean(points, ({ flux, err }) => {
      const delta = Math.abs((scale * (flux - mean)) / err);
      return 1 / (1 + (delta / 2) ** 2) / (err * err);
    });
    const change = Math.abs(next - mean);
    mean = next;
    if (change < STETSON_TOLERANCE * Math.abs(mean) || change < STETSON_TOLERANCE) break;
  }
  return mean;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
