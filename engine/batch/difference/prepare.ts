/** An image made ready for subtraction: columns, sky, stars, noise, cosmic rays, PSF. */
import { measureBackground, subtractBackground, type Background } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { keepBits } from '../../kernels/match.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { buildPsf, type PsfResult } from '../../image/psfFit.ts';
import type { Star } from '../../image/starDetection.ts';
import { findStars } from '../../stages/calibrate/calibrate.ts';
import { markCosmicRays } from '../../stages/isr/cosmicRays.ts';
import { interpolateDefects, listDefects } from '../../stages/isr/interpolate.ts';
import { StageError } from '../../errors.ts';
import { correctColumns, type ColumnReport } from './columns.ts';
import { pairConfig, skyMesh } from './config.ts';
import { PairRefused, type PairImage } from './inputs.ts';
import { setVariance, type NoiseReport } from './noise.ts';

export type Prepared = Readonly<{
  noise: NoiseReport; columns: ColumnReport;
  /** Null when stars were not asked for. */
  stars: Readonly<{ list: readonly Star[]; fwhmPx: number }> | null;
}>;

/** Work planes of the image's size; contents destroyed. */
export type PrepareScratch = Readonly<{ smooth: Float32Array; work: Float32Array }>;

/**
 * Corrects columns, subtracts the sky and sets the variance; the image's planes are changed in place.
 *
 * @param scratch Where given, the stars are found too.
 * @throws PairRefused: NO_SKY, NO_STARS, NO_NOISE, GAIN_ABSURD, VARIANCE_ABSURD.
 */
export function prepareImage(source: PairImage, scratch: PrepareScratch | null): Prepared {
  const { planes, path, isVarianceGiven } = source;
  const columns = correctColumns(planes, isVarianceGiven);
  if (!isVarianceGiven) planes.variance.set(planes.image);
  const found = scratch === null ? null : starsOf(source, scratch);
  const sky = found?.sky ?? subtractSky(planes, path);
  const silent = sky.sigma.reduce((count, sigma) => count + (sigma > 0 ? 0 : 1), 0);
  if (silent > 0) {
    throw new PairRefused('NO_NOISE', `${path}: ${silent} of the ${sky.sigma.length} cells of its sky have no noise: ` +
      'their pixels are all alike');
  }
  const noise = setVariance(source, sky);
  keepBits(planes.mask, 0xffff & ~maskBits('DETECTED'));
  return { noise, columns, stars: found === null ? null : { list: found.stars, fwhmPx: found.fwhmPx } };
}

function starsOf({ planes, path }: PairImage, scratch: PrepareScratch): ReturnType<typeof findStars> {
  try {
    return findStars(planes, 1, { ...pairConfig.stars, background: skyMesh(planes.width, planes.height) }, scratch);
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    if (error.code === 'BACKGROUND_UNKNOWN') throw noSky(planes, path);
    throw new PairRefused('NO_STARS', `${path}: ${error.message}`, error);
  }
}

function subtractSky(planes: MaskedImage, path: string): Background {
  const { image, mask, width, height } = planes;
  const sky = measureBackground(image, mask, width, height, maskBits('BAD', 'NO_DATA', 'SAT'), skyMesh(width, height));
  if (sky === null) throw noSky(planes, path);
  subtractBackground(image, sky);
  return sky;
}

function noSky({ width, height }: MaskedImage, path: string): PairRefused {
  const { cellPx, usableFractionMin } = skyMesh(width, height);
  return new PairRefused('NO_SKY', `${path}: no part of the image shows the sky: no cell of ${cellPx} px has ` +
    `${100 * usableFractionMin} % of usable pixels`);
}

export type DefectReport = Readonly<{ cosmicRayPixels: number; interpolatedPixels: number; isSearched: boolean }>;

/**
 * Marks cosmic rays (CR) and fills short defects from their neighbours (INTRP), so that no convolution spreads them.
 * An image too sharp to tell rays from stars is not searched.
 */
export function removeDefects(
  planes: MaskedImage, fwhmPx: number, indices: Int32Array,
): DefectReport {
  const { fwhmPxMin, interpolationRunMax, ...limits } = pairConfig.cosmicRays, isSearched = fwhmPx >= fwhmPxMin;
  const cosmicRayPixels = isSearched ? markCosmicRays(planes, limits, indices).length : 0;
  return { cosmicRayPixels, isSearched, interpolatedPixels: interpolateDefects(planes, interpolationRunMax, listDefects(planes, indices)) };
}

/** @throws PairRefused NO_STARS when too few serve. */
export function psfOf(
  planes: MaskedImage, path: string, { list, fwhmPx }: Readonly<{ list: readonly Star[]; fwhmPx: number }>,
): PsfResult {
  const result = buildPsf(planes, list, fwhmPx, pairConfig.stars.psf);
  if (result !== null) return result;
  throw new PairRefused('NO_STARS', `${path}: of ${list.length} sources found fewer than ` +
    `${pairConfig.stars.psf.starCountMin} are clean stars of SNR ${pairConfig.stars.psf.snrMin} to tell the PSF`);
}
