/** Reference stars, read for one band: CSV as `schemas/products.ts` says, or a FITS table of the same columns. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { csvTable } from './csvText.ts';
import { FitsError, readFits } from './fits.ts';
import { readTable, type FitsTable, type TableRows } from './fitsTable.ts';
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
 * A catalogue of a whole field, up to a million stars of which a detector sees some thousands: of the stars that are
 * asked for all columns are read, of the others the position at most.
 */
export type ReferenceCatalogue = Readonly<{
  /**
   * The stars whose position is wanted, ICRS degrees, in the catalogue's order.
   *
   * @param reach Declinations outside which nothing is wanted: a table in their order is read there alone.
   * @throws ReferenceError: a row without a position.
   */
  stars(isWanted: (raDeg: number, decDeg: number) => boolean, reach?: DeclinationReach): ReferenceStar[];
}>;

export type DeclinationReach = Readonly<{ fromDeg: number; toDeg: number }>;

const WHOLE_SKY: DeclinationReach = { fromDeg: -90, toDeg: 90 };

/** @throws ReferenceError: no such file, a column missing, in text also a row without a position. */
export function openReferences(path: string, band: Band): ReferenceCatalogue {
  return named(path, () => {
    if (isFits(path)) return ofTable(readTable(readFits(path)), band, path);
    return ofText(readFileSync(path, 'utf8'), band, path);
  });
}

/** Whether a file is FITS, or one that was compressed, by its first bytes. @throws what fs throws. */
export function isFits(path: string): boolean {
  const file = openSync(path, 'r'), magic = Buffer.alloc(9);
  try {
    readSync(file, magic, 0, magic.length, 0);
  } finally { closeSync(file); }
  return (magic[0] === 0x1f && magic[1] === 0x8b) || magic.toString('latin1') === 'SIMPLE  =';
}

/** What is thrown becomes a line about the catalogue. */
export function named<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ReferenceError) throw cause;
    if (cause instanceof FitsError) throw new ReferenceError(path, cause.message.replace(`${path}: `, ''), cause);
    throw new ReferenceError(path, `cannot be read (${(cause as Error).message})`, cause); // fs throws Errors.
  }
}

/** All stars of a catalogue. @throws ReferenceError as `openReferences`. */
export function readReferences(path: string, band: Band): ReferenceStar[] {
  return openReferences(path, band).stars(() => true);
}

/** As `readReferences`, from CSV; `path` serves the messages. */
export function parseReferences(text: string, band: Band, path: string): ReferenceStar[] {
  return ofText(text, band, path).stars(() => true);
}

/** Cells by column and row; NaN, or no text, where there is no value. */
type Columns = Readonly<{
  number(name: string): (row: number) => number;
  text(name: string): (row: number) => string;
  has(name: string): boolean;
  /** What the first row is called in messages. */
  firstRow: number;
}>;

function ofText(text: string, band: Band, path: string): ReferenceCatalogue {
  const table = csvTable(text);
  const cell = (name: string) => {
    const found = table.column(name);
    if (found === null) throw new ReferenceError(path, `has no column ${name}`);
    return found;
  };
  const columns: Columns = {
    has: (name) => table.column(name) !== null, firstRow: 2,
    number: (name) => { const at = cell(name); return (row) => numberOf(at(row)); },
    text: (name) => { const at = cell(name); return (row) => (at(row) ?? '').trim(); },
  };
  const { rowCount } = table, read = readerOf(columns, band), raDeg = new Float64Array(rowCount);
  const decDeg = new Float64Array(rowCount);
  // Numbers are dear to read from text: positions are kept.
  for (let row = 0; row < rowCount; row++) {
    raDeg[row] = read.raDeg(row);
    decDeg[row] = read.decDeg(row);
    requirePosition(path, row + columns.firstRow, raDeg[row], decDeg[row]);
  }
  return {
    stars(isWanted) {
      const stars: ReferenceStar[] = [];
      for (let row = 0; row < rowCount; row++) {
        if (isWanted(raDeg[row], decDeg[row])) stars.push(read.star(row, raDeg[row], decDeg[row]));
      }
      return stars;
    },
  };
}

