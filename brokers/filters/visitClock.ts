/** When the alerts of a visit are due: by what the log says of its readout and of its end. */
import { DeliverPolicy, JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { parseObservatoryEvent, parsePipelineEvent } from '../../schemas/eventValidation.ts';
import type { Visit } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { feedMessages, jetStreamOf } from '../messageFeed.ts';

export class VisitClock {
  readonly #jsm: JetStreamManager;
  readonly #instrument: string;
  readonly #readoutEndedMs = new Map<number, number>();

  constructor(jsm: JetStreamManager, instrument: string) {
    this.#jsm = jsm;
    this.#instrument = instrument;
  }

  /**
   * Follows the readouts since `since` until `signal` fires. Without an OBSERVATORY stream there are none, and a visit
   * ends when it is completed.
   */
  async follow(connection: NatsConnection, since: Date, signal: AbortSignal): Promise<void> {
    const stream = streams.observatory(this.#instrument);
    const { js } = await jetStreamOf(connection);
    const options = {
      filter_subjects: subjects.observatory(this.#instrument, 'DetectorRead'),
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: since.toISOString(),
    };
    const consumer = await orNull(js.consumers.get(stream, options));
    if (consumer === null) return;
    const { feedMessagesMax } = brokersConfig;
  const kind = { handfulMax: feedMessagesMax, readAheadMax: feedMessagesMax, isAcknowledged: false };
    const handle = async (messages: readonly { data: Uint8Array }[]): Promise<void> => {
      for (const { data } of messages) this.#note(data);
    };
    await feedMessages({ connection, stream, signal }, consumer, kind, handle, async () => false);
  }

  /** End of readout of a visit as known so far, Unix ms; null when no detector of it was read. */
  readoutEndedMs(visit: number): number | null {
    return this.#readoutEndedMs.get(visit) ?? null;
  }

  /** Whether PIPELINE says that all alerts of a visit are out. */
  async isCompleted(visit: Visit): Promise<boolean> {
    const subject = subjects.pipeline(this.#instrument, visit, 'all', 'VisitCompleted');
    const stored = await orNull(
      this.#jsm.streams.getMessage(streams.pipeline(this.#instrument), { last_by_subj: subject }),
    );
    if (stored === null) return false;
    const { data } = parsePipelineEvent(stored.data);
    if (data.type === 'VisitCompleted') this.#raise(visit, data.readoutEndedMs);
    return true;
  }

  #note(bytes: Uint8Array): void {
    let event;
    try {
      event = parseObservatoryEvent(bytes).data;
    } catch {
      return; // The engine reports malformed events; here they only leave the visit to its completion.
    }
    if (event.type === 'DetectorRead') this.#raise(event.visit, event.readoutEndedMs);
  }

  #raise(visit: number, readoutEndedMs: number): void {
    this.#readoutEndedMs.set(visit, Math.max(readoutEndedMs, this.#readoutEndedMs.get(visit) ?? -Infinity));
  }
}

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}
