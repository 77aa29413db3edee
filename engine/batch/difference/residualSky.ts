/** What sky the polynomials of the difference stage leave. */
import { measureBackground, subtractBackground, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { median, medianInPlace } from '../../image/median.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { pairConfig, skyMesh } from './config.ts';

export type ResidualSky = Readonly<{
  /** Scatter of the mesh's cells, and what their noise explains; the image's unit. */
  residualSkyRms: number; residualSkyNoise: number;
  /** Whether the mesh was taken off, and the level that was. */
  isResidualSkySubtracted: 0 | 1; residualLevel: number;
}>;

const UNUSED = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'CR');
/** Noise of 2.5 × median − 1.5 × mean of n normal values, in σ / √n: √(6.25 × 1.57 + 2.25 − 7.5). */
const MODE_NOISE = 2.14;
/** What a median over 3 × 3 normal values leaves of it. */
const MEDIAN_OF_NINE = 0.41;

/**
 * Takes a mesh off the difference, changed in place, where its cells differ by more than their noise (a mesh would else
 * only add it), and then the median of all pixels. A difference is empty enough for both.
 */
export function flattenResidualSky(difference: DifferenceImage): ResidualSky {
  const { width, height, image, mask } = difference;
  const sky = measureBackground(image, mask, width, height, UNUSED, skyMesh(width, height));
  const { residualSkyRms, residualSkyNoise } = scatterOf(sky);
  const isFlattened = sky !== null && residualSkyRms > pairConfig.residualSkyNoiseMax * residualSkyNoise;
  if (isFlattened) subtractBackground(image, sky);
  const residualLevel = medianLevel(difference);
  for (let j = 0; j < image.length; j++) image[j] -= residualLevel;
  return { residualSkyRms, residualSkyNoise, isResidualSkySubtracted: isFlattened ? 1 : 0, residualLevel };
}

function scatterOf(sky: Background | null): { residualSkyRms: number; residualSkyNoise: number } {
  if (sky === null) return { residualSkyRms: 0, residualSkyNoise: 0 };
  const middle = median(sky.level), { level, cellWidth, cellHeight } = sky;
  return {
    residualSkyRms: Math.sqrt(level.reduce((sum, value) => sum + (value - middle) ** 2, 0) / level.length),
    residualSkyNoise: (MODE_NOISE * MEDIAN_OF_NINE * median(sky.sigma)) / Math.sqrt(cellWidth * cellHeight),
  };
}

/** Every how many pixels the level looks: 5 million of a 4k image tell it to 1/1700 of a pixel's noise. */
const LEVEL_STEP = 3;

function medianLevel({ image, mask }: DifferenceImage): number {
  const values = new Float32Array(Math.ceil(image.length / LEVEL_STEP));
  let count = 0;
  for (let j = 0; j < image.length; j += LEVEL_STEP) {
    if ((mask[j] & UNUSED) === 0 && image[j] === image[j]) values[count++] = image[j];
  }
  return count === 0 ? 0 : medianInPlace(values, count);
}
