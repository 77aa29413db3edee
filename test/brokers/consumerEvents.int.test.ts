/** Lag, redeliveries and drops as events of the log, on the page's view and in the metrics. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AckPolicy, jetstream } from '@nats-io/jetstream';
import { headers, nanos } from '@nats-io/nats-core';
import { consumeAlerts } from '../../brokers/consume.ts';
import { reportConsumers } from '../../brokers/consumerEvents.ts';
import { prometheusText } from '../../brokers/consumerMetrics.ts';
import { emptyNight, evolve } from '../../brokers/dashboard/nightView.ts';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { runFilterService, type FilterProgress } from '../../brokers/filters/service.ts';
import { jetStreamOf } from '../../brokers/messageFeed.ts';
import type { Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { openInstrumentStreams, openNightStreams } from '../../engine/stream/streams.ts';
import { parsePipelineEvent } from '../../schemas/eventValidation.ts';
import type { PipelineEvent } from '../../schemas/events.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { alertHeaders, streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, samplePacket } from './sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT);

let nats: TestNats, log: Log;
beforeAll(async () => {
  nats = await startTestNats();
  log = { connection: nats.connection, ...await jetStreamOf(nats.connection) };
  await openInstrumentStreams(log, INSTRUMENT);
  await openNightStreams(log, INSTRUMENT, NIGHT);
  for (let i = 0; i < 30; i++) {
    const h = headers();
    if (i % 3 === 0) h.set(alertHeaders.testMessage, 'simulated');
    await log.js.publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), samplePacket(i), { headers: h });
  }
}, 30_000);
afterAll(() => nats.stop());

type Sampled = Extract<PipelineEvent, { type: 'ConsumersSampled' }>;

async function sampled(filters: readonly FilterProgress[] = []): Promise<Sampled[]> {
  const ended = AbortSignal.abort(); // One look.
  await reportConsumers({ connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, filters: () => filters, signal: ended });
  const found: Sampled[] = [];
  for await (const { data } of readStored(log, streams.pipeline(INSTRUMENT))) {
    const event = parsePipelineEvent(data).data;
    if (event.type === 'ConsumersSampled') found.push(event);
  }
  return found;
}

test('what a consumer is owed, holds, and was sent twice is an event of the night, on the page and in the metrics', async () => {
  await log.jsm.consumers.add(ALERTS, { durable_name: 'lazy', ack_policy: AckPolicy.Explicit, ack_wait: nanos(300) });
  const lazy = await jetstream(log.connection).consumers.get(ALERTS, 'lazy');
  const take = async (count: number): Promise<void> => {
    for await (const message of await lazy.fetch({ max_messages: count, expires: 2000 })) if (message.seq === 1) message.ack();
  };
  await take(4);
  await sleep(700);
  await take(3); // What was not acknowledged within 0.3 s comes again.
  const filter = compileFilter({ user: 'ana', name: 'f', version: 1, expression: 'true', rank: 'diaSource.snr' });
  const filters = await runFilterService({
    connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, filters: [filter], signal: new AbortController().signal,
    untilCaughtUp: true,
  });
  const event = (await sampled(filters)).at(-1)!;
  expect(event.consumers.find(({ consumer }) => consumer === 'lazy')).toEqual({
    stream: ALERTS, consumer: 'lazy', acknowledgedUpTo: 1, pending: 26, unacknowledged: 3, redelivered: 3, waitingRequests: 0,
  });
  expect(event.filters[0]).toMatchObject({
    filter: 'ana.f@1', evaluated: 30, matched: 30, published: 20, dropped: 10, late: 0, errors: 0,
  });
  expect(event.filters[0].evaluationMicroseconds).toBeGreaterThan(0);
  expect(evolve(emptyNight(INSTRUMENT, NIGHT), event, 1).sampled).toEqual({ consumers: event.consumers, filters: event.filters });
  expect(evolve(emptyNight(INSTRUMENT, asDayObs(20261121)), event, 1).sampled).toBeNull();
  const text = prometheusText(event.consumers, event.filters);
  expect(text).toContain(`vesper_consumer_pending_messages{stream="${ALERTS}",consumer="lazy"} 26`);
  expect(text).toContain('vesper_filter_dropped_alerts{filter="ana.f@1"} 10');
}, 30_000);

test('nothing is told twice', async () => {
  const ended = new AbortController();
  const before = (await sampled()).length;
  const reporting = reportConsumers({
    connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, filters: () => [], signal: ended.signal,
  });
  ended.abort();
  await reporting; // Two looks, at the start and at the end.
  expect((await sampled()).length).toBe(before + 2); // One of these looks, and the one of `sampled` itself.
});

test('a consumer that asks for it gets real alerts alone, and owes nothing of the tests', async () => {
  const got: number[] = [];
  await consumeAlerts({
    connection: log.connection, stream: ALERTS, durable: 'real', signal: new AbortController().signal, untilCaughtUp: true,
    skipsTests: true, onAlert: ({ seq }) => { got.push(seq); },
  });
  expect(got).toEqual(Array.from({ length: 30 }, (_, i) => i + 1).filter((seq) => (seq - 1) % 3 !== 0));
  const { num_ack_pending: held, num_pending: owed } = await log.jsm.consumers.info(ALERTS, 'real');
  expect([held, owed]).toEqual([0, 0]);
});
