import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { consumerMetrics, prometheusText } from '../../brokers/consumerMetrics.ts';
import { deliverToWebhook, digestLines, webhookAddress } from '../../brokers/filters/delivery.ts';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { openNightStreams } from '../../engine/stream/streams.ts';
import { subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

let nats: TestNats, log: Log, server: Server, address: URL;
const received: string[] = [];
let status = 200;
beforeAll(async () => {
  nats = await startTestNats();
  log = await openLog(nats.url, 'test', () => undefined);
  await openNightStreams(log, INSTRUMENT, NIGHT);
  for (let i = 0; i < 3; i++) {
    await jetstream(nats.connection).publish(subjects.filtered('ana', 'mine', INSTRUMENT, NIGHT), samplePacket(i));
    await jetstream(nats.connection).publish(subjects.filtered('ben', 'his', INSTRUMENT, NIGHT), samplePacket(9));
  }
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += String(chunk); });
    request.on('end', () => { received.push(body); response.writeHead(status).end(); });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  address = webhookAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`);
}, 30_000);
afterAll(async () => {
  server.close();
  await closeLog(log);
  await nats.stop();
});

const deliver = (): Promise<number> => deliverToWebhook(
  { connection: nats.connection, signal: new AbortController().signal, untilCaughtUp: true },
  INSTRUMENT, NIGHT, 'ana', 'mine', address,
);
const ids = (): unknown[] => received.map((body) => (JSON.parse(body) as { diaSource: { diaSourceId: string } }).diaSource.diaSourceId);

test('a webhook that refuses is tried again, then named; what is owed comes by the next call, once and in order', async () => {
  status = 500;
  await expect(deliver()).rejects.toThrow(/^webhook http:\/\/127\.0\.0\.1:\d+: answered 500, 5 times$/);
  expect(new Set(ids())).toEqual(new Set([String(sampleId(0))]));
  const [metrics] = await consumerMetrics(nats.connection, INSTRUMENT, NIGHT);
  expect(metrics).toMatchObject({ consumer: 'webhook_ana_mine', acknowledgedUpTo: 0 });
  expect(metrics.pending + metrics.unacknowledged).toBe(3);
  received.length = 0;
  status = 204;
  expect(await deliver()).toBe(3);
  expect(ids()).toEqual([0, 1, 2].map((counter) => String(sampleId(counter))));
  expect(await deliver()).toBe(0);
}, 60_000);

test('metrics tell of every durable consumer in the text format of Prometheus', async () => {
  const text = prometheusText(await consumerMetrics(nats.connection, INSTRUMENT, NIGHT));
  expect(text).toMatch(/^# TYPE vesper_consumer_pending_messages gauge$/m);
  expect(text).toMatch(/^vesper_consumer_pending_messages\{stream="FILTERED_minicam_20261120",consumer="webhook_ana_mine"\} 0$/m);
});

test('a digest is all matches of the one filter', async () => {
  const lines: string[] = [];
  for await (const line of digestLines(log, INSTRUMENT, NIGHT, 'ana', 'mine')) lines.push(line);
  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[0])).toMatchObject({ diaSource: { diaSourceId: String(sampleId(0)), band: 'r' }, previousSources: 0 });
  expect(lines.join('')).not.toContain('cutout');
});

test.each(['ftp://x/', 'javascript:alert(1)', 'http://u:p@x/', 'nonsense', ''])('webhook %j is refused', (text) => {
  expect(() => webhookAddress(text)).toThrow(/a webhook is an http or https address/);
});
