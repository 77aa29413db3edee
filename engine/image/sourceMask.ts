import { interpolateRow, type Background } from './background.ts';
import { maskBits } from './maskPlanes.ts';
import { gaussianTaps } from './smooth.ts';
import { FWHM_PER_SIGMA } from './starDetection.ts';

/**
 * Marks pixels with the light of sources (DETECTED), grown by a share of the FWHM.
 *
 * @param smooth [height × width], the image smoothed with a Gaussian of `fwhmPx`, as `detectStars` leaves it. Read
 * only.
 * @param mask   Changed in place.
 * @param work   [height × width], contents destroyed.
 */
export function markSources(
  smooth: Float32Array, sky: Background, fwhmPx: number, thresholdSigma: number, growthFwhm: number, mask: Uint16Array,
  work: Float32Array,
): void {
  const { width, height } = sky;
  let squares = 0;
  for (const tap of gaussianTaps(fwhmPx / FWHM_PER_SIGMA)) squares += tap * tap;
  const sigmaRow = new Float32Array(width), reach = Math.round(growthFwhm * fwhmPx), bit = maskBits('DETECTED');
  // A running count along rows, then along columns: a square of side 2 reach + 1 in two passes.
  for (let y = 0; y < height; y++) {
    interpolateRow(sky, sky.sigma, y, sigmaRow);
    const row = y * width;
    let last = -Infinity, ahead = 0;
    for (let x = 0; x < width; x++) {
      for (; ahead < width && ahead <= x + reach; ahead++) {
        if (smooth[row + ahead] > thresholdSigma * squares * sigmaRow[ahead]) last = ahead;
      }
      work[row + x] = last >= x - reach ? 1 : 0;
    }
  }
  for (let y = 0; y < height; y++) {
    const from = Math.max(0, y - reach), to = Math.min(height - 1, y + reach);
    for (let j = from; j <= to; j++) {
      for (let x = 0, i = y * width, k = j * width; x < width; x++, i++, k++) if (work[k] === 1) mask[i] |= bit;
    }
  }
}
