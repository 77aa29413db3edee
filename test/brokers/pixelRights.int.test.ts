/** Keys that come and go while the log runs, and what those get from whom pixels are withheld. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from '@nats-io/jetstream';
import { headers, nkeyAuthenticator, nkeys, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { grantAccess, pixelRights, revokeAccess } from '../../brokers/access.ts';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { runFilterService } from '../../brokers/filters/service.ts';
import { runLiteStream } from '../../brokers/liteStream.ts';
import { startStores, withoutCredentials, type Stores } from '../../engine/setup/services.mjs';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { openNightStreams } from '../../engine/stream/streams.ts';
import { decodeAlert, withoutCutouts } from '../../schemas/packet.ts';
import { alertHeaders, streams, subjects } from '../../schemas/subjects.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

const LITE = streams.lite(INSTRUMENT, NIGHT), ALERTS = streams.alerts(INSTRUMENT, NIGHT);
const ben = nkeys.createUser(), ana = nkeys.createUser();

let dataDir: string, stores: Stores, log: Log;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'vesper-pixels-'));
  stores = await startStores({ dataDir, need: { nats: true, postgres: false, redis: false }, env: { PATH: process.env.PATH } });
  log = await openLog(stores.natsUrl, 'test', () => undefined);
  await openNightStreams(log, INSTRUMENT, NIGHT);
  for (let i = 0; i < 40; i++) await publishAlert(i);
}, 30_000);
afterAll(async () => {
  await closeLog(log);
  await stores.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function publishAlert(i: number): Promise<void> {
  const h = headers();
  h.set(alertHeaders.diaSourceId, String(sampleId(i)));
  h.set(alertHeaders.neighbours, '{"stars":[],"galaxies":[]}');
  await log.js.publish(subjects.alerts(INSTRUMENT, NIGHT, i % 2 === 0 ? 'r' : 'g'), samplePacket(i, {}, 500), { headers: h });
}

const url = (): string => withoutCredentials(stores.natsUrl);
const once = { reconnect: false, timeout: 2000 } as const;
const asUser = (user: string, key: typeof ben): Promise<NatsConnection> =>
  connect({ servers: url(), authenticator: nkeyAuthenticator(key.getSeed()), inboxPrefix: `_INBOX_${user}`, ...once });
const caughtUp = { signal: new AbortController().signal, untilCaughtUp: true } as const;
const everything = async (stream: string, subject?: string): Promise<JsMsg[]> => {
  const found: JsMsg[] = [];
  for await (const message of readStored(log, stream, 1, undefined, subject)) found.push(message);
  return found;
};
async function read(connection: NatsConnection, user: string, stream: string, filter: string): Promise<number> {
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 1000 });
  await jsm.consumers.add(stream, { durable_name: user, ack_policy: AckPolicy.Explicit, filter_subject: filter });
  const consumer = await jetstream(connection, { timeout: 1000 }).consumers.get(stream, user);
  let count = 0;
  for await (const message of await consumer.fetch({ max_messages: 100, expires: 1000 })) { message.ack(); count++; }
  return count;
}

test('every alert is in the stream without cutouts once, in order, however often the service runs', async () => {
  await runLiteStream({ connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, ...caughtUp });
  await publishAlert(40);
  // Two instances at once: each finds what the other has written.
  const both = [1, 2].map(() => runLiteStream({ connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, ...caughtUp }));
  expect(await Promise.all(both)).toEqual([41, 41]);
  const sent = await everything(ALERTS), lite = await everything(LITE);
  expect(lite).toHaveLength(41);
  lite.forEach((message, i) => {
    expect(Buffer.compare(message.data, withoutCutouts(sent[i].data))).toBe(0);
    expect(decodeAlert(message.data)).toEqual({ ...decodeAlert(sent[i].data), cutoutDifference: null });
    expect(message.headers?.get(alertHeaders.neighbours)).toBe(sent[i].headers?.get(alertHeaders.neighbours));
    expect(message.subject.split('.').at(-1)).toBe(sent[i].subject.split('.').at(-1));
  });
});

test('a key holds within seconds of its grant and of its revocation, while the log runs', async () => {
  const stranger = await connect({ servers: url(), ...once });
  expect((await (await jetstreamManager(stranger)).streams.info(ALERTS)).state.messages).toBe(41); // Nobody has a key yet.
  grantAccess(dataDir, { user: 'ben', isOperator: false, hasPixels: false, natsPublicKey: ben.getPublicKey() });
  grantAccess(dataDir, { user: 'ana', isOperator: false, hasPixels: true, natsPublicKey: ana.getPublicKey() });
  // From now on those without a key may do nothing; our own connection has not noticed.
  const nameless = async (): Promise<unknown> => (await jetstreamManager(stranger, { timeout: 500 })).streams.info(ALERTS);
  await vi.waitFor(() => expect(nameless()).rejects.toThrow(), { timeout: 10_000, interval: 300 });
  const [asBen, asAna] = [await asUser('ben', ben), await asUser('ana', ana)];
  await expect(jetstream(stranger, { timeout: 500 }).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), 'forged')).rejects.toThrow();
  await publishAlert(41);
  expect(await read(asBen, 'ben', LITE, subjects.liteAll(INSTRUMENT, NIGHT))).toBe(41);
  await expect(read(asBen, 'ben', ALERTS, subjects.alertsAll(INSTRUMENT, NIGHT))).rejects.toThrow();
  expect(await read(asAna, 'ana', ALERTS, subjects.alertsAll(INSTRUMENT, NIGHT))).toBe(42);
  revokeAccess(dataDir, 'ben');
  await vi.waitFor(() => expect(asBen.isClosed()).toBe(true), { timeout: 10_000, interval: 200 });
  await expect(asUser('ben', ben)).rejects.toThrow(/authorization/i);
  expect(asAna.isClosed()).toBe(false);
  await asAna.close();
  await stranger.close();
}, 40_000);

test('matches of a user without the right come without cutouts, those of others as they were sent', async () => {
  const filter = (user: string) => compileFilter({ user, name: 'f', version: 1, expression: 'diaSource.snr > 39.0 && diaSource.snr < 42.0' });
  await runFilterService({
    connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, ...caughtUp, filters: [filter('ana'), filter('ben')],
    hasPixels: pixelRights(dataDir),
  });
  const matches = (user: string) => everything(
    streams.filtered(INSTRUMENT, NIGHT), subjects.filtered(user, 'f', INSTRUMENT, NIGHT),
  );
  const [anas, bens] = [await matches('ana'), await matches('ben')];
  expect(anas.map(({ data }) => Buffer.compare(data, samplePacket(40, {}, 500)))[0]).toBe(0);
  expect(bens.map(({ data }) => decodeAlert(data).cutoutDifference)).toEqual([null, null]);
  expect(bens.map(({ data }) => decodeAlert(data).diaSourceId)).toEqual(anas.map(({ data }) => decodeAlert(data).diaSourceId));
});
