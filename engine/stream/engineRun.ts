/**
 * One instrument's night, assembled: the commit log, the sky that the associator holds, the distributor, the
 * projection and the engine that follows the observatory. Works the same for a simulated night, real frames, and the
 * end of an interrupted night.
 */
import type { Apdb } from '../../apdb/apdb.ts';
import { detectorOf, type Camera } from '../../schemas/camera.ts';
import { commitPosition, partsOfDiaSourceId, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import type { NextVisit, ObservatoryEvent, PipelineEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { streams } from '../../schemas/subjects.ts';
import { mjdOfTaiSeconds } from '../../schemas/time.ts';
import { associateConfig, type AssociateConfig } from '../stages/associate/config.ts';
import type { FakeOrder } from '../stages/inject/inject.ts';
import { engineConfig } from '../config.ts';
import { detectorFootprint, visitRegion, type Boresight } from '../preload.ts';
import type { CommitNames, DetectorOutcome, KnownPosition } from '../workers/detectorTask.ts';
import { historyStart, knownPositions, type Withholding } from './associateDetector.ts';
import { ArchiveTally } from './archiveTally.ts';
import { Associator, workKey } from './associator.ts';
import { CommitLog, type StoredEntry } from './commitLog.ts';
import { Distributor } from './distributor.ts';
import type { FollowedNight } from './nightFollower.ts';
import type { KnownBodies } from './knownBodies.ts';
import type { Log } from './log.ts';
import { NightBodies } from './nightBodies.ts';
import { NightPrecovery, type PrecoverySource } from './nightPrecovery.ts';
import { NightEngine, type Ended, type NightPorts, type Read } from './nightEngine.ts';
import { PacketMemory } from './packetMemory.ts';
import { packCommit } from './packCommit.ts';
import { progressReporter } from './progress.ts';
import { catchUp, Projector } from './projector.ts';
import { followStream, type Following } from './readStream.ts';
import { RegionLoader } from './regionLoader.ts';
import { SecondPass, type SecondPassOrder, type SecondPassPorts } from './secondPass.ts';
import { SkyState } from './skyState.ts';
import { Spool } from './spool.ts';
import { openInstrumentStreams } from './streams.ts';

/** Prepares and runs one detector; the composition root decides how (a pool of workers, or real frames' own way). */
export type ProcessDetector = (work: Readonly<{
  ended: Ended; read: Read; boresight: Boresight; attempt: number; known: readonly KnownPosition[];
  knownPosition: CommitPosition;
  /** Makes this a second pass with these synthetic sources. */
  fakes?: FakeOrder;
}>) => Promise<DetectorOutcome>;

export type EngineOptions = Readonly<{
  log: Log; apdb: Apdb; instrument: string; camera: Camera; dayObs: DayObs; dataDir: string;
  process: ProcessDetector;
  /** Where an instrument's association differs from the defaults. */
  associate?: Partial<AssociateConfig>;
  /**
   * Warms what a visit will read: calibrations, templates. Told the announcement and the pointing; returns how many
   * templates there are.
   */
  warm: (visit: NextVisit, boresight: Boresight) => Promise<number>;
  /** Marks the night's alerts as tests, with the reason; null (the default) for alerts of the sky. */
  testMessage?: string | null;
  /** Rules by which alerts are withheld; none without. */
  withholding?: Withholding | null;
  /** Loads the solar-system objects of the night; null when no orbits are there yet. */
  knownBodies?: () => Promise<KnownBodies | null>;
  /** How visits whose alerts have left are processed once more with synthetic sources; left out where they are not. */
  fakes?: Pick<SecondPassPorts, 'process' | 'idle'> & SecondPassOrder;
  /** What a stand-by has read of the night; by default it is read now. */
  followed?: FollowedNight | null;
  /** How new diaObjects are measured on the visits before; left out where they are not. */
  precovery?: PrecoverySource | null;
  now: () => number;
  /** How long raws are waited for, ms; by default `engineConfig.rawWaitMs`. */
  rawWaitMs?: number;
  /** One-line notes for the operator: malformed events, a store that is away. */
  note: (line: string) => void;
  /** Sees every progress event as it happens. */
  onProgress?: (event: PipelineEvent) => void;
  fail: (error: Error) => void;
}>;

export class EngineRun {
  readonly #options: EngineOptions;
  readonly #state: SkyState;
  readonly #spool: Spool;
  readonly #associator: Associator;
  readonly #distributor: Distributor;
  readonly #projector: Projector;
  readonly #regions: RegionLoader;
  readonly #engine: NightEngine;
  readonly #progress: ReturnType<typeof progressReporter>;
  readonly #archive: ArchiveTally;
  readonly #bodies: NightBodies;
  readonly #secondPass: SecondPass | null;
  readonly #precovery: NightPrecovery | null;
  /** Visit-detectors without a terminal entry, and the commit that their objects were given out as of. */
  readonly #atWork = new Map<string, CommitPosition>();
  /** Preloads that were begun, files and history. */
  readonly #preloads = new Set<Promise<void>>();
  /** Detectors of each group that have their terminal entry. */
  readonly #ended = new Map<string, number>();
  #following: Following | null = null;
  #isStopped = false;

  /** Brings the projection to the end of the log, reads the night, and publishes what an earlier run owed. */
  static async open(options: EngineOptions): Promise<EngineRun> {
    const { log, apdb, instrument, dataDir } = options;
    await openInstrumentStreams(log, instrument);
    const projected = await catchUp(log, apdb, instrument, dataDir);
    const night = await goOn(options.followed ?? null, log) ?? await readNight(options, projected);
    const { commits, earlier, state } = night;
    const run = new EngineRun(options, commits, projected, state);
    await run.#distributor.resume();
    for (const stored of earlier) run.#associator.acceptStored(stored);
    return run;
  }

  private constructor(options: EngineOptions, commits: CommitLog, projected: CommitPosition, state: SkyState) {
    const { log, apdb, instrument, camera, dayObs, now } = options;
    this.#options = options;
    this.#state = state;
    this.#spool = new Spool(options.dataDir, instrument, dayObs);
    this.#bodies = new NightBodies(options.knownBodies ?? (() => Promise.resolve(null)), options.note);
    this.#progress = progressReporter(log, now, options.onProgress ?? (() => undefined));
    this.#archive = new ArchiveTally(({ group, visit, exposure, detector, attempt }, alerts) => {
      this.#progress.report({ type: 'AlertsArchived', instrument, group, visit, exposure, detector, attempt, alerts });
    });
    this.#regions = new RegionLoader(apdb, this.#state, projected);
    this.#projector = new Projector(apdb, (position) => this.#regions.onProjected(position), (trouble) => {
      options.note(
        trouble === null ? 'the APDB is back; its projection catches up'
          : `the APDB is away, alerts go on without it: ${trouble}`,
      );
    });
    const packets = new PacketMemory();
    this.#distributor = new Distributor({
      log, instrument, dayObs, report: this.#progress.report, now, onFailed: options.fail,
      testMessage: options.testMessage ?? null,
      pack: (associated, position) => packCommit(
        associated, position, projected, this.#spool, this.#state, apdb, () => this.#projector.drain(), packets,
      ),
      onPublished: (published) => {
        const { associated: a, alerts, latencyMs } = published;
        this.#archive.published(a, alerts);
        this.#engine.onPublished(a.visit, a.detector, a.diaSourceCount, alerts, latencyMs);
      },
    });
    this.#associator = new Associator(
      commits, this.#state, this.#spool, now, this.#progress.report, { ...associateConfig, ...options.associate },
      (stored) => this.#onEntry(stored, projected), options.withholding,
    );
    this.#secondPass = options.fakes ? new SecondPass({
      ...options.fakes, position: () => this.#state.position, report: this.#progress.report, now,
    }, options.fakes) : null;
    this.#precovery = options.precovery ? new NightPrecovery({
      ...options.precovery, log, apdb, instrument, dataDir: options.dataDir, dayObs, now, note: options.note,
      report: this.#progress.report, position: () => this.#state.position, projected: () => this.#projector.drain(),
      oldestAtWork: () => Math.min(Infinity, ...this.#atWork.values()),
      append: (corrected, asOf) => this.#associator.correct(corrected, asOf),
    }) : null;
    this.#engine = new NightEngine(camera, instrument, this.#ports());
  }

  /** Follows the observatory from a sequence of its stream on. */
  async follow(fromSequence: number): Promise<void> {
    const { log, instrument, dayObs, note, fail } = this.#options;
    this.#following = await followStream(log, streams.observatory(instrument), fromSequence, (message) => {
      let event: ObservatoryEvent;
      try { event = parseObservatoryEvent(message.data).data; } catch (error) {
        const { message: reason } = error as Error; // The parser throws Errors.
        note(`${streams.observatory(instrument)} ${message.seq}: ${reason}`);
        return;
      }
      if (event.dayObs !== dayObs || event.instrument !== instrument) return;
      this.#precovery?.onFact(event);
      this.#engine.onObservatory(event);
    }, fail);
  }

  /** Takes the news that alerts are in the archive, and reports each detector when all of its are. */
  onArchived(diaSourceIds: readonly bigint[]): void {
    for (const id of diaSourceIds) {
      const { visit, detector } = partsOfDiaSourceId(id);
      this.#archive.archived(workKey({ visit, detector }));
    }
  }

  /** Takes no further facts; what is under way goes on. */
  async unfollow(): Promise<void> {
    await this.#following?.stop();
    this.#following = null;
  }

  /** Resolves when the night is closed and every visit is complete. */
  settled(): Promise<void> {
    return this.#engine.settled();
  }

  /**
   * Gives precovery the time that it still has; what it does not get to is left to the next night.
   *
   * @returns New diaObjects that are owed yet.
   */
  async finishPrecovery(limitMs: number): Promise<number> {
    await this.#precovery?.finish(limitMs);
    return this.#precovery?.owed ?? 0;
  }

  /** Ends the night in the log and waits until alerts and projection have caught up. */
  async seal(): Promise<void> {
    await this.#associator.seal();
    await this.#distributor.drain();
    await this.#projector.drain();
    await this.#secondPass?.finish(engineConfig.fakesEndLimitMs);
    await Promise.all(this.#preloads);
    await this.#progress.flush();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#engine.stop();
    this.#secondPass?.stop();
    this.#precovery?.stop();
    await this.#distributor.stop();
    this.#regions.stop();
    await this.unfollow();
    await this.#projector.stop();
    await this.#progress.flush();
  }

  #onEntry(stored: StoredEntry, projected: CommitPosition): void {
    const { entry, sequence } = stored;
    const work = entry.associated ?? entry.deferred;
    if (work) {
      this.#atWork.delete(workKey(work));
      this.#ended.set(work.group, (this.#ended.get(work.group) ?? 0) + 1);
    }
    this.#engine.onEntry(entry, sequence);
    if (commitPosition(entry.dayObs, sequence) > projected) this.#projector.enqueue(stored, this.#spool);
    this.#distributor.enqueue(stored);
    this.#precovery?.onEntry(stored);
  }

  #ports(): NightPorts {
    const { instrument, camera, now, note, fail, warm, process, rawWaitMs = engineConfig.rawWaitMs } = this.#options;
    return {
      now, note, fail, rawWaitMs, report: this.#progress.report,
      preload: async (group, boresight, visit) => {
        // A night that is taken over tells of many visits that are long over.
        if ((this.#ended.get(group) ?? 0) >= camera.detectors.length) return;
        const startMs = now();
        this.#bodies.begin();
        const since = historyStart(mjdOfTaiSeconds(visit.startTime)) - 1, warmed = warm(visit, boresight);
        const loaded = this.#regions.load(group, visitRegion(camera, boresight), since);
        this.#preloads.add(Promise.all([warmed, loaded]).then(([templates, objects]) => {
          this.#progress.report({
            type: 'VisitPreloaded', instrument, dayObs: this.#options.dayObs, group, objects, templates,
            durationMs: now() - startMs,
          });
        }, (error: Error) => { if (!this.#isStopped) note(`the preload of group ${group}: ${error.message}`); }));
        // Files that are not ready by then are read when they are needed; without its history no source is associated.
        await loaded;
      },
      completed: (visit) => {
        this.#secondPass?.add(visit);
        this.#precovery?.wake();
      },
      release: (group) => this.#regions.release(group),
      process: (ended, read, boresight, attempt) => {
        const footprint = detectorFootprint(camera, detectorOf(camera, read.detector), boresight);
        const knownPosition = this.#state.position;
        this.#atWork.set(workKey(read), knownPosition);
        return process({
          ended, read, boresight, attempt, known: knownPositions(this.#state, footprint, knownPosition), knownPosition,
        });
      },
      commit: async (ended, read, boresight, attempt, outcome) => {
        const footprint = detectorFootprint(camera, detectorOf(camera, read.detector), boresight);
        return this.#associator.commit(
          { ...namesOf(ended, read, attempt), knownPosition: outcome.knownPosition }, outcome.measurements, footprint,
          read.readoutEndedMs, await this.#bodies.inTime(),
        );
      },
      defer: (deferral) => this.#associator.defer(deferral),
    };
  }
}

