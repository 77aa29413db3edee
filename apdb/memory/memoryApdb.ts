/** The APDB in memory, for tests: everything is walked for every read. */
import { createHash } from 'node:crypto';
import type { DiaForcedSource, DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, partsOfCommitPosition } from '../../schemas/ids.ts';
import type { CommitPosition, DayObs } from '../../schemas/ids.ts';
import { readablePosition } from '../apdb.ts';
import type {
  Apdb, ApdbTable, CommittedRows, NightCounts, ObjectHistory, SourceCursor, StoredSource,
} from '../apdb.ts';
import { closePairs } from '../closePairs.ts';
import { HistoryCollector } from '../historyRows.ts';
import type { HistoryKind, HistoryRows } from '../historyRows.ts';
import { assertCone, isInCone } from '../pixelization.ts';
import { assertAscending, decodeCommit } from '../rows.ts';
import type { DecodedCommit, DecodedRow } from '../rows.ts';
import { foldedBodies, memoryBodies, NO_BODIES, type BodyTables } from './memoryBodies.ts';

type Stored<Row> = DecodedRow<Row> & Readonly<{ key: string; commitFrom: CommitPosition }>;
type Version = Stored<DiaObject> & { commitTo: CommitPosition | null; validityEndMjdTai: number | null };
type Summary = Readonly<{ key: string; commitFrom: CommitPosition; midpointMjdTai: number; summaryJson: string }>;

type Tables = Readonly<{
  /** Versions of each object, in commit order. */
  objects: ReadonlyMap<bigint, readonly Version[]>;
  sources: readonly Stored<DiaSource>[];
  forcedSources: readonly Stored<DiaForcedSource>[];
  summaries: readonly Summary[];
  bodies: BodyTables;
}>;

const EMPTY: Tables = { objects: new Map(), sources: [], forcedSources: [], summaries: [], bodies: NO_BODIES };

export function openMemoryApdb(): Apdb {
  let tables = EMPTY;
  let position = BEFORE_EVERYTHING;
  let projected: readonly CommittedRows[] = [];

  const histories = (objects: readonly Version[], sinceMjdTai: number, asOf: CommitPosition): ObjectHistory[] => {
    const ids = objects.map(({ row }) => row.diaObjectId);
    const sources = historyRows('source', tables.sources, (row) => row.diaSourceId, ids, sinceMjdTai, asOf);
    const forced = historyRows('forced', tables.forcedSources, (row) => row.diaForcedSourceId, ids, sinceMjdTai, asOf);
    return objects.map(({ row, payload }, k) => ({
      diaObjectId: row.diaObjectId, diaObject: payload, ra: row.ra, dec: row.dec,
      sources: sources[k], forcedSources: forced[k],
    }));
  };

  return {
    position: async () => position,
    project: async (commits) => {
      // New tables take the place of the old ones when every row has been accepted.
      tables = folded(tables, position, commits);
      projected = [...projected, ...commits.filter((commit) => commit.position > position)];
      position = Math.max(position, commits.at(-1)?.position ?? position) as CommitPosition; // One of the two.
    },
    advance: async (to) => { position = Math.max(position, to) as CommitPosition; }, // One of the two.
    loadRegion: async (cone, sinceMjdTai, asOf) => {
      assertCone(cone);
      const readable = readablePosition(asOf, position);
      const objects = [...tables.objects.values()]
        .flatMap((versions) => versionAt(versions, readable) ?? [])
        .filter(({ row }) => isInCone(cone, row.ra, row.dec))
        .sort((a, b) => compare(a.row.diaObjectId, b.row.diaObjectId));
      return { position: readable, objects: histories(objects, sinceMjdTai, readable) };
    },
    loadObjects: async (ids, sinceMjdTai, asOf) => {
      const readable = readablePosition(asOf, position);
      const objects = [...new Set(ids)].flatMap((id) => versionAt(tables.objects.get(id) ?? [], readable) ?? []);
      return histories(objects, sinceMjdTai, readable);
    },
    solarSystem: memoryBodies(() => tables.bodies, (bodies) => { tables = { ...tables, bodies }; }),
    counts: async (dayObs) => counts(tables, dayObs),
    diaSourceIds: async (dayObs) => tables.sources
      .filter(isOfNight(dayObs)).map(({ row }) => row.diaSourceId).sort(compare),
    rewind: async (to) => {
      if (position <= to) return;
      projected = projected.filter((commit) => commit.position <= to);
      tables = folded(EMPTY, BEFORE_EVERYTHING, projected);
      position = to;
    },
    sourcesAfter: async (after, limit) => sourcesAfter(tables, after, limit),
    pairsWithin: async (radiusArcsec) => closePairs([...tables.objects.values()].map((versions) => (
      versions[versions.length - 1].row)), radiusArcsec),
    stats: async () => ({
      position, ...partsOfCommitPosition(position), partitions: 0, partitionDays: 0,
      firstMjdTai: sourcesAfter(tables, FIRST, 1)[0]?.midpointMjdTai ?? null,
      lastMjdTai: sourcesAfter(tables, FIRST, Infinity).at(-1)?.midpointMjdTai ?? null,
      tables: {
        DiaObject: { rows: [...tables.objects.values()].flat().length, bytes: 0 },
        DiaObjectLast: { rows: tables.objects.size, bytes: 0 }, DiaSource: { rows: tables.sources.length, bytes: 0 },
        DiaForcedSource: { rows: tables.forcedSources.length, bytes: 0 },
        DetectorVisitProcessingSummary: { rows: tables.summaries.length, bytes: 0 },
      },
    }),
    digest: async () => digest(tables),
    reset: async () => {
      tables = EMPTY;
      projected = [];
      position = BEFORE_EVERYTHING;
    },
    close: async () => {},
  };
}

