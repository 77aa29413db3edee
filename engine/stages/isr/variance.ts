import type { Amp } from '../../../schemas/camera.ts';
import { interpolateRow, type Background } from '../../image/background.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

/**
 * Significance from which a pixel's own counts serve as its expected ones: their noise is then below a tenth of them.
 */
const BRIGHT_SIGMA = 10;
/** Noise of the 1-2-1 × 1-2-1 mean, relative to a pixel's: 6 / 16. */
const BINOMIAL_NOISE = 0.375;

/**
 * Variance of each pixel from the light that is *expected* there, not from the noisy counts: the sky's level, plus a
 * source's light where it is significant in a 3 × 3 binomial mean. A faint source of either sign so gets the
 * sky's variance, and its flux is not biased by its own noise.
 *
 * variance = expected / flat + (read noise / flat)², electrons².
 *
 * @param out          image (electrons, flat-fielded, read), mask, variance (overwritten; NaN where the image is NaN).
 * @param sky          Level of the sky under the sources, electrons.
 * @param flat         [height × width]; null for none. Read only.
 * @param amps         For the read noise of each pixel.
 * @param rows         6 × width long or more, contents destroyed.
 */
export function fillVariance(
  out: MaskedImage, sky: Background, flat: Float32Array | null, amps: readonly Amp[], sourceSigma: number,
  rows: Float32Array,
): void {
  const { width, height } = out;
  // Two work rows, then a ring of three rows of horizontal 1-2-1 sums, then the read noise along the row.
  const skyRow = rows.subarray(0, width), excess = rows.subarray(width, 2 * width);
  const ring = [2, 3, 4].map((k) => rows.subarray(k * width, (k + 1) * width));
  const readVariance = rows.subarray(5 * width, 6 * width);
  for (let y = -1; y < height; y++) {
    const ahead = Math.min(y + 1, height - 1);
    interpolateRow(sky, sky.level, ahead, skyRow);
    excessRow(out.image, ahead * width, skyRow, excess);
    horizontalSums(excess, ring[(y + 1) % 3]);
    if (y < 0) { ring[2].set(ring[0]); continue; } // The row below the first is taken as equal to it.
    interpolateRow(sky, sky.level, y, skyRow);
    fillReadVariance(amps, y, readVariance);
    varianceRow(out, y, skyRow, ring[(y + 2) % 3], ring[y % 3], ring[(y + 1) % 3], readVariance, flat, sourceSigma);
  }
}

/** Light above the sky; 0 where there is none to be had (NaN), so that a lost pixel does not spoil its neighbours. */
function excessRow(image: Float32Array, start: number, sky: Float32Array, out: Float32Array): void {
  for (let x = 0; x < out.length; x++) {
    const value = image[start + x] - sky[x];
    out[x] = value === value ? value : 0;
  }
}

function horizontalSums(values: Float32Array, out: Float32Array): void {
  const last = values.length - 1;
  for (let x = 0; x <= last; x++) out[x] = values[x > 0 ? x - 1 : 0] + 2 * values[x] + values[x < last ? x + 1 : last];
}

function fillReadVariance(amps: readonly Amp[], y: number, out: Float32Array): void {
  for (const amp of amps) {
    const box = amp.detectorBox;
    if (y >= box.y0 && y < box.y1) out.fill(amp.readNoiseElectrons ** 2, box.x0, box.x1);
  }
}

function varianceRow(
  out: MaskedImage, y: number, sky: Float32Array, below: Float32Array, here: Float32Array, above: Float32Array,
  readVariance: Float32Array, flat: Float32Array | null, sourceSigma: number,
): void {
  const { width, image, variance } = out;
  for (let x = 0, i = y * width; x < width; x++, i++) {
    const response = flat === null ? 1 : flat[i];
    const level = sky[x] > 0 ? sky[x] : 0;
    const pixelSigma = Math.sqrt(level + readVariance[x]);
    const smooth = (below[x] + 2 * here[x] + above[x]) / 16;
    let expected = level;
    if (image[i] - sky[x] > BRIGHT_SIGMA * pixelSigma) expected = image[i];
    else if (smooth > sourceSigma * BINOMIAL_NOISE * pixelSigma) expected += smooth;
    variance[i] = image[i] === image[i] ? (expected + readVariance[x] / response) / response : NaN;
  }
}
