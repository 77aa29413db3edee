import type { DiaForcedSource, DiaObject, DiaSource } from '../../../schemas/diaRows.ts';
import { newDiaObject } from '../../../schemas/diaRows.ts';
import { BANDS } from '../../../schemas/units.ts';
import type { Band } from '../../../schemas/units.ts';
import type { AssociateConfig } from './config.ts';
import { meanPosition } from './position.ts';
import { asStored } from './storedRow.ts';

/** What the features need of one diaSource, as decoded from its payload. Whole rows fit. */
export type SourcePoint = Pick<DiaSource,
  | 'diaSourceId' | 'midpointMjdTai' | 'band' | 'ra' | 'dec' | 'raErr' | 'decErr' | 'ra_dec_Cov'
  | 'psfFlux' | 'psfFluxErr' | 'scienceFlux' | 'scienceFluxErr'>;

/** What the features need of one diaForcedSource, as decoded from its payload. Whole rows fit. */
export type ForcedPoint = Pick<DiaForcedSource,
  'diaForcedSourceId' | 'midpointMjdTai' | 'band' | 'psfFlux' | 'psfFluxErr'>;

/**
 * A diaObject as of the last commit. `sources` and `forced` are those of the history window (12 × 30 days), in any
 * order, and without those withdrawn.
 */
export type KnownDiaObject = Readonly<{
  last: DiaObject; sources: readonly SourcePoint[]; forced: readonly ForcedPoint[];
}>;

/**
 * The row of a diaObject after one more diaSource; `forced` are the new forced measurements of the same visit.
 *
 * - Position: error-weighted mean over the window (and over the last row's position when the window is empty).
 * - nDiaSources, first and last time count everything since the first detection, also what has left the window.
 * - Fluxes: computed for every band that the window holds; other bands keep the last row's values.
 *
 * Points are taken in order of time, then id, and summed in doubles, so the row does not depend on the order given.
 */
export function updatedDiaObject(
  known: KnownDiaObject, added: SourcePoint, forced: readonly ForcedPoint[],
  timeProcessedMjdTai: number, config: AssociateConfig,
): DiaObject {
  const { last } = known;
  const positions = known.sources.length === 0 ? [last, added] : inTimeOrder([...known.sources, added], sourceId);
  const time = added.midpointMjdTai;
  return asStored('diaObject', {
    ...last,
    ...meanPosition(positions, config),
    ...fluxFeatures([...known.sources, added], [...known.forced, ...forced]),
    validityStartMjdTai: timeProcessedMjdTai,
    firstDiaSourceMjdTai: Math.min(last.firstDiaSourceMjdTai ?? time, time),
    lastDiaSourceMjdTai: Math.max(last.lastDiaSourceMjdTai ?? time, time),
    nDiaSources: last.nDiaSources + 1,
  });
}

/** The first row of a diaObject, which takes the id of the diaSource that made it. */
export function firstDiaObject(source: SourcePoint, timeProcessedMjdTai: number, config: AssociateConfig): DiaObject {
  return asStored('diaObject', {
    ...newDiaObject({
      diaObjectId: source.diaSourceId, ...meanPosition([source], config),
      validityStartMjdTai: timeProcessedMjdTai, nDiaSources: 1,
      firstDiaSourceMjdTai: source.midpointMjdTai, lastDiaSourceMjdTai: source.midpointMjdTai,
    }),
    ...fluxFeatures([source], []),
  });
}

/**
 * The light-curve fields of a diaObject, for each band of which there is a point; points in any order.
 *
 * Definitions are those of Rubin's plugins (lsst/meas_base diaCalculationPlugins.py: ap_meanFlux, ap_sigmaFlux,
 * ap_minMaxFlux, ap_maxSlopeFlux, ap_meanErrFlux, ap_meanTotFlux): psfFlux and scienceFlux are the diaSources', fpFlux
 * the psfFlux of the diaForcedSources. A value that was not measured is left out; a statistic of too few is null.
 */
