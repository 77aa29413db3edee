import { markAboveMesh, markBytes } from '../kernels/mesh.ts';
import { markNear } from '../kernels/near.ts';
import type { Background } from './background.ts';
import { maskBits } from './maskPlanes.ts';
import { gaussianTaps } from './smooth.ts';
import { FWHM_PER_SIGMA } from './starDetection.ts';

/**
 * Marks pixels with the light of sources (DETECTED), grown by a share of the FWHM.
 *
 * @param smooth [height × width], the image smoothed with a Gaussian of `fwhmPx`. Read only.
 * @param mask   Changed in place.
 * @param work   [height × width], contents destroyed.
 */
export function markSources(
  smooth: Float32Array, sky: Background, fwhmPx: number, thresholdSigma: number, growthFwhm: number, mask: Uint16Array,
  work: Float32Array,
): void {
  const { width, height } = sky, bit = maskBits('DETECTED');
  let squares = 0;
  for (const tap of gaussianTaps(fwhmPx / FWHM_PER_SIGMA)) squares += tap * tap;
  markAboveMesh(smooth, width, height, sky, sky.sigma, thresholdSigma * squares, mask, bit);
  const near = new Uint8Array(work.buffer, work.byteOffset, width * height);
  markNear(mask, bit, width, height, Math.round(growthFwhm * fwhmPx), near);
  markBytes(near, mask, bit);
}
