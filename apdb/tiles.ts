/**
 * Tiles of the sky in front of the tables: the rows of a field's history as bytes, kept by a cache with the commit that
 * they are complete to. The tables tell the last commit that touched each tile; a tile that does not reach it, or does
 * not say where it stands, is a miss.
 */
import { decodeHistoryChunk, historyChunkPieces, type HistoryChunk } from './historyChunk.ts';
import type { Cone } from './apdb.ts';
import { coverOf, PIXEL_ORDER } from './pixelization.ts';

/** Tiles of 14′: a field of 9.6 square degrees is some 220, of 50 kB to 1 MB. */
const TILE_ORDER = 8;
const PIXELS_A_TILE = 4 ** (PIXEL_ORDER - TILE_ORDER);

/** The tile of a home pixel. */
export function tileOf(homePixel: number): number {
  return Math.floor(homePixel / PIXELS_A_TILE);
}

/** Pixels `from` ≤ p < `to` of a tile. */
export function pixelsOf(tile: number): Readonly<{ from: number; to: number }> {
  return { from: tile * PIXELS_A_TILE, to: (tile + 1) * PIXELS_A_TILE };
}

/** More tiles than any camera's field has: a wider cone is of a person, and most of its tiles are empty. */
const TILES_AROUND_MAX = 2048;

/** Tiles that a cone touches, ascending; none when it is wider than any field. */
export function tilesAround(cone: Cone): readonly number[] {
  const tiles = new Set<number>();
  for (const { from, to } of coverOf(cone)) {
    for (let tile = tileOf(from); tile <= tileOf(to - 1) && tiles.size <= TILES_AROUND_MAX; tile++) tiles.add(tile);
  }
  return tiles.size <= TILES_AROUND_MAX ? [...tiles] : [];
}

/** Where chunks are kept. It may lose any of them, and must not fail: whoever cannot be asked has nothing. */
export type TileCache = Readonly<{
  /** Chunks of each tile in the order in which they were kept; none for a tile that is not there. */
  read(tiles: readonly number[]): Promise<readonly (readonly Buffer[])[]>;
  /** A new beginning for a tile: one chunk, in pieces that must not change before it is kept. */
  fill(tile: number, base: readonly Buffer[]): Promise<void>;
  /** Puts a chunk behind those of a tile that is there. */
  append(chunks: readonly Readonly<{ tile: number; chunk: Buffer }>[]): Promise<void>;
  close(): Promise<void>;
}>;

/**
 * A part of a tile: rows of DiaSource and of DiaForcedSource.
 *
 * A base holds all rows since a time up to `position`; a later chunk those of the commits after `before`, the last one
 * that touched the tile until then, up to `position`.
 */
export type TileChunk = Readonly<{
  isBase: boolean; before: number; position: number; sinceMjdTai: number;
  sources: HistoryChunk; forcedSources: HistoryChunk;
}>;

const MAGIC = 0x56_54_49_33; // "VTI3"
const HEADER_BYTES = 40;

export function encodeChunk(chunk: TileChunk): Buffer {
  return Buffer.concat(chunkPieces(chunk));
}

/** The same bytes in pieces, most of which are the chunk's own: a field's are not copied on their way to a cache. */
export function chunkPieces(
  { isBase, before, position, sinceMjdTai, sources, forcedSources }: TileChunk,
): Buffer[] {
  const header = Buffer.alloc(HEADER_BYTES), pieces = historyChunkPieces(sources), length = bytesOf(pieces);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(isBase ? 1 : 0, 4);
  header.writeDoubleLE(before, 8);
  header.writeDoubleLE(position, 16);
  header.writeDoubleLE(sinceMjdTai, 24);
  header.writeDoubleLE(length, 32);
  return [header, ...pieces, Buffer.alloc(gapBehind(length)), ...historyChunkPieces(forcedSources)];
}

export function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** Bytes up to the next multiple of eight, where columns can be read in place. */
function gapBehind(length: number): number {
  return (8 - (length % 8)) % 8;
}

/** Null when the bytes are not a chunk. They are kept. */
export function decodeChunk(bytes: Buffer): TileChunk | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return null;
  const sourceEnd = HEADER_BYTES + bytes.readDoubleLE(32);
  if (!(sourceEnd <= bytes.length)) return null;
  try {
    return {
      isBase: bytes.readUInt32LE(4) === 1, before: bytes.readDoubleLE(8), position: bytes.readDoubleLE(16),
      sinceMjdTai: bytes.readDoubleLE(24), sources: decodeHistoryChunk(bytes.subarray(HEADER_BYTES, sourceEnd)),
      forcedSources: decodeHistoryChunk(bytes.subarray(sourceEnd + gapBehind(sourceEnd))),
    };
  } catch { return null; }
}

/**
 * The chunks that together hold every row of a tile since a time up to the last commit that touched it; null when they
 * do not.
 *
 * @param touched The last commit that touched the tile; 0 when none has.
 */
export function completeTile(
  chunks: readonly Buffer[], sinceMjdTai: number, touched: number,
): readonly TileChunk[] | null {
  const complete: TileChunk[] = [];
  let through = -1;
  for (const [index, bytes] of chunks.entries()) {
    const chunk = decodeChunk(bytes);
    if (chunk === null || chunk.isBase !== (index === 0) || (chunk.isBase && !(chunk.sinceMjdTai <= sinceMjdTai))) {
      return null;
    }
    if (!chunk.isBase && chunk.position <= through) continue; // The base was read later.
    if (!chunk.isBase && chunk.before > through) return null;
    complete.push(chunk);
    through = chunk.position;
  }
  return through >= touched ? complete : null;
}
