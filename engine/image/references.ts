/** Reference stars, read for one band: CSV as `schemas/products.ts` says, or a FITS table of the same columns. */
import { readFileSync } from 'node:fs';
import { csvTable } from './csvText.ts';
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
 * A catalogue of a whole field, up to a million stars of which a detector sees some thousands: positions are read at
 * once, and of the stars that are asked for the rest.
 */
export type ReferenceCatalogue = Readonly<{
  /** The stars whose position is wanted, ICRS degrees, in the catalogue's order. */
  stars(isWanted: (raDeg: number, decDeg: number) => boolean): ReferenceStar[];
}>;

/** @throws ReferenceError: no such file, a column missing, a row without a position. */
export function openReferences(path: string, band: Band): ReferenceCatalogue {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new ReferenceError(path, `cannot be read (${(cause as Error).message})`, cause); // fs throws Errors.
  }
  // A FITS file, or one that was compressed.
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const isFits = isGzip || bytes.toString('latin1', 0, 9) === 'SIMPLE  =';
  return isFits ? ofTable(bytes, band, path) : ofText(bytes.toString('utf8'), band, path);
}

/** All stars of a catalogue. @throws ReferenceError as `openReferences`. */
export function readReferences(path: string, band: Band): ReferenceStar[] {
  return openReferences(path, band).stars(() => true);
}

/** As `readReferences`, from CSV; `path` serves the messages. */
export function parseReferences(text: string, band: Band, path: string): ReferenceStar[] {
  return ofText(text, band, path).stars(() => true);
}

/** Cells of a column by row, as text; empty where there is no value. */
type Columns = Readonly<{ has(name: string): boolean; cell(name: string): (row: number) => string | undefined }>;

function ofTable(bytes: Uint8Array, band: Band, path: string): ReferenceCatalogue {
  try {
    const table = readTable(parseFits(bytes, path));
    return catalogueOf({
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

function ofText(text: string, band: Band, path: string): ReferenceCatalogue {
  const table = csvTable(text);
  return catalogueOf({
    has: (name) => table.column(name) !== null,
    cell: (name) => {
      const cell = table.column(name);
      if (cell === null) throw new ReferenceError(path, `has no column ${name}`);
      return cell;
    },
  }, table.rowCount, band, path, 2);
}

/** @param firstRow What the first row is called in messages. */
function catalogueOf(
  columns: Columns, rowCount: number, band: Band, path: string, firstRow: number,
): ReferenceCatalogue {
  const [id, ra, dec, raErr, decErr, mag, magErr] = [
    'refId', 'ra', 'dec', 'raErrMas', 'decErrMas', `${band}Mag`, `${band}MagErr`,
  ].map(columns.cell);
  const [g, i] = ['gMag', 'iMag'].map((name) => (columns.has(name) ? columns.cell(name) : () => undefined));
  const raDeg = new Float64Array(rowCount), decDeg = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    raDeg[row] = number(ra(row)) ?? NaN;
    decDeg[row] = number(dec(row)) ?? NaN;
    if (Number.isNaN(raDeg[row] + decDeg[row])) throw new ReferenceError(path, `row ${row + firstRow} has no position`);
    if (Math.abs(decDeg[row]) > 90) {
      throw new ReferenceError(path, `row ${row + firstRow} has a declination of ${decDeg[row]} degrees`);
    }
  }
  const starAt = (row: number): ReferenceStar => {
    const blue = magnitude(number(g(row))), red = magnitude(number(i(row)));
    return {
      refId: (id(row) ?? '').trim(), raDeg: raDeg[row], decDeg: decDeg[row],
      raErrMas: number(raErr(row)) ?? 0, decErrMas: number(decErr(row)) ?? 0, mag: magnitude(number(mag(row))),
      magErr: number(magErr(row)), colourMag: blue === null || red === null ? null : blue - red,
    };
  };
  return {
    stars(isWanted) {
      const stars: ReferenceStar[] = [];
      for (let row = 0; row < rowCount; row++) if (isWanted(raDeg[row], decDeg[row])) stars.push(starAt(row));
      return stars;
    },
  };
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
