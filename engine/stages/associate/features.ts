import type { DiaObject } from '../../../schemas/diaRows.ts';
import { newDiaObject } from '../../../schemas/diaRows.ts';
import {
  BAND_CODES, FORCED_POINT_SIZE, POINT, SOURCE_POINT_SIZE, type LightCurve,
} from '../../../schemas/lightCurve.ts';
import { BANDS } from '../../../schemas/units.ts';
import type { AssociateConfig } from './config.ts';
import { meanPosition } from './position.ts';
import { PointsInOrder } from './pointsInOrder.ts';
import type { SkyPosition } from './position.ts';

/**
 * A diaObject as of the last commit. All objects near a detector are matched by `place`, which is what `last` says too;
 * the other fields may be made at each call, and are read once, of an object that has been matched. `sources` and `forced` are those of the history window (12 × 30 days), in any
 * order, and without those withdrawn.
 */
export type KnownDiaObject = Readonly<{
  diaObjectId: bigint; place: SkyPosition; last: DiaObject; sources: LightCurve; forced: LightCurve;
}>;

/** Reused by every object of a call: association runs on one thread, one detector after the other. */
const sourcePoints = new PointsInOrder(SOURCE_POINT_SIZE);
const forcedPoints = new PointsInOrder(FORCED_POINT_SIZE);

/**
 * The row of a diaObject after one more diaSource; `forced` are the new forced measurements of the same visit.
 *
 * - Position: error-weighted mean over the window (and over the last row's position when the window is empty).
 * - nDiaSources, first and last time count everything since the first detection, also what has left the window.
 * - Fluxes: computed for every band that the window holds; other bands keep the last row's values.
 *
 * Points are taken in order of time, then id, and summed in doubles, so the row does not depend on the order given.
 *
 * @param added One row. Its band and errors may be missing, its position and time may not.
 */
export function updatedDiaObject(
  known: KnownDiaObject, added: LightCurve, forced: LightCurve, timeProcessedMjdTai: number, config: AssociateConfig,
): DiaObject {
  const { last, sources } = known;
  added.copyTo(onePoint, oneId, 0);
  const time = onePoint[POINT.time];
  const points = sourcePoints.gather([sources, added]);
  const { ra, dec, raErr, decErr, ra_dec_Cov } = roundedErrors(sources.length === 0 ? meanWithLast(last, config)
    : meanPosition(points.values, points.length, SOURCE_POINT_SIZE, POINT.ra, config));
  const row: DiaObject = {
    ...last, ra, dec, raErr, decErr, ra_dec_Cov,
    validityStartMjdTai: timeProcessedMjdTai,
    firstDiaSourceMjdTai: Math.min(last.firstDiaSourceMjdTai ?? time, time),
    lastDiaSourceMjdTai: Math.max(last.lastDiaSourceMjdTai ?? time, time),
    nDiaSources: last.nDiaSources + 1,
  };
  addFluxFeatures(row, points, forcedPoints.gather([known.forced, forced]));
  return row;
}

/** All that is null or zero in a new row: one spread of a constant is ten times as fast as two of which one varies. */
const NO_OBJECT = newDiaObject({ diaObjectId: 0n, ra: 0, dec: 0, validityStartMjdTai: 0, nDiaSources: 0 });

/** The first row of a diaObject, which takes the id of the diaSource that made it, the one row of `source`. */
export function firstDiaObject(source: LightCurve, timeProcessedMjdTai: number, config: AssociateConfig): DiaObject {
  const points = sourcePoints.gather([source]);
  const time = points.values[POINT.time];
  const { ra, dec, raErr, decErr, ra_dec_Cov } = roundedErrors(
    meanPosition(points.values, 1, SOURCE_POINT_SIZE, POINT.ra, config));
  const row: DiaObject = {
    ...NO_OBJECT, diaObjectId: points.firstId, ra, dec, raErr, decErr, ra_dec_Cov,
    validityStartMjdTai: timeProcessedMjdTai, nDiaSources: 1, firstDiaSourceMjdTai: time, lastDiaSourceMjdTai: time,
  };
  addFluxFeatures(row, points, forcedPoints.gather([]));
  return row;
}

