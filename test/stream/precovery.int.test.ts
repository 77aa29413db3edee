/** New objects measured on the visits before, on a real log; pixels are answered by the test. */
import { expect, test } from 'vitest';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { isInside } from '../../engine/preload.ts';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { Associator } from '../../engine/stream/associator.ts';
import { CommitLog } from '../../engine/stream/commitLog.ts';
import { precoverNight, type PrecoveryResult } from '../../engine/stream/precovery.ts';
import { catchUp } from '../../engine/stream/projector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { Spool } from '../../engine/stream/spool.ts';
import { serveLog } from '../support/log.ts';
import { answeringPixels, camera, DAYS, DEC, factsOf, footprintOf, forcedOf } from './precoverySky.ts';
import { NIGHT, yearOfVisits, type SeenVisit } from './yearOfVisits.ts';

const NOW = () => 1_800_000_000_000;
const served = serveLog();
const { dataDir } = served;

/** A night of visits that forced nothing, committed; and precovery of it, with what it asked pixels for. */
async function observed(instrument: string, visits: readonly SeenVisit[]) {
  const commits = await CommitLog.open(served.log, instrument, NIGHT, () => undefined);
  const state = new SkyState(), apdb = openMemoryApdb();
  const associator = new Associator(
    commits, state, new Spool(dataDir, instrument, NIGHT), NOW, () => undefined, associateConfig, () => undefined,
  );
  for (const { names, measurements, footprint } of visits) {
    await associator.commit(names, { ...measurements, inputs: { raw: `raw ${names.visit}` } }, footprint, 0);
  }
  await catchUp(served.log, apdb, instrument, dataDir);
  const { asked, broken, process } = answeringPixels(visits);
  const precover = (): Promise<PrecoveryResult> => precoverNight({
    log: served.log, apdb, instrument, dataDir, now: NOW, dayObs: NIGHT, days: DAYS, threads: 2,
    pixels: () => ({ camera, process }), facts: async () => visits.flatMap(factsOf),
    onProgress: () => undefined, signal: new AbortController().signal,
  });
  return { apdb, state, commits, asked, broken, precover };
}

test('each new object has one flux on each visit-detector before that sees it, and features of them', async () => {
  const visits = yearOfVisits(11, 6, 24, DEC);
  const { apdb, state, asked, precover } = await observed('whole', visits);
  const born = await forcedOf(apdb);
  const owed = born.flatMap(({ row }) => visits.filter((visit) => (
    visit.names.midpointMjdTai >= (row.firstDiaSourceMjdTai ?? NaN) - DAYS
      && isInside(footprintOf(visit), row.ra, row.dec)))
    .map(({ names }) => `${row.diaObjectId} ${names.visit} ${names.detector}`));
  const result = await precover();
  expect(owed.length).toBeGreaterThan(50);
  expect(asked.toSorted()).toEqual(owed.toSorted());
  expect(result).toMatchObject({ objects: born.length, precovered: born.length, unmeasured: [] });
  const after = await forcedOf(apdb), ids = after.flatMap(({ forced }) => forced.map((row) => row.diaForcedSourceId));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toHaveLength(result.forcedSources);
  const measured = after.flatMap(({ forced }) => (
    forced.map(({ diaObjectId, visit, detector }) => `${diaObjectId} ${visit} ${detector}`)));
  expect(measured.toSorted()).toEqual(owed.filter((text) => BigInt(text.split(' ')[0]) % 7n !== 0n).toSorted());
  for (const { row, forced } of after.filter((one) => one.forced.length > 0)) {
    // All its fluxes and errors are alike, so that their weighted mean is one of them.
    expect(row.r_fpFluxMean).toBeCloseTo(Number(row.diaObjectId % 1000n), 3);
    expect(row.r_fpFluxMeanErr).toBeCloseTo(2 / Math.sqrt(forced.length), 5);
    expect(row.nDiaSources).toBe(born.find((one) => one.row.diaObjectId === row.diaObjectId)?.row.nDiaSources);
  }
  expect(await precover()).toMatchObject({ objects: 0, visitDetectors: 0, forcedSources: 0, positions: [] });
  // An associator that reads on holds what the store holds; and a store filled from the log alone is the same.
  const again = openMemoryApdb();
  await catchUp(served.log, again, 'whole', dataDir);
  expect(await again.digest()).toEqual(await apdb.digest());
  expect(state.objectCount).toBe(born.length);
}, 30_000);

test('a detector that cannot be measured is told, and its objects are done when it can', async () => {
  const visits = yearOfVisits(12, 4, 12, DEC);
  const { apdb, asked, broken, precover } = await observed('broken', visits);
  broken.add(visits[5].names.visit);
  const first = await precover();
  expect(first.unmeasured).toEqual([
    { visit: visits[5].names.visit, detector: visits[5].names.detector, reason: 'no raw' }]);
  expect(first.precovered).toBeLessThan(first.objects);
  expect(first.precovered).toBeGreaterThan(0);
  const before = (await forcedOf(apdb)).flatMap(({ forced }) => forced);
  broken.clear();
  asked.length = 0;
  const second = await precover();
  expect(second).toMatchObject({ objects: first.objects - first.precovered, unmeasured: [] });
  expect(second.precovered).toBe(second.objects);
  // Only what was not measured on its detector yet is asked for again.
  expect(asked.filter((text) => before.some((row) => text === `${row.diaObjectId} ${row.visit} ${row.detector}`)))
    .toEqual([]);
  expect(asked.some((text) => text.endsWith(` ${visits[5].names.visit} ${visits[5].names.detector}`))).toBe(true);
}, 30_000);

test('an attempt that measures nothing writes nothing', async () => {
  const visits = yearOfVisits(13, 4, 8, DEC);
  const { broken, precover } = await observed('nothing', visits);
  visits.forEach(({ names }) => broken.add(names.visit));
  // At first those are told that no detector sees; then there is nothing to tell.
  expect(await precover()).toMatchObject({ visitDetectors: 0, forcedSources: 0 });
  expect(await precover()).toMatchObject({ precovered: 0, visitDetectors: 0, positions: [] });
}, 30_000);
