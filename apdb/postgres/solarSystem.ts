/** The solar-system tables in Postgres. A visit brings tens of rows: they go by arrays of columns. */
import { decodeSsObject } from '../../schemas/avro.ts';
import {
  bodyHistories, changedOrbits, type BodyObservation, type DecodedBodies, type SolarSystemTables,
} from '../solarSystem.ts';
import type { PostgresServer, Session } from './session.ts';

type Columns = Readonly<Record<string, string>>;

const SS_SOURCE: Columns = {
  diaSourceId: 'bigint', ssObjectId: 'bigint', designation: 'text', midpointMjdTai: 'float8', band: 'text',
  psfFlux: 'float4', psfFluxErr: 'float4', extendedness: 'float4', phaseAngle: 'float4', helioRange: 'float4',
  topoRange: 'float4', ephOffset: 'float4', commitFrom: 'bigint', payload: 'bytea',
};
const ORBIT: Columns = {
  ssObjectId: 'bigint', commitFrom: 'bigint', designation: 'text', epoch_mjd: 'float8', q: 'float8', e: 'float8',
  i: 'float8', h: 'float8', payload: 'bytea',
};
const SS_OBJECT: Columns = {
  ssObjectId: 'bigint', designation: 'text', nObs: 'int4', arc: 'float4', firstObservationMjdTai: 'float8',
  payload: 'bytea',
};

/** Names of a table's columns, for the digest. */
export const SOLAR_SYSTEM_COLUMNS = {
  SSSource: Object.keys(SS_SOURCE), SSSourceHistory: [...Object.keys(SS_SOURCE), 'commitTo'],
  mpc_orbits: Object.keys(ORBIT),
} as const;

/** Adds the rows of commits above the locked position, in their transaction. */
export async function writeBodies(session: Session, commits: readonly DecodedBodies[]): Promise<void> {
  const sources = commits.flatMap(({ ssSources }) => ssSources), orbits = commits.flatMap((commit) => commit.orbits);
  if (sources.length === 0) return;
  await insert(session, 'SSSource', SS_SOURCE, sources.map(({ row, payload, ...source }) => ({
    ...row, ...source, payload: asBuffer(payload),
  })));
  const ids = [...new Set(orbits.map(({ ssObjectId }) => ssObjectId))];
  const changed = changedOrbits(await newestOrbits(session, ids), orbits);
  await insert(session, 'mpc_orbits', ORBIT, changed.map(({ row, ...orbit }) => ({
    ...row, ...orbit, payload: asBuffer(orbit.payload),
  })));
}

export function solarSystemTables(server: PostgresServer): SolarSystemTables {
  return {
    bodies: () => server.transaction('readAll', async (session) => {
      const rows = await session.rows<SourceRow>(`SELECT "diaSourceId" AS id, "ssObjectId" AS body, designation,
        "midpointMjdTai", band, "psfFlux", "psfFluxErr", extendedness, payload FROM "SSSource"`);
      return bodyHistories(rows.map(({ id, body, payload, ...row }) => ({
        ...row, diaSourceId: BigInt(id), ssObjectId: BigInt(body), ssSource: payload,
      })), await newestOrbits(session, null));
    }),
    replaceObjects: (objects) => server.transaction('maintain', async (session) => {
      await session.execute('DELETE FROM "SSObject"');
      await insert(session, 'SSObject', SS_OBJECT, objects.map((payload) => {
        const { ssObjectId, designation, nObs, arc, firstObservationMjdTai } = decodeSsObject(payload);
        return { ssObjectId, designation, nObs, arc, firstObservationMjdTai, payload: asBuffer(payload) };
      }));
    }),
    objects: () => server.transaction('readAll', async (session) => {
      const rows = await session.rows<{ payload: Buffer }>('SELECT payload FROM "SSObject" ORDER BY "ssObjectId"');
      return rows.map(({ payload }) => payload);
    }),
  };
}

type SourceRow = Readonly<{ id: string; body: string; designation: string | null; payload: Buffer }>
  & Omit<BodyObservation, 'diaSourceId' | 'ssSource'>;

/** @param ids Null for all. */
async function newestOrbits(session: Session, ids: readonly bigint[] | null): Promise<Map<bigint, Uint8Array>> {
  const rows = await session.rows<{ id: string; payload: Buffer }>(`
    SELECT DISTINCT ON ("ssObjectId") "ssObjectId" AS id, payload FROM mpc_orbits
    WHERE $1::bigint[] IS NULL OR "ssObjectId" = ANY ($1)
    ORDER BY "ssObjectId", "commitFrom" DESC`, [ids]);
  return new Map(rows.map(({ id, payload }) => [BigInt(id), payload]));
}

async function insert(
  session: Session, table: string, columns: Columns, rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  if (rows.length === 0) return;
  const names = Object.keys(columns), quoted = names.map((name) => `"${name}"`).join(', ');
  const arrays = names.map((name, k) => `$${k + 1}::${columns[name]}[]`).join(', ');
  await session.rows(`INSERT INTO "${table}" (${quoted}) SELECT * FROM unnest(${arrays})`,
    names.map((name) => rows.map((row) => row[name])));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
