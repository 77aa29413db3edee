/** Tables that an older Vesper has made: brought forward when they are opened, and as good as new ones. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { BEFORE_EVERYTHING } from '../../schemas/ids.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { commitOf, NIGHT, type Detection } from './commits.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'apdb', 'postgres', 'migrations');
const migrations = readdirSync(FOLDER).sort();
const older = migrations.slice(1).map((_, k) => k + 1);

let postgres: TestPostgres;
beforeAll(async () => { postgres = await startTestPostgres(); });
afterAll(async () => { await postgres?.stop(); });

const seen = (object: number): Detection => ({ object, ra: 0.5, dec: -10, isVersion: true, isForced: true });
const commits = [
  commitOf(NIGHT, 1, [seen(1), seen(2)]), commitOf(NIGHT, 2, [{ ...seen(3), ra: 359.9, dec: 89.999 }]),
];

/** The tables as the first migrations leave them, empty, and what their Vesper noted of them. */
async function makeOlder(instrument: string, version: number): Promise<void> {
  const { address } = postgres, person = new pg.Client('url' in address ? address.url : address);
  await person.connect();
  await person.query(`CREATE SCHEMA apdb_${instrument}`);
  await person.query(`SET search_path TO apdb_${instrument}`);
  for (const name of migrations.slice(0, version)) await person.query(readFileSync(join(FOLDER, name), 'utf8'));
  for (const [name, value] of [['version:schema', version], ['version:code', 1], ['instrument', instrument]]) {
    await person.query(
      'INSERT INTO metadata VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
      [name, String(value)]);
  }
  await person.end();
}

test.each(older)('tables of schema version %i take commits to the same rows as new ones', async (version) => {
  await makeOlder(`older${version}`, version);
  const brought = await openPostgresApdb(postgres.address, `older${version}`);
  expect(await brought.position()).toBe(BEFORE_EVERYTHING);
  await brought.project(commits);
  const fresh = await openPostgresApdb(postgres.address, `fresh${version}`);
  await fresh.project(commits);
  expect(await brought.digest()).toEqual(await fresh.digest());
  const cone = { raDeg: 120, decDeg: 90, radiusDeg: 0.01 };
  expect((await brought.loadRegion(cone, -Infinity)).objects).toHaveLength(1);
  await brought.close();
  const again = await openPostgresApdb(postgres.address, `older${version}`);
  expect(await again.digest()).toEqual(await fresh.digest());
  await again.close();
  await fresh.close();
}, 30_000);
