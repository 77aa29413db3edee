/** Registration follows what the stars show and nothing else: noise is not an astrometric error. */
import { expect, test } from 'vitest';
import { differenceDefaults } from '../../engine/stages/difference/config.ts';
import { displacementAt, fitDisplacement, type Shift } from '../../engine/stages/difference/register.ts';
import { normal, randomStream, uniform } from '../../simulator/random.ts';

const SIZE = 1024, CENTROID_ERROR_PX = 0.05;

/** Stars with measured shifts: a field of true ones plus noise of one size. */
function shifts(seed: number, count: number, field: (x: number, y: number) => readonly [number, number]): Shift[] {
  const random = randomStream(seed, 'registration');
  return Array.from({ length: count }, () => {
    const x = uniform(random) * (SIZE - 1), y = uniform(random) * (SIZE - 1), [dx, dy] = field(x, y);
    return { x, y, dx: dx + CENTROID_ERROR_PX * normal(random), dy: dy + CENTROID_ERROR_PX * normal(random), variance: CENTROID_ERROR_PX ** 2 };
  });
}

test('shifts that are noise alone give no displacement, whatever the order that their number allows', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const found = fitDisplacement(shifts(seed, 160, () => [0, 0]), SIZE, SIZE, differenceDefaults.registration);
    expect(found?.rmsPx).toBe(0);
  }
});

test('a wave across the detector is followed to a fraction of its size, corners included', () => {
  const wave = (x: number, y: number) => [0.15 * Math.sin((2 * Math.PI * x) / SIZE), 0.1 * Math.cos((2 * Math.PI * y) / SIZE)] as const;
  const found = fitDisplacement(shifts(7, 700, wave), SIZE, SIZE, differenceDefaults.registration);
  if (!found) throw new Error('no displacement');
  let squares = 0, count = 0;
  for (let y = 16; y < SIZE; y += 32) for (let x = 16; x < SIZE; x += 32) {
    const { dx, dy } = displacementAt(found, x, y), [tx, ty] = wave(x, y);
    squares += (dx - tx) ** 2 + (dy - ty) ** 2;
    count++;
  }
  // The least order that follows one period is 5: 21 terms an axis from 700 stars scatter by 0.05 √(2 × 21/700) = 0.012 px on the
  // mean, and its own misfit to a sine is below 0.01 px; both together, doubled for the corners, stay below 0.035.
  expect(Math.sqrt(squares / count)).toBeLessThan(0.035);
});

test('one shift that is wildly off does not bend the field', () => {
  const stars = shifts(3, 160, () => [0.2, -0.1]);
  stars[0] = { ...stars[0], dx: 5, dy: 5 };
  const found = fitDisplacement(stars, SIZE, SIZE, differenceDefaults.registration);
  if (!found) throw new Error('no displacement');
  const { dx, dy } = displacementAt(found, stars[0].x, stars[0].y);
  // A constant from 159 stars: 0.05/√159 = 0.004 px an axis.
  expect(Math.hypot(dx - 0.2, dy + 0.1)).toBeLessThan(5 * 0.004 * Math.SQRT2);
});
