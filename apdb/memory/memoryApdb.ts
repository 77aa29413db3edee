/** The APDB in memory, for tests: everything is walked for every read. */
import { createHash } from 'node:crypto';
import type { DiaForcedSource, DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, partsOfCommitPosition } from '../../schemas/ids.ts';
import type { CommitPosition, DayObs } from '../../schemas/ids.ts';
import { readablePosition } from '../apdb.ts';
import type {
  Apdb, ApdbTable, Committed, NightCounts, ObjectHistory, SourceCursor, StoredSource,
} from '../apdb.ts';
import { closePairs } from '../closePairs.ts';
import { decodeRuns, missingRow, withoutDropped, type DecodedCorrection } from '../corrections.ts';
import { retainedFrom } from '../retention.ts';
import { chunkOfRows } from '../historyChunk.ts';
import { HistoryWindows } from '../historyRows.ts';
import type { HistoryKind, HistoryRows } from '../historyRows.ts';
import { assertCone, isInCone } from '../pixelization.ts';
import { assertAscending } from '../rows.ts';
import type { DecodedCommit, DecodedRow } from '../rows.ts';
import { endedBodies, foldedBodies, memoryBodies, NO_BODIES, type BodyTables } from './memoryBodies.ts';

type Stored<Row> = DecodedRow<Row> & Readonly<{ key: string; commitFrom: CommitPosition }>;
type Version = Stored<DiaObject> & { commitTo: CommitPosition | null; validityEndMjdTai: number | null };
/** A version of a row that another one has followed. */
type Ended<Row> = Row & Readonly<{ commitTo: CommitPosition }>;
type Summary = Readonly<{ key: string; commitFrom: CommitPosition; midpointMjdTai: number; summaryJson: string }>;

type Tables = Readonly<{
  /** Versions of each object, in commit order. */
  objects: ReadonlyMap<bigint, readonly Version[]>;
  sources: readonly Stored<DiaSource>[];
  endedSources: readonly Ended<Stored<DiaSource>>[];
  forcedSources: readonly Stored<DiaForcedSource>[];
  summaries: readonly Summary[];
  bodies: BodyTables;
}>;

const EMPTY: Tables = {
  objects: new Map(), sources: [], endedSources: [], forcedSources: [], summaries: [], bodies: NO_BODIES,
};

