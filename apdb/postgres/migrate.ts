/** Forward-only migrations, and the check that these tables are ours to read. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Session } from './session.ts';

/**
 * What stored rows mean beyond their columns: order of the pixels, bits of `flags`, which versions close when. Raised by a
 * change after which old rows have to be projected anew; its migration must then empty the tables and the position.
 */
export const CODE_VERSION = 1;

const MIGRATIONS_FOLDER = new URL('./migrations/', import.meta.url);

const names = { schema: 'version:schema', code: 'version:code', instrument: 'instrument' } as const;

/**
 * Make the instrument's schema when it is not there, and bring it to this code's version.
 * @throws one line when it was made by a newer version, or belongs to another instrument.
 */
export async function migrate(session: Session, schema: string, instrument: string): Promise<void> {
  // Two processes may open the same store at once.
  await session.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [schema]);
  await session.execute(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  const stored = await readMetadata(session, schema);
  if (stored !== null) assertReadable(stored, schema, instrument);
  const migrations = readdirSync(MIGRATIONS_FOLDER).filter((name) => name.endsWith('.sql')).sort();
  const done = Number(stored?.get(names.schema) ?? 0);
  if (stored !== null && done > migrations.length) {
    throw new Error(`${schema} has schema version ${done}; this version of Vesper knows them up to ${migrations.length}: update it`);
  }
  if (done === migrations.length) return;
  for (const name of migrations.slice(done)) await session.execute(readFileSync(new URL(name, MIGRATIONS_FOLDER), 'utf8'));
  await writeMetadata(session, names.schema, String(migrations.length));
  await writeMetadata(session, names.code, String(CODE_VERSION));
  await writeMetadata(session, names.instrument, instrument);
}

/** Remove the schema with everything in it. */
export async function dropAll(session: Session, schema: string): Promise<void> {
  await session.execute(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
}

function assertReadable(stored: ReadonlyMap<string, string>, schema: string, instrument: string): void {
  const owner = stored.get(names.instrument);
  if (owner !== instrument) throw new Error(`${schema} belongs to instrument ${owner}, not ${instrument}`);
  const code = Number(stored.get(names.code));
  if (code > CODE_VERSION) {
    throw new Error(`${schema} was filled by code version ${code}; this version of Vesper has ${CODE_VERSION}: update it`);
  }
}

/** Null when the tables have not been made. */
async function readMetadata(session: Session, schema: string): Promise<ReadonlyMap<string, string> | null> {
  const [{ exists }] = await session.rows<{ exists: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS exists', [`${schema}.metadata`]);
  if (!exists) return null;
  const rows = await session.rows<{ name: string; value: string }>('SELECT name, value FROM metadata');
  return new Map(rows.map(({ name, value }) => [name, value]));
}

async function writeMetadata(session: Session, name: string, value: string): Promise<void> {
  await session.rows(`
    INSERT INTO metadata (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, [name, value]);
}
