/** Day-time corrections into the tables: what is replaced goes to the history tables, in the same transaction. */
import type { CommitPosition } from '../../schemas/ids.ts';
import { missingRow, type DecodedCorrection } from '../corrections.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import { storedHomes } from './homes.ts';
import { createPartitions } from './partitions.ts';
import { copyRows, placed, placesOf, writeObjects } from './project.ts';
import type { Session } from './session.ts';
import { writeBodies } from './solarSystem.ts';
import { quotedColumns, TABLE_COLUMNS, writeDiaForcedSource, writeDiaSource } from './tables.ts';
import { markTiles } from './tileHistory.ts';

/** Writes one correction above the locked position. @throws when it is about a row that is not there. */
export async function writeCorrection(session: Session, correction: DecodedCorrection): Promise<void> {
  const { position, diaSources, diaObjects, diaForcedSources, bodies } = correction;
  const ids = diaSources.map(({ row }) => row.diaSourceId);
  const oldPixels = await endSources(session, correction, ids);
  await closeObjects(session, correction);
  const homes = await storedHomes(session, new Set([
    ...diaSources.flatMap(({ row }) => row.diaObjectId ?? []),
    ...[...diaObjects, ...diaForcedSources].map(({ row }) => row.diaObjectId),
  ]));
  for (const { row } of diaObjects) {
    if (!homes.has(row.diaObjectId)) throw missingRow(correction, 'diaObject', row.diaObjectId);
  }
  const added = diaSources.map((source) => placed(source, position, homes));
  await createPartitions(session, 'DiaSource', placesOf(added));
  await copyRows(session, 'DiaSource', added, (out, source) => writeDiaSource(out, source, position));
  const forced = diaForcedSources.map((source) => placed(source, position, homes));
  await createPartitions(session, 'DiaForcedSource', placesOf(forced));
  await copyRows(session, 'DiaForcedSource', forced, (out, source) => writeDiaForcedSource(out, source, position));
  await writeObjects(session, diaObjects.map((version) => (
    { commitFrom: position, version: placed(version, position, homes) })));
  await writeBodies(session, [bodies]);
  // What is cached of these tiles holds rows that have ended: it is no answer any more.
  await markTiles(session, position, [...oldPixels, ...[...added, ...forced].map(({ homePixel }) => homePixel)]);
}

/** Moves the stored versions of the sources, and their ssSources, to the histories. @returns Their home pixels. */
async function endSources(
  session: Session, correction: DecodedCorrection, ids: readonly bigint[],
): Promise<readonly number[]> {
  if (ids.length === 0) return [];
  const homes = new Map<bigint, number>();
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT "diaSourceId", "homePixel" FROM "DiaSource" WHERE "diaSourceId" = ANY ('{${ids.join(',')}}'::bigint[])
  ) TO STDOUT (FORMAT binary)`));
  while (reader.next()) homes.set(reader.bigint(), reader.integer());
  for (const id of ids) if (!homes.has(id)) throw missingRow(correction, 'diaSource', id);
  await moveToHistory(session, 'DiaSource', ids, correction.position);
  await moveToHistory(session, 'SSSource', ids, correction.position);
  return [...homes.values()];
}

async function moveToHistory(
  session: Session, table: 'DiaSource' | 'SSSource', ids: readonly bigint[], by: CommitPosition,
): Promise<void> {
  const columns = quotedColumns(TABLE_COLUMNS[table]);
  await session.rows(`WITH ended AS (DELETE FROM "${table}" WHERE "diaSourceId" = ANY ($1::bigint[]) RETURNING *)
    INSERT INTO "${table}History" (${columns}, "commitTo") SELECT ${columns}, $2 FROM ended`, [ids, by]);
}

async function closeObjects(session: Session, correction: DecodedCorrection): Promise<void> {
  const { closed, closedMjdTai, position } = correction;
  if (closed.length === 0) return;
  const columns = quotedColumns(TABLE_COLUMNS.DiaObjectLast);
  const ended = await session.rows<{ id: string }>(`
    WITH ended AS (DELETE FROM "DiaObjectLast" WHERE "diaObjectId" = ANY ($1::bigint[]) RETURNING *)
    INSERT INTO "DiaObjectHistory" (${columns}, "commitTo", "validityEndMjdTai")
    SELECT ${columns}, $2, $3 FROM ended RETURNING "diaObjectId" AS id`, [closed, position, closedMjdTai]);
  const found = new Set(ended.map(({ id }) => BigInt(id)));
  for (const id of closed) if (!found.has(id)) throw missingRow(correction, 'diaObject', id);
}
