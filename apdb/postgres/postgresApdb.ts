/** The APDB in Postgres: one schema per instrument. */
import { createHash } from 'node:crypto';
import type { CommitPosition, DayObs } from '../../schemas/ids.ts';
import { commitPosition } from '../../schemas/ids.ts';
import { subjectToken } from '../../schemas/subjects.ts';
import { APDB_TABLES, readablePosition } from '../apdb.ts';
import type { Apdb, ApdbTable, Committed, Cone, NightCounts, ObjectHistory, RegionSnapshot } from '../apdb.ts';
import { closePairs } from '../closePairs.ts';
import { assertCone } from '../pixelization.ts';
import { decodeRuns, withoutDropped } from '../corrections.ts';
import { assertAscending } from '../rows.ts';
import { writeCorrection } from './correct.ts';
import { objectsById, regionObjects, withHistory } from './history.ts';
import { maintain, readRetention } from './maintain.ts';
import type { TileCache } from '../tiles.ts';
import { dropAll, migrate, readEpoch } from './migrate.ts';
import { lockPosition, readPosition, setPosition } from './position.ts';
import { writeCommits } from './project.ts';
import { sharedRead } from './readTogether.ts';
import { PostgresServer } from './session.ts';
import type { PostgresAddress, Session } from './session.ts';
import { solarSystemTables } from './solarSystem.ts';
import { quotedColumns, TABLE_COLUMNS, TABLE_KEYS } from './tables.ts';
import { objectPlaces, sourcesAfter, sourcesById, stats } from './queries.ts';
import { rewind } from './rewind.ts';
import { appendTiles, regionByTiles } from './tileHistory.ts';

export type { PostgresAddress } from './session.ts';

/**
 * Open the store of one instrument; its tables are made, or brought to this version, when they are not.
 * @param openTiles Opens a cache of tiles in front of the tables, for a filling of them by this name.
 * @throws one line that names the server when it cannot be reached or its tables are of a newer version.
 */
export async function openPostgresApdb(
  address: PostgresAddress, instrument: string, openTiles: (epoch: string) => TileCache | null = () => null,
): Promise<Apdb> {
  const schema = `apdb_${subjectToken(instrument).replaceAll('-', '_')}`;
  const server = new PostgresServer(address, schema);
  const migrateIn = (session: Session) => migrate(session, server.schema, instrument);
  let tiles: TileCache | null = null;
  try {
    tiles = openTiles(await server.transaction('maintain', async (session) => {
      await migrateIn(session);
      return readEpoch(session);
    }));
  } catch (error) {
    await server.close();
    throw error;
  }
  return {
    position: () => server.transaction('read', readPosition),
    project: (commits) => project(server, tiles, commits),
    advance: (position) => server.transaction('write', async (session) => {
      if (position > await lockPosition(session)) await setPosition(session, position);
    }),
    loadRegion: (cone, sinceMjdTai, asOf) => loadRegion(server, tiles, cone, sinceMjdTai, asOf),
    loadObjects: (ids, sinceMjdTai, asOf) => loadObjects(server, ids, sinceMjdTai, asOf),
    solarSystem: solarSystemTables(server),
    counts: (dayObs) => counts(server, dayObs),
    diaSourceIds: (dayObs) => diaSourceIds(server, dayObs),
    digest: () => digest(server),
    rewind: async (to) => {
      const epoch = await server.transaction('maintain', async (session) => {
        await rewind(session, to);
        return readEpoch(session);
      });
      await tiles?.close();
      tiles = openTiles(epoch);
    },
    loadSources: (ids) => server.transaction('read', (session) => sourcesById(session, ids)),
    sourcesAfter: (after, limit) => server.transaction('readAll', (session) => sourcesAfter(session, after, limit)),
    pairsWithin: async (radiusArcsec) => closePairs(await server.transaction('readAll', objectPlaces), radiusArcsec),
    maintain: async (keepFromMjdTai) => {
      const maintained = await maintain(server, keepFromMjdTai);
      await tiles?.close();
      tiles = openTiles(await server.transaction('read', readEpoch));
      return maintained;
    },
    stats: () => server.transaction('readAll', stats),
    reset: async () => {
      const epoch = await server.transaction('maintain', async (session) => {
        await dropAll(session, server.schema);
        await migrateIn(session);
        return readEpoch(session);
      });
      await tiles?.close();
      tiles = openTiles(epoch);
    },
    close: async () => {
      await tiles?.close();
      await server.close();
    },
  };
}

async function project(
  server: PostgresServer, tiles: TileCache | null, commits: readonly Committed[],
): Promise<void> {
  assertAscending(commits);
  const last = commits.at(-1);
  if (last === undefined) return;
  const touched = await server.transaction('write', async (session) => {
    const stored = await lockPosition(session);
    if (last.position <= stored) return null;
    const runs = withoutDropped(
      decodeRuns(commits.filter(({ position }) => position > stored)), await readRetention(session));
    let written: Awaited<ReturnType<typeof writeCommits>> | null = null;
    for (const run of runs) {
      if (run.correction === null) written = await writeCommits(session, run.commits);
      else await writeCorrection(session, run.correction);
    }
    await setPosition(session, last.position);
    // With a correction among them the tiles are read anew: rare, and the cache needs no rule for it.
    return runs.length === 1 ? written : null;
  });
  if (tiles !== null && touched !== null) await appendTiles(tiles, touched, last.position);
}

