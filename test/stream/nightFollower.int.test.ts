/** A stand-by that reads a night along: what it holds when its turn comes, and how it goes on with it. */
import { expect, test } from 'vitest';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { visitRegion } from '../../engine/preload.ts';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { historyStart } from '../../engine/stream/associateDetector.ts';
import { Associator } from '../../engine/stream/associator.ts';
import { CommitLog, readCommits, type StoredEntry } from '../../engine/stream/commitLog.ts';
import { openLog } from '../../engine/stream/log.ts';
import { NightFollower } from '../../engine/stream/nightFollower.ts';
import { publishObservatory } from '../../engine/stream/observatory.ts';
import { catchUp } from '../../engine/stream/projector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { Spool } from '../../engine/stream/spool.ts';
import { openInstrumentStreams } from '../../engine/stream/streams.ts';
import { loadCamera } from '../../schemas/camera.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { asDayObs, commitPosition, nextDayObs } from '../../schemas/ids.ts';
import { taiSecondsOfMjd } from '../../schemas/time.ts';
import { serveLog } from '../support/log.ts';
import { NIGHT, yearOfVisits, type SeenVisit } from './yearOfVisits.ts';

const served = serveLog();
const camera = loadCamera('minicam'), DEC = -30;
const NOW = () => 1_800_000_000_000;

function announced(instrument: string, { names }: SeenVisit, dayObs = NIGHT): ObservatoryEvent {
  return {
    type: 'NextVisitAnnounced', dayObs, salIndex: 0, scriptSalIndex: 0, groupId: names.group,
    coordinateSystem: 2, position: [0, DEC], startTime: taiSecondsOfMjd(names.midpointMjdTai), rotationSystem: 2,
    cameraAngle: 0, filters: 'r', dome: 4, duration: 30, nimages: 1, instrument, survey: 'test', totalCheckpoints: 1,
    private_sndStamp: 0,
  };
}

/** A night that a first process has begun, its tables, and a stand-by beside it. */
async function begun(instrument: string, visits: readonly SeenVisit[]) {
  const { log, dataDir } = served, apdb = openMemoryApdb();
  await openInstrumentStreams(log, instrument);
  const commits = await CommitLog.open(log, instrument, NIGHT, () => undefined);
  const first = associatorOf(instrument, commits, new SkyState());
  const own = await openLog(served.nats.url, 'stand-by', () => undefined);
  const follower = await NightFollower.open({ log: own, apdb, instrument, dayObs: NIGHT, dataDir, camera });
  const commit = async (visit: SeenVisit) => {
    await publishObservatory(log, announced(instrument, visit), `${instrument}.${visit.names.group}`, NOW);
    await first.commit(visit.names, visit.measurements, visit.footprint, 0);
    await catchUp(log, apdb, instrument, dataDir);
  };
  for (const visit of visits) await commit(visit);
  const has = async (entries: number) => {
    while (follower.held.entries < entries) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { apdb, first, follower, commit, has };
}

function associatorOf(instrument: string, commits: CommitLog, state: SkyState): Associator {
  return new Associator(
    commits, state, new Spool(served.dataDir, instrument, NIGHT), NOW, () => undefined, associateConfig,
    () => undefined,
  );
}

async function bytesOf(instrument: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { bytes } of readCommits(served.log, instrument, NIGHT)) {
    found.push(Buffer.from(bytes).toString('hex'));
  }
  return found;
}

