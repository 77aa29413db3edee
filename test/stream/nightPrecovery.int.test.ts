/** New objects measured on the visits before while a night runs, on a real log; pixels are answered by the test. */
import { expect, test } from 'vitest';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { isInside } from '../../engine/preload.ts';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { Associator } from '../../engine/stream/associator.ts';
import { CommitLog, readCommits, type StoredEntry } from '../../engine/stream/commitLog.ts';
import { NightPrecovery } from '../../engine/stream/nightPrecovery.ts';
import { catchUp, Projector } from '../../engine/stream/projector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { Spool } from '../../engine/stream/spool.ts';
import { decodeDiaObject } from '../../schemas/avro.ts';
import type { PipelineEvent } from '../../schemas/events.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { serveLog } from '../support/log.ts';
import { answeringPixels, camera, DAYS, DEC, factsOf, footprintOf, forcedOf } from './precoverySky.ts';
import { NIGHT, yearOfVisits, type SeenVisit } from './yearOfVisits.ts';

const NOW = () => 1_800_000_000_000;
const served = serveLog();

/** A process of the engine with its precovery, on a night that may have entries already. */
async function openNight(instrument: string, visits: readonly SeenVisit[], apdb = openMemoryApdb()) {
  const { log, dataDir } = served;
  await catchUp(log, apdb, instrument, dataDir).catch(() => undefined);
  const spool = new Spool(dataDir, instrument, NIGHT), state = new SkyState();
  const earlier: StoredEntry[] = [], troubles: (string | null)[] = [], events: PipelineEvent[] = [];
  const atWork = new Map<number, CommitPosition>();
  const commits = await CommitLog.open(log, instrument, NIGHT, (stored) => { earlier.push(stored); });
  const projector = new Projector(apdb, () => undefined, (trouble) => { troubles.push(trouble); });
  const { asked, broken, process } = answeringPixels(visits);
  const gate = { idle: Promise.resolve(), beforeAppend: async (): Promise<void> => undefined };
  const associator = new Associator(commits, state, spool, NOW, () => undefined, associateConfig, (stored) => {
    projector.enqueue(stored, spool);
    precovery.onEntry(stored);
  });
  const precovery: NightPrecovery = new NightPrecovery({
    log, apdb, instrument, dataDir, dayObs: NIGHT, days: DAYS, now: NOW, note: (line) => { troubles.push(line); },
    pixels: () => ({ camera, process }), facts: async () => [], idle: () => gate.idle,
    position: () => state.position, projected: () => projector.drain(),
    oldestAtWork: () => Math.min(Infinity, ...atWork.values()),
    append: async (corrected, asOf) => {
      await gate.beforeAppend();
      return associator.correct(corrected, asOf);
    },
    report: (event) => { events.push(event); },
  });
  for (const visit of visits) for (const fact of factsOf(visit)) precovery.onFact(fact);
  for (const stored of earlier) associator.acceptStored(stored);
  const commit = ({ names, measurements, footprint }: SeenVisit, knownPosition = names.knownPosition) => (
    associator.commit(
      { ...names, knownPosition }, { ...measurements, inputs: { raw: `raw ${names.visit}` } }, footprint, 0));
  return { apdb, state, precovery, commit, asked, broken, gate, atWork, events, projector, troubles };
}

type Night = Awaited<ReturnType<typeof openNight>>;

/** Pairs of object and visit-detector that a night owes, and those that have a row, one by one. */
async function pairs({ apdb, projector, troubles }: Night, visits: readonly SeenVisit[]) {
  expect(troubles).toEqual([]);
  await projector.drain();
  const objects = await forcedOf(apdb);
  const owed = objects.flatMap(({ row }) => visits.filter((visit) => (
    visit.names.midpointMjdTai >= (row.firstDiaSourceMjdTai ?? NaN) - DAYS
      && isInside(footprintOf(visit), row.ra, row.dec)))
    .map(({ names }) => `${row.diaObjectId} ${names.visit} ${names.detector}`));
  const rows = objects.flatMap(({ forced }) => forced);
  return {
    owed: owed.filter((text) => BigInt(text.split(' ')[0]) % 7n !== 0n).toSorted(),
    ids: rows.map(({ diaForcedSourceId }) => diaForcedSourceId),
    rows: rows.map(({ diaObjectId, visit, detector }) => `${diaObjectId} ${visit} ${detector}`).toSorted(),
  };
}

