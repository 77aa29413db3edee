import { expect, test } from 'vitest';
import type { PsfModel } from '../../engine/image/psf.ts';
import type { MatchingKernel } from '../../engine/stages/difference/kernelFit.ts';
import { psfThroughConstant, psfThroughKernel } from '../../engine/stages/difference/psfOfDifference.ts';

const SIDE = 500, SIZE = 31, WIDE = 91;

/** A Moffat profile of β = 3.5, as seeing makes it, with the light of its stamp's 31 px scaled to 1. */
function moffat(size: number, fwhm: number): PsfModel {
  const half = (size - 1) / 2, a = fwhm / (2 * Math.sqrt(2 ** (1 / 3.5) - 1));
  const at = (u: number, v: number): number => (1 + (u * u + v * v) / (a * a)) ** -3.5;
  let sum = 0;
  for (let v = -15; v <= 15; v++) for (let u = -15; u <= 15; u++) sum += at(u, v);
  const coefficients = Float32Array.from(
    { length: size * size }, (_, j) => at((j % size) - half, Math.floor(j / size) - half) / sum);
  return { size, width: SIDE, height: SIDE, order: 0, coefficients };
}

/** A point and a wide Gaussian that takes off or adds light far out; unit sum. */
function winged(share: number): Float32Array {
  const kernel = Float32Array.from({ length: SIZE * SIZE }, (_, j) => {
    const u = (j % SIZE) - 15, v = Math.floor(j / SIZE) - 15;
    return (share / (50 * Math.PI)) * Math.exp(-(u * u + v * v) / 50);
  });
  kernel[(SIZE * SIZE - 1) / 2] += 1 - kernel.reduce((sum, value) => sum + value, 0);
  return kernel;
}

/** Light within 10 px of the middle, where fluxes are fitted. */
function core({ size, coefficients }: PsfModel): number {
  const half = (size - 1) / 2;
  let sum = 0;
  for (let v = -10; v <= 10; v++) for (let u = -10; u <= 10; u++) sum += coefficients[(v + half) * size + u + half];
  return sum;
}

const sumOf = ({ coefficients }: PsfModel): number => coefficients.reduce((sum, value) => sum + value, 0);

test.each([-0.3, 0.3])('light that a kernel with wings of %f moves out of a stamp does not scale its core', (share) => {
  const kernel = winged(share), narrow = psfThroughConstant(moffat(SIZE, 4.5), kernel, SIZE);
  // On 91 px nothing is lost: what this stamp has beyond 31 px before, the other never knew.
  const wide = psfThroughConstant(moffat(WIDE, 4.5), kernel, SIZE);
  expect(sumOf(narrow)).toBeCloseTo(1, 6);
  // The light beyond 15 px, 2e-3, of which the kernel would bring a third of a tenth back.
  expect(Math.abs(core(narrow) / core(wide) - 1)).toBeLessThan(1e-4);
});

test('a matching kernel of any sum makes a PSF of unit sum, everywhere the same core as on a wide stamp', () => {
  const unit = winged(0.3), kernel: MatchingKernel = {
    width: SIDE, height: SIDE, size: SIZE, order: 0, kernels: [unit.map((value) => 1.0753 * value)], sum: 1.0753,
    backgroundOrder: 0, background: new Float64Array(1),
  };
  const narrow = psfThroughKernel(moffat(SIZE, 4.5), kernel), wide = psfThroughConstant(moffat(WIDE, 4.5), unit, SIZE);
  const middle = { ...narrow, coefficients: narrow.coefficients.subarray(0, SIZE * SIZE) };
  expect(sumOf(middle)).toBeCloseTo(1, 5);
  expect(Math.abs(core(middle) / core(wide) - 1)).toBeLessThan(1e-4);
});
