import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DayObs } from '../../schemas/ids.ts';
import type { Product } from '../../schemas/products.ts';
import { publishStaged, removeStaged, sha256, stage, writeWhole } from '../../simulator/files.ts';
import { encodeFits } from '../../simulator/fitsWriter.ts';
import { mergeIndex, readIndex } from '../../simulator/productStore.ts';
import { readFitsBytes } from './readFits.ts';

let folder = '';
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-files-')); });
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

test('a staged file is not at its place until it is published, and then is whole', () => {
  const path = join(folder, 'a/b/raw.fits'), bytes = Buffer.from('pixels');
  const file = stage(path, bytes);
  expect(existsSync(path)).toBe(false);
  publishStaged(file);
  expect(readFileSync(path)).toEqual(bytes);
  expect(file).toMatchObject({ bytes: 6, checksum: sha256(bytes) });
  expect(readdirSync(join(folder, 'a/b'))).toEqual(['raw.fits']);
});

test.skipIf(
  !existsSync('/dev/full'),
)('a full disk is told in one line and leaves neither a part nor a changed file', () => {
  const path = join(folder, 'index.json');
  writeWhole(path, 'old');
  symlinkSync('/dev/full', `${path}.whole.staged`); // Every write to this device fails as on a full disk.
  expect(() => writeWhole(path, 'new')).toThrow(/^cannot write \S+index\.json: no space left on the device$/);
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['index.json']);
});

test('what a killed process left staged is removed, and nothing else', () => {
  writeWhole(join(folder, 'x/good.fits'), 'good');
  stage(join(folder, 'x/unread.fits'), Buffer.from('part'));
  removeStaged(folder);
  removeStaged(join(folder, 'nowhere'));
  expect(readdirSync(join(folder, 'x'))).toEqual(['good.fits']);
});

test('FITS of both pixel types comes back as it was written', () => {
  const floats = Float32Array.from([0, -1.5, 3e38, 1e-30, 7, 8]);
  const counts = Uint16Array.from([0, 1, 32767, 32768, 65534, 65535]);
  const [primary, first, second] = readFitsBytes(encodeFits([
    {
      cards: [['OBJECT', "Barnard's star"], ['TRUTH', true], ['SMALL', 1e-9], ['LARGE', 2026091500001, 'id']],
      image: null,
    },
    { cards: [['EXTNAME', 'IMAGE']], image: { width: 3, height: 2, pixels: floats } },
    { cards: [['EXTNAME', 'MASK']], image: { width: 2, height: 3, pixels: counts } },
  ]));
  expect(primary.cards.get('OBJECT')).toBe("Barnard's star");
  expect(
    [primary.cards.get('TRUTH'), primary.cards.get('SMALL'), primary.cards.get('LARGE')],
  ).toEqual([true, 1e-9, 2026091500001]);
  expect([first.width, first.height, ...first.pixels]).toEqual([3, 2, ...floats]);
  expect([second.width, second.height, ...second.pixels]).toEqual([2, 3, ...counts]);
});

test('a card that FITS cannot hold is refused', () => {
  const encode = (keyword: string, value: string | number): Buffer =>
    encodeFits([{ cards: [[keyword, value]], image: null }]);
  expect(() => encode('OBJECT', 'x'.repeat(80))).toThrow('the value of OBJECT does not fit a FITS card');
  expect(() => encode('MP_NO_DATA', 1)).toThrow('"MP_NO_DATA" is not a FITS keyword');
  expect(() => encode('GAIN', Number.NaN)).toThrow('NaN cannot be a FITS value');
});

test('products of another seed are in force from their night on, and the older ones before it', () => {
  const product = (uri: string, night: number): Product =>
    // Only compared.
    ({ kind: 'bias', band: null, detector: null, uri, checksum: uri, sky: null, fromDayObs: night as DayObs });
  const first = mergeIndex({ instrument: 'tinycam', products: [] }, [product('seed1', 20260915)]);
  expect(mergeIndex(first, [product('seed1', 20260916)])).toBe(first);
  const second = mergeIndex(first, [product('seed2', 20260916)]);
  expect(second.products.map((p) => [p.uri, p.fromDayObs])).toEqual([['seed1', 20260915], ['seed2', 20260916]]);
  const third = mergeIndex(second, [product('seed1', 20260917)]);
  expect(third.products.map((p) => [p.uri, p.fromDayObs]).at(-1)).toEqual(['seed1', 20260917]);
});

test('an index that is no index is told in one line', () => {
  writeWhole(join(folder, 'products/tinycam/index.json'), '{"instrument":');
  expect(() => readIndex(folder, 'tinycam')).toThrow(/index\.json is not a product index$/);
  writeFileSync(join(folder, 'products/tinycam/other'), '');
  expect(readIndex(folder, 'unknown')).toEqual({ instrument: 'unknown', products: [] });
});
