/** All that decides a series beside code and pixels: recorded once, read by the run and by its replay. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Camera } from '../../../schemas/camera.ts';
import type { DayObs, Exposure, Visit } from '../../../schemas/ids.ts';
import type { Band } from '../../../schemas/units.ts';
import type { Affine } from '../../image/affine.ts';
import type { Wcs } from '../../image/wcs.ts';
import type { HeaderOverrides } from './frameHeader.ts';

/** A frame that takes part: one visit. */
export type SeriesFrame = Readonly<{
  /** Base name. */
  file: string;
  path: string; checksum: string; bytes: number;
  visit: Visit; exposure: Exposure; group: string;
  /** Mid-exposure on the header's scale, and MJD TAI. */
  midMjd: number; midpointMjdTai: number; exposureSeconds: number;
  band: Band; physicalFilter: string;
  fwhmPx: number; skyAdu: number; skySigmaAdu: number;
  toReference: Affine; fluxRatio: number;
}>;

export type SeriesManifest = Readonly<{
  version: 1;
  instrument: string; dayObs: DayObs;
  /** One detector, of the frames' size. */
  camera: Camera;
  /** Base name of the reference, its sky, and the sky of its middle pixel: the pointing of every visit. */
  reference: string; referenceWcs: Wcs; pointing: Readonly<{ raDeg: number; decDeg: number }>;
  overrides: HeaderOverrides;
  /** Tunables of association that depend on the frames; the others are the stage's own. */
  associate: Readonly<{ matchRadiusArcsec: number; sigmaFloorArcsec: number; sigmaFallbackArcsec: number }>;
  template: Readonly<{ file: string; checksum: string; frames: readonly string[]; fwhmPx: number }>;
  frames: readonly SeriesFrame[];
}>;

export const seriesPaths = {
  folder: (dataDir: string, instrument: string) => join(dataDir, 'series', instrument),
  manifest: (dataDir: string, instrument: string) => join(dataDir, 'series', instrument, 'manifest.json'),
  template: (dataDir: string, instrument: string) => join(dataDir, 'series', instrument, 'template.fits'),
  difference: (folder: string, frame: SeriesFrame) => join(folder, `difference_${frame.visit}.fits`),
} as const;

/** Written beside and renamed. Returns its SHA-256, hexadecimal. */
export function writeManifest(dataDir: string, manifest: SeriesManifest): string {
  const path = seriesPaths.manifest(dataDir, manifest.instrument), text = `${JSON.stringify(manifest, null, 1)}\n`;
  mkdirSync(seriesPaths.folder(dataDir, manifest.instrument), { recursive: true });
  writeFileSync(`${path}.part`, text, { flush: true });
  renameSync(`${path}.part`, path);
  return digestOf(text);
}

/** @throws Error of one line when the series is not there or is of another version. */
export function readManifest(dataDir: string, instrument: string): { manifest: SeriesManifest; digest: string } {
  const path = seriesPaths.manifest(dataDir, instrument);
  let text: string;
  try { text = readFileSync(path, 'utf8'); } catch (error) {
    // fs throws Errors.
    throw new Error(`${instrument} has no manifest: ${(error as Error).message}`, { cause: error });
  }
  const manifest = JSON.parse(text) as SeriesManifest; // Written whole, by rename, from this type.
  if (manifest.version !== 1) throw new Error(`${path} has version ${String(manifest.version)}; only 1 is read here`);
  return { manifest, digest: digestOf(text) };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
