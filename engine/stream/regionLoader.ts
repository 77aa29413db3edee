/**
 * Loads sky regions from the APDB into the associator's memory, and trims the tail of commits that no later load can
 * lack.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb } from '../../apdb/apdb.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { engineConfig } from '../config.ts';
import type { SkyCone } from '../preload.ts';
import type { SkyState } from './skyState.ts';

export class RegionLoader {
  readonly #apdb: Apdb;
  readonly #state: SkyState;
  #projected: CommitPosition;
  /** Projected positions when the loads that are under way began: their snapshots hold at least these. */
  readonly #openLoads = new Map<string, CommitPosition>();
  readonly #released = new Set<string>();
  readonly #stopped = new AbortController();

  constructor(apdb: Apdb, state: SkyState, projected: CommitPosition) {
    this.#apdb = apdb;
    this.#state = state;
    this.#projected = projected;
  }

  /**
   * Loads a region and merges it; tries again while the store is away.
   *
   * @returns Objects in the region; one that a stand-by has loaded is held already.
   * @throws when the group was released meanwhile or the limit is over.
   */
  async load(group: string, cone: SkyCone, sinceMjdTai: number): Promise<number> {
    if (this.#state.hasRegion(group)) return this.#state.objectsIn(cone).length;
    const limit = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(engineConfig.preloadLimitMs * 2)]);
    for (;;) {
      this.#openLoads.set(group, this.#projected);
      try {
        // As of what our own projection has done: another process may have projected further than we have read.
        const snapshot = await this.#apdb.loadRegion(cone, sinceMjdTai, this.#projected);
        if (this.#released.has(group)) throw new Error(`group ${group} was released before its region was loaded`);
        this.#state.mergeRegion(group, cone, snapshot);
        return snapshot.objects.length;
      } catch (error) {
        if (this.#released.has(group) || limit.aborted) throw error;
        await sleep(engineConfig.preloadRetryMs, undefined, { signal: limit });
      } finally {
        this.#openLoads.delete(group);
        this.#trim();
      }
    }
  }

  release(group: string): void {
    this.#released.add(group);
    this.#state.release(group);
  }

  onProjected(position: CommitPosition): void {
    this.#projected = position;
    this.#trim();
  }

  stop(): void {
    this.#stopped.abort();
  }

  #trim(): void {
    let position = this.#projected;
    for (const begun of this.#openLoads.values()) if (begun < position) position = begun;
    this.#state.trimTail(position);
  }
}
