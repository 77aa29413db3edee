/** Template products, as `schemas/products.ts` lays them out. */
import { isBand, type Band } from '../../schemas/units.ts';
import { flagNaN, keepBits } from '../kernels/match.ts';
import {
  FitsError, imageSize, numberCard, readFits, readImageInto, requireHdu, requireNumber, requireSize, requireString,
  type FitsHdu,
} from './fits.ts';
import { allocateMaskedImage, asProduct, type MaskedImage, type Template } from './maskedImage.ts';
import { MASK_PLANES, maskBits, type MaskPlane } from './maskPlanes.ts';
import { wcsFromHeader, type Wcs } from './wcs.ts';

export type TemplateProduct = Readonly<{
  template: Template; wcs: Wcs; band: Band;
  /** Depth. */
  visitCount: number;
  seeingArcsec: number;
}>;

/** Size of a template without decoding it: what the arena's planner needs. @throws FitsError as `readTemplate`. */
export function readTemplateSize(path: string): { width: number; height: number } {
  return imageSize(requireHdu(readFits(path), 'IMAGE'));
}

/**
 * @param allocate Gives the planes for a template of the size found; own memory by default.
 * @throws FitsError, one line: missing, not FITS, truncated, an extension or the WCS missing, planes of different
 * sizes.
 */
export function readTemplate(
  path: string, allocate: (width: number, height: number) => MaskedImage = allocateMaskedImage,
): TemplateProduct {
  const file = readFits(path);
  const image = requireHdu(file, 'IMAGE'), variance = requireHdu(file, 'VARIANCE'), mask = requireHdu(file, 'MASK');
  const { width, height } = imageSize(image);
  for (const hdu of [variance, mask]) requireSize(hdu, width, height);
  const wcs = wcsFromHeader(image.header);
  if (wcs === null) throw new FitsError('FITS_HEADER', path, 'IMAGE has no TAN world coordinates');
  const band = requireString(image.header, 'BAND', path);
  if (!isBand(band)) throw new FitsError('FITS_HEADER', path, `BAND is "${band}"`);
  const planes = allocate(width, height);
  const noData = maskBits('NO_DATA');
  readImageInto(mask, planes.mask);
  adoptBits(mask, planes.mask);
  readImageInto(image, planes.image, (from, to) => {
    flagNaN(planes.image.subarray(from, to), planes.mask.subarray(from, to), noData);
  });
  readImageInto(variance, planes.variance);
  return {
    template: asProduct('template', planes), wcs, band,
    visitCount: requireNumber(image.header, 'NVISITS', path), seeingArcsec: requireNumber(image.header, 'SEEING', path),
  };
}

/** From the file's bits (MP_* keywords) to ours; NaN pixels become NO_DATA whatever the file says. */
export function adoptMask(hdu: FitsHdu, { image, mask }: MaskedImage): void {
  adoptBits(hdu, mask);
  flagNaN(image, mask, maskBits('NO_DATA'));
}

function adoptBits(hdu: FitsHdu, mask: Uint16Array): void {
  const ours = Object.entries(MASK_PLANES) as [MaskPlane, number][]; // Keys of the table itself.
  const moves = ours.flatMap(([plane, bit]) => {
    const theirs = numberCard(hdu.header, `MP_${plane}`);
    return theirs === null ? [] : [[1 << theirs, 1 << bit] as const];
  });
  // Files of our own have our bits.
  if (moves.every(([from, to]) => from === to)) keepBits(mask, moves.reduce((bits, [, to]) => bits | to, 0));
  else moveBits(mask, moves);
}

function moveBits(mask: Uint16Array, moves: readonly (readonly [from: number, to: number])[]): void {
  for (let i = 0; i < mask.length; i++) {
    const before = mask[i];
    let after = 0;
    if (before !== 0) for (const [from, to] of moves) if ((before & from) !== 0) after |= to;
    mask[i] = after;
  }
}
