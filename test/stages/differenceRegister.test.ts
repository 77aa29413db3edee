import { expect, test } from 'vitest';
import { differenceDefaults } from '../../engine/stages/difference/config.ts';
import { displacementAt, measureDisplacement } from '../../engine/stages/difference/register.ts';
import { pairImage, pairNormal, pairRandom, pairStars } from '../support/pairScene.ts';

const SIDE = 500, SIGMA = 1.9, NOISE = 10, config = differenceDefaults.registration;
/** A bend of up to 0.3 px that no shift or turn describes. */
const bendX = (x: number, y: number): number => 0.3 * ((2 * x) / SIDE - 1) * ((2 * y) / SIDE - 1) ** 2;
const bendY = (x: number): number => 0.2 * ((2 * x) / SIDE - 1) ** 3;

test('a bend of the visit against the template is measured to the stars\' centroid errors, whatever the two PSFs', () => {
  const stars = pairStars(1, SIDE, 200, 2e4, 1e5);
  const visit = pairImage(SIDE, stars.map((s) => ({ ...s, x: s.x + bendX(s.x, s.y), y: s.y + bendY(s.x) })), SIGMA, NOISE, 2);
  const warped = pairImage(SIDE, stars, 1.5, NOISE / 3, 3), stamps = stars.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
  const found = measureDisplacement(visit, warped, stamps, SIGMA, config);
  expect(found).not.toBeNull();
  expect(found!.order).toBe(4); // 200 stars at ten a term are enough for 15 terms, not for 21.
  // Centroids of SNR 300 scatter by √2 σ √… / SNR ≈ 0.01 px, of which √(15/200) goes into the fit; neighbours at 12 px
  // pull by as much again. Ten times that is 0.03 px at any place inside.
  for (const [x, y] of [[80, 80], [250, 250], [420, 90], [120, 400], [400, 400]]) {
    const { dx, dy } = displacementAt(found!, x, y);
    expect(Math.abs(dx - bendX(x, y))).toBeLessThan(0.03);
    expect(Math.abs(dy - bendY(x))).toBeLessThan(0.03);
  }
});

test('stars that moved by themselves are clipped', () => {
  const stars = pairStars(4, SIDE, 120, 2e4, 1e5);
  const visit = pairImage(SIDE, stars.map((s, i) => ({ ...s, x: s.x + (i % 15 === 0 ? 1.5 : 0) })), SIGMA, NOISE, 5);
  const stamps = stars.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
  const found = measureDisplacement(visit, pairImage(SIDE, stars, SIGMA, NOISE / 3, 6), stamps, SIGMA, config)!;
  expect(found.starCount).toBeLessThan(120);
  expect(found.rmsPx).toBeLessThan(0.03);
});

test('the scatter of single stars is found beyond their noise, and nothing where there is none', () => {
  const stars = pairStars(8, SIDE, 300, 2e4, 1e5), random = pairRandom(9), stamps = stars.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
  const visit = (scatter: number) => pairImage(SIDE, stars.map((s) => ({ ...s, y: s.y + scatter * pairNormal(random) })), SIGMA, NOISE, 10);
  const warped = pairImage(SIDE, stars, SIGMA, NOISE / 3, 11);
  const moved = measureDisplacement(visit(0.1), warped, stamps, SIGMA, config)!, still = measureDisplacement(visit(0), warped, stamps, SIGMA, config)!;
  // A robust scatter of some 120 stars is good to 1.17/√(2 × 120) = 8 %, and 28 terms of 290 stars take 5 % of it: 4 σ.
  expect(Math.abs(moved.scatterYPx / 0.1 - 0.95)).toBeLessThan(0.32);
  expect(moved.scatterXPx).toBeLessThan(0.02);
  expect(still.scatterYPx).toBeLessThan(0.02);
});

test('too few stars give no displacement', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 7);
  expect(measureDisplacement(planes, planes, [{ x: 100, y: 100 }], SIGMA, config)).toBeNull();
});
