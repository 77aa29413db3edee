import type { ExpectedLight } from '../light.ts';
import type { Mesh } from '../mesh.ts';
import { meshRowTwin } from './mesh.ts';

const { fround } = Math;

/** Twin of `addExpectedLight`. */
export function addExpectedLightTwin(
  image: Float32Array, variance: Float32Array, width: number, height: number, mesh: Mesh, cells: Float32Array,
  light: ExpectedLight,
): void {
  const row = (): Float32Array => new Float32Array(width), sums = [row(), row(), row()], sigma = row();
  binomialSumsTwin(image, 0, sums[0]);
  sums[2].set(sums[0]); // The row below the first is taken as equal to it.
  for (let y = 0; y < height; y++) {
    binomialSumsTwin(image, Math.min(y + 1, height - 1) * width, sums[(y + 1) % 3]);
    meshRowTwin(mesh, cells, y, width, sigma);
    expectedVarianceTwin(image, variance, y * width, sums[(y + 2) % 3], sums[y % 3], sums[(y + 1) % 3], sigma, light);
  }
}

function binomialSumsTwin(image: Float32Array, start: number, out: Float32Array): void {
  const last = out.length - 1;
  const at = (x: number): number => {
    const value = image[start + Math.min(Math.max(x, 0), last)];
    return value === value ? value : 0;
  };
  for (let x = 0; x <= last; x++) out[x] = fround(fround(at(x - 1) + fround(at(x) + at(x))) + at(x + 1));
}

function expectedVarianceTwin(
  image: Float32Array, variance: Float32Array, start: number, below: Float32Array, here: Float32Array,
  above: Float32Array, sigma: Float32Array, light: ExpectedLight,
): void {
  const bright = fround(light.brightSigma), source = fround(light.sourceSigma), own = fround(light.own),
    perLight = fround(light.perLight), shareMin = fround(light.shareMin);
  for (let x = 0; x < sigma.length; x++) {
    const j = start + x, value = image[j], before = variance[j], twice = fround(here[x] + here[x]);
    if (value !== value) continue;
    const smooth = fround(fround(fround(below[x] + twice) + above[x]) * 0.0625);
    const expected = value > fround(bright * sigma[x]) ? value : smooth > fround(source * sigma[x]) ? smooth : 0;
    const changed = fround(before + fround(fround(own * value) + fround(perLight * expected)));
    const least = fround(shareMin * before);
    variance[j] = changed < least ? least : changed;
  }
}

/** Twin of `columnHeights`. */
export function columnHeightsTwin(
  image: Float32Array, width: number, height: number, rowStep: number, distance: number, limit: number,
  sums: Float32Array,
): void {
  for (let y = 0; y < height; y += rowStep) {
    for (let x = distance; x < width - distance; x++) {
      const j = y * width + x, d = fround(image[j] - fround(0.5 * fround(image[j - distance] + image[j + distance])));
      if (d === d) sums[x] += Math.min(Math.max(d, -limit), limit);
    }
  }
}
