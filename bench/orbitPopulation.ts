/** A seeded population of orbits for benches. */
import type { Elements } from '../engine/ephemerides/elements.ts';

/** As the MPC's catalogue: nineteen of twenty in the main belt, the rest near Earth, Trojans and beyond; one epoch. */
export function orbitPopulation(size: number): Elements[] {
  let seed = 20261120;
  const uniform = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  return Array.from({ length: size }, () => {
    const kind = uniform(), e = Math.min(0.95, 0.14 * Math.sqrt(-2 * Math.log(1 - uniform())));
    const a = kind < 0.95 ? 2.1 + 1.2 * uniform() : kind < 0.975 ? 0.8 + 1.8 * uniform()
      : kind < 0.99 ? 5.1 + 0.2 * uniform() : 38 + 10 * uniform();
    const period = 365.25 * a ** 1.5;
    return {
      q: a * (1 - e), e, i: 9 * Math.sqrt(-2 * Math.log(1 - uniform())), node: 360 * uniform(),
      argperi: 360 * uniform(), timeOfPerihelionMjdTt: 61200 + period * (uniform() - 0.5), epochMjdTt: 61200,
    };
  });
}