test.each([0, 1, 5])('having missed %i entries, it goes on behind the last one, to the same rows', async (missed) => {
  const instrument = `followed${missed}`, visits = yearOfVisits(21, 6, 12, DEC), read = visits.length - missed - 2;
  const { follower, commit, has, apdb } = await begun(instrument, visits.slice(0, read));
  await has(read);
  const followed = await follower.end();
  for (const visit of visits.slice(read, read + missed)) await commit(visit);
  if (followed === null) throw new Error('nothing was followed');
  const since: StoredEntry[] = [];
  expect(await followed.commits.goOn(served.log, (stored) => { since.push(stored); })).toBe(true);
  expect([followed.entries.length, since.length]).toEqual([read, missed]);
  const standBy = associatorOf(instrument, followed.commits, followed.state);
  for (const stored of since) standBy.acceptStored(stored);
  const rest = visits.slice(read + missed);
  // What it needs of the tables it has: its regions were loaded while the other ran.
  expect(followed.state.hasRegion(visits[read - 1].names.group)).toBe(true);
  for (const { names, measurements, footprint } of rest) await standBy.commit(names, measurements, footprint, 0);
  await standBy.seal();
  // The same night by one process that has read everything from the tables.
  const alone = `alone${missed}`, commits = await CommitLog.open(served.log, alone, NIGHT, () => undefined);
  const state = new SkyState(), one = associatorOf(alone, commits, state);
  for (const { names, measurements, footprint } of visits) await one.commit(names, measurements, footprint, 0);
  await one.seal();
  const [a, b] = [await bytesOf(instrument), await bytesOf(alone)];
  const unnamed = (hex: string, name: string) => hex.replaceAll(Buffer.from(name).toString('hex'), '');
  expect(a.slice(0, -1).map((hex) => unnamed(hex, instrument).slice(2)))
    .toEqual(b.slice(0, -1).map((hex) => unnamed(hex, alone).slice(2)));
  const position = await catchUp(served.log, apdb, instrument, served.dataDir);
  const cone = visitRegion(camera, { raDeg: 0, decDeg: DEC, cameraAngleDeg: 0 });
  const stored = await apdb.loadRegion(cone, historyStart(visits[0].names.midpointMjdTai), position);
  expect(followed.state.objectsIn(cone).map(({ object }) => object.diaObjectId))
    .toEqual(stored.objects.map(({ diaObjectId }) => diaObjectId));
}, 30_000);

test('it holds the histories that the tables hold, each row once, whatever was projected when it read', async () => {
  const visits = yearOfVisits(22, 5, 10, DEC), { follower, apdb, has } = await begun('histories', visits);
  await has(10);
  const followed = await follower.end();
  const cone = { raDeg: 0, decDeg: DEC, radiusDeg: 1 };
  const stored = await apdb.loadRegion(cone, -Infinity);
  const held = followed?.state.objectsIn(cone) ?? [];
  expect(held.length).toBeGreaterThan(5);
  for (const { object } of held) {
    const history = stored.objects.find(({ diaObjectId }) => diaObjectId === object.diaObjectId);
    expect(object.sources.upTo(followed!.state.position).map(({ id }) => id))
      .toEqual([...history?.sources ?? []].map(({ id }) => id));
  }
}, 30_000);

test('before the first commit of a night it holds what the nights before have left', async () => {
  const instrument = 'second', visits = yearOfVisits(24, 5, 10, DEC), { log, dataDir } = served;
  const { apdb, first } = await begun(instrument, visits), dayObs = nextDayObs(NIGHT);
  await first.seal();
  await CommitLog.open(log, instrument, dayObs, () => undefined);
  const follower = await NightFollower.open({ log, apdb, instrument, dayObs, dataDir, camera });
  await publishObservatory(log, announced(instrument, visits[9], dayObs), 'second night', NOW);
  while (follower.held.objects === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const followed = await follower.end();
  const stored = await apdb.loadRegion({ raDeg: 0, decDeg: DEC, radiusDeg: 1 }, -Infinity);
  expect(follower.held).toEqual({ entries: 0, objects: stored.objects.length });
  // What a replay gives of the nights before, it gives as of this.
  expect(followed?.state.position).toBe(commitPosition(dayObs, 0));
}, 30_000);

test('a log that does not hold what was followed is read anew', async () => {
  const visits = yearOfVisits(23, 3, 3, DEC), { follower, has } = await begun('elsewhere', visits);
  await has(3);
  const followed = await follower.end();
  const other = await openLog(served.nats.url, 'other', () => undefined);
  await other.jsm.streams.delete(`COMMITS_elsewhere_${NIGHT}`);
  expect(await followed?.commits.goOn(other, () => undefined)).toBe(false);
  expect(asDayObs(followed?.dayObs ?? 0)).toBe(NIGHT);
}, 30_000);
