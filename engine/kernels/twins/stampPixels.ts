import type { StampPixelTask } from '../stampPixels.ts';

/** Twin of `stampPixels`. */
export function stampPixelsTwin(
  { image, variance, convolvedVariance, unusable, width, stampHalf, share, errorFraction }: StampPixelTask,
  first: number, weights: Float64Array, data: Float64Array,
): number {
  const side = 2 * stampHalf + 1, noises = new Float64Array(side + 2), fluxes = new Float64Array(side + 2);
  let used = 0;
  for (let v = 0; v < side; v++) {
    for (let u = -1; u <= side; u++) {
      let noise = 0, flux = 0;
      for (let j = first + (v - 1) * width + u, k = 0; k < 3; k++, j += width) {
        noise += variance[j] + share * convolvedVariance[j];
        flux += image[j];
      }
      noises[u + 1] = noise;
      fluxes[u + 1] = flux;
    }
    for (let u = 0; u < side; u++) {
      const j = first + v * width + u, k = v * side + u;
      weights[k] = data[k] = 0;
      if (unusable[j] !== 0) continue;
      const error = errorFraction * ((fluxes[u] + fluxes[u + 1] + fluxes[u + 2]) / 9);
      const total = (noises[u] + noises[u + 1] + noises[u + 2]) / 9 + error * error;
      weights[k] = total > 0 ? 1 / total : 0; // NaN neighbours are outside the usable area, and weigh nothing.
      data[k] = image[j];
      used++;
    }
  }
  return used;
}
