/** Any FITS image as planes, with what its headers tell. */
import { FitsError, firstImageHdu, imageSize, numberCard, readFits, readImageInto, requireSize, stringCard } from '../image/fits.ts';
import { psfOf } from '../image/imageProduct.ts';
import { maskBits } from '../image/maskPlanes.ts';
import type { PsfModel } from '../image/psf.ts';
import { translateMask } from '../image/template.ts';

export type AnyImage = Readonly<{
  width: number; height: number;
  /** [height × width] in `unit`, background included. NaN where there is no data. */
  image: Float32Array;
  /** NO_DATA where the image is NaN, and the planes of a MASK extension. */
  mask: Uint16Array;
  /** Of a VARIANCE extension, unit squared; null without one. */
  variance: Float32Array | null;
  psf: PsfModel | null;
  unit: string | null;
  /** Electrons per unit, and the value from which a pixel is saturated; null when no card tells. */
  gain: number | null; saturation: number | null;
}>;

/**
 * Reads the IMAGE extension, or where there is none the first image, and MASK, VARIANCE and PSF where they are.
 *
 * @throws FitsError, one line: missing, not FITS, truncated, no image, planes of different sizes, no pixel with a value.
 */
export function readAnyImage(path: string): AnyImage {
  const file = readFits(path), named = (name: string) => file.hdus.find((hdu) => hdu.name === name && hdu.isImage);
  const hdu = named('IMAGE') ?? firstImageHdu(file), { width, height } = imageSize(hdu), length = width * height;
  const image = new Float32Array(length), mask = new Uint16Array(length);
  readImageInto(hdu, image);
  const maskHdu = named('MASK'), varianceHdu = named('VARIANCE');
  if (maskHdu !== undefined) {
    requireSize(maskHdu, width, height);
    readImageInto(maskHdu, mask);
    translateMask(maskHdu, { width, height, image, mask, variance: image });
  }
  let variance: Float32Array | null = null;
  if (varianceHdu !== undefined) {
    requireSize(varianceHdu, width, height);
    readImageInto(varianceHdu, variance = new Float32Array(length));
  }
  requireValues(image, mask, path);
  const header = hdu === file.hdus[0] ? hdu.header : [...hdu.header, ...file.hdus[0].header];
  const gain = numberCard(header, 'GAIN') ?? numberCard(header, 'EGAIN');
  return {
    width, height, image, mask, variance, psf: psfOf(file), unit: stringCard(header, 'BUNIT'),
    gain: gain !== null && gain > 0 ? gain : null, saturation: numberCard(header, 'SATURATE'),
  };
}

/** Marks infinities and NaN as NO_DATA. */
function requireValues(image: Float32Array, mask: Uint16Array, path: string): void {
  const missing = maskBits('NO_DATA');
  let count = 0;
  for (let i = 0; i < image.length; i++) {
    if (image[i] - image[i] === 0) { count++; continue; }
    image[i] = NaN;
    mask[i] |= missing;
  }
  if (count === 0) throw new FitsError('FITS_VALUES', path, 'no pixel has a value');
}