/** Of a table in the order of declination only the rows that may be wanted are read. */
function ofTable(table: FitsTable, band: Band, path: string): ReferenceCatalogue {
  const columnsOf = (rows: TableRows, first: number): Columns => ({
    has: (name) => table.names.includes(name), firstRow: first + 1,
    number: (name) => rows.numbers(name), text: (name) => rows.texts(name),
  });
  readerOf(columnsOf(table.rows(0, 0), 0), band); // Every column is there.
  const isSorted = table.sortedBy === 'dec', step = Math.max(1, Math.floor(PIECE_BYTES / table.rowBytes));
  const piece = new Uint8Array(Math.min(step, table.rowCount) * table.rowBytes);
  const decAt = (row: number): number => table.rows(row, 1).numbers('dec')(0);
  return {
    stars: (isWanted, reach = WHOLE_SKY) => named(path, () => {
      const stars: ReferenceStar[] = [];
      let last = -Infinity;
      for (let first = isSorted ? firstRowFrom(table.rowCount, decAt, reach.fromDeg) : 0; first < table.rowCount;) {
        const count = Math.min(step, table.rowCount - first);
        const columns = columnsOf(table.rows(first, count, piece), first), read = readerOf(columns, band);
        for (let row = 0; row < count; row++) {
          const raDeg = read.raDeg(row), decDeg = read.decDeg(row);
          requirePosition(path, row + columns.firstRow, raDeg, decDeg);
          if (isSorted && decDeg < last) throw new ReferenceError(path, `row ${row + columns.firstRow} is out of order`);
          last = decDeg;
          if (isSorted && decDeg > reach.toDeg) return stars;
          if (isWanted(raDeg, decDeg)) stars.push(read.star(row, raDeg, decDeg));
        }
        first += count;
      }
      return stars;
    }),
  };
}

/** What is read at a time of a table: it is then still in the second-level cache. */
const PIECE_BYTES = 512 * 1024;

/** The first of rows in ascending order whose value is not below `value`. */
function firstRowFrom(rowCount: number, valueAt: (row: number) => number, value: number): number {
  let low = 0, high = rowCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueAt(middle) < value) low = middle + 1; else high = middle;
  }
  return low;
}

function requirePosition(path: string, row: number, raDeg: number, decDeg: number): void {
  if (!Number.isFinite(raDeg + decDeg)) throw new ReferenceError(path, `row ${row} has no position`);
  if (Math.abs(decDeg) > 90) throw new ReferenceError(path, `row ${row} has a declination of ${decDeg} degrees`);
}

/** Reads stars from their columns. @throws what a column that is missing makes throw. */
function readerOf(columns: Columns, band: Band) {
  const [raDeg, decDeg, raErr, decErr, mag, magErr] = [
    'ra', 'dec', 'raErrMas', 'decErrMas', `${band}Mag`, `${band}MagErr`,
  ].map(columns.number);
  const id = columns.text('refId');
  const [g, i] = ['gMag', 'iMag'].map((name) => (columns.has(name) ? columns.number(name) : () => NaN));
  return {
    raDeg, decDeg,
    star(row: number, atRaDeg: number, atDecDeg: number): ReferenceStar {
      const blue = magnitude(g(row)), red = magnitude(i(row));
      return {
        refId: id(row), raDeg: atRaDeg, decDeg: atDecDeg, raErrMas: orNull(raErr(row)) ?? 0,
        decErrMas: orNull(decErr(row)) ?? 0, mag: magnitude(mag(row)), magErr: orNull(magErr(row)),
        colourMag: blue === null || red === null ? null : blue - red,
      };
    },
  };
}

/** Fainter than any star, and brighter than the Sun: catalogues write 99, −999 and the like for what they do not know. */
const MAGNITUDES = { brightest: -30, faintest: 40 };

function magnitude(value: number): number | null {
  return value > MAGNITUDES.brightest && value < MAGNITUDES.faintest ? value : null;
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** NaN for an empty or unreadable cell. */
function numberOf(cell: string | undefined): number {
  const value = cell === undefined || cell.trim() === '' ? NaN : Number(cell);
  return Number.isFinite(value) ? value : NaN;
}
