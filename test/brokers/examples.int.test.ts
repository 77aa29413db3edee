/** The examples for brokers, run as their readers would run them; the Python one where nats-py and fastavro are. */
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { startDashboard, type Dashboard } from '../../brokers/dashboard/server.ts';
import { partsMaker } from '../../bench/sampleAlerts.ts';
import { jetStreamOf } from '../../brokers/messageFeed.ts';
import { openInstrumentStreams, openNightStreams } from '../../engine/stream/streams.ts';
import { assemblePacket, decodeAlert } from '../../schemas/packet.ts';
import { alertHeaders, streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT } from './sampleAlerts.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'brokers', 'examples');
const PYTHON = process.env['VESPER_PYTHON'] ?? 'python3';
const hasPython = canImport('import fastavro, nats');
const ALERTS = streams.alerts(INSTRUMENT, NIGHT);
/** 30 earlier detections, 60 forced fluxes and three cutouts each. */
const packets = Array.from({ length: 12 }, (_, n) => assemblePacket(partsMaker(7)(n)));

let nats: TestNats, dashboard: Dashboard;
beforeAll(async () => {
  nats = await startTestNats();
  const log = { connection: nats.connection, ...await jetStreamOf(nats.connection) };
  await openInstrumentStreams(log, INSTRUMENT);
  await openNightStreams(log, INSTRUMENT, NIGHT);
  dashboard = await startDashboard({ connection: nats.connection, instrument: INSTRUMENT, dayObs: NIGHT, port: 0 });
  for (const [n, packet] of packets.entries()) {
    const h = headers();
    if (n >= 10) h.set(alertHeaders.testMessage, 'simulated');
    await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), packet, { headers: h });
  }
}, 30_000);
afterAll(async () => {
  await dashboard.close();
  await nats.stop();
});

function canImport(program: string): boolean {
  try { execFileSync(PYTHON, ['-c', program], { stdio: 'ignore' }); return true; } catch { return false; }
}

async function linesOf(program: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (bytes: Buffer) => { out += bytes.toString(); });
  child.stderr.on('data', (bytes: Buffer) => { err += bytes.toString(); });
  const code = await new Promise((resolve) => { child.once('close', resolve); });
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${err}`);
  return out.trim().split('\n');
}

const idOf = (packet: Uint8Array): string => String(decodeAlert(packet).diaSourceId);

test('the TypeScript example shows every alert, and real ones alone when asked', async () => {
  const run = (durable: string, ...options: string[]) =>
    linesOf(process.execPath, [join(EXAMPLES, 'consumer.ts'), nats.url, ALERTS, durable, '--until-caught-up', ...options]);
  expect((await run('all')).map((line) => line.split(' ', 1)[0])).toEqual(packets.map(idOf));
  expect((await run('real', '--skip-tests')).map((line) => line.split(' ', 1)[0])).toEqual(packets.slice(0, 10).map(idOf));
}, 30_000);

test.skipIf(!hasPython)('nats-py and fastavro, with the registry of the page, read what we wrote', async () => {
  const run = (durable: string, ...options: string[]) => linesOf(
    PYTHON, [join(EXAMPLES, 'consumer.py'), nats.url, ALERTS, durable, dashboard.url, '--until-caught-up', ...options],
  );
  const alerts = (await run('python', '--json')).map((line) => JSON.parse(line, reviveLong) as unknown);
  expect(alerts).toEqual(packets.map((packet) => asPython(decodeAlert(packet))));
  expect(await run('python-real', '--skip-tests')).toHaveLength(10);
}, 60_000);

test.skipIf(!hasPython)('a registry that is down ends the Python example in one line, and what it held comes again', async () => {
  const args = [join(EXAMPLES, 'consumer.py'), nats.url, ALERTS, 'unlucky', 'http://127.0.0.1:1', '--until-caught-up'];
  await expect(linesOf(PYTHON, args)).rejects.toThrow(/ended with 1: consumer\.py: no schema 1100 at http:\/\/127\.0\.0\.1:1: [^\n]*\n$/);
  expect((await nats.jsm.consumers.info(ALERTS, 'unlucky')).ack_floor.stream_seq).toBe(0);
}, 60_000);

/** 64-bit ids are numbers in Python's JSON: read from the text, they stay exact. */
function reviveLong(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && /^-?\d{16,}$/.test(context?.source ?? '') ? context?.source : value;
}

/** The same alert as the example prints it. */
function asPython(alert: unknown): unknown {
  return JSON.parse(JSON.stringify(alert, (_, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
    if (typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer') {
      return Buffer.from((value as unknown as { data: number[] }).data).toString('base64'); // Buffers say themselves so.
    }
    if (typeof value !== 'bigint') return value;
    return value >= 10n ** 15n ? String(value) : Number(value);
  })) as unknown;
}
