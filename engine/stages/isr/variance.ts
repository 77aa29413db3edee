import type { Amp } from '../../../schemas/camera.ts';
import { excessSums, varianceRow } from '../../kernels/isr.ts';
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
 * @param rows         5 × width long or more, contents destroyed.
 */
export function fillVariance(
  out: MaskedImage, sky: Background, flat: Float32Array | null, amps: readonly Amp[], sourceSigma: number,
  rows: Float32Array,
): void {
  const { width, height } = out;
  // The sky, then a ring of three rows of horizontal 1-2-1 sums, then the read noise along the row.
  const skyRow = rows.subarray(0, width);
  const ring = [1, 2, 3].map((k) => rows.subarray(k * width, (k + 1) * width));
  const readVariance = rows.subarray(4 * width, 5 * width);
  for (let y = -1; y < height; y++) {
    const ahead = Math.min(y + 1, height - 1);
    interpolateRow(sky, sky.level, ahead, skyRow);
    excessSums(out.image, ahead * width, skyRow, ring[(y + 1) % 3]);
    if (y < 0) { ring[2].set(ring[0]); continue; } // The row below the first is taken as equal to it.
    interpolateRow(sky, sky.level, y, skyRow);
    fillReadVariance(amps, y, readVariance);
    varianceRow({
      image: out.image, variance: out.variance, flat, start: y * width, sky: skyRow,
      below: ring[(y + 2) % 3], here: ring[y % 3], above: ring[(y + 1) % 3], readVariance,
      brightSigma: BRIGHT_SIGMA, smoothSigma: sourceSigma * BINOMIAL_NOISE,
    });
  }
}

function fillReadVariance(amps: readonly Amp[], y: number, out: Float32Array): void {
  for (const amp of amps) {
    const box = amp.detectorBox;
    if (y >= box.y0 && y < box.y1) out.fill(amp.readNoiseElectrons ** 2, box.x0, box.x1);
  }
}
