/**
 * Publication of alerts: in commit order, each at a fenced place of ALERTS, resuming behind the last one in the
 * stream. A packet is a pure function of its commit, the state before it and the spool, so what is built again after a
 * crash is the same bytes.
 */
import { headers as newHeaders, type MsgHdrs } from '@nats-io/nats-core';
import { JetStreamApiCodes, JetStreamApiError, type PubAck } from '@nats-io/jetstream';
import { type DiaSourcesAssociated } from '../../schemas/commit.ts';
import { BEFORE_EVERYTHING, commitPosition, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { decodeNeighbours, neighboursJson } from '../../schemas/neighbours.ts';
import { alertHeaders, streams, subjects } from '../../schemas/subjects.ts';
import { ALERT_SCHEMA_ID } from '../../schemas/alertSchema.ts';
import type { Packet } from '../stages/packet/packet.ts';
import { streamConfig } from './config.ts';
import type { StoredEntry } from './commitLog.ts';
import type { Log } from './log.ts';
import type { Report } from './progress.ts';
import { lastSequence, storedMessage } from './streams.ts';

/** Builds the packets of one commit, in the order of its rows; withheld sources have none. */
export type PackCommit = (associated: DiaSourcesAssociated, position: CommitPosition) => Promise<readonly Packet[]>;

/** `latencyMs` is null for alerts that were in the stream before this distributor began. */
export type Published = Readonly<{ associated: DiaSourcesAssociated; alerts: number; latencyMs: number | null }>;

/** The server's refusals of a place that is not the next: by sequence, and by the message before. */
const FENCES = new Set<number>([JetStreamApiCodes.StreamWrongLastSequence, 10070]);

export class Distributor {
  readonly #log: Log;
  readonly #instrument: string;
  readonly #dayObs: DayObs;
  readonly #pack: PackCommit;
  readonly #report: Report;
  readonly #now: () => number;
  readonly #testMessage: string | null;
  readonly #onPublished: (published: Published) => void;
  readonly #onFailed: (error: Error) => void;
  #chain: Promise<void> = Promise.resolve();
  /** Set by the first failure and by `stop`: what comes behind must not go out before what is missing. */
  #isEnded = false;
  /** Sequence of the last alert in the stream. */
  #last = 0;
  /** Commit and index of the last alert in the stream. */
  #done: { position: CommitPosition; index: number } = { position: BEFORE_EVERYTHING, index: -1 };

  constructor(options: Readonly<{
    log: Log; instrument: string; dayObs: DayObs; pack: PackCommit; report: Report; now: () => number;
    /** Why the night's alerts are none of the sky's; null when they are. */
    testMessage?: string | null;
    onPublished: (published: Published) => void; onFailed: (error: Error) => void;
  }>) {
    this.#log = options.log;
    this.#instrument = options.instrument;
    this.#dayObs = options.dayObs;
    this.#pack = options.pack;
    this.#report = options.report;
    this.#now = options.now;
    this.#testMessage = options.testMessage ?? null;
    this.#onPublished = options.onPublished;
    this.#onFailed = options.onFailed;
  }

  /** Reads where ALERTS ends; call before the first `enqueue`. */
  async resume(): Promise<void> {
    const stream = streams.alerts(this.#instrument, this.#dayObs);
    this.#last = await lastSequence(this.#log, stream) ?? 0;
    if (this.#last === 0) return;
    const message = await storedMessage(this.#log, stream, this.#last);
    const sequence = Number(message?.header.get(alertHeaders.commitSequence));
    const index = Number(message?.header.get(alertHeaders.commitIndex));
    if (!message || !Number.isInteger(sequence) || !Number.isInteger(index)) {
      throw new Error(`the last message of ${stream} does not tell which commit it belongs to`);
    }
    this.#done = { position: commitPosition(this.#dayObs, sequence), index };
  }

  /** Publishes the alerts of one entry behind those of all earlier ones. */
  enqueue(stored: StoredEntry): void {
    this.#chain = this.#chain.then(() => this.#publishEntry(stored)).catch((error: unknown) => {
      if (this.#isEnded) return;
      this.#isEnded = true;
      this.#onFailed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async drain(): Promise<void> {
    await this.#chain;
  }

  /** Publishes nothing more; the next run goes on behind the last alert in the stream. */
  async stop(): Promise<void> {
    this.#isEnded = true;
    await this.#chain;
  }

  async #publishEntry({ entry, sequence }: StoredEntry): Promise<void> {
    const a = entry.associated;
    if (!a || this.#isEnded) return;
    const position = commitPosition(this.#dayObs, sequence);
    if (position < this.#done.position) {
      this.#onPublished({ associated: a, alerts: a.diaSourceCount - a.withheld.length, latencyMs: null });
      return;
    }
    const startMs = this.#now();
    const packets = await this.#pack(a, position);
    if (this.#isEnded) return;
    const names = {
      instrument: this.#instrument, group: a.group, visit: a.visit, exposure: a.exposure, detector: a.detector,
      attempt: a.attempt,
    };
    this.#report({ ...names, type: 'AlertsPacked', alerts: packets.length, durationMs: this.#now() - startMs });
    const first = position === this.#done.position ? this.#done.index + 1 : 0;
    await this.#publishPackets(packets, first, a, sequence);
    if (this.#isEnded) return;
    this.#done = { position, index: packets.length - 1 };
    const endMs = this.#now();
    const latencyMs = endMs - a.readoutEndedMs;
    this.#report({
      ...names, type: 'AlertsDistributed', alerts: packets.length, durationMs: endMs - startMs, latencyMs,
    });
    this.#onPublished({ associated: a, alerts: packets.length, latencyMs });
  }

  /**
   * Publishes `packets[first …]` with a window of unacknowledged ones; a lost acknowledgement is settled by reading
   * the stream.
   */
  async #publishPackets(
    packets: readonly Packet[], first: number, a: DiaSourcesAssociated, sequence: number,
  ): Promise<void> {
    const subject = subjects.alerts(this.#instrument, this.#dayObs, a.band);
    this.#requireSize(packets);
    let attempts = 0;
    for (let start = first; start < packets.length && !this.#isEnded;) {
      const window = packets.slice(start, start + streamConfig.publishWindow);
      const base = this.#last;
      const acks = await Promise.allSettled(window.map((packet, i) => this.#log.js.publish(subject, packet.bytes, {
        msgID: String(packet.diaSourceId),
        // The sequence alone is no fence for those that follow: were another's alerts between, a later one would fit.
        expect: { lastSequence: base + i, ...(i > 0 && { lastMsgID: String(window[i - 1].diaSourceId) }) },
        headers: headersOf(packet, a, sequence, start + i, this.#now(), this.#testMessage),
      })));
      const failed = acks.find((ack) => ack.status === 'rejected');
      if (!failed && acks.every((ack) => ack.status === 'fulfilled' && isNew(ack.value))) {
        this.#last = base + window.length;
        start += window.length;
        attempts = 0;
        continue;
      }
      const settled = await this.#settle(sequence, start, failed?.reason);
      attempts = settled > start ? 0 : attempts + 1;
      if (attempts >= streamConfig.sendAttemptsMax) {
        throw new Error(`ALERTS has not taken a packet in ${attempts} attempts: ${reasonOf(failed)}`);
      }
      start = settled;
    }
  }

  /** What the server would not take must not be tried for ever. No packet of sound limits comes near. */
  #requireSize(packets: readonly Packet[]): void {
    const most = (this.#log.connection.info?.max_payload ?? Infinity) - HEADER_BYTES_MAX;
    const over = packets.find(({ bytes }) => bytes.length > most);
    if (over === undefined) return;
    throw new Error(`alert ${over.diaSourceId} has ${over.bytes.length} bytes, more than the server takes (${most})`);
  }

  /**
   * After a refusal or a lost acknowledgement: reads the end of the stream and returns the index of the next packet to
   * publish.
   *
   * @throws Error when the stream ends with an alert that this distributor did not send: another one is at work.
   */
  async #settle(sequence: number, start: number, reason: unknown): Promise<number> {
    const isFenced = reason instanceof JetStreamApiError && FENCES.has(reason.code);
    const isServerSaying = reason instanceof JetStreamApiError && !isFenced;
    if (isServerSaying) throw new Error(`ALERTS refused a packet: ${reason.message}`, { cause: reason });
    const before = this.#last;
    await this.resume();
    const expected = commitPosition(this.#dayObs, sequence);
    if (this.#done.position === expected && this.#done.index >= start) return this.#done.index + 1;
    if (this.#last === before) return start;
    throw new Error(`ALERTS of ${this.#instrument} ${this.#dayObs} has alerts from another distributor`);
  }
}

/**
 * Publishes alerts that a policy had withheld, one by one; each is written once, however often it is tried.
 *
 * @param sequence Of the commit in COMMITS.
 */
export async function publishReleased(
  log: Log, instrument: string, dayObs: DayObs, a: DiaSourcesAssociated, sequence: number, packets: readonly Packet[],
  now: () => number, testMessage: string | null,
): Promise<void> {
  const stream = streams.released(instrument, dayObs);
  for (const [index, packet] of packets.entries()) {
    await log.js.publish(subjects.released(instrument, dayObs, a.band), packet.bytes, {
      msgID: String(packet.diaSourceId), headers: headersOf(packet, a, sequence, index, now(), testMessage),
      expect: { lastSequence: await lastSequence(log, stream) ?? 0 },
    });
  }
}

/** Room for the headers of an alert in a message: they have about 1.2 kB, most of it neighbours. */
const HEADER_BYTES_MAX = 8192;

function reasonOf(failed: PromiseSettledResult<unknown> | undefined): string {
  return failed?.status === 'rejected' ? String((failed.reason as Error).message) : 'it says that all are there';
}

function isNew(ack: PubAck): boolean {
  return !ack.duplicate;
}

/** What the message of an alert tells without decoding. */
function headersOf(
  packet: Packet, a: DiaSourcesAssociated, sequence: number, index: number, nowMs: number, testMessage: string | null,
): MsgHdrs {
  const h = newHeaders();
  h.set(alertHeaders.schemaId, String(ALERT_SCHEMA_ID));
  h.set(alertHeaders.visit, String(a.visit));
  h.set(alertHeaders.detector, String(a.detector));
  h.set(alertHeaders.ra, String(packet.ra));
  h.set(alertHeaders.dec, String(packet.dec));
  h.set(alertHeaders.band, a.band);
  h.set(alertHeaders.diaSourceId, String(packet.diaSourceId));
  if (packet.diaObjectId !== null) h.set(alertHeaders.diaObjectId, String(packet.diaObjectId));
  if (packet.snr !== null) h.set(alertHeaders.snr, String(packet.snr));
  if (packet.reliability !== null) h.set(alertHeaders.reliability, String(packet.reliability));
  if (packet.neighbours !== null) {
    h.set(alertHeaders.neighbours, neighboursJson(decodeNeighbours(packet.neighbours)));
  }
  if (testMessage !== null) h.set(alertHeaders.testMessage, testMessage);
  h.set(alertHeaders.commitSequence, String(sequence));
  h.set(alertHeaders.commitIndex, String(index));
  h.set(alertHeaders.publishedAt, new Date(nowMs).toISOString());
  return h;
}
