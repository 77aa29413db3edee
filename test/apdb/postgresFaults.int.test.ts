/** What only a server can do: versions, columns, partitions, two writers, and dying in the middle. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Apdb } from '../../apdb/apdb.ts';
import { flagsOf } from '../../apdb/flags.ts';
import { pixelOf } from '../../apdb/pixelization.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { PostgresServer } from '../../apdb/postgres/session.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { BEFORE_EVERYTHING, commitPosition } from '../../schemas/ids.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { commitOf, NIGHT, WHOLE_FIELD } from './commits.ts';
import type { Detection } from './commits.ts';

let postgres: TestPostgres;
let apdb: Apdb;
/** A connection beside the store's: a person with psql. */
let person: pg.Client;

const at = (sequence: number) => commitPosition(NIGHT, sequence);
const seen = (object: number): Detection => ({ object, ra: 0.5, dec: -10, isVersion: true, isForced: true });
const open = (instrument = 'minicam') => openPostgresApdb(postgres.address, instrument);

async function connectPerson(): Promise<pg.Client> {
  const { address } = postgres;
  const client = new pg.Client('url' in address ? address.url : address);
  client.on('error', () => {}); // It dies with the server in these tests.
  await client.connect();
  await client.query('SET search_path TO apdb_minicam');
  return client;
}

beforeAll(async () => { postgres = await startTestPostgres(); });
afterAll(async () => { await postgres?.stop(); });
beforeEach(async () => {
  apdb = await open();
  await apdb.reset();
  person = await connectPerson();
});
afterEach(async () => {
  await person.end().catch(() => {});
  await apdb.close();
});

test.each([['version:schema', 'schema version 99'], ['version:code', 'code version 99']])(
  'tables with a newer %s are refused in one line that names the server', async (name, said) => {
    const { rows: [{ value: own }] } = await person.query('SELECT value FROM metadata WHERE name = $1', [name]);
    await person.query('UPDATE metadata SET value = $1 WHERE name = $2', ['99', name]);
    const error = await open().then(() => null, (reason: Error) => reason);
    const line = new RegExp(`^Postgres at .*schema apdb_minicam: the tables have ${said}, .*use a newer one$`);
    expect(error?.message).toMatch(line);
    await person.query('UPDATE metadata SET value = $1 WHERE name = $2', [own, name]);
  });

test('an instrument does not take the tables of another whose schema has the same name', async () => {
  const dashed = await open('mini-cam');
  await dashed.close();
  await expect(open('mini_cam')).rejects.toThrow('the tables belong to instrument mini-cam, not mini_cam');
});

test('opening again finds what was projected, and two instruments share nothing', async () => {
  await apdb.project([commitOf(NIGHT, 1, [seen(1)])]);
  const [again, other] = await Promise.all([open(), open('otherCam')]);
  expect(await again.position()).toBe(at(1));
  expect(await again.digest()).toEqual(await apdb.digest());
  expect(await other.position()).toBe(BEFORE_EVERYTHING);
  await Promise.all([again.close(), other.close()]);
});

test('the typed columns of a diaSource hold what its payload says', async () => {
  const commit = commitOf(NIGHT, 1, [seen(1), { ...seen(2), ra: 359.25, dec: 12 }]);
  await apdb.project([commit]);
  const { rows } = await person.query('SELECT *, "commitFrom"::text AS at FROM "DiaSource" ORDER BY "diaSourceId"');
  expect(rows).toHaveLength(2);
  rows.forEach((row, k) => {
    const source = decodeDiaSource(commit.diaSources[k]);
    expect(Buffer.compare(row.payload, commit.diaSources[k])).toBe(0);
    expect({ ...row, payload: null, commitFrom: null }).toEqual({
      diaSourceId: String(source.diaSourceId), visit: String(source.visit), detector: source.detector,
      diaObjectId: String(source.diaObjectId), ssObjectId: null, parentDiaSourceId: null,
      midpointMjdTai: source.midpointMjdTai, homePixel: pixelOf(source.ra, source.dec),
      pixelId: pixelOf(source.ra, source.dec), ra: source.ra, raErr: null,
      dec: source.dec, decErr: null, x: source.x, y: source.y, band: 'r', psfFlux: 1234.5, psfFluxErr: 20.125,
      snr: 61.25, reliability: null, flags: String(flagsOf(source)), at: String(at(1)),
      payload: null, commitFrom: null,
    });
  });
});

