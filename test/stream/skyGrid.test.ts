import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isInside } from '../../engine/preload.ts';
import { SkyGrid } from '../../engine/stream/skyGrid.ts';

const places = fc.array(fc.record({
  ra: fc.oneof(fc.double({ min: 0, max: 360, maxExcluded: true, noNaN: true }), fc.constantFrom(0, 359.99999, 180)),
  dec: fc.oneof(fc.double({ min: -90, max: 90, noNaN: true }), fc.constantFrom(-90, 90, 89.99, -89.99, 0)),
}), { maxLength: 30 });

test('a cone anywhere, over RA 0 and at the poles, has every item that lies in it', () => {
  fc.assert(fc.property(places, places, fc.double({ min: 0, max: 20, noNaN: true }), (items, centers, radiusDeg) => {
    const grid = new SkyGrid<number>();
    items.forEach(({ ra, dec }, i) => grid.add(i, ra, dec));
    for (const { ra, dec } of [...centers, ...items.slice(0, 3)]) {
      const cone = { raDeg: ra, decDeg: dec, radiusDeg };
      const near = grid.near(cone);
      items.forEach((item, i) => {
        if (isInside(cone, item.ra, item.dec)) expect(near.has(i), `${i} in ${JSON.stringify(cone)}`).toBe(true);
      });
    }
  }), { numRuns: 100, seed: 20261120 });
});

test('an item that is no longer kept is not found, wherever it has been', () => {
  const grid = new SkyGrid<string>();
  grid.add('moved', 10, 0);
  grid.add('moved', 10.3, 0);
  grid.add('stays', 10, 0);
  grid.keep((item) => item === 'stays');
  expect([...grid.near({ raDeg: 10, decDeg: 0, radiusDeg: 1 })]).toEqual(['stays']);
});
