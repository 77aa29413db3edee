import fc from 'fast-check';
import { expect, test } from 'vitest';
import { declinationsOf, insideOf, isInside } from '../engine/preload.ts';

const degrees = (min: number, max: number) => fc.double({ min, max, noNaN: true });

test('what is ruled out by right ascension or declination is outside of the cone, everywhere on the sky', () => {
  const cones = fc.record({
    raDeg: fc.oneof(degrees(0, 360), fc.constantFrom(0, 359.9999, 180)),
    decDeg: fc.oneof(degrees(-90, 90), fc.constantFrom(-90, 90, 88.9, -89.5)),
    radiusDeg: fc.oneof(degrees(0, 3), degrees(0, 180)),
  });
  // Near the edge, where a bound that is too tight would show, and anywhere.
  const places = fc.tuple(degrees(0, 1.2), degrees(0, 2 * Math.PI), degrees(-180, 540), degrees(-90, 90));
  fc.assert(fc.property(cones, places, fc.boolean(), (cone, [share, angle, far, anyDec], isNear) => {
    const decDeg = isNear ? Math.max(-90, Math.min(90, cone.decDeg + share * cone.radiusDeg * Math.cos(angle))) : anyDec;
    const stretch = Math.max(1e-3, Math.cos((decDeg * Math.PI) / 180));
    const raDeg = isNear ? cone.raDeg + (share * cone.radiusDeg * Math.sin(angle)) / stretch : far;
    const expected = isInside(cone, raDeg, decDeg), { fromDeg, toDeg } = declinationsOf(cone);
    expect(insideOf(cone)(raDeg, decDeg)).toBe(expected);
    if (expected) expect(decDeg >= fromDeg && decDeg <= toDeg).toBe(true);
  }), { numRuns: 5000, seed: 20261121 });
});
