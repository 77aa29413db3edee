/** The spool: what was written is read back or refused by name, and nothing is half-written. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Spool } from '../../engine/stream/spool.ts';
import { asDayObs } from '../../schemas/ids.ts';

let dataDir: string;
beforeEach(() => { dataDir = mkdtempSync(join(tmpdir(), 'vesper-spool-')); });
afterEach(() => rmSync(dataDir, { recursive: true }));

const spool = () => new Spool(dataDir, 'minicam', asDayObs(20261001));
const files = () => readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());

test('the same bytes are one file, named by their digest', () => {
  const first = spool().write(Buffer.from('cutouts'));
  expect(spool().write(Buffer.from('cutouts'))).toEqual(first);
  expect(files().map(({ name }) => name)).toEqual([first.digest]);
  expect(spool().read(first).toString()).toBe('cutouts');
});

test('a damaged or missing file is refused, with its path and the reason', () => {
  const file = spool().write(Buffer.from('cutouts'));
  const [entry] = files();
  writeFileSync(join(entry.parentPath, entry.name), 'cutoutz');
  expect(() => spool().read(file)).toThrow(/spool file .* is damaged/);
  rmSync(join(entry.parentPath, entry.name));
  expect(() => spool().read(file)).toThrow(/spool file .* is missing/);
});

test('a folder that cannot be made ends in one line and leaves no partial file', () => {
  writeFileSync(join(dataDir, 'spool'), 'in the way');
  expect(() => spool().write(Buffer.from('x'))).toThrow(/^cannot write the spool file [^\n]*$/);
  expect(files().map(({ name }) => name)).toEqual(['spool']);
});
