import {
  chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { encodeEvent, envelope, type ObservatoryEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { productPaths, type ProductIndex } from '../../schemas/products.ts';
import { EFFECT_SETS, type SimulationModel } from '../../simulator/model.ts';
import { createObservatory, type ObservatoryOptions } from '../../simulator/observatory.ts';
import { progressOf } from '../../simulator/nightProgress.ts';
import { tinyCamera } from './tinyCamera.ts';

type Published = Readonly<{ event: ObservatoryEvent; id: string; atMs: number }>;
type DetectorRead = Extract<ObservatoryEvent, { type: 'DetectorRead' }>;

const dayObs = asDayObs(20260915), camera = tinyCamera(2);
const folders: string[] = [];

afterEach(() => { for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true }); });

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-night-'));
  folders.push(folder);
  return folder;
}

/** Runs a night on a clock that jumps to whatever is waited for, and returns what was published. */
async function night(dataDir: string, change: Partial<ObservatoryOptions> = {}): Promise<Published[]> {
  let clockMs = 1_790_000_000_000;
  const published: Published[] = [];
  const observatory = createObservatory({
    dataDir, instrument: 'tinycam', camera, seed: 1, dayObs, visits: 3, cadenceSeconds: 19, bands: ['r', 'i'],
    threads: 1,
    publish: async (event, id) => { published.push({ event, id, atMs: clockMs }); },
    now: () => clockMs,
    sleepUntil: async (unixMs) => { clockMs = Math.max(clockMs, unixMs); },
    ...change,
  });
  try {
    await observatory.run();
  } finally {
    await observatory.close();
  }
  return published;
}

function readsOf(published: readonly Published[]): DetectorRead[] {
  return published.flatMap(({ event }) => (event.type === 'DetectorRead' ? [event] : []));
}

const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
}

test('a night announces, exposes, reads and closes, and every event is a valid one', async () => {
  const dataDir = newFolder();
  const published = await night(dataDir);
  for (const { event, id, atMs } of published) {
    expect(parseObservatoryEvent(encodeEvent(envelope(id, event, atMs))).data).toEqual(event);
  }
  expect(new Set(published.map(({ id }) => id)).size).toBe(published.length);
  const recorded = { visits: 3, cadenceSeconds: 19, camera: 'tinycam', seed: 1 };
  expect(published[0].event).toMatchObject({ type: 'NightOpened', arguments: recorded });
  expect(published.at(-1)?.event).toMatchObject({ type: 'NightClosed', visits: 3 });

  const ordered = published.flatMap(({ event }) =>
    (event.type === 'ControlCommanded' ? [`${event.component} ${event.command}`] : []));
  expect(ordered.filter((order) => order === 'mount slew').length).toBe(3);
  expect(ordered).toEqual(expect.arrayContaining(['dome open', 'camera setFilter', 'camera takeImage']));
  const samples = published.flatMap(({ event }) => (event.type === 'TelemetrySampled' ? [event] : []));
  expect(samples.length).toBe(3);
  // ELAIS-S1 culminates at 76° in October; the survey does not look below 20°.
  for (const { mountAltitudeDeg } of samples) expect(mountAltitudeDeg).toBeGreaterThan(20);

  const reads = readsOf(published);
  expect(reads.length).toBe(6);
  for (const read of reads) {
    const path = join(dataDir, read.uri);
    expect(digestOf(path)).toBe(read.checksum);
    expect(readFileSync(path).length).toBe(read.bytes);
    expect(read.uri).toBe(productPaths.raw('tinycam', dayObs, read.exposure, read.detector));
    expect(existsSync(join(dataDir, productPaths.truth('tinycam', dayObs, read.visit)))).toBe(true);
  }
  for (const visit of new Set(reads.map((read) => read.visit))) {
    const ofVisit = published.filter(
      ({ event }) => 'visit' in event && event.visit === visit,
    ).map(({ event }) => event.type);
    expect(ofVisit).toEqual(['ExposureStarted', 'ExposureEnded', 'DetectorRead', 'DetectorRead']);
  }
  expect(filesBelow(dataDir).filter((path) => path.endsWith('.staged'))).toEqual([]);
});

