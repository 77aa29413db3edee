/** Which visit-detectors have to be measured again for which new diaObjects, and what that gives. */
import { setImmediate as pause } from 'node:timers/promises';
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaForcedSource, decodeDiaObject } from '../../schemas/avro.ts';
import { detectorOf, type Camera } from '../../schemas/camera.ts';
import type { DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import type { CommitPosition, DayObs } from '../../schemas/ids.ts';
import { detectorFootprint, isInside } from '../preload.ts';
import type { ForcedMeasurement, KnownPosition } from '../workers/detectorTask.ts';
import type { ProcessDetector } from './engineRun.ts';
import { visitDetectorKey, type LateFlux } from './planPrecovery.ts';
import type { PrecoverySurvey, SurveyedVisit } from './precoverySurvey.ts';
import { findFacts } from './replayNight.ts';

/** Where the pixels of a night come from. */
export type PixelSource = Readonly<{
  /** How the pixels of a night are made again. */
  pixels: (dayObs: DayObs, facts: readonly ObservatoryEvent[]) => (
    Readonly<{ camera: Camera; process: ProcessDetector }>);
  facts: (dayObs: DayObs) => Promise<readonly ObservatoryEvent[]>;
}>;

/** A new object: where it is, and the visit-detectors that have measured it. */
export type BornObject = KnownPosition & Readonly<{
  bornMjdTai: number; bornAt: CommitPosition; measuredOn: ReadonlySet<string>;
}>;

/** Those of the survey's objects that are valid as of a commit, by ascending id. */
export async function bornObjects(
  apdb: Apdb, { born }: PrecoverySurvey, ids: readonly bigint[], asOf: CommitPosition,
): Promise<BornObject[]> {
  const histories = await apdb.loadObjects(ids, -Infinity, asOf);
  return histories.map(({ diaObjectId, ra, dec, diaObject, forcedSources }) => ({
    diaObjectId, raDeg: ra, decDeg: dec, bornAt: born.get(diaObjectId) ?? asOf,
    bornMjdTai: decodeDiaObject(diaObject).firstDiaSourceMjdTai ?? Infinity,
    measuredOn: new Set(Array.from(forcedSources, ({ payload }) => {
      const { visit, detector } = decodeDiaForcedSource(payload);
      return visitDetectorKey(visit, detector);
    })),
  })).sort((a, b) => (a.diaObjectId < b.diaObjectId ? -1 : 1));
}

/** One visit-detector and the objects that it has to be measured for. */
export type Work = Readonly<{
  associated: DiaSourcesAssociated; known: readonly KnownPosition[];
  run: (known: readonly KnownPosition[]) => ReturnType<ProcessDetector>;
}>;

/** Visit-detectors between two pauses, in which the process does what else it has to do. */
const VISITS_A_TURN = 256;

/**
 * The work that objects make: visits of `days` before their birth and later ones, as far as these were processed
 * without them, and the log still holds where they pointed.
 */
export async function workOf(
  { pixels, facts }: PixelSource, visits: readonly SurveyedVisit[], objects: readonly BornObject[], days: number,
): Promise<Work[]> {
  if (objects.length === 0) return [];
  const work: Work[] = [];
  let seen = 0;
  for (const [dayObs, ofNight] of Map.groupBy(visits, (visit) => visit.dayObs)) {
    const told = await facts(dayObs), { camera, process } = pixels(dayObs, told);
    const factsOfVisit = byVisit(told);
    for (const { associated } of ofNight) {
      if (++seen % VISITS_A_TURN === 0) await pause();
      const { visit, detector, midpointMjdTai, attempt, knownPosition } = associated;
      const of = findFacts(factsOfVisit(associated), associated), key = visitDetectorKey(visit, detector);
      if (of === null) continue;
      const footprint = detectorFootprint(camera, detectorOf(camera, detector), of.boresight);
      const known = objects.filter(({ raDeg, decDeg, bornMjdTai, bornAt, measuredOn }) => (
        knownPosition < bornAt && midpointMjdTai >= bornMjdTai - days
          && !measuredOn.has(key) && isInside(footprint, raDeg, decDeg)));
      if (known.length === 0) continue;
      work.push({ associated, known, run: (wanted) => process({ ...of, attempt, known: wanted, knownPosition }) });
    }
  }
  return work;
}

/** What was measured, as it becomes rows. */
export function lateFluxes(
  { visit, detector, band, midpointMjdTai }: DiaSourcesAssociated, forced: readonly ForcedMeasurement[],
): LateFlux[] {
  return forced.map(({ raDeg: ra, decDeg: dec, ...fluxes }) => (
    { ra, dec, visit: BigInt(visit), detector, band, midpointMjdTai, ...fluxes }));
}

/** The few facts that one visit has, out of the many of its night. */
function byVisit(told: readonly ObservatoryEvent[]): (a: DiaSourcesAssociated) => readonly ObservatoryEvent[] {
  const keyOf = (event: ObservatoryEvent) => (
    event.type === 'NextVisitAnnounced' ? event.groupId : 'visit' in event ? event.visit : null);
  const facts = Map.groupBy(told, keyOf);
  return ({ visit, group }) => [...facts.get(visit) ?? [], ...facts.get(group) ?? []];
}
