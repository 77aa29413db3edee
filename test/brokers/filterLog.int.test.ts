import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { grantAccess } from '../../brokers/access.ts';
import { startDashboard, type Dashboard } from '../../brokers/dashboard/server.ts';
import { activateFilter, newestNight } from '../../brokers/filters/activation.ts';
import { openFilterLog, type Actor, type FilterLog } from '../../brokers/filters/filterLog.ts';
import { auditSelections } from '../../brokers/filters/selectionCheck.ts';
import { runFilterService } from '../../brokers/filters/service.ts';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { encodeDiaSource } from '../../schemas/avro.ts';
import { asDetectorId, diaSourceIdOf, partsOfDiaSourceId, visitOf } from '../../schemas/ids.ts';
import { assemblePacket, splitPacket } from '../../schemas/packet.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, samplePacket, sampleSource } from './sampleAlerts.ts';

const ana: Actor = { user: 'ana', isOperator: false }, ops: Actor = { user: 'ops', isOperator: true };
const trial = { instrument: INSTRUMENT, dayObs: NIGHT, evaluated: 9, matched: 1, share: 0.1, shareMax: 0.25 };
const text = { expression: 'diaSource.snr > 15.0', summary: 'the best' };

let nats: TestNats, log: Log, dataDir: string, filters: FilterLog;
beforeAll(async () => {
  nats = await startTestNats();
  log = await openLog(nats.url, 'test', () => undefined);
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-filters-'));
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  await archive.append(Array.from({ length: 20 }, (_, i) => readPacket({ packet: samplePacket(i), sequence: i + 1 })));
  await archive.close();
}, 30_000);
afterAll(async () => {
  await closeLog(log);
  await nats.stop();
  await rm(dataDir, { recursive: true, force: true });
});
beforeEach(async () => {
  const wanted = [
    [streams.alerts(INSTRUMENT, NIGHT), subjects.alertsAll(INSTRUMENT, NIGHT)],
    [streams.filtered(INSTRUMENT, NIGHT), subjects.filteredAll(INSTRUMENT, NIGHT)],
    [streams.pipeline(INSTRUMENT), subjects.pipelineAll(INSTRUMENT)],
    [streams.observatory(INSTRUMENT), subjects.observatoryAll(INSTRUMENT)],
  ] as const;
  await nats.jsm.streams.delete(streams.filterChanges()).catch(() => false);
  for (const [name, subject] of wanted) {
    await nats.jsm.streams.delete(name).catch(() => false);
    await nats.jsm.streams.add({ name, subjects: [subject] });
  }
  filters = await openFilterLog(nats.connection);
});

async function publish(visitNumber: number, from: number, to: number): Promise<void> {
  const visit = visitOf(NIGHT, visitNumber);
  for (let counter = from; counter < to; counter++) {
    const diaSourceId = diaSourceIdOf(visit, asDetectorId(4), counter);
    const diaSource = encodeDiaSource(sampleSource(counter, { diaSourceId, visit: BigInt(visit) }));
    const packet = assemblePacket({
      ...splitPacket(samplePacket(counter)), diaSourceId, diaSource,
    });
    await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), packet);
  }
}

async function serve(): Promise<void> {
  const roster = await openFilterLog(nats.connection);
  await runFilterService({
    connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, filters: [], roster,
    signal: new AbortController().signal, untilCaughtUp: true,
  });
}

/** `visit number:counter` of what a filter has delivered. */
async function delivered(user: string, name: string): Promise<string[]> {
  const found: string[] = [];
  const subject = subjects.filtered(user, name, INSTRUMENT, NIGHT);
  for await (const { data } of readStored(log, streams.filtered(INSTRUMENT, NIGHT), 1, undefined, subject)) {
    const { visit, counter } = partsOfDiaSourceId(splitPacket(data).diaSourceId);
    found.push(`${visit % 100_000}:${counter}`);
  }
  return found;
}

