/** Catalogues of `vesper detect`: CSV, or a FITS binary table when the name says so. */
import { writeWhole } from '../../simulator/files.ts';
import { writeFits } from '../image/fits.ts';
import { encodeTable, type TableColumn } from '../image/fitsTable.ts';

/** A row: 0-based pixels, the image's unit of flux, theta in degrees. Further columns follow `flags`. */
export type CatalogRow = Readonly<{
  x: number; y: number; flux: number; fluxErr: number; snr: number; a: number; b: number; theta: number; flags: number;
}> & Readonly<Record<string, number>>;

const WHOLE = new Set(['flags', 'pixelCount']);
const UNITS: Readonly<Record<string, string>> = {
  x: 'pixel', y: 'pixel', a: 'pixel', b: 'pixel', theta: 'deg', kronRadius: 'pixel', xErr: 'pixel', yErr: 'pixel',
};

/** @param columns Names of the rows' fields in order, so that an empty catalogue has its header too. */
export function formatCsv(columns: readonly string[], rows: readonly CatalogRow[]): string {
  const lines = rows.map((row) => columns.map((name) => formatCell(name, row[name])).join(','));
  return [columns.join(','), ...lines].join('\n') + '\n';
}

/** Positions to 1e-4 px, others to 7 digits; empty where there is no value. */
function formatCell(name: string, value: number): string {
  if (!Number.isFinite(value)) return '';
  if (WHOLE.has(name)) return String(value);
  return name === 'x' || name === 'y' ? value.toFixed(4) : String(Number(value.toPrecision(7)));
}

/** Writes the file as a whole. @throws Error of one line when it cannot be written. */
export function writeCatalog(path: string, columns: readonly string[], rows: readonly CatalogRow[]): void {
  if (!/\.fits?$/i.test(path)) { writeWhole(path, formatCsv(columns, rows)); return; }
  const table = encodeTable('SOURCES', columns.map((name): TableColumn => {
    const unit = UNITS[name];
    return { name, kind: WHOLE.has(name) ? 'J' : 'D', values: rows.map((row) => row[name]), ...(unit && { unit }) };
  }));
  writeWhole(path, Buffer.concat([writeFits(null, [{ data: null }]), table]));
}
