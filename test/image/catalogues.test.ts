import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseObjectCatalogue, readObjectCatalogue } from '../../engine/image/objectCatalogue.ts';
import { openReferences, parseReferences, readReferences, ReferenceError } from '../../engine/image/references.ts';
import { loadCamera } from '../../schemas/camera.ts';
import { encodeReferences, makeReferences } from '../../simulator/calibrations.ts';
import { encodeObjects } from '../../simulator/objectCatalogue.ts';
import { randomStream, uniform } from '../../simulator/random.ts';
import { encodeTable, type Column } from '../../simulator/tableWriter.ts';

let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-catalogues-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Star = Readonly<{ id: number; ra: number; dec: number }>;
const STAR_COLUMNS: readonly Column<Star>[] = [
  { name: 'refId', kind: 'K', of: ({ id }) => BigInt(id) + 9007199254740993n },
  { name: 'ra', kind: 'D', of: ({ ra }) => ra }, { name: 'dec', kind: 'D', of: ({ dec }) => dec },
  ...['raErrMas', 'decErrMas', 'rMag', 'rMagErr'].map(
    (name): Column<Star> => ({ name, kind: 'E', of: ({ id }) => (name === 'rMag' && id % 3 === 0 ? NaN : id % 30) })),
];

function tableOf(stars: readonly Star[], sortedBy: string): string {
  const path = join(folder, 'stars.fits');
  writeFileSync(path, encodeTable('REFERENCES', STAR_COLUMNS, stars, sortedBy));
  return path;
}

function messageOf(work: () => unknown): string {
  try { work(); } catch (error) { if (error instanceof ReferenceError) return error.message; throw error; }
  return 'read';
}

describe('reference tables', () => {
  test('stars within a reach of declinations are those of a scan of all, in order of declination or not', () => {
    const declination = fc.integer({ min: -5, max: 5 });
    fc.assert(fc.property(fc.array(declination, { maxLength: 12 }), declination, declination, (decs, a, b) => {
      const reach = { fromDeg: Math.min(a, b), toDeg: Math.max(a, b) };
      const isWanted = (_ra: number, dec: number) => dec >= reach.fromDeg && dec <= reach.toDeg;
      for (const [sortedBy, ordered] of [['dec', [...decs].sort((p, q) => p - q)], ['refId', decs]] as const) {
        const path = tableOf(ordered.map((dec, id) => ({ id, ra: id, dec })), sortedBy);
        expect(openReferences(path, 'r').stars(isWanted, reach).map(({ decDeg, raDeg }) => [raDeg, decDeg]))
          .toEqual(ordered.map((dec, ra) => [ra, dec]).filter(([, dec]) => isWanted(0, dec)));
      }
    }), { numRuns: 100, seed: 20261121 });
  });

  test('a table of many pieces is read whole, and of a part each star once', () => {
    const random = randomStream(1, 'table');
    const stars = Array.from({ length: 30000 }, (_, id) => ({ id, ra: 10, dec: 20 * uniform(random) - 10 }))
      .sort((a, b) => a.dec - b.dec); // 40 bytes a row: three pieces of 512 kB.
    const path = tableOf(stars, 'dec'), catalogue = openReferences(path, 'r');
    expect(readReferences(path, 'r').map(({ decDeg }) => decDeg)).toEqual(stars.map(({ dec }) => dec));
    const reach = { fromDeg: -1, toDeg: 6 }, isWanted = (_ra: number, dec: number) => dec >= -1 && dec <= 6;
    expect(catalogue.stars(isWanted, reach)).toEqual(catalogue.stars(isWanted));
    const [first] = catalogue.stars(() => true);
    expect(first.refId).toBe(String(BigInt(stars[0].id) + 9007199254740993n));
    expect(first.mag).toBe(stars[0].id % 3 === 0 ? null : stars[0].id % 30);
  });

  test('a row out of the order that is claimed, and one without a position, are named', () => {
    const rows = (decs: readonly number[]) => decs.map((dec, id) => ({ id, ra: 1, dec }));
    let path = tableOf(rows([1, 3, 2]), 'dec');
    expect(messageOf(() => readReferences(path, 'r'))).toBe(`${path}: row 3 is out of order`);
    path = tableOf(rows([1, NaN]), 'refId');
    expect(messageOf(() => readReferences(path, 'r'))).toBe(`${path}: row 2 has no position`);
    expect(messageOf(() => openReferences(path, 'g'))).toBe(`${path}: has no column gMag`);
  });
});

describe('the simulator’s catalogues', () => {
  const camera = loadCamera('minicam'), field = { name: 'a field', raDeg: 150, decDeg: -30, rotationDeg: 0 };

  test('the table of references tells the same stars as the CSV', () => {
    const path = join(folder, 'references.fits');
    writeFileSync(path, encodeReferences(3, camera, field, 'demonstration'));
    const byId = (a: { refId: string }, b: { refId: string }) => (a.refId < b.refId ? -1 : 1);
    const table = readReferences(path, 'r').sort(byId);
    const text = parseReferences(makeReferences(3, camera, field), 'r', 'references.csv').sort(byId);
    expect(table.length).toBeGreaterThan(100);
    expect(table.map(({ refId, raDeg, decDeg }) => [refId, raDeg, decDeg]))
      .toEqual(text.map(({ refId, raDeg, decDeg }) => [refId, raDeg, decDeg]));
    // Singles between 16 and 32 are 2^-19 apart, and are rounded to half of that.
    table.forEach(({ mag }, i) => expect(Math.abs((mag ?? 0) - (text[i].mag ?? 0))).toBeLessThanOrEqual(2 ** -20));
  });

  test('the table of objects is in order, and reads as the same rows in CSV do', () => {
    const path = join(folder, 'objects.fits');
    writeFileSync(path, encodeObjects(3, camera, camera.detectors[4], field, 'demonstration'));
    const table = readObjectCatalogue(path), rows = [...table.objectId.keys()];
    expect(rows.length).toBeGreaterThan(100);
    const cell = (value: number) => (Number.isNaN(value) ? '' : String(value));
    const lines = rows.reverse().map((i) => [
      table.objectId[i], table.raDeg[i], table.decDeg[i], table.isGalaxy[i], cell(table.radiusArcsec[i]),
      cell(table.rMag[i]),
    ].join(','));
    const text = ['objectId,ra,dec,extendedness,radiusArcsec,rMag', ...lines].join('\n');
    expect(parseObjectCatalogue(text, 'objects.csv')).toEqual(table);
  });
});
