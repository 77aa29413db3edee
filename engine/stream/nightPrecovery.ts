/**
 * Precovery by itself (DMS-REQ-0287): while a night runs, its new diaObjects, and those that the nights before have
 * left, are measured on the visits that were processed without them. Fluxes become entries of COMMITS, written by the
 * associator in its order.
 *
 * It waits for everything else: one detector at a time, begun only while the engine has none at work, on a thread of
 * the lowest priority. What is owed is told by the log, so nothing is lost when a night is killed, and nothing is
 * written twice; what a night does not get to is left to the next one, or to `vesper apdb precover`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb } from '../../apdb/apdb.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { daysBetween, partsOfCommitPosition, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { mjdTaiOfUnixMs } from '../../schemas/time.ts';
import { engineConfig } from '../config.ts';
import type { DetectorOutcome } from '../workers/detectorTask.ts';
import { listRecordedNights, readRecorded } from './commitExport.ts';
import type { StoredEntry } from './commitLog.ts';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';
import { planPrecovery, visitDetectorKey, type LateFlux } from './planPrecovery.ts';
import { PrecoverySurvey } from './precoverySurvey.ts';
import { bornObjects, lateFluxes, workOf, type BornObject, type PixelSource, type Work } from './precoveryWork.ts';
import type { Report } from './progress.ts';
import { Spool } from './spool.ts';

/** What the composition root gives. */
export type PrecoverySource = PixelSource & Readonly<{
  /** Resolves when the engine has no detector at work. */
  idle: () => Promise<void>;
  /** Visits of so many days before an object's birth are measured. */
  days: number;
}>;

export type PrecoveryPorts = PrecoverySource & Readonly<{
  log: Log; apdb: Apdb; instrument: string; dataDir: string; dayObs: DayObs;
  /** Position of the last entry that the associator has taken. */
  position: () => CommitPosition;
  /** Resolves when the APDB has what the associator has taken. */
  projected: () => Promise<void>;
  /** The oldest commit that a detector at work was given its objects as of; Infinity when none is at work. */
  oldestAtWork: () => number;
  /** Appends an entry that was worked out as of a commit; false when others have come since. */
  append: (corrected: SkyCorrected, asOf: CommitPosition) => Promise<boolean>;
  report: Report; note: (line: string) => void; now: () => number;
}>;

export class NightPrecovery {
  readonly #ports: PrecoveryPorts;
  readonly #survey: PrecoverySurvey;
  /** Entries of this night that the survey has not taken yet. */
  readonly #entries: StoredEntry[] = [];
  /** Facts of this night, and those of the nights before that were needed. */
  readonly #facts: ObservatoryEvent[] = [];
  readonly #earlierFacts = new Map<DayObs, readonly ObservatoryEvent[]>();
  readonly #pixels = new Map<DayObs, ReturnType<PixelSource['pixels']>>();
  #hasReadEarlier = false;
  /** Measured, and not in the log yet. */
  readonly #late = new Map<bigint, LateFlux[]>();
  /** Objects that this run has measured on each visit-detector, whether that gave a flux or not. */
  readonly #tried = new Map<string, Set<bigint>>();
  /** Objects that have to wait for another run: a visit-detector of theirs cannot be measured. */
  readonly #waiting = new Set<bigint>();
  readonly #ended = Promise.withResolvers<null>();
  #running: Promise<void> | null = null;
  /** What made it wait last. */
  #trouble: string | null = null;
  #isEnding = false;
  #isStopped = false;
  #precovered = 0;
  #forcedSources = 0;

  constructor(ports: PrecoveryPorts) {
    this.#ports = ports;
    const { dayObs } = ports;
    this.#survey = new PrecoverySurvey((night) => daysBetween(night, dayObs) <= engineConfig.precoveryOwedDays);
  }

  /** Takes an entry of this night, in order. */
  onEntry(stored: StoredEntry): void {
    this.#entries.push(stored);
  }

  /** Takes a fact of this night. */
  onFact(fact: ObservatoryEvent): void {
    if (fact.type !== 'TelemetrySampled' && fact.type !== 'ControlCommanded') this.#facts.push(fact);
  }

