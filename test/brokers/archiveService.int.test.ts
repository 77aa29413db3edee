import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { findAlert, listArchive } from '../../brokers/archive/reader.ts';
import { ARCHIVE_CONSUMER, runArchiveService, type ArchiveProgress } from '../../brokers/archive/service.ts';
import { consumerState } from '../../brokers/consume.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT);

let nats: TestNats;
let dataDir: string;
beforeAll(async () => {
  nats = await startTestNats();
}, 30_000);
afterAll(() => nats.stop());
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-archive-'));
  await nats.jsm.streams.delete(ALERTS).catch(() => false);
  await nats.jsm.streams.add({ name: ALERTS, subjects: [subjects.alertsAll(INSTRUMENT, NIGHT)] });
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function publish(...packets: Uint8Array[]): Promise<void> {
  for (const packet of packets)
    await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), packet);
}

function archiveAll(connection = nats.connection, onArchived?: () => void): Promise<ArchiveProgress> {
  return runArchiveService({
    connection,
    dataDir,
    instrument: INSTRUMENT,
    dayObs: NIGHT,
    signal: new AbortController().signal,
    untilCaughtUp: true,
    ...(onArchived ? { onArchived } : {}),
  });
}

test('every alert of the stream is archived as sent, then acknowledged', async () => {
  const packets = Array.from({ length: 200 }, (_, i) => samplePacket(i, {}, 3000));
  await publish(...packets);
  expect(await archiveAll()).toMatchObject({ archived: 200, duplicates: 0, rejected: 0, lastSequence: 200 });
  expect(await consumerState(nats.connection, ALERTS, ARCHIVE_CONSUMER)).toMatchObject({ delivered: 200, owed: 0 });
  expect(Buffer.compare((await findAlert(dataDir, INSTRUMENT, sampleId(123)))!, packets[123])).toBe(0);
});

test('a connection that dies between writing and acknowledging doubles nothing', async () => {
  await publish(...Array.from({ length: 20 }, (_, i) => samplePacket(i)));
  const doomed = await nats.connectAgain();
  await expect(
    archiveAll(doomed, () => {
      void doomed.close();
    }),
  ).rejects.toThrow();
  await archiveAll();
  const ids = (await listArchive(dataDir, INSTRUMENT, NIGHT)).map(({ diaSourceId }) => diaSourceId);
  expect(ids.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => sampleId(i)));
}, 20_000); // Messages in hand come again after the acknowledgement wait of 5 s.

test('a message that is no packet is counted and does not hold up the others', async () => {
  await publish(samplePacket(0), new Uint8Array([0, 0, 0, 4, 76, 1, 2]), samplePacket(1));
  expect(await archiveAll()).toMatchObject({ archived: 2, rejected: 1 });
});

test('an archive that cannot be written leaves its alerts owed', async () => {
  await publish(samplePacket(0));
  await rm(dataDir, { recursive: true });
  await writeFile(dataDir, ''); // A file where the directory should be.
  await expect(archiveAll()).rejects.toThrow(/ENOTDIR/);
  expect(await consumerState(nats.connection, ALERTS, ARCHIVE_CONSUMER)).toBeNull();
});
