/**
 * Projection of COMMITS into the APDB: in order, idempotent, its position in the same transaction as the rows. Behind
 * the log is allowed, wrong is not; while the store is away it waits and tries again, and nothing else waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb, Committed } from '../../apdb/apdb.ts';
import {
  decodeRows, type AssociatedRowBytes, type CommitEntry, type DiaSourcesAssociated,
} from '../../schemas/commit.ts';
import { BEFORE_EVERYTHING, commitPosition, partsOfCommitPosition, type CommitPosition } from '../../schemas/ids.ts';
import { engineConfig } from '../config.ts';
import { listRecordedNights, readRecorded } from './commitExport.ts';
import type { StoredEntry } from './commitLog.ts';
import type { Log } from './log.ts';
import type { SkyChange } from './skyState.ts';
import { Spool } from './spool.ts';

/** Rows of a commit, from the entry or, when they were too large for it, from the spool. */
export function rowsOf(associated: DiaSourcesAssociated, spool: Spool): AssociatedRowBytes {
  if (associated.rows) return associated.rows;
  if (!associated.rowsSpool) {
    throw new Error(`commit of visit ${associated.visit}, detector ${associated.detector} has no rows`);
  }
  return decodeRows(spool.read(associated.rowsSpool));
}

/** What an entry changes in the sky; null for deferrals and seals. */
export function changeOf({ associated, corrected }: CommitEntry, spool: Spool): SkyChange | null {
  if (corrected) return { rows: null, corrected };
  return associated && { rows: rowsOf(associated, spool), corrected: null };
}

export class Projector {
  readonly #apdb: Apdb;
  readonly #onProjected: (position: CommitPosition) => void;
  readonly #onTrouble: (reason: string | null) => void;
  #queue: { position: CommitPosition; rows: Committed | null }[] = [];
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  #isStopped = false;

  /** @param onTrouble Called with a reason when the store starts to fail, and with null when it has recovered. */
  constructor(
    apdb: Apdb, onProjected: (position: CommitPosition) => void, onTrouble: (reason: string | null) => void,
  ) {
    this.#apdb = apdb;
    this.#onProjected = onProjected;
    this.#onTrouble = onTrouble;
  }

  enqueue(stored: StoredEntry, spool: Spool): void {
    this.#queue.push(committedRows(stored, spool));
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#run().finally(() => { this.#isRunning = false; });
    }
  }

  /** Resolves when everything enqueued is projected. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let isFailing = false;
    while (this.#queue.length > 0 && !this.#isStopped) {
      const batch = this.#queue.slice(0, engineConfig.projectionBatchMax);
      const last = batch[batch.length - 1].position;
      try {
        const rows = batch.flatMap((entry) => (entry.rows ? [entry.rows] : []));
        if (rows.length > 0) await this.#apdb.project(rows);
        await this.#apdb.advance(last);
      } catch (error) {
        if (!isFailing) this.#onTrouble((error as Error).message);
        isFailing = true;
        await sleep(engineConfig.projectionRetryMs);
        continue;
      }
      if (isFailing) this.#onTrouble(null);
      isFailing = false;
      this.#queue = this.#queue.slice(batch.length);
      this.#onProjected(last);
    }
  }
}

/**
 * Brings the APDB to the end of the log: all nights from its position on.
 *
 * @throws Error when the APDB is ahead of the log, which means that a stream was rolled back.
 */
export async function catchUp(log: Log, apdb: Apdb, instrument: string, dataDir: string): Promise<CommitPosition> {
  let position = await apdb.position();
  const nights = await listRecordedNights(log, dataDir, instrument);
  for (const dayObs of nights) {
    const done = partsOfCommitPosition(position);
    if (dayObs < done.dayObs) continue;
    const spool = new Spool(dataDir, instrument, dayObs);
    const from = dayObs === done.dayObs ? done.sequence + 1 : 1;
    let end = 0;
    for await (const stored of readRecorded(log, dataDir, instrument, dayObs, Math.max(1, from - 1))) {
      end = stored.sequence;
      if (stored.sequence < from) continue;
      const entry = committedRows(stored, spool);
      try { if (entry.rows) await apdb.project([entry.rows]); } catch (error) {
        const { message } = error as Error; // The store throws Errors.
        throw new Error(`entry ${stored.sequence} of ${dayObs} cannot be projected: ${message}`, { cause: error });
      }
      await apdb.advance(position = entry.position);
    }
    if (end < from - 1) {
      throw new Error(`the APDB of ${instrument} stands at commit ${from - 1} of ${dayObs}, `
        + `the log ends at ${end}: it was rolled back`);
    }
  }
  if (position !== BEFORE_EVERYTHING && !nights.includes(partsOfCommitPosition(position).dayObs)) {
    throw new Error(`the APDB of ${instrument} stands at night ${partsOfCommitPosition(position).dayObs}, `
      + 'which the log does not hold: another data directory?');
  }
  return position;
}

function committedRows(stored: StoredEntry, spool: Spool): { position: CommitPosition; rows: Committed | null } {
  const { entry, sequence } = stored;
  const position = commitPosition(entry.dayObs, sequence);
  const { associated: a, corrected } = entry;
  if (corrected) return { position, rows: { position, corrected } };
  if (!a) return { position, rows: null };
  return { position, rows: {
    position, visit: a.visit, detector: a.detector, midpointMjdTai: a.midpointMjdTai, ...rowsOf(a, spool),
    summary: a.summary,
  } };
}