  /** Takes up what is owed, when the engine has time. */
  wake(): void {
    if (this.#isOver) return;
    this.#running ??= this.#run().catch((error: unknown) => {
      // Whatever breaks here must not take the night with it; it is tried again with the next visit.
      const { message } = error as Error;
      if (!this.#isStopped && message !== this.#trouble) this.#ports.note(`precovery has to wait: ${message}`);
      this.#trouble = message;
    }).finally(() => { this.#running = null; });
  }

  /** Works on what is owed, but no longer than `limitMs`; what was measured by then is written. */
  async finish(limitMs: number): Promise<void> {
    this.wake();
    const late = new AbortController();
    const wait = (ms: number) => sleep(ms, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([this.#running, wait(limitMs)]);
    this.#isEnding = true;
    this.#ended.resolve(null);
    await Promise.race([this.#running, wait(engineConfig.precoveryWriteLimitMs)]);
    late.abort();
    this.#isStopped = true;
  }

  /** Ends it where it is; what was measured and is not written is measured again by the next run. */
  stop(): void {
    this.#isStopped = true;
    this.#ended.resolve(null);
  }

  /** New diaObjects that are owed yet, of this night and those before that it is about. */
  get owed(): number { return this.#survey.open().length; }

  get #isOver(): boolean { return this.#isEnding || this.#isStopped; }

  async #run(): Promise<void> {
    for (let isMoving = true; isMoving && !this.#isOver;) {
      await Promise.race([this.#ports.idle(), this.#ended.promise]);
      if (this.#isOver) return;
      isMoving = await this.#round();
    }
  }

  /** Measures some detectors for the oldest objects that are owed. @returns Whether that has brought anything on. */
  async #round(): Promise<boolean> {
    const objects = await this.#oldestOwed();
    const visitCount = this.#survey.visits.length;
    const all = await workOf({
      facts: (night) => this.#factsOf(night), pixels: (night, facts) => this.#pixelsOf(night, facts),
    }, this.#survey.visits, objects, this.#ports.days);
    const open = all.map((work) => this.#untried(work)).filter(({ known }) => known.length > 0)
      .sort((a, b) => b.known.length - a.known.length);
    let measured = 0;
    for (const work of open.slice(0, engineConfig.precoveryDetectorsAtOnce)) {
      await Promise.race([this.#ports.idle(), this.#ended.promise]);
      if (this.#isOver) break;
      const outcome = await Promise.race([work.run(work.known), this.#ended.promise]);
      if (outcome === null) break;
      this.#take(work, outcome);
      measured++;
    }
    if (this.#isStopped) return false;
    const owed = open.flatMap((work) => this.#untried(work).known.map(({ diaObjectId }) => diaObjectId));
    const written = await this.#write(objects.map(({ diaObjectId }) => diaObjectId), new Set(owed), visitCount);
    return measured > 0 || written;
  }

  async #factsOf(night: DayObs): Promise<readonly ObservatoryEvent[]> {
    if (night === this.#ports.dayObs) return this.#facts;
    const known = this.#earlierFacts.get(night) ?? await this.#ports.facts(night);
    this.#earlierFacts.set(night, known);
    return known;
  }

  #pixelsOf(night: DayObs, facts: readonly ObservatoryEvent[]): ReturnType<PixelSource['pixels']> {
    const known = this.#pixels.get(night) ?? this.#ports.pixels(night, facts);
    this.#pixels.set(night, known);
    return known;
  }

  async #oldestOwed(): Promise<BornObject[]> {
    await this.#readLog();
    const ids = this.#survey.open().filter((id) => !this.#waiting.has(id)).slice(0, streamConfig.precoveredObjectsMax);
    if (ids.length === 0) return [];
    const asOf = this.#ports.position();
    await this.#ports.projected();
    return bornObjects(this.#ports.apdb, this.#survey, ids, asOf);
  }

  /** Brings the survey up to what the associator has taken; the nights before are read once. */
  async #readLog(): Promise<void> {
    const { log, dataDir, instrument, dayObs, days } = this.#ports;
    if (!this.#hasReadEarlier) {
      for (const night of await listRecordedNights(log, dataDir, instrument)) {
        if (night >= dayObs || daysBetween(night, dayObs) > days + engineConfig.precoveryOwedDays) continue;
        const spool = new Spool(dataDir, instrument, night);
        for await (const { entry, sequence } of readRecorded(log, dataDir, instrument, night)) {
          this.#survey.take(entry, sequence, spool);
        }
      }
      this.#hasReadEarlier = true;
    }
    const spool = new Spool(dataDir, instrument, dayObs);
    for (const { entry, sequence } of this.#entries.splice(0)) this.#survey.take(entry, sequence, spool);
  }

  /** The part of some work that this run has not tried. */
  #untried(work: Work): Work {
    const tried = this.#tried.get(keyOf(work));
    return tried === undefined ? work
      : { ...work, known: work.known.filter(({ diaObjectId }) => !tried.has(diaObjectId)) };
  }

  #take(work: Work, outcome: DetectorOutcome): void {
    const key = keyOf(work), ids = work.known.map(({ diaObjectId }) => diaObjectId);
    this.#tried.set(key, new Set([...this.#tried.get(key) ?? [], ...ids]));
    if (outcome.status === 'failed') {
      for (const id of ids) this.#waiting.add(id);
      return;
    }
    for (const flux of lateFluxes(work.associated, outcome.measurements.forced)) {
      this.#late.set(flux.diaObjectId, [...this.#late.get(flux.diaObjectId) ?? [], flux]);
    }
  }

  /**
   * Writes what was measured of the objects, planned anew when others write meanwhile.
   *
   * @param owed Those of the objects that are not measured yet on all of the first `visitCount` visits.
   * @returns Whether there is a new entry.
   */
  async #write(ids: readonly bigint[], owed: ReadonlySet<bigint>, visitCount: number): Promise<boolean> {
    const { apdb, position, projected, oldestAtWork, append, now, dayObs } = this.#ports;
    const { born, forcedCounts, visits } = this.#survey;
    for (let attempt = 0; attempt < engineConfig.commitAttemptsMax; attempt++) {
      const asOf = position();
      await this.#readLog();
      // A detector at work, or since, that was given its objects before the birth of one owes it a flux.
      const since = visits.slice(visitCount).map(({ associated }) => associated.knownPosition);
      const oldest = Math.min(oldestAtWork(), ...since);
      const isComplete = (id: bigint) => !owed.has(id) && !this.#waiting.has(id) && (born.get(id) ?? 0) <= oldest;
      const told = ids.filter((id) => this.#late.has(id) || isComplete(id));
      if (told.length === 0) return false;
      await projected();
      const corrected = await planPrecovery(apdb, asOf, {
        ids: told, late: this.#late, forcedCounts, isComplete, reason: `precovery during ${dayObs}`,
      }, mjdTaiOfUnixMs(now()));
      // Objects that were closed since are gone from what is valid: of these there is nothing to tell.
      const valid = new Set(corrected.precoveredDiaObjectIds);
      for (const id of told) if (isComplete(id) && !valid.has(id)) this.#waiting.add(id);
      if (this.#isStopped) return false;
      if (corrected.diaForcedSources.length === 0 && valid.size === 0) return false;
      if (!await append(corrected, asOf)) continue;
      for (const id of told) this.#late.delete(id);
      await this.#tell(corrected);
      return true;
    }
    return false;
  }

  async #tell({ precoveredDiaObjectIds, diaForcedSources }: SkyCorrected): Promise<void> {
    const { instrument, dayObs, report, position } = this.#ports;
    this.#precovered += precoveredDiaObjectIds.length;
    this.#forcedSources += diaForcedSources.length;
    await this.#readLog();
    report({
      type: 'ObjectsPrecovered', instrument, dayObs, group: '',
      commitSequence: partsOfCommitPosition(position()).sequence,
      precovered: this.#precovered, forcedSources: this.#forcedSources, owed: this.owed,
    });
  }
}

function keyOf({ associated: { visit, detector } }: Work): string {
  return visitDetectorKey(visit, detector);
}
