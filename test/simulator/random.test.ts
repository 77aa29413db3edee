import { expect, test } from 'vitest';
import { nextUint32, normal, poisson, randomStream, uniform } from '../../simulator/random.ts';

test('a stream follows sfc32 as its author defined it', () => {
  const state = randomStream(7, 'any', 3);
  let [a, b, c, d] = Array.from(state, BigInt);
  const wrap = (value: bigint): bigint => value & 0xffffffffn;
  for (let i = 0; i < 1000; i++) {
    const expected = wrap(a + b + d);
    d = wrap(d + 1n);
    a = b ^ (b >> 9n);
    b = wrap(c + wrap(c << 3n));
    c = wrap((wrap(c << 21n) | (c >> 11n)) + expected);
    expect(BigInt(nextUint32(state))).toBe(expected);
  }
});

test('the same name gives the same numbers, and any other part of it gives others', () => {
  const first = (...name: Parameters<typeof randomStream>): number => nextUint32(randomStream(...name));
  const base = first(1, 'stars', 5, 6);
  expect(first(1, 'stars', 5, 6)).toBe(base);
  const others = [
    first(2, 'stars', 5, 6), first(1, 'star', 5, 6), first(1, 'stars', 6, 5), first(1, 'stars', 5 + 2 ** 32, 6),
    first(1, 'stars', 5),
  ];
  expect(new Set([base, ...others]).size).toBe(6);
});

test('uniform and normal variates have the moments of their laws', () => {
  const count = 200_000, random = randomStream(20261120, 'moments');
  let sumU = 0, sum = 0, sum2 = 0, sum3 = 0, sum4 = 0, tail = 0;
  for (let i = 0; i < count; i++) {
    sumU += uniform(random);
    const z = normal(random);
    sum += z; sum2 += z * z; sum3 += z ** 3; sum4 += z ** 4;
    if (Math.abs(z) > 3) tail++;
  }
  // Five standard errors of each mean: variances of u, z, z², z³, z⁴ are 1/12, 1, 2, 15, 96.
  const five = (variance: number): number => 5 * Math.sqrt(variance / count);
  expect(Math.abs(sumU / count - 0.5)).toBeLessThan(five(1 / 12));
  expect(Math.abs(sum / count)).toBeLessThan(five(1));
  expect(Math.abs(sum2 / count - 1)).toBeLessThan(five(2));
  expect(Math.abs(sum3 / count)).toBeLessThan(five(15));
  expect(Math.abs(sum4 / count - 3)).toBeLessThan(five(96));
  expect(Math.abs(tail / count - 0.0026998)).toBeLessThan(five(0.0027));
});

test.each([0.05, 2, 29, 31, 200, 5000])('Poisson variates of mean %d follow the Poisson law', (mean) => {
  const count = 100_000, random = randomStream(4, 'poisson', Math.round(mean * 100));
  const draws = Array.from({ length: count }, () => poisson(random, mean));
  expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0)).toBe(true);

  const average = draws.reduce((sum, draw) => sum + draw, 0) / count;
  const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / count;
  const third = draws.reduce((sum, draw) => sum + (draw - mean) ** 3, 0) / count;
  // Central moments of the law: μ₂ = λ, μ₃ = λ, μ₄ = λ + 3λ², μ₆ = λ + 25λ² + 15λ³; five standard errors of each mean.
  const five = (momentVariance: number): number => 5 * Math.sqrt(momentVariance / count);
  expect(Math.abs(average - mean)).toBeLessThan(five(mean));
  expect(Math.abs(variance - mean)).toBeLessThan(five(mean + 2 * mean ** 2));
  expect(Math.abs(third - mean)).toBeLessThan(five(25 * mean ** 2 + 15 * mean ** 3 + mean));
});

test('a mean of zero or less gives no count', () => {
  const random = randomStream(1, 'zero');
  expect([poisson(random, 0), poisson(random, -3), poisson(random, Number.NaN)]).toEqual([0, 0, 0]);
});
