/** Reference stars: CSV as `schemas/products.ts` says, read for one band. */
import { readFileSync } from 'node:fs';
import type { Band } from '../../schemas/units.ts';

export type ReferenceStar = Readonly<{
  refId: string;
  raDeg: number; decDeg: number; raErrMas: number; decErrMas: number;
  /** AB magnitude in the band; null where the catalogue has none. */
  mag: number | null; magErr: number | null;
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
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ReferenceError(path, `cannot be read (${(cause as Error).message})`, cause); // fs throws Errors.
  }
  return parseReferences(text, band, path);
}

/** As `readReferences`, from text; `path` serves the messages. */
export function parseReferences(text: string, band: Band, path: string): ReferenceStar[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const names = (lines[0] ?? '').split(',').map((name) => name.trim());
  const column = (name: string) => {
    const i = names.indexOf(name);
    if (i < 0) throw new ReferenceError(path, `has no column ${name}`);
    return i;
  };
  const id = column('refId'), ra = column('ra'), dec = column('dec'), raErr = column('raErrMas'),
    decErr = column('decErrMas');
  const mag = column(`${band}Mag`), magErr = column(`${band}MagErr`);
  return lines.slice(1).map((line, row) => {
    const cells = line.split(',');
    const star = {
      refId: cells[id] ?? '', raDeg: number(cells[ra]) ?? NaN, decDeg: number(cells[dec]) ?? NaN,
      raErrMas: number(cells[raErr]) ?? 0, decErrMas: number(cells[decErr]) ?? 0,
      mag: number(cells[mag]), magErr: number(cells[magErr]),
    };
    if (Number.isNaN(star.raDeg + star.decDeg)) throw new ReferenceError(path, `row ${row + 2} has no position`);
    return star;
  });
}

/** Null for an empty or unreadable cell. */
function number(cell: string | undefined): number | null {
  if (cell === undefined || cell.trim() === '') return null;
  const value = Number(cell);
  return Number.isFinite(value) ? value : null;
}
