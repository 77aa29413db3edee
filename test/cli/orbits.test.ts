/** `vesper orbits import` and `vesper ephemeris` as a person uses them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ProductCatalog } from '../../engine/archive/productCatalog.ts';
import { asDayObs } from '../../schemas/ids.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-orbits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const MAIN = join(import.meta.dirname, '..', '..', 'engine', 'main.ts');

const CSV = 'designation,H,G,epoch_mjd,a,e,i,om,w,ma\n1 Ceres,3.34,0.15,60200,2.7671817,0.0788175,10.58634,80.26013,'
  + '73.47045,17.21569\n';

function vesper(...words: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: folder });
  return { status, out: stdout, err: stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('a bad line stops the import with its number; --skip-bad takes the others into force', () => {
  const dataDir = join(folder, 'data');
  const path = file('two.csv', `${CSV}Vesta,3.2,0.15,60200,2.36,oval,7.1,103.8,151.7,0\n`);
  const refused = vesper('orbits', 'import', path, '--data-dir', dataDir);
  expect(refused.status).toBe(2);
  expect(refused.err).toContain(`${path} line 3: e is "oval", not a number`);
  expect(refused.err.trim().split('\n').at(-1)).toContain('1 of 2 lines are no orbits, the first is line 3; nothing');
  expect(existsSync(dataDir)).toBe(false);
  const done = vesper('orbits', 'import', path, '--data-dir', dataDir, '--skip-bad', '--json', '--from', '20261001');
  expect(done.status).toBe(0);
  const summary = JSON.parse(done.out) as { digest: string; path: string };
  expect(summary).toMatchObject({ format: 'csv', orbits: 1, skipped: 1, badLines: [{ line: 3 }] });
  const catalog = new ProductCatalog(dataDir, 'minicam');
  expect(catalog.findOrbits(asDayObs(20260930))).toBeNull();
  expect(catalog.findOrbits(asDayObs(20261002))).toMatchObject({ checksum: summary.digest, path: summary.path });
  expect(readFileSync(summary.path, 'utf8')).toContain('1 Ceres,1 Ceres,60200,');
});

test('orbits imported for the same night again are in force, and those that commits have named are still found', () => {
  const dataDir = join(folder, 'again');
  const imported = (text: string) => {
    const path = file('again.csv', text);
    const { out } = vesper('orbits', 'import', path, '--data-dir', dataDir, '--json', '--from', '20261001');
    return (JSON.parse(out) as { digest: string }).digest;
  };
  const inForce = () => new ProductCatalog(dataDir, 'minicam').findOrbits(asDayObs(20261001))?.checksum;
  const first = imported(CSV), second = imported(CSV.replace('3.34', '3.35'));
  expect(inForce()).toBe(second);
  expect(new ProductCatalog(dataDir, 'minicam').byChecksum(first)?.checksum).toBe(first);
  expect(imported(CSV)).toBe(first);
  expect(inForce()).toBe(first);
  expect(new ProductCatalog(dataDir, 'minicam').byChecksum(second)?.checksum).toBe(second);
});

test('a body is followed to each time, and a field at that time holds it at the same place', () => {
  const path = file('ceres.csv', CSV);
  const alone = vesper('ephemeris', path, '--object', 'ceres', '--mjd', '60205.5', '--days', '2', '--json');
  const places = JSON.parse(alone.out) as { mjdTai: number; ra: number; dec: number; vMag: number; rateRa: number }[];
  expect(places.map(({ mjdTai }) => mjdTai)).toEqual([60205.5, 60206.5, 60207.5]);
  // Its motion over a day, by its own rates: the curvature of a day is 0.0003°.
  const step = (places[1].ra - places[0].ra) * Math.cos(places[0].dec * Math.PI / 180);
  expect(Math.abs(step - places[0].rateRa)).toBeLessThan(2e-3);
  const { ra, dec } = places[0];
  const field = vesper(
    'ephemeris', path, '--field', `${ra.toFixed(3)},${dec.toFixed(3)},0.01`, '--mjd', '60205.5', '--json');
  const [seen, ...others] = JSON.parse(field.out) as { ra: number; dec: number }[];
  expect(others).toEqual([]);
  expect(3600 * Math.hypot((seen.ra - ra) * Math.cos(dec * Math.PI / 180), seen.dec - dec)).toBeLessThan(0.02);
});

test.each([
  [['--mjd', '60205'], 'name one body with --object, or a field with --field'],
  [['--mjd', '60205', '--object', 'Vulcan'], 'there is no "Vulcan" among 1 orbits'],
  [['--mjd', '60205', '--field', '10,20'], '--field must be right ascension'],
  [['--mjd', '60205', '--object', 'Ceres', '--site', '95,0'], '--site must be latitude'],
])('%s is refused in one line', (words, reason) => {
  const { status, err } = vesper('ephemeris', file('ceres.csv', CSV), ...words);
  expect(status).toBe(2);
  expect(err.trim().split('\n')).toHaveLength(1);
  expect(err).toContain(reason);
});
