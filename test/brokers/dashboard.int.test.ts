import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { jetstream } from '@nats-io/jetstream';
import type { BoardMessage } from '../../brokers/dashboard/board.ts';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { startDashboard, type Dashboard } from '../../brokers/dashboard/server.ts';
import { encodeEvent, envelope, type ObservatoryEvent, type PipelineEvent } from '../../schemas/events.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';
import { sampleNightEvents } from './sampleNight.ts';

let nats: TestNats;
let dashboard: Dashboard;
beforeAll(async () => {
  nats = await startTestNats();
  await nats.jsm.streams.add({
    name: streams.observatory(INSTRUMENT),
    subjects: [subjects.observatoryAll(INSTRUMENT)],
  });
  await nats.jsm.streams.add({ name: streams.pipeline(INSTRUMENT), subjects: [subjects.pipelineAll(INSTRUMENT)] });
  await publish(sampleNightEvents({ visits: 2, detectors: 3 }));
}, 30_000);
afterAll(() => nats.stop());
beforeEach(async () => {
  dashboard = await startDashboard({ connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0 });
});
afterEach(() => dashboard.close());

async function publish(
  events: readonly Readonly<{ event: ObservatoryEvent | PipelineEvent; timeMs: number }>[],
): Promise<void> {
  for (const [i, { event, timeMs }] of events.entries()) {
    const subject =
      'visit' in event && 'detector' in event && event.type !== 'DetectorRead'
        ? subjects.pipeline(INSTRUMENT, event.visit, event.detector, event.type)
        : event.type === 'VisitCompleted'
          ? subjects.pipeline(INSTRUMENT, event.visit, 'all', event.type)
          : subjects.observatory(INSTRUMENT, event.type);
    await jetstream(nats.connection).publish(subject, encodeEvent(envelope(`e${i}`, event, timeMs)));
  }
}

/** Connects and hands over messages until one satisfies `isEnough`. */
function messagesUntil(isEnough: (message: BoardMessage) => boolean): Promise<BoardMessage[]> {
  const messages: BoardMessage[] = [];
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${dashboard.url.replace('http', 'ws')}live`);
    socket.on('error', reject);
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as BoardMessage;
      messages.push(message);
      if (!isEnough(message)) return;
      socket.close();
      resolve(messages);
    });
  });
}

/** The status line of a request with exactly this target: fetch would tidy the path up. */
function rawStatus(target: string, method = 'GET', headers = ''): Promise<string> {
  const { port } = new URL(dashboard.url);
  return new Promise((resolve, reject) => {
    const socket = connectTcp(Number(port), '127.0.0.1', () =>
      socket.write(`${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers}Connection: close\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('end', () => resolve(text.split('\r\n', 1)[0]));
    socket.on('error', reject);
  });
}

test('a late client is told the whole night at once', async () => {
  await messagesUntil(({ night }) => night.live.archived === 30); // By now the dashboard has read both streams.
  const [first] = await messagesUntil(() => true);
  expect(first.isWhole).toBe(true);
  expect(first.night.live).toMatchObject({ detected: 36, associated: 30, packed: 30, published: 30, archived: 30 });
  expect(first.visits.map(({ status }) => status)).toEqual(['complete', 'complete']);
  expect(first.details.every(({ detectors }) => detectors.length === 3)).toBe(true);
});

test('a client that stays is told counts that arrive later, without the visits that did not change', async () => {
  await messagesUntil(({ night }) => night.live.archived === 30);
  const waiting = messagesUntil(({ verified }) => verified !== null);
  const counts = {
    detected: 36,
    droppedByReason: { edge: 6 },
    associated: 30,
    withheldByReason: {},
    packed: 30,
    published: 30,
    archived: 29,
    delivered: { full: 30 },
    owed: { full: 0 },
  };
  setTimeout(() => dashboard.setCounts({ counts, closes: false, violations: ['alert 7 is not in the archive'] }), 300);
  const last = (await waiting).at(-1);
  expect(last?.verified).toEqual({ counts, closes: false, violations: ['alert 7 is not in the archive'] });
  expect(last?.visits).toEqual([]);
});

test('getCounts is asked, and what it throws is shown', async () => {
  await dashboard.close();
  const getCounts = (): Promise<never> => Promise.reject(new Error('the database is away'));
  dashboard = await startDashboard({
    connection: nats.connection,
    instrument: INSTRUMENT,
    dayObs: NIGHT,
    port: 0,
    getCounts,
  });
  const messages = await messagesUntil(({ problem }) => problem !== null);
  expect(messages.at(-1)?.problem).toBe('counting failed: the database is away');
});

test('the page, its files and the registry are served with headers that forbid foreign code', async () => {
  for (const path of [
    '',
    'page.js',
    'draw.js',
    'tiles.js',
    'visits.js',
    'waterfall.js',
    'page.css',
    'icon.svg',
    'api/night',
    'api/visits/2026112000001',
    'schemas/ids/1100',
  ]) {
    const response = await fetch(dashboard.url + path);
    expect([path, response.status]).toEqual([path, 200]);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  }
});

test.each([
  '/../server.ts',
  '/..%2fserver.ts',
  '/%2e%2e/%2e%2e/config.ts',
  '//etc/passwd',
  '/page/../../../package.json',
  '/page.js/../../feed.ts',
  '/..\\..\\package.json',
  '/page.js%00.html',
  '/api/visits/1e9',
  '/api/visits/99999999999999999999',
  '/constructor',
  '/__proto__',
])('GET %s is not found', async (target) => {
  expect(await rawStatus(target)).toBe('HTTP/1.1 404 Not Found');
});

test('nothing but GET is answered', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) expect(await rawStatus('/', method)).toMatch(/ 405 /);
});

test('a page of another origin cannot open the live connection', async () => {
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  expect(await rawStatus('/live', 'GET', `${upgrade}Origin: http://evil.example\r\n`)).toMatch(/ 403 /);
  expect(await rawStatus('/other', 'GET', upgrade)).toMatch(/ 404 /);
});

test('an occupied port is one line that names it', async () => {
  const port = Number(new URL(dashboard.url).port);
  await expect(
    startDashboard({ connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port }),
  ).rejects.toThrow(
    new RegExp(`^dashboard: cannot listen on port ${port} of 127\\.0\\.0\\.1: it is in use by another program$`),
  );
});

test('beside the page the archive is answered when it is known where it is, and 404 without', async () => {
  const id = sampleId(0);
  expect((await fetch(`${dashboard.url}alerts/${id}`)).status).toBe(404);
  const archive = await openArchive(nats.dataDir, INSTRUMENT, NIGHT);
  await archive.append([readPacket({ packet: samplePacket(0), sequence: 1 })]);
  await archive.close();
  const { connection, dataDir } = nats;
  const page = await startDashboard({ connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0, dataDir });
  try {
    const answer = await fetch(`${page.url}alerts/${id}`, { headers: { accept: 'application/avro' } });
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), samplePacket(0))).toBe(0);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await fetch(`${page.url}alerts/${id}`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${page.url}alerts/%00`)).status).toBe(400);
  } finally {
    await page.close();
  }
});