test('a visit is announced 20 s of the survey before it starts, when its products stand in the index', async () => {
  const dataDir = newFolder(), bandsIndexed: (readonly (string | null)[])[] = [];
  const published: Published[] = [];
  let clockMs = 0;
  await night(dataDir, {
    now: () => clockMs, sleepUntil: async (unixMs) => { clockMs = Math.max(clockMs, unixMs); },
    publish: async (event, id) => {
      published.push({ event, id, atMs: clockMs });
      if (event.type !== 'NextVisitAnnounced') return;
      const index = JSON.parse(readFileSync(join(dataDir, productPaths.index('tinycam')), 'utf8')) as ProductIndex;
      for (const product of index.products) expect(digestOf(join(dataDir, product.uri))).toBe(product.checksum);
      bandsIndexed.push([...new Set(index.products.filter((p) => p.kind === 'template').map((p) => p.band))]);
      expect(index.products.filter((p) => p.kind === 'bias' || p.kind === 'flat').length).toBe(4);
      expect(index.products.filter((p) => p.kind === 'references').length).toBe(1);
    },
  });
  expect(bandsIndexed).toEqual([['r'], ['r'], ['r', 'i']]);
  const announced = published.filter(({ event }) => event.type === 'NextVisitAnnounced');
  const started = published.filter(({ event }) => event.type === 'ExposureStarted');
  expect(announced.length).toBe(3);
  announced.forEach(({ event, atMs }, i) => {
    if (event.type !== 'NextVisitAnnounced') return;
    expect(started[i].atMs - atMs).toBeGreaterThanOrEqual(10_000 - 1e-6); // 20 s at half the survey's cadence.
    expect(event.startTime - event.private_sndStamp).toBeGreaterThanOrEqual(20);
  });
});

test('the same arguments give the same files, on one thread or two, and another seed gives others', async () => {
  const one = newFolder(), two = newFolder(), other = newFolder();
  await night(one);
  await night(two, { threads: 2 });
  await night(other, { seed: 2, visits: 1 });
  const digests = (folder: string): string[] =>
    filesBelow(folder).map((path) => `${path.slice(folder.length)} ${digestOf(path)}`);
  expect(digests(two)).toEqual(digests(one));
  const raws = (folder: string): string[] => filesBelow(join(folder, 'raw')).map(digestOf);
  expect(raws(other).some((digest) => raws(one).includes(digest))).toBe(false);
});

test('a night that was interrupted anywhere publishes what is missing and nothing else', async () => {
  const whole = newFolder();
  const all = await night(whole, { visits: 2 });
  for (const count of [1, 2, 4, 5, 7, all.length - 1, all.length]) {
    const before = all.slice(0, count);
    const after = await night(whole, { visits: 2, alreadyDone: progressOf(before.map(({ event }) => event)) });
    expect([...before, ...after].map(({ id }) => id).sort()).toEqual(all.map(({ id }) => id).sort());
  }
});

test('a resumed night renders the frames that are missing to the same bytes', async () => {
  const dataDir = newFolder();
  const all = await night(dataDir, { visits: 1 });
  const [first, second] = readsOf(all);
  const before = all.filter(({ event }) => event !== second && event.type !== 'NightClosed');
  rmSync(join(dataDir, second.uri));
  writeFileSync(join(dataDir, `${second.uri}.staged`), 'left by a killed process');
  const after = await night(dataDir, { visits: 1, alreadyDone: progressOf(before.map(({ event }) => event)) });
  expect(
    readsOf(after).map(({ detector, checksum }) => [detector, checksum]),
  ).toEqual([[second.detector, second.checksum]]);
  expect(digestOf(join(dataDir, first.uri))).toBe(first.checksum);
  expect(filesBelow(dataDir).filter((path) => path.endsWith('.staged'))).toEqual([]);
});

test('a product that was damaged is made anew, to the same bytes', async () => {
  const dataDir = newFolder();
  await night(dataDir, { visits: 1 });
  const path = join(dataDir, productPaths.index('tinycam'));
  const index = (): ProductIndex => JSON.parse(readFileSync(path, 'utf8')) as ProductIndex;
  const before = index();
  writeFileSync(join(dataDir, before.products[3].uri), 'damaged');
  await night(dataDir, { visits: 1, dayObs: asDayObs(20260916) });
  // Orbits alone are of one night; those of the night before stay for its replays.
  const added = index().products.slice(before.products.length);
  expect(index().products.slice(0, before.products.length)).toEqual(before.products);
  expect(added.map(({ kind, fromDayObs }) => [kind, fromDayObs])).toEqual([['orbits', 20260916]]);
  for (const product of before.products) expect(digestOf(join(dataDir, product.uri))).toBe(product.checksum);
});

test('a second night sees the same field under other ids', async () => {
  const dataDir = newFolder();
  const nights = [await night(dataDir, { visits: 1 }), await night(dataDir, { visits: 1, dayObs: asDayObs(20260916) })];
  const positions = nights.map((events) =>
    events.flatMap(({ event }) => (event.type === 'NextVisitAnnounced' ? [event.position] : []))[0]);
  expect(Math.abs(positions[0][1] - positions[1][1])).toBeLessThan(30 / 3600); // Two dithers of at most 14″.
  const [first, second] = nights.map((events) => new Set(events.map(({ id }) => id)));
  expect([...first].filter((id) => second.has(id))).toEqual([]);
});

