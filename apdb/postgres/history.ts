/**
 * Objects and their light curves out of the tables, as packed bytes.
 *
 * Every answer is a binary COPY that is parsed in one pass. COPY takes no parameters, so values stand in the
 * statement: they are numbers and bigints, written by the functions at the end of this file and by nothing else.
 */
import type { CommitPosition } from '../../schemas/ids.ts';
import type { Cone, ObjectHistory } from '../apdb.ts';
import { apdbConfig } from '../config.ts';
import type { PixelRange } from '../pixelization.ts';
import { coverOf, isInCone } from '../pixelization.ts';
import { rangesAround } from '../pixelRanges.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import { HistoryWindows } from '../historyRows.ts';
import { historyStream, type RangeChunk } from './historyStream.ts';
import type { PartitionedTable } from './partitions.ts';
import { readTogether, type ReadJob, type SharedRead } from './readTogether.ts';
import type { Session } from './session.ts';
import { SOURCE_BYTES_LIMIT } from './tables.ts';

export type ObjectRow = Pick<ObjectHistory, 'diaObjectId' | 'ra' | 'dec' | 'diaObject'>
  & Readonly<{ homePixel: number }>;

const OBJECT_COLUMNS = 'o."diaObjectId", o.ra, o.dec, o."homePixel", o.payload';

/** Objects in the cone as of `asOf`, by ascending id. `isLatest`: nothing above `asOf` is stored. */
export async function regionObjects(
  session: Session, cone: Cone, asOf: CommitPosition, isLatest: boolean,
): Promise<ObjectRow[]> {
  // A list of ranges, and not a join with them, lets the planner see how few rows they hold and read pages in order.
  const inCover = coverOf(cone)
    .map(({ from, to }) => `o."pixelId" >= ${integer(from)} AND o."pixelId" < ${integer(to)}`).join(' OR ');
  const from = isLatest ? '"DiaObjectLast" o WHERE' : `"DiaObject" o WHERE ${holdsAt(asOf)} AND`;
  const select = `SELECT ${OBJECT_COLUMNS} FROM ${from} (${inCover}) ORDER BY o."diaObjectId"`;
  const rows = await objectRows(session, select);
  return rows.filter(({ ra, dec }) => isInCone(cone, ra, dec));
}

/** Objects by id as of `asOf`, in the order asked; those that did not exist are left out. */
export async function objectsById(
  session: Session, ids: readonly bigint[], asOf: CommitPosition,
): Promise<ObjectRow[]> {
  const rows: ObjectRow[] = [];
  for (const part of partsOf([...new Set(ids)])) {
    rows.push(...await objectRows(session, `SELECT ${OBJECT_COLUMNS} FROM ${idTable(part)}
      JOIN "DiaObject" o ON o."diaObjectId" = asked.id WHERE ${holdsAt(asOf)} ORDER BY asked.place`));
  }
  return rows;
}

/** The objects with their rows of commits ≤ `asOf` since `sinceMjdTai`. @param isLatest Nothing above is stored. */
export async function withHistory(
  shared: SharedRead, objects: readonly ObjectRow[], sinceMjdTai: number, asOf: CommitPosition, isLatest: boolean,
): Promise<ObjectHistory[]> {
  const windows = newWindows(objects, sinceMjdTai);
  const ranges = rangesAround(objects.map(({ homePixel }) => homePixel), apdbConfig.rangesPerRead);
  const spans = [{ fromMjdTai: sinceMjdTai, toMjdTai: Infinity }];
  const jobs = rangeJobs(ranges, spans, asOf, isLatest, (table, { chunk }) => windows[table].add(chunk, -1));
  await readTogether(shared, jobs, async () => undefined);
  return joined(objects, windows);
}

/** Rows of one field on their way, of both tables. */
export type Windows = Readonly<Record<PartitionedTable, HistoryWindows>>;

export function newWindows(objects: readonly ObjectRow[], sinceMjdTai: number): Windows {
  if (Number.isNaN(sinceMjdTai)) throw new Error('a time is not a number');
  const places = new Map(objects.map(({ diaObjectId }, place) => [diaObjectId, place]));
  return {
    DiaSource: new HistoryWindows(places, sinceMjdTai), DiaForcedSource: new HistoryWindows(places, sinceMjdTai),
  };
}

export function joined(objects: readonly ObjectRow[], windows: Windows): ObjectHistory[] {
  const sources = windows.DiaSource.finish(), forced = windows.DiaForcedSource.finish();
  return objects.map(({ diaObjectId, ra, dec, diaObject }, k) => (
    { diaObjectId, ra, dec, diaObject, sources: sources[k], forcedSources: forced[k] }));
}

/** Times `from` ≤ t < `to`, MJD TAI. */
export type TimeSpan = Readonly<{ fromMjdTai: number; toMjdTai: number }>;

