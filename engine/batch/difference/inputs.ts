/** An image of the pair, from its files to planes; or why it cannot be used. */
import {
  FitsError, firstImageHdu, imageSize, numberCard, readFits, readImageInto, requireSize, stringCard,
  type FitsFile, type FitsHdu, type FitsHeader,
} from '../../image/fits.ts';
import { inspectPlanes } from '../../kernels/inspect.ts';
import { listAtLeast } from '../../kernels/list.ts';
import { translateMask } from '../../kernels/match.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { MASK_PLANES, maskBits, type MaskPlane } from '../../image/maskPlanes.ts';
import { wcsFromHeader, type Wcs } from '../../image/wcs.ts';
import { readFrameHeader } from '../series/frameHeader.ts';
import { pairConfig } from './config.ts';

/** A pair that cannot be subtracted: one line that names the file or the numbers, and a stable code. */
export class PairRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(`${message} (${code})`, { cause });
    this.name = 'PairRefused';
    this.code = code;
  }
}

export type ImageRequest = Readonly<{
  path: string; maskPath: string | null; variancePath: string | null;
  /** Stronger than the header; null where not given. Electrons per unit of the image, electrons, unit of the image. */
  gain: number | null; readNoise: number | null; saturation: number | null;
}>;

export type PairImage = Readonly<{
  path: string;
  /** Image in the file's unit, sky included; variance as given, else 0; mask from file, saturation and NaN. */
  planes: MaskedImage;
  isVarianceGiven: boolean;
  wcs: Wcs | null;
  /** CTYPE1 as it stands, for messages. */
  projection: string | null;
  unit: string | null;
  /** Null where neither option nor header tells. */
  gain: number | null; readNoise: number | null; saturation: number | null;
  /** Whether gain or read noise was told by an option, which then is meant. */
  isNoiseOption: boolean;
}>;

/** An image whose headers were read, and of whose pixels none. */
export type OpenedImage = Readonly<{
  request: ImageRequest; file: FitsFile; hdu: FitsHdu; width: number; height: number;
  mask: FitsHdu | null; variance: FitsHdu | null;
}>;

/**
 * Finds an image with what belongs to it: files of mask and variance, or extensions MASK and VARIANCE of its own.
 *
 * @throws FitsError for files that cannot be read; PairRefused IMAGE_TOO_SMALL.
 */
export function openPairImage(request: ImageRequest): OpenedImage {
  const { path } = request, file = readFits(path);
  const hdu = extension(file, 'IMAGE') ?? extension(file, 'SCI') ?? firstImageHdu(file);
  const { width, height } = imageSize(hdu);
  if (Math.min(width, height) < pairConfig.sidePxMin) {
    throw new PairRefused('IMAGE_TOO_SMALL',
      `${path}: ${width} × ${height} pixels, at least ${pairConfig.sidePxMin} are needed along each side`);
  }
  const mask = planeOf(request.maskPath, file, 'MASK'), variance = planeOf(request.variancePath, file, 'VARIANCE');
  for (const plane of [mask, variance]) if (plane !== null) requireSize(plane, width, height);
  return { request, file, hdu, width, height, mask, variance };
}

/**
 * Reads an image into planes of its size.
 *
 * A mask with MP_* keywords is translated by them; of one without, every pixel that is not 0 is BAD.
 *
 * @param planes Overwritten.
 * @throws FitsError for files that cannot be read; PairRefused (ALL_MASKED, VALUES_TOO_LARGE, CONSTANT_IMAGE).
 */
export function readPairImage({ request, file, hdu, ...found }: OpenedImage, planes: MaskedImage): PairImage {
  const { path } = request;
  readImageInto(hdu, planes.image);
  if (found.mask === null) planes.mask.fill(0); else readMask(found.mask, planes.mask);
  if (found.variance === null) planes.variance.fill(0); else readImageInto(found.variance, planes.variance);
  const header = hdu === file.hdus[0] ? hdu.header : [...hdu.header, ...file.hdus[0].header];
  const told = readFrameHeader(
    // Of no interest here, but the reader insists on a time.
    [...header, ['MJD-OBS', 61_000]],
    { gain: request.gain, readNoise: request.readNoise, saturation: request.saturation, pixelScale: null },
  );
  maskPixels(path, planes, told.saturationAdu ?? Infinity, found.variance);
  return {
    path, planes, isVarianceGiven: found.variance !== null, wcs: wcsFromHeader(header),
    projection: stringCard(header, 'CTYPE1'), unit: stringCard(header, 'BUNIT'),
    gain: told.gainElectronsPerAdu, readNoise: told.readNoiseElectrons, saturation: told.saturationAdu,
    isNoiseOption: request.gain !== null || request.readNoise !== null,
  };
}

function extension(file: FitsFile, name: string): FitsHdu | null {
  return file.hdus.find((hdu) => hdu.name === name && hdu.isImage && hdu.axes.length >= 2) ?? null;
}

