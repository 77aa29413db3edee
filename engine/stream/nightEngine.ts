/**
 * A night as the engine lives it: follows the observatory, runs one task a detector, commits, publishes, and seals.
 *
 * Everything that it knows is a fold of the log, so a new one takes over where an old one died: visit-detectors with
 * an entry in COMMITS are done, all others that were read are work.
 */
import type { Camera } from '../../schemas/camera.ts';
import type { NextVisit, ObservatoryEvent, PipelineEvent, StageName } from '../../schemas/events.ts';
import { assertNever } from '../../schemas/events.ts';
import type { CommitEntry } from '../../schemas/commit.ts';
import type { DetectorId } from '../../schemas/ids.ts';
import { engineConfig } from '../config.ts';
import { boresightOf, type Boresight } from '../preload.ts';
import { AWAITED, evolve, isTerminal, type DetectorEvent, type VisitDetectorState } from '../visitState.ts';
import type { DetectorOutcome } from '../workers/detectorTask.ts';
import { workKey, type Deferral } from './associator.ts';
import type { Report } from './progress.ts';
import type { CompletedVisit } from './secondPass.ts';

export type Ended = Extract<ObservatoryEvent, { type: 'ExposureEnded' }>;
export type Read = Extract<ObservatoryEvent, { type: 'DetectorRead' }>;

/** What the night needs of the rest; the composition root wires it. */
export type NightPorts = Readonly<{
  /** Loads what a visit needs; resolves when it is there, and rejects when that took too long. */
  preload(group: string, boresight: Boresight, visit: NextVisit): Promise<void>;
  release(group: string): void;
  /** Runs one detector: reads, measures. Never throws for an expected failure. */
  process(ended: Ended, read: Read, boresight: Boresight, attempt: number): Promise<DetectorOutcome>;
  /** Commits what `process` measured; resolves when the log has it. */
  commit(
    ended: Ended, read: Read, boresight: Boresight, attempt: number,
    outcome: Extract<DetectorOutcome, { status: 'measured' }>,
  ): Promise<void>;
  defer(deferral: Deferral): Promise<void>;
  /** Takes a visit whose alerts have all left. */
  completed(visit: CompletedVisit): void;
  report: Report;
  /** How long raws are waited for after the end of the exposure, ms. */
  rawWaitMs: number;
  now(): number;
  /** A one-line remark for the operator. */
  note(line: string): void;
  /** A broken invariant or a lost server: the night cannot go on. */
  fail(error: Error): void;
}>;

type VisitRecord = {
  ended: Ended | null;
  readonly reads: Map<DetectorId, Read>;
  /** A further file of a detector that is at work: used when the first turns out to be damaged. */
  readonly later: Map<DetectorId, Read>;
  /** No more raws are waited for. */
  hasGivenUp: boolean;
  readonly states: Map<DetectorId, VisitDetectorState>;
  isCompleted: boolean;
  alerts: number; diaSources: number; latencyMsMax: number | null;
  readonly distributed: Set<DetectorId>;
  /** What this run measured and committed. */
  readonly measured: Map<DetectorId, Read>;
};

type Announced = Readonly<{ visit: NextVisit; boresight: Boresight | null; ready: Promise<boolean> }>;

export class NightEngine {
  readonly #camera: Camera;
  readonly #instrument: string;
  readonly #ports: NightPorts;
  readonly #announced = new Map<string, Announced>();
  readonly #canceled = new Set<string>();
  readonly #visits = new Map<number, VisitRecord>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Entries that were committed before their visit was known to this engine. */
  readonly #committedEarlier = new Map<string, { entry: CommitEntry; sequence: number }>();
  #isClosed = false;
  #isStopped = false;
  #onSettled: (() => void) | null = null;

  constructor(camera: Camera, instrument: string, ports: NightPorts) {
    this.#camera = camera;
    this.#instrument = instrument;
    this.#ports = ports;
  }

