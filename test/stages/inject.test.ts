import { expect, test } from 'vitest';
import { injectSources, recoverSources } from '../../engine/stages/inject/inject.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { forcedFlux } from '../../engine/stages/forced/forced.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct } from '../../engine/image/maskedImage.ts';
import { pairImage, pairPsf } from '../support/pairScene.ts';

const SIDE = 400, SIGMA = 1.9, NOISE = 10, psf = pairPsf(SIDE, SIGMA);
const order = { seed: 5, count: 60, snrMin: 3, snrMax: 200 };

function injected(seed = order.seed, nJyPerElectron = 2) {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 31);
  return { planes, sources: injectSources(asProduct('visitImage', planes), psf, nJyPerElectron, { ...order, seed }) };
}

test('each source has its flux, within the error that its own photons and the sky leave', () => {
  const { planes, sources } = injected();
  expect(sources.length).toBeGreaterThan(20); // Half of them want a host, of which there is none here.
  const pulls = sources.map(({ x, y, fluxNJy }) => {
    const { flux, fluxErr } = forcedFlux(planes, psf, x, y, forcedDefaults);
    return (flux! - fluxNJy) / fluxErr!; // Nothing is masked.
  });
  const mean = pulls.reduce((a, b) => a + b, 0) / pulls.length;
  const scatter = Math.sqrt(pulls.reduce((sum, pull) => sum + (pull - mean) ** 2, 0) / (pulls.length - 1));
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(pulls.length));
  expect(Math.abs(scatter - 1)).toBeLessThan(4 / Math.sqrt(2 * pulls.length));
});

test('the same seed gives the same pixels, another one others; sources keep their distance and are marked', () => {
  const { planes, sources } = injected(), again = injected();
  expect(again.sources).toEqual(sources);
  expect(Buffer.from(again.planes.image.buffer).equals(Buffer.from(planes.image.buffer))).toBe(true);
  expect(injected(6).sources[0]).not.toEqual(sources[0]);
  const distances = sources.flatMap((a, i) => sources.slice(i + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));
  expect(Math.min(...distances)).toBeGreaterThanOrEqual(25);
  for (const { x, y } of sources) {
    expect(planes.mask[Math.round(y) * SIDE + Math.round(x)] & maskBits('INJECTED')).not.toBe(0);
  }
});

test('some fade: they take light and leave the noise as it was', () => {
  const { planes, sources } = injected(), before = pairImage(SIDE, [], SIGMA, NOISE, 31);
  const fading = sources.filter(({ fluxNJy }) => fluxNJy < 0);
  expect(fading.length).toBeGreaterThan(0);
  expect(fading.length).toBeLessThan(sources.length / 2);
  for (const { x, y } of fading) {
    const at = Math.round(y) * SIDE + Math.round(x);
    expect(planes.image[at]).toBeLessThan(before.image[at]);
    expect(planes.variance[at]).toBe(before.variance[at]);
  }
});

test('a source is found by the nearest diaSource of its sign in reach, and one on masked pixels is told apart', () => {
  const difference = pairImage(SIDE, [], SIGMA, NOISE, 32), source = { fluxNJy: 900, isHosted: false };
  difference.mask[200 * SIDE + 200] = maskBits('SAT');
  const row = (x: number, y: number, psfFlux: number) => (
    { x, y, psfFlux, psfFluxErr: 100, reliability: 0.9, isNegative: psfFlux < 0 }
  );
  const [near, negative, far, masked, fading] = recoverSources([
    { ...source, x: 50, y: 50 }, { ...source, x: 100, y: 50 }, { ...source, x: 150, y: 50 }, { ...source, x: 200, y: 200 },
    { ...source, x: 100, y: 50, fluxNJy: -900 },
  ], difference, psf, 1, [row(51.5, 50, 700), row(50.5, 50, 800), row(100, 50, -900), row(153, 50, 900)],
  );
  expect(near).toMatchObject({ isMasked: false, found: { psfFlux: 800 } });
  expect(fading.found).toMatchObject({ psfFlux: -900 });
  // A Gaussian PSF gathers the noise of 4πσ² pixels.
  expect(near.snr).toBeCloseTo(900 / (NOISE * Math.sqrt(4 * Math.PI) * SIGMA), 2);
  expect([negative.found, far.found, masked.found]).toEqual([null, null, null]);
  expect(masked.isMasked).toBe(true);
});
