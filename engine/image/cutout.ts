/**
 * Cutouts of a packet: FITS as Rubin's, which are astropy `CCDData` (PRIMARY in nJy, UNCERT, PSFIMAGE), with the MASK
 * that DMS-REQ-0274 asks for and theirs lack.
 */
import { encodeHeader, writeFits, type FitsCard, type FitsHduOut } from './fits.ts';
import { MASK_PLANES, maskBits } from './maskPlanes.ts';
import type { MaskedImage } from './maskedImage.ts';
import { evaluatePsf, type PsfModel } from './psf.ts';
import { localTanWcs, positionAngleDeg, shiftedWcs, wcsToCards, type Wcs } from './wcs.ts';

const UNCERT_CARDS: readonly FitsCard[] = [['BUNIT', 'nJy2'], ['UTYPE', 'var']];

/** Where to cut: centre in pixels, side of the square in pixels, and the image's WCS. */
export type CutoutBox = Readonly<{ x: number; y: number; side: number; wcs: Wcs }>;

const MASK_CARDS: readonly FitsCard[] = Object.entries(MASK_PLANES).map(
  ([plane, bit]) => [`MP_${plane}`, bit],
);

/**
 * FITS bytes of a square about a place. Pixels outside the image are NaN, with NO_DATA in the mask. Equal input gives
 * equal bytes.
 *
 * - PRIMARY: image, float32 nJy; WCS (TAN, linear about the centre), ROTPA (position angle of +y), CUTMINX, CUTMINY
 * (0-based pixel of the image at the cutout's first).
 * - UNCERT: variance, float32 nJy², UTYPE `var`. MASK: uint16 with bits as MP_* keywords.
 * - PSFIMAGE: the PSF at the place, float32, unit sum.
 *
 * @throws Error when the side is not a positive integer or the place is not finite.
 */
export function cutoutOf(planes: MaskedImage, psf: PsfModel, { x, y, side, wcs }: CutoutBox): Uint8Array {
  if (!Number.isInteger(side) || side <= 0) throw new Error(`a cutout cannot have a side of ${side} pixels`);
  if (!Number.isFinite(x) || !Number.isFinite(y)) throw new Error(`a cutout cannot be centred on (${x}, ${y})`);
  const x0 = Math.round(x) - (side >> 1), y0 = Math.round(y) - (side >> 1);
  const image = new Float32Array(side * side).fill(NaN), variance = new Float32Array(side * side).fill(NaN);
  const mask = new Uint16Array(side * side).fill(maskBits('NO_DATA'));
  const left = Math.max(x0, 0), right = Math.min(x0 + side, planes.width);
  for (let row = Math.max(y0, 0); row < Math.min(y0 + side, planes.height) && left < right; row++) {
    const from = row * planes.width + left, to = row * planes.width + right, at = (row - y0) * side + left - x0;
    image.set(planes.image.subarray(from, to), at);
    variance.set(planes.variance.subarray(from, to), at);
    mask.set(planes.mask.subarray(from, to), at);
  }
  canonicalNaN(image);
  canonicalNaN(variance);
  const stamp = new Float32Array(psf.size * psf.size);
  evaluatePsf(psf, x, y, stamp);
  const wcsCards = wcsToCards(shiftedWcs(localTanWcs(wcs, x, y), x0, y0));
  return writeFits(null, [
    {
      data: image, width: side, height: side,
      cards: [
        ['BUNIT', 'nJy'], ...wcsCards, ['ROTPA', positionAngleDeg(wcs), '[deg] position angle of +y, east of north'],
        ['CUTMINX', x0, '0-based pixel of the image'], ['CUTMINY', y0, '0-based pixel of the image'],
      ],
    },
    withHeader({ name: 'MASK', data: mask, width: side, height: side, cards: MASK_CARDS }),
    withHeader({ name: 'UNCERT', data: variance, width: side, height: side, cards: UNCERT_CARDS }),
    withHeader({ name: 'PSFIMAGE', data: stamp, width: psf.size, height: psf.size }),
  ]);
}

/** Headers of extensions by name and size, which alone make them: those of a thousand cutouts are the same. */
const headers = new Map<string, Uint8Array>();

function withHeader(hdu: FitsHduOut): FitsHduOut {
  const key = `${hdu.name} ${hdu.width}`;
  let header = headers.get(key);
  if (header === undefined) headers.set(key, header = encodeHeader(hdu, false));
  return { ...hdu, header };
}

/** NaN has many bit patterns; packets must not depend on which one arithmetic left. */
function canonicalNaN(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) values[i] = NaN;
}
