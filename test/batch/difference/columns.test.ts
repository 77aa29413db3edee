import { expect, test } from 'vitest';
import { correctColumns } from '../../../engine/batch/difference/columns.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import { pairNormal, pairRandom } from '../../support/pairScene.ts';
import { counts, READ_NOISE, SKY } from './scene.ts';

const SIDE = 256, HOT = 100;

test('a hot column is brought to its neighbours\' level, its stars and mask untouched', () => {
  const star = { x: HOT, y: 60, flux: 50_000 };
  const planes = counts(SIDE, SIDE, [star], 2, 21), before = planes.image.slice();
  for (let y = 0; y < SIDE; y++) planes.image[y * SIDE + HOT] += 300;
  expect(correctColumns(planes, false)).toEqual({ corrected: 1, masked: 0 });
  // Medians of 128 pixels and of 16 columns: 1.2533 × 21 / √128 = 2.3 electrons; 5 of those.
  for (let j = HOT; j < before.length; j += SIDE) expect(Math.abs(planes.image[j] - before[j])).toBeLessThan(12);
  expect(planes.mask.every((bits) => bits === 0)).toBe(true);
});

test('a column that is noisier than its neighbours is masked', () => {
  const planes = counts(SIDE, SIDE, [], 2, 22), random = pairRandom(3);
  for (let y = 0; y < SIDE; y++) planes.image[y * SIDE + HOT] += 300 + 60 * pairNormal(random);
  expect(correctColumns(planes, false)).toEqual({ corrected: 1, masked: 1 });
  const bad = maskBits('BAD');
  expect(planes.mask.filter((bits) => bits === bad).length).toBe(SIDE);
});

test('a gradient and noise alone leave every column as it is', () => {
  const planes = counts(SIDE, SIDE, [], 2, 23);
  for (let j = 0; j < planes.image.length; j++) planes.image[j] += (SKY * (j % SIDE)) / SIDE;
  const before = planes.image.slice();
  expect(correctColumns(planes, false)).toEqual({ corrected: 0, masked: 0 });
  expect(planes.image).toEqual(before);
});

test('among enough rows to judge by a bounded mean, a column just above the limit is found, and stars are not', () => {
  const width = 200, height = 1100, stars = [40, 80, 120, 160].map((x) => ({ x, y: 5 * x, flux: 3e6 }));
  const planes = counts(width, height, stars, 2, 24), sigma = Math.sqrt(SKY + READ_NOISE ** 2);
  // 8 × 1.2533 / √550 = 0.43 of the noise is the limit; medians scatter by 0.05 of it.
  for (let y = 0; y < height; y++) planes.image[y * width + HOT] += 0.65 * sigma;
  for (let y = 0; y < height; y++) planes.image[y * width + HOT + 3] -= 0.65 * sigma;
  expect(correctColumns(planes, false)).toEqual({ corrected: 2, masked: 0 });
});
