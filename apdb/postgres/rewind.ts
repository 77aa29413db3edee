/** Going back to an earlier commit, so that what came after it can be projected anew. */
import type { CommitPosition } from '../../schemas/ids.ts';
import { lockPosition, setPosition } from './position.ts';
import { unpackHistory } from './packedHistory.ts';
import type { Session } from './session.ts';
import { quotedColumns, TABLE_COLUMNS } from './tables.ts';

const ROWS_OF_COMMITS = [
  'DiaSource', 'DiaForcedSource', 'DetectorVisitProcessingSummary', 'SSSource', 'mpc_orbits',
] as const;

/** Takes away what commits above `to` brought, and gives back the versions that they ended. */
export async function rewind(session: Session, to: CommitPosition): Promise<void> {
  if (await lockPosition(session) <= to) return;
  for (const table of ROWS_OF_COMMITS) {
    await session.rows(`DELETE FROM "${table}" WHERE "commitFrom" > $1`, [to]);
  }
  await session.rows('DELETE FROM "DiaObjectLast" WHERE "commitFrom" > $1', [to]);
  await session.rows('DELETE FROM "DiaObjectHistory" WHERE "commitFrom" > $1', [to]);
  for (const table of ['DiaSource', 'SSSource'] as const) {
    const columns = quotedColumns(TABLE_COLUMNS[table]);
    await session.rows(`DELETE FROM "${table}History" WHERE "commitFrom" > $1`, [to]);
    await session.rows(`WITH reopened AS (DELETE FROM "${table}History" WHERE "commitTo" > $1 RETURNING *)
      INSERT INTO "${table}" (${columns}) SELECT ${columns} FROM reopened`, [to]);
  }
  const columns = quotedColumns(TABLE_COLUMNS.DiaObjectLast);
  await session.rows(`WITH reopened AS (DELETE FROM "DiaObjectHistory" WHERE "commitTo" > $1 RETURNING *)
    INSERT INTO "DiaObjectLast" (${columns}) SELECT ${columns} FROM reopened`, [to]);
  // Whatever is cached may hold what is gone: no cache of the earlier filling is looked at any more.
  await session.execute(`DELETE FROM "HistoryTile";
    UPDATE metadata SET value = gen_random_uuid()::text WHERE name = 'epoch'`);
  await unpackHistory(session);
  await setPosition(session, to);
}
