/**
 * The one ordered writer of COMMITS (DESIGN §8): associates each visit-detector against the sky as of the last commit
 * read, spools what the packets will need, and appends the entry behind a fence.
 */
import {
  encodeCommitEntry, encodeRows, sha256, type CommitEntry, type DiaSourcesAssociated,
} from '../../schemas/commit.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import { commitPosition, type CommitPosition } from '../../schemas/ids.ts';
import { messageId } from '../../schemas/subjects.ts';
import { mjdTaiOfUnixMs } from '../../schemas/time.ts';
import { engineConfig } from '../config.ts';
import type { SkyCone } from '../preload.ts';
import type { CommitNames, DetectorMeasurements } from '../workers/detectorTask.ts';
import { associateDetector, type Withholding } from './associateDetector.ts';
import { CommitLog, CommitRefused, type StoredEntry } from './commitLog.ts';
import { streamConfig } from './config.ts';
import type { AssociateConfig } from '../stages/associate/config.ts';
import { selectCutouts } from '../stages/packet/spool.ts';
import type { KnownBodies } from './knownBodies.ts';
import type { Report } from './progress.ts';
import { changeOf } from './projector.ts';
import type { SkyState } from './skyState.ts';
import type { Spool } from './spool.ts';
import type { StageName } from '../../schemas/events.ts';

/** Names of the work that an entry ends. */
type Work = Pick<CommitNames, 'group' | 'visit' | 'exposure' | 'detector' | 'attempt'>;

export type Deferral = Work & Readonly<{
  stage: StageName; code: string; reason: string; readoutEndedMs: number | null;
}>;

export class Associator {
  readonly #commits: CommitLog;
  readonly #state: SkyState;
  readonly #spool: Spool;
  readonly #now: () => number;
  readonly #onEntry: (stored: StoredEntry) => void;
  readonly #report: Report;
  readonly #config: AssociateConfig;
  readonly #withholding: Withholding | null;
  /** Visit-detectors that have their terminal entry. */
  readonly #terminal = new Set<string>();
  #chain: Promise<unknown> = Promise.resolve();

  /** @param onEntry Called once for every entry of the night, ours or another writer's, in order. */
  constructor(
    commits: CommitLog, state: SkyState, spool: Spool, now: () => number, report: Report, config: AssociateConfig,
    onEntry: (stored: StoredEntry) => void, withholding: Withholding | null = null,
  ) {
    this.#commits = commits;
    this.#state = state;
    this.#spool = spool;
    this.#now = now;
    this.#onEntry = onEntry;
    this.#report = report;
    this.#config = config;
    this.#withholding = withholding;
  }

  /** Takes an entry that was there before this associator began. */
  acceptStored(stored: StoredEntry): void {
    this.#accept(stored);
  }

