/**
 * The stand-by of a night: waits beside the process that runs it, reads the night along with it, and goes on with it
 * when that process dies.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb } from '../../apdb/apdb.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { loadCamera } from '../../schemas/camera.ts';
import { engineConfig } from '../config.ts';
import { DirectoryInUse, lockDataDir, readLiveRun, type Run } from '../setup/services.mjs';
import { isNightSealed } from '../stream/commitLog.ts';
import { openLog, type Log } from '../stream/log.ts';
import { NightFollower, type FollowedNight } from '../stream/nightFollower.ts';
import { lastNightOpened } from '../stream/observatory.ts';
import { listInstruments, listNights } from '../stream/streams.ts';
import { note } from './output.ts';
import { within } from './teardown.ts';

type Lock = ReturnType<typeof lockDataDir>;

/** The turn of a stand-by: the directory's lock, when it came, and what was read of the night until then. */
export type Turn = Readonly<{ lock: Lock; atMs: number; followed: FollowedNight | null }>;

/**
 * Resolves as soon as nobody else has the data directory's lock: a process that is killed loses it at once. Null when
 * `signal` ended the wait.
 *
 * The lock says whose turn it is; that a night has one writer is the fence of COMMITS' doing, whatever locks say.
 */
export async function awaitTurn(dataDir: string, camera: string, signal: AbortSignal): Promise<Turn | null> {
  const memory = new StandbyMemory(dataDir, camera);
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      const lock = lockDataDir(dataDir, 'night'), atMs = Date.now();
      return { lock, atMs, followed: await memory.end() };
    } catch (error) {
      if (!(error instanceof DirectoryInUse)) throw error;
      // Names who has it.
      if (!isTold) note(`stand-by: ${(error as Error).message}`);
    }
    memory.look();
    await sleep(engineConfig.standbyPollMs, undefined, { signal }).catch(() => undefined);
  }
  await memory.end();
  return null;
}

/** Follows the night of the live run as soon as there is one, by that run's own stores. */
class StandbyMemory {
  readonly #dataDir: string;
  readonly #camera: string;
  #opened: Readonly<{ follower: NightFollower; log: Log; apdb: Apdb }> | null = null;
  #looking: Promise<void> | null = null;
  #nextLookMs = 0;

  /** @param camera The instrument that is preferred when several nights are open. */
  constructor(dataDir: string, camera: string) {
    this.#dataDir = dataDir;
    this.#camera = camera;
  }

  look(): void {
    if (this.#opened || this.#looking || Date.now() < this.#nextLookMs) return;
    this.#nextLookMs = Date.now() + engineConfig.standbyFollowMs;
    // What cannot be followed is read when the turn comes.
    this.#looking = this.#follow().catch(() => undefined).finally(() => { this.#looking = null; });
  }

  /** Leaves the other's stores, which may be gone. */
  async end(): Promise<FollowedNight | null> {
    await this.#looking;
    if (!this.#opened) return null;
    const { follower, log, apdb } = this.#opened;
    const limit = engineConfig.standbyFollowMs;
    const followed = await within(limit, 'ending to follow', follower.end()).catch(() => null);
    void log.connection.close().catch(() => undefined);
    void apdb.close().catch(() => undefined);
    return followed;
  }

  async #follow(): Promise<void> {
    const run = readLiveRun(this.#dataDir);
    if (run === null) return;
    const log = await openLog(run.natsUrl, 'vesper stand-by', () => undefined);
    const opened = await this.#open(run, log).catch(() => null);
    if (opened === null) await log.connection.close(); else this.#opened = { ...opened, log };
  }

  async #open({ postgres }: Run, log: Log): Promise<Readonly<{ follower: NightFollower; apdb: Apdb }> | null> {
    const instruments = [...new Set([this.#camera, ...await listInstruments(log)])];
    for (const instrument of instruments) {
      const night = await lastNightOpened(log, instrument), dayObs = night?.dayObs;
      if (!night || dayObs === undefined || !(await listNights(log, instrument)).includes(dayObs)) continue;
      if (await isNightSealed(log, instrument, dayObs)) continue;
      const apdb = await openPostgresApdb(postgres, instrument), camera = loadCamera(night.arguments.camera);
      const follower = await NightFollower.open({ log, apdb, instrument, dayObs, dataDir: this.#dataDir, camera });
      note(`stand-by: reads night ${dayObs} of ${instrument} along`);
      return { follower, apdb };
    }
    return null;
  }
}
