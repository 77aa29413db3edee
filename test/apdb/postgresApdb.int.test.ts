import { afterAll, beforeAll } from 'vitest';
import type { Apdb } from '../../apdb/apdb.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { apdbContract } from './contract.ts';

let postgres: TestPostgres;
let apdb: Apdb;

beforeAll(async () => {
  postgres = await startTestPostgres();
  apdb = await openPostgresApdb(postgres.address, 'mini-cam');
});

afterAll(async () => {
  await apdb?.close();
  await postgres?.stop();
});

// Each run makes the tables anew, some tens of milliseconds.
apdbContract(() => apdb, 8);
