/** Raw exposures of one detector, as `schemas/products.ts` lays them out: read, checked, decoded. */
import type { Amp, Detector } from '../../schemas/camera.ts';
import { isBand, type Band } from '../../schemas/units.ts';
import {
  FitsError, numberCard, readFits, readImageInto, requireHdu, requireNumber, requireSize, requireString, stringCard,
  type FitsFile, type FitsHdu,
} from './fits.ts';

/** One amp's readout, overscan included: [height × width] row-major, ADU. */
export type RawAmp = Readonly<{ name: string; width: number; height: number; pixels: Uint16Array }>;

export type RawExposure = Readonly<{
  instrument: string; dayObs: number; sequenceNumber: number;
  observationId: string; group: string; exposure: number; snap: number;
  detector: number; detectorName: string;
  physicalFilter: string; band: Band;
  exposureSeconds: number;
  /** What was pointed at, and why; null where the header does not tell. */
  target: string | null; reason: string | null;
  /** MJD, TAI. */
  beginMjdTai: number; midpointMjdTai: number;
  /** Where the telescope was told to point, and the camera's angle; degrees. */
  boresightRaDeg: number; boresightDecDeg: number; cameraAngleDeg: number;
  /** In the order of the camera's amps. */
  amps: readonly RawAmp[];
}>;

/** Pixels of all amps of a detector, overscan included: the size of the arena's raw plane. */
export function rawPixelCount(detector: Detector): number {
  return detector.amps.reduce((sum, amp) => sum + amp.rawWidth * amp.rawHeight, 0);
}

/**
 * Reads and checks a raw file.
 *
 * @param rawPlane Memory for the pixels of all amps one after another (`rawPixelCount` long or longer), overwritten;
 * the amps of the result are views on it. Own memory when null.
 * @throws FitsError, one line: missing, not FITS, truncated, an amp missing or of the wrong size, another detector's
 * file, keywords missing, NaN or counts that 16 bits cannot hold.
 */
export function readRawExposure(path: string, detector: Detector, rawPlane: Uint16Array | null = null): RawExposure {
  const file = readFits(path);
  const header = file.hdus[0].header;
  const text = (keyword: string) => requireString(header, keyword, path);
  const number = (keyword: string) => requireNumber(header, keyword, path);
  if (number('DETECTOR') !== detector.id) {
    throw new FitsError('FITS_HEADER', path, `is of detector ${number('DETECTOR')}, expected ${detector.id}`);
  }
  if (stringCard(header, 'TIMESYS') !== 'TAI') throw new FitsError('FITS_HEADER', path, 'TIMESYS is not TAI');
  const band = text('BAND');
  if (!isBand(band)) throw new FitsError('FITS_HEADER', path, `BAND is "${band}"`);
  return {
    instrument: text('INSTRUME'), dayObs: number('DAYOBS'), sequenceNumber: number('SEQNUM'),
    observationId: text('OBSID'), group: text('GROUPID'), exposure: number('EXPOSURE'), snap: number('SNAP'),
    detector: detector.id, detectorName: text('DETNAME'), physicalFilter: text('FILTER'), band,
    target: stringCard(header, 'OBJECT') ?? null, reason: stringCard(header, 'REASON') ?? null,
    exposureSeconds: number('EXPTIME'), beginMjdTai: number('MJD-BEG'), midpointMjdTai: number('MJD-MID'),
    boresightRaDeg: number('RA'), boresightDecDeg: number('DEC'), cameraAngleDeg: number('ROTPA'),
    amps: readAmps(file, detector, rawPlane ?? new Uint16Array(rawPixelCount(detector))),
  };
}

function readAmps(file: FitsFile, detector: Detector, rawPlane: Uint16Array): RawAmp[] {
  let offset = 0;
  return detector.amps.map((amp) => {
    const hdu = requireHdu(file, amp.name);
    requireSize(hdu, amp.rawWidth, amp.rawHeight);
    const pixels = rawPlane.subarray(offset, (offset += amp.rawWidth * amp.rawHeight));
    if (hdu.bitpix === 16 && numberCard(hdu.header, 'BZERO') === 32768) readImageInto(hdu, pixels);
    else readOtherCounts(hdu, amp, pixels);
    return { name: amp.name, width: amp.rawWidth, height: amp.rawHeight, pixels };
  });
}

/** Counts stored otherwise than as unsigned 16 bits: taken when they fit, refused when they would be altered. */
function readOtherCounts(hdu: FitsHdu, amp: Amp, out: Uint16Array): void {
  const values = new Float64Array(out.length);
  readImageInto(hdu, values);
  let badCount = 0;
  for (let i = 0; i < values.length; i++) {
    if (!(values[i] >= 0 && values[i] <= 65535)) badCount++;
    out[i] = Math.round(values[i]);
  }
  if (badCount > 0) {
    const reason = `amp ${amp.name} has ${badCount} pixels that are NaN or no 16-bit count`;
    throw new FitsError('FITS_VALUES', hdu.path, reason);
  }
}
