/**
 * Alerts without their cutouts (`lite.…`), for users from whom pixels are withheld: the same alerts in the same order,
 * each the schema's own packet with its three cutouts null.
 */
import {
  DeliverPolicy, JetStreamApiError, JetStreamApiCodes, type JetStreamClient, type JsMsg,
} from '@nats-io/jetstream';
import { headers as newHeaders, type MsgHdrs } from '@nats-io/nats-core';
import type { Log } from '../engine/stream/log.ts';
import { storedMessage, lastSequence, openLiteStream } from '../engine/stream/streams.ts';
import type { DayObs } from '../schemas/ids.ts';
import { withoutCutouts } from '../schemas/packet.ts';
import { alertHeaders, streams, subjects } from '../schemas/subjects.ts';
import { brokersConfig } from './config.ts';
import { filterHeaders } from './filters/publisher.ts';
import { feedMessages, jetStreamOf, type FeedOptions } from './messageFeed.ts';

export type LiteOptions = Omit<FeedOptions, 'stream'> & Readonly<{ instrument: string; dayObs: DayObs }>;

/**
 * Publishes every alert of a night without cutouts, once, and resolves when `signal` fires or, if asked, when all of
 * ALERTS is there. Each publication expects the one before to be the last of the stream, so that a second instance or a
 * lost acknowledgement neither doubles nor loses one; the last message tells where to go on.
 *
 * @throws Error when the server refuses for good, or the connection is lost.
 */
export async function runLiteStream(options: LiteOptions): Promise<number> {
  const { connection, instrument, dayObs } = options;
  const { js, jsm } = await jetStreamOf(connection);
  const log: Log = { connection, js, jsm };
  await openLiteStream(log, instrument, dayObs);
  const writer = new LiteWriter(log, js, instrument, dayObs);
  await writer.resume();
  const source = streams.alerts(instrument, dayObs);
  const consumer = await js.consumers.get(source, {
    deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: writer.reached + 1,
  });
  const isCaughtUp = async (): Promise<boolean> => (await jsm.streams.info(source)).state.last_seq <= writer.reached;
  const { feedMessagesMax } = brokersConfig;
  const kind = { handfulMax: feedMessagesMax, readAheadMax: feedMessagesMax, isAcknowledged: false };
  await feedMessages(
    { ...options, stream: source }, consumer, kind, (messages) => writer.write(messages), isCaughtUp,
  );
  return writer.reached;
}

class LiteWriter {
  /** Sequence in ALERTS of the last alert that is in the stream. */
  reached = 0;
  readonly #log: Log;
  readonly #js: JetStreamClient;
  readonly #instrument: string;
  readonly #dayObs: DayObs;
  #last = 0;

  constructor(log: Log, js: JetStreamClient, instrument: string, dayObs: DayObs) {
    this.#log = log;
    this.#js = js;
    this.#instrument = instrument;
    this.#dayObs = dayObs;
  }

  /** Reads where the stream ends. */
  async resume(): Promise<void> {
    const stream = streams.lite(this.#instrument, this.#dayObs);
    this.#last = await lastSequence(this.#log, stream) ?? 0;
    if (this.#last === 0) return;
    const message = await storedMessage(this.#log, stream, this.#last);
    this.reached = Number(message?.header.get(filterHeaders.alertSequence));
    if (!Number.isInteger(this.reached)) throw new Error(`the last message of ${stream} does not name its alert`);
  }

  /** Publishes what is not there yet; a refusal or a lost acknowledgement is settled by reading the stream's end. */
  async write(messages: readonly JsMsg[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const owed = messages.filter(({ seq }) => seq > this.reached);
      if (owed.length === 0) return;
      const base = this.#last;
      const acks = await Promise.allSettled(owed.map((message, i) => this.#publish(message, base + i, owed[i - 1])));
      const failed = acks.find((ack) => ack.status === 'rejected');
      if (failed === undefined && acks.every((ack) => ack.status === 'fulfilled' && !ack.value.duplicate)) {
        this.#last = base + owed.length;
        this.reached = owed[owed.length - 1].seq;
        return;
      }
      const reason: unknown = failed?.reason;
      const isRefused = reason instanceof JetStreamApiError && !FENCES.has(reason.code);
      if (isRefused || attempt >= brokersConfig.publishAttempts) {
        const why = (reason as Error | undefined)?.message ?? 'it has others';
        throw new Error(`the stream without cutouts refused an alert: ${why}`);
      }
      await this.resume();
    }
  }

  #publish(message: JsMsg, lastSequence: number, before: JsMsg | undefined): ReturnType<JetStreamClient['publish']> {
    const [band] = message.subject.split('.').slice(-1);
    return this.#js.publish(subjects.lite(this.#instrument, this.#dayObs, band), withoutCutouts(message.data), {
      msgID: idOf(message), expect: { lastSequence, ...(before && { lastMsgID: idOf(before) }) },
      headers: liteHeaders(message), timeout: brokersConfig.requestTimeoutMs,
    });
  }
}

const FENCES = new Set<number>([JetStreamApiCodes.StreamWrongLastSequence, 10070]);

function idOf({ headers, seq }: JsMsg): string {
  return headers?.get(alertHeaders.diaSourceId) || String(seq);
}

/** The alert's own headers, and its sequence in ALERTS. */
function liteHeaders({ headers, seq }: JsMsg): MsgHdrs {
  const made = newHeaders();
  for (const [name, values] of headers ?? []) {
    if (!name.toLowerCase().startsWith('nats-')) for (const value of values) made.append(name, value);
  }
  made.set(filterHeaders.alertSequence, String(seq));
  return made;
}
