import { expect, test } from 'vitest';
import { blurFrame, blursOf } from '../../../engine/batch/series/blur.ts';
import { seriesConfig } from '../../../engine/batch/series/config.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import { gaussianTaps } from '../../../engine/image/smooth.ts';
import { pairImage, pairPsf, pairStars } from '../../support/pairScene.ts';

const SIDE = 400, NOISE = 10, MARGIN = seriesConfig.blur.marginPx2;

/** Stars with Gaussian axes of these widths, the first turned by an angle from x. */
function frameOf(major: number, minor: number, angle: number) {
  const placed = pairStars(3, SIDE, 60, 20_000, 200_000), planes = pairImage(SIDE, [], 1, NOISE, 4);
  const c = Math.cos(angle), s = Math.sin(angle);
  for (const { x, y, flux } of placed) for (let v = Math.round(y) - 12; v <= y + 12; v++) {
    for (let u = Math.round(x) - 12; u <= x + 12; u++) {
      const along = ((u - x) * c + (v - y) * s) / major, across = ((v - y) * c - (u - x) * s) / minor;
      const height = flux / (2 * Math.PI * major * minor);
      planes.image[v * SIDE + u] += height * Math.exp(-0.5 * (along ** 2 + across ** 2));
    }
  }
  const stars = placed.map(({ x, y, flux }) => ({ x, y, flux, errorPx: 0.01, snr: 100 }));
  return { planes, stars: { fwhmPx: 2.3548 * Math.sqrt(major * minor), skyAdu: 0, skySigmaAdu: NOISE, stars } };
}

test.each([0, 0.4, 1.2])('stars trailed at an angle of %f are narrower than the template across it', (angle) => {
  const { planes, stars } = frameOf(2.6, 1.5, angle);
  const { firstPx, againPx } = blursOf(planes, stars, pairPsf(SIDE, 1.8));
  // Pixels sample a Gaussian of 1.5 px to 1e-4; noise of stars of SNR 200 and more moves their median's by some 0.01.
  expect(firstPx).toBeCloseTo(Math.sqrt(1.8 ** 2 - 1.5 ** 2 + MARGIN), 1);
  expect(againPx).toBe(firstPx);
});

test('a frame that is wider all around is left as it is at first', () => {
  const { planes, stars } = frameOf(2.6, 2.0, 0.4);
  expect(blursOf(planes, stars, pairPsf(SIDE, 1.8))).toEqual({ firstPx: 0, againPx: Math.sqrt(MARGIN) });
  const before = planes.image.slice();
  blurFrame(planes, 0);
  expect(planes.image).toEqual(before);
});

test('blurring keeps flux, and its variance is that of the blurred pixels', () => {
  const sigma = 1.3, planes = pairImage(SIDE, [{ x: 200, y: 200, flux: 1e6 }], 1.8, 0, 5);
  planes.variance.fill(1);
  const total = planes.image.reduce((sum, value) => sum + value, 0);
  blurFrame(planes, sigma);
  expect(planes.image.reduce((sum, value) => sum + value, 0) / total).toBeCloseTo(1, 5);
  const peak = 1e6 / (2 * Math.PI * (1.8 ** 2 + sigma ** 2));
  expect(planes.image[200 * SIDE + 200] / peak).toBeCloseTo(1, 2);
  const noise = pairImage(SIDE, [], 1, NOISE, 6), lost = maskBits('SAT');
  noise.variance.fill(NOISE ** 2);
  noise.mask[100 * SIDE + 100] = lost;
  blurFrame(noise, sigma);
  const squares = gaussianTaps(sigma).reduce((sum, tap) => sum + tap * tap, 0) ** 2, middle = 200 * SIDE + 200;
  expect(noise.variance[middle] / (NOISE ** 2 * squares)).toBeCloseTo(1, 5);
  let scatter = 0, count = 0;
  for (let y = 20; y < SIDE - 20; y++) for (let x = 20; x < SIDE - 20; x++) {
    scatter += noise.image[y * SIDE + x] ** 2;
    count++;
  }
  // Neighbours within 2 σ correlate: a fifteenth of the pixels are independent; four standard deviations.
  expect(Math.abs(scatter / count / noise.variance[middle] - 1)).toBeLessThan(4 * Math.sqrt((2 * 15) / count));
  expect(noise.mask[100 * SIDE + 102] & lost).toBe(lost);
  expect(noise.mask[100 * SIDE + 103] & lost).toBe(0);
});