test('the versions of an object follow each other without gap or overlap, in commits and in time', async () => {
  const commits = [1, 2, 4].map((sequence) => commitOf(NIGHT, sequence, [seen(1)]));
  await apdb.project(commits.slice(0, 1));
  await apdb.project(commits.slice(1));
  const { rows } = await person.query(`SELECT "commitFrom"::float8 AS "from", "commitTo"::float8 AS "to",
    "validityStartMjdTai" AS start, "validityEndMjdTai" AS "end" FROM "DiaObject" ORDER BY "commitFrom"`);
  const [first, second, third] = commits.map(({ midpointMjdTai }) => midpointMjdTai);
  expect(rows).toEqual([
    { from: at(1), to: at(2), start: first, end: second },
    { from: at(2), to: at(4), start: second, end: third },
    { from: at(4), to: null, start: third, end: null },
  ]);
});

test('partitions span 30 days, and a new one does not wait for a reader of the table', async () => {
  await apdb.project([commitOf(NIGHT, 1, [seen(1)], 61319.999)]);
  await person.query('BEGIN; SELECT count(*) FROM "DiaSource"; SELECT count(*) FROM "DiaForcedSource"');
  await apdb.project([commitOf(NIGHT, 2, [seen(1)], 61320)]); // 61320 = 2044 × 30.
  await person.query('COMMIT');
  const { rows } = await person.query(`
    SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = '"DiaSource"'::regclass ORDER BY 1`);
  expect(rows.map(({ name }) => name)).toEqual(['DiaSource_days61290', 'DiaSource_days61320']);
  const [object] = await apdb.loadObjects([1n], 0, at(2));
  expect(object.sources.length).toBe(2);
});

test('two writers of the same commits leave each row once', async () => {
  const commits = Array.from({ length: 8 }, (_, k) => commitOf(NIGHT, k + 1, [seen(1), seen(k + 2)]));
  const rival = await open();
  const one = (async () => { for (const commit of commits) await apdb.project([commit]); })();
  const two = (async () => { for (let k = 0; k < 8; k += 2) await rival.project(commits.slice(k, k + 3)); })();
  await Promise.all([one, two]);
  expect(await apdb.position()).toBe(at(8));
  expect(await apdb.counts(NIGHT)).toEqual(
    { diaSources: 16, diaObjectsNew: 9, diaForcedSources: 16, visitDetectors: 8, ssSources: 0 });
  const whole = await apdb.digest();
  await apdb.reset();
  await apdb.project(commits);
  expect(await rival.digest()).toEqual(whole);
  await rival.close();
});

/** Starts a projection that stops before its last table, all others written; `person` holds it up. */
async function projectHalfway(sequence: number): Promise<{ outcome: Promise<Error | null> }> {
  await person.query('BEGIN; LOCK TABLE "DetectorVisitProcessingSummary" IN SHARE MODE');
  const commit = commitOf(NIGHT, sequence, [seen(1), seen(2)]);
  const outcome = apdb.project([commit]).then(() => null, (error: Error) => error);
  const watcher = await connectPerson();
  for (let waiting = 0; waiting === 0;) {
    const { rows } = await watcher.query(`SELECT count(*)::int AS n FROM pg_locks
      WHERE NOT granted AND relation = '"DetectorVisitProcessingSummary"'::regclass`);
    waiting = rows[0].n;
  }
  await watcher.end();
  return { outcome };
}