type NightSoFar = Readonly<{ commits: CommitLog; earlier: readonly StoredEntry[]; state: SkyState }>;

/** What a stand-by holds, brought up to the end of the log; null when that is of no use here. */
async function goOn(followed: FollowedNight | null, log: Log): Promise<NightSoFar | null> {
  if (followed === null) return null;
  const { commits, state } = followed, earlier = [...followed.entries];
  return await commits.goOn(log, (stored) => { earlier.push(stored); }) ? { commits, state, earlier } : null;
}

async function readNight(
  { log, instrument, dayObs }: EngineOptions, projected: CommitPosition,
): Promise<NightSoFar> {
  const earlier: StoredEntry[] = [], state = new SkyState();
  state.apply(projected, null);
  const commits = await CommitLog.open(log, instrument, dayObs, (stored) => { earlier.push(stored); });
  return { commits, earlier, state };
}

/** The names and times that a commit carries, from the facts of the observatory. */
export function namesOf(ended: Ended, read: Read, attempt: number): Omit<CommitNames, 'knownPosition'> {
  const { group, visit, exposure, detector } = read;
  const { band, physicalFilter, exposureSeconds, midpointMjdTai } = ended;
  return { group, visit, exposure, detector, attempt, band, physicalFilter, exposureSeconds, midpointMjdTai };
}
