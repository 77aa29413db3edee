import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openArchive, readPacket, type Archive } from '../../brokers/archive/archive.ts';
import type { WriteAll } from '../../brokers/archive/layout.ts';
import { archivePaths } from '../../brokers/archive/layout.ts';
import { NEIGHBOUR_RECORD_BYTES } from '../../brokers/archive/neighbourFile.ts';
import { archivedAlerts, findAlert, findArchivedAlert, listArchive, searchNight } from '../../brokers/archive/reader.ts';
import { containerBlocks } from '../../schemas/container.ts';
import { decodeNeighbours, encodeNeighbours, neighboursJson } from '../../schemas/neighbours.ts';
import { decodeAlert, frame } from '../../schemas/packet.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-archive-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const open = (): Promise<Archive> => openArchive(dataDir, INSTRUMENT, NIGHT);
const paths = (): ReturnType<typeof archivePaths> => archivePaths(dataDir, INSTRUMENT, NIGHT);
const inputs = (from: number, to: number, cutoutBytes = 0): ReturnType<typeof readPacket>[] =>
  Array.from({ length: to - from }, (_, i) =>
    readPacket({ packet: samplePacket(from + i, {}, cutoutBytes), sequence: from + i + 1 }),
  );

async function filled(count: number): Promise<void> {
  const archive = await open();
  await archive.append(inputs(0, count));
  await archive.close();
}

test('get and findAlert return the framed bytes as sent, after a reopening', async () => {
  await filled(5);
  const archive = await open();
  for (let i = 0; i < 5; i++) {
    expect(Buffer.compare((await archive.get(sampleId(i)))!, samplePacket(i))).toBe(0);
    expect(Buffer.compare((await findAlert(dataDir, INSTRUMENT, sampleId(i)))!, samplePacket(i))).toBe(0);
  }
  expect(await archive.get(sampleId(5))).toBeNull();
  expect(await findAlert(dataDir, INSTRUMENT, sampleId(5))).toBeNull();
  await archive.close();
});

test('a packet that comes again, in the same batch or a later one, is kept once', async () => {
  const archive = await open();
  expect(await archive.append([...inputs(0, 3), ...inputs(1, 2)])).toHaveLength(3);
  expect(await archive.append(inputs(0, 4))).toHaveLength(1);
  expect(archive.count()).toBe(4);
  await archive.close();
});

test('the container is an Avro file of the packets, one to a block', async () => {
  await filled(3);
  const blocks = [...containerBlocks(await readFile(paths().container))];
  expect(blocks.map(({ data }) => decodeAlert(frame(data)).diaSourceId)).toEqual([0, 1, 2].map(sampleId));
});

