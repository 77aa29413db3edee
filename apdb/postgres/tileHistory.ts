/** Histories by way of cached tiles: tables are read for the tiles that the cache lacks, or has not all of. */
import type { CommitPosition } from '../../schemas/ids.ts';
import type { Cone, ObjectHistory } from '../apdb.ts';
import {
  bytesOf, chunkPieces, completeTile, encodeChunk, pixelsOf, tileOf, tilesAround, type TileCache, type TileChunk,
} from '../tiles.ts';
import { apdbConfig } from '../config.ts';
import { CopyBinaryReader } from './copyBinary.ts';
import { chunkOfRows, mergedChunk, type HistoryChunk } from '../historyChunk.ts';
import type { HistoryKind } from '../historyRows.ts';
import { joined, newWindows, rangeJobs, regionObjects, type TimeSpan } from './history.ts';
import { ANY_MONTH, markStale, packedJobs, packedTiles, spansBeside, type PackedTiles } from './packedHistory.ts';
import { PARTITION_DAYS, type PartitionedTable } from './partitions.ts';
import { readTogether, type ReadJob, type SharedRead } from './readTogether.ts';
import type { Session } from './session.ts';
import type { Placed } from './tables.ts';

/**
 * The objects of a cone with their rows since a time as of the last commit; `refill` then tells the cache what it
 * lacked. The tiles of the cone are read before its objects are known: nearly all have their home in them.
 */
export async function regionByTiles(
  shared: SharedRead, cache: Pick<TileCache, 'read' | 'fill'>, cone: Cone, sinceMjdTai: number, latest: CommitPosition,
): Promise<{ histories: ObjectHistory[]; refill: () => Promise<void> }> {
  const reading = { shared, cache, sinceMjdTai, latest };
  const around = tilesAround(cone);
  const { tiles, result: objects } = await readTiles(reading, around, () => (
    regionObjects(shared.session, cone, latest, true)));
  const known = new Set(around);
  const elsewhere = new Set(objects.map(({ homePixel }) => tileOf(homePixel)).filter((tile) => !known.has(tile)));
  const { tiles: others } = await readTiles(reading, [...elsewhere].sort((a, b) => a - b), async () => undefined);
  const windows = newWindows(objects, sinceMjdTai), all = [...tiles, ...others];
  for (const { cached, parts } of all) {
    let through = -1;
    for (const { sources, forcedSources, position } of cached) {
      windows.DiaSource.add(sources, through);
      windows.DiaForcedSource.add(forcedSources, through);
      through = position;
    }
    for (const table of ['DiaSource', 'DiaForcedSource'] as const) {
      for (const chunk of parts[table]) windows[table].add(chunk, -1);
    }
  }
  const refill = async () => {
    let bytesLeft = apdbConfig.cacheFillBytes;
    for (const { tile, cached, parts } of all) {
      if (cached.length > 0) continue;
      const base = chunkPieces({
        isBase: true, before: 0, position: latest, sinceMjdTai, sources: mergedChunk(parts.DiaSource),
        forcedSources: mergedChunk(parts.DiaForcedSource),
      });
      if ((bytesLeft -= bytesOf(base)) < 0) return;
      await cache.fill(tile, base);
    }
  };
  return { histories: joined(objects, windows), refill };
}

type TileReading = Readonly<{
  shared: SharedRead; cache: Pick<TileCache, 'read'>; sinceMjdTai: number; latest: CommitPosition;
}>;
/** Rows of a tile out of the tables, packed or not: each once, in any number of chunks. */
type Parts = Readonly<Record<PartitionedTable, HistoryChunk[]>>;
/** Out of the cache, or else in parts out of the tables. */
type ReadTile = Readonly<{ tile: number; cached: readonly TileChunk[]; parts: Parts }>;

/** Tiles out of the cache, and of the tables what that lacks; `meanwhile` is begun at once on the same connection. */
async function readTiles<T>(
  { shared, cache, sinceMjdTai, latest }: TileReading, tiles: readonly number[], meanwhile: () => Promise<T>,
): Promise<{ tiles: readonly ReadTile[]; result: T }> {
  const reading = cache.read(tiles);
  const touched = await touchedTiles(shared.session, tiles);
  const packed = await packedTiles(shared.session, tiles);
  const running = meanwhile();
  running.catch(() => undefined); // It is waited for below.
  const cached = await reading;
  const read: ReadTile[] = [], missing: number[] = [];
  for (const [k, tile] of tiles.entries()) {
    const chunks = completeTile(cached[k], sinceMjdTai, touched.get(tile) ?? 0);
    if (chunks === null) missing.push(tile);
    read.push({ tile, cached: chunks ?? [], parts: { DiaSource: [], DiaForcedSource: [] } });
  }
  const result = await readTogether(shared, partJobs(read, packed, missing, sinceMjdTai, latest), () => running);
  for (const { tile, cached, parts } of read) {
    if (cached.length === 0 && parts.DiaSource.length === 0) throw new Error(`tile ${tile} did not come`);
  }
  return { tiles: read, result };
}