/** The sources of a diaObject as day-time corrections leave them. */
export type CorrectedSources = Readonly<{
  /** Those of the history window. */
  window: LightCurve; forced: LightCurve;
  /** Everything since the first detection, also what has left the window. */
  nDiaSources: number; firstDiaSourceMjdTai: number; lastDiaSourceMjdTai: number;
}>;

/**
 * The row of a diaObject whose sources were corrected: as `updatedDiaObject` would have made it of the sources that it
 * has now. Bands that only lost sources had measured are null again; without a source in the window the position stays.
 */
export function correctedDiaObject(
  last: DiaObject, { window, forced, ...counts }: CorrectedSources, validityStartMjdTai: number,
  config: AssociateConfig,
): DiaObject {
  const { diaObjectId, ra, dec } = last, points = sourcePoints.gather([window]);
  const row: DiaObject = {
    ...newDiaObject({ diaObjectId, ra, dec, validityStartMjdTai, nDiaSources: counts.nDiaSources }), ...counts,
    ...(points.length === 0 ? roundedErrors(last)
      : roundedErrors(meanPosition(points.values, points.length, SOURCE_POINT_SIZE, POINT.ra, config))),
  };
  addFluxFeatures(row, points, forcedPoints.gather([forced]));
  return row;
}

/**
 * The light-curve fields of a diaObject, for each band of which there is a point; points in any order.
 *
 * Definitions are those of Rubin's plugins (lsst/meas_base diaCalculationPlugins.py: ap_meanFlux, ap_sigmaFlux,
 * ap_minMaxFlux, ap_maxSlopeFlux, ap_meanErrFlux, ap_meanTotFlux): psfFlux and scienceFlux are the diaSources', fpFlux
 * the psfFlux of the diaForcedSources. A value that was not measured is left out; a statistic of too few is null.
 * Values are rounded to float32, as they are stored.
 */
export function fluxFeatures(sources: LightCurve, forced: LightCurve): Partial<DiaObject> {
  const features = {};
  addFluxFeatures(features, sourcePoints.gather([sources]), forcedPoints.gather([forced]));
  return features;
}

const onePoint = new Float64Array(SOURCE_POINT_SIZE);
const oneId = new BigInt64Array(1);
const twoPositions = new Float64Array(10);

/** Mean of the last row's position and that of `onePoint`. */
function meanWithLast(last: DiaObject, config: AssociateConfig): SkyPosition {
  twoPositions.set([last.ra, last.dec, last.raErr ?? NaN, last.decErr ?? NaN, last.ra_dec_Cov ?? NaN]);
  for (let k = 0; k < 5; k++) twoPositions[5 + k] = onePoint[POINT.ra + k];
  return meanPosition(twoPositions, 2, 5, 0, config);
}

/** The errors as float32: what anyone decodes from the stored row. */
function roundedErrors({ ra, dec, raErr, decErr, ra_dec_Cov }: SkyPosition): SkyPosition {
  return { ra, dec, raErr: rounded(raErr), decErr: rounded(decErr), ra_dec_Cov: rounded(ra_dec_Cov) };
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.fround(value);
}

/** The fields of each band by name, in the order in which `addFluxFeatures` fills them. */
const FIELDS = BANDS.map((band) => ([
  'psfFluxMean', 'psfFluxMeanErr', 'psfFluxNdata', 'psfFluxSigma', 'psfFluxMin', 'psfFluxMax', 'psfFluxMaxSlope',
  'psfFluxErrMean', 'fpFluxMean', 'fpFluxMeanErr', 'scienceFluxMean', 'scienceFluxMeanErr',
].map((name) => `${band}_${name}`)));

