import type { ExpectedLight } from '../light.ts';

const { fround } = Math;

/** Twin of `binomialSums`, of the row that begins at `start`. */
export function binomialSumsTwin(image: Float32Array, start: number, out: Float32Array): void {
  const last = out.length - 1;
  const at = (x: number): number => {
    const value = image[start + Math.min(Math.max(x, 0), last)];
    return value === value ? value : 0;
  };
  for (let x = 0; x <= last; x++) out[x] = fround(fround(at(x - 1) + fround(at(x) + at(x))) + at(x + 1));
}

/** Twin of `expectedVariance`, of the row that begins at `start`. */
export function expectedVarianceTwin(
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
  image: Float32Array, width: number, height: number, distance: number, limit: number, sums: Float32Array,
): void {
  for (let y = 0; y < height; y++) {
    for (let x = distance; x < width - distance; x++) {
      const j = y * width + x, d = fround(image[j] - fround(0.5 * fround(image[j - distance] + image[j + distance])));
      if (d === d) sums[x] += Math.min(Math.max(d, -limit), limit);
    }
  }
}
