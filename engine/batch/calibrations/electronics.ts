/**
 * A detector's electronics as a file: FITS with OBSTYPE `electronics`, DETECTOR, DETNAME, INSTRUME, and IMAGE
 * extensions of float64, a row an amp in the order of the AMPn keywords, each there when it was measured:
 * - CROSSTALK [amps × amps]: part of the column's amp that appears in the row's.
 * - LINEARITY [2 × amps]: c₂ and c₃ of S + c₂ S² + c₃ S³, ADU.
 * - LINTABLE [nodes × amps]: corrections, ADU, at signals 0, 1/PERADU, 2/PERADU …
 * - CTI [2 × amps]: part of a packet left behind at each serial and each parallel transfer.
 * - REPULSION [2 × 1]: flow between neighbours along x and y, per electron² of difference of squared charges.
 */
import type { Detector } from '../../../schemas/camera.ts';
import {
  FitsError, imageSize, readFits, readImageInto, requireNumber, requireSize, stringCard, writeFits, type FitsCard,
  type FitsFile, type FitsHduOut,
} from '../../image/fits.ts';
import type { AmpElectronics, Electronics } from '../../stages/isr/calibrations.ts';

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
