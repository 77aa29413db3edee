import type { Amp } from '../../../schemas/camera.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { VarianceLists, VarianceTask } from '../../kernels/variance.ts';
import type { SampledSky } from './sky.ts';

/**
 * Significance from which a pixel's own counts serve as its expected ones: their noise is then below a tenth of them.
 */
const BRIGHT_SIGMA = 10;
/** Noise of the 1-2-1 × 1-2-1 mean, relative to a pixel's: 6 / 16. */
const BINOMIAL_NOISE = 0.375;

/**
 * Variance of each pixel from the light that is *expected* there, not from the noisy counts: the sky's level, or a
 * source's light where it is significant in a 3 × 3 binomial mean. A faint source of either sign so gets the
 * sky's variance, and its flux is not biased by its own noise.
 *
 * variance = expected / flat + (read noise² + dark) / flat², electrons².
 *
 * @param out           image (electrons, flat-fielded); variance: 1 / flat where there is one.
 * @param sky           Level of the sky under the sources, electrons.
 * @param amps          For the read noise of each pixel.
 * @param darkElectrons Usual charge of a pixel in the dark: its noise stays when it is subtracted.
 * @param lists         What is to be found on the way.
 */
export function varianceTask(
  { width, height, image, variance }: MaskedImage, isInverse: boolean, sky: SampledSky, amps: readonly Amp[],
  sourceSigma: number, darkElectrons: number, lists: VarianceLists | null,
): VarianceTask {
  return {
    image, variance, isInverse, lists, width, height, sky, brightSigma: BRIGHT_SIGMA,
    smoothSigma: sourceSigma * BINOMIAL_NOISE,
    readNoise: amps.map(({ detectorBox, readNoiseElectrons }) =>
      ({ ...detectorBox, variance: readNoiseElectrons ** 2 + darkElectrons })),
  };
}