function addFluxFeatures(row: Partial<DiaObject>, sources: PointsInOrder, forced: PointsInOrder): void {
  // The keys are those of the schema, which a test proves; the compiler cannot see it.
  const fields = row as Record<string, number | null>;
  BAND_CODES.forEach((code, b) => {
    if (!sources.holdsBand(code) && !forced.holdsBand(code)) return;
    const psf = weightedMean(sources, code, POINT.psfFlux, POINT.psfFluxErr);
    const science = weightedMean(sources, code, POINT.scienceFlux, POINT.scienceFluxErr);
    const atPosition = weightedMean(forced, code, POINT.psfFlux, POINT.psfFluxErr);
    const { min, max } = minAndMax(sources, code);
    const names = FIELDS[b];
    fields[names[0]] = rounded(psf.mean);
    fields[names[1]] = rounded(psf.meanErr);
    fields[names[2]] = psf.count;
    fields[names[3]] = rounded(sampleSigma(sources, code));
    fields[names[4]] = min;
    fields[names[5]] = max;
    fields[names[6]] = rounded(maxSlope(sources, code));
    fields[names[7]] = rounded(mean(sources, code, POINT.psfFluxErr));
    fields[names[8]] = rounded(atPosition.mean);
    fields[names[9]] = rounded(atPosition.meanErr);
    fields[names[10]] = rounded(science.mean);
    fields[names[11]] = rounded(science.meanErr);
  });
}

/** Inverse-variance weighted mean and its standard error 1/√Σw, of the values of a band that have a positive error. */
export function weightedMean(
  { values, length, size }: PointsInOrder, band: number, valueField: number, errorField: number,
): Readonly<{ mean: number | null; meanErr: number | null; count: number }> {
  let weightSum = 0, sum = 0, count = 0;
  for (let at = 0; at < length * size; at += size) {
    const value = values[at + valueField], error = values[at + errorField];
    if (values[at + POINT.band] !== band || Number.isNaN(value) || !(error > 0)) continue;
    const weight = 1 / (error * error);
    weightSum += weight;
    sum += weight * value;
    count++;
  }
  if (count === 0) return { mean: null, meanErr: null, count };
  return { mean: sum / weightSum, meanErr: Math.sqrt(1 / weightSum), count };
}

/** Standard deviation of psfFlux with n − 1 below, by two passes; null for fewer than two values. */
export function sampleSigma(points: PointsInOrder, band: number): number | null {
  const centre = mean(points, band, POINT.psfFlux);
  const { values, length, size } = points;
  if (centre === null) return null;
  let sum = 0, count = 0;
  for (let at = 0; at < length * size; at += size) {
    const flux = values[at + POINT.psfFlux];
    if (values[at + POINT.band] !== band || Number.isNaN(flux)) continue;
    sum += (flux - centre) * (flux - centre);
    count++;
  }
  return count < 2 ? null : Math.sqrt(sum / (count - 1));
}

/**
 * Largest slope of psfFlux between neighbouring measurements of a band, nJy a day, signed: a fading light curve has a
 * negative one. Neighbours at the same instant have no slope and are passed over; null when no pair is left.
 */
export function maxSlope({ values, length, size }: PointsInOrder, band: number): number | null {
  let largest = -Infinity;
  let timeBefore = NaN, fluxBefore = NaN;
  for (let at = 0; at < length * size; at += size) {
    const time = values[at + POINT.time], flux = values[at + POINT.psfFlux];
    if (values[at + POINT.band] !== band || Number.isNaN(flux)) continue;
    if (time > timeBefore) largest = Math.max(largest, (flux - fluxBefore) / (time - timeBefore));
    timeBefore = time;
    fluxBefore = flux;
  }
  return largest === -Infinity ? null : largest;
}

function minAndMax({ values, length, size }: PointsInOrder, band: number): { min: number | null; max: number | null } {
  let min = Infinity, max = -Infinity;
  for (let at = 0; at < length * size; at += size) {
    const flux = values[at + POINT.psfFlux];
    if (values[at + POINT.band] !== band || Number.isNaN(flux)) continue;
    min = Math.min(min, flux);
    max = Math.max(max, flux);
  }
  return min > max ? { min: null, max: null } : { min, max };
}

function mean({ values, length, size }: PointsInOrder, band: number, field: number): number | null {
  let sum = 0, count = 0;
  for (let at = 0; at < length * size; at += size) {
    if (values[at + POINT.band] !== band || Number.isNaN(values[at + field])) continue;
    sum += values[at + field];
    count++;
  }
  return count === 0 ? null : sum / count;
}
