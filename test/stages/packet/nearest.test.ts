import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseObjectCatalogue, type ObjectCatalogue } from '../../../engine/image/objectCatalogue.ts';
import { nearestNeighbours } from '../../../engine/stages/packet/nearest.ts';

const HEADER = 'objectId,ra,dec,extendedness,radiusArcsec,rMag';

function catalogueOf(rows: readonly (readonly [id: number, ra: number, dec: number, isGalaxy: number])[]): ObjectCatalogue {
  return parseObjectCatalogue([HEADER, ...rows.map(([id, ra, dec, galaxy]) => (
    `${id},${ra},${dec},${galaxy},${galaxy === 1 ? 0.5 : ''},22`))].join('\n'), 'objects.csv');
}

const DEGREE = Math.PI / 180;
type Vector = readonly [number, number, number];
const vector = (ra: number, dec: number): Vector => [
  Math.cos(dec * DEGREE) * Math.cos(ra * DEGREE), Math.cos(dec * DEGREE) * Math.sin(ra * DEGREE), Math.sin(dec * DEGREE),
];
/** By the chord of unit vectors: another way than the stage's. */
const separationArcsec = (a: Vector, b: Vector): number =>
  (2 * Math.asin(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) / 2) / DEGREE) * 3600;

test('the three nearest of each kind are those of a search through all, at the equator, the meridian and the poles', () => {
  const places = fc.tuple(fc.constantFrom(0, 0.001, 150, 359.999), fc.constantFrom(-89.999, -60, 0, 45, 89.99));
  const offsets = fc.array(
    fc.tuple(fc.double({ min: -0.03, max: 0.03, noNaN: true }), fc.double({ min: -0.03, max: 0.03, noNaN: true }),
      fc.constantFrom(0, 1)), { maxLength: 40 },
  );
  fc.assert(fc.property(places, offsets, ([ra, dec], list) => {
    const rows = list.map(([east, north, galaxy], i) => {
      const place = Math.max(-90, Math.min(90, dec + north));
      return [i + 1, (ra + east / Math.max(1e-3, Math.cos(place * DEGREE)) + 720) % 360, place, galaxy] as const;
    });
    const found = nearestNeighbours(catalogueOf(rows), ra, dec);
    for (const [kind, galaxy] of [['stars', 0], ['galaxies', 1]] as const) {
      const expected = rows.filter((row) => row[3] === galaxy)
        .map(([id, r, d]) => ({ id, apart: separationArcsec(vector(ra, dec), vector(r, d)) }))
        .filter(({ apart }) => apart <= 60).sort((a, b) => a.apart - b.apart).slice(0, 3);
      // Two ways of computing an angle differ by some 1e-16 rad / sin(60″): far below a µas, which ties may not cross.
      found[kind].forEach((each, i) => expect(each.distanceArcsec).toBeCloseTo(expected[i].apart, 6));
      expect(found[kind]).toHaveLength(expected.length);
    }
  }), { numRuns: 200, seed: 20261120 });
});

test('equally near ones come by their ids, whatever the order of the catalogue', () => {
  const rows = [[9, 10, 0.01, 0], [3, 10, 0.01, 0], [7, 10, 0.01, 0], [5, 10, 0.01, 0]] as const;
  const ids = (order: typeof rows | readonly (typeof rows)[number][]) =>
    nearestNeighbours(catalogueOf(order), 10, 0).stars.map(({ objectId }) => Number(objectId));
  expect(ids(rows)).toEqual([3, 5, 7]);
  expect(ids([...rows].reverse())).toEqual([3, 5, 7]);
});

test('the position angle counts from north over east', () => {
  const rows = [[1, 150, 2.005, 1], [2, 150.005, 2, 0]] as const;
  const { stars, galaxies } = nearestNeighbours(catalogueOf(rows), 150, 2);
  expect(galaxies[0]).toMatchObject({ objectId: 1n, radiusArcsec: 0.5, rMag: 22 });
  expect(galaxies[0].positionAngleDeg).toBeCloseTo(0, 9);
  expect(stars[0].positionAngleDeg).toBeCloseTo(90, 3); // A great circle to the east leans north by 0.5 Δα sin δ = 9e-5°.
  expect(stars[0].radiusArcsec).toBeNull();
});

test.each([
  ['no column of radii', 'objectId,ra,dec,extendedness,rMag\n1,2,3,0,4', 'objects.csv: has no column radiusArcsec'],
  ['a row without a position', `${HEADER}\n1,,3,0,,4`, 'objects.csv: row 2 has no id or no position'],
  ['an id that is none', `${HEADER}\nx,1,3,0,,4`, 'objects.csv: row 2 has no id or no position'],
])('a catalogue with %s is refused', (_, text, message) => {
  expect(() => parseObjectCatalogue(text, 'objects.csv')).toThrow(message);
});
