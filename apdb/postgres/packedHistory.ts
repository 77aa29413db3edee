/**
 * Histories of finished months, packed: the rows of a tile as one chunk, columns and all, in a table of its own that is
 * in the order of tiles. A cold preload takes them as they are: a year of rows in few long reads, and nothing is
 * decoded on either side. (As rows, a month at a time, the field's pages were read with three times as much around
 * them, and taking rows apart and together was two thirds of the time.)
 *
 * The rows stay in their tables, which are the truth. A commit that changes a packed month marks the tile, in its own
 * transaction, and until `packHistory` has made it anew the tile is read from rows.
 */
import { decodeHistoryChunk, encodeHistoryChunk, HISTORY_LAYOUT, type HistoryChunk } from '../historyChunk.ts';
import { apdbConfig } from '../config.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { pixelsOf, tileOf } from '../tiles.ts';
import { CopyBinaryReader, CopyBinaryWriter } from './copyBinary.ts';
import { CopyFieldStream } from './copyFields.ts';
import { rangeJobs, type TimeSpan } from './history.ts';
import { PARTITION_DAYS } from './partitions.ts';
import { lockPosition } from './position.ts';
import type { ReadJob } from './readTogether.ts';
import { MAINTAIN_BY_INDEX, type PostgresServer, type Session } from './session.ts';

/** Months from ≤ m < to. */
type Months = Readonly<{ fromMonth: number; toMonth: number }>;
type Packed = Months & Readonly<{ generation: number; markedToMonth: number }>;

/** What a preload may take from chunks. */
export type PackedTiles = Readonly<{ table: string; months: Months; stale: ReadonlySet<number> }>;

/** Both chunks of a tile. */
export type PackedChunks = Readonly<{ tile: number; sources: HistoryChunk; forcedSources: HistoryChunk }>;

/** A name before every month. */
export const ANY_MONTH = -(2 ** 31);

/** Chunks as this transaction sees them, kept to its end; null when there are none. */
export async function packedTiles(session: Session, tiles: readonly number[]): Promise<PackedTiles | null> {
  const { generation, fromMonth, toMonth } = await readPacked(session);
  if (fromMonth >= toMonth) return null;
  const table = tableOf(generation);
  // The snapshot may be older than a later packing, which has dropped the table; while it is locked it stays.
  const [{ exists }] = await session.rows<{ exists: boolean }>('SELECT to_regclass($1) IS NOT NULL AS exists', [table]);
  if (!exists) return null;
  await session.execute(`LOCK TABLE ${table} IN ACCESS SHARE MODE`);
  const stale = await session.rows<{ tile: number }>(
    'SELECT tile FROM "StaleChunk" WHERE tile = ANY ($1::integer[])', [tiles]);
  return { table, months: { fromMonth, toMonth }, stale: new Set(stale.map(({ tile }) => tile)) };
}

/** Reads of chunks; a tile without rows in those months has none. */
export function packedJobs(
  { table }: PackedTiles, tiles: readonly number[], take: (chunks: PackedChunks) => void,
): ReadJob[] {
  return groupsOf(tiles).map((some) => async (session: Session) => {
    const stream = new CopyFieldStream(3, ([tile, sources, forced]) => {
      if (tile?.length !== 4 || !sources || !forced) throw new Error(`a row of ${table} that lacks a column`);
      take({
        tile: tile.readInt32BE(0), sources: decodeHistoryChunk(sources), forcedSources: decodeHistoryChunk(forced),
      });
    });
    await session.copyOutPieces(`COPY (SELECT tile, sources, "forcedSources" FROM ${table}
      WHERE tile = ANY ('{${some.join(',')}}'::integer[]) ORDER BY tile) TO STDOUT (FORMAT binary)`,
    (piece) => stream.take(piece));
  });
}

/** What of the times since `sinceMjdTai` is not in the chunks. */
export function spansBeside({ fromMonth, toMonth }: Months, sinceMjdTai: number): readonly TimeSpan[] {
  const [from, to] = [fromMonth * PARTITION_DAYS, toMonth * PARTITION_DAYS];
  const spans = [
    { fromMjdTai: sinceMjdTai, toMjdTai: from }, { fromMjdTai: Math.max(sinceMjdTai, to), toMjdTai: Infinity },
  ];
  return spans.filter(({ fromMjdTai, toMjdTai }) => fromMjdTai < toMjdTai);
}