test('whatever a crash cuts off either file, whole packets stay and new ones go on after them', async () => {
  await filled(6);
  const container = await readFile(paths().container);
  const index = await readFile(paths().index);
  const blockEnds = [...containerBlocks(container)].map(({ end }) => end);
  await fc.assert(
    fc.asyncProperty(fc.nat(container.length), fc.nat(index.length), async (containerBytes, indexBytes) => {
      await writeFile(paths().container, container.subarray(0, containerBytes));
      await writeFile(paths().index, index.subarray(0, indexBytes));
      const archive = await open();
      const whole = blockEnds.filter((end) => end <= containerBytes).length;
      expect(archive.count()).toBe(whole);
      await archive.append(inputs(0, 6));
      for (let i = 0; i < 6; i++) expect(Buffer.compare((await archive.get(sampleId(i)))!, samplePacket(i))).toBe(0);
      await archive.close();
      expect(Buffer.compare(await readFile(paths().container), container)).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('bytes of a torn batch after the last whole packet are cut off', async () => {
  await filled(2);
  const sound = await readFile(paths().container);
  await appendFile(paths().container, Buffer.from([2, 200, 1, 9, 9, 9]));
  await appendFile(paths().index, Buffer.alloc(30, 7));
  const archive = await open();
  expect(archive.count()).toBe(2);
  await archive.close();
  expect(Buffer.compare(await readFile(paths().container), sound)).toBe(0);
  expect(await listArchive(dataDir, INSTRUMENT, NIGHT)).toHaveLength(2);
});

test('a lost index is rebuilt from the container', async () => {
  await filled(4);
  await truncate(paths().index, 0);
  await (await open()).close();
  const entries = await listArchive(dataDir, INSTRUMENT, NIGHT);
  expect(entries.map(({ diaSourceId }) => diaSourceId)).toEqual([0, 1, 2, 3].map(sampleId));
});

test('a full disk fails the batch as a whole, and what was kept before stays readable', async () => {
  await filled(2);
  let bytesLeft = 2000;
  const onFullDisk: WriteAll = async (file, bytes, position) => {
    const room = bytes.subarray(0, bytesLeft);
    bytesLeft -= room.length;
    await file.write(room, 0, room.length, position);
    if (room.length < bytes.length)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT, onFullDisk);
  const before = await readFile(paths().container);
  await expect(archive.append(inputs(2, 10, 500))).rejects.toThrow(/20261120\.avro: ENOSPC/);
  expect(archive.count()).toBe(2);
  await archive.close();
  expect(Buffer.compare(await readFile(paths().container), before)).toBe(0);
});

test('an archive of another night is refused, not overwritten', async () => {
  await filled(1);
  const container = await readFile(paths().container);
  const other = archivePaths(dataDir, 'othercam', NIGHT);
  await openArchive(dataDir, 'othercam', NIGHT).then((archive) => archive.close());
  await writeFile(other.container, container);
  await expect(openArchive(dataDir, 'othercam', NIGHT)).rejects.toThrow(/not the container of this night/);
  expect(Buffer.compare(await readFile(other.container), container)).toBe(0);
});

test('a cone holds the alerts within its radius and no others', async () => {
  await filled(10); // One arcsec apart in right ascension at declination −2.5: 0.999″ on the sky.
  const cone = { raDeg: 150 + 4 / 3600, decDeg: -2.5, radiusArcsec: 2 };
  const { entries: found } = await searchNight(dataDir, INSTRUMENT, NIGHT, { cone, fromMjdTai: null, toMjdTai: null }, 100);
  expect(found.map(({ diaSourceId }) => diaSourceId)).toEqual([2, 3, 4, 5, 6].map(sampleId));
});

const near = (n: number): Buffer => encodeNeighbours({
  stars: [{ objectId: BigInt(n + 1), distanceArcsec: n, positionAngleDeg: 1, rMag: 20, radiusArcsec: null }], galaxies: [],
});
const withNeighbours = (from: number, to: number): ReturnType<typeof readPacket>[] =>
  inputs(from, to).map((input, i) => ({ ...input, neighbours: near(from + i) }));
const neighboursFound = async (n: number): Promise<string | null> =>
  (await findArchivedAlert(dataDir, INSTRUMENT, sampleId(n)))?.neighbours ?? null;

test('neighbours stand beside their packets, also between packets that have none', async () => {
  const archive = await open();
  await archive.append([...withNeighbours(0, 2), ...inputs(2, 3)]);
  await archive.append(inputs(3, 4));
  await archive.append(withNeighbours(4, 6));
  await archive.close();
  const expected = [0, 1, null, null, 4, 5].map((n) => (n === null ? null : neighboursJson(decodeNeighbours(near(n)))));
  expect(await Promise.all([0, 1, 2, 3, 4, 5].map(neighboursFound))).toEqual(expected);
  const told: (string | null)[] = [];
  for await (const { neighbours } of archivedAlerts(dataDir, INSTRUMENT, NIGHT)) told.push(neighbours);
  expect(told).toEqual(expected);
});

test('neighbours that a crash has lost or damaged come with the packet when it is sent again', async () => {
  const first = await open();
  await first.append(withNeighbours(0, 4));
  await first.close();
  await truncate(paths().neighbours, NEIGHBOUR_RECORD_BYTES * 2 + 10);
  expect(await neighboursFound(1)).not.toBeNull();
  expect([await neighboursFound(2), await neighboursFound(3)]).toEqual([null, null]);
  const again = await open();
  expect(await again.append(withNeighbours(0, 5))).toHaveLength(1);
  await again.close();
  for (const n of [0, 1, 2, 3, 4]) expect(await neighboursFound(n)).toBe(neighboursJson(decodeNeighbours(near(n))));
});

test('a night whose archive was written before there were neighbours is still read', async () => {
  await filled(2);
  await rm(paths().neighbours);
  expect(await neighboursFound(1)).toBeNull();
  expect((await findArchivedAlert(dataDir, INSTRUMENT, sampleId(1)))?.packet).toEqual(samplePacket(1));
});