  /**
   * Commits one detector's measurements; resolves when an entry has ended it, ours or another writer's.
   *
   * @param bodies Solar-system objects of the night, or null.
   */
  commit(
    task: CommitNames, measurements: DetectorMeasurements, footprint: SkyCone, readoutEndedMs: number,
    bodies: KnownBodies | null = null,
  ): Promise<void> {
    return this.#serially(async () => {
      if (this.#terminal.has(workKey(task))) return;
      const startMs = this.#now();
      let newDiaObjects = 0;
      const own = await this.#appendUntilTaken(task, () => {
        const timeProcessedMjdTai = mjdTaiOfUnixMs(this.#now());
        const result = associateDetector(
          task, measurements, this.#state, footprint, timeProcessedMjdTai, this.#config, bodies,
          this.#withholding,
        );
        newDiaObjects = result.newDiaObjects;
        // Of twenty sources at 5 σ one may make an alert; the others' pixels are the greater part, and nobody's need.
        const cutouts = measurements.cutouts && selectCutouts(measurements.cutouts, result.packedIds);
        const bytes = encodeRows(result.rows);
        const isInline = bytes.length <= streamConfig.inlineRowsBytesMax;
        const associated: DiaSourcesAssociated = {
          group: task.group, visit: task.visit, exposure: task.exposure, detector: task.detector,
          attempt: task.attempt,
          band: task.band, physicalFilter: task.physicalFilter, exposureSeconds: task.exposureSeconds,
          midpointMjdTai: task.midpointMjdTai, readoutEndedMs, timeProcessedMjdTai, knownPosition: task.knownPosition,
          outcome: measurements.outcome, inputs: inputsOf(measurements, bodies, this.#withholding),
          detected: measurements.detected,
          droppedByReason: measurements.droppedByReason, withheld: result.withheld, summary: measurements.summary,
          diaSourceCount: result.rows.diaSources.length,
          ...(measurements.observation && { observation: measurements.observation }),
          rows: isInline ? result.rows : null, rowsSpool: isInline ? null : this.#spool.write(bytes),
          cutoutSpool: cutouts && this.#spool.write(cutouts), // Synced before the commit that names it (law 2).
        };
        return { ...this.#names(), associated, deferred: null, corrected: null, sealed: null };
      }, 'DiaSourcesAssociated');
      if (!own) return;
      const { group, visit, exposure, detector, attempt } = task;
      this.#report({
        type: 'DiaSourcesAssociated', instrument: this.#commits.instrument, group, visit, exposure, detector, attempt,
        durationMs: this.#now() - startMs, diaSources: measurements.measured.length, newDiaObjects,
        commitSequence: own.sequence,
      });
    });
  }

  /** Ends a visit-detector without alerts; the visit goes on. */
  defer(deferral: Deferral): Promise<void> {
    return this.#serially(async () => {
      if (this.#terminal.has(workKey(deferral))) return;
      await this.#appendUntilTaken(deferral, () => ({
        ...this.#names(), associated: null, corrected: null, sealed: null,
        deferred: { ...deferral, deferredMjdTai: mjdTaiOfUnixMs(this.#now()) },
      }), 'DetectorDeferred');
    });
  }

  /**
   * Appends a correction that was worked out as of a commit.
   *
   * @returns False when entries have come since: it is to be worked out anew.
   */
  correct(corrected: SkyCorrected, asOf: CommitPosition): Promise<boolean> {
    return this.#serially(async () => {
      if (this.#state.position !== asOf) return false;
      const entry: CommitEntry = { ...this.#names(), associated: null, deferred: null, corrected, sealed: null };
      try {
        this.#accept(await this.#commits.append(entry, correctionId(entry)));
        return true;
      } catch (error) {
        if (!(error instanceof CommitRefused)) throw error;
        error.stored.forEach((stored) => this.#accept(stored));
        return false;
      }
    });
  }

  /** Ends the night. */
  seal(): Promise<void> {
    return this.#serially(async () => {
      if (!this.#commits.isSealed) this.#accept(await this.#commits.seal());
    });
  }

  /**
   * Appends what `build` makes of the present state; when another writer was first, reads it and builds anew or
   * yields.
   *
   * @returns Our own entry, or null when another writer ended this work.
   */
  async #appendUntilTaken(work: Work, build: () => CommitEntry, event: string): Promise<StoredEntry | null> {
    const id = messageId({ instrument: this.#commits.instrument, ...work, snap: 0, event });
    for (let attempt = 1; ; attempt++) {
      const entry = build();
      try {
        const stored = await this.#commits.append(entry, id);
        this.#accept(stored);
        return stored;
      } catch (error) {
        if (!(error instanceof CommitRefused) || attempt >= engineConfig.commitAttemptsMax) throw error;
        error.stored.forEach((stored) => this.#accept(stored));
        if (this.#terminal.has(workKey(work))) return null;
      }
    }
  }

  #accept(stored: StoredEntry): void {
    const { entry, sequence } = stored;
    const work = entry.associated ?? entry.deferred;
    if (work) this.#terminal.add(workKey(work));
    this.#state.apply(commitPosition(entry.dayObs, sequence), changeOf(entry, this.#spool));
    this.#onEntry(stored);
  }

  #names(): Pick<CommitEntry, 'instrument' | 'dayObs'> {
    return { instrument: this.#commits.instrument, dayObs: this.#commits.dayObs };
  }

  #serially<T>(step: () => Promise<T>): Promise<T> {
    const next = this.#chain.then(step);
    this.#chain = next.catch(() => undefined); // The caller of `next` handles it.
    return next;
  }
}

/** Digests of all that decided a commit: of the pixels' work, of the orbits, and of the policy. */
export function inputsOf(
  { inputs }: DetectorMeasurements, bodies: KnownBodies | null, withholding: Withholding | null,
): DiaSourcesAssociated['inputs'] {
  return {
    ...inputs, ...(bodies && { orbits: bodies.digest }), ...(withholding && { policy: withholding.digest }),
  };
}

/** Message id of a correction: the same for the same bytes. */
export function correctionId(entry: CommitEntry): string {
  return `${entry.instrument}.${entry.dayObs}.SkyCorrected.${sha256(encodeCommitEntry(entry))}`;
}

/** Visit and detector: the unit that has exactly one terminal entry. */
export function workKey(work: Readonly<{ visit: number; detector: number }>): string {
  return `${work.visit}/${work.detector}`;
}
