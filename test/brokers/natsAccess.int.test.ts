/** What a broker's key opens on a real server, and what it does not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { nanos, nkeyAuthenticator, nkeys, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { grantAccess } from '../../brokers/access.ts';
import { consumeAlerts } from '../../brokers/consume.ts';
import { startStores, type Stores } from '../../engine/setup/services.mjs';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { lastSequence, openNightStreams } from '../../engine/stream/streams.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { INSTRUMENT, NIGHT, samplePacket } from './sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT), FILTERED = streams.filtered(INSTRUMENT, NIGHT);
const COMMITS = streams.commits(INSTRUMENT, NIGHT);
const ana = nkeys.createUser();

let dataDir: string, stores: Stores, log: Log, broker: NatsConnection;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'vesper-access-'));
  // A stream that was there before the first broker stays.
  const before = await startStores({ dataDir, need: { nats: true, postgres: false, redis: false }, env: { PATH: process.env.PATH } });
  const early = await openLog(before.natsUrl, 'test', () => undefined);
  await openNightStreams(early, INSTRUMENT, NIGHT);
  await early.js.publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), samplePacket(0));
  await closeLog(early);
  await before.stop();
  grantAccess(dataDir, { user: 'ana', isOperator: false, hasPixels: true, natsPublicKey: ana.getPublicKey() });
  grantAccess(dataDir, { user: 'web', isOperator: false, hasPixels: false, natsPublicKey: null });
  stores = await startStores({ dataDir, need: { nats: true, postgres: false, redis: false }, env: { PATH: process.env.PATH } });
  log = await openLog(stores.natsUrl, 'test', () => undefined);
  await openNightStreams(log, INSTRUMENT, NIGHT);
  for (let i = 1; i < 5; i++) await log.js.publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), samplePacket(i));
  await log.js.publish(subjects.filtered('ana', 'mine', INSTRUMENT, NIGHT), 'for ana');
  await log.js.publish(subjects.filtered('ben', 'his', INSTRUMENT, NIGHT), 'for ben');
  await log.js.publish(subjects.commits(INSTRUMENT, NIGHT), 'a commit');
  broker = await connect({
    servers: publicUrl(), authenticator: nkeyAuthenticator(ana.getSeed()), inboxPrefix: '_INBOX_ana', timeout: 2000,
  });
}, 30_000);
afterAll(async () => {
  await broker.close();
  await closeLog(log);
  await stores.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const publicUrl = (): string => stores.natsUrl.replace(/\/\/[^@]*@/, '//');

async function read(stream: string, filter: string, name = 'ana'): Promise<string[]> {
  const jsm = await jetstreamManager(broker, { checkAPI: false, timeout: 1000 });
  await jsm.consumers.add(stream, { durable_name: name, ack_policy: AckPolicy.Explicit, filter_subject: filter });
  const consumer = await jetstream(broker, { timeout: 1000 }).consumers.get(stream, name);
  const found: string[] = [];
  for await (const message of await consumer.fetch({ max_messages: 10, expires: 1000 })) {
    found.push(message.subject);
    message.ack();
  }
  await broker.flush();
  return found;
}

test('without a key, or with another one, nobody comes in', async () => {
  await expect(connect({ servers: publicUrl(), timeout: 2000 })).rejects.toThrow(/authorization/i);
  const stranger = nkeyAuthenticator(nkeys.createUser().getSeed());
  await expect(connect({ servers: publicUrl(), authenticator: stranger, timeout: 2000 })).rejects.toThrow(/authorization/i);
});

test('a broker reads the full stream and the matches of its own filters, and acknowledges them', async () => {
  expect(await read(ALERTS, subjects.alertsAll(INSTRUMENT, NIGHT))).toHaveLength(5);
  expect(await read(FILTERED, `filtered.ana.*.${INSTRUMENT}.${NIGHT}`)).toEqual([subjects.filtered('ana', 'mine', INSTRUMENT, NIGHT)]);
  expect((await log.jsm.consumers.info(ALERTS, 'ana')).num_ack_pending).toBe(0);
});

test.each([
  ['the commits', () => read(COMMITS, subjects.commits(INSTRUMENT, NIGHT))],
  ['the matches of others', () => read(FILTERED, subjects.filtered('ben', 'his', INSTRUMENT, NIGHT))],
  ['all matches', () => read(FILTERED, subjects.filteredAll(INSTRUMENT, NIGHT))],
  ['through another\'s consumer', () => read(ALERTS, subjects.alertsAll(INSTRUMENT, NIGHT), 'full')],
] as const)('a broker cannot read %s', async (_, work) => {
  await expect(work()).rejects.toThrow();
});

test('a broker cannot write into the log, delete from it, or listen to others\' answers', async () => {
  const before = await Promise.all([ALERTS, COMMITS, FILTERED].map((stream) => lastSequence(log, stream)));
  const js = jetstream(broker, { timeout: 1000 });
  for (const subject of [subjects.alerts(INSTRUMENT, NIGHT, 'r'), subjects.commits(INSTRUMENT, NIGHT),
    subjects.filtered('ana', 'mine', INSTRUMENT, NIGHT), 'filter.ana.mine', 'cmd.minicam.start']) {
    await expect(js.publish(subject, 'forged'), subject).rejects.toThrow();
  }
  const jsm = await jetstreamManager(broker, { checkAPI: false, timeout: 1000 });
  await expect(jsm.streams.delete(ALERTS)).rejects.toThrow();
  await expect(jsm.streams.purge(ALERTS)).rejects.toThrow();
  for (const subject of ['_INBOX.>', '_INBOX_ben.>', 'alerts.>', '>']) {
    const heard = broker.subscribe(subject, { max: 1, timeout: 300 });
    const answer = (async () => { for await (const message of heard) return message.subject; return null; })();
    await expect(answer, subject).rejects.toThrow();
  }
  // A request for messages whose answers were to go into the log: what is delivered must not be taken as an entry.
  broker.publish(`$JS.API.CONSUMER.MSG.NEXT.${ALERTS}.ana`, JSON.stringify({ batch: 1, no_wait: true }), {
    reply: subjects.commits(INSTRUMENT, NIGHT),
  });
  await broker.flush();
  await log.connection.flush();
  const after = await Promise.all([ALERTS, COMMITS, FILTERED].map((stream) => lastSequence(log, stream)));
  expect(after).toEqual(before);
});

test('a broker that never acknowledges, asks without end and knocks at closed doors keeps nobody from their alerts', async () => {
  const rude = await connect({
    servers: publicUrl(), authenticator: nkeyAuthenticator(ana.getSeed()), inboxPrefix: '_INBOX_ana', timeout: 5000,
  });
  const jsm = await jetstreamManager(rude, { checkAPI: false, timeout: 5000 });
  await jsm.consumers.delete(ALERTS, 'ana');
  // All is sent again after a millisecond, as much of it as is asked for, and nothing is ever acknowledged.
  await jsm.consumers.add(ALERTS, {
    durable_name: 'ana', ack_policy: AckPolicy.Explicit, ack_wait: nanos(1), max_ack_pending: -1,
    filter_subject: subjects.alertsAll(INSTRUMENT, NIGHT),
  });
  let taken = 0;
  rude.subscribe('_INBOX_ana.flood', { callback: () => { taken++; } });
  const flood = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      rude.publish(`$JS.API.CONSUMER.MSG.NEXT.${ALERTS}.ana`, JSON.stringify({ batch: 50, no_wait: true }), { reply: '_INBOX_ana.flood' });
      rude.publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), 'forged');
      rude.publish(`$JS.API.STREAM.DELETE.${ALERTS}`, '');
    }
  }, 5);
  try {
    const before = await lastSequence(log, ALERTS) ?? 0, ids: number[] = [], stop = new AbortController();
    const good = consumeAlerts({
      connection: log.connection, stream: ALERTS, durable: 'good', from: { sequence: before + 1 }, signal: stop.signal,
      onAlert: ({ seq }) => { ids.push(seq); if (ids.length === 300) stop.abort(); },
    });
    for (let i = 0; i < 300; i++) {
      await log.js.publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), samplePacket(100 + i, {}, 20_000));
    }
    await good;
    expect(ids).toEqual(Array.from({ length: 300 }, (_, i) => before + 1 + i));
    expect(await lastSequence(log, ALERTS)).toBe(before + 300);
    expect(taken).toBeGreaterThan(300); // It did misbehave.
  } finally {
    clearInterval(flood);
    await rude.close();
  }
}, 60_000);