async function loadRegion(
  server: PostgresServer, tiles: TileCache | null, cone: Cone, sinceMjdTai: number, asOf: CommitPosition | undefined,
): Promise<RegionSnapshot> {
  assertCone(cone);
  const { refill, ...region } = await server.transaction('read', async (session) => {
    const projected = await readPosition(session);
    const position = readablePosition(asOf, projected);
    const shared = await sharedRead(server, session);
    if (tiles === null || position !== projected) {
      const objects = await regionObjects(session, cone, position, position === projected);
      const histories = await withHistory(shared, objects, sinceMjdTai, position, position === projected);
      return { position, objects: histories, refill: null };
    }
    const read = await regionByTiles(shared, tiles, cone, sinceMjdTai, position);
    return { position, objects: read.histories, refill: read.refill };
  });
  // Nobody waits for the cache, and it does not fail.
  void refill?.();
  return region;
}

async function loadObjects(
  server: PostgresServer, ids: readonly bigint[], sinceMjdTai: number, asOf: CommitPosition,
): Promise<readonly ObjectHistory[]> {
  return server.transaction('read', async (session) => {
    const projected = await readPosition(session), position = readablePosition(asOf, projected);
    const objects = await objectsById(session, ids, position);
    return withHistory(await sharedRead(server, session), objects, sinceMjdTai, position, position === projected);
  });
}

/** `commitFrom` of the rows that a night's commits brought. */
const OF_NIGHT = '"commitFrom" >= $1 AND "commitFrom" < $2';

/** Ids of the diaSources that a night's commits first brought; what corrections made of them is not another one. */
const FIRST_SOURCES = `SELECT "diaSourceId" AS id FROM (
    SELECT "diaSourceId", "commitFrom" FROM "DiaSource" WHERE ${OF_NIGHT}
    UNION ALL SELECT "diaSourceId", "commitFrom" FROM "DiaSourceHistory" WHERE ${OF_NIGHT}) night
  WHERE NOT EXISTS (SELECT FROM "DiaSourceHistory" h
    WHERE h."diaSourceId" = night."diaSourceId" AND h."commitTo" = night."commitFrom")`;

function nightBounds(dayObs: DayObs): [number, number] {
  const first = commitPosition(dayObs, 0);
  return [first, first + 1e8];
}

async function counts(server: PostgresServer, dayObs: DayObs): Promise<NightCounts> {
  return server.transaction('readAll', async (session) => {
    const [row] = await session.rows<Record<keyof NightCounts, string>>(`SELECT
      (SELECT count(*) FROM (${FIRST_SOURCES}) s) AS "diaSources",
      (SELECT count(DISTINCT o."diaObjectId") FROM "DiaObject" o WHERE ${OF_NIGHT} AND NOT EXISTS (
        SELECT FROM "DiaObject" p WHERE p."diaObjectId" = o."diaObjectId" AND p."commitFrom" < $1)) AS "diaObjectsNew",
      (SELECT count(*) FROM "DiaForcedSource" WHERE ${OF_NIGHT}) AS "diaForcedSources",
      (SELECT count(*) FROM "DetectorVisitProcessingSummary" WHERE ${OF_NIGHT}) AS "visitDetectors",
      (SELECT count(*) FROM "SSSource" WHERE ${OF_NIGHT})
        + (SELECT count(*) FROM "SSSourceHistory" WHERE ${OF_NIGHT}) AS "ssSources"`,
    nightBounds(dayObs));
    return {
      diaSources: Number(row.diaSources), diaObjectsNew: Number(row.diaObjectsNew),
      diaForcedSources: Number(row.diaForcedSources), visitDetectors: Number(row.visitDetectors),
      ssSources: Number(row.ssSources),
    };
  });
}

async function diaSourceIds(server: PostgresServer, dayObs: DayObs): Promise<readonly bigint[]> {
  return server.transaction('readAll', async (session) => {
    const rows = await session.rows<{ id: string }>(
      `SELECT id FROM (${FIRST_SOURCES}) s ORDER BY id`, nightBounds(dayObs));
    return rows.map(({ id }) => BigInt(id));
  });
}

async function digest(server: PostgresServer): Promise<Readonly<Record<ApdbTable, string>>> {
  return server.transaction('readAll', async (session) => {
    const digests: Partial<Record<ApdbTable, string>> = {};
    for (const table of APDB_TABLES) {
      const hash = createHash('sha256');
      const [columns, key] = [quotedColumns(TABLE_COLUMNS[table]), quotedColumns(TABLE_KEYS[table])];
      const select = `SELECT ${columns} FROM "${table}" ORDER BY ${key}`;
      await session.copyOutPieces(`COPY (${select}) TO STDOUT (FORMAT binary)`, (piece) => hash.update(piece));
      digests[table] = hash.digest('hex');
    }
    return digests as Record<ApdbTable, string>; // Every table has had its turn.
  });
}
