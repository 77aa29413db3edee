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
  /** Mean square of each inner point's distance from the line through its neighbours, in its error: 1 by noise alone. */
  chi2: number;
}>;

export type SeriesQuality = Readonly<{
  frames: readonly FrameReport[];
  scatterWorst: number | null; strongWorst: number;
  /** Of the strongest object, nights of three points and more. */
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

/** @param points In any order; those that were not measured are passed over. */
export function smoothnessOf(points: readonly LightCurvePoint[]): NightSmoothness[] {
  const nights = new Map<number, Measured[]>();
  for (const { mjd, flux, fluxErr } of points) {
    if (flux === null || fluxErr === null) continue;
    const night = Math.floor(mjd - 0.5);
    nights.set(night, [...nights.get(night) ?? [], { mjd, flux, fluxErr }]);
  }
  return [...nights].sort(([a], [b]) => a - b).flatMap(([night, all]) => {
    const inner = all.sort((a, b) => a.mjd - b.mjd).slice(1, -1);
    if (inner.length === 0) return [];
    const squares = inner.map((point, n) => {
      const [before, after] = [all[n], all[n + 2]];
      const part = after.mjd > before.mjd ? (point.mjd - before.mjd) / (after.mjd - before.mjd) : 0.5;
      const offset = point.flux - (1 - part) * before.flux - part * after.flux;
      const error2 = point.fluxErr ** 2 + ((1 - part) * before.fluxErr) ** 2 + (part * after.fluxErr) ** 2;
      return (offset * offset) / error2;
    });
    return [{ night, points: all.length, chi2: squares.reduce((sum, value) => sum + value, 0) / squares.length }];
  });
}