test.each([
  ['neverRead', 0], ['late', 1], ['twice', 2], ['truncated', 2],
] as const)('a detector with the fault "%s" is read %d times', async (fault, times) => {
  const dataDir = newFolder();
  const published = await night(dataDir, { visits: 1, faults: { [fault]: 1 } });
  const reads = readsOf(published);
  expect(reads.length).toBe(2 * times);
  expect(published.at(-1)?.event.type).toBe('NightClosed');
  expect(new Set(published.map(({ id }) => id)).size).toBe(published.length);
  for (const detector of camera.detectors) {
    const ofDetector = reads.filter((read) => read.detector === detector.id), last = ofDetector.at(-1);
    if (last) expect(digestOf(join(dataDir, last.uri))).toBe(last.checksum);
    expect(new Set(ofDetector.map((read) => read.checksum)).size).toBe(fault === 'truncated' ? 2 : Math.min(times, 1));
  }
  expect(filesBelow(dataDir).filter((path) => path.endsWith('.staged'))).toEqual([]);
});

test('a canceled visit is announced, canceled, and never exposed', async () => {
  const published = await night(newFolder(), { visits: 2, faults: { visitCanceled: 1 } });
  expect(published.map(({ event }) => event.type).filter((type) => type !== 'ControlCommanded').sort()).toEqual(
    [
      'NextVisitAnnounced', 'NextVisitAnnounced', 'NextVisitCanceled', 'NextVisitCanceled', 'NightClosed',
      'NightOpened',
    ],
  );
});

test('a night that is told to stop ends after the visit under way and is not closed', async () => {
  const stop = new AbortController(), published: Published[] = [];
  await night(newFolder(), {
    signal: stop.signal,
    publish: async (event, id) => {
      published.push({ event, id, atMs: 0 });
      if (event.type === 'ExposureStarted') stop.abort();
    },
  });
  expect(readsOf(published).length).toBe(2);
  expect(published.some(({ event }) => event.type === 'NightClosed')).toBe(false);
});

test('impossible arguments are refused in one line', () => {
  const refused = (change: Partial<ObservatoryOptions>): string => {
    try {
      createObservatory({
        dataDir: '.', instrument: 'tinycam', camera, seed: 1, dayObs, visits: 1, cadenceSeconds: 10,
        publish: async () => undefined, now: () => 0, sleepUntil: async () => undefined, ...change,
      });
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
    return 'accepted';
  };
  expect(refused({ camera: { ...camera, physicalFilters: [{ name: 'r_tiny', band: 'r' }] } }))
    .toBe('camera tinycam has no band "i"; it has r');
  expect(refused({ cadenceSeconds: 0 })).toBe('cadence 0 s is not positive');
  expect(refused({ visits: -1 })).toBe('visits -1 is not a count');
  expect(refused({ instrument: 'a.b' })).toContain('"a.b" cannot be part of a subject');
  expect(refused({ fields: [{ name: 'nowhere', raDeg: 10, decDeg: 95 }] }))
    .toBe('field nowhere at right ascension 10, declination 95 is not on the sky');
  expect(refused({ faults: { late: 2 } })).toBe('fault rate late = 2 is not in 0 … 1');
});

test('a folder that cannot be written ends the night in one line and leaves no part of a file', async () => {
  const dataDir = newFolder();
  mkdirSync(join(dataDir, 'raw'));
  // Root may write everywhere, but not through a file.
  writeFileSync(join(dataDir, 'raw', 'tinycam'), 'a file where a folder has to be');
  await expect(night(dataDir, { visits: 1 })).rejects
    .toThrow(/^cannot write .*raw\/tinycam\/20260915\/\S+: a part of its path is not a directory$/);
  expect(filesBelow(dataDir).filter((path) => path.endsWith('.staged'))).toEqual([]);
});

test.skipIf(process.getuid?.() === 0)('a read-only folder ends the night in one line', async () => {
  const dataDir = newFolder();
  chmodSync(dataDir, 0o500);
  await expect(night(dataDir, { visits: 1 })).rejects.toThrow(/^cannot write \S+: permission denied$/);
  chmodSync(dataDir, 0o700);
});

test('a night of the survey\'s sky has other frames, and products apart from the demonstration\'s', async () => {
  const dataDir = newFolder();
  const model: SimulationModel = { sky: 'survey', effects: EFFECT_SETS.basic, compression: 'none' };
  const demonstration = readsOf(await night(dataDir, { visits: 1 }));
  const survey = readsOf(await night(dataDir, { visits: 1, dayObs: asDayObs(20260916), model }));
  expect(survey.length).toBe(demonstration.length);
  expect(survey[0].checksum).not.toBe(demonstration[0].checksum);
  const folders = readdirSync(join(dataDir, 'products', 'tinycam')).filter((name) => name.startsWith('sky'));
  expect(folders.length).toBe(2);
  expect(folders.filter((name) => name.includes('-survey-')).length).toBe(1);
});
