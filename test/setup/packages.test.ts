import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { arePackagesCurrent, recordPackages } from '../../engine/setup/packages.mjs';
import { temporaryDirectory } from './checkout.ts';

interface Entry { version: string; integrity: string; optional?: boolean; os?: string[]; cpu?: string[] }

const PRESENT: Entry = { version: '1.0.0', integrity: 'sha512-a' };

/** A checkout that locks `locked` and holds `installed`. */
function checkout(locked: Record<string, Entry>, installed: Record<string, Entry> | null): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...locked } }));
  if (installed === null) return directory;
  for (const path of Object.keys(installed)) {
    mkdirSync(join(directory, path), { recursive: true });
    writeFileSync(join(directory, path, 'package.json'), '{}');
  }
  mkdirSync(join(directory, 'node_modules'), { recursive: true });
  writeFileSync(join(directory, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }));
  return directory;
}

test('packages put there by a plain `npm ci` are accepted without our stamp', () => {
  expect(arePackagesCurrent(checkout({ 'node_modules/a': PRESENT }, { 'node_modules/a': PRESENT }))).toBe(true);
});

test.each<[string, Record<string, Entry> | null]>([
  ['no node_modules', null],
  ['a missing package', {}],
  ['another version', { 'node_modules/a': { ...PRESENT, version: '1.0.1' } }],
  ['other bytes under the same version', { 'node_modules/a': { ...PRESENT, integrity: 'sha512-b' } }],
  ['a package that is not locked', { 'node_modules/a': PRESENT, 'node_modules/b': PRESENT }],
])('%s asks for an installation', (_, installed) => {
  expect(arePackagesCurrent(checkout({ 'node_modules/a': PRESENT }, installed))).toBe(false);
});

test('an optional package may be absent only when it is for another machine', () => {
  const other = { ...PRESENT, optional: true, os: ['plan9'] };
  expect(arePackagesCurrent(checkout({ 'node_modules/o': other }, {}))).toBe(true);
  const own = { ...PRESENT, optional: true, os: [process.platform], cpu: [process.arch] };
  expect(arePackagesCurrent(checkout({ 'node_modules/o': own }, {}))).toBe(false);
});

test('an optional package that npm could not install is not asked for again after a recorded installation', () => {
  const own = { ...PRESENT, optional: true, os: [process.platform] };
  const directory = checkout({ 'node_modules/o': own }, {});
  recordPackages(directory);
  expect(arePackagesCurrent(directory)).toBe(true);
});

test('a changed lock file is noticed in spite of the stamp', () => {
  const directory = checkout({ 'node_modules/a': PRESENT }, { 'node_modules/a': PRESENT });
  recordPackages(directory);
  const changed = { packages: { 'node_modules/a': { ...PRESENT, version: '2.0.0' } } };
  writeFileSync(join(directory, 'package-lock.json'), JSON.stringify(changed));
  expect(arePackagesCurrent(directory)).toBe(false);
});

test('a package deleted by hand is noticed when there is no stamp', () => {
  const directory = checkout({ 'node_modules/a': PRESENT }, { 'node_modules/a': PRESENT });
  rmSync(join(directory, 'node_modules', 'a'), { recursive: true });
  expect(arePackagesCurrent(directory)).toBe(false);
});
