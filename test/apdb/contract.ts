/** What every store of the APDB does. Each store's test file runs this suite on itself. */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { ApdbBehindError } from '../../apdb/apdb.ts';
import type { Apdb, Committed, CommittedRows } from '../../apdb/apdb.ts';
import { ssObjectRow } from '../../engine/ephemerides/ssObjectRow.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import { decodeDiaSource, encodeDiaSource, encodeSsObject } from '../../schemas/avro.ts';
import { BEFORE_EVERYTHING, commitPosition, type CommitPosition } from '../../schemas/ids.ts';
import { commitOf, lastPosition, NEXT_NIGHT, NIGHT, WHOLE_FIELD } from './commits.ts';
import { bodyRows } from './bodies.ts';
import type { Detection } from './commits.ts';
import { correctedArbitrary, correctionOf, lateForcedSource, NO_CORRECTION } from './corrections.ts';
import { isObjectInCone, naiveHistories, plainHistory } from './naiveFold.ts';

const ALL_TIME = -Infinity;
const at = (sequence: number) => commitPosition(NIGHT, sequence);
const seen = (object: number, ra = 0.5, dec = -10): Detection => (
  { object, ra, dec, isVersion: true, isForced: true });
const counted = (diaSources: number, diaObjectsNew: number, diaForcedSources: number, visitDetectors: number) => (
  { diaSources, diaObjectsNew, diaForcedSources, visitDetectors, ssSources: 0 });

/** A commit with one source of a known body; `version` of its orbit. */
function bodyCommit(sequence: number, ssObjectId: bigint, version: number): CommittedRows {
  const commit = commitOf(NIGHT, sequence, [seen(1)]), source = decodeDiaSource(commit.diaSources[0]);
  return {
    ...commit, diaObjects: [], diaForcedSources: [],
    diaSources: [encodeDiaSource({ ...source, diaObjectId: null, ssObjectId })],
    ...bodyRows(source.diaSourceId, ssObjectId, version),
  };
}

