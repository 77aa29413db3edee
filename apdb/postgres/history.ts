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
import { coverOf, isInCone } from '../pixelization.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import type { Session } from './session.ts';

type ObjectRow = Pick<ObjectHistory, 'diaObjectId' | 'ra' | 'dec' | 'diaObject'>;

const OBJECT_COLUMNS = 'o."diaObjectId", o.ra, o.dec, o.payload';

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
    const ids = part.map(({ diaObjectId }) => diaObjectId);
    const sources = await historyRows(session, 'DiaSource', 'diaSourceId', ids, sinceMjdTai, asOf);
    const forced = await historyRows(session, 'DiaForcedSource', 'diaForcedSourceId', ids, sinceMjdTai, asOf);
    part.forEach((object, k) => histories.push({ ...object, sources: sources[k], forcedSources: forced[k] }));
  }
  return histories;
}

async function objectRows(session: Session, select: string): Promise<ObjectRow[]> {
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (${select}) TO STDOUT (FORMAT binary)`));
  const rows: ObjectRow[] = [];
  while (reader.next()) {
    rows.push({ diaObjectId: reader.bigint(), ra: reader.double(), dec: reader.double(), diaObject: reader.sized() });
  }
  return rows;
}

async function historyRows(
  session: Session, table: 'DiaSource' | 'DiaForcedSource', idColumn: string,
  objectIds: readonly bigint[], sinceMjdTai: number, asOf: CommitPosition,
): Promise<HistoryRows[]> {
  const answer = await session.copyOut(`COPY (
    SELECT asked.place::integer, s."${idColumn}", s."midpointMjdTai", s."commitFrom", s.payload
    FROM ${idTable(objectIds)} JOIN "${table}" s ON s."diaObjectId" = asked.id
    WHERE s."midpointMjdTai" >= ${double(sinceMjdTai)} AND s."commitFrom" <= ${integer(asOf)}
  ) TO STDOUT (FORMAT binary)`);
  const reader = new CopyBinaryReader(answer);
  const collector = new HistoryCollector(
    table === 'DiaSource' ? 'source' : 'forced', objectIds.length, reader.countRows());
  while (reader.next()) {
    const place = reader.integer();
    const id = reader.bigint();
    const midpointMjdTai = reader.double();
    const position = reader.numberOfBigint();
    const length = reader.skipSized();
    collector.add(place - 1, id, midpointMjdTai, position, reader.offset - length, length);
  }
  return collector.finish(answer);
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
