/** Every consumer of a night's alerts, as the server sees it: what it was sent, has acknowledged, and is owed. */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { DayObs } from '../schemas/ids.ts';
import { streams } from '../schemas/subjects.ts';
import { jetStreamOf } from './messageFeed.ts';

export type ConsumerMetrics = Readonly<{
  stream: string;
  consumer: string;
  /** Stream sequence up to which everything was acknowledged. */
  acknowledgedUpTo: number;
  /** Not sent yet: the lag. */
  pending: number;
  /** Sent, and not acknowledged yet. */
  unacknowledged: number;
  /** Of those, sent more than once. */
  redelivered: number;
  /** Requests for messages that wait at the server: 0 when the consumer is not reading. */
  waitingRequests: number;
}>;

/** Durable consumers of ALERTS and FILTERED of a night, by stream and name; none where there is no such stream. */
export async function consumerMetrics(
  connection: NatsConnection, instrument: string, dayObs: DayObs,
): Promise<readonly ConsumerMetrics[]> {
  const { jsm } = await jetStreamOf(connection);
  const all = await Promise.all([streams.alerts(instrument, dayObs), streams.filtered(instrument, dayObs)]
    .map((stream) => ofStream(jsm, stream)));
  return all.flat();
}

async function ofStream(jsm: JetStreamManager, stream: string): Promise<readonly ConsumerMetrics[]> {
  const found: ConsumerMetrics[] = [];
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
} as const satisfies Partial<Record<keyof ConsumerMetrics, string>>;

/** The same in the text format of Prometheus. Names of streams and consumers are letters, digits, - and _. */
export function prometheusText(metrics: readonly ConsumerMetrics[]): string {
  const lines = Object.entries(SHOWN).flatMap(([key, name]) => [
    `# TYPE vesper_consumer_${name} gauge`,
    ...metrics.map((each) => `vesper_consumer_${name}{stream="${each.stream}",consumer="${each.consumer}"} `
      + `${each[key as keyof typeof SHOWN]}`),
  ]);
  return `${lines.join('\n')}\n`;
}
