/** Binary tables (FITS Standard 4.0, §7.3): columns of scalars, written as one extension. */
import { CARD_BYTES, formatCard, type FitsCard } from './fitsHeader.ts';

/** A column: D is a double, J a 32-bit integer. */
export type TableColumn = Readonly<{ name: string; unit?: string; kind: 'D' | 'J'; values: readonly number[] }>;

const BLOCK_BYTES = 2880;
const COLUMN_BYTES = { D: 8, J: 4 } as const;

/**
 * Bytes of a BINTABLE extension, to follow a primary HDU. Equal columns give equal bytes.
 *
 * @param columns All of one length, at least one. NaN is allowed in D, and means that there is no value.
 */
export function encodeTable(name: string, columns: readonly TableColumn[]): Uint8Array {
  const rowCount = columns[0].values.length, rowBytes = columns.reduce((sum, { kind }) => sum + COLUMN_BYTES[kind], 0);
  const cards: FitsCard[] = [
    ['XTENSION', 'BINTABLE'], ['BITPIX', 8], ['NAXIS', 2], ['NAXIS1', rowBytes], ['NAXIS2', rowCount], ['PCOUNT', 0],
    ['GCOUNT', 1], ['TFIELDS', columns.length], ['EXTNAME', name],
  ];
  columns.forEach((column, i) => {
    cards.push([`TTYPE${i + 1}`, column.name], [`TFORM${i + 1}`, `1${column.kind}`]);
    if (column.unit !== undefined) cards.push([`TUNIT${i + 1}`, column.unit]);
  });
  const header = cards.map(formatCard).join('') + 'END'.padEnd(CARD_BYTES);
  const headerBytes = roundUp(header.length), bytes = new Uint8Array(headerBytes + roundUp(rowBytes * rowCount));
  bytes.set(Buffer.from(header.padEnd(headerBytes), 'latin1'));
  const view = new DataView(bytes.buffer, headerBytes);
  let offset = 0;
  for (const { kind, values } of columns) {
    for (let row = 0, at = offset; row < rowCount; row++, at += rowBytes) {
      if (kind === 'D') view.setFloat64(at, values[row]);
      else view.setInt32(at, values[row]);
    }
    offset += COLUMN_BYTES[kind];
  }
  return bytes;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
