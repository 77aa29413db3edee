import { expect, test } from 'vitest';
import { interpolationPower, noisePowerOf, whiteningOf } from '../../engine/stages/difference/decorrelate.ts';
import { evaluateKernel, type MatchingKernel } from '../../engine/stages/difference/kernelFit.ts';
import { localWhitening, phiAt } from '../../engine/stages/difference/whitenLocally.ts';

const WHITE = Float64Array.of(1), SIZE = 31, HALF = 15, SIDE = 1000, VARIANCE_X = 8, VARIANCE_Y = 1;

function gaussian(sigma: number): Float32Array {
  const out = Float32Array.from({ length: SIZE * SIZE }, (_, j) => (
    Math.exp(-(((j % SIZE) - HALF) ** 2 + (Math.floor(j / SIZE) - HALF) ** 2) / (2 * sigma * sigma))));
  const sum = out.reduce((all, value) => all + value, 0);
  return out.map((value) => value / sum);
}

/** From 1.1 px at the left border to a good 1.4 at the right one: Σ K² falls by a factor of 1.7. */
function varyingKernel(): MatchingKernel {
  const left = gaussian(1.1), right = gaussian(1.45);
  const middle = left.map((value, j) => (value + right[j]) / 2), slope = left.map((value, j) => (right[j] - value) / 2);
  return {
    width: SIDE, height: SIDE, size: SIZE, order: 1, kernels: [middle, slope, new Float32Array(SIZE * SIZE)], sum: 1,
    backgroundOrder: 0, background: new Float64Array(1),
  };
}

/** Full convolution, [(2 × 31 − 1)²]. */
function convolved(a: Float32Array, b: Float32Array): { plane: Float64Array; side: number } {
  const side = 2 * SIZE - 1, plane = new Float64Array(side * side);
  for (let j = 0; j < a.length; j++) {
    for (let k = 0; k < b.length; k++) {
      plane[(Math.floor(j / SIZE) + Math.floor(k / SIZE)) * side + (j % SIZE) + (k % SIZE)] += a[j] * b[k];
    }
  }
  return { plane, side };
}

function autocorrelation(plane: ArrayLike<number>, side: number, lag: number): number {
  let sum = 0;
  for (let y = 0; y < side; y++) for (let x = 0; x + lag < side; x++) sum += plane[y * side + x] * plane[y * side + x + lag];
  return sum;
}

/** Variance of a pixel and the correlation of two neighbours of φ ⊗ (Y − K ⊗ X), both of white noise. */
function noiseOf(phi: Float32Array, kernel: Float32Array): { variance: number; neighbours: number } {
  const { plane, side } = convolved(phi, kernel);
  const at = (lag: number): number => (
    VARIANCE_Y * autocorrelation(phi, SIZE, lag) + VARIANCE_X * autocorrelation(plane, side, lag));
  return { variance: at(0), neighbours: at(1) / at(0) };
}

test('a φ that follows the kernel leaves noise white and of one variance everywhere, and keeps fluxes', () => {
  const kernel = varyingKernel(), powerY = interpolationPower(WHITE, WHITE), pixels = new Float32Array(SIZE * SIZE);
  const local = localWhitening(kernel, powerY, VARIANCE_Y, VARIANCE_X, HALF), phi = new Float32Array(local.size ** 2);
  evaluateKernel(kernel, (SIDE - 1) / 2, (SIDE - 1) / 2, pixels);
  const { kernel: fixed, size } = whiteningOf(noisePowerOf(pixels, SIZE, WHITE, WHITE), powerY, VARIANCE_Y, VARIANCE_X, HALF);
  const middle = new Float32Array(SIZE * SIZE), margin = (SIZE - size) >> 1;
  for (let v = 0; v < size; v++) middle.set(fixed.subarray(v * size, (v + 1) * size), (v + margin) * SIZE + margin);
  const white = VARIANCE_Y + VARIANCE_X;
  for (const [x, y] of [[0, 0], [SIDE - 1, 300], [250, 999], [800, 500]]) {
    evaluateKernel(kernel, x, y, pixels);
    phiAt(local, x, y, phi);
    const { variance, neighbours } = noiseOf(phi, pixels);
    // Where a border shows what one φ would do: some 5 % of the noise's variance.
    if (x === 0 || x === SIDE - 1) expect(Math.abs(noiseOf(middle, pixels).variance / white - 1)).toBeGreaterThan(0.03);
    // φ is cut off at 15 px and is a parabola through three places of either axis: under a part in a thousand.
    expect(Math.abs(variance / white - 1)).toBeLessThan(0.002);
    expect(Math.abs(neighbours)).toBeLessThan(0.002);
    expect(phi.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
  }
});
