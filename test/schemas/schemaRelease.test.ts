/** New versions of the alert schema, added by the command to a copy of this repository, and read by old readers. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import avro from 'avsc';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolvedAlertSchema } from '../../schemas/alertSchema.ts';
import { alertType, buildType } from '../../schemas/avro.ts';
import { anyAlert } from './alertArbitraries.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
let copy: string;
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'vesper-release-'));
  for (const folder of ['schemas', 'brokers', 'engine/setup', 'engine/cli', 'engine/main.ts', 'package.json']) {
    cpSync(join(REPOSITORY, folder), join(copy, folder), { recursive: true });
  }
  symlinkSync(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** A folder with the files of an earlier version under the name of a new one, changed. */
function draftOf(from: string, version: string, changeAlert: (fields: { name: string }[]) => object[]): string {
  const [oldName, newName] = [from, version].map((each) => `v${each.replace('.', '_')}`);
  const folder = join(copy, `draft-${version}`), source = join(copy, 'schemas', 'alert', ...from.split('.'));
  mkdirSync(folder);
  for (const record of ['alert', 'diaSource', 'diaObject', 'diaForcedSource', 'ssSource', 'mpc_orbits', 'ssObject']) {
    const text = readFileSync(join(source, `${record}.avsc`), 'utf8').replaceAll(`lsst.${oldName}`, `lsst.${newName}`);
    const schema = JSON.parse(text) as { fields: { name: string }[] };
    const fields = record === 'alert' ? changeAlert(schema.fields) : schema.fields;
    writeFileSync(join(folder, `${record}.avsc`), JSON.stringify({ ...schema, fields }));
  }
  return folder;
}

/** Code and answer of the command in the copy. */
function vesper(...words: string[]): Readonly<{ code: number; out: string; err: string }> {
  try {
    const out = execFileSync(process.execPath, [join(copy, 'engine', 'main.ts'), ...words], { encoding: 'utf8', stdio: 'pipe' });
    return { code: 0, out, err: '' };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string }; // Of execFileSync.
    return { code: status, out: stdout, err: stderr };
  }
}

/** What the registry of the copy answers. */
function registry(path: string): Record<string, unknown> {
  const program = `import { answerRegistryRequest } from ${JSON.stringify(pathToFileURL(join(copy, 'brokers', 'registry.ts')).href)};
    process.stdout.write(answerRegistryRequest('GET', ${JSON.stringify(path)}).body);`;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
}

const MORE = { name: 'hostRedshift', type: ['null', 'double'], default: null, doc: 'of a test' };
const LATER = { name: 'follow_up', type: ['null', 'string'], default: null, doc: 'of a test' };

test('two further versions are added by the command; readers of every older one read what the newest writes', () => {
  const first = draftOf('11.0', '11.1', (fields) => [fields[0], MORE, ...fields.slice(1)]);
  expect(JSON.parse(vesper('schema', 'add', '11.1', '--from', first, '--json').out)).toEqual({ version: '11.1', schemaId: 1101 });
  const second = draftOf('11.1', '11.2', (fields) => [...fields.filter(({ name }) => name !== 'target_name'), LATER]);
  expect(vesper('schema', 'add', '11.2', '--from', second)).toMatchObject({ code: 0 });
  expect(registry('/subjects/alert-packet/versions')).toEqual([1, 2, 3]);
  const [one, two] = [1101, 1102].map((id) => JSON.parse(String(registry(`/schemas/ids/${id}`)['schema'])) as object);
  expect(one).toMatchObject({ namespace: 'lsst.v11_1' });

  // Avro resolves records by their full names, which hold the version: readers ask by the name alone.
  const unnamed = (schema: object): object => JSON.parse(JSON.stringify(schema).replaceAll(/"lsst\.v11_\d\.(\w+)"/g, '"$1"')
    .replaceAll(/"namespace":"lsst\.v11_\d",?/g, '')) as object;
  const written = buildType(unnamed(two));
  const readers = [resolvedAlertSchema('11.0'), one].map((schema) => {
    const type = buildType(unnamed(schema));
    return { type, resolver: type.createResolver(written) as avro.Resolver };
  });
  fc.assert(fc.property(anyAlert, (alert) => {
    const { target_name: _gone, ...kept } = alert;
    const datum = written.toBuffer({ ...kept, hostRedshift: 0.5, follow_up: 'yes' });
    const [of110, of111] = readers.map(({ type, resolver }) => type.fromBuffer(datum, resolver) as Record<string, unknown>);
    expect(of110).toEqual({ ...alertType.fromBuffer(alertType.toBuffer(alert)), target_name: null });
    expect(of111).toEqual({ ...of110, hostRedshift: 0.5 });
  }), { numRuns: 20, seed: 20261120 });
}, 60_000);

test('a version that breaks a reader two versions back is refused, though the last one could read it', () => {
  // 11.1 has given target_name up for its readers' default; a kind that 11.0 knows otherwise must not come back.
  const draft = draftOf('11.2', '11.3', (fields) => [...fields, { name: 'target_name', type: 'long' }]);
  const { code, err, out } = vesper('schema', 'add', '11.3', '--from', draft, '--json');
  expect(code).toBe(2);
  expect(out).toBe('');
  expect(err).toMatch(/^vesper: alert schema 11\.3 cannot be added: readers of 11\.0 cannot read it: [^\n]+\n$/);
  expect(err).not.toMatch(/readers of 11\.2/);
  expect(existsSync(join(copy, 'schemas', 'alert', '11', '3'))).toBe(false);
}, 30_000);

test('packets are still written and read in 11.0 when newer versions are there', () => {
  expect(JSON.parse(vesper('schema', 'list', '--json').out)).toEqual({ versions: [
    { version: '11.0', schemaId: 1100, isWritten: true }, { version: '11.1', schemaId: 1101, isWritten: false },
    { version: '11.2', schemaId: 1102, isWritten: false },
  ] });
}, 30_000);
