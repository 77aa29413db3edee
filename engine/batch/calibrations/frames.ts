/** Raw exposures of calibration light in a folder, by what their headers say. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Detector } from '../../../schemas/camera.ts';
import { FitsError, numberCard, readFits, requireNumber, requireString, stringCard } from '../../image/fits.ts';
import { readRawExposure, type RawExposure } from '../../image/rawExposure.ts';

export type FrameKind = 'bias' | 'dark' | 'flat' | 'science';

export type FrameFile = Readonly<{
  path: string; kind: FrameKind; instrument: string; detector: number; band: string; exposureSeconds: number;
  exposure: number;
  /** Where the telescope was told to point, degrees. */
  raDeg: number; decDeg: number;
}>;

/**
 * The raw exposures below a folder, in the order of their exposures. Files that are no raws of ours are passed over.
 *
 * @throws FitsError for a raw that is cut off; Error of one line for a folder that cannot be read.
 */
export function findFrames(directory: string): FrameFile[] {
  let names: string[];
  try {
    names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException; // fs throws ErrnoExceptions.
    throw new Error(`${directory}: ${code === 'ENOENT' ? 'no such directory' : message}`, { cause: error });
  }
  return names.filter((name) => /\.fits?(\.fz)?$/i.test(name)).flatMap((name) => frameOf(join(directory, name)))
    .sort((a, b) => a.exposure - b.exposure || a.detector - b.detector);
}

function frameOf(path: string): FrameFile[] {
  let header;
  try {
    ({ header } = readFits(path).hdus[0]);
  } catch (error) {
    if (error instanceof FitsError && error.code === 'FITS_NOT_FITS') return [];
    throw error;
  }
  const kind = stringCard(header, 'OBSTYPE') ?? '', exposure = numberCard(header, 'EXPOSURE');
  if (exposure === null || !['bias', 'dark', 'flat', 'science'].includes(kind)) return [];
  return [{
    path, exposure, kind: kind as FrameKind, // One of the list.
    instrument: requireString(header, 'INSTRUME', path), detector: requireNumber(header, 'DETECTOR', path),
    band: requireString(header, 'BAND', path), exposureSeconds: requireNumber(header, 'EXPTIME', path),
    raDeg: requireNumber(header, 'RA', path), decDeg: requireNumber(header, 'DEC', path),
  }];
}

/** Frames that share light, time and band: pairs and more of one level. */
export function groupByTime(frames: readonly FrameFile[]): FrameFile[][] {
  const groups = new Map<number, FrameFile[]>();
  for (const frame of frames) {
    const group = groups.get(frame.exposureSeconds);
    if (group) group.push(frame); else groups.set(frame.exposureSeconds, [frame]);
  }
  return [...groups.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** @param rawPlane As of `readRawExposure`. */
export function readFrame(frame: FrameFile, detector: Detector, rawPlane: Uint16Array): RawExposure {
  return readRawExposure(frame.path, detector, rawPlane);
}