test('a reader beside a half-written projection sees the state before it, whole', async () => {
  await apdb.project([commitOf(NIGHT, 1, [seen(1)])]);
  const { outcome } = await projectHalfway(2);
  const during = await apdb.loadRegion(WHOLE_FIELD, -Infinity);
  expect(during.position).toBe(at(1));
  expect(during.objects.map(({ sources }) => sources.length)).toEqual([1]);
  await person.query('ROLLBACK');
  expect(await outcome).toBeNull();
  const after = await apdb.loadRegion(WHOLE_FIELD, -Infinity);
  expect(after.position).toBe(at(2));
  expect(after.objects.map(({ sources }) => sources.length)).toEqual([2, 1]);
});

test.each([
  'connection', 'server',
])('a %s that dies in mid-transaction leaves the state before it, and the same call then succeeds', async (victim) => {
  await apdb.project([commitOf(NIGHT, 1, [seen(1)])]);
  const before = await apdb.digest();
  const { outcome } = await projectHalfway(2);
  if (victim === 'server') {
    await postgres.crashAndRestart();
  } else {
    await person.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'vesper apdb' AND wait_event_type = 'Lock'`);
    await person.query('ROLLBACK');
  }
  expect((await outcome)?.message).toMatch(/^Postgres at [^\n]*, schema apdb_minicam: [^\n]+$/);
  expect(await apdb.position()).toBe(at(1));
  expect(await apdb.digest()).toEqual(before);
  await apdb.project([commitOf(NIGHT, 2, [seen(1), seen(2)])]);
  expect(await apdb.position()).toBe(at(2));
  expect((await apdb.counts(NIGHT)).diaSources).toBe(3);
});

test('a read cut off in the middle of its answer fails in one line, and the next one succeeds', async () => {
  const many = Array.from({ length: 3000 }, (_, k) => seen(k + 1));
  await apdb.project(Array.from({ length: 3 }, (_, k) => commitOf(NIGHT, k + 1, many)));
  const outcome = apdb.loadRegion(WHOLE_FIELD, -Infinity).then(() => null, (error: Error) => error);
  for (let cut = 0; cut === 0;) {
    const { rows } = await person.query(`SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity
      WHERE application_name = 'vesper apdb' AND state = 'active' AND query LIKE '%asked.low%'`);
    cut = rows[0].n;
  }
  expect((await outcome)?.message).toMatch(/^Postgres at [^\n]*, schema apdb_minicam: [^\n]+$/);
  expect((await apdb.loadRegion(WHOLE_FIELD, -Infinity)).objects).toHaveLength(3000);
});

test.each(['SELECT 1', 'COPY (SELECT 1) TO STDOUT'])('a server that stands still in %s is left in time', async (sql) => {
  const server = new PostgresServer(postgres.address, 'apdb_minicam', 300);
  let stopped = 0;
  try {
    const outcome = server.transaction('read', async (session) => {
      const [{ pid }] = await session.rows<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(stopped = pid, 'SIGSTOP');
      return sql.startsWith('COPY') ? session.copyOut(sql) : session.rows(sql);
    });
    await expect(outcome).rejects.toThrow(/^Postgres at [^\n]*, schema apdb_minicam: no answer in 300 ms$/);
    // The next statement has another connection.
    expect(await server.transaction('read', (session) => session.rows('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  } finally {
    if (stopped !== 0) process.kill(stopped, 'SIGCONT');
    await server.close();
  }
});

test('a server that cannot be reached is named in one line, without a password', async () => {
  const error = await openPostgresApdb({ url: 'postgres://vesper:secret@127.0.0.1:1/night' }, 'minicam')
    .then(() => null, (reason: Error) => reason);
  expect(error?.message).toMatch(/^Postgres at 127\.0\.0\.1:1\/night, schema apdb_minicam: [^\n]*ECONNREFUSED[^\n]*$/);
  expect(error?.message).not.toContain('secret');
});
