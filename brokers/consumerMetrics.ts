/** Every consumer of a night's alerts, as the server sees it: what it was sent, has acknowledged, and is owed. */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { ConsumerFigures, FilterFigures } from '../schemas/events.ts';
import type { DayObs } from '../schemas/ids.ts';
import { streams } from '../schemas/subjects.ts';
import { jetStreamOf } from './messageFeed.ts';

/** Durable consumers of a night's ALERTS, FILTERED and LITE, by stream and name; none where there is no such stream. */
export async function consumerMetrics(
  connection: NatsConnection, instrument: string, dayObs: DayObs,
): Promise<readonly ConsumerFigures[]> {
  const { jsm } = await jetStreamOf(connection);
  const all = await Promise.all([streams.alerts, streams.filtered, streams.lite]
    .map((nameOf) => ofStream(jsm, nameOf(instrument, dayObs))));
  return all.flat();
}

async function ofStream(jsm: JetStreamManager, stream: string): Promise<readonly ConsumerFigures[]> {
  const found: ConsumerFigures[] = [];
  try {
    for await (const info of jsm.consumers.list(stream)) {
      if (!info.config.durable_name) continue; // Of a reader that comes and goes.
      found.push({
        stream, consumer: info.name, acknowledgedUpTo: info.ack_floor.stream_seq, pending: info.num_pending,
        unacknowledged: info.num_ack_pending, redelivered: info.num_redelivered, waitingRequests: info.num_waiting,
      });
    }
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
  }
  return found.sort((a, b) => (a.consumer < b.consumer ? -1 : 1));
}

const SHOWN = {
  acknowledgedUpTo: 'acknowledged_sequence', pending: 'pending_messages', unacknowledged: 'unacknowledged_messages',
  redelivered: 'redelivered_messages', waitingRequests: 'waiting_requests',
} as const satisfies Partial<Record<keyof ConsumerFigures, string>>;

const SHOWN_OF_FILTERS = {
  evaluated: 'evaluated_alerts', matched: 'matched_alerts', published: 'published_alerts', dropped: 'dropped_alerts',
  late: 'late_alerts', errors: 'failed_evaluations', evaluationMicroseconds: 'evaluation_microseconds',
} as const satisfies Partial<Record<keyof FilterFigures, string>>;

/** The same in the text format of Prometheus. Names of streams, consumers and filters need no quoting. */
export function prometheusText(
  consumers: readonly ConsumerFigures[], filters: readonly FilterFigures[] = [],
): string {
  const ofConsumers = Object.entries(SHOWN).flatMap(([key, name]) => [
    `# TYPE vesper_consumer_${name} gauge`,
    ...consumers.map((each) => `vesper_consumer_${name}{stream="${each.stream}",consumer="${each.consumer}"} `
      + `${each[key as keyof typeof SHOWN]}`),
  ]);
  const ofFilters = Object.entries(SHOWN_OF_FILTERS).flatMap(([key, name]) => [
    `# TYPE vesper_filter_${name} gauge`,
    ...filters.flatMap((each) => {
      const value = each[key as keyof typeof SHOWN_OF_FILTERS];
      return value === null ? [] : [`vesper_filter_${name}{filter="${each.filter}"} ${value}`];
    }),
  ]);
  return `${[...ofConsumers, ...(filters.length === 0 ? [] : ofFilters)].join('\n')}\n`;
}
