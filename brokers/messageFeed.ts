/** Messages of a stream in handfuls: what has arrived is handed over at once, so that writes can be batched. */
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager, type Consumer, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { brokersConfig } from './config.ts';

export type FeedOptions = Readonly<{
  connection: NatsConnection;
  stream: string;
  /** Stops at once. What was delivered and not handled is owed still; it comes again after the wait. */
  signal: AbortSignal;
  /** `true`, or once this signal fires: end when the stream holds nothing that was not handled. */
  untilCaughtUp?: boolean | AbortSignal;
}>;

/** How a feed treats its consumer. */
export type FeedKind = Readonly<{
  /** Most messages handed over at once. */
  handfulMax: number;
  /** Messages asked for ahead of the handling. */
  readAheadMax: number;
  /** A durable consumer, whose messages are acknowledged: those in hand are kept alive. */
  isAcknowledged: boolean;
}>;

/**
 * Calls `handle` with the messages of `consumer` as they arrive: in order, never two handfuls at a time. Resolves
 * when `signal` fires or the stream is caught up with; `isCaughtUp` is asked only when everything delivered has
 * been handled.
 *
 * What `handle` leaves unacknowledged when the feed ends comes again after the acknowledgement wait. It is not given
 * back at once: nats-server 2.9.10 would try to send the first of it to the request that is just being withdrawn.
 *
 * @throws whatever `handle` throws, and Error when the stream cannot be read any longer.
 */
export async function feedMessages(
  options: FeedOptions,
  consumer: Consumer,
  kind: FeedKind,
  handle: (messages: readonly JsMsg[]) => Promise<void>,
  isCaughtUp: () => Promise<boolean>,
): Promise<void> {
  const messages = await consumer.consume({
    max_messages: kind.readAheadMax,
    expires: brokersConfig.pullExpiresMs,
  });
  const inbox = new Inbox(messages, kind);
  const drain = drainSignal(options.untilCaughtUp);
  const wake = (): void => inbox.wake();
  options.signal.addEventListener('abort', wake);
  drain?.addEventListener('abort', wake);
  // A slow handler must not have what waits behind it sent to it again.
  const keepAlive = setInterval(() => inbox.keepAlive(), brokersConfig.ackWaitMs / 3);
  try {
    while (!options.signal.aborted) {
      const handful = inbox.take();
      if (handful.length > 0) {
        await handle(handful);
      } else if (inbox.hasEnded()) {
        throw inbox.failure ?? new Error(`reading stream ${options.stream} ended: the connection was closed`);
      } else if (drain?.aborted === true) {
        if (await isCaughtUp()) return;
        await Promise.race([inbox.arrival(), sleep(brokersConfig.caughtUpPollMs)]);
      } else {
        await inbox.arrival();
      }
    }
  } finally {
    clearInterval(keepAlive);
    options.signal.removeEventListener('abort', wake);
    drain?.removeEventListener('abort', wake);
    messages.stop();
    if (!options.connection.isClosed()) await options.connection.flush(); // Sends the last acknowledgements.
  }
}

/** JetStream clients of a connection, with this folder's limit on waiting. */
export async function jetStreamOf(
  connection: NatsConnection,
): Promise<Readonly<{ js: ReturnType<typeof jetstream>; jsm: Awaited<ReturnType<typeof jetstreamManager>> }>> {
  const timeout = brokersConfig.requestTimeoutMs;
  return { js: jetstream(connection, { timeout }), jsm: await jetstreamManager(connection, { timeout }) };
}

function drainSignal(until: boolean | AbortSignal | undefined): AbortSignal | null {
  if (until === undefined || until === false) return null;
  return until === true ? AbortSignal.abort() : until;
}

/**
 * What has arrived and was not handled yet. An acknowledged consumer is read ahead up to `ackPendingMax`, which the
 * server keeps to; of another one a handful is read ahead, and the rest waits at the server.
 */
class Inbox {
  failure: Error | null = null;
  readonly #kind: FeedKind;
  #waiting: JsMsg[] = [];
  #inHand: readonly JsMsg[] = [];
  #isEnded = false;
  #arrived = Promise.withResolvers<void>();
  #taken = Promise.withResolvers<void>();

  constructor(messages: ConsumerMessages, kind: FeedKind) {
    this.#kind = kind;
    void this.#pump(messages);
  }

  take(): readonly JsMsg[] {
    this.#inHand = this.#waiting.splice(0, this.#kind.handfulMax);
    this.#taken.resolve();
    this.#taken = Promise.withResolvers<void>();
    if (!this.#isEnded) this.#arrived = Promise.withResolvers<void>();
    return this.#inHand;
  }

  /** Resolves when something has arrived since the last `take`, or never will. */
  arrival(): Promise<void> {
    return this.#arrived.promise;
  }

  wake(): void {
    this.#arrived.resolve();
  }

  hasEnded(): boolean {
    return this.#isEnded && this.#waiting.length === 0;
  }

  /** Starts the acknowledgement wait of what is here anew. For messages that were acknowledged this does nothing. */
  keepAlive(): void {
    if (!this.#kind.isAcknowledged) return;
    for (const message of [...this.#inHand, ...this.#waiting]) message.working();
  }

  async #pump(messages: ConsumerMessages): Promise<void> {
    try {
      for await (const message of messages) {
        this.#waiting.push(message);
        this.#arrived.resolve();
        if (!this.#kind.isAcknowledged && this.#waiting.length >= this.#kind.handfulMax) await this.#taken.promise;
      }
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#isEnded = true;
    this.#arrived.resolve();
  }
}
