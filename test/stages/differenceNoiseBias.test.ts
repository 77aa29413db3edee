import { expect, test } from 'vitest';
import { addBasisFunction, createKernelBasis } from '../../engine/stages/difference/basis.ts';
import { differenceDefaults } from '../../engine/stages/difference/config.ts';
import { evaluateKernel, fitMatchingKernel } from '../../engine/stages/difference/kernelFit.ts';
import { basisProducts, weightedNoise } from '../../engine/stages/difference/noiseBias.ts';
import type { MaskedImage } from '../../engine/image/maskedImage.ts';
import { pairImage, pairStars } from '../support/pairScene.ts';

const SIDE = 400, SHARP = 1.5, BLUNT = 2, NOISE = 20, { kernel: KERNEL, kernelStars: STARS } = differenceDefaults;

test('products of basis functions are those of their pixels', () => {
  const basis = createKernelBasis(1.3, KERNEL), n = basis.functions.length, size = 2 * basis.halfSize + 1;
  const pixels = basis.functions.map((_, k) => {
    const out = new Float64Array(size * size);
    addBasisFunction(basis, k, 1, out);
    return out;
  });
  const products = basisProducts(basis);
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < n; b++) {
      const direct = pixels[a].reduce((sum, value, j) => sum + value * pixels[b][j], 0);
      // Sums of 961 products of numbers below 1, in double precision.
      expect(Math.abs(products[a * n + b] - direct)).toBeLessThan(1e-12);
    }
  }
});

test('noise of a stamp is the sum of weight times variance; pixels without weight or variance do not count', () => {
  const half = 15, side = 2 * half + 1, width = 60, variance = new Float32Array(width * width).fill(7);
  const weights = new Float64Array(side * side).fill(0.5);
  expect(weightedNoise(variance, width, 30, 30, weights, half)).toBeCloseTo(3.5 * side * side, 8);
  variance.fill(NaN, 0, 30 * width);
  const share = weightedNoise(variance, width, 30, 30, weights, half) / (3.5 * side * side);
  // Row 30 and those below it are 16 of 31; of every third row 6 of 11.
  expect(share).toBeCloseTo(6 / 11, 8);
});

/** Kernel in the middle, of a sharp image with noise and a blunt one without; `told` over the true variance. */
function middleKernel(noiseRemoved: number, seed: number, told = 1): Float32Array {
  const stars = pairStars(seed, SIDE, 120, 3e3, 3e4);
  const sharp: MaskedImage = pairImage(SIDE, stars, SHARP, NOISE, seed), blunt = pairImage(SIDE, stars, BLUNT, 1, 100 + seed);
  sharp.variance.fill(told * NOISE * NOISE);
  const stamps = stars.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }))
    .filter(({ x, y }) => Math.min(x, y, SIDE - 1 - x, SIDE - 1 - y) >= KERNEL.halfSizePx + STARS.stampHalfSizePx + 1);
  const { kernel } = fitMatchingKernel(
    sharp, blunt, new Uint8Array(SIDE * SIDE), stamps, Math.sqrt(BLUNT ** 2 - SHARP ** 2),
    { ...KERNEL, spatialOrder: 0 }, STARS, noiseRemoved,
  );
  const out = new Float32Array(kernel.size ** 2);
  evaluateKernel(kernel, SIDE / 2, SIDE / 2, out);
  return out;
}

/** What the kernel makes of a star without noise, at its peak and over the peak wanted, less 1. */
function peakError(kernel: Float32Array): number {
  const size = Math.sqrt(kernel.length), half = (size - 1) / 2;
  const peak = kernel.reduce((sum, value, j) => {
    const r2 = ((j % size) - half) ** 2 + (Math.floor(j / size) - half) ** 2;
    return sum + value * Math.exp(-r2 / (2 * SHARP * SHARP));
  }, 0);
  return (peak * BLUNT * BLUNT) / (SHARP * SHARP) - 1;
}

test('noise of the convolved image lowers what its kernel makes of a peak, and most of that is undone', () => {
  const seeds = [11, 12], meanOf = (noiseRemoved: number): number => (
    seeds.reduce((sum, seed) => sum + peakError(middleKernel(noiseRemoved, seed)), 0) / seeds.length);
  const drawn = meanOf(0), undone = meanOf(0.8);
  // A fifth is left by construction; what the noise scatters by is a tenth.
  expect(drawn).toBeLessThan(-0.005);
  expect(Math.abs(undone)).toBeLessThan(Math.abs(drawn) / 2);
});

test('where a variance says more noise than there is, nothing is taken off', () => {
  expect(middleKernel(0.8, 11, 10)).toEqual(middleKernel(0, 11, 10));
});
