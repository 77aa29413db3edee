import { expect, test } from 'vitest';
import { removeSourceShifts } from '../../../engine/batch/difference/sourceShifts.ts';
import { asProduct } from '../../../engine/image/maskedImage.ts';
import { pairImage, type PairSource } from '../../support/pairScene.ts';

const SIDE = 96, SIGMA = 2.2, NOISE = 25, SCATTER = { xPx: 0, yPx: 0.08, varianceRatio: 1 };
const star: PairSource = { x: 48.3, y: 47.8, flux: 200_000 };

/** Difference of what the visit shows and of the template's star, the visit's noise in it. */
function difference(visit: readonly PairSource[], seed: number) {
  const planes = pairImage(SIDE, visit, SIGMA, NOISE, seed), template = pairImage(SIDE, [star], SIGMA, 0, 0);
  for (let j = 0; j < planes.image.length; j++) planes.image[j] -= template.image[j];
  return { planes: asProduct('differenceImage', planes), template };
}

test('the dipole of a shifted star is taken off to the noise', () => {
  const { planes, template } = difference([{ ...star, x: star.x + 0.05, y: star.y - 0.12 }], 31);
  expect(removeSourceShifts(planes, template, SCATTER, new Float32Array(planes.image.length))).toEqual({ shiftCandidates: 1, shiftsCorrected: 1 });
  let chi2 = 0, count = 0;
  for (let y = 36; y <= 60; y++) {
    for (let x = 36; x <= 60; x++, count++) chi2 += planes.image[y * SIDE + x] ** 2 / NOISE ** 2 / 625;
  }
  // The mean of 625 squares scatters by √(2/625) = 5.7 %; 4 of those, and the second order in the shift:
  // 0.13² / (2 × 2.2²) of the peak's 6,600 electrons is 11, under half of the noise.
  expect(count).toBe(625);
  expect(Math.abs(chi2 - 1)).toBeLessThan(0.27);
});

test.each([
  ['a star that became brighter', [{ ...star, flux: 1.1 * star.flux }]],
  ['a transient 2 px beside it', [star, { x: star.x + 2, y: star.y, flux: 8000 }]],
  ['a star that did nothing', [star]],
] as const)('%s stays as it is', (_, visit) => {
  const { planes, template } = difference(visit, 32), before = planes.image.slice();
  expect(removeSourceShifts(planes, template, SCATTER, new Float32Array(planes.image.length)).shiftsCorrected).toBe(0);
  expect(planes.image).toEqual(before);
});
