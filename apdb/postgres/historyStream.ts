/** Histories out of a COPY while it runs: each range of pixels is one row of it, and a chunk when it is complete. */
import { chunkOfRows, type HistoryChunk } from '../historyChunk.ts';
import type { HistoryKind } from '../historyRows.ts';
import { SOURCE_BYTES_LIMIT } from './tables.ts';

/** Signature, flags, and length of the extension, which Postgres leaves empty (`copyBinary.ts`). */
const HEADER_BYTES = 19;
/** Count of fields, then with their lengths the range's first pixel, the keys, and the encoded rows. */
const RANGE_HEAD_BYTES = 2 + 4 + 4;
const FIELDS = 3;

/** Rows of a range of home pixels. */
export type RangeChunk = Readonly<{ low: number; chunk: HistoryChunk }>;

/**
 * Takes the pieces of `COPY (SELECT asked.low, string_agg(key), string_agg(payload) …) TO STDOUT (FORMAT binary)`.
 * One message a range: as one a row, half a million messages took the client longer than the server.
 */
export class HistoryStream {
  readonly #kind: HistoryKind;
  readonly #take: (range: RangeChunk) => void;
  #skip = HEADER_BYTES;
  /** What is being filled, and how far. */
  #target = Buffer.alloc(RANGE_HEAD_BYTES);
  #filled = 0;
  #step: 'head' | 'keys' | 'size' | 'rows' | 'end' = 'head';
  #isBehindKeys = false;
  #low = 0;
  #keys = Buffer.alloc(0);

  constructor(kind: HistoryKind, take: (range: RangeChunk) => void) {
    this.#kind = kind;
    this.#take = take;
  }

  /** A piece of a COPY that runs. */
  take(piece: Buffer): void {
    let from = Math.min(this.#skip, piece.length);
    this.#skip -= from;
    while (from < piece.length && this.#step !== 'end') {
      const size = Math.min(piece.length - from, this.#target.length - this.#filled);
      piece.copy(this.#target, this.#filled, from, from + size);
      this.#filled += size;
      from += size;
      // The trailer is two bytes where a range's head would be ten.
      if (this.#step === 'head' && this.#filled >= 2 && this.#target.readInt16BE(0) === -1) this.#step = 'end';
      while (this.#step !== 'end' && this.#filled === this.#target.length) this.#next();
    }
  }

  #next(): void {
    const filled = this.#target;
    switch (this.#step) {
      case 'head':
        if (filled.readInt16BE(0) !== FIELDS || filled.readInt32BE(2) !== 4) {
          throw new Error('rows with other columns than were asked for');
        }
        this.#low = filled.readInt32BE(6);
        return this.#fill('size', 4);
      case 'size': {
        // Of the keys, and behind them of the rows. A range without rows has null for both.
        const size = Math.max(0, filled.readInt32BE(0));
        return this.#fill(this.#isBehindKeys ? 'rows' : 'keys', size);
      }
      case 'keys':
        this.#keys = filled;
        this.#isBehindKeys = true;
        return this.#fill('size', 4);
      default:
        this.#isBehindKeys = false;
        this.#take({ low: this.#low, chunk: this.#chunk(filled) });
        this.#fill('head', RANGE_HEAD_BYTES);
    }
  }

  #fill(step: 'head' | 'keys' | 'size' | 'rows', size: number): void {
    this.#step = step;
    this.#target = Buffer.allocUnsafeSlow(size);
    this.#filled = 0;
  }

  #chunk(bytes: Buffer): HistoryChunk {
    const count = this.#keys.length / 8;
    const positions = new Float64Array(count), lengths = new Uint32Array(count);
    const view = new DataView(this.#keys.buffer, this.#keys.byteOffset, this.#keys.length);
    for (let row = 0; row < count; row++) {
      // commitFrom × 4096 + bytes of the row: one number a row in place of two columns.
      const low = view.getUint32(8 * row + 4);
      positions[row] = view.getUint32(8 * row) * 2 ** 20 + (low >>> 12);
      lengths[row] = low & (SOURCE_BYTES_LIMIT - 1);
    }
    return chunkOfRows(this.#kind, positions, lengths, bytes);
  }
}