/** @param current The store, opened once for the file; each test begins with it reset. */
export function apdbContract(current: () => Apdb, runs: number): void {
  let apdb: Apdb;
  beforeEach(async () => {
    apdb = current();
    await apdb.reset();
  });

  test('an empty store stands before everything and has nothing', async () => {
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
    expect(await apdb.loadRegion(WHOLE_FIELD, ALL_TIME)).toEqual({ position: BEFORE_EVERYTHING, objects: [] });
    expect(await apdb.counts(NIGHT)).toEqual(counted(0, 0, 0, 0));
    await apdb.project([]);
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
  });

  test('projecting a commit again, alone or in a longer list, changes nothing', async () => {
    const commits = ([[1, [seen(1), seen(2)]], [3, [seen(1)]], [4, [seen(2)]]] as const)
      .map(([sequence, detections]) => commitOf(NIGHT, sequence, detections));
    await apdb.project(commits.slice(0, 2));
    const before = await apdb.digest();
    await apdb.project(commits.slice(0, 1));
    await apdb.project(commits.slice(0, 2));
    expect(await apdb.digest()).toEqual(before);
    expect(await apdb.position()).toBe(at(3));
    await apdb.project(commits);
    expect(await apdb.position()).toBe(at(4));
    expect((await apdb.counts(NIGHT)).diaSources).toBe(4);
  });

  test('a list out of order, or with a commit twice, is refused and leaves no trace', async () => {
    const [first, second] = [commitOf(NIGHT, 1, [seen(1)]), commitOf(NIGHT, 2, [seen(1)])];
    const before = await apdb.digest();
    await expect(apdb.project([second, first])).rejects.toThrow('out of order');
    await expect(apdb.project([first, first])).rejects.toThrow('out of order');
    expect(await apdb.digest()).toEqual(before);
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
  });

  test('bodies come back with their newest orbit and their observations by time, and go with a reset', async () => {
    const commits = [bodyCommit(1, 5n, 0), bodyCommit(2, 5n, 0), bodyCommit(3, 4n, 0), bodyCommit(4, 5n, 1)];
    await apdb.project(commits.slice(0, 2).toReversed().sort((a, b) => a.position - b.position));
    await apdb.project(commits);
    expect((await apdb.counts(NIGHT)).ssSources).toBe(4);
    expect((await apdb.counts(NEXT_NIGHT)).ssSources).toBe(0);
    const [four, five] = await apdb.solarSystem.bodies();
    expect([four.ssObjectId, four.designation, four.observations.length]).toEqual([4n, 'body 4', 1]);
    expect(five.observations.map(({ ssSource }) => Buffer.from(ssSource))).toEqual(
      [commits[0], commits[1], commits[3]].map(({ ssSources }) => Buffer.from(ssSources![0])));
    expect(five.observations[0]).toMatchObject({ band: 'r', psfFlux: 1234.5, psfFluxErr: 20.125, extendedness: null });
    expect(Buffer.from(five.orbit!)).toEqual(Buffer.from(commits[3].mpcOrbits![0]));
    const objects = [9n, 2n].map((ssObjectId) => encodeSsObject(ssObjectRow(ssObjectId, 'x', null, [{
      source: five.observations[0], prediction: { helioRange: 2, topoRange: 1, phaseAngle: 3 },
    }])));
    const before = await apdb.digest();
    await apdb.solarSystem.replaceObjects(objects);
    await apdb.solarSystem.replaceObjects(objects);
    expect((await apdb.solarSystem.objects()).map((bytes) => Buffer.from(bytes))).toEqual([objects[1], objects[0]]);
    expect(await apdb.digest()).toEqual(before);
    await apdb.reset();
    expect(await apdb.solarSystem.bodies()).toEqual([]);
    expect(await apdb.solarSystem.objects()).toEqual([]);
  });

  test('an ssSource without its diaSource is refused and leaves no trace', async () => {
    const commit = bodyCommit(1, 5n, 0);
    await expect(apdb.project([{ ...commit, diaSources: [] }])).rejects.toThrow('has no diaSource');
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
  });

  test('a batch with one damaged row writes none of its rows, and moves nothing', async () => {
    const good = commitOf(NIGHT, 1, [seen(1)]);
    const damaged = { ...commitOf(NIGHT, 2, [seen(2)]), diaSources: [good.diaSources[0].subarray(0, 20)] };
    await expect(apdb.project([good, damaged])).rejects.toThrow(`commit ${at(2)}: diaSource`);
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
    expect((await apdb.loadRegion(WHOLE_FIELD, ALL_TIME)).objects).toEqual([]);
  });

  test('two rows of one object in one commit are refused', async () => {
    const commit = commitOf(NIGHT, 1, [seen(1)]);
    await expect(apdb.project([{ ...commit, diaObjects: [...commit.diaObjects, ...commit.diaObjects] }]))
      .rejects.toThrow('two rows of one diaObject');
  });

  test('a visit-detector or a diaSource that another commit has brought is refused whole', async () => {
    const first = commitOf(NIGHT, 1, [seen(1)]);
    await apdb.project([first]);
    const before = await apdb.digest();
    const second = commitOf(NIGHT, 2, [seen(2)]);
    await expect(apdb.project([{ ...second, diaSources: first.diaSources }])).rejects.toThrow('DiaSource');
    const { visit, detector } = first;
    await expect(apdb.project([{ ...second, visit, detector }]))
      .rejects.toThrow('DetectorVisitProcessingSummary');
    expect(await apdb.digest()).toEqual(before);
    expect(await apdb.position()).toBe(at(1));
  });

  test('a row of a diaObject that no commit has made is refused whole', async () => {
    const stray = commitOf(NIGHT, 1, [{ ...seen(1), isVersion: false }]);
    await expect(apdb.project([stray])).rejects.toThrow(`commit ${at(1)}: a row of diaObject 1, which does not exist`);
    expect(await apdb.position()).toBe(BEFORE_EVERYTHING);
    const forced = { ...commitOf(NIGHT, 2, []), diaForcedSources: stray.diaForcedSources };
    await expect(apdb.project([forced])).rejects.toThrow('a row of diaObject 1');
  });

  test('a summary figure that is not finite is refused', async () => {
    const commit = { ...commitOf(NIGHT, 1, []), summary: { seeingArcsec: NaN } };
    await expect(apdb.project([commit])).rejects.toThrow('seeingArcsec');
  });

  test('advance moves the position over entries without rows, and never back', async () => {
    await apdb.project([commitOf(NIGHT, 2, [seen(1)])]);
    await apdb.advance(at(5));
    expect(await apdb.position()).toBe(at(5));
    await apdb.advance(at(3));
    expect(await apdb.position()).toBe(at(5));
    await apdb.project([commitOf(NIGHT, 4, [seen(9)])]);
    expect((await apdb.loadRegion(WHOLE_FIELD, ALL_TIME)).objects.map(({ diaObjectId }) => diaObjectId)).toEqual([1n]);
  });

  test('a read as of a commit that is not projected yet is refused, not answered in part', async () => {
    await apdb.project([commitOf(NIGHT, 2, [seen(1)])]);
    await expect(apdb.loadObjects([1n], ALL_TIME, at(3))).rejects.toThrow(ApdbBehindError);
    await expect(apdb.loadRegion(WHOLE_FIELD, ALL_TIME, at(3))).rejects.toThrow('before 3 of 20261120');
    await apdb.advance(at(3));
    expect(await apdb.loadObjects([1n], ALL_TIME, at(3))).toHaveLength(1);
  });

  test('objects come in the order asked, unknown ones are left out, and one asked twice comes once', async () => {
    await apdb.project([commitOf(NIGHT, 1, [seen(1), seen(2), seen(3)])]);
    const found = await apdb.loadObjects([3n, 99n, 1n, 3n], ALL_TIME, at(1));
    expect(found.map(({ diaObjectId }) => diaObjectId)).toEqual([3n, 1n]);
  });

  test('a diaSource without an object is counted and belongs to no light curve', async () => {
    const commit = commitOf(NIGHT, 1, [seen(1)]);
    const ofSolarSystem = encodeDiaSource(newDiaSource({
      diaSourceId: 77n, visit: BigInt(commit.visit), detector: commit.detector, ssObjectId: 5n, ra: 0.5, dec: -10,
      x: 1, y: 1, midpointMjdTai: commit.midpointMjdTai, timeProcessedMjdTai: commit.midpointMjdTai, bboxSize: 30,
    }));
    await apdb.project([{ ...commit, diaSources: [...commit.diaSources, ofSolarSystem] }]);
    expect((await apdb.counts(NIGHT)).diaSources).toBe(2);
    expect(await apdb.diaSourceIds(NIGHT)).toContain(77n);
    const { objects } = await apdb.loadRegion(WHOLE_FIELD, ALL_TIME);
    expect(objects.flatMap(({ sources }) => [...sources].map(({ id }) => id))).not.toContain(77n);
  });

  test('counts and ids of a night are of its own commits, and an object is new on its first night only', async () => {
    const tonight = [commitOf(NIGHT, 1, [seen(1), seen(2)]), commitOf(NIGHT, 2, [seen(1)])];
    const next = [commitOf(NEXT_NIGHT, 1, [seen(2), seen(3)])];
    await apdb.project([...tonight, ...next]);
    expect(await apdb.counts(NIGHT)).toEqual(counted(3, 2, 3, 2));
    expect(await apdb.counts(NEXT_NIGHT)).toEqual(counted(2, 1, 2, 1));
    const ids = await apdb.diaSourceIds(NIGHT);
    expect(ids).toHaveLength(3);
    expect(ids).toEqual([...ids].sort((a, b) => Number(a - b)));
  });

  test('history begins with the very instant that was asked for', async () => {
    const commits = [1, 2, 3].map((sequence) => commitOf(NIGHT, sequence, [seen(1)]));
    await apdb.project(commits);
    const [object] = await apdb.loadObjects([1n], commits[1].midpointMjdTai, at(3));
    expect([...object.sources].map(({ position }) => position)).toEqual([at(2), at(3)]);
    expect([...object.forcedSources].map(({ position }) => position)).toEqual([at(2), at(3)]);
  });

  test.each([
    ['across RA 0', { raDeg: 359.99, decDeg: 0, radiusDeg: 0.1 }, [[359.9, 0], [0.05, 0]], [[359.8, 0], [0.1, 0]]],
    ['at the north pole', { raDeg: 77, decDeg: 90, radiusDeg: 0.5 }, [[0, 89.6], [180, 89.6]], [[10, 89.4]]],
    ['at the south pole', { raDeg: 10, decDeg: -89.9, radiusDeg: 0.5 }, [[190, -89.7], [10, -89.5]], [[190, -89.5]]],
    ['of no size', { raDeg: 45, decDeg: 45, radiusDeg: 0 }, [[45, 45]], [[45, 45.0001]]],
    ['of the whole sky', { raDeg: 0, decDeg: 0, radiusDeg: 180 }, [[0, 0], [180, 0], [90, -90]], []],
  ] as const)('a cone %s has what lies in it and nothing else', async (_, cone, inside, outside) => {
    const positions: (readonly [number, number])[] = [...inside, ...outside];
    await apdb.project([commitOf(NIGHT, 1, positions.map(([ra, dec], k) => seen(k, ra, dec)))]);
    const { objects } = await apdb.loadRegion(cone, ALL_TIME);
    expect(objects.map(({ diaObjectId }) => Number(diaObjectId))).toEqual(inside.map((_position, k) => k));
  });

  test('a cone that is not on the sky is refused', async () => {
    await expect(apdb.loadRegion({ raDeg: NaN, decDeg: 0, radiusDeg: 1 }, ALL_TIME)).rejects.toThrow('not on the sky');
    await expect(apdb.loadRegion({ raDeg: 0, decDeg: 91, radiusDeg: 1 }, ALL_TIME)).rejects.toThrow('not on the sky');
  });

  test('every read as of every commit equals a naive fold of the commits up to it', async () => {
    await fc.assert(fc.asyncProperty(correctedArbitrary, fc.double({ min: 60960, max: 61366, noNaN: true }),
      fc.double({ min: 0, max: 1.5, noNaN: true }), async (commits, sinceMjdTai, radiusDeg) => {
        await apdb.reset();
        await apdb.project(commits);
        const ids = Array.from({ length: 12 }, (_, k) => BigInt(k + 1));
        for (const asOf of [BEFORE_EVERYTHING, ...commits.map(({ position }) => position)]) {
          const expected = naiveHistories(commits, sinceMjdTai, asOf);
          expect((await apdb.loadObjects(ids, sinceMjdTai, asOf)).map(plainHistory)).toEqual(expected);
          const cone = { ...WHOLE_FIELD, radiusDeg };
          const region = await apdb.loadRegion(cone, sinceMjdTai, asOf);
          expect(region.position).toBe(asOf);
          const inCone = expected.filter((history) => isObjectInCone(history, cone));
          expect(region.objects.map(plainHistory)).toEqual(inCone);
        }
        expect((await apdb.loadRegion(WHOLE_FIELD, sinceMjdTai)).position).toBe(lastPosition(commits));
      }), { numRuns: runs });
  });

  test('going back to any commit leaves what was there, and going on from it what there was', async () => {
    await fc.assert(fc.asyncProperty(correctedArbitrary, fc.nat(10), async (commits, cut) => {
      const whole = await digestAfter(apdb, [commits]);
      const to = commits[cut]?.position ?? BEFORE_EVERYTHING;
      await apdb.rewind(to);
      const kept = commits.filter(({ position }) => position <= to);
      expect(await apdb.position()).toBe(to);
      expect((await apdb.loadRegion(WHOLE_FIELD, ALL_TIME)).objects.map(plainHistory))
        .toEqual(naiveHistories(commits, ALL_TIME, to));
      const rewound = await apdb.digest();
      await apdb.project(commits);
      expect(await apdb.digest()).toEqual(whole);
      expect(await digestAfter(apdb, [kept])).toEqual(rewound);
    }), { numRuns: Math.ceil(runs / 2) });
  });

  test('sources since a time come once each in its order, however they are paged', async () => {
    const commits = [3, 1, 2].map((sequence, k) => commitOf(NIGHT, k + 1, [seen(1), seen(2)], 61364 + sequence));
    await apdb.project(commits);
    const whole = await apdb.sourcesAfter({ midpointMjdTai: 61365.5, diaSourceId: -1n }, 100);
    expect(whole.map(({ midpointMjdTai }) => midpointMjdTai)).toEqual([61366, 61366, 61367, 61367]);
    const paged = [];
    for (let after = { midpointMjdTai: 61365.5, diaSourceId: -1n }; ;) {
      const [next] = await apdb.sourcesAfter(after, 1);
      if (next === undefined) break;
      paged.push(next);
      after = next;
    }
    expect(paged.map(({ diaSourceId }) => diaSourceId)).toEqual(whole.map(({ diaSourceId }) => diaSourceId));
  });

  test('pairs of objects are found across RA 0 and over the pole, by their last versions, and no others', async () => {
    const arcsec = 1 / 3600;
    const places = [[359.9999, 0], [359.9999 + 0.4 * arcsec, 0], [0.3 * arcsec, 20], [360 - 0.3 * arcsec, 20],
      [0, 90 - 0.2 * arcsec], [180, 90 - 0.2 * arcsec], [50, 50], [50, 50 + 1.1 * arcsec]] as const;
    await apdb.project([
      commitOf(NIGHT, 1, places.map(([ra, dec], k) => seen(k + 1, k === 0 ? 10 : ra, dec))),
      commitOf(NIGHT, 2, [seen(1, ...places[0])]),
    ]);
    const pairs = await apdb.pairsWithin(1);
    expect(pairs.map(({ first, second }) => [first, second])).toEqual([[1n, 2n], [5n, 6n], [3n, 4n]]);
    [0.4, 0.4, 0.6 * Math.cos(20 * Math.PI / 180)].forEach((expected, k) => {
      expect(pairs[k].separationArcsec).toBeCloseTo(expected, 5);
    });
    await expect(apdb.pairsWithin(0)).rejects.toThrow('0″');
  });

  test('a reassigned source is of its new object from the correction on, and of the old one before', async () => {
    const first = commitOf(NIGHT, 1, [seen(1), seen(2, 0.6)]);
    const [id] = [decodeDiaSource(first.diaSources[0]).diaSourceId];
    const correction = correctionOf(at(2), [first], [id], { diaObjectId: 2n }, { kind: 'reassignedToObject' });
    await apdb.project([first, correction]);
    const idsAt = async (sequence: number) => (await apdb.loadObjects([1n, 2n], ALL_TIME, at(sequence)))
      .map(({ sources }) => [...sources].map((row) => row.id).sort());
    const other = decodeDiaSource(first.diaSources[1]).diaSourceId;
    expect(await idsAt(1)).toEqual([[id], [other]]);
    expect(await idsAt(2)).toEqual([[], [id, other].sort()]);
    const [stored] = await apdb.loadSources([id, 99n]);
    expect([stored.position, decodeDiaSource(stored.payload).diaObjectId]).toEqual([at(2), 2n]);
    // It is still the night's first commit that brought it, once.
    expect(await apdb.counts(NIGHT)).toEqual(counted(2, 2, 2, 1));
    expect(await apdb.diaSourceIds(NIGHT)).toEqual([id, other].sort());
  });

  test('a closed object is there as of earlier commits only, and no later row may name it', async () => {
    const first = commitOf(NIGHT, 1, [seen(1), seen(2, 0.6)]);
    const close = correctionOf(at(2), [first], [], {}, { kind: 'closed', closedDiaObjectIds: [1n] });
    await apdb.project([first, close]);
    expect((await apdb.loadRegion(WHOLE_FIELD, ALL_TIME)).objects.map(({ diaObjectId }) => diaObjectId)).toEqual([2n]);
    expect(await apdb.loadObjects([1n], ALL_TIME, at(1))).toHaveLength(1);
    await expect(apdb.project([commitOf(NIGHT, 3, [{ ...seen(1), isVersion: false }])]))
      .rejects.toThrow('a row of diaObject 1, which does not exist');
  });

  test('the ssSource of a corrected diaSource ends with it, and another may follow', async () => {
    const seenBody = bodyCommit(1, 5n, 0), { diaSourceId } = decodeDiaSource(seenBody.diaSources[0]);
    await apdb.project([seenBody]);
    const moved = correctionOf(at(2), [seenBody], [diaSourceId], { ssObjectId: 4n }, {
      kind: 'reassignedToBody', toSsObjectId: 4n, ...bodyRows(diaSourceId, 4n, 0) });
    await apdb.project([moved]);
    expect((await apdb.solarSystem.bodies()).map(({ ssObjectId }) => ssObjectId)).toEqual([4n]);
    await apdb.rewind(at(1));
    expect((await apdb.solarSystem.bodies()).map(({ ssObjectId }) => ssObjectId)).toEqual([5n]);
  });

  test('a forced source that comes late is there as of its own entry, and gone when that is taken back', async () => {
    const first = commitOf(NIGHT, 1, [seen(1), seen(2, 0.6)]), payload = lateForcedSource(at(2), 1n);
    await apdb.project([first, { position: at(2), corrected: {
      ...NO_CORRECTION, kind: 'precovered', diaForcedSources: [payload], precoveredDiaObjectIds: [1n, 2n] } }]);
    const late = async (asOf: CommitPosition) => {
      const [history] = await apdb.loadObjects([1n], ALL_TIME, asOf);
      return [...history.forcedSources].filter(({ position }) => position === at(2))
        .map((row) => Buffer.from(row.payload));
    };
    expect(await late(at(1))).toEqual([]);
    expect(await late(at(2))).toEqual([Buffer.from(payload)]);
    expect((await apdb.counts(NIGHT)).diaForcedSources).toBe(first.diaForcedSources.length + 1);
    await apdb.rewind(at(1));
    expect((await apdb.counts(NIGHT)).diaForcedSources).toBe(first.diaForcedSources.length);
  });

  test('a correction of what is not there is refused whole', async () => {
    const first = commitOf(NIGHT, 1, [seen(1)]), { diaSourceId } = decodeDiaSource(first.diaSources[0]);
    await apdb.project([first]);
    const before = await apdb.digest();
    const stray = commitOf(NIGHT, 7, [seen(9)]);
    const refused = async (corrected: Partial<typeof NO_CORRECTION>, reason: string) => {
      const correction = { position: at(2), corrected: { ...NO_CORRECTION, ...corrected } };
      await expect(apdb.project([correction])).rejects.toThrow(reason);
      expect(await apdb.digest()).toEqual(before);
    };
    const strayId = decodeDiaSource(stray.diaSources[0]).diaSourceId;
    await refused({ diaSources: stray.diaSources }, `a correction of diaSource ${strayId}, which is not stored`);
    await refused({ diaObjects: stray.diaObjects }, 'a correction of diaObject 9, which does not exist');
    await refused({ diaForcedSources: [lateForcedSource(at(2), 9n)] }, 'a row of diaObject 9, which does not exist');
    await refused({ closedDiaObjectIds: [9n] }, 'a correction of diaObject 9, which does not exist');
    await refused({ closedDiaObjectIds: [1n], diaObjects: first.diaObjects }, 'a diaObject that comes twice');
    const toNobody = correctionOf(at(2), [first], [diaSourceId], { diaObjectId: 1n });
    const [row] = toNobody.corrected.diaSources.map(decodeDiaSource);
    await refused({ diaSources: [encodeDiaSource({ ...row, diaObjectId: 9n })] }, 'a row of diaObject 9');
  });

  test('sources before the bound are dropped by month and stay away when projected again', async () => {
    // Partitions begin at 61290, 61320 and 61350.
    const commits: Committed[] = [61300, 61330, 61345, 61364].map((time, k) => (
      commitOf(NIGHT, k + 1, [seen(1), seen(2)], time)));
    const ids = (commits as CommittedRows[]).map(({ diaSources }) => decodeDiaSource(diaSources[0]).diaSourceId);
    commits.push(correctionOf(at(5), commits, [ids[0]], { diaObjectId: 2n }));
    await apdb.project(commits);
    expect((await apdb.maintain(null)).retainedFromMjdTai).toBeNull();
    const { retainedFromMjdTai } = await apdb.maintain(61340);
    expect(retainedFromMjdTai).toBe(61320);
    const [object] = await apdb.loadObjects([1n], ALL_TIME, at(5));
    expect([...object.sources].map(({ id }) => id)).toEqual(ids.slice(1));
    expect([...object.forcedSources]).toHaveLength(3);
    const digest = await apdb.digest();
    expect((await apdb.stats()).retainedFromMjdTai).toBe(61320);
    await apdb.reset();
    await apdb.maintain(retainedFromMjdTai);
    await apdb.project(commits);
    expect(await apdb.digest()).toEqual(digest);
    // What comes late for a time that is gone is not stored either, and the bound never goes back.
    await apdb.project([commitOf(NIGHT, 6, [seen(1)], 61319)]);
    expect((await apdb.loadObjects([1n], ALL_TIME, at(6)))[0].sources.length).toBe(3);
    expect((await apdb.maintain(61000)).retainedFromMjdTai).toBe(61320);
    await expect(apdb.maintain(NaN)).rejects.toThrow('not a time');
  });

  test('stats count every row', async () => {
    await apdb.project([commitOf(NIGHT, 1, [seen(1), seen(2)]), commitOf(NIGHT, 2, [seen(1)])]);
    const { tables, position, firstMjdTai, lastMjdTai } = await apdb.stats();
    const rows = ['DiaObject', 'DiaObjectLast', 'DiaSource', 'DiaForcedSource', 'DetectorVisitProcessingSummary'];
    expect(rows.map((name) => tables[name].rows)).toEqual([3, 2, 3, 3, 2]);
    expect(position).toBe(at(2));
    expect(lastMjdTai).toBeGreaterThan(firstMjdTai ?? Infinity);
  });

  test('the digest is the same after a rebuild and for any batches, and another for other rows', async () => {
    await fc.assert(fc.asyncProperty(correctedArbitrary, fc.nat(10), async (commits, cut) => {
      const whole = await digestAfter(apdb, [commits]);
      expect(await digestAfter(apdb, [commits.slice(0, cut), commits.slice(cut)])).toEqual(whole);
      expect(await digestAfter(apdb, commits.map((commit) => [commit]))).toEqual(whole);
      if (commits.length > 0) expect(await digestAfter(apdb, [commits.slice(0, -1)])).not.toEqual(whole);
    }), { numRuns: Math.ceil(runs / 2) });
  });
}

async function digestAfter(apdb: Apdb, batches: readonly (readonly Committed[])[]) {
  await apdb.reset();
  for (const batch of batches) await apdb.project(batch);
  expect(await apdb.position()).toBe(lastPosition(batches.flat()));
  return apdb.digest();
}
