import { appendFile, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { angularDistanceArcsec } from '../../brokers/filters/helpers.ts';
import { openArchive, readPacket, type Archive } from '../../brokers/archive/archive.ts';
import { archivePaths, RECORD_BYTES } from '../../brokers/archive/layout.ts';
import { NightIndex } from '../../brokers/archive/nightIndex.ts';
import { findAlert, findNewestOfObject } from '../../brokers/archive/reader.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

let dataDir: string;
let archive: Archive;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-index-'));
  archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
});
afterEach(async () => {
  await archive.close();
  await rm(dataDir, { recursive: true, force: true });
});

const paths = (): ReturnType<typeof archivePaths> => archivePaths(dataDir, INSTRUMENT, NIGHT);
const objectOf = (i: number): bigint => BigInt(1000 + (i % 3));
const add = (from: number, to: number): Promise<unknown> => archive.append(
  Array.from({ length: to - from }, (_, i) =>
    readPacket({ packet: samplePacket(from + i, { diaObjectId: objectOf(from + i) }), sequence: from + i + 1 })),
);

test('alerts that are added while the index is held are found, the object by its newest', async () => {
  const index = new NightIndex(paths());
  await add(0, 6);
  expect((await index.findSource(sampleId(5)))?.entry.diaSourceId).toBe(sampleId(5));
  expect(await index.findSource(sampleId(6))).toBeNull();
  expect((await index.findNewestOfObject(objectOf(0)))?.diaSourceId).toBe(sampleId(3));
  await add(6, 10);
  expect((await index.findSource(sampleId(6)))?.entry.diaSourceId).toBe(sampleId(6));
  expect((await index.findNewestOfObject(objectOf(0)))?.diaSourceId).toBe(sampleId(9));
});

test('a record that is still in the writing is not taken, and found once it is whole', async () => {
  await add(0, 4);
  const whole = await readFile(paths().index);
  const torn = whole.subarray(0, whole.length - RECORD_BYTES);
  const index = new NightIndex(paths());
  await writeFile(paths().index, Buffer.concat([torn, Buffer.alloc(RECORD_BYTES)]));
  expect(await index.findSource(sampleId(3))).toBeNull();
  expect((await index.findSource(sampleId(2)))?.entry.diaSourceId).toBe(sampleId(2));
  await writeFile(paths().index, whole);
  expect((await index.findSource(sampleId(3)))?.entry.diaSourceId).toBe(sampleId(3));
});

test('an index that was cut, made anew or taken away is not answered from memory', async () => {
  await add(0, 4);
  const index = new NightIndex(paths());
  await index.findSource(sampleId(3));
  const whole = await readFile(paths().index);
  await truncate(paths().index, whole.length - RECORD_BYTES);
  expect(await index.findSource(sampleId(3))).toBeNull();
  await appendFile(paths().index, whole.subarray(-RECORD_BYTES));
  expect((await index.findSource(sampleId(3)))?.entry.diaSourceId).toBe(sampleId(3));
  // Another file with two records exchanged: what is held would point at the wrong ones.
  const record = (i: number): Buffer => whole.subarray(RECORD_BYTES * (1 + i), RECORD_BYTES * (2 + i));
  const header = whole.subarray(0, RECORD_BYTES);
  await writeFile(`${paths().index}.new`, Buffer.concat([header, record(3), record(1), record(2), record(0)]));
  await rename(`${paths().index}.new`, paths().index);
  expect((await index.findSource(sampleId(3)))?.entry.diaSourceId).toBe(sampleId(3));
  await rm(paths().index);
  expect(await index.findSource(sampleId(1))).toBeNull();
});

test('findAlert and findNewestOfObject read the packet as sent, and null for what is not there', async () => {
  await add(0, 6);
  const found = await findAlert(dataDir, INSTRUMENT, sampleId(4));
  expect(Buffer.compare(found!, samplePacket(4, { diaObjectId: objectOf(4) }))).toBe(0);
  const newest = await findNewestOfObject(dataDir, INSTRUMENT, objectOf(1));
  expect(Buffer.compare(newest!, samplePacket(4, { diaObjectId: objectOf(4) }))).toBe(0);
  expect(await findNewestOfObject(dataDir, INSTRUMENT, 1n)).toBeNull();
  expect(await findNewestOfObject(dataDir, 'othercam', objectOf(1))).toBeNull();
});

test('a search finds what a look at every alert finds, at the poles, across the meridian, and in time', async () => {
  const places = fc.sample(fc.record({
    ra: fc.oneof(fc.double({ min: 0, max: 359.999, noNaN: true }), fc.constantFrom(0, 0.0005, 359.9995)),
    dec: fc.oneof(fc.double({ min: -90, max: 90, noNaN: true }), fc.constantFrom(-90, -89.9999, 0, 89.999, 90)),
    midpointMjdTai: fc.double({ min: 61364, max: 61365, noNaN: true }),
  }), { numRuns: 300, seed: 20261120 });
  await archive.append(places.map((place, i) => readPacket({ packet: samplePacket(i, place), sequence: i + 1 })));
  const index = new NightIndex(paths());
  const cones = fc.record({
    raDeg: fc.oneof(fc.double({ min: 0, max: 360, noNaN: true }), fc.constantFrom(0, 360, 359.9999)),
    decDeg: fc.oneof(fc.double({ min: -90, max: 90, noNaN: true }), fc.constantFrom(-90, 90, 89.5)),
    radiusArcsec: fc.oneof(fc.constantFrom(0, 2, 36_000), fc.double({ min: 0, max: 36_000, noNaN: true })),
  });
  const time = fc.option(fc.double({ min: 61363.9, max: 61365.1, noNaN: true }), { nil: null });
  await fc.assert(fc.asyncProperty(fc.option(cones, { nil: null }), time, time, fc.nat({ max: 400 }), async (cone, fromMjdTai, toMjdTai, limit) => {
    const { found, entries } = await index.search({ cone, fromMjdTai, toMjdTai }, limit);
    const expected = places.flatMap(({ ra, dec, midpointMjdTai }, i) => {
      const isIn = (cone === null || angularDistanceArcsec(ra, dec, cone.raDeg, cone.decDeg) <= cone.radiusArcsec)
        && midpointMjdTai >= (fromMjdTai ?? 0) && midpointMjdTai <= (toMjdTai ?? Infinity);
      return isIn ? [sampleId(i)] : [];
    });
    expect(found).toBe(expected.length);
    expect(entries.map(({ diaSourceId }) => diaSourceId)).toEqual(expected.slice(0, limit));
  }), { numRuns: 300, seed: 20261120 });
}, 30_000);
