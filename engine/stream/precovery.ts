/**
 * Precovery (DMS-REQ-0287): diaObjects that were born in a night are measured by forced photometry on the visits of the
 * days before, and on those of their own night that were under way at their birth. Difference images are made again
 * from the raw frames, as a replay makes them. What is measured becomes entries of COMMITS.
 */
import type { SkyCorrected } from '../../schemas/correction.ts';
import { daysBetween, partsOfCommitPosition, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import type { ForcedMeasurement } from '../workers/detectorTask.ts';
import { listRecordedNights, readRecorded } from './commitExport.ts';
import { streamConfig } from './config.ts';
import { appendCorrection, type OpenedSky } from './correctSky.ts';
import type { Log } from './log.ts';
import { planPrecovery, type LateFlux } from './planPrecovery.ts';
import { PrecoverySurvey } from './precoverySurvey.ts';
import { bornObjects, lateFluxes, workOf, type PixelSource, type Work } from './precoveryWork.ts';
import { catchUp } from './projector.ts';
import { Spool } from './spool.ts';

export type PrecoveryOptions = OpenedSky & PixelSource & Readonly<{
  /** The night whose new objects are measured, on visits of so many days before. */
  dayObs: DayObs; days: number;
  /** Detectors at work at once. */
  threads: number;
  onProgress: (done: number, of: number) => void; signal: AbortSignal;
}>;

/** A visit-detector that could not be measured again, and why. Its objects stay to be precovered. */
export type Unmeasured = Readonly<{ visit: number; detector: number; reason: string }>;

export type PrecoveryResult = Readonly<{
  dayObs: DayObs; days: number;
  /** Objects that the night has borne and that were not precovered yet, and how many of them are now. */
  objects: number; precovered: number;
  visitDetectors: number; forcedSources: number;
  positions: readonly CommitPosition[]; unmeasured: readonly Unmeasured[];
}>;

/** Precovers the objects of a night. Called again, it does what is left. */
export async function precoverNight(options: PrecoveryOptions): Promise<PrecoveryResult> {
  const { log, apdb, instrument, dataDir, dayObs, days } = options;
  const position = await catchUp(log, apdb, instrument, dataDir);
  const survey = await surveyNights(log, instrument, dataDir, dayObs, days);
  const objects = await bornObjects(apdb, survey, survey.open(), position);
  const work = await workOf(options, survey.visits, objects, days);
  const { late, unmeasured } = await measureAll(options, work);
  const failed = new Set(unmeasured.flatMap(({ known }) => known.map(({ diaObjectId }) => diaObjectId)));
  const done: SkyCorrected[] = [], positions: CommitPosition[] = [];
  for (let from = 0; from < objects.length; from += streamConfig.precoveredObjectsMax) {
    const ids = objects.slice(from, from + streamConfig.precoveredObjectsMax).map(({ diaObjectId }) => diaObjectId);
    if (!ids.some((id) => late.has(id) || !failed.has(id))) continue; // There is nothing to tell.
    const entry = await appendCorrection(options, (asOf, processedMjdTai) => planPrecovery(apdb, asOf, {
      ids, late, forcedCounts: survey.forcedCounts, isComplete: (id) => !failed.has(id),
      reason: `precovery of ${dayObs}, ${days} days`,
    }, processedMjdTai), false);
    done.push(entry.corrected);
    if (entry.position === null) continue;
    positions.push(entry.position);
    const { sequence, dayObs: night } = partsOfCommitPosition(entry.position);
    survey.take({
      instrument, dayObs: night, associated: null, deferred: null, sealed: null, corrected: entry.corrected,
    }, sequence, new Spool(dataDir, instrument, night));
  }
  const sum = (count: (corrected: SkyCorrected) => number) => done.reduce((total, one) => total + count(one), 0);
  return {
    dayObs, days, objects: objects.length, precovered: sum((one) => one.precoveredDiaObjectIds.length),
    visitDetectors: work.length - unmeasured.length, positions,
    forcedSources: sum((one) => one.diaForcedSources.length),
    unmeasured: unmeasured.map(({ associated: { visit, detector }, reason }) => ({ visit, detector, reason })),
  };
}

/** What the log tells from the first day of the window on: it is read once. */
async function surveyNights(
  log: Log, instrument: string, dataDir: string, dayObs: DayObs, days: number,
): Promise<PrecoverySurvey> {
  const survey = new PrecoverySurvey((night) => night === dayObs);
  for (const night of await listRecordedNights(log, dataDir, instrument)) {
    if (daysBetween(night, dayObs) > days) continue;
    const spool = new Spool(dataDir, instrument, night);
    for await (const { entry, sequence } of readRecorded(log, dataDir, instrument, night)) {
      // Later nights tell what was precovered since; their visits knew the objects.
      if (night <= dayObs || entry.corrected) survey.take(entry, sequence, spool);
    }
  }
  return survey;
}

type Failed = Work & Readonly<{ reason: string }>;

/** Measures everything, some detectors at once; fluxes in the order of the work. */
async function measureAll(
  { threads, onProgress, signal }: PrecoveryOptions, work: readonly Work[],
): Promise<Readonly<{ late: ReadonlyMap<bigint, readonly LateFlux[]>; unmeasured: readonly Failed[] }>> {
  const outcomes: (readonly ForcedMeasurement[] | Failed)[] = [];
  let next = 0, done = 0;
  const thread = async () => {
    while (next < work.length) {
      if (signal.aborted) throw new Error('precovery was stopped: nothing of it is recorded');
      const index = next++, outcome = await work[index].run(work[index].known);
      outcomes[index] = outcome.status === 'measured' ? outcome.measurements.forced
        : { ...work[index], reason: outcome.failure.message };
      onProgress(++done, work.length);
    }
  };
  await Promise.all(Array.from({ length: threads }, thread));
  const late = new Map<bigint, LateFlux[]>(), unmeasured: Failed[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if ('reason' in outcome) { unmeasured.push(outcome); continue; }
    for (const row of lateFluxes(work[index].associated, outcome)) {
      late.set(row.diaObjectId, [...late.get(row.diaObjectId) ?? [], row]);
    }
  }
  return { late, unmeasured };
}
