/** The associator's memory: as of any commit it holds what a plain fold of the log holds, however it was filled. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import type { HeldObject } from '../../engine/stream/heldObject.ts';
import { SkyState, type SkyChange } from '../../engine/stream/skyState.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { commitPosition, type CommitPosition } from '../../schemas/ids.ts';
import type { Committed, CommittedRows } from '../../apdb/apdb.ts';
import { commitOf, NIGHT, WHOLE_FIELD } from '../apdb/commits.ts';
import { correctionOf } from '../apdb/corrections.ts';
import { naiveHistories } from '../apdb/naiveFold.ts';

/** Commits in which every detection brings a version of its object with its count of sources, as association does. */
const commits = fc.array(fc.uniqueArray(fc.record({
  object: fc.integer({ min: 1, max: 8 }),
  ra: fc.double({ min: 0, max: 1, noNaN: true }), dec: fc.double({ min: -11, max: -9, noNaN: true }),
}), { selector: ({ object }) => object, maxLength: 5 }), { minLength: 1, maxLength: 12 }).map((all) => {
  const counts = new Map<number, number>();
  return all.map((detections, i) => commitOf(NIGHT, i + 1, detections.map((d) => {
    const nDiaSources = (counts.get(d.object) ?? 0) + 1;
    counts.set(d.object, nDiaSources);
    return { ...d, isVersion: true, isForced: true, nDiaSources };
  })));
});

type Summary = Record<string, { ra: number; sources: string[]; forced: string[] }>;

function summary(state: SkyState, asOf: CommitPosition): Summary {
  return Object.fromEntries(state.objectsIn(WHOLE_FIELD, asOf).map(({ object, version }) => [
    String(object.diaObjectId),
    { ra: version.ra, sources: ids(object, 'sources', asOf), forced: ids(object, 'forcedSources', asOf) },
  ]));
}

function ids(object: HeldObject, table: 'sources' | 'forcedSources', asOf: CommitPosition): string[] {
  return object[table].upTo(asOf).map(({ id }) => String(id));
}

function changeOfCommit(commit: Committed): SkyChange {
  if ('corrected' in commit) return { rows: null, corrected: commit.corrected };
  return { rows: { ssSources: [], mpcOrbits: [], ...commit }, corrected: null };
}

function folded(all: readonly Committed[]): SkyState {
  const state = new SkyState();
  for (const rows of all) state.apply(rows.position, changeOfCommit(rows));
  return state;
}

test('a region loaded at any commit and continued from the tail equals a fold of the log from then on', async () => {
  await fc.assert(fc.asyncProperty(commits, fc.nat(), fc.nat(), async (all, a, b) => {
    const snapshotAt = a % (all.length + 1), loadedAt = snapshotAt + (b % (all.length + 1 - snapshotAt));
    const apdb = openMemoryApdb();
    await apdb.project(all.slice(0, snapshotAt));
    const snapshot = await apdb.loadRegion(WHOLE_FIELD, 0);
    const state = new SkyState();
    // Commits go on while the region is being loaded; the projection stands still at the snapshot.
    for (const rows of all.slice(0, loadedAt)) state.apply(rows.position, changeOfCommit(rows));
    state.release('none');
    const evicted = new SkyState();
    for (const rows of all.slice(0, loadedAt)) evicted.apply(rows.position, changeOfCommit(rows));
    const elsewhere = { raDeg: 180, decDeg: 80, radiusDeg: 0.1 };
    evicted.mergeRegion('elsewhere', elsewhere, { position: snapshot.position, objects: [] });
    evicted.release('elsewhere');
    expect(evicted.objectCount).toBe(0);
    for (const one of [state, evicted]) {
      one.mergeRegion('field', WHOLE_FIELD, snapshot);
      for (const rows of all.slice(loadedAt)) one.apply(rows.position, changeOfCommit(rows));
      for (const rows of all.slice(snapshotAt)) {
        expect(summary(one, rows.position)).toEqual(summary(folded(all), rows.position));
      }
    }
  }), { numRuns: 60 });
});

test('a commit that comes twice changes nothing', () => {
  fc.assert(fc.property(commits, (all) => {
    const once = folded(all), twice = folded(all.flatMap((rows) => [rows, rows]));
    const end = all[all.length - 1].position;
    expect(summary(twice, end)).toEqual(summary(once, end));
  }), { numRuns: 30 });
});

