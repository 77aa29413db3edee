/**
 * COMMITS of one instrument and night (DESIGN §8): appended with a fence on the whole stream, read back in order.
 *
 * The fence is `Nats-Expected-Last-Sequence`. The server checks duplicates before the fence, so `duplicate: true` and
 * error 10071 both mean: read what is stored, and adopt it when it is ours.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import {
  decodeCommitEntry, encodeCommitEntry, NightDigest, sha256, type CommitEntry,
} from '../../schemas/commit.ts';
import { nextDayObs, type DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';
import { readStored } from './readStream.ts';
import { lastSequence, openNightStreams, storedMessage } from './streams.ts';

export type StoredEntry = Readonly<{ sequence: number; entry: CommitEntry; bytes: Uint8Array }>;

/** Another writer has the place that was asked for; its entries have to be read first. */
export class CommitRefused extends Error {
  readonly stored: readonly StoredEntry[];

  constructor(stored: readonly StoredEntry[]) {
    super(`another writer appended ${stored.length} entries to COMMITS`);
    this.name = 'CommitRefused';
    this.stored = stored;
  }
}

/** COMMITS holds what no writer of it has written. */
class EntryRefused extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'EntryRefused';
  }
}

export class CommitLog {
  readonly instrument: string;
  readonly dayObs: DayObs;
  #log: Log;
  readonly #stream: string;
  readonly #digest = new NightDigest();
  #lastSequence = 0;
  #last: StoredEntry | null = null;
  #isSealed = false;

  private constructor(log: Log, instrument: string, dayObs: DayObs) {
    this.#log = log;
    this.instrument = instrument;
    this.dayObs = dayObs;
    this.#stream = streams.commits(instrument, dayObs);
  }

  /**
   * Opens the night for writing, making its streams when they are not there, and reads what it holds.
   *
   * @param onEntry Called for every stored entry in order.
   */
  static async open(
    log: Log, instrument: string, dayObs: DayObs, onEntry: (stored: StoredEntry) => Promise<void> | void,
  ): Promise<CommitLog> {
    await openNightStreams(log, instrument, dayObs);
    const commits = new CommitLog(log, instrument, dayObs);
    for await (const stored of readCommits(log, instrument, dayObs)) {
      commits.#accept(stored);
      await onEntry(stored);
    }
    return commits;
  }

  /** A night that another process writes: it is told entries as they come, until `goOn`. */
  static follow(log: Log, instrument: string, dayObs: DayObs): CommitLog {
    return new CommitLog(log, instrument, dayObs);
  }

  /** Takes the next entry of a night that is followed. @throws Error when one is missing before it. */
  follow(message: Readonly<{ seq: number; data: Uint8Array }>): StoredEntry {
    return this.#accept(storedEntry(this.#stream, message));
  }

