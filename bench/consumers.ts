/**
 * How fast do five brokers get the full stream, and do ten slow ones beside them matter? Alerts of about 90 kB through a
 * private nats-server to durable consumers that acknowledge each. First all at once: seconds until every consumer has
 * all. Then at a steady pace, in turns with and without ten consumers that take a second an alert: the time from
 * publication to the hand of the consumers that are not slow.
 *
 *     node bench/consumers.ts [--alerts N] [--consumers N] [--slow N] [--turns N] [--pace PER_SECOND] [--json] [--keep]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { consumeAlerts } from '../brokers/consume.ts';
import { startStores, withoutCredentials } from '../engine/setup/services.mjs';
import { closeLog, openLog, type Log } from '../engine/stream/log.ts';
import { openNightStreams } from '../engine/stream/streams.ts';
import { nextDayObs, type DayObs } from '../schemas/ids.ts';
import { assemblePacket } from '../schemas/packet.ts';
import { streams, subjects } from '../schemas/subjects.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';
import { BENCH_INSTRUMENT, BENCH_NIGHT, partsMaker } from './sampleAlerts.ts';

const { values } = parseArgs({ options: {
  alerts: { type: 'string', default: '2000' }, consumers: { type: 'string', default: '5' },
  slow: { type: 'string', default: '10' }, turns: { type: 'string', default: '6' },
  pace: { type: 'string', default: '50' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const alerts = Number(values.alerts), consumerCount = Number(values.consumers), slowCount = Number(values.slow);
const turns = Number(values.turns), pace = Number(values.pace);
/** What a slow consumer takes for an alert: soon some hundreds wait for each. */
const SLOW_MS = 1000;
/** Alerts published before a turn: more than a consumer reads ahead. */
const FILL = 200;
/** Header that tells when an alert was published, ms. */
const SENT = 'bench-sent';

const partsOf = partsMaker(20261120);
const packets = Array.from({ length: 100 }, (_, n) => assemblePacket(partsOf(n)));

/** `take` gets the milliseconds from publication to the consumer's hand. */
async function startConsumers(
  url: string, stream: string, take: (latencyMs: number) => void,
): Promise<Readonly<{ stop(): Promise<void> }>> {
  const stop = new AbortController();
  const connections: NatsConnection[] = [];
  const running = Array.from({ length: consumerCount }, async (_, i) => {
    const connection = await connect({ servers: withoutCredentials(url) });
    connections.push(connection);
    await consumeAlerts({
      connection, stream, durable: `full${i}`, signal: stop.signal,
      onAlert: (message) => take(performance.now() - Number(message.headers?.get(SENT))),
    });
  });
  await sleep(500);
  return { async stop() { stop.abort(); await Promise.all(running); for (const each of connections) await each.close(); } };
}

async function publish(log: Log, dayObs: DayObs, count: number, perSecond: number): Promise<void> {
  const subject = subjects.alerts(BENCH_INSTRUMENT, dayObs, 'r');
  const started = performance.now();
  const acks: Promise<unknown>[] = [];
  for (let n = 0; n < count; n++) {
    const waitMs = started + (1000 * n) / perSecond - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const h = headers();
    h.set(SENT, String(performance.now()));
    acks.push(log.js.publish(subject, packets[n % packets.length], { headers: h }));
    if (acks.length >= 256) await Promise.all(acks.splice(0));
  }
  await Promise.all(acks);
}

async function startSlow(url: string, stream: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [
    join(import.meta.dirname, 'slowConsumers.ts'), url, stream, String(slowCount), String(SLOW_MS),
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  await sleep(500);
  return child;
}

async function fullRate(log: Log, url: string): Promise<number> {
  await openNightStreams(log, BENCH_INSTRUMENT, BENCH_NIGHT);
  let taken = 0;
  const done = Promise.withResolvers<void>();
  const consumers = await startConsumers(url, streams.alerts(BENCH_INSTRUMENT, BENCH_NIGHT), () => {
    if (++taken === alerts * consumerCount) done.resolve();
  });
  const started = performance.now();
  await publish(log, BENCH_NIGHT, alerts, Infinity);
  await done.promise;
  const seconds = (performance.now() - started) / 1000;
  await consumers.stop();
  return seconds;
}

/** Latencies of one turn, on a stream of its own, ms. */
async function steady(log: Log, url: string, dayObs: DayObs, withSlow: boolean): Promise<number[]> {
  await openNightStreams(log, BENCH_INSTRUMENT, dayObs);
  const stream = streams.alerts(BENCH_INSTRUMENT, dayObs);
  const latencies: number[] = [];
  const consumers = await startConsumers(url, stream, (latencyMs) => latencies.push(latencyMs));
  const slow = withSlow ? await startSlow(url, stream) : null;
  // What the slow ones read ahead has to be theirs before the clock runs: they then take as much as they acknowledge.
  await publish(log, dayObs, FILL, Infinity);
  while (latencies.length < FILL * consumerCount) await sleep(20);
  await sleep(1500);
  latencies.length = 0;
  const measured = Math.ceil(3 * pace);
  await publish(log, dayObs, measured, pace);
  while (latencies.length < measured * consumerCount) await sleep(20);
  if (slow !== null) {
    slow.kill('SIGTERM');
    await new Promise((resolve) => slow.once('exit', resolve));
  }
  await consumers.stop();
  return latencies;
}

const dataDir = mkdtempSync(join(tmpdir(), 'vesper-bench-consumers-'));
const stores = await startStores({ dataDir, need: { nats: true, postgres: false, redis: false } });
try {
  const log = await openLog(stores.natsUrl, 'bench', () => undefined);
  const seconds = await fullRate(log, stores.natsUrl);
  const alone: number[] = [], beside: number[] = [];
  let dayObs = BENCH_NIGHT;
  for (let turn = 0; turn < turns; turn++) {
    for (const withSlow of turn % 2 === 0 ? [false, true] : [true, false]) {
      dayObs = nextDayObs(dayObs);
      (withSlow ? beside : alone).push(...await steady(log, stores.natsUrl, dayObs, withSlow));
    }
  }
  await closeLog(log);
  const [median, medianBeside] = [spreadOf(alone).median, spreadOf(beside).median];
  reportResult(benchResult({
    bench: 'consumers',
    question: 'seconds until all full consumers have all alerts; latency to them, ms, alone and beside slow ones',
    size: { alerts, bytes: packets[0].length, consumers: consumerCount, slow: slowCount, pacePerSecond: pace },
    figures: {
      allDeliveredSeconds: spreadOf([seconds]),
      deliveriesPerSecond: spreadOf([(alerts * consumerCount) / seconds]),
      latencyAloneMs: spreadOf(alone), latencyBesideSlowMs: spreadOf(beside),
      medianRatioBesideSlow: spreadOf([medianBeside / median]),
    },
    checksum: null,
  }), { json: values.json, keep: values.keep });
} finally {
  await stores.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
