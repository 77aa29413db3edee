/** Reading a stream in order: what is there, or everything that comes until told to stop. */
import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';
import { heldSequences } from './streams.ts';

/**
 * Messages `from` … `to` of a stream in order, all of them stored already.
 *
 * @param to Last sequence wanted; by default the last one that the stream holds now.
 * @throws Error when the stream does not exist.
 */
export async function* readStored(
  log: Log, stream: string, from = 1, to?: number, subject?: string,
): AsyncGenerator<JsMsg> {
  const held = await heldSequences(log, stream);
  if (held === null) throw new Error(`there is no stream ${stream}`);
  const last = Math.min(to ?? held.last, held.last);
  if (from > last || last < held.first) return;
  const consumer = await log.js.consumers.get(stream, {
    deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from),
    ...(subject === undefined ? {} : { filter_subjects: subject }),
  });
  if ((await consumer.info()).num_pending === 0) return;
  const messages = await consumer.consume({ max_messages: 500 });
  // Messages may expire while they are read, and then the last one never comes.
  let idle = setTimeout(() => messages.stop(), streamConfig.readIdleMs);
  try {
    for await (const message of messages) {
      clearTimeout(idle);
      idle = setTimeout(() => messages.stop(), streamConfig.readIdleMs);
      if (message.seq > last) return;
      yield message;
      if (message.seq >= last || message.info.pending === 0) return;
    }
  } finally {
    clearTimeout(idle);
    messages.stop();
  }
  // Stopped from without: all that is left to read has to have gone.
  const left = await heldSequences(log, stream);
  if (left !== null && last >= left.first && last <= left.last) {
    throw new Error(`reading stream ${stream} stood still for ${streamConfig.readIdleMs / 1000} s`);
  }
}

export type Following = Readonly<{ stop(): Promise<void> }>;

/**
 * Calls `onMessage` for every message from `from` on, one at a time and in order, until stopped.
 *
 * @param onError Called once when the stream cannot be followed further or `onMessage` threw; following has then
 * ended.
 */
export async function followStream(
  log: Log, stream: string, from: number,
  onMessage: (message: JsMsg) => Promise<void> | void, onError: (error: Error) => void,
): Promise<Following> {
  const consumer = await log.js.consumers.get(stream, {
    deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from),
  });
  const messages = await consumer.consume({ max_messages: 200 });
  let isStopped = false;
  const loop = (async () => {
    for await (const message of messages) {
      if (isStopped) return;
      await onMessage(message);
    }
  })().catch((error: unknown) => {
    if (!isStopped) onError(error instanceof Error ? error : new Error(String(error)));
  });
  return {
    async stop() {
      isStopped = true;
      messages.stop();
      await loop;
    },
  };
}
