import { expect, test } from 'vitest';
import { prepareImage } from '../../../engine/batch/difference/prepare.ts';
import type { PairImage } from '../../../engine/batch/difference/inputs.ts';
import type { MaskedImage } from '../../../engine/image/maskedImage.ts';
import { counts, READ_NOISE, SKY } from './scene.ts';

const SIDE = 256, TRUE_VARIANCE = SKY + READ_NOISE ** 2;

function source(planes: MaskedImage, about: Partial<PairImage>): PairImage {
  return {
    path: 'a.fits', planes, isVarianceGiven: false, wcs: null, projection: null, unit: null, gain: null,
    isNoiseOption: false, readNoise: null, saturation: null, ...about,
  };
}

test('a variance plane from observed counts loses its pixels\' fluctuations and keeps its level', () => {
  const planes = counts(SIDE, SIDE, [], 2, 11);
  for (let j = 0; j < planes.image.length; j++) planes.variance[j] = planes.image[j] + READ_NOISE ** 2;
  const { noise } = prepareImage(source(planes, { isVarianceGiven: true }), null);
  expect(noise.source).toBe('given, smoothed');
  expect(Math.abs((noise.gain ?? NaN) - 1)).toBeLessThan(0.03);
  let rms = 0, mean = 0;
  for (const value of planes.variance) mean += value / planes.variance.length;
  for (const value of planes.variance) rms += (value - mean) ** 2 / planes.variance.length;
  // 1.3 ‰ of pixels of pure noise pass for sources of 3 σ, with 3 × 0.375 σ of light each: a part in a hundred.
  expect(Math.sqrt(rms)).toBeLessThan(0.15 * Math.sqrt(TRUE_VARIANCE));
  expect(Math.abs(mean / TRUE_VARIANCE - 1)).toBeLessThan(0.01);
});

test('a smooth variance plane is left as it is', () => {
  const planes = counts(SIDE, SIDE, [], 2, 12);
  planes.variance.fill(TRUE_VARIANCE);
  const { noise } = prepareImage(source(planes, { isVarianceGiven: true }), null);
  expect(noise.source).toBe('given');
  expect(planes.variance.every((value) => value === TRUE_VARIANCE)).toBe(true);
});

test('gain and read noise give the sky its level\'s variance and a bright star its own light\'s', () => {
  const planes = counts(SIDE, SIDE, [{ x: 128, y: 128, flux: 100_000 }], 2, 13), peak = 128 * SIDE + 128;
  const { noise } = prepareImage(source(planes, { gain: 1, readNoise: READ_NOISE }), null);
  expect(noise.source).toBe('gain and read noise');
  expect(Math.abs(planes.variance[40 * SIDE + 40] / TRUE_VARIANCE - 1)).toBeLessThan(0.02);
  // The peak holds 100,000 / (2π 2²) = 3979 electrons, ± 1.5 %; 5 of those.
  expect(Math.abs(planes.variance[peak] / (TRUE_VARIANCE + 3979) - 1)).toBeLessThan(0.08);
});

test('a sky that was subtracted leaves its noise in the variance', () => {
  const planes = counts(SIDE, SIDE, [], 2, 14);
  for (let j = 0; j < planes.image.length; j++) planes.image[j] -= SKY;
  const { noise } = prepareImage(source(planes, { gain: 1, readNoise: READ_NOISE }), null);
  expect(noise.source).toBe('sky scatter and gain');
  // 256 px cells of the sky's noise scatter by 1/√(2 × 4096) = 1.1 % each.
  expect(Math.abs(planes.variance[100 * SIDE + 100] / TRUE_VARIANCE - 1)).toBeLessThan(0.1);
});
