/** Any FITS image as planes, with what its headers tell. */
import { FitsError, firstImageHdu, imageSize, numberCard, readFits, readImageInto, requireSize, stringCard } from '../image/fits.ts';
import { psfOf } from '../image/imageProduct.ts';
import { maskBits } from '../image/maskPlanes.ts';
import { createPlaneMemory } from '../image/planeMemory.ts';
import type { PsfModel } from '../image/psf.ts';
import { adoptMask } from '../image/template.ts';

export type AnyImage = Readonly<{
  width: number; height: number;
  /** [height × width] in `unit`, background included. NaN where there is no data. */
  image: Float32Array;
  /** NO_DATA where the image is NaN, and the planes of a MASK extension. */
  mask: Uint16Array;
  /** Of a VARIANCE extension, unit squared; null without one. */
  variance: Float32Array | null;
  /** Planes of the same size to work with; contents destroyed. */
  work: Readonly<{ variance: Float32Array; scratch: readonly [Float32Array, Float32Array, Float32Array]; labels: Int32Array }>;
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
  const hdu = named('IMAGE') ?? firstImageHdu(file), { width, height } = imageSize(hdu);
  const { image, mask, ...work } = allocatePlanes(width, height);
  readImageInto(hdu, image);
  const maskHdu = named('MASK'), varianceHdu = named('VARIANCE');
  if (maskHdu !== undefined) {
    requireSize(maskHdu, width, height);
    readImageInto(maskHdu, mask);
    adoptMask(maskHdu, { width, height, image, mask, variance: image });
  }
  let variance: Float32Array | null = null;
  if (varianceHdu !== undefined) {
    requireSize(varianceHdu, width, height);
    readImageInto(varianceHdu, variance = work.variance);
  }
  requireValues(image, mask, path);
  const header = hdu === file.hdus[0] ? hdu.header : [...hdu.header, ...file.hdus[0].header];
  const gain = numberCard(header, 'GAIN') ?? numberCard(header, 'EGAIN');
  return {
    width, height, image, mask, variance, work, psf: psfOf(file), unit: stringCard(header, 'BUNIT'),
    gain: gain !== null && gain > 0 ? gain : null, saturation: numberCard(header, 'SATURATE'),
  };
}

/** Bytes of a pixel in all planes: six of 4 bytes, and the mask. */
const PIXEL_BYTES = 6 * 4 + 2;

/** All planes in one memory, in which the compiled pixel kernels work. What is not touched costs nothing. */
function allocatePlanes(width: number, height: number): Pick<AnyImage, 'image' | 'mask'> & AnyImage['work'] {
  const length = width * height, memory = createPlaneMemory(PIXEL_BYTES * length);
  const { image, variance, mask } = memory.maskedImage(width, height), plane = () => memory.float32(length);
  return { image, variance, mask, scratch: [plane(), plane(), plane()], labels: memory.int32(length) };
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
