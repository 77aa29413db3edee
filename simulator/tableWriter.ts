/** Writes catalogues as FITS binary tables (FITS Standard 4.0, §7.3). The simulator's own, as `fitsWriter.ts` is. */
import { encodeFits, encodeHeader, padded, type Card } from './fitsWriter.ts';

/** A column: K is a 64-bit integer, D a double, E a single; NaN where there is no value. */
export type Column<Row> = Readonly<{ name: string; unit?: string } & (
  | { kind: 'K'; of: (row: Row) => bigint }
  | { kind: 'D' | 'E'; of: (row: Row) => number }
)>;

const BYTES = { K: 8, D: 8, E: 4 } as const;

/**
 * The bytes of a file whose first extension is a table.
 *
 * @param sortedBy Column by which the rows ascend: the file says so, and readers may look rows up by it.
 */
export function encodeTable<Row>(
  name: string, columns: readonly Column<Row>[], rows: readonly Row[], sortedBy: string,
): Buffer {
  const rowBytes = columns.reduce((sum, { kind }) => sum + BYTES[kind], 0);
  const cards: Card[] = [
    ['XTENSION', 'BINTABLE', 'binary table'], ['BITPIX', 8, 'bytes'], ['NAXIS', 2, 'a table'],
    ['NAXIS1', rowBytes, 'bytes of a row'], ['NAXIS2', rows.length, 'rows'], ['PCOUNT', 0, 'no heap'],
    ['GCOUNT', 1, 'one group'], ['TFIELDS', columns.length, 'columns'], ['EXTNAME', name],
    ['TSORTKEY', sortedBy, 'rows ascend by it'],
    ...columns.flatMap(({ name: title, kind, unit }, i): Card[] => [
      [`TTYPE${i + 1}`, title], [`TFORM${i + 1}`, `1${kind}`],
      ...(unit === undefined ? [] : [[`TUNIT${i + 1}`, unit] as const]),
    ]),
  ];
  const data = Buffer.alloc(padded(rowBytes * rows.length));
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      if (column.kind === 'K') at = data.writeBigInt64BE(column.of(row), at);
      else at = column.kind === 'D' ? data.writeDoubleBE(column.of(row), at) : data.writeFloatBE(column.of(row), at);
    }
  }
  return Buffer.concat([encodeFits([{ cards: [['EXTEND', true, 'has extensions']], image: null }]), encodeHeader(cards),
    data]);
}
