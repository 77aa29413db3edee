/** Day-time corrections on a real log: fenced, behind sealed nights, recomputed when another writer was first. */
import { expect, test } from 'vitest';
import type { Apdb } from '../../apdb/apdb.ts';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { Associator } from '../../engine/stream/associator.ts';
import { CommitLog, readCommits } from '../../engine/stream/commitLog.ts';
import { correctSky } from '../../engine/stream/correctSky.ts';
import { catchUp } from '../../engine/stream/projector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { Spool } from '../../engine/stream/spool.ts';
import { decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';
import { commitPosition, nextDayObs } from '../../schemas/ids.ts';
import { serveLog } from '../support/log.ts';
import { NIGHT, yearOfVisits, type SeenVisit } from './yearOfVisits.ts';

const NOW = () => 1_800_000_000_000;
const WHOLE_SKY = { raDeg: 0, decDeg: 0, radiusDeg: 180 };
const served = serveLog();
const { dataDir } = served;

/** A night of some visits of a few objects, and its projection. */
async function observed(instrument: string, visits: readonly SeenVisit[]) {
  const commits = await CommitLog.open(served.log, instrument, NIGHT, () => undefined);
  const state = new SkyState();
  const associator = new Associator(
    commits, state, new Spool(dataDir, instrument, NIGHT), NOW, () => undefined, associateConfig, () => undefined,
  );
  for (const { names, measurements, footprint } of visits) await associator.commit(names, measurements, footprint, 0);
  const apdb = openMemoryApdb();
  await catchUp(served.log, apdb, instrument, dataDir);
  return { associator, state, apdb, opened: { log: served.log, apdb, instrument, dataDir, now: NOW } };
}

async function objectsOf(apdb: Apdb) {
  const { objects } = await apdb.loadRegion(WHOLE_SKY, -Infinity);
  return objects.map(({ diaObjectId, diaObject, sources }) => (
    { id: diaObjectId, row: decodeDiaObject(diaObject), sources: [...sources].map(({ id }) => id) }));
}

test('a source given to another object changes both as if it had always been there, and back', async () => {
  const { apdb, opened } = await observed('reassign', yearOfVisits(3, 6, 6, 10));
  const before = await objectsOf(apdb);
  // The nearest pair of objects within reach of each other.
  const [{ first, second }] = await apdb.pairsWithin(8);
  const [from, to] = [before.find(({ id }) => id === first), before.find(({ id }) => id === second)];
  if (!from || !to) throw new Error('two objects of a pair are there');
  const moved = from.sources[from.sources.length - 1];
  const give = (toDiaObjectId: bigint) => correctSky(opened, {
    kind: 'reassignedToObject', reason: 'a test', diaSourceIds: [moved], toDiaObjectId,
  }, false);
  const { corrected, position } = await give(second);
  expect(position).toBe(commitPosition(NIGHT, 7));
  expect(corrected.moved).toEqual([{ diaSourceId: moved, fromDiaObjectId: first }]);
  const after = await objectsOf(apdb);
  expect(after.find(({ id }) => id === first)?.sources).toEqual(from.sources.slice(0, -1));
  expect(after.find(({ id }) => id === second)?.row.nDiaSources).toBe(to.row.nDiaSources + 1);
  await expect(give(second)).rejects.toThrow(`diaSource ${moved} is of diaObject ${second} already`);
  await give(first);
  const back = await objectsOf(apdb);
  for (const { id, row, sources } of before) {
    const now = back.find((one) => one.id === id);
    expect(now?.sources.toSorted()).toEqual(sources.toSorted());
    // The same sources give the same features; only the version is another.
    expect({ ...now?.row, validityStartMjdTai: 0 }).toEqual({ ...row, validityStartMjdTai: 0 });
  }
}, 30_000);

test('an object that loses its last source is closed; behind a sealed night the next one has the entry', async () => {
  const visits = yearOfVisits(4, 1, 3, 20);
  const { associator, apdb, opened } = await observed('sealed', visits);
  await associator.seal();
  const [object] = await objectsOf(apdb), digest = await apdb.digest();
  const request = { kind: 'withdrawn', reason: 'a ghost', diaSourceIds: object.sources } as const;
  expect((await correctSky(opened, request, true)).position).toBeNull();
  expect(await apdb.digest()).toEqual(digest);
  const { position, corrected } = await correctSky(opened, request, false);
  expect(position).toBe(commitPosition(nextDayObs(NIGHT), 1));
  expect(corrected.closedDiaObjectIds).toEqual([object.id]);
  expect((await objectsOf(apdb)).map(({ id }) => id)).not.toContain(object.id);
  const [row] = (await apdb.loadSources(object.sources)).map(({ payload }) => decodeDiaSource(payload));
  expect(row).toMatchObject({ diaObjectId: null, timeWithdrawnMjdTai: corrected.correctedMjdTai });
  await expect(correctSky(opened, request, false)).rejects.toThrow(/^diaSource \d+ was withdrawn at MJD/);
  // A store that is filled from the log alone is the same.
  const again = openMemoryApdb();
  await catchUp(served.log, again, 'sealed', dataDir);
  expect(await again.digest()).toEqual(await apdb.digest());
}, 30_000);

test('a running associator reads a correction of another process and associates behind it', async () => {
  const visits = yearOfVisits(8, 4, 6, -40);
  const { associator, state, apdb, opened } = await observed('running', visits.slice(0, 5));
  const { names, measurements, footprint } = visits[5];
  const near = (row: Readonly<{ ra: number; dec: number }>) => measurements.measured.find(({ ra, dec }) => (
    Math.hypot((ra - row.ra) * Math.cos(dec * Math.PI / 180), dec - row.dec) < 0.3 / 3600));
  const object = (await objectsOf(apdb)).find(({ row }) => near(row) !== undefined);
  if (!object) throw new Error('the sixth visit sees objects of the others');
  await correctSky(opened, { kind: 'closed', reason: 'an artefact', diaObjectIds: [object.id] }, false);
  expect(state.get(object.id)?.closedBy).toBeNull();
  await associator.commit(names, measurements, footprint, 0);
  expect(state.get(object.id)?.closedBy).toBe(commitPosition(NIGHT, 6));
  const entries = [];
  for await (const stored of readCommits(served.log, 'running', NIGHT)) entries.push(stored.entry);
  expect(entries.map(({ associated, corrected }) => [associated !== null, corrected?.kind ?? null])).toEqual([
    ...visits.slice(0, 5).map(() => [true, null]), [false, 'closed'], [true, null]]);
  // What would have been matched with it makes an object of its own.
  await catchUp(served.log, apdb, 'running', dataDir);
  const now = await objectsOf(apdb);
  expect(now.some(({ id }) => id === object.id)).toBe(false);
  expect(now.find(({ id }) => id === near(object.row)?.diaSourceId)?.row.nDiaSources).toBe(1);
}, 30_000);

test('two corrections at once are both made, each of the rows as the other has left them', async () => {
  const { apdb, opened } = await observed('atOnce', yearOfVisits(3, 6, 6, 10));
  const rows = (await objectsOf(apdb)).find(({ sources }) => sources.length >= 4);
  if (!rows) throw new Error('an object was seen four times');
  const second = openMemoryApdb(), third = openMemoryApdb();
  const withdraw = (store: Apdb, id: bigint) => correctSky(
    { ...opened, apdb: store }, { kind: 'withdrawn', reason: 'a test', diaSourceIds: [id] }, false);
  await Promise.all([withdraw(second, rows.sources[0]), withdraw(third, rows.sources[1])]);
  await catchUp(served.log, apdb, 'atOnce', dataDir);
  const object = (await objectsOf(apdb)).find(({ id }) => id === rows.id);
  expect(object?.row.nDiaSources).toBe(rows.row.nDiaSources - 2);
  expect(object?.sources).toEqual(rows.sources.slice(2));
}, 30_000);

test('ids that are not there, too far away, or their own are refused in one line, and nothing is written', async () => {
  const { apdb, opened } = await observed('refused', yearOfVisits(3, 3, 6, 10));
  const [object] = await objectsOf(apdb), digest = await apdb.digest();
  const far = [...await objectsOf(apdb)].sort((a, b) => (
    Math.abs(b.row.dec - object.row.dec) - Math.abs(a.row.dec - object.row.dec)))[0];
  const reason = 'a test', [id] = object.sources;
  for (const [request, said] of [
    [{ kind: 'withdrawn', reason, diaSourceIds: [7n] }, 'diaSource 7 is not in the APDB'],
    [{ kind: 'closed', reason, diaObjectIds: [7n] }, 'diaObject 7 is not in the APDB, or closed'],
    [{ kind: 'reassignedToObject', reason, diaSourceIds: [id], toDiaObjectId: far.id }, 'more than 10″: another id?'],
    [{ kind: 'merged', reason, diaObjectIds: [object.id], toDiaObjectId: object.id }, 'cannot be merged with itself'],
  ] as const) {
    await expect(correctSky(opened, request, false)).rejects.toThrow(said);
  }
  expect(await apdb.digest()).toEqual(digest);
}, 30_000);
