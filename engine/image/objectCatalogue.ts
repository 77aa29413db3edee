/** The catalogue of stars and galaxies that a survey's coadds show (`objects` of schemas/products.ts). */
import { readFileSync } from 'node:fs';
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
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
  const names = (lines[0] ?? '').split(',');
  const column = (name: string): number => {
    const at = names.indexOf(name);
    if (at < 0) throw new ReferenceError(path, `has no column ${name}`);
    return at;
  };
  const [id, ra, dec, extendedness, radius, r] =
    ['objectId', 'ra', 'dec', 'extendedness', 'radiusArcsec', 'rMag'].map(column);
  const rows = lines.slice(1).map((line, row) => {
    const cells = line.split(',');
    const [raDeg, decDeg] = [number(cells[ra]), number(cells[dec])];
    const isSound = /^\d{1,18}$/.test(cells[id]) && raDeg >= 0 && raDeg < 360 && decDeg >= -90 && decDeg <= 90;
    if (!isSound) throw new ReferenceError(path, `row ${row + 2} has no id or no position`);
    return {
      objectId: BigInt(cells[id]), raDeg, decDeg, isGalaxy: number(cells[extendedness]) > GALAXY_EXTENDEDNESS,
      rMag: number(cells[r]), radiusArcsec: number(cells[radius]),
    };
  });
  rows.sort((a, b) => a.decDeg - b.decDeg || (a.objectId < b.objectId ? -1 : 1));
  return {
    objectId: BigInt64Array.from(rows, (row) => row.objectId),
    raDeg: Float64Array.from(rows, (row) => row.raDeg), decDeg: Float64Array.from(rows, (row) => row.decDeg),
    isGalaxy: Uint8Array.from(rows, (row) => Number(row.isGalaxy)),
    rMag: Float32Array.from(rows, (row) => row.rMag),
    radiusArcsec: Float32Array.from(rows, (row) => row.radiusArcsec),
  };
}

/** NaN for an empty or unreadable cell. */
function number(cell: string | undefined): number {
  return cell === undefined || cell.trim() === '' ? NaN : Number(cell);
}
