/**
 * Precovery (DMS-REQ-0287): diaObjects that were born in a night are measured by forced photometry on the visits of the
 * days before, and on those of their own night that were under way at their birth. Difference images are made again
 * from the raw frames, as a replay makes them. What is measured becomes entries of COMMITS.
 */
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaForcedSource, decodeDiaObject } from '../../schemas/avro.ts';
import { detectorOf, type Camera } from '../../schemas/camera.ts';
import type { DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import type { DiaForcedSource } from '../../schemas/diaRows.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { daysBetween, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { detectorFootprint, isInside } from '../preload.ts';
import type { ForcedMeasurement, KnownPosition } from '../workers/detectorTask.ts';
import { listRecordedNights, readRecorded } from './commitExport.ts';
import { streamConfig } from './config.ts';
import { appendCorrection, type OpenedSky } from './correctSky.ts';
import type { ProcessDetector } from './engineRun.ts';
import type { Log } from './log.ts';
import { planPrecovery, visitDetectorKey, type LateFlux } from './planPrecovery.ts';
import { catchUp, rowsOf } from './projector.ts';
import { factsOf } from './replayNight.ts';
import { Spool } from './spool.ts';

export type PrecoveryOptions = OpenedSky & Readonly<{
  /** The night whose new objects are measured, on visits of so many days before. */
  dayObs: DayObs; days: number;
  /** How the pixels of a night are made again. */
  pixels: (dayObs: DayObs, facts: readonly ObservatoryEvent[]) => (
    Readonly<{ camera: Camera; process: ProcessDetector }>);
  facts: (dayObs: DayObs) => Promise<readonly ObservatoryEvent[]>;
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
  const objects = await bornObjects(apdb, [...survey.born].filter((id) => !survey.precovered.has(id)), position);
  const work = await workOf(options, survey, objects);
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
    for (const { visit, detector } of forcedOf(entry.corrected)) survey.count(visit, detector, 1);
    if (entry.position !== null) positions.push(entry.position);
  }
  const sum = (count: (corrected: SkyCorrected) => number) => done.reduce((total, one) => total + count(one), 0);
  return {
    dayObs, days, objects: objects.length, precovered: sum((one) => one.precoveredDiaObjectIds.length),
    visitDetectors: work.length - unmeasured.length, positions,
    forcedSources: sum((one) => one.diaForcedSources.length),
    unmeasured: unmeasured.map(({ associated: { visit, detector }, reason }) => ({ visit, detector, reason })),
  };
}

type Survey = Readonly<{
  born: ReadonlySet<bigint>; precovered: ReadonlySet<bigint>;
  /** Visit-detectors with a difference image, in the order of the log, without their rows. */
  visits: readonly Readonly<{ dayObs: DayObs; associated: DiaSourcesAssociated }>[];
  /** diaForcedSources of each visit-detector, by `visitDetectorKey`: the next one's id follows. */
  forcedCounts: ReadonlyMap<string, number>;
  count: (visit: number | bigint, detector: number, more: number) => void;
}>;

/** What the log tells from the first day of the window on: it is read once. */
async function surveyNights(
  log: Log, instrument: string, dataDir: string, dayObs: DayObs, days: number,
): Promise<Survey> {
  const born = new Set<bigint>(), precovered = new Set<bigint>(), forcedCounts = new Map<string, number>();
  const visits: { dayObs: DayObs; associated: DiaSourcesAssociated }[] = [];
  const count = (visit: number | bigint, detector: number, more: number) => {
    const key = visitDetectorKey(visit, detector);
    forcedCounts.set(key, (forcedCounts.get(key) ?? 0) + more);
  };
  for (const night of await listRecordedNights(log, dataDir, instrument)) {
    if (daysBetween(night, dayObs) > days) continue;
    const spool = new Spool(dataDir, instrument, night);
    for await (const { entry } of readRecorded(log, dataDir, instrument, night)) {
      const { associated, corrected } = entry;
      if (corrected) {
        for (const { visit, detector } of forcedOf(corrected)) count(visit, detector, 1);
        for (const id of corrected.precoveredDiaObjectIds) precovered.add(id);
      }
      if (!associated || associated.outcome !== 'alerts' || night > dayObs) continue;
      const { diaObjects, diaForcedSources } = rowsOf(associated, spool);
      count(associated.visit, associated.detector, diaForcedSources.length);
      visits.push({ dayObs: night, associated: { ...associated, rows: null } });
      if (night < dayObs) continue;
      for (const payload of diaObjects) {
        const { diaObjectId, nDiaSources } = decodeDiaObject(payload);
        if (nDiaSources === 1) born.add(diaObjectId);
      }
    }
  }
  return { born, precovered, visits, forcedCounts, count };
}

