/**
 * Projection of COMMITS into the APDB: in order, idempotent, its position in the same transaction as the rows. Behind
 * the log is allowed, wrong is not; while the store is away it waits and tries again, and nothing else waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb, CommittedRows } from '../../apdb/apdb.ts';
import { decodeRows, type CommittedRowBytes, type DiaSourcesAssociated } from '../../schemas/commit.ts';
import { commitPosition, partsOfCommitPosition, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { engineConfig } from '../config.ts';
import { readCommits, type StoredEntry } from './commitLog.ts';
import type { Log } from './log.ts';
import { Spool } from './spool.ts';
import { lastSequence, listNights } from './streams.ts';
import { streams } from '../../schemas/subjects.ts';

/** Rows of a commit, from the entry or, when they were too large for it, from the spool. */
export function rowsOf(associated: DiaSourcesAssociated, spool: Spool): CommittedRowBytes {
  if (associated.rows) return associated.rows;
  if (!associated.rowsSpool) {
    throw new Error(`commit of visit ${associated.visit}, detector ${associated.detector} has no rows`);
  }
  return decodeRows(spool.read(associated.rowsSpool));
}

export class Projector {
  readonly #apdb: Apdb;
  readonly #onProjected: (position: CommitPosition) => void;
  readonly #onTrouble: (reason: string | null) => void;
  #queue: { position: CommitPosition; rows: CommittedRows | null }[] = [];
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
  const nights = await listNights(log, instrument);
  await assertNotAhead(log, instrument, nights, position);
  for (const dayObs of nights) {
    const done = partsOfCommitPosition(position);
    if (dayObs < done.dayObs) continue;
    const spool = new Spool(dataDir, instrument, dayObs);
    for await (const stored of readCommits(log, instrument, dayObs, dayObs === done.dayObs ? done.sequence + 1 : 1)) {
      const entry = committedRows(stored, spool);
      if (entry.rows) await apdb.project([entry.rows]);
      await apdb.advance(position = entry.position);
    }
  }
  return position;
}

async function assertNotAhead(
  log: Log, instrument: string, nights: readonly DayObs[], position: CommitPosition,
): Promise<void> {
  if (position === 0) return;
  const { dayObs, sequence } = partsOfCommitPosition(position);
  if (!nights.includes(dayObs)) {
    if (nights.some((night) => night > dayObs) || nights.length === 0) return; // Its night was exported and removed.
    throw new Error(
      `the APDB of ${instrument} stands at night ${dayObs}, which the log does not hold: another data directory?`,
    );
  }
  const end = await lastSequence(log, streams.commits(instrument, dayObs)) ?? 0;
  if (sequence > end) {
    throw new Error(`the APDB of ${instrument} stands at commit ${sequence} of ${dayObs}, `
      + `the log ends at ${end}: it was rolled back`);
  }
}

function committedRows(stored: StoredEntry, spool: Spool): { position: CommitPosition; rows: CommittedRows | null } {
  const { entry, sequence } = stored;
  const position = commitPosition(entry.dayObs, sequence);
  const a = entry.associated;
  if (!a) return { position, rows: null };
  return { position, rows: {
    position, visit: a.visit, detector: a.detector, midpointMjdTai: a.midpointMjdTai, ...rowsOf(a, spool),
    summary: a.summary,
  } };
}
