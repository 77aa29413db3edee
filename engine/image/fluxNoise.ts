/** What a PSF flux on a difference has of noise beside what the variance plane of the difference says. */
import type { Patch } from '../kernels/pointSource.ts';
import { maskBits } from './maskPlanes.ts';
import type { MaskedImage } from './maskedImage.ts';

/** Pixels that count for no flux. */
const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/**
 * A difference's noise is white where the sky makes it, and its variance plane is that of single pixels. Photons of a
 * source are noise of one image alone, which is not white in the difference, and a PSF flux passes low frequencies:
 * its variance is Σ p² (V + visit × V_visit + template × V_template) / (Σ p²)², V that of the difference. Where both
 * images show sky alone, the last two cancel.
 */
export type FluxNoise = Readonly<{ visit: number; template: number }>;

/** For a difference whose pixels' variances are all that is known. */
export const PIXEL_NOISE_ALONE: FluxNoise = { visit: 0, template: 0 };

/** The planes of a difference, all of its size, and what to do with them. Read only. */
export type FluxNoisePlanes = Readonly<{
  width: number; height: number; mask: Uint16Array;
  visitVariance: Float32Array; templateVariance: Float32Array; factors: FluxNoise;
}>;

export function fluxNoisePlanes(
  { width, height, mask }: MaskedImage, visit: MaskedImage, template: MaskedImage, factors: FluxNoise,
): FluxNoisePlanes {
  return { width, height, mask, factors, visitVariance: visit.variance, templateVariance: template.variance };
}

/**
 * Σ p² (visit × V_visit + template × V_template) around pixel (cx, cy), of the PSF as it lies on the pixel: half a pixel
 * of displacement changes the noise of a source's photons by a percent. Pixels that count for no flux count here neither.
 *
 * @param patch Of `side`.
 */
export function addedFluxNoise(
  { width, height, mask, visitVariance, templateVariance, factors }: FluxNoisePlanes, { cell }: Patch, side: number,
  cx: number, cy: number,
): number {
  const half = side >> 1, padded = Math.round(Math.sqrt(cell.length)), margin = (padded - side) >> 1;
  let sum = 0;
  if (factors.visit === 0 && factors.template === 0) return sum;
  for (let v = Math.max(-half, -cy); v <= half && cy + v < height; v++) {
    const row = (v + half + margin) * padded + half + margin;
    for (let u = Math.max(-half, -cx); u <= half && cx + u < width; u++) {
      const j = (cy + v) * width + cx + u, p = cell[row + u];
      if ((mask[j] & UNUSABLE) !== 0) continue;
      const noise = factors.visit * visitVariance[j] + factors.template * templateVariance[j];
      if (noise - noise === 0) sum += p * p * noise;
    }
  }
  return sum;
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
