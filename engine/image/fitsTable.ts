/** Binary tables (FITS Standard 4.0, §7.3): columns of scalars, written as one extension, and read from any. */
import { FitsError, numberCard, requireNumber, requireString, stringCard, type FitsFile } from './fits.ts';
import { CARD_BYTES, formatCard, type FitsCard } from './fitsHeader.ts';

/** A column: D is a double, J a 32-bit integer. */
export type TableColumn = Readonly<{ name: string; unit?: string; kind: 'D' | 'J'; values: readonly number[] }>;

const BLOCK_BYTES = 2880;
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

export type TableCell = number | bigint | string | null;

export type FitsTable = Readonly<{
  rowCount: number;
  /** Names of all columns, in order. */
  names: readonly string[];
  /** Reads a column of scalars or text; null for NaN, and where TNULL says that there is no value. */
  column(name: string): TableCell[];
}>;

/** Bytes of an element by the letter of TFORM (Table 18), and how scalars are read. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  L: 1, X: 1, B: 1, I: 2, J: 4, K: 8, A: 1, E: 4, D: 8, C: 8, M: 16, P: 8, Q: 16,
};

/**
 * The first binary table of a file.
 *
 * @throws FitsError of one line: no table, a header that does not fit its data; by `column`: no such column, or one
 * that holds no scalars.
 */
export function readTable(file: FitsFile): FitsTable {
  const hdu = file.hdus.find(({ header, isImage }) => !isImage && stringCard(header, 'XTENSION') === 'BINTABLE');
  if (hdu === undefined) throw new FitsError('FITS_NO_EXTENSION', file.path, 'has no binary table');
  const { header } = hdu, [rowBytes, rowCount] = hdu.axes, fields = requireNumber(header, 'TFIELDS', file.path);
  const columns = new Map<string, { letter: string; repeat: number; offset: number; index: number }>();
  let offset = 0;
  for (let index = 1; index <= fields; index++) {
    const form = requireString(header, `TFORM${index}`, file.path), match = /^(\d*)([A-Z])/.exec(form.trim());
    const size = match === null ? undefined : ELEMENT_BYTES[match[2]];
    if (match === null || size === undefined) {
      throw new FitsError('FITS_HEADER', file.path, `TFORM${index} is "${form}"`);
    }
    const repeat = match[1] === '' ? 1 : Number(match[1]);
    const title = (stringCard(header, `TTYPE${index}`) ?? `col${index}`).trim();
    columns.set(title, { letter: match[2], repeat, offset, index });
    offset += match[2] === 'X' ? Math.ceil(repeat / 8) : repeat * size;
  }
  if (offset !== rowBytes) {
    throw new FitsError('FITS_HEADER', file.path, `columns take ${offset} bytes a row, NAXIS1 says ${rowBytes}`);
  }
  const { bytes } = hdu, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    rowCount, names: [...columns.keys()],
    column: (name) => {
      const column = columns.get(name);
      if (column === undefined) throw new FitsError('FITS_HEADER', file.path, `has no column ${name}`);
      const { letter, repeat, index } = column;
      if (letter !== 'A' && (repeat !== 1 || !'LBIJKED'.includes(letter))) {
        throw new FitsError('FITS_HEADER', file.path, `column ${name} holds no scalars (TFORM ${repeat}${letter})`);
      }
      const of = (keyword: string): number | null => numberCard(header, `${keyword}${index}`);
      const scale = of('TSCAL') ?? 1, zero = of('TZERO') ?? 0, blank = of('TNULL');
      return Array.from({ length: rowCount }, (_, row): TableCell => {
        const at = row * rowBytes + column.offset;
        if (letter === 'A') return textOf(bytes.subarray(at, at + repeat));
        const value = scalarAt(view, at, letter);
        if (typeof value === 'bigint') return blank !== null && value === BigInt(blank) ? null : value;
        if (Number.isNaN(value) || (blank !== null && value === blank)) return null;
        return letter === 'L' ? value : value * scale + zero;
      });
    },
  };
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
