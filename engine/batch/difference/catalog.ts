/** The catalogue of a difference as CSV. */
import type { MeasuredDiaSource } from '../../stages/measure/measure.ts';

/** Columns of the file, in order. */
export const CATALOG_COLUMNS = [
  'x', 'y', 'ra', 'dec', 'psfFlux', 'psfFluxErr', 'snr', 'reliability', 'isDipole', 'trailLength', 'flags',
] as const;

/**
 * One line a source: 0-based pixels of the science image, degrees, its unit of flux. `snr` has the flux's sign,
 * booleans are 0 or 1, what was not measured is empty, `flags` are the names of the flags that are set, joined by `|`.
 *
 * @param isSky Whether positions on the sky mean anything.
 */
export function catalogCsv(rows: readonly MeasuredDiaSource[], isSky: boolean): string {
  const flags = flagsIn(rows), lines = rows.map((row) => [
    number(row.x, 4), number(row.y, 4), isSky ? number(row.ra, 8) : '', isSky ? number(row.dec, 8) : '',
    significant(row.psfFlux), significant(row.psfFluxErr),
    row.snr === null ? '' : number(row.isNegative ? -row.snr : row.snr, 3),
    row.reliability === null ? '' : number(row.reliability, 4), row.isDipole === true ? '1' : '0',
    row.trailLength === null ? '' : number(row.trailLength, 3), flagsOf(row, flags),
  ].join(','));
  return `${[CATALOG_COLUMNS.join(','), ...lines].join('\n')}\n`;
}

function number(value: number | null, digits: number): string {
  return value === null || !Number.isFinite(value) ? '' : value.toFixed(digits);
}

function significant(value: number | null): string {
  return value === null || !Number.isFinite(value) ? '' : String(Number(value.toPrecision(8)));
}

type Field = keyof MeasuredDiaSource;

/** Names of all flags; every row has the same. */
function flagsIn(rows: readonly MeasuredDiaSource[]): readonly Field[] {
  // The keys of a row are its fields.
  return rows.length === 0 ? [] : (Object.keys(rows[0]) as Field[]).filter((name) => /(^pixelFlags_|_flag)/.test(name));
}

function flagsOf(row: MeasuredDiaSource, flags: readonly Field[]): string {
  return flags.filter((name) => row[name] === true).map((name) => name.replace('pixelFlags_', '')).join('|');
}
