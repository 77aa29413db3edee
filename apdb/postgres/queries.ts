/** Reads for people and for copies of the tables elsewhere: rows in order of time, and what there is of each. */
import { partsOfCommitPosition } from '../../schemas/ids.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { APDB_TABLES, type ApdbStats, type SourceCursor, type StoredSource } from '../apdb.ts';
import type { ObjectPlace } from '../closePairs.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import { readRetention } from './maintain.ts';
import { PARTITION_DAYS } from './partitions.ts';
import { readPosition } from './position.ts';
import type { Session } from './session.ts';

/** diaSources by (time, id) behind a cursor, as many as asked for or all that are left. */
export async function sourcesAfter(session: Session, after: SourceCursor, limit: number): Promise<StoredSource[]> {
  if (!Number.isFinite(after.midpointMjdTai)) throw new Error(`${after.midpointMjdTai} is not a time`);
  const time = `'${after.midpointMjdTai}'::float8`;
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT "diaSourceId", "midpointMjdTai", "commitFrom", payload FROM "DiaSource"
    WHERE "midpointMjdTai" >= ${time} AND ("midpointMjdTai", "diaSourceId") > (${time}, ${BigInt(after.diaSourceId)})
    ORDER BY "midpointMjdTai", "diaSourceId" LIMIT ${Math.floor(limit)}
  ) TO STDOUT (FORMAT binary)`));
  return storedSources(reader);
}

/** diaSources by id as they are now. */
export async function sourcesById(session: Session, ids: readonly bigint[]): Promise<StoredSource[]> {
  return storedSources(new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT "diaSourceId", "midpointMjdTai", "commitFrom", payload FROM "DiaSource"
    WHERE "diaSourceId" = ANY ('{${ids.map(BigInt).join(',')}}'::bigint[]) ORDER BY "diaSourceId"
  ) TO STDOUT (FORMAT binary)`)));
}

function storedSources(reader: CopyBinaryReader): StoredSource[] {
  const rows: StoredSource[] = [];
  while (reader.next()) {
    const [diaSourceId, midpointMjdTai] = [reader.bigint(), reader.double()];
    const position = reader.numberOfBigint() as CommitPosition; // The column holds positions.
    rows.push({ diaSourceId, midpointMjdTai, position, payload: reader.sized() });
  }
  return rows;
}

/** Where every object is now. */
export async function objectPlaces(session: Session): Promise<ObjectPlace[]> {
  const reader = new CopyBinaryReader(await session.copyOut(
    'COPY (SELECT "diaObjectId", ra, dec FROM "DiaObjectLast") TO STDOUT (FORMAT binary)'));
  const places: ObjectPlace[] = [];
  while (reader.next()) places.push({ diaObjectId: reader.bigint(), ra: reader.double(), dec: reader.double() });
  return places;
}

export async function stats(session: Session): Promise<ApdbStats> {
  const position = await readPosition(session);
  const tables: Record<string, { rows: number; bytes: number }> = {};
  for (const table of APDB_TABLES) {
    const [{ rows }] = await session.rows<{ rows: string }>(`SELECT count(*) AS rows FROM "${table}"`);
    tables[table] = { rows: Number(rows), bytes: 0 };
  }
  const sizes = await session.rows<{ table: string; partitions: string; bytes: string }>(`
    WITH RECURSIVE parts AS (
      SELECT c.oid, c.relname AS "table", c.oid AS root FROM pg_class c
      WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      UNION ALL SELECT i.inhrelid, p."table", p.root FROM parts p JOIN pg_inherits i ON i.inhparent = p.oid)
    SELECT "table", count(*) FILTER (WHERE oid <> root AND NOT EXISTS (
        SELECT FROM pg_inherits i WHERE i.inhparent = parts.oid)) AS partitions,
      sum(pg_total_relation_size(oid)) AS bytes
    FROM parts GROUP BY 1 ORDER BY 1`);
  const bytesOf = (name: string) => Number(sizes.find(({ table }) => table === name)?.bytes ?? 0);
  for (const table of APDB_TABLES) tables[table].bytes = bytesOf(table === 'DiaObject' ? 'DiaObjectHistory' : table);
  const [{ first, last }] = await session.rows<{ first: number | null; last: number | null }>(
    'SELECT min("midpointMjdTai") AS first, max("midpointMjdTai") AS last FROM "DiaSource"');
  const retained = await readRetention(session);
  return {
    position, ...partsOfCommitPosition(position), tables, partitionDays: PARTITION_DAYS,
    retainedFromMjdTai: retained === -Infinity ? null : retained,
    partitions: Number(sizes.find(({ table }) => table === 'DiaSource')?.partitions ?? 0),
    firstMjdTai: first, lastMjdTai: last,
  };
}
