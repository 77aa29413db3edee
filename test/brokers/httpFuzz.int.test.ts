/** Whatever a stranger sends to the page's server: it refuses in words of its own, changes nothing, and goes on. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantAccess } from '../../brokers/access.ts';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { startDashboard, type Dashboard } from '../../brokers/dashboard/server.ts';
import { openFilterLog, type FilterLog } from '../../brokers/filters/filterLog.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

let nats: TestNats, dashboard: Dashboard, dataDir: string, token: string, filters: FilterLog;
beforeAll(async () => {
  nats = await startTestNats();
  dataDir = mkdtempSync(join(tmpdir(), 'vesper-fuzz-'));
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  await archive.append([1, 2, 3].map((i) => readPacket({ packet: samplePacket(i, { diaObjectId: 77n }, 30), sequence: i })));
  await archive.close();
  token = grantAccess(dataDir, { user: 'ana', isOperator: false, hasPixels: false, natsPublicKey: null });
  dashboard = await startDashboard({ connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0, dataDir });
  filters = await openFilterLog(nats.connection);
}, 30_000);
afterAll(async () => {
  await dashboard.close();
  await nats.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

type Answer = Readonly<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>;

function send(method: string, path: string, headers: Record<string, string>, body: Uint8Array): Promise<Answer> {
  const { hostname, port } = new URL(dashboard.url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({
        status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), headers: response.headers,
      }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Parts of paths that once opened doors elsewhere, and what every path needs to have some effect here. */
const words = fc.constantFrom(
  'alerts', 'objects', 'filters', 'schemas', 'subjects', 'ids', 'versions', 'cutouts', 'difference.png', 'neighbours',
  'voevent.xml', 'lightcurve.svg', 'lightcurve', 'api', 'night', 'visits', 'metrics', 'consumers', 'live', 'activate', 'test',
  'deactivate', 'ana', 'vesper', 'bright', 'alert-packet', 'latest', '1100', String(sampleId(1)), '77', '0', '-1', '1e9',
  '9223372036854775808', '..', '.', '%2e%2e', '%2f', '%00', '%', '%zz', '__proto__', 'constructor', 'toString', 'etc/passwd',
  '$JS.API', '_INBOX.>', '*', '>', '{}', '<script>', "';--", 'NaN', '\u{1f52d}', '0'.repeat(400), '_selection',
);
const segment = fc.oneof({ weight: 5, arbitrary: words }, fc.string({ maxLength: 12 }));
const query = fc.array(fc.tuple(
  fc.oneof(fc.constantFrom('ra', 'dec', 'radius', 'night', 'limit', 'from', 'to', '__proto__', ''), fc.string({ maxLength: 6 })),
  fc.oneof(fc.constantFrom('1', '150', '-2.5', '20261120', '99999999', 'NaN', '1e400', '', '../..'), fc.string({ maxLength: 10 })),
), { maxLength: 5 }).map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));
const path = fc.tuple(fc.array(segment, { maxLength: 5 }), fc.option(query, { nil: null }), fc.boolean())
  .map(([segments, tail, isEncoded]) => {
    const all = `/${segments.join('/')}${tail === null ? '' : `?${tail}`}`;
    // A request line holds neither spaces nor what is not Latin-1.
    return isEncoded ? encodeURI(all.toWellFormed()) : all.replace(/[^\x21-\x7e]/g, '%20');
  });
const body = fc.oneof(
  fc.constant('{}'), fc.json(), fc.string(), fc.constant('['.repeat(5000)),
  fc.record({
    expression: fc.oneof(fc.constantFrom('true', 'diaSource.snr > ', 'x'.repeat(4100), '['.repeat(600)), fc.string()),
    rank: fc.oneof(fc.constantFrom('diaSource.snr', 'true', '1'), fc.anything()),
    region: fc.oneof(fc.constant({ kind: 'moc', moc: '29/0-9999999999' }), fc.constant({ kind: 'cone' }), fc.anything()),
    version: fc.anything(), night: fc.anything(), summary: fc.anything(), shareMax: fc.anything(),
  }, { requiredKeys: [] }).map((value) => JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))),
).map((text) => Buffer.from(text ?? ''));

test('whatever is asked, by whomever, the answer is one of ours: no fault, no echo of markup, nothing of the disk', async () => {
  const before = readdirSync(dataDir, { recursive: true });
  await fc.assert(fc.asyncProperty(
    fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'TRACE'), path, body,
    fc.constantFrom('', 'token', 'nonsense', 'Basic Og=='), fc.boolean(), fc.constantFrom('*/*', 'application/avro', 'text/html', 'x'),
    async (method, url, bytes, authorization, isJson, accept) => {
      const auth = authorization === 'token' ? `Bearer ${token}` : authorization;
      const answer = await send(method, url, {
        accept, ...(auth !== '' && { authorization: auth }), ...(isJson && { 'content-type': 'application/json' }),
        'content-length': String(bytes.length),
      }, bytes);
      expect([200, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 501]).toContain(answer.status);
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
      if (answer.status !== 200) expect(answer.body).not.toMatch(/<script>|node_modules|\/tmp\/|at .*\.ts:\d|etc\/passwd/);
      if (/difference/.test(url) && !auth.startsWith('Bearer')) expect(answer.status).not.toBe(200);
    },
  ), { numRuns: 1500, seed: 20261120 });
  expect(readdirSync(dataDir, { recursive: true })).toEqual(before);
  await filters.refresh();
  // Only ana's token was used, and what it made is hers, compiles, and is not at work without a trial.
  for (const { user, active } of filters.list()) {
    expect(user).toBe('ana');
    expect(active).toBeNull();
  }
  expect((await send('GET', `/alerts/${sampleId(1)}`, {}, Buffer.alloc(0))).status).toBe(200);
}, 60_000);

test('a client that breaks HTTP itself loses its connection and nothing else', async () => {
  const { hostname, port } = new URL(dashboard.url);
  const broken = [
    'GET', 'GET / HTTP/9.9\r\n\r\n', `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, '\0\0\0\0\r\n\r\n',
    'POST /filters/ana/f/test HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n',
    `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(3000)}\r\n`,
  ];
  for (const text of broken) {
    const ended = new Promise<string>((resolve) => {
      let told = '';
      const socket = connect({ host: hostname, port: Number(port) }, () => socket.end(text));
      socket.setTimeout(8000, () => socket.destroy());
      socket.on('data', (bytes) => { told += bytes.toString('latin1'); });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(told));
    });
    expect(await ended).not.toMatch(/ 200 /);
  }
  expect((await send('GET', '/api/night', {}, Buffer.alloc(0))).status).toBe(200);
}, 60_000);
