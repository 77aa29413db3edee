/** A night's bodies: the search finds exactly those that lie in the cone. */
import { expect, test } from 'vitest';
import { RADIANS } from '../../engine/ephemerides/constants.ts';
import type { Elements } from '../../engine/ephemerides/elements.ts';
import {
  bodiesInCone, followNight, HALF_NIGHT_DAYS, type NightEphemeris,
} from '../../engine/ephemerides/nightEphemeris.ts';
import { observerState } from '../../engine/ephemerides/observer.ts';
import { basisFunctions, magnitudeHG, phaseMagnitudeG12 } from '../../engine/ephemerides/phase.ts';
import { apparition } from '../../engine/ephemerides/predict.ts';

const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 }, MIDNIGHT = 61315;

/** Orbits of every kind, near Earth to beyond Neptune, from a seed. */
function population(count: number): Elements[] {
  let seed = 7;
  const uniform = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  return Array.from({ length: count }, (_, k) => ({
    q: k % 10 === 0 ? 0.3 + uniform() : 1.8 + 30 * uniform() ** 6, e: 0.9 * uniform() ** 2, i: 180 * uniform() ** 3,
    node: 360 * uniform(), argperi: 360 * uniform(), timeOfPerihelionMjdTt: 61300 + 2000 * (uniform() - 0.5),
    epochMjdTt: k % 2 === 0 ? 61200 : 61290,
  }));
}

function followed(orbits: readonly Elements[]): NightEphemeris {
  const steps = followNight(orbits, MIDNIGHT, SITE);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

test('the search finds what a walk through all bodies finds: at the poles, over the seam, at the night\'s ends', () => {
  const night = followed(population(3000));
  const cones = [
    [0, 0, 3], [359.9, 2, 4], [180, 10, 5], [40, 89, 6], [220, -88, 8], [90, 20, 2], [10, -44, 1],
  ] as const;
  let found = 0;
  for (const mjd of [MIDNIGHT - HALF_NIGHT_DAYS, MIDNIGHT + 0.2, MIDNIGHT + HALF_NIGHT_DAYS]) {
    const observer = observerState(mjd, SITE);
    const places = Array.from({ length: night.count }, (_, k) =>
      apparition({ state: night.states, at: 6 * k, epochMjdTt: night.midMjdTt }, observer, mjd));
    for (const [raDeg, decDeg, radiusDeg] of cones) {
      const expected = places.flatMap((seen, k) => {
        const cos = Math.sin(seen.decDeg * RADIANS) * Math.sin(decDeg * RADIANS)
          + Math.cos(seen.decDeg * RADIANS) * Math.cos(decDeg * RADIANS) * Math.cos((seen.raDeg - raDeg) * RADIANS);
        return Math.acos(Math.min(1, cos)) / RADIANS <= radiusDeg ? [k] : [];
      });
      expect(bodiesInCone(night, raDeg, decDeg, radiusDeg, mjd, observer)).toEqual(expected);
      found += expected.length;
    }
  }
  expect(found).toBeGreaterThan(50); // The comparison was not of nothing with nothing.
  expect(night.fast.length).toBeGreaterThan(10);
});

test('a time of another night is refused, and an orbit that cannot be followed is left out by its index', () => {
  const orbits = population(20).map((orbit, k) => (k === 3 ? { ...orbit, timeOfPerihelionMjdTt: NaN } : orbit));
  const night = followed(orbits);
  expect(night.lost).toEqual([3]);
  expect(() => bodiesInCone(night, 0, 0, 1, MIDNIGHT + 1, observerState(MIDNIGHT, SITE))).toThrow('is not within');
  const all = bodiesInCone(night, 0, 0, 180, MIDNIGHT, observerState(MIDNIGHT, SITE));
  expect(all).toHaveLength(19);
});

test('magnitudes follow the H, G and the H, G12 systems', () => {
  // At zero phase and unit distances the magnitude is H; with G = 0.15 at 20° the published function fades by 1.02 mag.
  expect(magnitudeHG(15, 0.15, 1, 1, 0)).toBe(15);
  expect(magnitudeHG(15, 0.15, 2, 1, 0)).toBeCloseTo(15 + 5 * Math.log10(2), 12);
  const tangent = Math.tan(10 * RADIANS);
  const fading = -2.5 * Math.log10(0.85 * Math.exp(-3.33 * tangent ** 0.63) + 0.15 * Math.exp(-1.87 * tangent ** 1.22));
  expect(magnitudeHG(15, 0.15, 1, 1, 20)).toBeCloseTo(15 + fading, 12);
  // Nodes of the published splines, and their joint with the straight part.
  expect(basisFunctions(30)).toEqual([0.33486016, 0.62884169, 0]);
  expect(basisFunctions(7.5).slice(0, 2)).toEqual([0.75, 0.925]);
  expect(basisFunctions(7.4999)[0]).toBeCloseTo(0.75, 5);
  expect(basisFunctions(4)[2]).toBeCloseTo(0.2317423, 12);
  expect(phaseMagnitudeG12(0.5, 0)).toBeCloseTo(0, 12);
  // G1 + G2 = 0.69 at G12 = 0.2 by either branch: the fading joins there within 2e-4 of a magnitude.
  expect(Math.abs(phaseMagnitudeG12(0.2, 15) - phaseMagnitudeG12(0.2 - 1e-9, 15))).toBeLessThan(5e-3);
});
