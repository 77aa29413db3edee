/** Histories out of a COPY while it runs: each range of pixels is one row of it, and a chunk when it is complete. */
import { chunkOfRows, type HistoryChunk } from '../historyChunk.ts';
import type { HistoryKind } from '../historyRows.ts';
import { CopyFieldStream } from './copyFields.ts';
import { SOURCE_BYTES_LIMIT } from './tables.ts';

/** Rows of a range of home pixels. */
export type RangeChunk = Readonly<{ low: number; chunk: HistoryChunk }>;

const NO_BYTES = Buffer.alloc(0);

/**
 * Takes the pieces of `COPY (SELECT asked.low, string_agg(key), string_agg(payload) …) TO STDOUT (FORMAT binary)`.
 * One message a range: as one a row, half a million messages took the client longer than the server.
 */
export function historyStream(kind: HistoryKind, take: (range: RangeChunk) => void): CopyFieldStream {
  return new CopyFieldStream(3, ([low, keys, rows]) => {
    if (low?.length !== 4) throw new Error('a range of pixels without its first one');
    // A range without rows has null for both.
    take({ low: low.readInt32BE(0), chunk: chunkOf(kind, keys ?? NO_BYTES, rows ?? NO_BYTES) });
  });
}

function chunkOf(kind: HistoryKind, keys: Buffer, rows: Buffer): HistoryChunk {
  const count = keys.length / 8;
  const positions = new Float64Array(count), lengths = new Uint32Array(count);
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  for (let row = 0; row < count; row++) {
    // commitFrom × 4096 + bytes of the row: one number a row in place of two columns.
    const low = view.getUint32(8 * row + 4);
    positions[row] = view.getUint32(8 * row) * 2 ** 20 + (low >>> 12);
    lengths[row] = low & (SOURCE_BYTES_LIMIT - 1);
  }
  return chunkOfRows(kind, positions, lengths, rows);
}
