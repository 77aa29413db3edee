import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pixelOf } from '../../apdb/pixelization.ts';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { angularDistanceArcsec } from '../../brokers/filters/helpers.ts';
import { nestedPixel, parseMoc } from '../../brokers/filters/moc.ts';
import { compileRegion } from '../../brokers/filters/region.ts';

const ra = fc.double({ min: 0, max: 360, noNaN: true, maxExcluded: true });
/** Even over the sphere. */
const dec = fc.double({ min: -1, max: 1, noNaN: true }).map((z) => (Math.asin(z) * 180) / Math.PI);

test('nestedPixel agrees with the pixels of the APDB, which are computed another way', () => {
  fc.assert(fc.property(ra, dec, (r, d) => {
    // On an edge either neighbour is right: a point is taken a little off it.
    const [r2, d2] = [r + 1.7e-7, Math.max(-89.999, Math.min(89.999, d + 1.3e-7))];
    expect(nestedPixel(13, r2, d2)).toBe(pixelOf(r2, d2));
  }), { numRuns: 2000, seed: 7 });
});

test('a cone holds what lies within its radius, across the poles and RA 0', () => {
  fc.assert(fc.property(ra, dec, ra, dec, fc.double({ min: 1, max: 300_000, noNaN: true }), (r0, d0, r, d, radius) => {
    const distance = angularDistanceArcsec(r0, d0, r, d);
    fc.pre(Math.abs(distance - radius) > 1e-3);
    expect(compileRegion({ kind: 'cone', ra: r0, dec: d0, radiusArcsec: radius })(r, d)).toBe(distance < radius);
  }), { numRuns: 500, seed: 7 });
});

test('a watch list is any of its positions', () => {
  const targets = Array.from({ length: 500 }, (_, i) => ({ name: `t${i}`, ra: (i * 137.5) % 360, dec: (i % 120) - 60 }));
  const isNear = compileRegion({ kind: 'watchList', radiusArcsec: 30, targets });
  for (const [i, target] of targets.entries()) {
    expect(isNear(target.ra, target.dec + 29 / 3600)).toBe(true);
    const off = target.dec + 0.5;
    expect(isNear(target.ra, off), `target ${i}`)
      .toBe(targets.some((each) => angularDistanceArcsec(each.ra, each.dec, target.ra, off) <= 30));
  }
});

test('a polygon across RA 0 and one around a pole hold their inside alone', () => {
  const square = compileRegion({ kind: 'polygon', corners: [[359, -1], [1, -1], [1, 1], [359, 1]] });
  expect([[0, 0], [359.5, 0.9], [0.5, -0.9]].map(([r, d]) => square(r, d))).toEqual([true, true, true]);
  expect([[2, 0], [358, 0], [0, 1.1], [180, 0]].map(([r, d]) => square(r, d))).toEqual([false, false, false, false]);
  const cap = compileRegion({ kind: 'polygon', corners: [[0, 80], [90, 80], [180, 80], [270, 80]] });
  expect([[45, 89], [200, 85], [45, 75], [0, -90]].map(([r, d]) => cap(r, d))).toEqual([true, true, false, false]);
});

test('a MOC holds its pixels at every order, spans and lists', () => {
  const isIn = compileRegion({ kind: 'moc', moc: '0/4 3/0-3,7\n5/' });
  for (const [r, d] of [[0.1, 0.1], [45, 3], [44, 40], [180, -60], [300, 70]]) {
    const deep = nestedPixel(3, r, d), base = nestedPixel(0, r, d);
    expect(isIn(r, d)).toBe(base === 4 || deep <= 3 || deep === 7);
  }
  expect(parseMoc('1/0,1,2,3')).toEqual(parseMoc('0/0')); // Neighbours become one range.
});

test.each([
  [null, 'region is not a record'],
  [{ kind: 'box' }, 'none of cone, polygon, moc, watchList'],
  [{ kind: 'cone', ra: 400, dec: 0, radiusArcsec: 1 }, 'region.ra is not a number from 0 to 360'],
  [{ kind: 'cone', ra: 4, dec: 0, radiusArcsec: Infinity }, 'region.radiusArcsec'],
  [{ kind: 'cone', ra: 4, dec: 0, radiusArcsec: 1, extra: 1 }, 'not "extra"'],
  [{ kind: 'polygon', corners: [[0, 0], [1, 1]] }, 'region.corners is not a list of 3 to'],
  [{ kind: 'polygon', corners: [[0, 0], [120, 0], [240, 0]] }, 'a hemisphere or more'],
  [{ kind: 'moc', moc: '3/5-2' }, 'no pixels 5-2 of order 3'],
  [{ kind: 'moc', moc: '29/1' }, 'order 29'],
  [{ kind: 'moc', moc: '<script>' }, 'a MOC has no "<script>"'],
  [{ kind: 'moc', moc: '' }, 'a MOC'],
  [{ kind: 'watchList', radiusArcsec: 1, targets: [{ ra: 1, dec: 1 }] }, 'region.targets[0].name'],
])('region %j is refused: %s', (region, message) => {
  expect(() => compileRegion(region)).toThrow(message);
  // A filter names itself before the fault.
  const definition = { user: 'ana', name: 'r', version: 1, expression: 'true', region: region as never };
  expect(() => compileFilter(definition)).toThrow(/^filter ana\.r@1: /);
});
