/** Keeps the view of a night up to date from its streams. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JsMsg,
  type OrderedConsumerOptions,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { parseObservatoryEvent, parsePipelineEvent } from '../../schemas/eventValidation.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { feedMessages, jetStreamOf } from '../messageFeed.ts';
import { emptyNight, evolveAll, evolveMalformed, type NightView, type TimedEvent } from './nightView.ts';

export type NightFeed = Readonly<{ night(): NightView; stop(): Promise<void> }>;

type Start = Partial<OrderedConsumerOptions>;

/**
 * Folds OBSERVATORY and PIPELINE from the night's start and goes on as events come. A stream that does not exist yet
 * is waited for; after a lost connection reading goes on where it was, by the client.
 *
 * @param onChange Called after the view has changed.
 * @param onFailure Called with one line when a stream cannot be read further; the view stays as it is.
 */
export async function followNight(
  connection: NatsConnection,
  instrument: string,
  dayObs: DayObs,
  onChange: () => void,
  onFailure: (reason: string) => void,
): Promise<NightFeed> {
  const stop = new AbortController();
  let night = emptyNight(instrument, dayObs);
  const { js } = await jetStreamOf(connection);
  const follow = async (stream: string, parse: Parse, startOf: () => Promise<Start>): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        const consumer = await js.consumers.get(stream, await startOf());
        await feedMessages(
          { connection, stream, signal: stop.signal },
          consumer,
          KIND,
          async (messages) => {
            night = fold(night, parse, messages);
            onChange();
          },
          async () => false,
        );
      } catch (error) {
        if (stop.signal.aborted) return;
        const isMissing = error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
        if (!isMissing) return onFailure(`cannot read ${stream}: ${(error as Error).message}`);
        await sleep(brokersConfig.dashboardIntervalMs);
      }
    }
  };
  const observatory = streams.observatory(instrument);
  const opened = async (): Promise<Opened | null> => findNightOpened(js, observatory, instrument, dayObs);
  const loops = Promise.all([
    follow(observatory, parseObservatoryEvent, async () => startAtSequence(await opened())),
    follow(streams.pipeline(instrument), parsePipelineEvent, async () => startAtTime(await opened())),
  ]);
  return {
    night: () => night,
    async stop() {
      stop.abort();
      await loops;
    },
  };
}

const KIND = { handfulMax: 500, readAheadMax: brokersConfig.feedMessagesMax, isAcknowledged: false } as const;

type Parse = typeof parseObservatoryEvent | typeof parsePipelineEvent;
type Opened = Readonly<{ sequence: number; time: string }>;

function fold(night: NightView, parse: Parse, messages: readonly JsMsg[]): NightView {
  const events: TimedEvent[] = [];
  for (const { data, time } of messages) {
    try {
      const event = parse(data);
      const timeMs = Date.parse(event.time);
      events.push({ event: event.data, timeMs: Number.isFinite(timeMs) ? timeMs : time.getTime() });
    } catch {
      // Counted below and shown; what follows is read all the same.
    }
  }
  return evolveMalformed(evolveAll(night, events), messages.length - events.length);
}

/** The message that opened the night, or null: then the streams are read from their beginnings. */
async function findNightOpened(
  js: JetStreamClient,
  stream: string,
  instrument: string,
  dayObs: DayObs,
): Promise<Opened | null> {
  const consumer = await js.consumers.get(stream, {
    filter_subjects: subjects.observatory(instrument, 'NightOpened'),
  });
  const { num_pending: count } = await consumer.info();
  if (count === 0) return null;
  const messages = await consumer.fetch({ max_messages: count });
  for await (const message of messages) {
    if (isOpeningOf(message.data, dayObs)) return { sequence: message.seq, time: message.timestamp };
  }
  return null;
}

function isOpeningOf(data: Uint8Array, dayObs: DayObs): boolean {
  try {
    const { data: event } = parseObservatoryEvent(data);
    return event.type === 'NightOpened' && event.dayObs === dayObs;
  } catch {
    return false; // The fold counts it as malformed.
  }
}

function startAtSequence(opened: Opened | null): Start {
  return opened === null ? {} : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: opened.sequence };
}

function startAtTime(opened: Opened | null): Start {
  return opened === null ? {} : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: opened.time };
}
