/** What was measured of a detector's amplifiers and silicon, as the file that `schemas/products.ts` lays out. */
import type { Detector } from '../../schemas/camera.ts';
import {
  FitsError, imageSize, readFits, readImageInto, requireNumber, requireSize, stringCard, writeFits, type FitsCard,
  type FitsFile, type FitsHduOut,
} from './fits.ts';
import type { LinearityTable } from '../kernels/signature.ts';

/** What was measured of a detector's amplifiers and silicon. */
export type Electronics = Readonly<{
  /** In the order of the detector's amps. */
  amps: readonly AmpElectronics[];
  /**
   * Charge that passes between neighbours in a row (x) or a column (y), for each electron² by which their squared
   * charges differ; null when it was not measured.
   */
  repulsion: Readonly<{ x: number; y: number }> | null;
}>;

export type AmpElectronics = Readonly<{
  name: string;
  /** Null leaves the camera's. */
  crosstalk: readonly number[] | null;
  polynomial: readonly [number, number] | null;
  table: LinearityTable | null;
  /** Part of a packet's charge left behind at each transfer. */
  serialCti: number; parallelCti: number;
}>;

/** Writes what was measured. @param cards Of the primary header, beside those that name the detector. */
export function writeElectronics(
  path: string, instrument: string, detector: Detector, { amps, repulsion }: Electronics, cards: readonly FitsCard[],
): void {
  const hdus: FitsHduOut[] = [{
    data: null, cards: [
      ['OBSTYPE', 'electronics'], ['INSTRUME', instrument], ['DETECTOR', detector.id], ['DETNAME', detector.name],
      ...amps.map(({ name }, k): FitsCard => [`AMP${k + 1}`, name]), ...cards,
    ],
  }];
  const add = (name: string, rows: readonly (ArrayLike<number> | null)[], more: readonly FitsCard[] = []): void => {
    const first = rows.find((row) => row !== null);
    if (!first) return;
    const data = new Float64Array(first.length * rows.length);
    rows.forEach((row, k) => { if (row) data.set(row, k * first.length); });
    hdus.push({ name, data, width: first.length, height: rows.length, cards: more });
  };
  add('CROSSTALK', amps.map(({ crosstalk }) => crosstalk));
  add('LINEARITY', amps.map(({ polynomial }) => polynomial));
  const perAdu = amps.find(({ table }) => table !== null)?.table?.perAdu;
  if (perAdu !== undefined) add('LINTABLE', amps.map(({ table }) => table && table.values), [['PERADU', perAdu]]);
  add('CTI', amps.map(({ serialCti, parallelCti }) => [serialCti, parallelCti]));
  if (repulsion !== null) add('REPULSION', [[repulsion.x, repulsion.y]]);
  writeFits(path, hdus);
}

/** @throws FitsError, one line: damaged, of another detector, of other amps, an extension of another size. */
export function readElectronics(path: string, detector: Detector): Electronics {
  const file = readFits(path), { header } = file.hdus[0], count = detector.amps.length;
  if (requireNumber(header, 'DETECTOR', path) !== detector.id) {
    throw new FitsError('FITS_HEADER', path, `is of detector ${requireNumber(header, 'DETECTOR', path)}`);
  }
  detector.amps.forEach(({ name }, k) => {
    const found = stringCard(header, `AMP${k + 1}`);
    if (found !== name) throw new FitsError('FITS_HEADER', path, `AMP${k + 1} is ${found}, expected ${name}`);
  });
  const crosstalk = rowsOf(file, 'CROSSTALK', count, count), polynomial = rowsOf(file, 'LINEARITY', 2, count);
  const table = rowsOf(file, 'LINTABLE', null, count), cti = rowsOf(file, 'CTI', 2, count);
  const repulsion = rowsOf(file, 'REPULSION', 2, 1), tableHdu = file.hdus.find(({ name }) => name === 'LINTABLE');
  const perAdu = tableHdu ? requireNumber(tableHdu.header, 'PERADU', path) : 0;
  return {
    amps: detector.amps.map(({ name }, k): AmpElectronics => ({
      name, crosstalk: crosstalk && [...crosstalk[k]], polynomial: polynomial && [polynomial[k][0], polynomial[k][1]],
      table: table && { values: Float32Array.from(table[k]), perAdu },
      serialCti: cti?.[k][0] ?? 0, parallelCti: cti?.[k][1] ?? 0,
    })),
    repulsion: repulsion && { x: repulsion[0][0], y: repulsion[0][1] },
  };
}

/** Rows of an extension, finite; null when there is none. @param width Null for any of at least 2. */
function rowsOf(file: FitsFile, name: string, width: number | null, height: number): Float64Array[] | null {
  const hdu = file.hdus.find((candidate) => candidate.name === name && candidate.isImage);
  if (hdu === undefined) return null;
  const size = imageSize(hdu), columns = width ?? size.width, values = new Float64Array(columns * height);
  requireSize(hdu, columns, height);
  readImageInto(hdu, values);
  if (columns < 2 || !values.every(Number.isFinite)) {
    throw new FitsError('FITS_VALUES', file.path, `${name} has values that are no numbers`);
  }
  return Array.from({ length: height }, (_, k) => values.subarray(k * columns, (k + 1) * columns));
}