/** Reads of what the cache has not: chunks of what is packed, rows of the rest. */
function partJobs(
  read: readonly ReadTile[], packed: PackedTiles | null, missing: readonly number[], sinceMjdTai: number,
  latest: CommitPosition,
): ReadJob[] {
  const parts = new Map(read.map((one) => [one.tile, one.parts]));
  const take = (table: PartitionedTable, tile: number, chunk: HistoryChunk) => parts.get(tile)?.[table].push(chunk);
  const rowJobs = (tiles: readonly number[], spans: readonly TimeSpan[]) => (
    rangeJobs(tiles.map(pixelsOf), spans, latest, true, (table, { low, chunk }) => take(table, tileOf(low), chunk)));
  const always = [{ fromMjdTai: sinceMjdTai, toMjdTai: Infinity }];
  if (packed === null) return rowJobs(missing, always);
  const good = missing.filter((tile) => !packed.stale.has(tile));
  return [
    ...rowJobs(missing.filter((tile) => packed.stale.has(tile)), always),
    ...rowJobs(good, spansBeside(packed.months, sinceMjdTai)),
    ...packedJobs(packed, good, ({ tile, sources, forcedSources }) => {
      take('DiaSource', tile, sources);
      take('DiaForcedSource', tile, forcedSources);
    }),
  ];
}

/** Rows that a projection has written, by the tiles that they belong to. */
type TileRows = Readonly<{ before: number; sources: WrittenRow[]; forcedSources: WrittenRow[] }>;
type WrittenRow = Placed<Readonly<{ diaObjectId: bigint | null; midpointMjdTai: number }>> & Readonly<{ position: CommitPosition }>;

/** Marks the tiles of rows as touched by commits up to `through`; in the transaction that writes the rows. */
export async function touchTiles(
  session: Session, through: CommitPosition, sources: readonly WrittenRow[], forcedSources: readonly WrittenRow[],
): Promise<ReadonlyMap<number, TileRows>> {
  const tiles = new Map<number, TileRows>();
  const sort = (rows: readonly WrittenRow[], table: 'sources' | 'forcedSources') => {
    for (const written of rows) {
      if (written.row.diaObjectId === null) continue;
      const tile = tileOf(written.homePixel);
      const of = tiles.get(tile) ?? { before: 0, sources: [], forcedSources: [] };
      of[table].push(written);
      tiles.set(tile, of);
    }
  };
  sort(sources, 'sources');
  sort(forcedSources, 'forcedSources');
  if (tiles.size === 0) return tiles;
  const names = [...tiles.keys()].sort((a, b) => a - b);
  for (const [tile, before] of await touchedTiles(session, names)) {
    const of = tiles.get(tile);
    if (of !== undefined) tiles.set(tile, { ...of, before });
  }
  await touch(session, names, through);
  await markStale(session, through, firstMonths([...sources, ...forcedSources]));
  return tiles;
}

/** The first month in which rows are, by tile. */
function firstMonths(rows: readonly WrittenRow[]): Map<number, number> {
  const months = new Map<number, number>();
  for (const { homePixel, row } of rows) {
    const tile = tileOf(homePixel), month = Math.floor(row.midpointMjdTai / PARTITION_DAYS);
    if (month < (months.get(tile) ?? Infinity)) months.set(tile, month);
  }
  return months;
}

/** Marks the tiles of home pixels as touched by a commit whose rows no cache is told of. */
export async function markTiles(
  session: Session, through: CommitPosition, homePixels: readonly number[],
): Promise<void> {
  const names = [...new Set(homePixels.map(tileOf))].sort((a, b) => a - b);
  if (names.length === 0) return;
  await touch(session, names, through);
  await markStale(session, through, new Map(names.map((tile) => [tile, ANY_MONTH])));
}

async function touch(session: Session, tiles: readonly number[], through: CommitPosition): Promise<void> {
  await session.rows(`INSERT INTO "HistoryTile" (tile, "commitFrom")
    SELECT tile, $2 FROM unnest($1::integer[]) AS touched (tile)
    ON CONFLICT (tile) DO UPDATE SET "commitFrom" = excluded."commitFrom"`, [tiles, through]);
}

/** Tells the cache of rows that are now in the tables. */
export async function appendTiles(
  cache: TileCache, tiles: ReadonlyMap<number, TileRows>, position: CommitPosition,
): Promise<void> {
  await cache.append([...tiles].map(([tile, { before, sources, forcedSources }]) => ({
    tile,
    chunk: encodeChunk({
      isBase: false, before, position, sinceMjdTai: -Infinity, sources: chunkOf('source', sources),
      forcedSources: chunkOf('forced', forcedSources),
    }),
  })));
}

function chunkOf(kind: HistoryKind, rows: readonly WrittenRow[]): HistoryChunk {
  return chunkOfRows(kind, Float64Array.from(rows, ({ position }) => position),
    Uint32Array.from(rows, ({ payload }) => payload.length), Buffer.concat(rows.map(({ payload }) => payload)));
}

async function touchedTiles(session: Session, tiles: readonly number[]): Promise<Map<number, number>> {
  const touched = new Map<number, number>();
  if (tiles.length === 0) return touched;
  const reader = new CopyBinaryReader(await session.copyOut(`COPY (
    SELECT tile, "commitFrom" FROM "HistoryTile" WHERE tile = ANY ('{${tiles.join(',')}}'::integer[])
  ) TO STDOUT (FORMAT binary)`));
  while (reader.next()) touched.set(reader.integer(), reader.numberOfBigint());
  return touched;
}