test('an object is unknown before the commit that made it, and moves only with later ones', () => {
  const detection = { object: 7, ra: 0.5, dec: -10, isVersion: true, isForced: false, nDiaSources: 1 };
  const state = folded([
    commitOf(NIGHT, 1, []), commitOf(NIGHT, 2, [detection]), commitOf(NIGHT, 3, [{ ...detection, ra: 0.6 }]),
  ]);
  const object = state.get(7n);
  if (!object) throw new Error('object 7 is not held');
  const at = (sequence: number) => object.versionAt(commitOf(NIGHT, sequence, []).position)?.ra ?? null;
  expect([1, 2, 3].map(at)).toEqual([null, 0.5, 0.6]);
});

test('an object that a later commit touches while another region is loaded is never held with half its history', async () => {
  const far = { object: 3, ra: 300, dec: 40, isVersion: true, isForced: false };
  const cone = { raDeg: 300, decDeg: 40, radiusDeg: 1 };
  const all = [commitOf(NIGHT, 1, [{ ...far, nDiaSources: 1 }]), commitOf(NIGHT, 2, [{ ...far, nDiaSources: 2 }])];
  const apdb = openMemoryApdb();
  await apdb.project(all.slice(0, 1));
  // Both commits are in the tail, the object's own region was released, and a region elsewhere is loaded.
  const state = folded(all);
  state.mergeRegion('own', cone, await apdb.loadRegion(cone, 0));
  state.release('own');
  state.mergeRegion('elsewhere', WHOLE_FIELD, await apdb.loadRegion(WHOLE_FIELD, 0));
  state.mergeRegion('again', cone, await apdb.loadRegion(cone, 0));
  const object = state.get(3n);
  expect(object && ids(object, 'sources', all[1].position)).toHaveLength(2);
  expect(object?.latest.row.nDiaSources).toBe(2);
});

test('corrections move rows and close objects from their commit on, wherever a region was loaded', async () => {
  const seen = (object: number, nDiaSources: number) => (
    { object, ra: object / 10, dec: -10, isVersion: true, isForced: true, nDiaSources });
  const all: Committed[] = [
    commitOf(NIGHT, 1, [seen(1, 1), seen(2, 1)]), commitOf(NIGHT, 2, [seen(1, 2), seen(2, 2), seen(3, 1)]),
  ];
  const idOf = (commit: number, row: number) => (
    decodeDiaSource((all[commit] as CommittedRows).diaSources[row]).diaSourceId); // The first two are commits.
  const at = (sequence: number) => commitPosition(NIGHT, sequence);
  all.push(correctionOf(at(3), all, [idOf(1, 0)], { diaObjectId: 2n }, { kind: 'reassignedToObject' }));
  all.push(correctionOf(at(4), all, [idOf(1, 2)], { diaObjectId: 1n }, { kind: 'merged', closedDiaObjectIds: [3n] }));
  all.push(correctionOf(at(5), all, [idOf(0, 1)], { diaObjectId: null, timeWithdrawnMjdTai: 61366.25 }));
  all.push(commitOf(NIGHT, 6, [seen(1, 3)]));
  for (let snapshotAt = 0; snapshotAt <= all.length; snapshotAt++) {
    const apdb = openMemoryApdb();
    await apdb.project(all.slice(0, snapshotAt));
    const snapshot = await apdb.loadRegion(WHOLE_FIELD, 0);
    for (let loadedAt = snapshotAt; loadedAt <= all.length; loadedAt++) {
      const state = folded([]);
      // The tail is kept, the objects are not: nothing of them lies in a region.
      for (const commit of all.slice(0, loadedAt)) state.apply(commit.position, changeOfCommit(commit));
      state.mergeRegion('elsewhere', { raDeg: 180, decDeg: 80, radiusDeg: 0.1 }, { position: at(0), objects: [] });
      state.release('elsewhere');
      state.mergeRegion('field', WHOLE_FIELD, snapshot);
      for (const commit of all.slice(loadedAt)) state.apply(commit.position, changeOfCommit(commit));
      for (const { position } of all.slice(snapshotAt)) {
        const expected = Object.fromEntries(naiveHistories(all, 0, position)
          .map(({ id, sources }) => [id, sources.map((row) => row.split(' ')[2])]));
        const held = Object.fromEntries(state.objectsIn(WHOLE_FIELD, position).map(({ object }) => [
          String(object.diaObjectId),
          object.sources.upTo(position).map(({ payload }) => Buffer.from(payload).toString('hex')),
        ]));
        expect(held).toEqual(expected);
      }
    }
  }
  expect(folded(all).get(2n)?.sources.since(0).length).toBe(2);
});