/** A plane in a file of its own, or an extension beside the image; null when there is neither. */
function planeOf(path: string | null, beside: FitsFile, name: string): FitsHdu | null {
  if (path === null) return extension(beside, name);
  const file = readFits(path);
  return extension(file, name) ?? firstImageHdu(file);
}

/** @param mask Overwritten. */
function readMask(hdu: FitsHdu, mask: Uint16Array): void {
  const bad = maskBits('BAD'), moves = maskMoves(hdu.header);
  if (isPlain16(hdu)) {
    hdu.readBytesInto(new Uint8Array(mask.buffer, mask.byteOffset, mask.byteLength));
    // A negative number has all bits above the lowest 16.
    return translateMask(mask, moves?.map(([from, to]) => [Math.min(from, 1 << 15), to] as const) ?? [[0xffff, bad]]);
  }
  const moved = (stored: number): number => {
    if (moves === null || !Number.isInteger(stored)) return bad;
    return moves.reduce((bits, [from, to]) => bits | ((stored & from) === 0 ? 0 : to), 0);
  };
  const stored = new Float32Array(mask.length); // Exact for the 24 lowest bits.
  readImageInto(hdu, stored);
  for (let j = 0; j < mask.length; j++) mask[j] = stored[j] === 0 ? 0 : moved(stored[j]);
}

/** Whether the numbers are stored as they are meant, in 16 bits. */
function isPlain16({ header, bitpix, tiles }: FitsHdu): boolean {
  return bitpix === 16 && tiles === null && (numberCard(header, 'BSCALE') ?? 1) === 1 &&
    (numberCard(header, 'BZERO') ?? 0) === 0 && numberCard(header, 'BLANK') === null;
}

/** What is said about a visit or a coadd, not about its pixels' use. */
const NOT_CARRIED: readonly MaskPlane[] = ['DETECTED', 'DETECTED_NEGATIVE'];

/** From the file's bits to ours, by its MP_* keywords; null when it has none. */
function maskMoves(header: FitsHeader): (readonly [from: number, to: number])[] | null {
  if (!header.some(([keyword]) => keyword.startsWith('MP_'))) return null;
  const ours = Object.entries(MASK_PLANES) as [MaskPlane, number][]; // Keys of the table itself.
  return ours.flatMap(([plane, bit]) => {
    const theirs = NOT_CARRIED.includes(plane) ? null : numberCard(header, `MP_${plane}`);
    return theirs === null || theirs < 0 || theirs > 23 ? [] : [[1 << theirs, 1 << bit] as const];
  });
}

/**
 * SAT, grown, and NO_DATA for what is not a number or, with a variance given, has none. An image with nothing in it is
 * refused before anything is computed from it.
 */
function maskPixels(path: string, planes: MaskedImage, saturation: number, varianceHdu: FitsHdu | null): void {
  const unusable = maskBits('NO_DATA', 'BAD', 'SAT'), total = planes.image.length;
  const range = inspectPlanes(planes, varianceHdu !== null, saturation, maskBits('NO_DATA'), unusable);
  if (varianceHdu !== null && range.lowestVariance < 0) {
    throw new FitsError('FITS_VALUES', varianceHdu.path, `a variance is negative (${range.lowestVariance})`);
  }
  const usable = range.usable - growSaturated(planes, saturation, range.saturatedRows, unusable);
  const required = Math.ceil(pairConfig.usableFractionMin * total);
  if (usable < required) {
    throw new PairRefused('ALL_MASKED',
      `${path}: ${usable} of ${total} pixels are usable, ${required} required; ` +
      'the others are masked, saturated or no number');
  }
  const { lowest, highest } = range;
  const largest = Math.max(Math.abs(lowest), Math.abs(highest));
  if (largest > pairConfig.valueMax) {
    throw new PairRefused('VALUES_TOO_LARGE', `${path}: a pixel is ${(largest === highest ? highest : lowest).toPrecision(4)}, ` +
      `beyond ±${pairConfig.valueMax.toExponential()} squares overflow; --saturation or a mask takes such pixels out`);
  }
  if (lowest === highest) throw new PairRefused('CONSTANT_IMAGE', `${path}: every pixel is ${lowest}`);
}

/** Returns how many pixels it made unusable. */
function growSaturated(
  { image, mask, width, height }: MaskedImage, saturation: number, rows: readonly number[], unusable: number,
): number {
  const sat = maskBits('SAT'), grow = pairConfig.saturationGrowthPx, indices = new Int32Array(width);
  let lost = 0;
  for (const y of rows) {
    const row = image.subarray(y * width, (y + 1) * width);
    for (const x of indices.subarray(0, listAtLeast(row, saturation, indices))) {
      for (let v = Math.max(0, y - grow); v <= Math.min(height - 1, y + grow); v++) {
        for (let u = Math.max(0, x - grow); u <= Math.min(width - 1, x + grow); u++) {
          if ((mask[v * width + u] & unusable) === 0) lost++;
          mask[v * width + u] |= sat;
        }
      }
    }
  }
  return lost;
}
