/** Two associators on one log: whichever is killed, every visit-detector has one entry, and there is no gap. */
import { expect, test } from 'vitest';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { Associator, workKey } from '../../engine/stream/associator.ts';
import { CommitLog, readCommits } from '../../engine/stream/commitLog.ts';
import { openLog } from '../../engine/stream/log.ts';
import { rowsOf } from '../../engine/stream/projector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { Spool } from '../../engine/stream/spool.ts';
import { decodeDiaObject } from '../../schemas/avro.ts';
import { serveLog } from '../support/log.ts';
import { NIGHT, yearOfVisits, type SeenVisit } from './yearOfVisits.ts';

const served = serveLog();
const { dataDir } = served;

/** A process of the engine: its own memory of the sky, its own reading of the log. */
async function openAssociator(instrument: string): Promise<{ commit(visit: SeenVisit): Promise<void> }> {
  const own = await openLog(served.nats.url, 'associator', () => undefined);
  const commits = await CommitLog.open(own, instrument, NIGHT, () => undefined);
  const associator = new Associator(
    commits, new SkyState(), new Spool(dataDir, instrument, NIGHT), () => 1_800_000_000_000, () => undefined,
    associateConfig, () => undefined,
  );
  return { commit: ({ names, measurements, footprint }) => associator.commit(names, measurements, footprint, 0) };
}

async function storedWork(instrument: string) {
  const stored = [];
  for await (const entry of readCommits(served.log, instrument, NIGHT)) stored.push(entry);
  return stored;
}

test.each([0, 1, 3, 7])('a stand-by goes on where the writer was killed after %i commits', async (killedAfter) => {
  const instrument = `standby${killedAfter}`;
  const visits = yearOfVisits(5, 12, 9, -30);
  const first = await openAssociator(instrument), standBy = await openAssociator(instrument);
  for (const visit of visits.slice(0, killedAfter)) await first.commit(visit);
  // The next commit is on its way when the writer dies: the stand-by does the same work at the same time.
  const dying = visits[killedAfter] === undefined ? null : first.commit(visits[killedAfter]);
  await standBy.commit(visits[killedAfter]);
  await dying;
  for (const visit of visits.slice(killedAfter + 1)) await standBy.commit(visit);
  const stored = await storedWork(instrument);
  expect(stored.map(({ sequence }) => sequence)).toEqual(visits.map((_, i) => i + 1));
  expect(stored.map(({ entry }) => entry.associated && workKey(entry.associated)))
    .toEqual(visits.map(({ names }) => workKey(names)));
  // The stand-by has read the first one's commits: each object is counted on, and none is made twice.
  const counts = new Map<bigint, number>();
  for (const { entry } of stored) {
    if (!entry.associated) continue;
    for (const payload of rowsOf(entry.associated, new Spool(dataDir, instrument, NIGHT)).diaObjects) {
      const { diaObjectId, nDiaSources } = decodeDiaObject(payload);
      expect(nDiaSources).toBe((counts.get(diaObjectId) ?? 0) + 1);
      counts.set(diaObjectId, nDiaSources);
    }
  }
}, 30_000);

test('two writers at once, in whatever order their work comes, leave one entry each', async () => {
  const instrument = 'standbyBoth';
  const visits = yearOfVisits(6, 8, 12, 0);
  const [a, b] = [await openAssociator(instrument), await openAssociator(instrument)];
  await Promise.all([
    ...visits.map((visit) => a.commit(visit)), ...[...visits].reverse().map((visit) => b.commit(visit)),
  ]);
  const stored = await storedWork(instrument);
  expect(stored.map(({ sequence }) => sequence)).toEqual(visits.map((_, i) => i + 1));
  expect(new Set(stored.map(({ entry }) => entry.associated && workKey(entry.associated))).size).toBe(visits.length);
}, 30_000);
