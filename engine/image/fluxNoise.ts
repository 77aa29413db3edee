/** What a PSF flux on a difference has of noise beside what the variance plane of the difference says. */
import type { AddedNoise } from '../kernels/pointSource.ts';
import type { MaskedImage } from './maskedImage.ts';

/**
 * A difference's noise is white where the sky makes it, and its variance plane is that of single pixels. Photons of a
 * source are noise of one image alone, which is not white in the difference, and a PSF flux passes low frequencies:
 * its variance is Σ p² (V + visit × V_visit + template × V_template) / (Σ p²)², V that of the difference. Where both
 * images show sky alone, the last two cancel. The p of these is the PSF's as it lies on the pixel: half a pixel of
 * displacement changes the noise of a source's photons by a percent.
 */
export type FluxNoise = Readonly<{ visit: number; template: number }>;

/** For a difference whose pixels' variances are all that is known. */
export const PIXEL_NOISE_ALONE: FluxNoise = { visit: 0, template: 0 };

/** The planes of a difference, all of its size, and what to do with them. Read only. */
export type FluxNoisePlanes = Readonly<{
  visitVariance: Float32Array; templateVariance: Float32Array; factors: FluxNoise;
}>;

export function fluxNoisePlanes(
  visit: MaskedImage, template: MaskedImage, factors: FluxNoise,
): FluxNoisePlanes {
  return { factors, visitVariance: visit.variance, templateVariance: template.variance };
}

/** As the sums over a point source's pixels take them; null where nothing is added. */
export function addedNoiseOf(
  { visitVariance, templateVariance, factors: { visit, template } }: FluxNoisePlanes,
): readonly [AddedNoise, AddedNoise] | null {
  if (visit === 0 && template === 0) return null;
  return [{ variance: visitVariance, factor: visit }, { variance: templateVariance, factor: template }];
}

/**
 * Share of the noise of single pixels that the noise of a flux keeps at least: what is taken off is a difference of
 * planes that other steps have changed (variances without a pixel's own fluctuation, masked stars).
 */
const SHARE_MIN = 0.1;

/** Σ p² V of the difference and what is added to it. */
export function fluxNoiseOf(pixelNoise: number, added: number): number {
  return Math.max(pixelNoise + added, SHARE_MIN * pixelNoise);
}
