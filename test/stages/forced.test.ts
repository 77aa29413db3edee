import { expect, test } from 'vitest';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct } from '../../engine/image/maskedImage.ts';
import { effectiveAreaPx, evaluatePsf } from '../../engine/image/psf.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { forcedFlux, forcedPhotometry } from '../../engine/stages/forced/forced.ts';
import { pairImage, pairPsf, pairStars } from '../support/pairScene.ts';

const SIDE = 400, SIGMA = 1.8, NOISE = 10, psf = pairPsf(SIDE, SIGMA);

test('a forced flux is the flux, and its error noise × √effective area', () => {
  const planes = pairImage(SIDE, [{ x: 100.37, y: 80.81, flux: 5000 }], SIGMA, 0, 1), stamp = new Float32Array(psf.size ** 2);
  planes.variance.fill(NOISE ** 2);
  const { flux, fluxErr } = forcedFlux(planes, psf, 100.37, 80.81, forcedDefaults);
  evaluatePsf(psf, 100, 80, stamp);
  // The PSF is shifted along two axes by Lanczos taps whose first moment is off by up to 0.0145 px; each passes a
  // Gaussian of 1.8 px to 1e-3.
  expect(Math.abs(flux! / 5000 - 1)).toBeLessThan(2e-3);
  expect(Math.abs(fluxErr! / (NOISE * Math.sqrt(effectiveAreaPx(stamp))) - 1)).toBeLessThan(5e-3);
});

test('pulls of forced fluxes are normal', () => {
  const stars = pairStars(2, SIDE, 200, 300, 3000).filter((star, i, all) =>
    all.every((other, k) => k === i || Math.hypot(other.x - star.x, other.y - star.y) > 22));
  const planes = pairImage(SIDE, stars, SIGMA, NOISE, 3);
  const fluxes = forcedPhotometry(
    asProduct('differenceImage', planes), psf, asProduct('visitImage', planes), psf, stars, 1, forcedDefaults,
  );
  const pulls = fluxes.map((f, i) => (f.psfFlux! - stars[i].flux) / f.psfFluxErr!); // Nothing is masked.
  const n = pulls.length, mean = pulls.reduce((a, b) => a + b, 0) / n;
  const scatter = Math.sqrt(pulls.reduce((sum, p) => sum + (p - mean) ** 2, 0) / (n - 1));
  expect(n).toBeGreaterThan(20);
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
  expect(Math.abs(scatter - 1)).toBeLessThan(4 / Math.sqrt(2 * n));
  expect(fluxes[0].scienceFlux).toBe(fluxes[0].psfFlux);
});

test('errors of the difference take the noise scale, those of the visit image do not', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 4), position = [{ x: 200, y: 200 }];
  const at = (scale: number) => forcedPhotometry(
    asProduct('differenceImage', planes), psf, asProduct('visitImage', planes), psf, position, scale, forcedDefaults,
  )[0];
  expect(at(1.5).psfFluxErr).toBeCloseTo(1.5 * at(1).psfFluxErr!, 6);
  expect(at(1.5).scienceFluxErr).toBe(at(1).scienceFluxErr);
});

test('masked pixels are left out without a bias', () => {
  const planes = pairImage(SIDE, [{ x: 150, y: 150, flux: 5000 }], SIGMA, 0, 5);
  planes.variance.fill(1);
  planes.mask[150 * SIDE + 152] = maskBits('CR');
  planes.image[150 * SIDE + 152] = 1e7;
  planes.image[151 * SIDE + 150] = NaN;
  expect(Math.abs(forcedFlux(planes, psf, 150, 150, forcedDefaults).flux! / 5000 - 1)).toBeLessThan(1e-4);
});

test.each([[-3, 50], [50, SIDE + 2], [NaN, NaN]])('at (%f, %f), off the image, there is no flux', (x, y) => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 6);
  const [row] = forcedPhotometry(asProduct('differenceImage', planes), psf, asProduct('visitImage', planes), psf, [{ x, y }], 1, forcedDefaults);
  expect(row).toEqual({ psfFlux: null, psfFluxErr: null, scienceFlux: null, scienceFluxErr: null });
});

test('without good pixels there is no flux, and the flag says why', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 7);
  planes.mask.fill(maskBits('SAT'), 90 * SIDE, 111 * SIDE);
  expect(forcedFlux(planes, psf, 200, 100, forcedDefaults)).toEqual({ flux: null, fluxErr: null, isAtEdge: false, hasNoGoodPixels: true });
  expect(forcedFlux(planes, psf, 2, 200, forcedDefaults)).toMatchObject({ isAtEdge: true, hasNoGoodPixels: false });
});
