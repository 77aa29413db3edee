/** Forward-only migrations, and the check that these tables are ours to read. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Session } from './session.ts';

/**
 * What stored rows mean beyond their columns: order of the pixels, bits of `flags`, when a version ends. Raised by a
 * change after which old rows have to be projected anew; its migration must then empty the tables and the position.
 */
export const CODE_VERSION = 2;

const MIGRATIONS_FOLDER = new URL('./migrations/', import.meta.url);

const names = { schema: 'version:schema', code: 'version:code', instrument: 'instrument' } as const;

/**
 * Make the instrument's schema when it is not there, and bring it to this code's version.
 * @param schema An SQL identifier.
 * @throws one line that names the server when the tables are of a newer version, or belong to another instrument.
 */
export async function migrate(session: Session, schema: string, instrument: string): Promise<void> {
  // Two processes may open the same store at once.
  await session.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [schema]);
  await session.execute(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  const stored = await readMetadata(session, schema);
  const migrations = readdirSync(MIGRATIONS_FOLDER).filter((name) => name.endsWith('.sql')).sort();
  const fault = stored === null ? null : faultOf(stored, instrument, migrations.length);
  if (fault !== null) throw new Error(`${session.server}: ${fault}`);
  const done = Number(stored?.get(names.schema) ?? 0);
  if (done === migrations.length) return;
  for (const name of migrations.slice(done)) {
    await session.execute(readFileSync(new URL(name, MIGRATIONS_FOLDER), 'utf8'));
  }
  await writeMetadata(session, names.schema, String(migrations.length));
  await writeMetadata(session, names.code, String(CODE_VERSION));
  await writeMetadata(session, names.instrument, instrument);
}

/** Names this filling of the tables: another one has the same rows, but perhaps of another log. */
export async function readEpoch(session: Session): Promise<string> {
  const [{ value }] = await session.rows<{ value: string }>("SELECT value FROM metadata WHERE name = 'epoch'");
  return value;
}

/** Remove the schema with everything in it. */
export async function dropAll(session: Session, schema: string): Promise<void> {
  await session.execute(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
}

/** Why these tables are not ours to use, or null. */
function faultOf(stored: ReadonlyMap<string, string>, instrument: string, schemaVersion: number): string | null {
  const owner = stored.get(names.instrument);
  if (owner !== instrument) return `the tables belong to instrument ${owner}, not ${instrument}`;
  for (const [name, known] of [['schema', schemaVersion], ['code', CODE_VERSION]] as const) {
    const version = stored.get(names[name]);
    if (Number(version) <= known) continue;
    return `the tables have ${name} version ${version}, and this Vesper knows them up to ${known}: use a newer one`;
  }
  return null;
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
    INSERT INTO metadata (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`, [name, value]);
}
