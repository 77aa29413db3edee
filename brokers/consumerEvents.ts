/** Who is owed what, as events of the night: lag, redeliveries, acknowledgements, and what filters dropped. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/nats-core';
import { encodeEvent, envelope, type FilterFigures, type PipelineEvent } from '../schemas/events.ts';
import type { DayObs, Visit } from '../schemas/ids.ts';
import { subjects } from '../schemas/subjects.ts';
import { brokersConfig } from './config.ts';
import { consumerMetrics } from './consumerMetrics.ts';
import type { FilterProgress } from './filters/service.ts';
import { jetStreamOf } from './messageFeed.ts';

export type ConsumerEventsOptions = Readonly<{
  connection: NatsConnection; instrument: string; dayObs: DayObs;
  /** What the filters have done so far. */
  filters: () => readonly FilterProgress[];
  /** Ends after one more look. */
  signal: AbortSignal;
}>;

/** Events of a night stand under visit 0. */
const NO_VISIT = 0 as Visit; // A subject token, never a visit.

/**
 * Looks every few seconds and publishes what has changed; resolves after the look that follows `signal`. A look that
 * fails is no harm: the next one tells.
 */
export async function reportConsumers(options: ConsumerEventsOptions): Promise<void> {
  const { connection, instrument, dayObs, signal } = options;
  const { js } = await jetStreamOf(connection);
  let told = '';
  const look = async (): Promise<void> => {
    const consumers = await consumerMetrics(connection, instrument, dayObs);
    const figures = { consumers, filters: options.filters().map(figuresOf) };
    const untimed = figures.filters.map((each) => ({ ...each, evaluationMicroseconds: 0 }));
    const text = JSON.stringify({ consumers, filters: untimed });
    if (text === told) return;
    const event: PipelineEvent = { type: 'ConsumersSampled', instrument, dayObs, group: '', ...figures };
    const id = `${instrument}.${dayObs}.ConsumersSampled.${Date.now()}`;
    const subject = subjects.pipeline(instrument, NO_VISIT, 'all', event.type);
    await js.publish(subject, encodeEvent(envelope(id, event, Date.now())), { msgID: id });
    told = text;
  };
  while (!signal.aborted && !connection.isClosed()) {
    await look().catch(() => undefined);
    await sleep(brokersConfig.consumerSampleMs, undefined, { signal }).catch(() => undefined);
  }
  if (!connection.isClosed()) await look().catch(() => undefined);
}

function figuresOf(progress: FilterProgress): FilterFigures {
  const { filter, evaluated, matched, published, adopted, dropped, late, errors, timedEvaluations, timedMs } = progress;
  return {
    filter, evaluated, matched, published: published + adopted, dropped, late, errors,
    evaluationMicroseconds: timedEvaluations === 0 ? null : Number(((1000 * timedMs) / timedEvaluations).toFixed(2)),
  };
}