const FIRST: SourceCursor = { midpointMjdTai: -Infinity, diaSourceId: 0n };

function sourcesAfter(tables: Tables, after: SourceCursor, limit: number): StoredSource[] {
  return tables.sources
    .map(({ row: { diaSourceId, midpointMjdTai }, commitFrom, payload }) => (
      { diaSourceId, midpointMjdTai, position: commitFrom, payload }))
    .filter((source) => inTimeOrder(source, after) > 0).sort(inTimeOrder).slice(0, limit);
}

function inTimeOrder(a: SourceCursor, b: SourceCursor): number {
  return a.midpointMjdTai - b.midpointMjdTai || compare(a.diaSourceId, b.diaSourceId);
}

function folded(tables: Tables, position: CommitPosition, commits: readonly CommittedRows[]): Tables {
  assertAscending(commits);
  const decoded = commits.filter((commit) => commit.position > position).map(decodeCommit);
  const objects = new Map<bigint, Version[]>();
  for (const [id, versions] of tables.objects) objects.set(id, versions.map((version) => ({ ...version })));
  for (const commit of decoded) for (const version of commit.diaObjects) addVersion(objects, version, commit.position);
  for (const commit of decoded) assertObjectsExist(commit, objects);
  return {
    objects,
    sources: joined('DiaSource', tables.sources, decoded.flatMap(sourcesOf)),
    forcedSources: joined('DiaForcedSource', tables.forcedSources, decoded.flatMap(forcedSourcesOf)),
    summaries: joined('DetectorVisitProcessingSummary', tables.summaries, decoded.map(summaryOf)),
    bodies: foldedBodies(tables.bodies, decoded.map(({ bodies }) => bodies)),
  };
}

function assertObjectsExist(commit: DecodedCommit, objects: ReadonlyMap<bigint, unknown>): void {
  for (const { row: { diaObjectId } } of [...commit.diaSources, ...commit.diaForcedSources]) {
    if (diaObjectId !== null && !objects.has(diaObjectId)) {
      throw new Error(`commit ${commit.position}: a row of diaObject ${diaObjectId}, which does not exist`);
    }
  }
}

function addVersion(
  objects: Map<bigint, Version[]>, version: DecodedRow<DiaObject>, commitFrom: CommitPosition,
): void {
  const id = version.row.diaObjectId;
  const versions = objects.get(id) ?? [];
  const before = versions.at(-1);
  if (before !== undefined) {
    before.commitTo = commitFrom;
    before.validityEndMjdTai = version.row.validityStartMjdTai;
  }
  versions.push({ ...version, key: `${id} ${commitFrom}`, commitFrom, commitTo: null, validityEndMjdTai: null });
  objects.set(id, versions);
}

function sourcesOf({ position, diaSources }: DecodedCommit): Stored<DiaSource>[] {
  return diaSources.map((source) => ({
    ...source, key: `${source.row.diaSourceId} ${source.row.midpointMjdTai}`, commitFrom: position,
  }));
}

function forcedSourcesOf({ position, diaForcedSources }: DecodedCommit): Stored<DiaForcedSource>[] {
  return diaForcedSources.map((source) => {
    const { diaObjectId, midpointMjdTai, visit, detector } = source.row;
    return { ...source, key: `${diaObjectId} ${midpointMjdTai} ${visit} ${detector}`, commitFrom: position };
  });
}

