/**
 * Files that a series makes: its template with the PSF, and the difference image of each frame while the series runs.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Band } from '../../../schemas/units.ts';
import {
  imageSize, readFits, readImageInto, requireHdu, requireNumber, writeFits, type FitsCard,
} from '../../image/fits.ts';
import { MASK_PLANES } from '../../image/maskPlanes.ts';
import { allocateMaskedImage, asProduct, type MaskedImage, type Template } from '../../image/maskedImage.ts';
import { psfTermCount, type PsfModel } from '../../image/psf.ts';
import { readTemplate } from '../../image/template.ts';
import { pixelScaleArcsec, wcsToCards, type Wcs } from '../../image/wcs.ts';

const MASK_CARDS: readonly FitsCard[] = Object.entries(MASK_PLANES).map(([plane, bit]) => [`MP_${plane}`, bit]);

/**
 * A template product of `schemas/products.ts`, in ADU of the reference, with its PSF as one more extension. Returns its
 * SHA-256.
 */
export function writeTemplate(
  path: string, template: Template, wcs: Wcs, psf: PsfModel,
  about: Readonly<{ band: Band; frameCount: number; fwhmPx: number }>,
): string {
  const { width, height } = template;
  const cards: FitsCard[] = [
    ...wcsToCards(wcs), ['BAND', about.band], ['NVISITS', about.frameCount],
    ['SEEING', about.fwhmPx * pixelScaleArcsec(wcs)],
    ['BUNIT', 'adu', 'of the reference frame, at its exposure time'],
  ];
  const bytes = writeFits(path, [
    { data: null },
    { name: 'IMAGE', cards, data: template.image, width, height },
    { name: 'VARIANCE', data: template.variance, width, height },
    { name: 'MASK', cards: MASK_CARDS, data: template.mask, width, height },
    {
      name: 'PSF', cards: [['PSFORDER', psf.order]], data: psf.coefficients, width: psf.size,
      height: psf.size * psfTermCount(psf.order),
    },
  ]);
  return createHash('sha256').update(bytes).digest('hex');
}

export type SeriesTemplate = Readonly<{ template: Template; wcs: Wcs; psf: PsfModel }>;

/**
 * @param checksum SHA-256 that the file must have.
 * @throws Error of one line when the file is not what `writeTemplate` wrote.
 */
export function readSeriesTemplate(path: string, checksum: string): SeriesTemplate {
  const actual = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (actual !== checksum) throw new Error(`${path} is not the template of its series`);
  const { template, wcs } = readTemplate(path), hdu = requireHdu(readFits(path), 'PSF');
  const { width: size, height } = imageSize(hdu), coefficients = new Float32Array(size * height);
  readImageInto(hdu, coefficients);
  const order = requireNumber(hdu.header, 'PSFORDER', path) as 0 | 1 | 2; // Written from this type.
  return { template, wcs, psf: { size, width: template.width, height: template.height, order, coefficients } };
}

/** Image, variance and mask; the same pixels come back bit by bit. */
export function writePlanes(path: string, { width, height, image, variance, mask }: MaskedImage): void {
  writeFits(path, [
    { data: image, width, height }, { name: 'VARIANCE', data: variance, width, height },
    { name: 'MASK', data: mask, width, height },
  ]);
}

export function readPlanes(path: string): MaskedImage {
  const file = readFits(path), { width, height } = imageSize(file.hdus[0]), planes = allocateMaskedImage(width, height);
  readImageInto(file.hdus[0], planes.image);
  readImageInto(requireHdu(file, 'VARIANCE'), planes.variance);
  readImageInto(requireHdu(file, 'MASK'), planes.mask);
  return asProduct('differenceImage', planes);
}
