/** One frame as planes in ADU, or why it cannot be one. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { firstImageHdu, FitsError, imageSize, parseFits, readImageInto } from '../../image/fits.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { allocateMaskedImage, type MaskedImage } from '../../image/maskedImage.ts';
import { medianInPlace } from '../../image/median.ts';
import { markChargeTrails } from './chargeTrails.ts';
import { seriesConfig } from './config.ts';
import { readFrameHeader, type FrameHeader, type HeaderOverrides } from './frameHeader.ts';

/** A frame that takes no part; the message says why, without its name. */
export class FrameRejected extends Error {}

/** What the pixels of a frame mean; every number is known, if only assumed. */
export type PixelUnits = Readonly<{ gainElectronsPerAdu: number; readNoiseElectrons: number; saturationAdu: number }>;

export type FrameFile = Readonly<{
  path: string;
  /** SHA-256 of the file as stored, hexadecimal. */
  checksum: string; bytes: number;
  width: number; height: number;
  header: FrameHeader; units: PixelUnits;
}>;

export type Frame = Readonly<{
  file: FrameFile;
  /** Image in ADU, sky included; variance in ADU² from it; SAT, over the stars' charge trails as well, and NO_DATA in the mask. */
  planes: MaskedImage;
}>;

/** @throws FrameRejected when the file is missing, truncated, no FITS image, tells no time, or holds no light. */
export function readFrame(path: string, overrides: HeaderOverrides): Frame {
  let stored: Uint8Array;
  try { stored = readFileSync(path); } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException; // readFileSync throws ErrnoExceptions.
    throw new FrameRejected(code === 'ENOENT' ? 'no such file' : `cannot be read (${message})`);
  }
  try {
    const fits = parseFits(stored, path), hdu = firstImageHdu(fits);
    const { width, height } = imageSize(hdu);
    const planes = allocateMaskedImage(width, height);
    readImageInto(hdu, planes.image);
    const header = readFrameHeader(
      hdu === fits.hdus[0] ? hdu.header : [...hdu.header, ...fits.hdus[0].header], overrides,
    );
    const units: PixelUnits = {
      gainElectronsPerAdu: header.gainElectronsPerAdu ?? seriesConfig.gainFallback,
      readNoiseElectrons: header.readNoiseElectrons ?? seriesConfig.readNoiseElectronsFallback,
      saturationAdu: header.saturationAdu
        ?? (hdu.bitpix === 16 ? 65535 * seriesConfig.saturationRangeFraction : Infinity),
    };
    blankZeros(planes.image);
    maskPixels(planes, units.saturationAdu);
    requireLight(planes);
    setVariance(planes, units);
    markChargeTrails(planes);
    const checksum = createHash('sha256').update(stored).digest('hex');
    return { file: { path, checksum, bytes: stored.length, width, height, header, units }, planes };
  } catch (error) {
    if (error instanceof FrameRejected) throw error;
    const message = (error as Error).message; // Readers throw Errors.
    throw new FrameRejected(error instanceof FitsError ? message.replace(`${path}: `, '') : message);
  }
}

export function frameName(path: string): string {
  return basename(path);
}

/** Makes NaN of pixels of exactly 0 on a frame of positive counts with a sky well above: they were never exposed. */
function blankZeros(image: Float32Array): void {
  if (!image.includes(0) || image.some((value) => value < 0)) return;
  const finite = image.filter(Number.isFinite);
  if (!(medianInPlace(finite, finite.length) > seriesConfig.zeroIsBlankAboveAdu)) return;
  for (let j = 0; j < image.length; j++) if (image[j] === 0) image[j] = NaN;
}

/** SAT, grown, and NO_DATA for what is not a number. */
function maskPixels({ image, mask, width, height }: MaskedImage, saturationAdu: number): void {
  const sat = maskBits('SAT'), noData = maskBits('NO_DATA'), grow = seriesConfig.saturationGrowthPx;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = image[y * width + x];
      if (!Number.isFinite(value)) { mask[y * width + x] |= noData; image[y * width + x] = NaN; continue; }
      if (!(value >= saturationAdu)) continue;
      for (let v = Math.max(0, y - grow); v <= Math.min(height - 1, y + grow); v++) {
        for (let u = Math.max(0, x - grow); u <= Math.min(width - 1, x + grow); u++) mask[v * width + u] |= sat;
      }
    }
  }
}

/**
 * A frame without light has one value in nearly all its pixels: a shutter that stayed closed in software, or a blank.
 */
function requireLight({ image, mask }: MaskedImage): void {
  const noData = maskBits('NO_DATA');
  let lowest = Infinity, highest = -Infinity, count = 0;
  for (let j = 0; j < image.length; j++) {
    if ((mask[j] & noData) !== 0) continue;
    count++;
    if (image[j] < lowest) lowest = image[j];
    if (image[j] > highest) highest = image[j];
  }
  const blankCount = image.length - count;
  if (blankCount > count) throw new FrameRejected(`${blankCount} of ${image.length} pixels have no value`);
  if (lowest === highest) throw new FrameRejected(`no light: every pixel is ${lowest}`);
}

function setVariance({ image, variance, mask }: MaskedImage, units: PixelUnits): void {
  const { gainElectronsPerAdu: gain, readNoiseElectrons } = units;
  const noData = maskBits('NO_DATA'), floor = (readNoiseElectrons / gain) ** 2 + 1 / 12; // Digitisation: 1/12 ADU².
  for (let j = 0; j < image.length; j++) {
    variance[j] = (mask[j] & noData) !== 0 ? 0 : Math.max(image[j], 0) / gain + floor;
  }
}
