/** Rows of the tables as binary COPY: the columns of each and the bytes under them, in one place. */
import type { DiaForcedSource, DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import type { ApdbTable } from '../apdb.ts';
import { flagsOf } from '../flags.ts';
import type { DecodedCommit, DecodedRow } from '../rows.ts';
import type { CopyBinaryWriter } from './copyBinary.ts';
import { SOLAR_SYSTEM_COLUMNS } from './solarSystem.ts';

const VERSION_COLUMNS = [
  'diaObjectId', 'commitFrom', 'commitTo', 'validityStartMjdTai', 'validityEndMjdTai', 'homePixel', 'pixelId', 'ra',
  'raErr', 'dec', 'decErr', 'ra_dec_Cov', 'firstDiaSourceMjdTai', 'lastDiaSourceMjdTai', 'nDiaSources', 'payload',
] as const;

const SOURCE_COLUMNS = [
  'diaSourceId', 'visit', 'detector', 'diaObjectId', 'ssObjectId', 'parentDiaSourceId', 'midpointMjdTai', 'homePixel',
  'pixelId', 'ra', 'raErr', 'dec', 'decErr', 'x', 'y', 'band', 'psfFlux', 'psfFluxErr', 'snr', 'reliability', 'flags',
  'commitFrom', 'payload',
] as const;

/** Columns in the order in which the writers below fill them. DiaObject is the view over both tables of versions. */
export const TABLE_COLUMNS = {
  DiaObject: VERSION_COLUMNS,
  DiaObjectHistory: VERSION_COLUMNS,
  DiaObjectLast: [
    'diaObjectId', 'commitFrom', 'validityStartMjdTai', 'homePixel', 'pixelId', 'ra', 'raErr', 'dec', 'decErr',
    'ra_dec_Cov',
    'firstDiaSourceMjdTai', 'lastDiaSourceMjdTai', 'nDiaSources', 'payload',
  ],
  DiaSource: SOURCE_COLUMNS,
  DiaSourceHistory: [...SOURCE_COLUMNS, 'commitTo'],
  DiaForcedSource: [
    'diaForcedSourceId', 'diaObjectId', 'visit', 'detector', 'midpointMjdTai', 'homePixel', 'pixelId', 'ra', 'dec',
    'band', 'psfFlux', 'psfFluxErr', 'scienceFlux', 'scienceFluxErr', 'commitFrom', 'payload',
  ],
  DetectorVisitProcessingSummary: ['visit', 'detector', 'midpointMjdTai', 'commitFrom', 'summary'],
  ...SOLAR_SYSTEM_COLUMNS,
} as const satisfies Readonly<Record<ApdbTable | 'DiaObjectHistory', readonly string[]>>;

export type WrittenTable = Exclude<
  keyof typeof TABLE_COLUMNS, 'DiaObject' | 'DiaSourceHistory' | keyof typeof SOLAR_SYSTEM_COLUMNS>;

/** Unique keys, in the order in which digests walk the tables. */
export const TABLE_KEYS = {
  DiaObject: ['diaObjectId', 'commitFrom'],
  DiaObjectLast: ['diaObjectId'],
  DiaSource: ['diaSourceId', 'midpointMjdTai'],
  DiaSourceHistory: ['diaSourceId', 'commitFrom'],
  DiaForcedSource: ['diaObjectId', 'midpointMjdTai', 'visit', 'detector'],
  DetectorVisitProcessingSummary: ['visit', 'detector'],
  SSSource: ['diaSourceId'],
  SSSourceHistory: ['diaSourceId', 'commitFrom'],
  mpc_orbits: ['ssObjectId', 'commitFrom'],
} as const satisfies Readonly<Record<ApdbTable, readonly string[]>>;

/**
 * A stored source's encoded row is shorter than this, bytes: history is read with a key a row that has room for so
 * many. All 98 fields of a diaSource with values take some 700.
 */
export const SOURCE_BYTES_LIMIT = 4096;

export function quotedColumns(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ');
}

/** A row and its object's home pixel. */
export type Placed<Row> = DecodedRow<Row> & Readonly<{ homePixel: number }>;

/** One version of an object, and the commit that brought it. */
export type ObjectVersion = Readonly<{ commitFrom: number; version: Placed<DiaObject> }>;

function sourceBytes(payload: Uint8Array): Uint8Array {
  if (payload.length < SOURCE_BYTES_LIMIT) return payload;
  throw new Error(`a source of ${payload.length} bytes, which must have fewer than ${SOURCE_BYTES_LIMIT}`);
}

/** A row of DiaObjectHistory: `version`, ended by `by`. */
export function writeEndedVersion(
  out: CopyBinaryWriter, { commitFrom, version }: ObjectVersion, by: ObjectVersion,
): void {
  out.row(TABLE_COLUMNS.DiaObjectHistory.length);
  out.bigint(version.row.diaObjectId);
  out.bigintOfNumber(commitFrom);
  out.bigintOfNumber(by.commitFrom);
  out.double(version.row.validityStartMjdTai);
  out.double(by.version.row.validityStartMjdTai);
  writeObjectFields(out, version);
}

export function writeDiaObjectLast(out: CopyBinaryWriter, { commitFrom, version }: ObjectVersion): void {
  out.row(TABLE_COLUMNS.DiaObjectLast.length);
  out.bigint(version.row.diaObjectId);
  out.bigintOfNumber(commitFrom);
  out.double(version.row.validityStartMjdTai);
  writeObjectFields(out, version);
}

/** The columns from `homePixel` on, which both object tables have. */
function writeObjectFields(out: CopyBinaryWriter, { row, homePixel, pixelId, payload }: Placed<DiaObject>): void {
  out.integer(homePixel);
  out.integer(pixelId);
  out.double(row.ra);
  out.real(row.raErr);
  out.double(row.dec);
  out.real(row.decErr);
  out.real(row.ra_dec_Cov);
  out.double(row.firstDiaSourceMjdTai);
  out.double(row.lastDiaSourceMjdTai);
  out.integer(row.nDiaSources);
  out.bytes(payload);
}

export function writeDiaSource(out: CopyBinaryWriter, source: Placed<DiaSource>, commitFrom: number): void {
  const { row, homePixel, pixelId, payload } = source;
  out.row(TABLE_COLUMNS.DiaSource.length);
  out.bigint(row.diaSourceId);
  out.bigint(row.visit);
  out.smallint(row.detector);
  out.bigint(row.diaObjectId);
  out.bigint(row.ssObjectId);
  out.bigint(row.parentDiaSourceId);
  out.double(row.midpointMjdTai);
  out.integer(homePixel);
  out.integer(pixelId);
  out.double(row.ra);
  out.real(row.raErr);
  out.double(row.dec);
  out.real(row.decErr);
  out.real(row.x);
  out.real(row.y);
  out.text(row.band);
  out.real(row.psfFlux);
  out.real(row.psfFluxErr);
  out.real(row.snr);
  out.real(row.reliability);
  out.bigintOfNumber(flagsOf(row));
  out.bigintOfNumber(commitFrom);
  out.bytes(sourceBytes(payload));
}

export function writeDiaForcedSource(
  out: CopyBinaryWriter, source: Placed<DiaForcedSource>, commitFrom: number,
): void {
  const { row, homePixel, pixelId, payload } = source;
  out.row(TABLE_COLUMNS.DiaForcedSource.length);
  out.bigint(row.diaForcedSourceId);
  out.bigint(row.diaObjectId);
  out.bigint(row.visit);
  out.smallint(row.detector);
  out.double(row.midpointMjdTai);
  out.integer(homePixel);
  out.integer(pixelId);
  out.double(row.ra);
  out.double(row.dec);
  out.text(row.band);
  out.real(row.psfFlux);
  out.real(row.psfFluxErr);
  out.real(row.scienceFlux);
  out.real(row.scienceFluxErr);
  out.bigintOfNumber(commitFrom);
  out.bytes(sourceBytes(payload));
}

export function writeSummary(out: CopyBinaryWriter, commit: DecodedCommit): void {
  out.row(TABLE_COLUMNS.DetectorVisitProcessingSummary.length);
  out.bigint(commit.visit);
  out.smallint(commit.detector);
  out.double(commit.midpointMjdTai);
  out.bigintOfNumber(commit.position);
  out.text(commit.summaryJson);
}
