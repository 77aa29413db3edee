/** Reference stars, read for one band: CSV as `schemas/products.ts` says, or a FITS table of the same columns. */
import { readFileSync } from 'node:fs';
import { FitsError, parseFits } from './fits.ts';
import { readTable } from './fitsTable.ts';
import type { Band } from '../../schemas/units.ts';

export type ReferenceStar = Readonly<{
  refId: string;
  raDeg: number; decDeg: number; raErrMas: number; decErrMas: number;
  /** AB magnitude in the band; null where the catalogue has none. */
  mag: number | null; magErr: number | null;
  /** g − i, AB; null where the catalogue does not tell it. */
  colourMag: number | null;
}>;

/** A reference catalogue that cannot be used; one line that names the file and the reason. */
export class ReferenceError extends Error {
  readonly path: string;

  constructor(path: string, reason: string, cause?: unknown) {
    super(`${path}: ${reason}`, { cause });
    this.name = 'ReferenceError';
    this.path = path;
  }
}

/**
 * @throws ReferenceError: no such file, a column missing, a row without a position.
 */
export function readReferences(path: string, band: Band): ReferenceStar[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new ReferenceError(path, `cannot be read (${(cause as Error).message})`, cause); // fs throws Errors.
  }
  // A FITS file, or one that was compressed.
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const isFits = isGzip || Buffer.from(bytes.subarray(0, 9)).toString('latin1') === 'SIMPLE  =';
  return isFits ? fromTable(bytes, band, path) : parseReferences(Buffer.from(bytes).toString('utf8'), band, path);
}

/** Cells of a column by row, as text; empty where there is no value. */
type Columns = Readonly<{ has(name: string): boolean; cell(name: string): (row: number) => string | undefined }>;

function fromTable(bytes: Uint8Array, band: Band, path: string): ReferenceStar[] {
  try {
    const table = readTable(parseFits(bytes, path));
    return starsOf({
      has: (name) => table.names.includes(name),
      cell: (name) => {
        if (!table.names.includes(name)) throw new ReferenceError(path, `has no column ${name}`);
        const column = table.column(name);
        return (row) => (column[row] === null ? '' : String(column[row]));
      },
    }, table.rowCount, band, path, 1);
  } catch (error) {
    if (!(error instanceof FitsError)) throw error;
    throw new ReferenceError(path, error.message.replace(`${path}: `, ''), error);
  }
}

/** As `readReferences`, from CSV; `path` serves the messages. */
export function parseReferences(text: string, band: Band, path: string): ReferenceStar[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const names = (lines[0] ?? '').split(',').map((name) => name.trim());
  const rows = lines.slice(1).map((line) => line.split(','));
  return starsOf({
    has: (name) => names.includes(name),
    cell: (name) => {
      const column = names.indexOf(name);
      if (column < 0) throw new ReferenceError(path, `has no column ${name}`);
      return (row) => rows[row][column];
    },
  }, rows.length, band, path, 2);
}

/** @param firstRow What the first row is called in messages. */
function starsOf(columns: Columns, rowCount: number, band: Band, path: string, firstRow: number): ReferenceStar[] {
  const [id, ra, dec, raErr, decErr, mag, magErr] = [
    'refId', 'ra', 'dec', 'raErrMas', 'decErrMas', `${band}Mag`, `${band}MagErr`,
  ].map(columns.cell);
  const [g, i] = ['gMag', 'iMag'].map((name) => (columns.has(name) ? columns.cell(name) : () => undefined));
  return Array.from({ length: rowCount }, (_, row): ReferenceStar => {
    const blue = magnitude(number(g(row))), red = magnitude(number(i(row)));
    const star = {
      refId: (id(row) ?? '').trim(), raDeg: number(ra(row)) ?? NaN, decDeg: number(dec(row)) ?? NaN,
      raErrMas: number(raErr(row)) ?? 0, decErrMas: number(decErr(row)) ?? 0, mag: magnitude(number(mag(row))),
      magErr: number(magErr(row)), colourMag: blue === null || red === null ? null : blue - red,
    };
    if (Number.isNaN(star.raDeg + star.decDeg)) throw new ReferenceError(path, `row ${row + firstRow} has no position`);
    if (Math.abs(star.decDeg) > 90) {
      throw new ReferenceError(path, `row ${row + firstRow} has a declination of ${star.decDeg} degrees`);
    }
    return star;
  });
}

/** Fainter than any star, and brighter than the Sun: catalogues write 99, −999 and the like for what they do not know. */
const MAGNITUDES = { brightest: -30, faintest: 40 };

function magnitude(value: number | null): number | null {
  return value !== null && value > MAGNITUDES.brightest && value < MAGNITUDES.faintest ? value : null;
}

/** Null for an empty or unreadable cell. */
function number(cell: string | undefined): number | null {
  if (cell === undefined || cell.trim() === '') return null;
  const value = Number(cell);
  return Number.isFinite(value) ? value : null;
}
