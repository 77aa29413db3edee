import { max_pixrad, pix2ang_nest } from '@hscmap/healpix';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { coverOf, isInCone, PIXEL_ORDER, pixelOf, separationDeg } from '../../apdb/pixelization.ts';

const raArbitrary = fc.oneof(fc.double({ min: 0, max: 360, maxExcluded: true, noNaN: true }),
  fc.constantFrom(0, 45, 90, 180, 359.9999999));
const decArbitrary = fc.oneof(
  fc.double({ min: -90, max: 90, noNaN: true }), fc.constantFrom(-90, -89.9999, 0, 41.8103148957786, 89.9999, 90));
const radiusArbitrary = fc.oneof(
  fc.double({ min: 0, max: 0.01, noNaN: true }), fc.double({ min: 0, max: 4, noNaN: true }),
  fc.double({ min: 0, max: 180, noNaN: true }));

/** The point at `distanceDeg` from (ra, dec) in the direction `angleDeg` east of north. */
function pointAt(raDeg: number, decDeg: number, distanceDeg: number, angleDeg: number): [number, number] {
  const [dec, d, angle] = [decDeg, distanceDeg, angleDeg].map((degrees) => degrees * Math.PI / 180);
  const sinDec = Math.sin(dec) * Math.cos(d) + Math.cos(dec) * Math.sin(d) * Math.cos(angle);
  const ra = Math.atan2(Math.sin(angle) * Math.sin(d) * Math.cos(dec), Math.cos(d) - Math.sin(dec) * sinDec);
  return [(raDeg + ra * 180 / Math.PI + 360) % 360, Math.asin(Math.max(-1, Math.min(1, sinDec))) * 180 / Math.PI];
}

test('the cover of a cone holds the pixel of every point in it, at the poles and across RA 0 as elsewhere', () => {
  const place = fc.record({ raDeg: raArbitrary, decDeg: decArbitrary, radiusDeg: radiusArbitrary });
  const fraction = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constant(1));
  const draw = fc.tuple(fraction, fc.double({ min: 0, max: 360, noNaN: true }));
  fc.assert(fc.property(place, fc.array(draw, { minLength: 5 }), (cone, draws) => {
    const ranges = coverOf(cone);
    for (const [part, angleDeg] of draws) {
      const [ra, dec] = pointAt(cone.raDeg, cone.decDeg, part * cone.radiusDeg, angleDeg);
      const pixel = pixelOf(ra, dec);
      expect(ranges.some(({ from, to }) => from <= pixel && pixel < to), `(${ra}, ${dec}), pixel ${pixel}`).toBe(true);
    }
  }), { numRuns: 500 });
});

test('ranges ascend, do not touch, and stay on the sky', () => {
  fc.assert(fc.property(raArbitrary, decArbitrary, radiusArbitrary, (raDeg, decDeg, radiusDeg) => {
    const ranges = coverOf({ raDeg, decDeg, radiusDeg });
    let end = -1;
    for (const { from, to } of ranges) {
      expect(from).toBeGreaterThan(end);
      expect(to).toBeGreaterThan(from);
      end = to;
    }
    expect(end).toBeLessThanOrEqual(12 * 4 ** PIXEL_ORDER);
  }), { numRuns: 100 });
});

test('the cover of a field is little larger than the field, in few ranges', () => {
  for (const [raDeg, decDeg] of [[0, 0], [123.4, -35.6], [200, 41.8], [10, -75]]) {
    const ranges = coverOf({ raDeg, decDeg, radiusDeg: 1.75 });
    const pixels = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    const coneFraction = (1 - Math.cos(1.75 * Math.PI / 180)) / 2;
    const areaRatio = pixels / (12 * 4 ** PIXEL_ORDER) / coneFraction;
    // Pixels have sides of at most 1/16 of the radius and circles of 1.05 of the side; centres lie up to one circle
    // outside the cone and corners up to two: (1 + 2.1/16)² = 1.28.
    expect(areaRatio).toBeLessThan(1.28);
    expect(areaRatio).toBeGreaterThan(1);
    // The rim of 2π·16 ≈ 100 sides, up to twice that in pixels of half the size, begins and ends ranges.
    expect(ranges.length).toBeLessThan(200);
  }
});

test('separation is that of unit vectors, and keeps a milliarcsecond where their cosine has lost it', () => {
  expect(separationDeg(10, 0, 10 + 1e-3 / 3600, 0) * 3600e3).toBeCloseTo(1, 4);
  expect(separationDeg(359.75, 0, 0.25, 0)).toBeCloseTo(0.5, 12);
  expect(separationDeg(0, 89, 180, 89)).toBeCloseTo(2, 12);
  expect(separationDeg(0, -90, 123, -90)).toBeCloseTo(0, 12);
  expect(separationDeg(0, 0, 180, 0)).toBeCloseTo(180, 6);
  expect(isInCone({ raDeg: 359.9, decDeg: 0, radiusDeg: 0.2 }, 0.05, 0)).toBe(true);
  expect(isInCone({ raDeg: 359.9, decDeg: 0, radiusDeg: 0.2 }, 0.15, 0)).toBe(false);
});

test('a position that is none has no pixel', () => {
  expect(() => pixelOf(NaN, 0)).toThrow('not on the sky');
  expect(() => pixelOf(0, NaN)).toThrow('not on the sky');
  expect(() => pixelOf(0, 90.001)).toThrow('not on the sky');
  expect(pixelOf(-1, 0)).toBe(pixelOf(359, 0));
  expect(pixelOf(361, 0)).toBe(pixelOf(1, 0));
});

test('pixels are HEALPix nested: the twelve base pixels have their published centres', () => {
  // Górski et al. 2005, figure 4: base pixels 0–3 at 41.8103°, 4–7 on the equator, 8–11 at −41.8103°.
  const size = 4 ** PIXEL_ORDER;
  const baseOf = (ra: number, dec: number) => Math.floor(pixelOf(ra, dec) / size);
  expect([45, 135, 225, 315].map((ra) => baseOf(ra, 41.8103))).toEqual([0, 1, 2, 3]);
  expect([0, 90, 180, 270].map((ra) => baseOf(ra, 0))).toEqual([4, 5, 6, 7]);
  expect([45, 135, 225, 315].map((ra) => baseOf(ra, -41.8103))).toEqual([8, 9, 10, 11]);
});

test('the pixel of a position is the one whose centre is near, at corners of base pixels as elsewhere', () => {
  // No point of a pixel is farther from its centre than the largest pixel radius.
  const radiusDeg = max_pixrad(2 ** PIXEL_ORDER) * 180 / Math.PI;
  fc.assert(fc.property(raArbitrary, decArbitrary, (raDeg, decDeg) => {
    const { theta, phi } = pix2ang_nest(2 ** PIXEL_ORDER, pixelOf(raDeg, decDeg));
    const separation = separationDeg(raDeg, decDeg, phi * 180 / Math.PI, 90 - theta * 180 / Math.PI);
    expect(separation).toBeLessThan(radiusDeg * 1.000001); // A corner may be at the radius itself.
  }), { numRuns: 2000 });
});