export function fluxFeatures(sources: readonly SourcePoint[], forced: readonly ForcedPoint[]): Partial<DiaObject> {
  const sourcesInOrder = inTimeOrder(sources, sourceId);
  const forcedInOrder = inTimeOrder(forced, (point) => point.diaForcedSourceId);
  const features: Partial<DiaObject> = {};
  for (const band of BANDS) {
    const ofBand = sourcesInOrder.filter((point) => point.band === band);
    const forcedOfBand = forcedInOrder.filter((point) => point.band === band);
    if (ofBand.length + forcedOfBand.length > 0) Object.assign(features, bandFeatures(band, ofBand, forcedOfBand));
  }
  return features;
}

function bandFeatures(band: Band, sources: readonly SourcePoint[], forced: readonly ForcedPoint[]): Partial<DiaObject> {
  const psf = weightedMean(sources.map((point) => [point.psfFlux, point.psfFluxErr]));
  const science = weightedMean(sources.map((point) => [point.scienceFlux, point.scienceFluxErr]));
  const atPosition = weightedMean(forced.map((point) => [point.psfFlux, point.psfFluxErr]));
  const fluxes = measuredOnly(sources.map((point) => point.psfFlux));
  // The keys are those of the schema, which a test proves; the compiler widens a computed key to string.
  return {
    [`${band}_psfFluxMean`]: psf.mean,
    [`${band}_psfFluxMeanErr`]: psf.meanErr,
    [`${band}_psfFluxNdata`]: psf.count,
    [`${band}_psfFluxSigma`]: sampleSigma(fluxes),
    [`${band}_psfFluxMin`]: fluxes.length === 0 ? null : fluxes.reduce((a, b) => Math.min(a, b)),
    [`${band}_psfFluxMax`]: fluxes.length === 0 ? null : fluxes.reduce((a, b) => Math.max(a, b)),
    [`${band}_psfFluxMaxSlope`]: maxSlope(sources),
    [`${band}_psfFluxErrMean`]: mean(measuredOnly(sources.map((point) => point.psfFluxErr))),
    [`${band}_fpFluxMean`]: atPosition.mean,
    [`${band}_fpFluxMeanErr`]: atPosition.meanErr,
    [`${band}_scienceFluxMean`]: science.mean,
    [`${band}_scienceFluxMeanErr`]: science.meanErr,
  } as Partial<DiaObject>;
}

/** Inverse-variance weighted mean and its standard error 1/√Σw, of the values that have a positive error. */
export function weightedMean(
  values: readonly (readonly [value: number | null, error: number | null])[],
): Readonly<{ mean: number | null; meanErr: number | null; count: number }> {
  let weightSum = 0, sum = 0, count = 0;
  for (const [value, error] of values) {
    if (value === null || error === null || !(error > 0)) continue;
    const weight = 1 / (error * error);
    weightSum += weight;
    sum += weight * value;
    count++;
  }
  if (count === 0) return { mean: null, meanErr: null, count };
  return { mean: sum / weightSum, meanErr: Math.sqrt(1 / weightSum), count };
}

/** Standard deviation with n − 1 below, by two passes; null for fewer than two values. */
export function sampleSigma(values: readonly number[]): number | null {
  const centre = mean(values);
  if (centre === null || values.length < 2) return null;
  let sum = 0;
  for (const value of values) sum += (value - centre) * (value - centre);
  return Math.sqrt(sum / (values.length - 1));
}

/**
 * Largest slope between neighbouring measurements, nJy a day, signed: a fading light curve has a negative one.
 * Neighbours at the same instant have no slope and are passed over; null when no pair is left.
 *
 * @param points In order of time.
 */
export function maxSlope(points: readonly Pick<SourcePoint, 'midpointMjdTai' | 'psfFlux'>[]): number | null {
  let largest: number | null = null;
  let before: Readonly<{ time: number; flux: number }> | null = null;
  for (const { midpointMjdTai: time, psfFlux: flux } of points) {
    if (flux === null) continue;
    if (before !== null && time > before.time) {
      const slope = (flux - before.flux) / (time - before.time);
      if (largest === null || slope > largest) largest = slope;
    }
    before = { time, flux };
  }
  return largest;
}

function mean(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function measuredOnly(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}

function sourceId(point: SourcePoint): bigint {
  return point.diaSourceId;
}

function inTimeOrder<Point extends { readonly midpointMjdTai: number }>(
  points: readonly Point[], idOf: (point: Point) => bigint,
): Point[] {
  return [...points].sort((a, b) => a.midpointMjdTai - b.midpointMjdTai || (idOf(a) < idOf(b) ? -1 : 1));
}