test('between visits and at the end each new object gets its flux on each visit before, once', async () => {
  const visits = yearOfVisits(11, 4, 18, DEC), night = await openNight('between', visits);
  for (const visit of visits) {
    await night.commit(visit);
    night.precovery.wake();
  }
  await night.precovery.finish(20_000);
  const { owed, rows, ids } = await pairs(night, visits);
  expect(owed.length).toBeGreaterThan(50);
  expect(rows).toEqual(owed);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(night.asked).size).toBe(night.asked.length);
  expect(night.precovery.owed).toBe(0);
  expect(night.events.at(-1)).toMatchObject({ type: 'ObjectsPrecovered', owed: 0, forcedSources: rows.length });
  const again = openMemoryApdb();
  await catchUp(served.log, again, 'between', served.dataDir);
  expect(await again.digest()).toEqual(await night.apdb.digest());
}, 30_000);

test('nothing is measured while the engine is at work, and the end of the night waits no longer than told', async () => {
  const visits = yearOfVisits(12, 3, 6, DEC), night = await openNight('busy', visits);
  night.gate.idle = new Promise(() => undefined);
  for (const visit of visits) await night.commit(visit);
  await night.precovery.finish(20);
  expect(night.asked).toEqual([]);
  // What is left is the next run's, which finds it in the log.
  const next = await openNight('busy', visits);
  await next.precovery.finish(20_000);
  const { owed, rows } = await pairs(next, visits);
  expect(rows).toEqual(owed);
}, 30_000);

test.each([1, 2, 4])('killed after %i entries, the next run writes what is missing, nothing twice', async (entries) => {
  const instrument = `killed${entries}`, visits = yearOfVisits(13, 4, 24, DEC);
  const first = await openNight(instrument, visits);
  for (const visit of visits) await first.commit(visit);
  let appended = 0;
  first.gate.beforeAppend = async () => {
    if (appended++ === entries) { first.precovery.stop(); await new Promise(() => undefined); }
  };
  void first.precovery.finish(20_000);
  while (appended <= entries && first.precovery.owed > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const next = await openNight(instrument, visits);
  await next.precovery.finish(20_000);
  const { owed, rows, ids } = await pairs(next, visits);
  expect(rows).toEqual(owed);
  expect(new Set(ids).size).toBe(ids.length);
}, 30_000);

test('an entry that comes in between has the plan made anew, as of that entry', async () => {
  const visits = yearOfVisits(14, 3, 8, DEC), night = await openNight('writers', visits);
  for (const visit of visits.slice(0, 6)) await night.commit(visit);
  const later = visits.slice(6);
  night.gate.beforeAppend = async () => {
    const visit = later.shift();
    if (visit) await night.commit(visit);
  };
  await night.precovery.finish(20_000);
  expect(later).toEqual([]);
  const { owed, rows } = await pairs(night, visits);
  expect(rows).toEqual(owed);
  // Versions of an object follow each other: none was planned from a row that another entry had replaced.
  const counts = new Map<bigint, number>();
  for await (const { entry } of readCommits(served.log, 'writers', NIGHT)) {
    for (const payload of [...entry.associated?.rows?.diaObjects ?? [], ...entry.corrected?.diaObjects ?? []]) {
      const { diaObjectId, nDiaSources } = decodeDiaObject(payload);
      expect(nDiaSources).toBeGreaterThanOrEqual(counts.get(diaObjectId) ?? 0);
      counts.set(diaObjectId, nDiaSources);
    }
  }
}, 30_000);

test('what cannot be measured waits for another run; the rest is written', async () => {
  const visits = yearOfVisits(16, 3, 8, DEC), night = await openNight('broken', visits);
  night.broken.add(visits[2].names.visit);
  for (const visit of visits) await night.commit(visit);
  await night.precovery.finish(20_000);
  const before = await pairs(night, visits);
  const isBroken = (pair: string) => pair.split(' ')[1] === String(visits[2].names.visit);
  expect(before.rows).toEqual(before.owed.filter((pair) => !isBroken(pair)));
  expect(night.precovery.owed).toBeGreaterThan(0);
  const next = await openNight('broken', visits);
  await next.precovery.finish(20_000);
  const after = await pairs(next, visits);
  expect(after.rows).toEqual(after.owed);
  // Those that lie beside the detector are asked again: the log does not tell that they were.
  expect(next.asked.filter((pair) => before.rows.includes(pair))).toEqual([]);
}, 30_000);

test('a detector that was given its objects before a birth keeps the object open until it has committed', async () => {
  const visits = yearOfVisits(15, 3, 5, DEC), night = await openNight('open', visits);
  const late = visits[4], givenAt = night.state.position;
  night.atWork.set(1, givenAt);
  for (const visit of visits.slice(0, 4)) await night.commit(visit);
  night.precovery.wake();
  while (night.events.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(night.events.at(-1)).toMatchObject({ precovered: 0 });
  night.atWork.clear();
  await night.commit(late, givenAt);
  await night.precovery.finish(20_000);
  const { owed, rows } = await pairs(night, visits);
  expect(rows).toEqual(owed);
  expect(night.precovery.owed).toBe(0);
}, 30_000);
