/**
 * Objects and their light curves out of the tables, as packed bytes.
 *
 * Every answer is a binary COPY that is parsed in one pass. COPY takes no parameters, so values stand in the
 * statement: they are numbers and bigints, written by the functions at the end of this file and by nothing else.
 */
import type { CommitPosition } from '../../schemas/ids.ts';
import type { Cone, ObjectHistory } from '../apdb.ts';
import { apdbConfig } from '../config.ts';
import { HistoryCollector } from '../historyRows.ts';
import type { HistoryRows } from '../historyRows.ts';
import type { PixelRange } from '../pixelization.ts';
import { coverOf, isInCone } from '../pixelization.ts';
import { rangesAround } from '../pixelRanges.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import type { PartitionedTable } from './partitions.ts';
import type { Session } from './session.ts';

type ObjectRow = Pick<ObjectHistory, 'diaObjectId' | 'ra' | 'dec' | 'diaObject'> & Readonly<{ homePixel: number }>;

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

/** The objects with their rows of commits ≤ `asOf` since `sinceMjdTai`. */
export async function withHistory(
  session: Session, objects: readonly ObjectRow[], sinceMjdTai: number, asOf: CommitPosition,
): Promise<ObjectHistory[]> {
  const histories: ObjectHistory[] = [];
  for (const part of partsOf(objects)) {
    const sources = await historyRows(session, 'DiaSource', 'diaSourceId', part, sinceMjdTai, asOf);
    const forced = await historyRows(session, 'DiaForcedSource', 'diaForcedSourceId', part, sinceMjdTai, asOf);
    part.forEach(({ diaObjectId, ra, dec, diaObject }, k) => (
      histories.push({ diaObjectId, ra, dec, diaObject, sources: sources[k], forcedSources: forced[k] })));
  }
  return histories;
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

/** Rows of a few ranges of home pixels: those of other objects there are passed over. */
async function historyRows(
  session: Session, table: PartitionedTable, idColumn: string,
  objects: readonly ObjectRow[], sinceMjdTai: number, asOf: CommitPosition,
): Promise<HistoryRows[]> {
  const places = new Map(objects.map(({ diaObjectId }, place) => [diaObjectId, place]));
  const ranges = rangesAround(objects.map(({ homePixel }) => homePixel), apdbConfig.rangesPerRead);
  const answer = await session.copyOut(`COPY (
    SELECT s."diaObjectId", s."${idColumn}", s."midpointMjdTai", s."commitFrom", s.payload
    FROM ${rangeTable(ranges)} JOIN "${table}" s ON s."homePixel" >= asked.low AND s."homePixel" < asked.high
    WHERE s."midpointMjdTai" >= ${double(sinceMjdTai)} AND s."commitFrom" <= ${integer(asOf)}
      AND s."diaObjectId" IS NOT NULL
  ) TO STDOUT (FORMAT binary)`);
  const reader = new CopyBinaryReader(answer);
  const collector = new HistoryCollector(
    table === 'DiaSource' ? 'source' : 'forced', objects.length, reader.countRows());
  while (reader.next()) {
    const place = places.get(reader.bigint());
    const id = reader.bigint();
    const midpointMjdTai = reader.double();
    const position = reader.numberOfBigint();
    const length = reader.skipSized();
    if (place !== undefined) collector.add(place, id, midpointMjdTai, position, reader.offset - length, length);
  }
  return collector.finish(answer);
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
