/**
 * Partitions of the source tables by time, and in each by place: a year of a field is a few ranges of few tables, and
 * old ones can be dropped whole.
 */
import { PIXEL_ORDER } from '../pixelization.ts';
import type { Session } from './session.ts';

/** Width of a partition, days: Rubin's. Partitions lie on multiples of it in MJD. A change is a migration. */
export const PARTITION_DAYS = 30;

/** A partition of a month is one base pixel of HEALPix. A change is a migration. */
const PIXELS_A_PARTITION = 4 ** PIXEL_ORDER;

export type PartitionedTable = 'DiaSource' | 'DiaForcedSource';

/** Where a row belongs. */
export type RowPlace = Readonly<{ midpointMjdTai: number; homePixel: number }>;

/** Make the partitions that rows of these places need and that are not there. */
export async function createPartitions(
  session: Session, table: PartitionedTable, places: Iterable<RowPlace>,
): Promise<void> {
  const wanted = new Set<number>();
  for (const { midpointMjdTai, homePixel } of places) {
    const month = Math.floor(midpointMjdTai / PARTITION_DAYS);
    if (!Number.isSafeInteger(month)) throw new Error(`a midpoint time of ${table} is not a number`);
    wanted.add(month * 12 + Math.floor(homePixel / PIXELS_A_PARTITION));
  }
  for (const key of [...wanted].sort((a, b) => a - b)) {
    await createPartition(session, table, Math.floor(key / 12), key - 12 * Math.floor(key / 12));
  }
}

/** @returns The name of the month's table, quoted. */
export function monthTable(table: PartitionedTable, month: number): string {
  return `"${table}_days${month * PARTITION_DAYS}"`;
}

/**
 * A table is made by itself and then attached: unlike CREATE TABLE … PARTITION OF, this does not wait for readers,
 * nor they for it.
 */
async function createPartition(
  session: Session, table: PartitionedTable, month: number, basePixel: number,
): Promise<void> {
  const monthName = monthTable(table, month);
  const name = `"${table}_days${month * PARTITION_DAYS}_pixel${basePixel}"`;
  const [{ hasMonth, exists }] = await session.rows<{ hasMonth: boolean; exists: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS "hasMonth", to_regclass($2) IS NOT NULL AS exists', [monthName, name]);
  if (exists) return;
  const pixels = `FROM (${basePixel * PIXELS_A_PARTITION}) TO (${(basePixel + 1) * PIXELS_A_PARTITION})`;
  const days = `FROM (${month * PARTITION_DAYS}) TO (${(month + 1) * PARTITION_DAYS})`;
  await session.execute([
    `CREATE TABLE ${name} (LIKE "${table}" INCLUDING ALL)`,
    ...hasMonth ? [] : [`CREATE TABLE ${monthName} (LIKE "${table}" INCLUDING ALL) PARTITION BY RANGE ("homePixel")`],
    // The topmost pixel of all would be 12 × 4^13, which fits an integer.
    `ALTER TABLE ${monthName} ATTACH PARTITION ${name} FOR VALUES ${pixels}`,
    ...hasMonth ? [] : [`ALTER TABLE "${table}" ATTACH PARTITION ${monthName} FOR VALUES ${days}`],
  ].join(';\n'));
}
