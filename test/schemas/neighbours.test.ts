import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeNeighbours, encodeNeighbours, NEIGHBOURS_BYTES, neighboursJson, parseNeighbours, type Neighbours,
} from '../../schemas/neighbours.ts';

const float = (max: number) => fc.float({ min: 0, max: Math.fround(max), noNaN: true });
const neighbour = fc.record({
  objectId: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), distanceArcsec: float(60), positionAngleDeg: float(360),
  rMag: fc.option(float(30), { nil: null }), radiusArcsec: fc.option(float(10), { nil: null }),
});
const sets: fc.Arbitrary<Neighbours> = fc.record({
  stars: fc.array(neighbour, { maxLength: 3 }), galaxies: fc.array(neighbour, { maxLength: 3 }),
});

test('neighbours come back from their bytes, which always have the same length', () => {
  fc.assert(fc.property(sets, (given) => {
    const bytes = encodeNeighbours(given);
    expect(bytes).toHaveLength(NEIGHBOURS_BYTES);
    expect(decodeNeighbours(bytes)).toEqual(given);
  }), { numRuns: 300, seed: 20261120 });
});

test('the archive gives back the header byte for byte', () => {
  fc.assert(fc.property(sets, (given) => {
    const header = neighboursJson(decodeNeighbours(encodeNeighbours(given)));
    const parsed = parseNeighbours(header);
    expect(parsed && neighboursJson(decodeNeighbours(encodeNeighbours(parsed)))).toBe(header);
    expect(header).toMatch(/^[\x20-\x7e]*$/); // A header is one line of ASCII.
  }), { numRuns: 300, seed: 20261120 });
});

test('text of another hand has no neighbours, whatever it is', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
    const parsed = parseNeighbours(text);
    expect(parsed === null || Array.isArray(parsed.stars)).toBe(true);
  }), { numRuns: 300, seed: 20261120 });
});

test('a fourth neighbour and foreign bytes are refused', () => {
  const near = { objectId: 1n, distanceArcsec: 1, positionAngleDeg: 2, rMag: null, radiusArcsec: null };
  expect(() => encodeNeighbours({ stars: [near, near, near, near], galaxies: [] })).toThrow('4 stars');
  expect(() => decodeNeighbours(Buffer.alloc(NEIGHBOURS_BYTES))).toThrow('no neighbours of version 1');
  expect(() => decodeNeighbours(Buffer.alloc(3))).toThrow('3 bytes');
});
