/**
 * Sky sources: fluxes forced where nothing was detected. They tell whether a difference has the level and the noise
 * that it states, with the PSF's own weights; as Rubin's SkySourcesTask makes them (lsst/meas_algorithms skyObjects.py:
 * 100 of them, none nearer than 8 px to a detection or a bad pixel). None becomes a diaSource.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { robustSigma } from '../../image/median.ts';
import type { PsfModel } from '../../image/psf.ts';
import type { ForcedConfig } from './config.ts';
import { forcedFluxes } from './forced.ts';

export type SkySources = Readonly<{
  count: number;
  /** Mean of flux over stated error: 0 ± 1/√count for a difference without a level. Null without sources. */
  meanPull: number | null;
  /** 1.4826 × the median absolute deviation of flux over stated error: 1 where the errors are right. */
  pullScatter: number | null;
}>;

const AVOIDED = maskBits(
  'BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR', 'EDGE', 'STREAK', 'DETECTED', 'DETECTED_NEGATIVE');

/** Steps of the sequence whose points lie as evenly as any (M. Roberts 2018, "R₂"): 1/g and 1/g², g³ = g + 1. */
const STEP_X = 0.7548776662466927, STEP_Y = 0.5698402909980532;

/**
 * Fluxes at places that cover the image evenly, those that are taken passed over.
 *
 * @param difference After detection, whose planes of the mask are avoided.
 * @param noiseScale Factor on the errors, as the detect stage measured it.
 * @param seed       Where the sequence begins, a whole number: the same one gives the same places.
 */
export function measureSkySources(
  difference: DifferenceImage, psf: PsfModel, noiseScale: number, seed: number, config: ForcedConfig,
): SkySources {
  const { width, height } = difference, pulls: number[] = [];
  let k = 1;
  while (k <= config.skyTriesMax && pulls.length < config.skySourceCount) {
    const places: { x: number; y: number }[] = [];
    for (; k <= config.skyTriesMax && pulls.length + places.length < config.skySourceCount; k++) {
      const turn = (seed % 4096) * config.skyTriesMax + k; // Small enough for the products to keep their fractions.
      const x = Math.floor(((turn * STEP_X) % 1) * width), y = Math.floor(((turn * STEP_Y) % 1) * height);
      if (isEmpty(difference, x, y, config.skyAvoidPx)) places.push({ x, y });
    }
    for (const { flux, fluxErr } of forcedFluxes(difference, psf, places, config)) {
      if (flux !== null && fluxErr !== null && fluxErr > 0) pulls.push(flux / (fluxErr * noiseScale));
    }
  }
  if (pulls.length === 0) return { count: 0, meanPull: null, pullScatter: null };
  return {
    count: pulls.length, meanPull: pulls.reduce((sum, pull) => sum + pull, 0) / pulls.length,
    pullScatter: robustSigma(pulls),
  };
}

/** Whether no pixel of the square about a place is taken; false where it reaches beyond the image. */
function isEmpty({ width, height, mask }: DifferenceImage, x: number, y: number, radius: number): boolean {
  if (x < radius || y < radius || x >= width - radius || y >= height - radius) return false;
  for (let v = y - radius; v <= y + radius; v++) {
    for (let u = x - radius; u <= x + radius; u++) if ((mask[v * width + u] & AVOIDED) !== 0) return false;
  }
  return true;
}
