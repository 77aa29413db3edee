/** The catalogue of stars and galaxies that a survey's coadds show (`objects` of schemas/products.ts). */
import { readFileSync } from 'node:fs';
import { csvTable } from './csvText.ts';
import { readFits } from './fits.ts';
import { readTable } from './fitsTable.ts';
import { isFits, named, ReferenceError } from './references.ts';

/** Objects by declination, ascending; equal ones by objectId. Owned by the reader. */
export type ObjectCatalogue = Readonly<{
  objectId: BigInt64Array;
  /** ICRS, degrees. */
  raDeg: Float64Array; decDeg: Float64Array;
  isGalaxy: Uint8Array;
  /** AB magnitude in r, and half-light radius in arcsec; NaN where there is none. */
  rMag: Float32Array; radiusArcsec: Float32Array;
}>;

/** Extendedness above which an object is a galaxy: half way between a point's 0 and an extended one's 1. */
const GALAXY_EXTENDEDNESS = 0.5;

/** From CSV, or a FITS table of the same columns. @throws ReferenceError as `parseObjectCatalogue`, or no such file. */
export function readObjectCatalogue(path: string): ObjectCatalogue {
  return named(path, () => (
    isFits(path) ? tableCatalogue(path) : parseObjectCatalogue(readFileSync(path, 'utf8'), path)));
}

/**
 * From CSV; `path` serves the messages.
 *
 * @throws ReferenceError: a column missing, a row without an id or a position.
 */
export function parseObjectCatalogue(text: string, path: string): ObjectCatalogue {
  const table = csvTable(text);
  const cells = (name: string) => {
    const cell = table.column(name);
    if (cell === null) throw new ReferenceError(path, `has no column ${name}`);
    return (row: number): string => cell(row) ?? '';
  };
  return catalogueOf({
    rowCount: table.rowCount, firstRow: 2,
    number: (name) => { const cell = cells(name); return (row) => number(cell(row)); },
    integer: (name) => { const cell = cells(name); return (row) => (isId(cell(row)) ? BigInt(cell(row)) : null); },
  }, path);
}

function tableCatalogue(path: string): ObjectCatalogue {
  const table = readTable(readFits(path)), rows = table.rows(0, table.rowCount);
  return catalogueOf({
    rowCount: table.rowCount, firstRow: 1, number: (name) => rows.numbers(name), integer: (name) => rows.integers(name),
  }, path);
}

/** Cells by column and row; NaN, or null, where there is no value. */
type Columns = Readonly<{
  rowCount: number;
  /** What the first row is called in messages. */
  firstRow: number;
  number(name: string): (row: number) => number;
  integer(name: string): (row: number) => bigint | null;
}>;

function catalogueOf(columns: Columns, path: string): ObjectCatalogue {
  const id = columns.integer('objectId'), { rowCount: count } = columns;
  const [ra, dec, extendedness, radius, r] = ['ra', 'dec', 'extendedness', 'radiusArcsec', 'rMag'].map(columns.number);
  const objectId = new BigInt64Array(count), raDeg = new Float64Array(count), decDeg = new Float64Array(count);
  let isOrdered = true;
  for (let row = 0; row < count; row++) {
    const given = id(row);
    raDeg[row] = ra(row);
    decDeg[row] = dec(row);
    const isSound = raDeg[row] >= 0 && raDeg[row] < 360 && Math.abs(decDeg[row]) <= 90 && given !== null && given >= 0n;
    if (!isSound) throw new ReferenceError(path, `row ${row + columns.firstRow} has no id or no position`);
    objectId[row] = given;
    const isAfter = row === 0 || decDeg[row - 1] < decDeg[row]
      || (decDeg[row - 1] === decDeg[row] && objectId[row - 1] <= objectId[row]);
    isOrdered &&= isAfter;
  }
  const isGalaxy = new Uint8Array(count), rMag = new Float32Array(count), radiusArcsec = new Float32Array(count);
  for (let row = 0; row < count; row++) {
    isGalaxy[row] = Number(extendedness(row) > GALAXY_EXTENDEDNESS);
    rMag[row] = r(row);
    radiusArcsec[row] = radius(row);
  }
  const catalogue = { objectId, raDeg, decDeg, isGalaxy, rMag, radiusArcsec };
  return isOrdered ? catalogue : ordered(catalogue);
}

function ordered({ objectId, raDeg, decDeg, isGalaxy, rMag, radiusArcsec }: ObjectCatalogue): ObjectCatalogue {
  const order = Uint32Array.from({ length: objectId.length }, (_, row) => row)
    .sort((a, b) => decDeg[a] - decDeg[b] || (objectId[a] < objectId[b] ? -1 : 1));
  return {
    objectId: BigInt64Array.from({ length: order.length }, (_, k) => objectId[order[k]]),
    raDeg: Float64Array.from(order, (row) => raDeg[row]), decDeg: Float64Array.from(order, (row) => decDeg[row]),
    isGalaxy: Uint8Array.from(order, (row) => isGalaxy[row]), rMag: Float32Array.from(order, (row) => rMag[row]),
    radiusArcsec: Float32Array.from(order, (row) => radiusArcsec[row]),
  };
}

/** Decimal digits of a number within 63 bits. */
function isId(cell: string): boolean {
  return /^\d{1,18}$/.test(cell);
}

/** NaN for an empty or unreadable cell. */
function number(cell: string): number {
  return cell.trim() === '' ? NaN : Number(cell);
}
