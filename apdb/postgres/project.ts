/** The projection: committed rows into the tables, in one transaction with the position of the log. */
import type { CommitPosition } from '../../schemas/ids.ts';
import type { DecodedCommit, DecodedRow } from '../rows.ts';
import { CopyBinaryWriter } from './copyBinary.ts';
import { objectHomes } from './homes.ts';
import { createPartitions } from './partitions.ts';
import type { Session } from './session.ts';
import { writeBodies } from './solarSystem.ts';
import {
  quotedColumns, TABLE_COLUMNS, writeDiaForcedSource, writeDiaObjectLast, writeDiaSource, writeEndedVersion,
  writeSummary,
} from './tables.ts';
import type { ObjectVersion, Placed, WrittenTable } from './tables.ts';
import { touchTiles } from './tileHistory.ts';

/** A row with a full payload, as COPY has it; the buffer grows by doubling where it falls short. */
const TYPICAL_ROW_BYTES = 640;

/**
 * Write the rows of commits above the locked position. Rows go straight into the tables: the position has
 * excluded what is there already, and the unique keys refuse what contradicts it.
 *
 * @param commits At least one.
 * @returns The tiles that they touched, with their rows.
 */
export async function writeCommits(
  session: Session, commits: readonly DecodedCommit[],
): Promise<Awaited<ReturnType<typeof touchTiles>>> {
  const homes = await objectHomes(session, commits);
  const diaSources = commits.flatMap(({ position, diaSources: rows }) => (
    rows.map((source) => placed(source, position, homes))));
  const diaForcedSources = commits.flatMap(({ position, diaForcedSources: rows }) => (
    rows.map((source) => placed(source, position, homes))));
  await createPartitions(session, 'DiaSource', placesOf(diaSources));
  await createPartitions(session, 'DiaForcedSource', placesOf(diaForcedSources));
  await copyRows(session, 'DiaSource', diaSources, (out, source) => writeDiaSource(out, source, source.position));
  await copyRows(session, 'DiaForcedSource', diaForcedSources, (out, source) => (
    writeDiaForcedSource(out, source, source.position)));
  await writeObjects(session, commits.flatMap(({ position, diaObjects }) => (
    diaObjects.map((version) => ({ commitFrom: position, version: placed(version, position, homes) })))));
  await copyRows(session, 'DetectorVisitProcessingSummary', commits, writeSummary);
  await writeBodies(session, commits.map(({ bodies }) => bodies));
  const last = commits[commits.length - 1].position;
  return touchTiles(session, last, diaSources, diaForcedSources);
}

/** @param homes Of every object that is there, by id. */
export function placed<Row extends Readonly<{ diaObjectId: bigint | null }>>(
  source: DecodedRow<Row>, position: CommitPosition, homes: ReadonlyMap<bigint, number>,
): Placed<Row> & Readonly<{ position: CommitPosition }> {
  const { diaObjectId } = source.row;
  const homePixel = diaObjectId === null ? source.pixelId : homes.get(diaObjectId);
  if (homePixel === undefined) {
    throw new Error(`commit ${position}: a row of diaObject ${diaObjectId}, which does not exist`);
  }
  return { ...source, position, homePixel };
}

/** What partitions have to hold. */
export function placesOf(
  rows: readonly Placed<Readonly<{ midpointMjdTai: number }>>[],
): Readonly<{ midpointMjdTai: number; homePixel: number }>[] {
  return rows.map(({ row, homePixel }) => ({ midpointMjdTai: row.midpointMjdTai, homePixel }));
}

/** New versions in place of those that hold, which go to the history. */
export async function writeObjects(session: Session, versions: readonly ObjectVersion[]): Promise<void> {
  if (versions.length === 0) return;
  const { first, next, last } = linked(versions);
  await endStoredVersions(session, [...first.values()]);
  await copyRows(session, 'DiaObjectHistory', [...next], (out, [version, by]) => writeEndedVersion(out, version, by));
  await replaceLastVersions(session, [...last.values()]);
}

/** First and last version of each object in the batch, and the version that ends each of the others. */
function linked(versions: readonly ObjectVersion[]) {
  const first = new Map<bigint, ObjectVersion>();
  const last = new Map<bigint, ObjectVersion>();
  const next = new Map<ObjectVersion, ObjectVersion>();
  for (const version of versions) {
    const { diaObjectId } = version.version.row;
    const before = last.get(diaObjectId);
    if (before === undefined) first.set(diaObjectId, version);
    else next.set(before, version);
    last.set(diaObjectId, version);
  }
  return { first, next, last };
}

/** Copy the versions that held until now to the history; each ends where the batch's first of its object begins. */
async function endStoredVersions(session: Session, first: readonly ObjectVersion[]): Promise<void> {
  const unchanged = quotedColumns(TABLE_COLUMNS.DiaObjectLast);
  await session.rows(`
    INSERT INTO "DiaObjectHistory" (${unchanged}, "commitTo", "validityEndMjdTai")
    SELECT ${unchanged}, begun."commitTo", begun."validityEndMjdTai"
    FROM unnest($1::bigint[], $2::bigint[], $3::float8[]) AS begun (id, "commitTo", "validityEndMjdTai")
    JOIN "DiaObjectLast" l ON l."diaObjectId" = begun.id`, [
    first.map(({ version }) => version.row.diaObjectId),
    first.map(({ commitFrom }) => commitFrom),
    first.map(({ version }) => version.row.validityStartMjdTai),
  ]);
}

/**
 * Versions in place of those before, by way of a table of this connection. A row whose pixel is the same is replaced
 * within its page and no index hears of it: with 10,000 objects seen 8 times, 60 dead rows where deleting and
 * inserting leaves 70,000, for three quarters of the server's time.
 */
async function replaceLastVersions(session: Session, last: readonly ObjectVersion[]): Promise<void> {
  // What an earlier call of the same transaction has left is taken out.
  await session.execute(`CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE "DiaObjectLast") ON COMMIT DELETE ROWS;
    DELETE FROM incoming`);
  await copyInto(session, 'incoming', TABLE_COLUMNS.DiaObjectLast, last, writeDiaObjectLast);
  const columns = quotedColumns(TABLE_COLUMNS.DiaObjectLast);
  const changes = TABLE_COLUMNS.DiaObjectLast.slice(1).map((name) => `"${name}" = excluded."${name}"`).join(', ');
  await session.execute(`INSERT INTO "DiaObjectLast" (${columns}) SELECT ${columns} FROM incoming
    ON CONFLICT ("diaObjectId") DO UPDATE SET ${changes}`);
}

export async function copyRows<Row>(
  session: Session, table: WrittenTable, rows: readonly Row[], write: (out: CopyBinaryWriter, row: Row) => void,
): Promise<void> {
  if (rows.length > 0) await copyInto(session, table, TABLE_COLUMNS[table], rows, write);
}

async function copyInto<Row>(
  session: Session, table: string, columns: readonly string[], rows: readonly Row[],
  write: (out: CopyBinaryWriter, row: Row) => void,
): Promise<void> {
  const out = new CopyBinaryWriter(rows.length * TYPICAL_ROW_BYTES);
  for (const row of rows) write(out, row);
  await session.copyIn(`COPY "${table}" (${quotedColumns(columns)}) FROM STDIN (FORMAT binary)`, out.finish());
}