test('a filter holds for visits that begin after its activation, a new version from the next visit on', async () => {
  await publish(1, 0, 3);
  await filters.define(ana, 'ana', 'mine', true, { ...text, expression: 'diaSource.snr > 0.5' });
  await filters.activate(ana, 'ana', 'mine', 1, trial);
  await publish(1, 3, 5); // Of a visit that had begun before.
  await publish(2, 0, 3);
  await filters.define(ana, 'ana', 'mine', false, { ...text, expression: 'diaSource.snr > 3.5' });
  await filters.activate(ana, 'ana', 'mine', 2, trial);
  await publish(2, 3, 5);
  await publish(3, 0, 6);
  await filters.deactivate(ana, 'ana', 'mine');
  await publish(4, 0, 6);
  await serve();
  await serve(); // Again, as after a crash: nothing is doubled.
  expect(await delivered('ana', 'mine')).toEqual(['2:4', '2:3', '2:2', '2:1', '3:5', '3:4']);
  expect(await auditSelections(log, INSTRUMENT, NIGHT, filters)).toMatchObject({
    selections: 2, matched: 6, selected: 6, waiting: 0, violations: [],
  });
});

test('a filter of operators without a rank passes the alerts stored while it was active', async () => {
  await filters.define(ops, 'ops', 'all', true, { expression: 'diaSource.snr >= 0.0', summary: '' });
  await publish(1, 0, 2);
  await filters.activate(ops, 'ops', 'all', 1, trial);
  await publish(1, 2, 4);
  await filters.deactivate(ops, 'ops', 'all');
  await publish(1, 4, 6);
  await serve();
  await serve();
  expect(await delivered('ops', 'all')).toEqual(['1:2', '1:3']);
});

