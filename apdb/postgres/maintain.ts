/** Work of the day: old months dropped whole, and finished ones put in the order in which fields are read. */
import { retainedFrom, type Maintained } from '../retention.ts';
import { PARTITION_DAYS } from './partitions.ts';
import { dropPackedBefore, packHistory } from './packedHistory.ts';
import { lockPosition } from './position.ts';
import type { PostgresServer, Session } from './session.ts';

const SOURCE_TABLES = ['DiaSource', 'DiaForcedSource'] as const;

/** First time whose sources are kept, MJD TAI; −Infinity when all are. */
export async function readRetention(session: Session): Promise<number> {
  const [row] = await session.rows<{ value: string }>("SELECT value FROM metadata WHERE name = 'retainedFromMjdTai'");
  return row === undefined ? -Infinity : Number(row.value);
}

async function writeRetention(session: Session, mjdTai: number): Promise<void> {
  await session.rows(`INSERT INTO metadata (name, value) VALUES ('retainedFromMjdTai', $1)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`, [String(mjdTai)]);
}

/**
 * Drops the months before a time, clusters the finished ones that have not been, and packs what a preload reads.
 *
 * @param keepFromMjdTai Null keeps all. The month that holds it is kept whole.
 */
export async function maintain(server: PostgresServer, keepFromMjdTai: number | null): Promise<Maintained> {
  const { dropped, retainedFromMjdTai } = await server.transaction('maintain', (session) => (
    dropMonths(session, keepFromMjdTai)));
  // One transaction each: readers of the others do not wait, and what is done stays done.
  let clustered = 0;
  for (const { leaf, index } of await server.transaction('readAll', unclustered)) {
    await server.transaction('maintain', (session) => session.execute(
      `SET LOCAL maintenance_work_mem = '256MB'; CLUSTER "${leaf}" USING "${index}"; ANALYZE "${leaf}"`));
    clustered++;
  }
  const { firstMonth, lastMjdTai } = await server.transaction('readAll', timesOf);
  const packed = lastMjdTai === null ? 0 : await packHistory(server, lastMjdTai, firstMonth);
  return { droppedPartitions: dropped, clusteredPartitions: clustered, packedTiles: packed, retainedFromMjdTai };
}

async function dropMonths(
  session: Session, keepFromMjdTai: number | null,
): Promise<{ dropped: number; retainedFromMjdTai: number | null }> {
  await lockPosition(session);
  const before = await readRetention(session);
  const from = retainedFrom(before, keepFromMjdTai);
  if (from === -Infinity) return { dropped: 0, retainedFromMjdTai: null };
  await writeRetention(session, from);
  const months = (await monthsOf(session)).filter(({ days }) => days + PARTITION_DAYS <= from);
  let dropped = 0;
  for (const { name } of months) {
    const [{ leaves }] = await session.rows<{ leaves: string }>(
      'SELECT count(*) AS leaves FROM pg_inherits WHERE inhparent = $1::regclass', [`"${name}"`]);
    dropped += Number(leaves);
    await session.execute(`DROP TABLE "${name}"`);
  }
  await dropPackedBefore(session, from / PARTITION_DAYS);
  await session.rows('DELETE FROM "DiaSourceHistory" WHERE "midpointMjdTai" < $1', [from]);
  if (from > before) {
    // Cached tiles still hold what is gone.
    await session.execute(`DELETE FROM "HistoryTile";
      UPDATE metadata SET value = gen_random_uuid()::text WHERE name = 'epoch'`);
  }
  return { dropped, retainedFromMjdTai: from };
}

async function timesOf(session: Session): Promise<{ firstMonth: number; lastMjdTai: number | null }> {
  const first = Math.min(...(await monthsOf(session)).map(({ days }) => days));
  return { firstMonth: first / PARTITION_DAYS, lastMjdTai: await lastSourceTime(session) };
}

/** MJD TAI of the last diaSource; null when there is none. */
async function lastSourceTime(session: Session): Promise<number | null> {
  const months = (await monthsOf(session)).filter(({ name }) => name.startsWith('DiaSource_'));
  for (const { name } of months.sort((a, b) => b.days - a.days)) {
    const [{ last }] = await session.rows<{ last: number | null }>(`SELECT max("midpointMjdTai") AS last FROM "${name}"`);
    if (last !== null) return last;
  }
  return null;
}

/** Tables of months and the days that they begin with. */
async function monthsOf(session: Session): Promise<{ name: string; days: number }[]> {
  const months: { name: string; days: number }[] = [];
  for (const table of SOURCE_TABLES) {
    const rows = await session.rows<{ name: string }>(`SELECT c.relname AS name FROM pg_inherits i
      JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass ORDER BY 1`, [`"${table}"`]);
    months.push(...rows.map(({ name }) => ({ name, days: Number(name.slice(`${table}_days`.length)) })));
  }
  return months;
}

/** Partitions of finished months that were never clustered, with the index that has the pixel first. */
async function unclustered(session: Session): Promise<{ leaf: string; index: string }[]> {
  const last = await lastSourceTime(session);
  const finished = (await monthsOf(session)).filter(({ days }) => last !== null && days + PARTITION_DAYS <= last);
  const found: { leaf: string; index: string }[] = [];
  for (const { name } of finished) {
    found.push(...await session.rows<{ leaf: string; index: string }>(`
      SELECT t.relname AS leaf, x.relname AS index FROM pg_inherits i
      JOIN pg_class t ON t.oid = i.inhrelid
      JOIN pg_index d ON d.indrelid = t.oid JOIN pg_class x ON x.oid = d.indexrelid
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.indkey[0] AND a.attname = 'homePixel'
      WHERE i.inhparent = $1::regclass AND NOT d.indisclustered ORDER BY 1`, [`"${name}"`]));
  }
  return found;
}
