import { expect, test } from 'vitest';
import { addedNoiseOf, fluxNoiseOf, fluxNoisePlanes, PIXEL_NOISE_ALONE, type FluxNoise } from '../../engine/image/fluxNoise.ts';
import { allocateMaskedImage } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { addedNoiseTwin } from '../../engine/kernels/twins/pointSource.ts';

const SIDE = 5, PADDED = SIDE + 8, WIDTH = 12, HEIGHT = 11;
/** 1, 2, 3, … on the square of the patch, and a large number on the margin that no sum may touch. */
const CELL = Float64Array.from({ length: PADDED * PADDED }, (_, k) => {
  const u = (k % PADDED) - 4, v = Math.floor(k / PADDED) - 4;
  return u >= 0 && v >= 0 && u < SIDE && v < SIDE ? v * SIDE + u + 1 : 1e9;
});

function added({ difference, visit, template }: ReturnType<typeof scene>, cx: number, cy: number, factors: FluxNoise): number {
  const noise = addedNoiseOf(fluxNoisePlanes(visit, template, factors));
  return addedNoiseTwin({ ...difference, ignoredBits: maskBits('CR'), added: noise }, CELL, SIDE, cx, cy);
}

function scene() {
  const [difference, visit, template] = [0, 1, 2].map(() => allocateMaskedImage(WIDTH, HEIGHT));
  visit.variance.forEach((_, j) => { visit.variance[j] = 1 + j; });
  template.variance.forEach((_, j) => { template.variance[j] = 0.5 * (j % 7); });
  return { difference, visit, template };
}

/** Σ p² (a V_visit + b V_template), written out. */
function expected({ visit, template }: ReturnType<typeof scene>, cx: number, cy: number, a: number, b: number): number {
  let sum = 0;
  for (let k = 0; k < SIDE * SIDE; k++) {
    const x = cx + (k % SIDE) - 2, y = cy + Math.floor(k / SIDE) - 2, j = y * WIDTH + x;
    if (x >= 0 && y >= 0 && x < WIDTH && y < HEIGHT) sum += (k + 1) ** 2 * (a * visit.variance[j] + b * template.variance[j]);
  }
  return sum;
}

test.each([[5, 5], [0, 1], [WIDTH - 1, HEIGHT - 2]])('at (%i, %i) the noise of both images is weighted with p²', (cx, cy) => {
  const planes = scene();
  expect(added(planes, cx, cy, { visit: 0.7, template: -3 })).toBeCloseTo(expected(planes, cx, cy, 0.7, -3), 6);
});

test('masked pixels and those without a variance add nothing', () => {
  const planes = scene(), { difference, visit, template } = planes, j = 5 * WIDTH + 5, middle = 13 ** 2;
  const at = () => added(planes, 5, 5, { visit: 1, template: 1 });
  const without = expected(planes, 5, 5, 1, 1) - middle * (visit.variance[j] + template.variance[j]);
  difference.mask[j] = maskBits('CR');
  expect(at()).toBeCloseTo(without, 6);
  difference.mask[j] = 0;
  template.variance[j] = NaN;
  expect(at()).toBeCloseTo(without, 6);
});

test('a flux keeps a tenth of the noise of its pixels, whatever is taken off', () => {
  expect(added(scene(), 5, 5, PIXEL_NOISE_ALONE)).toBe(0);
  expect(fluxNoiseOf(10, 2)).toBe(12);
  expect(fluxNoiseOf(10, -50)).toBe(1);
});
