/** The catalogue of stars and galaxies that a survey's coadds show (`objects` of schemas/products.ts). */
import { readFileSync } from 'node:fs';
import { csvTable } from './csvText.ts';
import { ReferenceError } from './references.ts';

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

/** @throws ReferenceError: no such file, a column missing, a row without an id or a position. */
export function readObjectCatalogue(path: string): ObjectCatalogue {
  try {
    return parseObjectCatalogue(readFileSync(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof ReferenceError) throw cause;
    throw new ReferenceError(path, `cannot be read (${(cause as Error).message})`, cause); // fs throws Errors.
  }
}

/** As `readObjectCatalogue`, from text; `path` serves the messages. */
export function parseObjectCatalogue(text: string, path: string): ObjectCatalogue {
  const table = csvTable(text), count = table.rowCount;
  const columns = ['objectId', 'ra', 'dec', 'extendedness', 'radiusArcsec', 'rMag'].map((name) => {
    const cell = table.column(name);
    if (cell === null) throw new ReferenceError(path, `has no column ${name}`);
    return (row: number): string => cell(row) ?? '';
  });
  const [id, ra, dec, extendedness, radius, r] = columns;
  const rows = (of: (row: number) => number) => Float64Array.from({ length: count }, (_, row) => of(row));
  const raOf = rows((row) => number(ra(row))), decOf = rows((row) => number(dec(row)));
  const objectId = BigInt64Array.from({ length: count }, (_, row) => {
    const cell = id(row);
    const isSound = raOf[row] >= 0 && raOf[row] < 360 && decOf[row] >= -90 && decOf[row] <= 90 && isId(cell);
    if (!isSound) throw new ReferenceError(path, `row ${row + 2} has no id or no position`);
    return BigInt(cell);
  });
  const order = Uint32Array.from({ length: count }, (_, row) => row)
    .sort((a, b) => decOf[a] - decOf[b] || (objectId[a] < objectId[b] ? -1 : 1));
  return {
    objectId: BigInt64Array.from({ length: count }, (_, k) => objectId[order[k]]),
    raDeg: Float64Array.from(order, (row) => raOf[row]), decDeg: Float64Array.from(order, (row) => decOf[row]),
    isGalaxy: Uint8Array.from(order, (row) => Number(number(extendedness(row)) > GALAXY_EXTENDEDNESS)),
    rMag: Float32Array.from(order, (row) => number(r(row))),
    radiusArcsec: Float32Array.from(order, (row) => number(radius(row))),
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
