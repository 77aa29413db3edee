/** Two exposures of one field as FITS files: Gaussian stars of counts, Poisson and read noise, a sky. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFits, type FitsCard } from '../../../engine/image/fits.ts';
import { allocateMaskedImage, type MaskedImage } from '../../../engine/image/maskedImage.ts';
import { wcsToCards, type Wcs } from '../../../engine/image/wcs.ts';
import type { ImageRequest } from '../../../engine/batch/difference/inputs.ts';
import { pairNormal, pairRandom, pairRender, type PairSource } from '../../support/pairScene.ts';

export const SKY = 400, READ_NOISE = 6;

export function scratchFolder(): string {
  return mkdtempSync(join(tmpdir(), 'vesper-pair-'));
}

/** Counts over the sky with their noise, electrons: the variance of a pixel is its expected light plus read noise². */
export function counts(
  width: number, height: number, sources: readonly PairSource[], sigma: number, seed: number,
): MaskedImage {
  const planes = allocateMaskedImage(width, height), random = pairRandom(seed), { image } = planes;
  pairRender(planes, sources, sigma);
  for (let j = 0; j < image.length; j++) {
    const expected = SKY + image[j];
    // Poisson numbers of some hundred are normal to a part in a hundred of their skew.
    image[j] = expected + Math.sqrt(expected + READ_NOISE * READ_NOISE) * pairNormal(random);
  }
  return planes;
}

/** Writes an image in units of `electronsPerUnit` and says how to read it. */
export function imageFile(
  path: string, planes: MaskedImage, wcs: Wcs | null, electronsPerUnit = 1,
  headerGain: number | null = electronsPerUnit,
): ImageRequest {
  const data = planes.image.map((value) => value / electronsPerUnit);
  const gain: FitsCard[] = headerGain === null ? [] : [['GAIN', headerGain]];
  writeFits(path, [{
    data, width: planes.width, height: planes.height,
    cards: [...(wcs === null ? [] : wcsToCards(wcs)), ...gain, ['RDNOISE', READ_NOISE], ['BUNIT', 'adu']],
  }]);
  return { path, maskPath: null, variancePath: null, gain: null, readNoise: null, saturation: null };
}
