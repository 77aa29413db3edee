/**
 * Cutouts of a packet: FITS as Rubin's, which are astropy `CCDData` (PRIMARY in nJy, UNCERT, PSFIMAGE), with the MASK
 * that DMS-REQ-0274 asks for and theirs lack.
 */
import { encodeHeader, wholeBlocks, type FitsCard, type ImagePlane } from './fits.ts';
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

/** FITS bytes that are made where they are wanted. */
export type PlannedCutout = Readonly<{
  /** How many they are. */
  length: number;
  /** Fills `out`, which has that length. The image must still be as it was when the cutout was planned. */
  writeInto(out: Uint8Array): void;
}>;

/** FITS bytes of a square about a place, as `planCutouts` says. */
export function cutoutOf(planes: MaskedImage, psf: PsfModel, box: CutoutBox): Uint8Array {
  const [planned] = planCutouts([{ planes, psf }], box), bytes = new Uint8Array(planned.length);
  planned.writeInto(bytes);
  return bytes;
}

/**
 * FITS bytes of a square about a place, of each of some images in turn. Pixels outside an image are NaN, with NO_DATA
 * in the mask. Equal input gives equal bytes.
 *
 * - PRIMARY: image, float32 nJy; WCS (TAN, linear about the centre), ROTPA (position angle of +y), CUTMINX, CUTMINY
 * (0-based pixel of the image at the cutout's first).
 * - UNCERT: variance, float32 nJy², UTYPE `var`. MASK: uint16 with bits as MP_* keywords.
 * - PSFIMAGE: the PSF at the place, float32, unit sum.
 *
 * @throws Error when the side is not a positive integer or the place is not finite.
 */
export function planCutouts(
  images: readonly Readonly<{ planes: MaskedImage; psf: PsfModel }>[], { x, y, side, wcs }: CutoutBox,
): PlannedCutout[] {
  if (!Number.isInteger(side) || side <= 0) throw new Error(`a cutout cannot have a side of ${side} pixels`);
  if (!Number.isFinite(x) || !Number.isFinite(y)) throw new Error(`a cutout cannot be centred on (${x}, ${y})`);
  const square: Square = { x0: Math.round(x) - (side >> 1), y0: Math.round(y) - (side >> 1), side };
  const { x0, y0 } = square;
  const primary = encodeHeader({
    data: NO_FLOATS, width: side, height: side,
    cards: [
      ['BUNIT', 'nJy'], ...wcsToCards(shiftedWcs(localTanWcs(wcs, x, y), x0, y0)),
      ['ROTPA', positionAngleDeg(wcs), '[deg] position angle of +y, east of north'],
      ['CUTMINX', x0, '0-based pixel of the image'], ['CUTMINY', y0, '0-based pixel of the image'],
    ],
  }, true);
  const mask = headerOf('MASK', NO_BITS, side, MASK_CARDS), uncert = headerOf('UNCERT', NO_FLOATS, side, UNCERT_CARDS);
  const pixels = side * side;
  // Images may share a PSF, and its stamp then.
  const stamps = new Map(images.map(({ psf }) => [psf, stampOf(psf, x, y)]));
  return images.map(({ planes, psf }) => {
    const stamp = stamps.get(psf) ?? NO_FLOATS, psfImage = headerOf('PSFIMAGE', NO_FLOATS, psf.size, []);
    return {
      length: primary.length + mask.length + uncert.length + psfImage.length
        + 2 * wholeBlocks(4 * pixels) + wholeBlocks(2 * pixels) + wholeBlocks(4 * stamp.length),
      writeInto(out) {
        let at = putHeader(out, 0, primary);
        at = padded(out, putFloats(out, at, planes.image, planes, square), at);
        at = putHeader(out, at, mask);
        at = padded(out, putMask(out, at, planes, square), at);
        at = putHeader(out, at, uncert);
        at = padded(out, putFloats(out, at, planes.variance, planes, square), at);
        at = putHeader(out, at, psfImage);
        padded(out, putFloats(out, at, stamp, { width: psf.size, height: psf.size },
          { x0: 0, y0: 0, side: psf.size }), at);
      },
    };
  });
}

