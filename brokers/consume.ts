/** The full stream for a broker: a durable pull consumer, and what the server knows about it. */
import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type ConsumerConfig,
  type ConsumerInfo,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/nats-core';
import { alertHeaders } from '../schemas/subjects.ts';
import { brokersConfig } from './config.ts';
import { feedMessages, jetStreamOf, type FeedOptions } from './messageFeed.ts';

/** Where a durable consumer begins when it is made; an existing one goes on where it is. */
export type ConsumeFrom = Readonly<{ sequence: number }> | Readonly<{ time: Date }>;

export type ConsumeOptions = FeedOptions &
  Readonly<{
    durable: string;
    /** By default the start of the stream. */
    from?: ConsumeFrom;
    /** Test messages (header `test-message`) are acknowledged and not handed over. */
    skipsTests?: boolean;
    /** Only messages of this subject; not together with `from`. */
    subject?: string;
    /** The alert counts as delivered when this returns; it may come again after a crash. */
    onAlert: (message: JsMsg) => Promise<void> | void;
  }>;

/** Messages asked for ahead, and those delivered and not acknowledged, at most. */
export type ReadAhead = Readonly<{ readAheadMax: number; pendingMax: number }>;

/** A durable consumer as the server sees it. */
export type ConsumerState = Readonly<{
  /** Messages acknowledged. */
  delivered: number;
  /** Messages waiting, and messages sent but not acknowledged. */
  owed: number;
  /** Of those, sent more than once. */
  redelivered: number;
  /** Stream sequence up to which everything was acknowledged. */
  lastSequence: number;
}>;

/**
 * Hands every message of a stream to `onAlert`, one at a time and in order, and acknowledges each after it returned.
 * Resolves with the count of handled messages when `signal` fires or, if asked, when nothing is owed any more.
 *
 * @throws what `onAlert` throws: the message is owed still, and comes again.
 * @throws Error when there is no such stream, or the connection is lost for good.
 */
export async function consumeAlerts(options: ConsumeOptions): Promise<number> {
  let handled = 0;
  const handle = async (messages: readonly JsMsg[]): Promise<void> => {
    for (const message of messages) {
      if (options.signal.aborted) return;
      const isSkipped = options.skipsTests === true && Boolean(message.headers?.get(alertHeaders.testMessage));
      if (!isSkipped) {
        await options.onAlert(message);
        handled++;
      }
      message.ack();
    }
  };
  const { singleReadAheadMax: ahead } = brokersConfig;
  await consumeHandfuls(options, ahead, handle, { readAheadMax: ahead, pendingMax: 2 * ahead });
  return handled;
}

/** As `consumeAlerts`, a handful at a time; `handle` acknowledges the messages itself. */
export async function consumeHandfuls(
  options: Omit<ConsumeOptions, 'onAlert'>,
  handfulMax: number,
  handle: (messages: readonly JsMsg[]) => Promise<void>,
  limits: ReadAhead = { readAheadMax: brokersConfig.feedMessagesMax, pendingMax: brokersConfig.ackPendingMax },
): Promise<void> {
  const { js, jsm } = await jetStreamOf(options.connection);
  await ensureDurable(jsm, options, limits.pendingMax);
  const consumer = await js.consumers.get(options.stream, options.durable);
  const isCaughtUp = async (): Promise<boolean> => {
    const info = await jsm.consumers.info(options.stream, options.durable);
    return info.num_pending === 0 && info.num_ack_pending === 0;
  };
  const kind = { handfulMax, readAheadMax: limits.readAheadMax, isAcknowledged: true };
  await feedMessages(options, consumer, kind, handle, isCaughtUp);
}

/**
 * What a durable consumer has had and is owed. Null when there is no such consumer (or stream).
 *
 * For a consumer of a whole stream the counts come from one answer of the server, so that they fit each other
 * while the night runs.
 */
export async function consumerState(
  connection: NatsConnection,
  stream: string,
  durable: string,
): Promise<ConsumerState | null> {
  const { jsm } = await jetStreamOf(connection);
  const info = await infoOrNull(jsm, stream, durable);
  if (info === null) return null;
  const { delivered, owed } = info.config.filter_subject
    ? splitFiltered(info, await countOnSubject(jsm, stream, info.config.filter_subject))
    : splitWhole(info);
  return { delivered, owed, redelivered: info.num_redelivered, lastSequence: info.ack_floor.stream_seq };
}

/**
 * A consumer of the whole stream: from its start on, sequences count messages, because nothing is deleted.
 *
 * nats-server 2.9.10 takes a message that it could not send again for one that was never sent (`delivered` steps
 * back, `num_pending` grows), so their sum is trusted, and never fewer are acknowledged than the floor says.
 */
function splitWhole(info: ConsumerInfo): Readonly<{ delivered: number; owed: number }> {
  const before = Math.max(1, info.config.opt_start_seq ?? 1) - 1;
  const sent = info.delivered.stream_seq - before;
  const delivered = Math.max(sent - info.num_ack_pending, info.ack_floor.stream_seq - before, 0);
  return { delivered, owed: sent + info.num_pending - delivered };
}

/** A consumer of one subject: the stream says how many messages that has. */
function splitFiltered(info: ConsumerInfo, count: number): Readonly<{ delivered: number; owed: number }> {
  const owed = Math.min(count, info.num_pending + info.num_ack_pending);
  return { delivered: count - owed, owed };
}

async function ensureDurable(
  jsm: JetStreamManager, options: Omit<ConsumeOptions, 'onAlert'>, pendingMax: number,
): Promise<void> {
  const { stream, durable, from, subject } = options;
  if (from !== undefined && subject !== undefined) throw new Error(`consumer ${durable}: give either from or subject`);
  if ((await infoOrNull(jsm, stream, durable)) !== null) return;
  const config: Partial<ConsumerConfig> = {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(brokersConfig.ackWaitMs),
    max_ack_pending: pendingMax,
    max_deliver: -1,
    deliver_policy: DeliverPolicy.All,
    ...(subject === undefined ? {} : { filter_subject: subject }),
  };
  // A start by time is made a start by sequence, so that `consumerState` can tell what was before it.
  const sequence =
    from === undefined ? 1 : 'sequence' in from ? from.sequence : await sequenceAt(jsm, stream, from.time);
  const start = sequence > 1 ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: sequence } : {};
  await jsm.consumers.add(stream, { ...config, ...start });
}

/**
 * Sequence of the first message at or after `time`, one beyond the last when there is none: a consumer that is made to
 * start there stands just before it.
 */
export async function sequenceAt(jsm: JetStreamManager, stream: string, time: Date): Promise<number> {
  const probe = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartTime,
    opt_start_time: time.toISOString(),
  });
  await jsm.consumers.delete(stream, probe.name);
  return probe.delivered.stream_seq + 1;
}

async function countOnSubject(jsm: JetStreamManager, stream: string, subject: string): Promise<number> {
  const info = await jsm.streams.info(stream, { subjects_filter: subject });
  return Object.values(info.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

async function infoOrNull(jsm: JetStreamManager, stream: string, durable: string): Promise<ConsumerInfo | null> {
  try {
    return await jsm.consumers.info(stream, durable);
  } catch (error) {
    const absent: readonly number[] = [JetStreamApiCodes.ConsumerNotFound, JetStreamApiCodes.StreamNotFound];
    if (error instanceof JetStreamApiError && absent.includes(error.code)) return null;
    throw error;
  }
}
