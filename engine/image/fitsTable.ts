/** Binary tables (FITS Standard 4.0, §7.3): columns of scalars, written as one extension, and read from any. */
import {
  FitsError, numberCard, requireNumber, requireString, stringCard, wholeBlocks, type FitsFile, type FitsHdu,
} from './fits.ts';
import { CARD_BYTES, formatCard, type FitsCard } from './fitsHeader.ts';

/** A column: D is a double, J a 32-bit integer. */
export type TableColumn = Readonly<{ name: string; unit?: string; kind: 'D' | 'J'; values: readonly number[] }>;

const COLUMN_BYTES = { D: 8, J: 4 } as const;

/**
 * Bytes of a BINTABLE extension, to follow a primary HDU. Equal columns give equal bytes.
 *
 * @param more    Further cards of its header.
 * @param columns All of one length, at least one. NaN is allowed in D, and means that there is no value.
 */
export function encodeTable(
  name: string, columns: readonly TableColumn[], more: readonly FitsCard[] = [],
): Uint8Array {
  const rowCount = columns[0].values.length, rowBytes = columns.reduce((sum, { kind }) => sum + COLUMN_BYTES[kind], 0);
  const cards: FitsCard[] = [
    ['XTENSION', 'BINTABLE'], ['BITPIX', 8], ['NAXIS', 2], ['NAXIS1', rowBytes], ['NAXIS2', rowCount], ['PCOUNT', 0],
    ['GCOUNT', 1], ['TFIELDS', columns.length], ['EXTNAME', name],
  ];
  columns.forEach((column, i) => {
    cards.push([`TTYPE${i + 1}`, column.name], [`TFORM${i + 1}`, `1${column.kind}`]);
    if (column.unit !== undefined) cards.push([`TUNIT${i + 1}`, column.unit]);
  });
  const header = [...cards, ...more].map(formatCard).join('') + 'END'.padEnd(CARD_BYTES);
  const headerBytes = wholeBlocks(header.length), bytes = new Uint8Array(headerBytes + wholeBlocks(rowBytes * rowCount));
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

/** Rows of a table that are in memory: cells by column, row 0 being the first of them. */
export type TableRows = Readonly<{
  rowCount: number;
  /** Reads a column of scalars; NaN where there is no value, and for text. */
  numbers(name: string): (row: number) => number;
  /** Reads a column of integers, or one of text, as text; integers of 64 bits whole. */
  texts(name: string): (row: number) => string;
  /** Reads a column of integers, 64 bits whole; null in one of another kind or scaled, and where there is no value. */
  integers(name: string): (row: number) => bigint | null;
}>;

export type FitsTable = Readonly<{
  rowCount: number; rowBytes: number;
  /** Names of all columns, in order. */
  names: readonly string[];
  /** The column by which the rows ascend, as TSORTKEY says; null where they do not, or nobody tells. */
  sortedBy: string | null;
  /**
   * Reads rows.
   *
   * @param bytes Memory for them, at least `count × rowBytes`, which the rows then live in; own memory without.
   */
  rows(first: number, count: number, bytes?: Uint8Array): TableRows;
}>;

/** Bytes of an element by the letter of TFORM (Table 18), and how scalars are read. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  L: 1, X: 1, B: 1, I: 2, J: 4, K: 8, A: 1, E: 4, D: 8, C: 8, M: 16, P: 8, Q: 16,
};

type StoredColumn = Readonly<{ letter: string; repeat: number; offset: number; index: number }>;

/**
 * The first binary table of a file.
 *
 * @throws FitsError of one line: no table, a header that does not fit its data; by what reads columns: no such column,
 * or one that holds no scalars.
 */
export function readTable(file: FitsFile): FitsTable {
  const hdu = file.hdus.find(({ header, isImage }) => !isImage && stringCard(header, 'XTENSION') === 'BINTABLE');
  if (hdu === undefined) throw new FitsError('FITS_NO_EXTENSION', file.path, 'has no binary table');
  const [rowBytes, rowCount] = hdu.axes, columns = columnsOf(hdu, file.path);
  const rows = (first: number, count: number, bytes?: Uint8Array): TableRows => {
    // The whole table may be in memory already.
    if (bytes === undefined && count === rowCount) return rowsOf(hdu, columns, hdu.bytes, count);
    const used = bytes?.subarray(0, count * rowBytes) ?? new Uint8Array(count * rowBytes);
    hdu.readBytesInto(used, first * rowBytes);
    return rowsOf(hdu, columns, used, count);
  };
  return { rowCount, rowBytes, names: [...columns.keys()], sortedBy: stringCard(hdu.header, 'TSORTKEY'), rows };
}

function columnsOf({ header, axes }: FitsHdu, path: string): Map<string, StoredColumn> {
  const columns = new Map<string, StoredColumn>(), fields = requireNumber(header, 'TFIELDS', path);
  let offset = 0;
  for (let index = 1; index <= fields; index++) {
    const form = requireString(header, `TFORM${index}`, path), match = /^(\d*)([A-Z])/.exec(form.trim());
    const size = match === null ? undefined : ELEMENT_BYTES[match[2]];
    if (match === null || size === undefined) {
      throw new FitsError('FITS_HEADER', path, `TFORM${index} is "${form}"`);
    }
    const repeat = match[1] === '' ? 1 : Number(match[1]);
    const title = (stringCard(header, `TTYPE${index}`) ?? `col${index}`).trim();
    columns.set(title, { letter: match[2], repeat, offset, index });
    offset += match[2] === 'X' ? Math.ceil(repeat / 8) : repeat * size;
  }
  if (offset !== axes[0]) {
    throw new FitsError('FITS_HEADER', path, `columns take ${offset} bytes a row, NAXIS1 says ${axes[0]}`);
  }
  return columns;
}

/** @throws FitsError: no such column, or one that holds no scalars. */
function requireColumn({ path }: FitsHdu, columns: ReadonlyMap<string, StoredColumn>, name: string): StoredColumn {
  const column = columns.get(name);
  if (column === undefined) throw new FitsError('FITS_HEADER', path, `has no column ${name}`);
  const { letter, repeat } = column;
  if (letter !== 'A' && (repeat !== 1 || !'LBIJKED'.includes(letter))) {
    throw new FitsError('FITS_HEADER', path, `column ${name} holds no scalars (TFORM ${repeat}${letter})`);
  }
  return column;
}

function rowsOf(
  hdu: FitsHdu, columns: ReadonlyMap<string, StoredColumn>, bytes: Uint8Array, rowCount: number,
): TableRows {
  const { header, axes: [rowBytes] } = hdu, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scaling = (index: number) => {
    const of = (keyword: string): number | null => numberCard(header, `${keyword}${index}`);
    const scale = of('TSCAL') ?? 1, zero = of('TZERO') ?? 0;
    return { scale, zero, isScaled: scale !== 1 || zero !== 0, blank: of('TNULL') };
  };
  const rows: TableRows = {
    rowCount,
    numbers(name) {
      const { letter, offset, index } = requireColumn(hdu, columns, name);
      const { scale, zero, isScaled, blank } = scaling(index);
      if (letter === 'D' && !isScaled) return (row) => view.getFloat64(row * rowBytes + offset);
      if (letter === 'E' && !isScaled) return (row) => view.getFloat32(row * rowBytes + offset);
      if (letter === 'A') return () => NaN;
      return (row) => {
        const value = Number(scalarAt(view, row * rowBytes + offset, letter));
        if (blank !== null && value === blank) return NaN;
        return letter === 'L' ? value : value * scale + zero;
      };
    },
    integers(name) {
      const { letter, offset, index } = requireColumn(hdu, columns, name), { isScaled, blank } = scaling(index);
      if (!'BIJK'.includes(letter) || isScaled) return () => null;
      const missing = blank === null ? null : BigInt(blank);
      return (row) => {
        const at = row * rowBytes + offset;
        const value = letter === 'K' ? view.getBigInt64(at) : BigInt(scalarAt(view, at, letter));
        return value === missing ? null : value;
      };
    },
    texts(name) {
      const { letter, repeat, offset } = requireColumn(hdu, columns, name);
      if (letter !== 'A') {
        const integer = rows.integers(name), number = rows.numbers(name);
        return (row) => String(integer(row) ?? (Number.isNaN(number(row)) ? '' : number(row)));
      }
      return (row) => textOf(bytes.subarray(row * rowBytes + offset, row * rowBytes + offset + repeat));
    },
  };
  return rows;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace(/\0[\s\S]*$/, '').trimEnd();
}

function scalarAt(view: DataView, at: number, letter: string): number | bigint {
  switch (letter) {
    case 'L': return view.getUint8(at) === 0x54 ? 1 : 0;
    case 'B': return view.getUint8(at);
    case 'I': return view.getInt16(at);
    case 'J': return view.getInt32(at);
    case 'K': return view.getBigInt64(at);
    case 'E': return view.getFloat32(at);
    default: return view.getFloat64(at);
  }
}