/** A square of pixels of an image, which it may reach beyond: its first, and its side. */
type Square = Readonly<{ x0: number; y0: number; side: number }>;

/** What a header is made from, where it needs the kind of its pixels alone. */
const NO_FLOATS = new Float32Array(0), NO_BITS = new Uint16Array(0);

/** Headers of extensions by name and size, which alone make them: those of a thousand cutouts are the same. */
const headers = new Map<string, Uint8Array>();

function headerOf(name: string, data: ImagePlane, side: number, cards: readonly FitsCard[]): Uint8Array {
  const key = `${name} ${side}`;
  let header = headers.get(key);
  if (header === undefined) {
    headers.set(key, header = encodeHeader({ name, data, width: side, height: side, cards }, false));
  }
  return header;
}

function stampOf(psf: PsfModel, x: number, y: number): Float32Array {
  const stamp = new Float32Array(psf.size * psf.size);
  evaluatePsf(psf, x, y, stamp);
  return stamp;
}

/** @returns The place behind it. */
function putHeader(out: Uint8Array, at: number, header: Uint8Array): number {
  out.set(header, at);
  return at + header.length;
}

/** Fills the last block of data that lies from `start` to `end` with zeros. @returns The place behind it. */
function padded(out: Uint8Array, end: number, start: number): number {
  const next = start + wholeBlocks(end - start);
  out.fill(0, end, next);
  return next;
}

/** NaN has many bit patterns; packets must not depend on which one arithmetic left. */
const NAN_BITS = 0x7fc00000, INFINITY_BITS = 0x7f800000, MAGNITUDE_BITS = 0x7fffffff;

/** What is put together before it is copied to its place, which need not be aligned; as long as the largest so far. */
let words = new Int32Array(0), halves = new Uint16Array(0);

/**
 * A square of a plane, big-endian. @returns The place behind it.
 *
 * @param plane [height × width] row-major. Read only.
 */
function putFloats(
  out: Uint8Array, at: number, plane: Float32Array, size: Readonly<{ width: number; height: number }>, square: Square,
): number {
  const count = square.side ** 2, bits = new Int32Array(plane.buffer, plane.byteOffset, plane.length);
  if (words.length < count) words = new Int32Array(count);
  words.fill(turned32(NAN_BITS), 0, count);
  eachRow(size, square, (from, to, k) => {
    for (let i = from; i < to; i++, k++) {
      const value = bits[i];
      words[k] = turned32((value & MAGNITUDE_BITS) > INFINITY_BITS ? NAN_BITS : value);
    }
  });
  out.set(new Uint8Array(words.buffer, 0, 4 * count), at);
  return at + 4 * count;
}

/** As `putFloats`, of the mask: unsigned 16 bits less 32768, which turns the highest. */
function putMask(out: Uint8Array, at: number, planes: MaskedImage, square: Square): number {
  const count = square.side ** 2, { mask } = planes;
  if (halves.length < count) halves = new Uint16Array(count);
  halves.fill(turned16(maskBits('NO_DATA') ^ 0x8000), 0, count);
  eachRow(planes, square, (from, to, k) => {
    for (let i = from; i < to; i++, k++) halves[k] = turned16(mask[i] ^ 0x8000);
  });
  out.set(new Uint8Array(halves.buffer, 0, 2 * count), at);
  return at + 2 * count;
}

/** Calls with what each row of a square has in the image: its first pixel, the one behind its last, and the place. */
function eachRow(
  { width, height }: Readonly<{ width: number; height: number }>, { x0, y0, side }: Square,
  put: (from: number, to: number, place: number) => void,
): void {
  const left = Math.max(x0, 0), right = Math.min(x0 + side, width);
  for (let y = Math.max(y0, 0); y < Math.min(y0 + side, height) && left < right; y++) {
    put(y * width + left, y * width + right, (y - y0) * side + left - x0);
  }
}

/** Every machine that Node 24 supports is little-endian. */
function turned32(bits: number): number {
  return (bits << 24) | ((bits & 0xff00) << 8) | ((bits >>> 8) & 0xff00) | (bits >>> 24);
}

function turned16(bits: number): number {
  return ((bits & 0xff) << 8) | (bits >>> 8);
}
