/** Partitions of the source tables by time: a year of history is few of them, and old ones can be dropped whole. */
import type { Session } from './session.ts';

/** Width of a partition, days: Rubin's. Partitions lie on multiples of it in MJD. A change is a migration. */
const PARTITION_DAYS = 30;

/**
 * Make the partitions that rows of these times need and that are not there.
 *
 * A table is made by itself and then attached: unlike CREATE TABLE … PARTITION OF, this does not wait for readers,
 * nor they for it.
 */
export async function createPartitions(
  session: Session, table: 'DiaSource' | 'DiaForcedSource', midpointsMjdTai: readonly number[],
): Promise<void> {
  const indexes = new Set(midpointsMjdTai.map((midpoint) => Math.floor(midpoint / PARTITION_DAYS)));
  for (const index of [...indexes].sort((a, b) => a - b)) {
    if (!Number.isSafeInteger(index)) throw new Error(`a midpoint time of ${table} is not a number`);
    const partition = `"${table}_days${index * PARTITION_DAYS}"`;
    const [{ exists }] = await session.rows<{ exists: boolean }>(
      'SELECT to_regclass($1) IS NOT NULL AS exists', [partition]);
    if (exists) continue;
    await session.execute(`
      CREATE TABLE ${partition} (LIKE "${table}" INCLUDING ALL);
      ALTER TABLE "${table}" ATTACH PARTITION ${partition}
        FOR VALUES FROM (${index * PARTITION_DAYS}) TO (${(index + 1) * PARTITION_DAYS})`);
  }
}
