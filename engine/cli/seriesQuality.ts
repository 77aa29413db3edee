/** What the summary of a series says of its own quality: each frame's difference, and the strongest light curve. */
import type { FrameQuality } from '../batch/series/quality.ts';
import type { LightCurvePoint, SeriesObject } from './seriesSummary.ts';

export type FrameReport = Readonly<{
  file: string; seeingPx: number | null;
  /** Robust scatter of difference over noise, and the factor that detection puts on the noise for it. */
  scatter: number | null; noiseScale: number;
  /** Share of the stars' light that the matching kernel fails by; it is part of the noise. */
  modelErrorFraction: number | null;
  /** Detections of 10 σ or more away from the edges and from the series' strongest object, on the reference's pixels. */
  strong: readonly Readonly<{ x: number; y: number; snr: number }>[];
}>;

export type NightSmoothness = Readonly<{
  /** Integer of the MJD that the night began on. */
  night: number; points: number;
  /** Mean square of each inner point's distance from the cubic through two points on either side, in its error: 1 by noise. */
  chi2: number;
}>;

export type SeriesQuality = Readonly<{
  frames: readonly FrameReport[];
  scatterWorst: number | null; strongWorst: number;
  /** Of the strongest object, nights of five points and more. */
  smoothness: readonly NightSmoothness[];
}>;

/** Detections within this distance of the strongest object are its own, arcsec or as many of the reference's pixels. */
const OWN_RADIUS_PX = 12;

export function seriesQuality(
  frames: readonly Readonly<{
    file: string; quality: FrameQuality; noiseScale: number; figures: Readonly<Record<string, number>>;
  }>[],
  strongest: SeriesObject | undefined, toPixel: (raDeg: number, decDeg: number) => { x: number; y: number },
): SeriesQuality {
  const reports = frames.map(({ file, quality, noiseScale, figures }): FrameReport => ({
    file, seeingPx: figures['seeingPx'] ?? null, noiseScale,
    scatter: Number.isFinite(quality.scatter) ? quality.scatter : null,
    modelErrorFraction: figures['modelErrorFraction'] ?? null,
    strong: quality.strong.map(({ raDeg, decDeg, snr }) => ({ ...toPixel(raDeg, decDeg), snr })).filter(({ x, y }) => (
      strongest === undefined || Math.hypot(x - strongest.x, y - strongest.y) > OWN_RADIUS_PX
    )),
  }));
  const scatters = reports.flatMap(({ scatter }) => (scatter === null ? [] : [scatter]));
  return {
    frames: reports, scatterWorst: scatters.length === 0 ? null : Math.max(...scatters),
    strongWorst: Math.max(0, ...reports.map(({ strong }) => strong.length)),
    smoothness: strongest === undefined ? [] : smoothnessOf(strongest.lightCurve),
  };
}

type Measured = Readonly<{ mjd: number; flux: number; fluxErr: number }>;

/** Points on either side that a point is held against: a cubic through four follows a peak, a straight line does not. */
const BESIDE = 2;

/** @param points In any order; those that were not measured are passed over. */
export function smoothnessOf(points: readonly LightCurvePoint[]): NightSmoothness[] {
  const nights = new Map<number, Measured[]>();
  for (const { mjd, flux, fluxErr } of points) {
    if (flux === null || fluxErr === null) continue;
    const night = Math.floor(mjd - 0.5);
    nights.set(night, [...nights.get(night) ?? [], { mjd, flux, fluxErr }]);
  }
  return [...nights].sort(([a], [b]) => a - b).flatMap(([night, all]) => {
    all.sort((a, b) => a.mjd - b.mjd);
    const inner = all.slice(BESIDE, -BESIDE);
    const squares = inner.flatMap((point, n) => {
      const others = [...all.slice(n, n + BESIDE), ...all.slice(n + BESIDE + 1, n + 2 * BESIDE + 1)];
      // Through two points of one time goes no curve.
      return new Set(others.map(({ mjd }) => mjd)).size < others.length ? [] : [squareOff(point, others)];
    });
    if (squares.length === 0) return [];
    return [{ night, points: all.length, chi2: squares.reduce((sum, value) => sum + value, 0) / squares.length }];
  });
}

/** Square of how far a point lies off the polynomial through others, in the errors of all. */
function squareOff(point: Measured, others: readonly Measured[]): number {
  let flux = 0, error2 = point.fluxErr ** 2;
  for (const other of others) {
    // Lagrange's weight.
    const weight = others.reduce((product, { mjd }) => (
      mjd === other.mjd ? product : product * ((point.mjd - mjd) / (other.mjd - mjd))), 1);
    flux += weight * other.flux;
    error2 += (weight * other.fluxErr) ** 2;
  }
  return (point.flux - flux) ** 2 / error2;
}
