/**
 * Light curves as numbers: what association and features need of a diaSource or a diaForcedSource, without a record
 * for each. A visit's field has hundreds of thousands of rows of history.
 */
import { compileFieldReader, type FieldReader } from './rowCodec.ts';
import { BANDS, type Band } from './units.ts';

/**
 * The fields of a point, in their order: MJD TAI, degrees, nJy. NaN is "not measured"; the band is the code of its
 * letter. A forced point has its flux in the same places, and no scienceFlux of use.
 */
const SOURCE_FIELDS = [
  'midpointMjdTai', 'band', 'psfFlux', 'psfFluxErr', 'scienceFlux', 'scienceFluxErr', 'ra', 'dec', 'raErr', 'decErr',
  'ra_dec_Cov',
] as const;
const FORCED_FIELDS = ['midpointMjdTai', 'band', 'psfFlux', 'psfFluxErr', 'scienceFlux', 'scienceFluxErr'] as const;

/** Places of the fields in a point. */
export const POINT = {
  time: 0, band: 1, psfFlux: 2, psfFluxErr: 3, scienceFlux: 4, scienceFluxErr: 5,
  ra: 6, dec: 7, raErr: 8, decErr: 9, raDecCov: 10,
} as const;

/** Doubles of one point of each kind. */
export const SOURCE_POINT_SIZE = SOURCE_FIELDS.length;
export const FORCED_POINT_SIZE = FORCED_FIELDS.length;

/** From an encoded row to its point. */
export const readSourcePoint: FieldReader = compileFieldReader('diaSource', SOURCE_FIELDS);
export const readForcedPoint: FieldReader = compileFieldReader('diaForcedSource', FORCED_FIELDS);

/** From an encoded row to its point, and its own id and that of its diaObject. */
export const readSourceRow: FieldReader = compileFieldReader(
  'diaSource', SOURCE_FIELDS, ['diaSourceId', 'diaObjectId']);
export const readForcedRow: FieldReader = compileFieldReader(
  'diaForcedSource', FORCED_FIELDS, ['diaForcedSourceId', 'diaObjectId']);

/** Rows of one diaObject in one table, in any order. */
export type LightCurve = Readonly<{
  length: number;
  /**
   * Copies all points and ids (diaSourceId or diaForcedSourceId).
   *
   * @param points [rows × point size] row-major; filled from row `row` on.
   * @param ids    [rows]; filled from `row` on.
   */
  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void;
}>;

export const NO_LIGHT_CURVE: LightCurve = { length: 0, copyTo: () => undefined };

/** Codes of the bands' letters, in the order of `BANDS`. */
export const BAND_CODES: readonly number[] = BANDS.map((band: Band) => band.charCodeAt(0));

/** The points of encoded rows as a light curve of its own. */
export function lightCurveOf(
  kind: 'source' | 'forced', rows: readonly Readonly<{ id: bigint; payload: Uint8Array }>[],
): LightCurve {
  const size = kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE;
  const read = kind === 'source' ? readSourcePoint : readForcedPoint;
  const points = new Float64Array(rows.length * size);
  rows.forEach(({ payload }, i) => read(payload, viewOf(payload), 0, points, i * size));
  return {
    length: rows.length,
    copyTo: (out, ids, row) => {
      out.set(points, row * size);
      rows.forEach(({ id }, i) => { ids[row + i] = id; });
    },
  };
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
