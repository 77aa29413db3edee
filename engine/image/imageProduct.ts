/**
 * Pixel products as files: FITS with IMAGE (float32, BUNIT, WCS), MASK (uint16, planes as MP_* keywords), VARIANCE
 * (float32) and, once it is known, PSF.
 *
 * PSF holds the coefficients of `psf.ts`: [terms × size] rows of `size` pixels, one stamp below the other, in the order
 * 1, u, v, u², uv, v² with u = 2x/(PSFWIDTH − 1) − 1 and v = 2y/(PSFHIGH − 1) − 1, x and y 0-based; keywords PSFSIZE,
 * PSFORDER, PSFWIDTH, PSFHIGH.
 */
import {
  FitsError, imageSize, readFits, readImageInto, requireHdu, requireNumber, requireSize, stringCard, writeFits,
  type FitsCard, type FitsFile, type FitsHduOut, type FitsHeader,
} from './fits.ts';
import { allocateMaskedImage, type MaskedImage } from './maskedImage.ts';
import { MASK_PLANES } from './maskPlanes.ts';
import { psfTermCount, type PsfModel } from './psf.ts';
import { adoptMask } from './template.ts';
import { wcsFromHeader, wcsToCards, type Wcs } from './wcs.ts';

export type ImageUnit = 'electron' | 'nJy';

/** What is written beside the pixels. */
export type ProductDescription = Readonly<{
  unit: ImageUnit; wcs: Wcs;
  /** Null before it is known. */
  psf: PsfModel | null;
  /** Of the primary header: names, figures, provenance. */
  cards: readonly FitsCard[];
}>;

export type ImageProduct = Readonly<{
  planes: MaskedImage;
  /** BUNIT, as it stands in the file; null when the file has none. */
  unit: string | null;
  wcs: Wcs | null; psf: PsfModel | null;
  /** Cards of the primary header, then those of IMAGE. */
  header: FitsHeader;
}>;

/** Writes a product as a whole: equal pixels and cards give equal bytes. @throws FitsError when it cannot be written. */
export function writeImageProduct(path: string, planes: MaskedImage, description: ProductDescription): void {
  const { width, height } = planes, { unit, wcs, psf, cards } = description, wcsCards = wcsToCards(wcs);
  const hdus: FitsHduOut[] = [
    { data: null, cards },
    { name: 'IMAGE', data: planes.image, width, height, cards: [['BUNIT', unit], ...wcsCards] },
    {
      name: 'MASK', data: planes.mask, width, height,
      cards: [...Object.entries(MASK_PLANES).map(([plane, bit]): FitsCard => [`MP_${plane}`, bit]), ...wcsCards],
    },
    {
      name: 'VARIANCE', data: planes.variance, width, height, cards: [['BUNIT', `${unit}**2`], ...wcsCards],
    },
  ];
  if (psf !== null) hdus.push(psfHdu(psf));
  writeFits(path, hdus);
}

function psfHdu({ size, width, height, order, coefficients }: PsfModel): FitsHduOut {
  return {
    name: 'PSF', data: coefficients, width: size, height: size * psfTermCount(order),
    cards: [
      ['PSFSIZE', size, 'side of the stamp, pixels'], ['PSFORDER', order, 'of the polynomial over the image'],
      ['PSFWIDTH', width, 'image that it belongs to'], ['PSFHIGH', height, 'image that it belongs to'],
    ],
  };
}

/**
 * @param allocate Gives the planes for an image of the size found; own memory by default.
 * @throws FitsError, one line: missing, not FITS, truncated, an extension missing, planes of different sizes.
 */
export function readImageProduct(
  path: string, allocate: (width: number, height: number) => MaskedImage = allocateMaskedImage,
): ImageProduct {
  const file = readFits(path);
  const image = requireHdu(file, 'IMAGE'), mask = requireHdu(file, 'MASK'), variance = requireHdu(file, 'VARIANCE');
  const { width, height } = imageSize(image);
  for (const hdu of [mask, variance]) requireSize(hdu, width, height);
  const planes = allocate(width, height);
  readImageInto(image, planes.image);
  readImageInto(variance, planes.variance);
  readImageInto(mask, planes.mask);
  adoptMask(mask, planes);
  return {
    planes, unit: stringCard(image.header, 'BUNIT'), wcs: wcsFromHeader(image.header), psf: psfOf(file),
    header: [...file.hdus[0].header, ...(image === file.hdus[0] ? [] : image.header)],
  };
}

/** The PSF of a product's file; null when it has none. @throws FitsError when it is damaged. */
export function psfOf(file: FitsFile): PsfModel | null {
  const hdu = file.hdus.find(({ name, isImage }) => name === 'PSF' && isImage);
  if (hdu === undefined) return null;
  const [size, order, width, height] = ['PSFSIZE', 'PSFORDER', 'PSFWIDTH', 'PSFHIGH']
    .map((keyword) => requireNumber(hdu.header, keyword, file.path));
  if (order !== 0 && order !== 1 && order !== 2) throw new FitsError('FITS_HEADER', file.path, `PSFORDER is ${order}`);
  requireSize(hdu, size, size * psfTermCount(order));
  const coefficients = new Float32Array(size * size * psfTermCount(order));
  readImageInto(hdu, coefficients);
  return { size, order, width, height, coefficients };
}
