import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { sentAlerts } from '../../brokers/archive/replaySource.ts';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { openNightStreams } from '../../engine/stream/streams.ts';
import { alertHeaders, subjects } from '../../schemas/subjects.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from '../brokers/sampleAlerts.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { newDataDir, runVesper } from '../support/vesper.ts';

let nats: TestNats, log: Log, dataDir: string, middleMs: number;
beforeAll(async () => {
  nats = await startTestNats();
  log = await openLog(nats.url, 'test', () => undefined);
  dataDir = newDataDir();
  mkdirSync(join(dataDir, 'nats'));
  await openNightStreams(log, INSTRUMENT, NIGHT);
  for (let counter = 0; counter < 20; counter++) {
    if (counter === 10) { await sleep(30); middleMs = Date.now(); await sleep(30); }
    const h = headers();
    h.set(alertHeaders.diaSourceId, String(sampleId(counter)));
    await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), samplePacket(counter), { headers: h });
  }
  await nats.jsm.streams.add({ name: 'AGAIN', subjects: ['again.>'] });
}, 30_000);
afterAll(async () => {
  await closeLog(log);
  await nats.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const replay = (...words: readonly string[]) => {
  process.env['VESPER_NATS_URL'] = nats.url;
  return runVesper(['alerts', 'replay', ...words, '--data-dir', dataDir]).finally(() => { delete process.env['VESPER_NATS_URL']; });
};
const iso = (ms: number): string => new Date(ms).toISOString();

test('a span is replayed with the same bytes and headers, of a filter only what it matches', async () => {
  const { code, stdout, stderr } = await replay('--from', iso(middleMs), '--to', iso(Date.now() + 1000),
    '--to-subject', 'again.all', '--json');
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ seen: 10, sent: 10, filter: null });
  await replay('--from', iso(0), '--to', iso(middleMs), '--filter', 'vesper.bright@1', '--to-subject', 'again.bright');
  const found: Record<string, Uint8Array[]> = {};
  for await (const message of readStored(log, 'AGAIN')) {
    (found[message.subject] ??= []).push(message.data);
    expect(message.headers?.get(alertHeaders.diaSourceId)).not.toBe('');
    expect(message.headers?.get('replayed-from')).toMatch(/Z$/);
  }
  expect(found['again.all'].map((data) => Buffer.compare(data, samplePacket(found['again.all'].indexOf(data) + 10))))
    .toEqual(Array(10).fill(0));
  expect(found['again.bright']).toBeUndefined(); // Of SNR 0 to 9 none exceeds 10.
}, 60_000);

test.each([
  [['--from', 'yesterday', '--to', iso(1), '--to-subject', 'x'], /--from must be a time/],
  [['--from', iso(2), '--to', iso(1), '--to-subject', 'x'], /--to is not after --from/],
  [['--from', iso(1), '--to', iso(2), '--to-subject', 'alerts.minicam.1.r'], /one of the log's own/],
  [['--from', iso(1), '--to', iso(2), '--to-subject', 'a.>'], /--to-subject must be/],
  [['--from', iso(1), '--to', iso(2), '--to-subject', '$JS.API.STREAM.DELETE'], /--to-subject must be/],
] as const)('replay %j is refused in one line', async (words, reason) => {
  const { code, stdout, stderr } = await replay(...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(reason);
});

test('a night whose stream has expired is replayed from its archive', async () => {
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  await archive.append([readPacket({ packet: samplePacket(3), sequence: 1 })]);
  await archive.close();
  await nats.jsm.streams.delete(`ALERTS_${INSTRUMENT}_${NIGHT}`);
  const found = [];
  for await (const alert of sentAlerts(log, dataDir, INSTRUMENT, 0, Date.parse('2100-01-01'))) found.push(alert);
  expect(found).toHaveLength(1);
  expect(Buffer.compare(found[0].packet, samplePacket(3))).toBe(0);
  expect(iso(found[0].timeMs)).toBe('2026-11-20T05:59:23.000Z'); // The midpoint of its exposure.
});
