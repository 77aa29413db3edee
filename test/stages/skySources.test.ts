import { expect, test } from 'vitest';
import { asProduct } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { effectiveAreaPx, evaluatePsf } from '../../engine/image/psf.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { measureSkySources } from '../../engine/stages/forced/skySources.ts';
import { pairImage, pairPsf, pairStars } from '../support/pairScene.ts';

const SIDE = 400, SIGMA = 1.8, NOISE = 10, COUNT = 400, psf = pairPsf(SIDE, SIGMA);
const config = { ...forcedDefaults, skySourceCount: COUNT, skyTriesMax: 20 * COUNT };
/** Four standard deviations of a mean and of a scatter from the MAD (1.17/√n; its efficiency is 0.37). */
const MEAN_TOLERANCE = 4 / Math.sqrt(COUNT), SCATTER_TOLERANCE = (4 * 1.17) / Math.sqrt(COUNT);

function measured(planes: ReturnType<typeof pairImage>, noiseScale = 1, seed = 7) {
  const { count, meanPull, pullScatter } = measureSkySources(
    asProduct('differenceImage', planes), psf, noiseScale, seed, config);
  return { count, meanPull: meanPull ?? NaN, pullScatter: pullScatter ?? NaN };
}

test('pulls of pure noise are normal; a level and a wrong variance show as what they are', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 3);
  planes.variance.fill(NOISE ** 2);
  const right = measured(planes);
  expect(right.count).toBe(COUNT);
  expect(Math.abs(right.meanPull)).toBeLessThan(MEAN_TOLERANCE);
  expect(Math.abs(right.pullScatter - 1)).toBeLessThan(SCATTER_TOLERANCE);
  expect(measured(planes, 2).pullScatter).toBeCloseTo(right.pullScatter / 2, 6);
  const stamp = new Float32Array(psf.size ** 2);
  evaluatePsf(psf, SIDE / 2, SIDE / 2, stamp);
  for (let j = 0; j < planes.image.length; j++) planes.image[j] += NOISE;
  // A level of a pixel's noise is that of √(effective area) in the flux: Σp / √Σp² = √area.
  expect(measured(planes).meanPull - right.meanPull).toBeCloseTo(Math.sqrt(effectiveAreaPx(stamp)), 1);
});

test('what was detected is kept away from, and without room there are none', () => {
  const stars = pairStars(4, SIDE, 60, 2000, 90_000);
  const planes = pairImage(SIDE, stars, SIGMA, NOISE, 5);
  planes.variance.fill(NOISE ** 2);
  // Each star's light above a tenth of the noise, and no further: what is near is masked, as detection would.
  for (const { x, y } of stars) for (let v = -9; v <= 9; v++) for (let u = -9; u <= 9; u++) {
    const px = Math.round(x) + u, py = Math.round(y) + v;
    if (px >= 0 && py >= 0 && px < SIDE && py < SIDE) planes.mask[py * SIDE + px] |= maskBits('DETECTED');
  }
  const { count, meanPull, pullScatter } = measured(planes);
  expect(count).toBeGreaterThan(100);
  expect(Math.abs(meanPull)).toBeLessThan(4 / Math.sqrt(count));
  expect(Math.abs(pullScatter - 1)).toBeLessThan((4 * 1.17) / Math.sqrt(count));
  planes.mask.fill(maskBits('NO_DATA'));
  expect(measureSkySources(asProduct('differenceImage', planes), psf, 1, 7, config))
    .toEqual({ count: 0, meanPull: null, pullScatter: null });
});

test('a seed gives its places again, another one others', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 6);
  planes.variance.fill(NOISE ** 2);
  expect(measured(planes, 1, 3_443_564)).toEqual(measured(planes, 1, 3_443_564));
  expect(measured(planes, 1, 3_443_565).meanPull).not.toBe(measured(planes, 1, 3_443_564).meanPull);
});