export function openMemoryApdb(): Apdb {
  let tables = EMPTY;
  let position = BEFORE_EVERYTHING;
  let projected: readonly Committed[] = [];
  let retainedFromMjdTai = -Infinity;

  const histories = (objects: readonly Version[], sinceMjdTai: number, asOf: CommitPosition): ObjectHistory[] => {
    const ids = objects.map(({ row }) => row.diaObjectId);
    const stored = [...tables.sources, ...tables.endedSources.filter(({ commitTo }) => commitTo > asOf)];
    const sources = historyRows('source', stored, ids, sinceMjdTai, asOf);
    const forced = historyRows('forced', tables.forcedSources, ids, sinceMjdTai, asOf);
    return objects.map(({ row, payload }, k) => ({
      diaObjectId: row.diaObjectId, diaObject: payload, ra: row.ra, dec: row.dec,
      sources: sources[k], forcedSources: forced[k],
    }));
  };

  return {
    position: async () => position,
    project: async (commits) => {
      // New tables take the place of the old ones when every row has been accepted.
      tables = folded(tables, position, commits, retainedFromMjdTai);
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
    diaSourceIds: async (dayObs) => firstVersions(tables)
      .filter(isOfNight(dayObs)).map(({ row }) => row.diaSourceId).sort(compare),
    rewind: async (to) => {
      if (position <= to) return;
      projected = projected.filter((commit) => commit.position <= to);
      tables = folded(EMPTY, BEFORE_EVERYTHING, projected, retainedFromMjdTai);
      position = to;
    },
    loadSources: async (ids) => {
      const wanted = new Set(ids);
      return tables.sources.filter(({ row }) => wanted.has(row.diaSourceId)).map(storedSource)
        .sort((a, b) => compare(a.diaSourceId, b.diaSourceId));
    },
    sourcesAfter: async (after, limit) => sourcesAfter(tables, after, limit),
    pairsWithin: async (radiusArcsec) => closePairs(
      [...tables.objects.values()].flatMap((versions) => versionAt(versions, position)?.row ?? []), radiusArcsec),
    maintain: async (keepFromMjdTai) => {
      retainedFromMjdTai = retainedFrom(retainedFromMjdTai, keepFromMjdTai);
      tables = folded(EMPTY, BEFORE_EVERYTHING, projected, retainedFromMjdTai);
      return {
        droppedPartitions: 0, clusteredPartitions: 0, packedTiles: 0,
        retainedFromMjdTai: retainedFromMjdTai === -Infinity ? null : retainedFromMjdTai,
      };
    },
    stats: async () => ({
      position, ...partsOfCommitPosition(position), partitions: 0, partitionDays: 0,
      retainedFromMjdTai: retainedFromMjdTai === -Infinity ? null : retainedFromMjdTai,
      firstMjdTai: sourcesAfter(tables, FIRST, 1)[0]?.midpointMjdTai ?? null,
      lastMjdTai: sourcesAfter(tables, FIRST, Infinity).at(-1)?.midpointMjdTai ?? null,
      tables: {
        DiaObject: { rows: [...tables.objects.values()].flat().length, bytes: 0 },
        DiaObjectLast: { rows: openObjects(tables).length, bytes: 0 },
        DiaSource: { rows: tables.sources.length, bytes: 0 },
        DiaSourceHistory: { rows: tables.endedSources.length, bytes: 0 },
        DiaForcedSource: { rows: tables.forcedSources.length, bytes: 0 },
        DetectorVisitProcessingSummary: { rows: tables.summaries.length, bytes: 0 },
      },
    }),
    digest: async () => digest(tables),
    reset: async () => {
      tables = EMPTY;
      retainedFromMjdTai = -Infinity;
      projected = [];
      position = BEFORE_EVERYTHING;
    },
    close: async () => {},
  };
}

const FIRST: SourceCursor = { midpointMjdTai: -Infinity, diaSourceId: 0n };

function sourcesAfter(tables: Tables, after: SourceCursor, limit: number): StoredSource[] {
  return tables.sources.map(storedSource)
    .filter((source) => inTimeOrder(source, after) > 0).sort(inTimeOrder).slice(0, limit);
}

function storedSource({ row: { diaSourceId, midpointMjdTai }, commitFrom, payload }: Stored<DiaSource>): StoredSource {
  return { diaSourceId, midpointMjdTai, position: commitFrom, payload };
}

/** Each diaSource as it first came. */
function firstVersions({ sources, endedSources }: Tables): readonly Stored<DiaSource>[] {
  const first = new Map<string, Stored<DiaSource>>();
  for (const source of [...sources, ...endedSources]) {
    const known = first.get(source.key);
    if (known === undefined || source.commitFrom < known.commitFrom) first.set(source.key, source);
  }
  return [...first.values()];
}

function openObjects({ objects }: Tables): readonly Version[] {
  return [...objects.values()].flat().filter(({ commitTo }) => commitTo === null);
}

function inTimeOrder(a: SourceCursor, b: SourceCursor): number {
  return a.midpointMjdTai - b.midpointMjdTai || compare(a.diaSourceId, b.diaSourceId);
}

function folded(
  tables: Tables, position: CommitPosition, commits: readonly Committed[], retainedFromMjdTai: number,
): Tables {
  assertAscending(commits);
  let next = tables;
  const runs = decodeRuns(commits.filter((commit) => commit.position > position));
  for (const run of withoutDropped(runs, retainedFromMjdTai)) {
    next = run.correction === null ? withCommits(next, run.commits) : corrected(next, run.correction);
  }
  return next;
}

function withCommits(tables: Tables, decoded: readonly DecodedCommit[]): Tables {
  const objects = copiedObjects(tables);
  for (const commit of decoded) for (const version of commit.diaObjects) addVersion(objects, version, commit.position);
  for (const commit of decoded) assertObjectsExist(commit, objects);
  return {
    objects,
    sources: joined('DiaSource', tables.sources, decoded.flatMap(sourcesOf)),
    endedSources: tables.endedSources,
    forcedSources: joined('DiaForcedSource', tables.forcedSources, decoded.flatMap(forcedSourcesOf)),
    summaries: joined('DetectorVisitProcessingSummary', tables.summaries, decoded.map(summaryOf)),
    bodies: foldedBodies(tables.bodies, decoded.map(({ bodies }) => bodies)),
  };
}

function corrected(tables: Tables, correction: DecodedCorrection): Tables {
  const { position, closed, closedMjdTai, diaSources, diaObjects, diaForcedSources, bodies } = correction;
  const objects = copiedObjects(tables);
  for (const version of diaObjects) {
    const id = version.row.diaObjectId;
    if (!isOpen(objects.get(id))) throw missingRow(correction, 'diaObject', id);
    addVersion(objects, version, position);
  }
  for (const id of closed) {
    const last = objects.get(id)?.at(-1);
    if (last === undefined || last.commitTo !== null) throw missingRow(correction, 'diaObject', id);
    last.commitTo = position;
    last.validityEndMjdTai = closedMjdTai;
  }
  const replaced = new Set(diaSources.map(({ row }) => row.diaSourceId));
  const ended = tables.sources.filter(({ row }) => replaced.has(row.diaSourceId));
  for (const { row } of ended) replaced.delete(row.diaSourceId);
  for (const id of replaced) throw missingRow(correction, 'diaSource', id);
  const gone = new Set(ended);
  const added = sourcesOf({ position, diaSources });
  assertObjectsExist({ position, diaSources, diaForcedSources }, objects);
  return {
    ...tables, objects,
    sources: joined('DiaSource', tables.sources.filter((source) => !gone.has(source)), added),
    endedSources: [...tables.endedSources, ...ended.map((source) => ({ ...source, commitTo: position }))],
    forcedSources: joined('DiaForcedSource', tables.forcedSources, forcedSourcesOf({ position, diaForcedSources })),
    bodies: foldedBodies(
      endedBodies(tables.bodies, new Set(ended.map(({ row }) => row.diaSourceId)), position), [bodies]),
  };
}

function copiedObjects(tables: Tables): Map<bigint, Version[]> {
  const objects = new Map<bigint, Version[]>();
  for (const [id, versions] of tables.objects) objects.set(id, versions.map((version) => ({ ...version })));
  return objects;
}

function isOpen(versions: readonly Version[] | undefined): boolean {
  return versions?.at(-1)?.commitTo === null;
}

function assertObjectsExist(
  commit: Pick<DecodedCommit, 'position' | 'diaSources' | 'diaForcedSources'>,
  objects: ReadonlyMap<bigint, readonly Version[]>,
): void {
  for (const { row: { diaObjectId } } of [...commit.diaSources, ...commit.diaForcedSources]) {
    if (diaObjectId !== null && !isOpen(objects.get(diaObjectId))) {
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
  if (before !== undefined && before.commitTo === null) {
    before.commitTo = commitFrom;
    before.validityEndMjdTai = version.row.validityStartMjdTai;
  }
  versions.push({ ...version, key: `${id} ${commitFrom}`, commitFrom, commitTo: null, validityEndMjdTai: null });
  objects.set(id, versions);
}

function sourcesOf({ position, diaSources }: Pick<DecodedCommit, 'position' | 'diaSources'>): Stored<DiaSource>[] {
  return diaSources.map((source) => ({
    ...source, key: `${source.row.diaSourceId} ${source.row.midpointMjdTai}`, commitFrom: position,
  }));
}

function forcedSourcesOf(
  { position, diaForcedSources }: Pick<DecodedCommit, 'position' | 'diaForcedSources'>,
): Stored<DiaForcedSource>[] {
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
  return versions.findLast(({ commitFrom, commitTo }) => commitFrom <= asOf && (commitTo === null || commitTo > asOf));
}

function historyRows<Row extends Readonly<{ diaObjectId: bigint | null; midpointMjdTai: number }>>(
  kind: HistoryKind, stored: readonly Stored<Row>[],
  objectIds: readonly bigint[], sinceMjdTai: number, asOf: CommitPosition,
): HistoryRows[] {
  if (Number.isNaN(sinceMjdTai)) throw new Error('a time is not a number');
  const places = new Map(objectIds.map((id, place) => [id, place]));
  const rows = stored.filter(({ row, commitFrom }) => commitFrom <= asOf && row.diaObjectId !== null
    && places.has(row.diaObjectId));
  const windows = new HistoryWindows(places, sinceMjdTai);
  windows.add(chunkOfRows(kind, Float64Array.from(rows, ({ commitFrom }) => commitFrom),
    Uint32Array.from(rows, ({ payload }) => payload.length), Buffer.concat(rows.map(({ payload }) => payload))), -1);
  return windows.finish();
}

function counts(tables: Tables, dayObs: DayObs): NightCounts {
  const isTonight = isOfNight(dayObs);
  return {
    diaSources: firstVersions(tables).filter(isTonight).length,
    diaObjectsNew: [...tables.objects.values()].filter((versions) => isTonight(versions[0])).length,
    diaForcedSources: tables.forcedSources.filter(isTonight).length,
    visitDetectors: tables.summaries.filter(isTonight).length,
    ssSources: [...tables.bodies.ssSources, ...tables.bodies.endedSsSources].filter(isTonight).length,
  };
}

function isOfNight(dayObs: DayObs): (row: Readonly<{ commitFrom: CommitPosition }>) => boolean {
  return ({ commitFrom }) => partsOfCommitPosition(commitFrom).dayObs === dayObs;
}

function digest(tables: Tables): Record<ApdbTable, string> {
  const versions = [...tables.objects.values()].flat();
  const last = openObjects(tables);
  const ofVersion = ({ commitFrom, commitTo, validityEndMjdTai, payload }: Version) => [
    String(commitFrom), String(commitTo), String(validityEndMjdTai), payload];
  const ofSource = ({ commitFrom, payload }: Pick<Stored<unknown>, 'commitFrom' | 'payload'>) => [
    String(commitFrom), payload];
  const ofEnded = (row: Ended<Pick<Stored<unknown>, 'commitFrom' | 'payload'>>) => [
    String(row.commitTo), ...ofSource(row)];
  return {
    DiaObject: digestOf(versions, ofVersion),
    DiaObjectLast: digestOf(last, ofVersion),
    DiaSource: digestOf(tables.sources, ofSource),
    DiaSourceHistory: digestOf(
      tables.endedSources.map((row) => ({ ...row, key: `${row.key} ${row.commitFrom}` })), ofEnded),
    DiaForcedSource: digestOf(tables.forcedSources, ofSource),
    DetectorVisitProcessingSummary: digestOf(tables.summaries, (row) => [
      String(row.commitFrom), String(row.midpointMjdTai), row.summaryJson]),
    SSSourceHistory: digestOf(
      tables.bodies.endedSsSources.map((row) => ({ ...row, key: `${row.diaSourceId} ${row.commitFrom}` })), ofEnded),
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
