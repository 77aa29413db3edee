/** What a series found: its objects with their light curves, for people and as JSON. */
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import type { SeriesManifest } from '../batch/series/manifest.ts';
import type { ForcedPoint } from '../batch/series/measureFrame.ts';
import { skyToPixel } from '../image/wcs.ts';
import { table } from './output.ts';
import type { Rejected, SeriesPlan } from './seriesPlan.ts';
import type { SeriesPool } from './seriesPool.ts';
import type { Differences } from './seriesProcess.ts';
import { seriesQuality, type SeriesQuality } from './seriesQuality.ts';

/**
 * Difference flux in ADU of the reference at its exposure time; null where the place cannot be measured on that frame.
 */
export type LightCurvePoint = Readonly<{ file: string; mjd: number; flux: number | null; fluxErr: number | null }>;

export type SeriesObject = Readonly<{
  diaObjectId: bigint; x: number; y: number; nDiaSources: number; maxAbsSnr: number;
  lightCurve: readonly LightCurvePoint[];
}>;

export type SeriesSummary = Readonly<{
  frames: number; used: number; rejected: readonly Rejected[]; template: Readonly<{ frames: number; fwhmPx: number }>;
  objects: readonly SeriesObject[]; alerts: number;
  quality: SeriesQuality;
}>;

/** Objects for people: the strongest. */
const LISTED = 10;

/** Forces photometry at every object of the series on the difference image of every frame that was used. */
export async function summarizeSeries(
  { manifest, frameCount, rejected }: SeriesPlan, failures: ReadonlyMap<number, string>, differences: Differences,
  apdb: Apdb, pool: SeriesPool,
  alerts: number,
): Promise<SeriesSummary> {
  const { objects } = await apdb.loadRegion({ ...manifest.pointing, radiusDeg: 180 }, 0);
  const used = manifest.frames.filter(({ visit }) => !failures.has(visit));
  const positions = objects.map(({ ra, dec }) => ({ raDeg: ra, decDeg: dec }));
  const forced = await Promise.all(used.map(async (frame): Promise<readonly ForcedPoint[]> => {
    const { result, path } = await differences.of(frame);
    if (result.status === 'failed') {
      throw new Error(`${frame.file} was committed without a difference: ${result.failure.message}`);
    }
    const { differencePsf, scale, blurPx, noiseScale } = result.result;
    const outcome = await pool.run(
      'force', { frame, manifest, differencePath: path, made: { differencePsf, scale, blurPx, noiseScale }, positions },
    );
    if (outcome.status === 'failed') throw new Error(`no light curve on ${frame.file}: ${outcome.failure.message}`);
    return outcome.result;
  }));
  const found = objects.map((object, i): SeriesObject => ({
    diaObjectId: object.diaObjectId, ...skyToPixel(manifest.referenceWcs, object.ra, object.dec),
    nDiaSources: object.sources.length,
    maxAbsSnr: Math.max(...object.sources.payloads().map((payload) => Math.abs(decodeDiaSource(payload).snr ?? 0))),
    lightCurve: used.map((frame, f) => {
      const { psfFlux, psfFluxErr } = forced[f][i];
      return { file: frame.file, mjd: frame.midMjd, flux: psfFlux, fluxErr: psfFluxErr };
    }),
  }));
  found.sort((a, b) => b.maxAbsSnr - a.maxAbsSnr || (a.diaObjectId < b.diaObjectId ? -1 : 1));
  const frames = await Promise.all(used.map(async (frame) => {
    const { result } = await differences.of(frame);
    if (result.status === 'failed') throw new Error(`${frame.file} was committed without a difference`);
    const { quality: own, noiseScale, figures } = result.result;
    return { file: frame.file, quality: own, noiseScale, figures };
  }));
  const quality = seriesQuality(frames, found[0], (ra, dec) => skyToPixel(manifest.referenceWcs, ra, dec));
  const unused = manifest.frames.flatMap(({ visit, file }) => {
    const reason = failures.get(visit);
    return reason === undefined ? [] : [{ file, reason }];
  });
  return {
    frames: frameCount, used: used.length,
    rejected: [...rejected, ...unused].sort((a, b) => (a.file < b.file ? -1 : 1)),
    template: { frames: manifest.template.frames.length, fwhmPx: manifest.template.fwhmPx }, objects: found, alerts,
    quality,
  };
}

export function formatSeries(summary: SeriesSummary, { instrument, dayObs, reference }: SeriesManifest): string {
  const { frames, used, rejected, template, objects, alerts, quality } = summary;
  const lines = [
    `${instrument}, night ${dayObs}: ${used} of ${frames} frames used, `
      + `template of ${template.frames} (FWHM ${template.fwhmPx.toFixed(2)} px); `
      + `${objects.length} objects, ${alerts} alerts`,
    ...rejected.map(({ file, reason }) => `  ${file}: ${reason}`),
    `worst frame: scatter of difference over noise ${quality.scatterWorst?.toFixed(2) ?? '–'}; `
      + `at most ${quality.strongWorst} detections above 10 σ beside the strongest object`,
  ];
  if (objects.length === 0) return lines.join('\n');
  lines.push(`strongest objects, at pixels of ${reference}, fluxes in its ADU:`);
  return `${lines.join('\n')}\n${table(
    ['diaObjectId', 'x', 'y', 'diaSources', 'max |SNR|', 'flux min', 'flux max', 'brightest in'],
    objects.slice(0, LISTED).map((object) => {
      const points = object.lightCurve.filter((p): p is LightCurvePoint & { flux: number } => p.flux !== null);
      const brightest = points.reduce((best, p) => (p.flux > best.flux ? p : best), points[0]);
      const fluxes = points.map(({ flux }) => flux);
      return [
        String(object.diaObjectId), object.x.toFixed(2), object.y.toFixed(2), String(object.nDiaSources),
        object.maxAbsSnr.toFixed(1),
        ...(points.length === 0 ? ['–', '–', '–']
          : [Math.min(...fluxes).toFixed(0), Math.max(...fluxes).toFixed(0), brightest.file]),
      ];
    }),
  )}`;
}
