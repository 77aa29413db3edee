/**
 * A stand-by's memory of a night that another process runs: COMMITS in order, and with them the associator's sky, with
 * the regions of the visits announced last. When its turn comes there is nothing left to read but what it has missed.
 */
import type { Apdb } from '../../apdb/apdb.ts';
import type { Camera } from '../../schemas/camera.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { commitPosition, type DayObs } from '../../schemas/ids.ts';
import { streams } from '../../schemas/subjects.ts';
import { mjdOfTaiSeconds } from '../../schemas/time.ts';
import { engineConfig } from '../config.ts';
import { boresightOf, visitRegion } from '../preload.ts';
import { historyStart } from './associateDetector.ts';
import { CommitLog, type StoredEntry } from './commitLog.ts';
import type { Log } from './log.ts';
import { changeOf } from './projector.ts';
import { followStream, type Following } from './readStream.ts';
import { RegionLoader } from './regionLoader.ts';
import { SkyState } from './skyState.ts';
import { Spool } from './spool.ts';

/** What was read of a night. The run that goes on with it owns it from then on. */
export type FollowedNight = Readonly<{
  dayObs: DayObs; commits: CommitLog; state: SkyState; entries: readonly StoredEntry[];
}>;

export type FollowOptions = Readonly<{
  log: Log; apdb: Apdb; instrument: string; dayObs: DayObs; dataDir: string; camera: Camera;
}>;

export class NightFollower {
  readonly #options: FollowOptions;
  readonly #state = new SkyState();
  readonly #entries: StoredEntry[] = [];
  readonly #commits: CommitLog;
  readonly #regions: RegionLoader;
  readonly #following: Following[] = [];
  /** Groups whose regions are held or on their way, oldest first. */
  readonly #groups: string[] = [];
  readonly #loads = new Set<Promise<void>>();
  /** Set when an entry could not be taken: what is held is not what the log holds. */
  #isBroken = false;

  private constructor(options: FollowOptions) {
    const { log, apdb, instrument, dayObs } = options;
    this.#options = options;
    this.#commits = CommitLog.follow(log, instrument, dayObs);
    // As of this its first commit is made, after all of the nights before.
    this.#state.apply(commitPosition(dayObs, 0), null);
    this.#regions = new RegionLoader(apdb, this.#state, this.#state.position);
  }

  /** Begins to follow a night that is in the log. */
  static async open(options: FollowOptions): Promise<NightFollower> {
    const { log, instrument, dayObs } = options;
    const follower = new NightFollower(options);
    const spool = new Spool(options.dataDir, instrument, dayObs);
    // A server that goes ends the following; what was read until then serves.
    follower.#following.push(
      await followStream(log, streams.commits(instrument, dayObs), 1, (message) => {
        try { follower.#takeEntry(follower.#commits.follow(message), spool); } catch (error) {
          follower.#isBroken = true;
          throw error;
        }
      }, () => undefined),
      await followStream(log, streams.observatory(instrument), 1, (message) => {
        try { follower.#takeFact(parseObservatoryEvent(message.data).data); } catch { /* The run tells it. */ }
      }, () => undefined),
    );
    return follower;
  }

  /** Entries taken so far, and the objects held. */
  get held(): Readonly<{ entries: number; objects: number }> {
    return { entries: this.#entries.length, objects: this.#state.objectCount };
  }

  /** Ends the following and hands over what was read; null when that is of no use. */
  async end(): Promise<FollowedNight | null> {
    this.#regions.stop();
    await Promise.all([...this.#following.map((following) => following.stop()), ...this.#loads]);
    if (this.#isBroken) return null;
    const { dayObs } = this.#options;
    return { dayObs, commits: this.#commits, state: this.#state, entries: this.#entries };
  }

  #takeEntry(stored: StoredEntry, spool: Spool): void {
    this.#state.apply(commitPosition(stored.entry.dayObs, stored.sequence), changeOf(stored.entry, spool));
    this.#entries.push(stored);
  }

  #takeFact(event: ObservatoryEvent): void {
    const { dayObs, camera } = this.#options;
    if (event.type !== 'NextVisitAnnounced' || event.dayObs !== dayObs) return;
    const { groupId, startTime } = event;
    if (this.#groups.includes(groupId)) return;
    const cone = visitRegion(camera, boresightOf(event)), since = historyStart(mjdOfTaiSeconds(startTime)) - 1;
    this.#groups.push(groupId);
    while (this.#groups.length > engineConfig.standbyRegions) this.#regions.release(this.#groups.shift() ?? '');
    const load = this.#load(groupId, cone, since).catch(() => undefined).finally(() => this.#loads.delete(load));
    this.#loads.add(load);
  }

  /** As of what was read here and is in the tables: these may be further than what was read. */
  async #load(group: string, cone: ReturnType<typeof visitRegion>, since: number): Promise<void> {
    if (!this.#groups.includes(group)) return;
    const projected = await this.#options.apdb.position();
    this.#regions.onProjected(projected < this.#state.position ? projected : this.#state.position);
    await this.#regions.load(group, cone, since);
  }
}