function forcedOf({ diaForcedSources }: SkyCorrected): DiaForcedSource[] {
  return diaForcedSources.map((payload) => decodeDiaForcedSource(payload));
}

/** A new object: where it is, and the visit-detectors that have measured it. */
type BornObject = KnownPosition & Readonly<{ bornMjdTai: number; measuredOn: ReadonlySet<string> }>;

/** Those that are still valid, by ascending id. */
async function bornObjects(apdb: Apdb, ids: readonly bigint[], position: CommitPosition): Promise<BornObject[]> {
  const histories = await apdb.loadObjects(ids, -Infinity, position);
  return histories.map(({ diaObjectId, ra, dec, diaObject, forcedSources }) => ({
    diaObjectId, raDeg: ra, decDeg: dec,
    bornMjdTai: decodeDiaObject(diaObject).firstDiaSourceMjdTai ?? Infinity,
    measuredOn: new Set(Array.from(forcedSources, ({ payload }) => {
      const { visit, detector } = decodeDiaForcedSource(payload);
      return visitDetectorKey(visit, detector);
    })),
  })).sort((a, b) => (a.diaObjectId < b.diaObjectId ? -1 : 1));
}

/** One visit-detector and the objects that it has to be measured for. */
type Work = Readonly<{
  associated: DiaSourcesAssociated; known: readonly KnownPosition[]; run: () => ReturnType<ProcessDetector>;
}>;

async function workOf(
  { pixels, facts, days }: PrecoveryOptions, { visits }: Survey, objects: readonly BornObject[],
): Promise<Work[]> {
  if (objects.length === 0) return [];
  const work: Work[] = [];
  for (const dayObs of new Set(visits.map((visit) => visit.dayObs))) {
    const told = await facts(dayObs), { camera, process } = pixels(dayObs, told);
    for (const { associated } of visits.filter((visit) => visit.dayObs === dayObs)) {
      const { visit, detector, midpointMjdTai, attempt, knownPosition } = associated;
      const of = factsOf(told, associated);
      const footprint = detectorFootprint(camera, detectorOf(camera, detector), of.boresight);
      const known = objects.filter(({ raDeg, decDeg, bornMjdTai, measuredOn }) => midpointMjdTai >= bornMjdTai - days
        && isInside(footprint, raDeg, decDeg) && !measuredOn.has(visitDetectorKey(visit, detector)));
      if (known.length === 0) continue;
      work.push({ associated, known, run: () => process({ ...of, attempt, known, knownPosition }) });
    }
  }
  return work;
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
      const index = next++, outcome = await work[index].run();
      outcomes[index] = outcome.status === 'measured' ? outcome.measurements.forced
        : { ...work[index], reason: outcome.failure.message };
      onProgress(++done, work.length);
    }
  };
  await Promise.all(Array.from({ length: threads }, thread));
  const late = new Map<bigint, LateFlux[]>(), unmeasured: Failed[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if ('reason' in outcome) { unmeasured.push(outcome); continue; }
    const { visit, detector, band, midpointMjdTai } = work[index].associated;
    for (const { diaObjectId, raDeg: ra, decDeg: dec, ...fluxes } of outcome) {
      const row: LateFlux = { diaObjectId, ra, dec, visit: BigInt(visit), detector, band, midpointMjdTai, ...fluxes };
      late.set(diaObjectId, [...late.get(diaObjectId) ?? [], row]);
    }
  }
  return { late, unmeasured };
}