/** Marks tiles with changes in packed months; by the transaction that has locked the position and makes them. */
export async function markStale(
  session: Session, through: CommitPosition, months: ReadonlyMap<number, number>,
): Promise<void> {
  await session.rows(`INSERT INTO "StaleChunk" (tile, position)
    SELECT changed.tile, $3 FROM unnest($1::integer[], $2::integer[]) AS changed (tile, month), "PackedHistory" p
    WHERE changed.month < p."markedToMonth" ORDER BY changed.tile
    ON CONFLICT (tile) DO UPDATE SET position = excluded.position`, [[...months.keys()], [...months.values()], through]);
}

/** Takes all chunks away. The position is locked. */
export async function unpackHistory(session: Session): Promise<void> {
  const { generation } = await readPacked(session);
  await session.execute(`DROP TABLE IF EXISTS ${tableOf(generation)}; DELETE FROM "StaleChunk";
    UPDATE "PackedHistory" SET "fromMonth" = 0, "toMonth" = 0, "markedToMonth" = 0`);
}

/** Months before this one go out of the tables, and with them chunks that hold them. The position is locked. */
export async function dropPackedBefore(session: Session, month: number): Promise<void> {
  const { fromMonth, toMonth } = await readPacked(session);
  if (fromMonth < Math.min(month, toMonth)) await unpackHistory(session);
}

/**
 * Packs the year's months that have been over for a month, when there are new ones among them; else only what has
 * changed. The last one is left to precovery, which adds to the 30 days behind a night.
 *
 * @param lastMjdTai Time of the last source.
 * @returns Tiles packed.
 */
export async function packHistory(server: PostgresServer, lastMjdTai: number, firstMonth: number): Promise<number> {
  const toMonth = Math.floor(lastMjdTai / PARTITION_DAYS) - 1;
  // A preload looks back so far from a time that is in month toMonth + 1 or later.
  const fromMonth = Math.max(firstMonth, toMonth + 1 - Math.ceil(apdbConfig.historyDays / PARTITION_DAYS));
  if (fromMonth >= toMonth) return 0;
  const packed = await server.transaction('read', readPacked);
  return packed.toMonth === toMonth ? packStale(server) : packAll(server, { fromMonth, toMonth });
}

async function packAll(server: PostgresServer, months: Months): Promise<number> {
  return server.transaction('maintain', async (session) => {
    if (!await isOnlyPacker(session)) return 0;
    // From here on changes are marked. What was committed before is seen by the reads below.
    const { begun, generation } = await server.transaction('maintain', async (marking) => {
      const position = await lockPosition(marking);
      await marking.rows('UPDATE "PackedHistory" SET "markedToMonth" = $1', [months.toMonth]);
      return { begun: position, generation: (await readPacked(marking)).generation };
    });
    const table = tableOf(generation + 1);
    await session.execute(`${MAINTAIN_BY_INDEX}; CREATE TABLE ${table} (LIKE "HistoryChunk" INCLUDING ALL)`);
    const tiles = await tilesOfObjects(session);
    // In a table that this transaction has made, frozen rows need neither WAL nor a later vacuum.
    for (const some of groupsOf(tiles)) await packTiles(session, table, 'FORMAT binary, FREEZE', some, months);
    // Waits for the preloads that read it, and so before the position is held.
    await session.execute(`DROP TABLE IF EXISTS ${tableOf(generation)}`);
    await lockPosition(session);
    const now = await readPacked(session);
    if (now.markedToMonth !== months.toMonth || now.generation !== generation) {
      throw new Error(`${session.server}: the tables went back to an earlier commit while they were packed`);
    }
    await session.rows('DELETE FROM "StaleChunk" WHERE position <= $1', [begun]);
    await session.rows('UPDATE "PackedHistory" SET generation = $1, layout = $2, "fromMonth" = $3, "toMonth" = $4',
      [generation + 1, HISTORY_LAYOUT, months.fromMonth, months.toMonth]);
    return tiles.length;
  });
}