  /**
   * Resolves when the observatory has closed the night and every visit-detector has its terminal entry, distributed.
   */
  settled(): Promise<void> {
    return new Promise((resolve) => { this.#onSettled = resolve; this.#checkSettled(); });
  }

  /** Ends without a trace: what is under way is neither committed nor deferred, so that the next run takes it up. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Takes one fact of the observatory; facts may come twice. */
  onObservatory(fact: ObservatoryEvent): void {
    const event = this.#ofThisCamera(fact);
    if (event) this.#take(event);
  }

  /** The fact without detectors that the camera does not have; null when nothing is left of it. */
  #ofThisCamera(fact: ObservatoryEvent): ObservatoryEvent | null {
    const isKnown = (id: DetectorId) => this.#camera.detectors.some((detector) => detector.id === id);
    if (fact.type === 'DetectorRead' && !isKnown(fact.detector)) {
      this.#ports.note(`${fact.type}: camera ${this.#camera.name} has no detector ${fact.detector}`);
      return null;
    }
    if (fact.type !== 'ExposureEnded') return fact;
    const unknown = fact.detectors.filter((id) => !isKnown(id));
    if (unknown.length > 0) {
      this.#ports.note(`${fact.type}: camera ${this.#camera.name} has no detectors ${unknown.join(', ')}`);
    }
    return { ...fact, detectors: fact.detectors.filter(isKnown) };
  }

  #take(event: ObservatoryEvent): void {
    switch (event.type) {
      case 'NightOpened': case 'ExposureStarted': case 'ControlCommanded': case 'TelemetrySampled': return;
      case 'NextVisitAnnounced': return this.#announce(event);
      case 'NextVisitCanceled': this.#canceled.add(event.groupId); return this.#ports.release(event.groupId);
      case 'ExposureEnded': return this.#endExposure(event);
      case 'DetectorRead': return this.#readDetector(event);
      case 'NightClosed': return this.#closeNight();
      default: return assertNever(event);
    }
  }