  /**
   * Begins to write a night that was followed, over another connection, after reading what was stored since.
   *
   * @returns False when the log does not hold what was followed: then this one is of no use.
   */
  async goOn(log: Log, onEntry: (stored: StoredEntry) => void): Promise<boolean> {
    await openNightStreams(log, this.instrument, this.dayObs);
    if (this.#last !== null) {
      const held = await storedMessage(log, this.#stream, this.#last.sequence);
      if (held === null || Buffer.compare(held.data, this.#last.bytes) !== 0) return false;
    }
    this.#log = log;
    for await (const stored of readCommits(log, this.instrument, this.dayObs, this.#lastSequence + 1)) {
      onEntry(this.#accept(stored));
    }
    return true;
  }

  get lastSequence(): number { return this.#lastSequence; }
  get isSealed(): boolean { return this.#isSealed; }

  /**
   * Appends one entry behind the last one that this writer has read.
   *
   * @param messageId Derived id of the fact (`schemas/subjects.ts`).
   * @throws CommitRefused when another writer was first; what it wrote counts as read from then on.
   */
  async append(entry: CommitEntry, messageId: string): Promise<StoredEntry> {
    if (this.#isSealed) throw new Error(`night ${this.dayObs} of ${this.instrument} is sealed`);
    const bytes = encodeCommitEntry(entry);
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#appendOnce(entry, bytes, messageId) ?? await this.#adopt(sha256(bytes));
      if (stored) return stored;
      // The server did not answer and holds nothing new: behind the same fence the same entry may be sent again.
      if (attempt >= streamConfig.sendAttemptsMax) {
        throw new Error(`COMMITS did not take an entry of ${bytes.length} bytes in ${attempt} tries: server away`);
      }
      await sleep(streamConfig.sendAgainMs);
    }
  }

  /** @returns The entry as stored; null when what is stored has to decide: another writer, a lost acknowledgement. */
  async #appendOnce(entry: CommitEntry, bytes: Buffer, messageId: string): Promise<StoredEntry | null> {
    try {
      const ack = await this.#log.js.publish(subjects.commits(this.instrument, this.dayObs), bytes, {
        msgID: messageId, expect: { lastSequence: this.#lastSequence },
      });
      if (!ack.duplicate) return this.#accept({ sequence: ack.seq, entry, bytes });
      if (ack.seq > this.#lastSequence) return null;
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) return null;
      if (error.code === JetStreamApiCodes.StreamWrongLastSequence) return null;
      throw new Error(`COMMITS refused an entry of ${bytes.length} bytes: ${error.message}`, { cause: error });
    }
    throw new Error(`COMMITS holds an earlier entry with the id ${messageId}: this work was committed before`);
  }

  /** Ends the night: the last entry, with the count and digest of all before it. */
  async seal(): Promise<StoredEntry> {
    const sealed = {
      entries: this.#digest.entries, digest: this.#digest.hex(),
      nextStream: streams.commits(this.instrument, nextDayObs(this.dayObs)),
    };
    const entry = {
      instrument: this.instrument, dayObs: this.dayObs, associated: null, deferred: null, corrected: null, sealed,
    } as const;
    return this.append(entry, `${this.instrument}.${this.dayObs}.NightSealed`);
  }

  /**
   * Reads what was stored since.
   *
   * @returns Our own entry when it is the next one; null when nothing was stored, or the server is away.
   * @throws CommitRefused when others wrote.
   */
  async #adopt(digest: string): Promise<StoredEntry | null> {
    const stored: StoredEntry[] = [];
    try {
      for await (const other of readCommits(this.#log, this.instrument, this.dayObs, this.#lastSequence + 1)) {
        stored.push(this.#accept(other));
      }
    } catch (error) {
      const isAway = !(error instanceof EntryRefused) && !this.#log.connection.isClosed();
      if (stored.length === 0 && isAway) return null;
      throw error;
    }
    const own = stored.find((other) => sha256(other.bytes) === digest);
    if (own && stored.length === 1) return own;
    if (stored.length > 0) throw new CommitRefused(stored);
    return null;
  }

  #accept(stored: StoredEntry): StoredEntry {
    if (stored.sequence !== this.#lastSequence + 1) {
      throw new Error(
        `${this.#stream} has entry ${stored.sequence} behind ${this.#lastSequence}: entries are missing`,
      );
    }
    this.#lastSequence = stored.sequence;
    this.#last = stored;
    if (stored.entry.sealed) this.#isSealed = true; else this.#digest.add(stored.bytes);
    return stored;
  }
}

/**
 * Stored entries of a night in order.
 *
 * @throws Error when there is no such night or an entry cannot be decoded.
 */
export async function* readCommits(
  log: Log, instrument: string, dayObs: DayObs, from = 1, to?: number,
): AsyncGenerator<StoredEntry> {
  const stream = streams.commits(instrument, dayObs);
  for await (const message of readStored(log, stream, from, to)) yield storedEntry(stream, message);
}

/** @throws Error that names the entry when its bytes are none, or are of another night. */
function storedEntry(stream: string, { seq, data }: Readonly<{ seq: number; data: Uint8Array }>): StoredEntry {
  let entry: CommitEntry;
  try { entry = decodeCommitEntry(data); } catch (error) {
    throw new EntryRefused(`${stream}, entry ${seq}: ${(error as Error).message}`, error); // Decoders throw Errors.
  }
  if (streams.commits(entry.instrument, entry.dayObs) !== stream) {
    throw new EntryRefused(`${stream}, entry ${seq} is one of night ${entry.dayObs} of ${entry.instrument}`);
  }
  return { sequence: seq, entry, bytes: data };
}

/** Whether a night's last entry is its seal; null when there is no such night. */
export async function isNightSealed(log: Log, instrument: string, dayObs: DayObs): Promise<boolean | null> {
  const stream = streams.commits(instrument, dayObs);
  const last = await lastSequence(log, stream);
  if (last === null) return null;
  const message = last === 0 ? null : await storedMessage(log, stream, last);
  return message !== null && storedEntry(stream, { seq: last, data: message.data }).entry.sealed !== null;
}