test('filters are owned, capped by default, checked before they are recorded, and fenced', async () => {
  const { versions } = await filters.define(ana, 'ana', 'mine', true, text);
  expect(versions[0].definition.rank).toBe('diaSource.snr');
  const ben: Actor = { user: 'ben', isOperator: false };
  await expect(filters.define(ben, 'ana', 'mine', false, text)).rejects.toMatchObject({ status: 403 });
  await expect(filters.activate(ben, 'ana', 'mine', 1, trial)).rejects.toMatchObject({ status: 403 });
  await expect(filters.define(ana, 'ana', 'mine', true, text)).rejects.toMatchObject({ status: 409 });
  await expect(filters.define(ana, 'ana', 'no', false, text)).rejects.toMatchObject({ status: 404 });
  await expect(filters.define(ana, 'ana', 'bad', true, { ...text, expression: 'diaSource.nope > 1.0' }))
    .rejects.toMatchObject({ status: 422, message: expect.stringContaining('nope') });
  await expect(filters.activate(ana, 'ana', 'mine', 7, trial)).rejects.toMatchObject({ status: 404 });
  await expect(filters.deactivate(ana, 'ana', 'mine')).rejects.toMatchObject({ status: 409 });
  const other = await openFilterLog(nats.connection);
  const both = await Promise.allSettled([
    filters.define(ana, 'ana', 'mine', false, text), other.define(ana, 'ana', 'mine', false, text),
  ]);
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('the filters that ship are recorded once and at work; bright stays, another one that was put off stays off', async () => {
  await filters.recordShipped();
  await filters.deactivate(ops, 'vesper', 'supernova');
  await filters.recordShipped();
  expect(filters.find('vesper', 'supernova').active).toBeNull();
  expect(filters.find('vesper', 'bright')).toMatchObject({ active: 1, sequence: 2 });
  await expect(filters.deactivate(ops, 'vesper', 'bright')).rejects.toMatchObject({ status: 409 });
});

test('activation is refused above the share and without a night, and records its trial', async () => {
  const night = await newestNight(dataDir, INSTRUMENT);
  await filters.define(ana, 'ana', 'mine', true, text);
  await filters.define(ana, 'ana', 'much', true, { ...text, expression: 'diaSource.snr > 1.0' });
  const much = filters.definition('ana', 'much', null), mine = filters.definition('ana', 'mine', null);
  await expect(activateFilter(filters, ana, much, night)).rejects.toThrow(/passes 90\.0 % of the alerts/);
  await expect(activateFilter(filters, ana, mine, null)).rejects.toThrow(/no night/);
  const { record } = await activateFilter(filters, ana, mine, night);
  expect(record).toMatchObject({ active: 1, trial: { evaluated: 20, matched: 4, share: 0.2 } });
});

test('over HTTP a filter is made, tried, activated and put off; with users that takes their tokens', async () => {
  const home = await mkdtemp(join(tmpdir(), 'vesper-http-'));
  const archive = await openArchive(home, INSTRUMENT, NIGHT);
  await archive.append(Array.from({ length: 20 }, (_, i) => readPacket({ packet: samplePacket(i), sequence: i + 1 })));
  await archive.close();
  const page: Dashboard = await startDashboard({
    connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0, dataDir: home,
  });
  const ask = async (method: string, path: string, body?: unknown, more: Record<string, string> = {}) => {
    const response = await fetch(new URL(path, page.url), {
      method, headers: { 'content-type': 'application/json', ...more },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const said = await response.text();
    return { status: response.status, body: said.startsWith('{') ? JSON.parse(said) : said };
  };
  try {
    const region = { kind: 'cone', ra: 150, dec: -2.5, radiusArcsec: 3600 };
    expect(await ask('PUT', 'filters/ana/web', { ...text, region })).toMatchObject({ status: 201, body: { active: null } });
    expect(await ask('POST', 'filters/ana/web/test')).toMatchObject({ status: 200, body: { matched: 4, refusal: null } });
    expect(await ask('POST', 'filters/ana/web/activate', { version: 1 })).toMatchObject({ status: 200, body: { active: 1 } });
    expect(await ask('PUT', 'filters/ana/web', text)).toMatchObject({ status: 200 });
    expect((await ask('GET', 'filters/ana/web')).body.versions).toHaveLength(2);
    expect((await ask('GET', 'filters')).body.filters).toHaveLength(1);
    const refused: readonly (readonly [number, string, string, unknown, Record<string, string>?])[] = [
      [404, 'GET', 'filters/ana/none', undefined], [404, 'GET', 'filters/..%2f..%2fetc/passwd', undefined],
      [404, 'PUT', 'filters/ana/a%00b', text], [405, 'DELETE', 'filters/ana/web', undefined],
      [400, 'PUT', 'filters/ana/x', '{"expression":'], [400, 'PUT', 'filters/ana/x', { expression: 1 }],
      [400, 'PUT', 'filters/ana/x', { ...text, __proto__x: 1 }],
      [422, 'PUT', 'filters/ana/x', { expression: '"); DROP TABLE' }],
      [422, 'PUT', 'filters/ana/x', { ...text, region: { kind: 'moc', moc: '../..' } }],
      [422, 'PUT', 'filters/ana/x', { ...text, summary: 'a\u0007b' }],
      [400, 'POST', 'filters/ana/web/test', { night: '20261120; rm' }],
      [400, 'POST', 'filters/ana/web/test', { night: 20269999 }],
      [403, 'POST', 'filters/ana/web/activate', { shareMax: 1 }],
      [413, 'PUT', 'filters/ana/x', 'x'.repeat(300_000)],
      [415, 'PUT', 'filters/ana/x', text, { 'content-type': 'text/plain' }],
      [403, 'PUT', 'filters/ana/x', text, { origin: 'http://evil.example' }],
    ];
    for (const [status, method, path, body, more] of refused) {
      const answer = await ask(method, path, body, more);
      expect({ status: answer.status, path, body }).toEqual({ status, path, body });
    }
    const token = grantAccess(home, { user: 'ana', isOperator: false, hasPixels: false, natsPublicKey: null });
    const as = (value: string) => ({ authorization: value });
    expect((await ask('POST', 'filters/ana/web/deactivate')).status).toBe(401);
    expect((await ask('POST', 'filters/ana/web/deactivate', {}, as(`Bearer ${'x'.repeat(43)}`))).status).toBe(401);
    expect((await ask('PUT', 'filters/ben/web', text, as(`Bearer ${token}`))).status).toBe(403);
    const basic = Buffer.from(`ana:${token}`).toString('base64');
    expect((await ask('POST', 'filters/ana/web/deactivate', {}, as(`Basic ${basic}`))).status).toBe(200);
  } finally {
    await page.close();
    await rm(home, { recursive: true, force: true });
  }
});

test('beyond loopback the page takes HTTPS and users', async () => {
  const options = { connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0, dataDir, host: '0.0.0.0' };
  await expect(startDashboard(options)).rejects.toThrow(/it takes HTTPS/);
  await expect(startDashboard({ ...options, tls: { cert: Buffer.of(), key: Buffer.of() } })).rejects.toThrow(/takes users/);
});