  /** No visit follows; a readout whose exposure was never told to have ended is given up after the wait. */
  #closeNight(): void {
    this.#isClosed = true;
    this.#timer(this.#ports.rawWaitMs, () => {
      for (const record of this.#visits.values()) if (!record.ended) this.#abandon(record);
      this.#checkSettled();
    });
    this.#checkSettled();
  }

  /** Defers what was read of a visit whose end of exposure is missing from the log. */
  #abandon(record: VisitRecord): void {
    record.isCompleted = true;
    for (const read of record.reads.values()) {
      if (isTerminal(this.#state(record, read.detector))) continue;
      void this.#defer(
        read, 0, 'ingest', 'EXPOSURE_END_MISSING', `the log does not tell that exposure ${read.exposure} ended`,
      ).catch((error: unknown) => this.#ports.fail(error as Error)); // Ports throw Errors.
    }
  }

  /** Takes one entry of COMMITS, stored earlier or just now. */
  onEntry(entry: CommitEntry, sequence: number): void {
    const work = entry.associated ?? entry.deferred;
    if (!work) return;
    const record = this.#visits.get(work.visit);
    if (!record) {
      this.#committedEarlier.set(workKey(work), { entry, sequence });
      return;
    }
    this.#evolve(record, work.detector, { type: 'EntryCommitted', entry, sequence });
    if (entry.deferred) this.#complete(record);
  }

  /** Takes the news that the alerts of one commit are in the stream. */
  onPublished(
    visit: number, detector: DetectorId, diaSources: number, alerts: number, latencyMs: number | null,
  ): void {
    const record = this.#record(visit);
    if (record.distributed.has(detector)) return;
    record.distributed.add(detector);
    record.alerts += alerts;
    record.diaSources += diaSources;
    if (latencyMs !== null) record.latencyMsMax = Math.max(record.latencyMsMax ?? 0, latencyMs);
    this.#complete(record);
  }

  #announce(visit: NextVisit): void {
    if (this.#announced.has(visit.groupId) || this.#canceled.has(visit.groupId)) return;
    let boresight: Boresight | null = null;
    try { boresight = boresightOf(visit); } catch { /* Its exposures are deferred, with this as the reason. */ }
    const ready = boresight === null ? Promise.resolve(false)
      : this.#ports.preload(visit.groupId, boresight, visit).then(() => true, () => false);
    this.#announced.set(visit.groupId, { visit, boresight, ready });
  }

  #endExposure(ended: Ended): void {
    const record = this.#record(ended.visit);
    if (record.ended) return;
    record.ended = ended;
    for (const detector of ended.detectors) if (!record.states.has(detector)) record.states.set(detector, AWAITED);
    this.#timer(this.#ports.rawWaitMs, () => this.#giveUpMissing(record));
    for (const read of record.reads.values()) this.#start(record, read);
    this.#complete(record);
  }

  #readDetector(read: Read): void {
    const record = this.#record(read.visit);
    const before = this.#state(record, read.detector);
    const after = this.#evolve(record, read.detector, read);
    if (after === before) {
      const isNew = read.checksum !== before.checksum && !before.badChecksums.includes(read.checksum);
      if (isNew && !isTerminal(before)) record.later.set(read.detector, read);
      return;
    }
    record.reads.set(read.detector, read);
    if (record.ended) this.#start(record, read);
  }

  #start(record: VisitRecord, read: Read): void {
    const state = this.#state(record, read.detector);
    if (isTerminal(state) || state.status !== 'read') return;
    const run = this.#canceled.has(read.group)
      ? this.#defer(
        read, state.attempts, 'ingest', 'VISIT_CANCELED', `group ${read.group} was cancelled, and read all the same`,
      )
      : this.#run(record, read, state.attempts);
    void run.catch((error: unknown) => {
      this.#ports.fail(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #run(record: VisitRecord, read: Read, attempt: number): Promise<void> {
    const ended = record.ended;
    if (!ended) throw new Error(`visit ${read.visit} was started before its exposure ended`);
    const names = this.#names(read, attempt);
    const announced = this.#announced.get(read.group);
    if (!announced?.boresight) {
      return this.#defer(
        read, attempt, 'ingest', 'POINTING_UNKNOWN',
        `group ${read.group} was not announced with a position on the sky`,
      );
    }
    const isReady = await this.#readyInTime(announced);
    if (this.#isStopped) return;
    if (!isReady) {
      return this.#defer(
        read, attempt, 'ingest', 'PRELOAD_FAILED',
        `the preload of group ${read.group} was not ready in ${engineConfig.preloadLimitMs} ms`,
      );
    }
    this.#progress(record, { ...names, type: 'ExposureIngested', bytes: read.bytes });
    const outcome = await this.#ports.process(ended, read, announced.boresight, attempt);
    if (this.#isStopped) return;
    for (const { event, atMs } of outcome.progress) this.#progress(record, event, atMs);
    if (isTerminal(this.#state(record, read.detector))) return;
    if (outcome.status === 'measured') {
      record.measured.set(read.detector, read);
      return this.#ports.commit(ended, read, announced.boresight, attempt, outcome);
    }
    const { stage, code, message, disposition } = outcome.failure;
    this.#progress(record, { ...names, type: 'StageFailed', stage, code, reason: message, disposition });
    // A damaged file may be sent again; it is given up with the missing ones. What else may pass is tried once more.
    if (stage === 'ingest') {
      const another = record.later.get(read.detector);
      record.later.delete(read.detector);
      if (another) return this.#readDetector(another);
      if (!record.hasGivenUp) return;
    }
    if (stage !== 'ingest' && disposition === 'retry' && attempt + 1 < engineConfig.attemptsMax) {
      return this.#run(record, read, attempt + 1);
    }
    return this.#defer(read, attempt, stage, code, message);
  }

  async #readyInTime(announced: Announced): Promise<boolean> {
    return Promise.race([
      announced.ready,
      new Promise<boolean>((resolve) => this.#timer(engineConfig.preloadLimitMs, () => resolve(false))),
    ]);
  }

  /** Defers every detector of a visit that has not been read, or whose file could not be used. */
  #giveUpMissing(record: VisitRecord): void {
    const ended = record.ended;
    if (!ended) return;
    record.hasGivenUp = true;
    for (const detector of ended.detectors) {
      const state = this.#state(record, detector);
      const isUnusable = state.status === 'failed' && state.failure?.stage === 'ingest';
      if (isTerminal(state) || (state.status !== 'awaited' && !isUnusable)) continue;
      const read = record.reads.get(detector);
      const deferral = state.failure === null
        ? {
          stage: 'ingest' as const, code: 'RAW_MISSING',
          reason: `no raw of detector ${detector} came within ${this.#ports.rawWaitMs / 1000} s`,
        }
        : state.failure;
      void this.#ports.defer({
        group: ended.group, visit: ended.visit, exposure: ended.exposure, detector,
        attempt: Math.max(0, state.attempts - 1), readoutEndedMs: read?.readoutEndedMs ?? null, ...deferral,
      }).catch((error: unknown) => this.#ports.fail(error as Error)); // Ports throw Errors.
    }
  }

  #defer(read: Read, attempt: number, stage: StageName, code: string, reason: string): Promise<void> {
    const names = this.#names(read, attempt);
    this.#ports.report({ ...names, type: 'DetectorDeferred', stage, code, reason });
    const { group, visit, exposure, detector, readoutEndedMs } = read;
    return this.#ports.defer({ group, visit, exposure, detector, attempt, stage, code, reason, readoutEndedMs });
  }

  /** Reports a visit once all its detectors have ended and their alerts are out. */
  #complete(record: VisitRecord): void {
    const ended = record.ended;
    if (record.isCompleted || !ended) return;
    const states = ended.detectors.map((detector) => ({ detector, state: this.#state(record, detector) }));
    if (!states.every(({ detector, state }) => state.status === 'deferred' || record.distributed.has(detector))) {
      return;
    }
    record.isCompleted = true;
    this.#ports.release(ended.group);
    const committed = states.filter(({ state }) => state.status !== 'deferred').length;
    const readoutEndedMs = Math.max(0, ...[...record.reads.values()].map((read) => read.readoutEndedMs));
    this.#ports.report({
      type: 'VisitCompleted', instrument: this.#instrument,
      group: ended.group, visit: ended.visit, exposure: ended.exposure,
      detectors: states.length, committed, deferred: states.length - committed,
      diaSources: record.diaSources, alerts: record.alerts, readoutEndedMs, latencyMsMax: record.latencyMsMax,
    });
    const boresight = this.#announced.get(ended.group)?.boresight, reads = [...record.measured.values()];
    if (boresight && reads.length > 0) this.#ports.completed({ ended, reads, boresight });
    this.#checkSettled();
  }

  #checkSettled(): void {
    if (this.#isClosed && this.#onSettled && [...this.#visits.values()].every((record) => record.isCompleted)) {
      this.#onSettled();
    }
  }

  #progress(record: VisitRecord, event: PipelineEvent, atMs?: number): void {
    this.#ports.report(event, atMs);
    if ('detector' in event) this.#evolve(record, event.detector, event);
  }

  #evolve(record: VisitRecord, detector: DetectorId, event: DetectorEvent): VisitDetectorState {
    const next = evolve(this.#state(record, detector), event);
    record.states.set(detector, next);
    return next;
  }

  #state(record: VisitRecord, detector: DetectorId): VisitDetectorState {
    return record.states.get(detector) ?? AWAITED;
  }

  #record(visit: number): VisitRecord {
    const known = this.#visits.get(visit);
    if (known) return known;
    const record: VisitRecord = {
      ended: null, reads: new Map(), later: new Map(), hasGivenUp: false, states: new Map(), isCompleted: false,
      alerts: 0, diaSources: 0, latencyMsMax: null, distributed: new Set(), measured: new Map(),
    };
    this.#visits.set(visit, record);
    for (const { id } of this.#camera.detectors) {
      const earlier = this.#committedEarlier.get(workKey({ visit, detector: id }));
      if (earlier) this.#evolve(record, id, { type: 'EntryCommitted', ...earlier });
    }
    return record;
  }

  #names(read: Read, attempt: number) {
    const { instrument, group, visit, exposure, detector } = read;
    return { instrument, group, visit, exposure, detector, attempt } as const;
  }

  #timer(ms: number, action: () => void): void {
    const timer = setTimeout(() => { this.#timers.delete(timer); action(); }, ms);
    this.#timers.add(timer);
  }
}