async function packStale(server: PostgresServer): Promise<number> {
  const stale = await server.transaction('read', (session) => (
    session.rows<{ tile: number }>('SELECT tile FROM "StaleChunk" ORDER BY tile')));
  for (const tiles of groupsOf(stale.map(({ tile }) => tile))) {
    await server.transaction('maintain', async (session) => {
      if (!await isOnlyPacker(session)) return;
      await lockPosition(session);
      const packed = await readPacked(session), table = tableOf(packed.generation);
      if (packed.fromMonth >= packed.toMonth) return;
      await session.rows(`DELETE FROM ${table} WHERE tile = ANY ($1::integer[])`, [tiles]);
      await session.execute(MAINTAIN_BY_INDEX);
      await packTiles(session, table, 'FORMAT binary', tiles, packed);
      await session.rows('DELETE FROM "StaleChunk" WHERE tile = ANY ($1::integer[])', [tiles]);
    });
  }
  return stale.length;
}

async function packTiles(
  session: Session, table: string, options: string, tiles: readonly number[], months: Months,
): Promise<void> {
  const found = { DiaSource: new Map<number, HistoryChunk>(), DiaForcedSource: new Map<number, HistoryChunk>() };
  const span = { fromMjdTai: months.fromMonth * PARTITION_DAYS, toMjdTai: months.toMonth * PARTITION_DAYS };
  const jobs = rangeJobs(tiles.map(pixelsOf), [span], Number.MAX_SAFE_INTEGER as CommitPosition, true,
    (of, { low, chunk }) => found[of].set(tileOf(low), chunk));
  for (const job of jobs) await job(session);
  const out = new CopyBinaryWriter(1 << 20);
  let isEmpty = true;
  for (const tile of tiles) {
    const sources = found.DiaSource.get(tile), forced = found.DiaForcedSource.get(tile);
    if (!sources || !forced || sources.ids.length + forced.ids.length === 0) continue;
    out.row(3);
    out.integer(tile);
    out.bytes(encodeHistoryChunk(sources));
    out.bytes(encodeHistoryChunk(forced));
    isEmpty = false;
  }
  if (!isEmpty) await session.copyIn(`COPY ${table} FROM STDIN (${options})`, out.finish());
}

/** Tiles where objects that hold have their home, ascending. */
async function tilesOfObjects(session: Session): Promise<number[]> {
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT DISTINCT "homePixel" / ${pixelsOf(0).to} AS tile FROM "DiaObjectLast" ORDER BY tile
  ) TO STDOUT (FORMAT binary)`));
  const tiles: number[] = [];
  while (reader.next()) tiles.push(reader.integer());
  return tiles;
}

/** Until the transaction ends. Two packings at once would each take the other's marks for done. */
async function isOnlyPacker(session: Session): Promise<boolean> {
  const [{ locked }] = await session.rows<{ locked: boolean }>(
    'SELECT pg_try_advisory_xact_lock(\'"PackedHistory"\'::regclass::oid::bigint) AS locked');
  return locked;
}

/** Chunks of another layout are none. */
async function readPacked(session: Session): Promise<Packed> {
  const [row] = await session.rows<Packed & Readonly<{ layout: number }>>(
    'SELECT generation, layout, "fromMonth", "toMonth", "markedToMonth" FROM "PackedHistory"');
  const { generation, layout, fromMonth, toMonth, markedToMonth } = row;
  return { generation, fromMonth, toMonth: layout === HISTORY_LAYOUT ? toMonth : fromMonth, markedToMonth };
}

function tableOf(generation: number): string {
  return `"HistoryChunk_${generation}"`;
}

function groupsOf(tiles: readonly number[]): number[][] {
  const { rangesPerJob } = apdbConfig, groups: number[][] = [];
  for (let at = 0; at < tiles.length; at += rangesPerJob) groups.push(tiles.slice(at, at + rangesPerJob));
  return groups;
}