function summaryOf({ position, visit, detector, midpointMjdTai, summaryJson }: DecodedCommit): Summary {
  return { key: `${visit} ${detector}`, commitFrom: position, midpointMjdTai, summaryJson };
}

/** @throws when two rows have one key. */
function joined<Row extends { key: string }>(table: ApdbTable, stored: readonly Row[], added: readonly Row[]): Row[] {
  const keys = new Set(stored.map(({ key }) => key));
  for (const { key } of added) {
    if (keys.has(key)) throw new Error(`${table} has a row ${key} already`);
    keys.add(key);
  }
  return [...stored, ...added];
}

function versionAt(versions: readonly Version[], asOf: CommitPosition): Version | undefined {
  return versions.findLast(({ commitFrom }) => commitFrom <= asOf);
}

function historyRows<Row extends Readonly<{ diaObjectId: bigint | null; midpointMjdTai: number }>>(
  kind: HistoryKind, stored: readonly Stored<Row>[], idOf: (row: Row) => bigint,
  objectIds: readonly bigint[], sinceMjdTai: number, asOf: CommitPosition,
): HistoryRows[] {
  if (Number.isNaN(sinceMjdTai)) throw new Error('a time is not a number');
  const places = new Map(objectIds.map((id, place) => [id, place]));
  const rows = stored.filter(({ row, commitFrom }) => commitFrom <= asOf && row.midpointMjdTai >= sinceMjdTai
    && row.diaObjectId !== null && places.has(row.diaObjectId));
  const collector = new HistoryCollector(kind, objectIds.length);
  rows.forEach(({ row, commitFrom, payload }, block) => {
    const place = places.get(row.diaObjectId as bigint) as number; // The filter has seen to both.
    collector.add(place, idOf(row), row.midpointMjdTai, commitFrom, block, 0, payload.length);
  });
  return collector.finish(rows.map(({ payload }) => payload));
}

function counts(tables: Tables, dayObs: DayObs): NightCounts {
  const isTonight = isOfNight(dayObs);
  return {
    diaSources: tables.sources.filter(isTonight).length,
    diaObjectsNew: [...tables.objects.values()].filter((versions) => isTonight(versions[0])).length,
    diaForcedSources: tables.forcedSources.filter(isTonight).length,
    visitDetectors: tables.summaries.filter(isTonight).length,
    ssSources: tables.bodies.ssSources.filter(isTonight).length,
  };
}

function isOfNight(dayObs: DayObs): (row: Readonly<{ commitFrom: CommitPosition }>) => boolean {
  return ({ commitFrom }) => partsOfCommitPosition(commitFrom).dayObs === dayObs;
}

function digest(tables: Tables): Record<ApdbTable, string> {
  const versions = [...tables.objects.values()].flat();
  const last = versions.filter(({ commitTo }) => commitTo === null);
  const ofVersion = ({ commitFrom, commitTo, validityEndMjdTai, payload }: Version) => [
    String(commitFrom), String(commitTo), String(validityEndMjdTai), payload];
  const ofSource = ({ commitFrom, payload }: Pick<Stored<unknown>, 'commitFrom' | 'payload'>) => [
    String(commitFrom), payload];
  return {
    DiaObject: digestOf(versions, ofVersion),
    DiaObjectLast: digestOf(last, ofVersion),
    DiaSource: digestOf(tables.sources, ofSource),
    DiaForcedSource: digestOf(tables.forcedSources, ofSource),
    DetectorVisitProcessingSummary: digestOf(tables.summaries, (row) => [
      String(row.commitFrom), String(row.midpointMjdTai), row.summaryJson]),
    SSSource: digestOf(tables.bodies.ssSources.map((row) => ({ ...row, key: String(row.diaSourceId) })), ofSource),
    mpc_orbits: digestOf(
      tables.bodies.orbits.map((row) => ({ ...row, key: `${row.ssObjectId} ${row.commitFrom}` })), ofSource),
  };
}

function digestOf<Row extends { key: string }>(
  rows: readonly Row[], fields: (row: Row) => (string | Uint8Array)[],
): string {
  const hash = createHash('sha256');
  for (const row of [...rows].sort((a, b) => compare(a.key, b.key))) {
    // Each field with its length before it, so that no two rows run together alike.
    for (const field of [row.key, ...fields(row)]) hash.update(`${field.length} `).update(field);
  }
  return hash.digest('hex');
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
