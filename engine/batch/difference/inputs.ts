/** An image of the pair, from its files to planes; or why it cannot be used. */
import {
  FitsError, firstImageHdu, imageSize, numberCard, readFits, readImageInto, requireSize, stringCard,
  type FitsFile, type FitsHdu, type FitsHeader,
} from '../../image/fits.ts';
import { allocateMaskedImage, type MaskedImage } from '../../image/maskedImage.ts';
import { MASK_PLANES, maskBits, type MaskPlane } from '../../image/maskPlanes.ts';
import { wcsFromHeader, type Wcs } from '../../image/wcs.ts';
import { readFrameHeader } from '../series/frameHeader.ts';
import { pairConfig } from './config.ts';

/** A pair that cannot be subtracted: one line that names the file or the numbers, and a stable code. */
export class PairRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${message} (${code})`);
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
  gain: number | null; isGainOption: boolean; readNoise: number | null; saturation: number | null;
}>;

/**
 * Reads an image with what belongs to it: files of mask and variance, or extensions MASK and VARIANCE of its own.
 *
 * A mask with MP_* keywords is translated by them; of one without, every pixel that is not 0 is BAD.
 *
 * @throws FitsError for files that cannot be read; PairRefused (IMAGE_TOO_SMALL, ALL_MASKED, CONSTANT_IMAGE).
 */
export function readPairImage(request: ImageRequest): PairImage {
  const { path } = request, file = readFits(path);
  const hdu = extension(file, 'IMAGE') ?? extension(file, 'SCI') ?? firstImageHdu(file);
  const { width, height } = imageSize(hdu);
  if (Math.min(width, height) < pairConfig.sidePxMin) {
    throw new PairRefused('IMAGE_TOO_SMALL',
      `${path}: ${width} × ${height} pixels, at least ${pairConfig.sidePxMin} are needed along each side`);
  }
  const planes = allocateMaskedImage(width, height);
  readImageInto(hdu, planes.image);
  const mask = planeOf(request.maskPath, file, 'MASK'), variance = planeOf(request.variancePath, file, 'VARIANCE');
  if (mask !== null) readMask(mask, planes);
  if (variance !== null) readVariance(variance, planes);
  const header = hdu === file.hdus[0] ? hdu.header : [...hdu.header, ...file.hdus[0].header];
  const told = readFrameHeader(
    // Of no interest here, but the reader insists on a time.
    [...header, ['MJD-OBS', 61_000]],
    { gain: request.gain, readNoise: request.readNoise, saturation: request.saturation, pixelScale: null },
  );
  maskPixels(planes, told.saturationAdu ?? Infinity, variance !== null);
  requirePixels(path, planes);
  return {
    path, planes, isVarianceGiven: variance !== null, wcs: wcsFromHeader(header),
    projection: stringCard(header, 'CTYPE1'), unit: stringCard(header, 'BUNIT'),
    gain: told.gainElectronsPerAdu, isGainOption: request.gain !== null, readNoise: told.readNoiseElectrons,
    saturation: told.saturationAdu,
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

function readMask(hdu: FitsHdu, { width, height, mask }: MaskedImage): void {
  requireSize(hdu, width, height);
  const stored = new Float32Array(width * height); // Exact for the 24 lowest bits.
  readImageInto(hdu, stored);
  const moves = maskMoves(hdu.header), bad = maskBits('BAD');
  for (let j = 0; j < mask.length; j++) {
    const before = stored[j];
    if (before === 0) continue;
    if (moves === null || !Number.isInteger(before)) { mask[j] = bad; continue; }
    for (const [from, to] of moves) if ((before & from) !== 0) mask[j] |= to;
  }
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

function readVariance(hdu: FitsHdu, { width, height, variance }: MaskedImage): void {
  requireSize(hdu, width, height);
  readImageInto(hdu, variance);
  let lowest = Infinity;
  for (let j = 0; j < variance.length; j++) if (variance[j] < lowest) lowest = variance[j];
  if (lowest < 0) throw new FitsError('FITS_VALUES', hdu.path, `a variance is negative (${lowest})`);
}

/** SAT, grown, and NO_DATA for what is not a number or, with a variance given, has none. */
function maskPixels(
  { image, variance, mask, width, height }: MaskedImage, saturation: number, hasVariance: boolean,
): void {
  const sat = maskBits('SAT'), noData = maskBits('NO_DATA'), grow = pairConfig.saturationGrowthPx;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const j = y * width + x, value = image[j];
      const isKnown = Number.isFinite(value) && (!hasVariance || (variance[j] > 0 && variance[j] < Infinity));
      if (!isKnown) { mask[j] |= noData; image[j] = NaN; variance[j] = 0; continue; }
      if (!(value >= saturation)) continue;
      for (let v = Math.max(0, y - grow); v <= Math.min(height - 1, y + grow); v++) {
        for (let u = Math.max(0, x - grow); u <= Math.min(width - 1, x + grow); u++) mask[v * width + u] |= sat;
      }
    }
  }
}

/** An image with nothing in it is refused before anything is computed from it. */
function requirePixels(path: string, { image, mask }: MaskedImage): void {
  const unusable = maskBits('NO_DATA', 'BAD', 'SAT');
  let lowest = Infinity, highest = -Infinity, count = 0;
  for (let j = 0; j < image.length; j++) {
    if ((mask[j] & unusable) !== 0) continue;
    count++;
    if (image[j] < lowest) lowest = image[j];
    if (image[j] > highest) highest = image[j];
  }
  if (count < pairConfig.usableFractionMin * image.length) {
    const required = Math.ceil(pairConfig.usableFractionMin * image.length);
    throw new PairRefused('ALL_MASKED',
      `${path}: ${count} of ${image.length} pixels are usable, ${required} required; ` +
      'the others are masked, saturated or no number');
  }
  if (lowest === highest) throw new PairRefused('CONSTANT_IMAGE', `${path}: every pixel is ${lowest}`);
}