/** Rows of ranges of home pixels in some of the spans: a chunk a range and table, in no order. */
export function rangeJobs(
  ranges: readonly PixelRange[], spans: readonly TimeSpan[], asOf: CommitPosition, isLatest: boolean,
  take: (table: PartitionedTable, range: RangeChunk) => void,
): ReadJob[] {
  const jobs: ReadJob[] = [];
  for (let at = 0; at < ranges.length; at += apdbConfig.rangesPerJob) {
    const some = ranges.slice(at, at + apdbConfig.rangesPerJob);
    jobs.push((session) => readRanges(session, some, spans, asOf, isLatest, take));
  }
  return jobs;
}

async function readRanges(
  session: Session, ranges: readonly PixelRange[], spans: readonly TimeSpan[], asOf: CommitPosition, isLatest: boolean,
  take: (table: PartitionedTable, range: RangeChunk) => void,
): Promise<void> {
  // The widest bounds, which the planner knows, leave out the partitions of other parts of the sky.
  const low = Math.min(...ranges.map(({ from }) => from)), high = Math.max(...ranges.map(({ to }) => to));
  for (const table of ['DiaSource', 'DiaForcedSource'] as const) {
    // The sum keeps the planner from the index on commitFrom, which nearly every row passes.
    const rows = (name: string, holds: string) => `SELECT "commitFrom", payload FROM "${name}"
        WHERE "homePixel" >= asked.low AND "homePixel" < asked.high
          AND "homePixel" >= ${integer(low)} AND "homePixel" < ${integer(high)} AND (${isWithin(spans)})
          AND "commitFrom" + 0 <= ${integer(asOf)} AND "diaObjectId" IS NOT NULL ${holds}`;
    // Rows that a correction has replaced, as of commits before it.
    const ended = isLatest || table === 'DiaForcedSource' ? ''
      : ` UNION ALL ${rows('DiaSourceHistory', `AND "commitTo" > ${integer(asOf)}`)}`;
    const stream = historyStream(table === 'DiaSource' ? 'source' : 'forced', (range) => take(table, range));
    // The aggregates keep the planner from walking the tables once and the ranges for each row.
    await session.copyOutPieces(`COPY (
      SELECT asked.low, s.keys, s.rows FROM ${rangeTable(ranges)}, LATERAL (
        SELECT string_agg(int8send("commitFrom" * ${SOURCE_BYTES_LIMIT} + octet_length(payload)), ''::bytea) AS keys,
          string_agg(payload, ''::bytea) AS rows
        FROM (${rows(table, '')}${ended}) r) s
    ) TO STDOUT (FORMAT binary)`, (piece) => stream.take(piece));
  }
}

async function objectRows(session: Session, select: string): Promise<ObjectRow[]> {
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (${select}) TO STDOUT (FORMAT binary)`));
  const rows: ObjectRow[] = [];
  while (reader.next()) {
    const [diaObjectId, ra, dec, homePixel] = [reader.bigint(), reader.double(), reader.double(), reader.integer()];
    rows.push({ diaObjectId, ra, dec, homePixel, diaObject: reader.sized() });
  }
  return rows;
}

/** A table `asked` (low, high) of ranges low ≤ p < high. */
function rangeTable(ranges: readonly PixelRange[]): string {
  const list = (bounds: readonly number[]) => `'{${bounds.map(integer).join(',')}}'::integer[]`;
  return `unnest(${list(ranges.map(({ from }) => from))}, ${list(ranges.map(({ to }) => to))}) AS asked (low, high)`;
}

function holdsAt(asOf: CommitPosition): string {
  return `o."commitFrom" <= ${integer(asOf)} AND (o."commitTo" IS NULL OR o."commitTo" > ${integer(asOf)})`;
}

/** A table `asked` (id, place) with 1-based places. */
function idTable(ids: readonly bigint[]): string {
  const list = ids.map((id) => BigInt.asIntN(64, id).toString()).join(',');
  return `unnest('{${list}}'::bigint[]) WITH ORDINALITY AS asked (id, place)`;
}

function isWithin(spans: readonly TimeSpan[]): string {
  return spans.map(({ fromMjdTai, toMjdTai }) => (
    `"midpointMjdTai" >= ${double(fromMjdTai)} AND "midpointMjdTai" < ${double(toMjdTai)}`)).join(' OR ');
}

/** A number's shortest decimal form names the same double to Postgres. @throws on NaN. */
function double(value: number): string {
  if (Number.isNaN(value)) throw new Error('a time is not a number');
  return `'${value}'::float8`;
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`${value} is not an integer`);
  return String(value);
}

function partsOf<T>(list: readonly T[]): T[][] {
  const { objectsPerRead } = apdbConfig;
  const parts: T[][] = [];
  for (let at = 0; at < list.length; at += objectsPerRead) parts.push(list.slice(at, at + objectsPerRead));
  return parts;
}
