/**
 * From a directory to a plan: which frames take part, where each lies, on which reference, and what the template is
 * made of.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { asDayObs, exposureOf, visitOf, type DayObs } from '../../schemas/ids.ts';
import { dayObsOfMjdTai } from '../../schemas/time.ts';
import { seriesConfig } from '../batch/series/config.ts';
import { bandOf, seriesCamera } from '../batch/series/names.ts';
import type { HeaderOverrides } from '../batch/series/frameHeader.ts';
import { seriesPaths, writeManifest, type SeriesFrame, type SeriesManifest } from '../batch/series/manifest.ts';
import { chooseTemplateFrames } from '../batch/series/template.ts';
import type { Registration } from '../batch/series/registration.ts';
import type { SurveyedFrame } from '../batch/series/worker.ts';
import { median } from '../image/median.ts';
import { pixelToSky, type Wcs } from '../image/wcs.ts';
import type { SeriesOptions } from '../setup/arguments.mjs';
import { seriesInstrument } from './instruments.ts';
import { note } from './output.ts';
import type { SeriesPool } from './seriesPool.ts';

export type Rejected = Readonly<{ file: string; reason: string }>;
export type SeriesPlan = Readonly<{
  manifest: SeriesManifest; manifestDigest: string; frameCount: number; rejected: readonly Rejected[];
}>;

/** Of a visit's number: the first day that a diaSourceId can hold, and the last. */
const FIRST_DAY = asDayObs(20100101), LAST_DAY = asDayObs(20541110);

type Placed = Readonly<{ surveyed: SurveyedFrame; registration: Registration }>;

/** What is there to work on, before a pixel is read. */
export type SeriesInputs = Readonly<{ directory: string; paths: readonly string[]; referencePath: string | null }>;

/** @throws Error of one line when the directory or the reference is missing, or there is no frame. */
export function findInputs(directory: string, reference: string | null): SeriesInputs {
  return {
    directory, paths: listFrames(directory),
    referencePath: reference === null ? null : findReference(directory, reference),
  };
}

/**
 * Surveys and registers the frames and builds the template; writes the manifest. What an earlier run of the same
 * series left in its folder is removed first.
 *
 * @throws Error of one line when no frame can be used.
 */
export async function planSeries(
  { directory, paths, referencePath }: SeriesInputs, options: SeriesOptions, pool: SeriesPool,
): Promise<SeriesPlan> {
  const overrides: HeaderOverrides = {
    gain: options.gain, readNoise: options.readNoise, saturation: options.saturation, pixelScale: options.pixelScale,
  };
  const instrument = seriesInstrument(digestOf(paths, referencePath, overrides));
  note(`${instrument}: ${paths.length} frames in ${directory}`);
  const rejected: Rejected[] = [];
  const surveyed = await surveyFrames(paths, overrides, pool, rejected);
  const reference = await chooseReference(surveyed, referencePath, overrides, pool);
  const placed = await registerFrames(surveyed, reference, pool, rejected);
  if (placed.length === 0) {
    const { file, reason } = rejected[0];
    throw new Error(`none of the ${paths.length} frames in ${directory} can be used: ${file}: ${reason}`);
  }
  return buildPlan(instrument, placed, reference, overrides, options.dataDir, pool, paths.length, rejected);
}

/** @throws Error of one line when there is no such directory, or no frame in it. */
function listFrames(directory: string): string[] {
  let names: string[];
  try { names = readdirSync(directory); } catch (error) {
    const code = (error as NodeJS.ErrnoException).code; // fs throws ErrnoExceptions.
    const known: Readonly<Record<string, string>> = { ENOENT: 'no such directory', ENOTDIR: 'not a directory' };
    throw new Error(`${directory}: ${known[code ?? ''] ?? (error as Error).message}`, { cause: error });
  }
  const paths = names.filter((name) => /\.(fits|fit)(\.gz)?$/i.test(name)).sort().map((name) => join(directory, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (paths.length === 0) throw new Error(`${directory}: no .fits or .fit files (also .gz) in it`);
  return paths;
}

/** A name in the directory, or a path from where the user stands. */
function findReference(directory: string, name: string): string {
  const inside = join(directory, name), path = !name.includes('/') && existsSync(inside) ? inside : resolve(name);
  if (!existsSync(path)) throw new Error(`--reference ${name}: no such file in ${directory}, nor at that path`);
  return path;
}

/** SHA-256 over names and contents of the frames and the options: what the series' name is made from. */
function digestOf(paths: readonly string[], referencePath: string | null, overrides: HeaderOverrides): string {
  const hash = createHash('sha256');
  for (const path of [...paths, ...(referencePath === null ? [] : [referencePath])]) {
    hash.update(`${basename(path)}\n`).update(createHash('sha256').update(readFileSync(path)).digest());
  }
  const options = { reference: referencePath && basename(referencePath), ...overrides };
  return hash.update(JSON.stringify(options)).digest('hex');
}

async function surveyFrames(
  paths: readonly string[], overrides: HeaderOverrides, pool: SeriesPool, rejected: Rejected[],
): Promise<SurveyedFrame[]> {
  const outcomes = await Promise.all(paths.map((path) => pool.run('survey', { path, overrides })));
  const surveyed: SurveyedFrame[] = [];
  outcomes.forEach((outcome, i) => {
    if (outcome.status === 'done') surveyed.push(outcome.result);
    else reject(rejected, paths[i], outcome.failure.message);
  });
  return surveyed;
}

function reject(rejected: Rejected[], path: string, reason: string): void {
  rejected.push({ file: basename(path), reason });
  note(`${basename(path)}: rejected: ${reason}`);
}

/** The one named, or the sharpest of those of the usual size that are not poor in stars. */
async function chooseReference(
  surveyed: readonly SurveyedFrame[], referencePath: string | null, overrides: HeaderOverrides, pool: SeriesPool,
): Promise<SurveyedFrame> {
  if (referencePath !== null) {
    const known = surveyed.find(({ file }) => file.path === referencePath);
    if (known) return known;
    const outcome = await pool.run('survey', { path: referencePath, overrides });
    if (outcome.status === 'done') return outcome.result;
    throw new Error(`the reference ${basename(referencePath)} cannot be used: ${outcome.failure.message}`);
  }
  if (surveyed.length === 0) throw new Error('no frame can be used');
  const sizeOf = ({ file }: SurveyedFrame) => `${file.width} × ${file.height}`;
  const counts = new Map<string, number>();
  for (const frame of surveyed) counts.set(sizeOf(frame), (counts.get(sizeOf(frame)) ?? 0) + 1);
  const usual = [...counts].sort((a, b) => b[1] - a[1])[0][0];
  const candidates = surveyed.filter((frame) => sizeOf(frame) === usual);
  const starCounts = candidates.map(({ stars }) => stars.stars.length).sort((a, b) => a - b);
  const rich = candidates.filter(({ stars }) => stars.stars.length >= starCounts[starCounts.length >> 1]);
  return rich.reduce((best, frame) => (frame.stars.fwhmPx < best.stars.fwhmPx ? frame : best));
}

async function registerFrames(
  surveyed: readonly SurveyedFrame[], reference: SurveyedFrame, pool: SeriesPool, rejected: Rejected[],
): Promise<Placed[]> {
  const { width, height } = reference.file, placed: Placed[] = [];
  await Promise.all(surveyed.map(async (frame) => {
    if (frame.file.width !== width || frame.file.height !== height) {
      reject(
        rejected, frame.file.path,
        `${frame.file.width} × ${frame.file.height} pixels, the reference has ${width} × ${height}`,
      );
      return;
    }
    const outcome = await pool.run('register', { frame: frame.stars, reference: reference.stars, width, height });
    if (outcome.status === 'failed') reject(rejected, frame.file.path, outcome.failure.message);
    else placed.push({ surveyed: frame, registration: outcome.result });
  }));
  return placed.sort((a, b) => a.surveyed.file.header.midMjd - b.surveyed.file.header.midMjd
    || (a.surveyed.file.path < b.surveyed.file.path ? -1 : 1));
}

async function buildPlan(
  instrument: string, placed: readonly Placed[], reference: SurveyedFrame, overrides: HeaderOverrides,
  dataDir: string, pool: SeriesPool,
  frameCount: number, rejected: readonly Rejected[],
): Promise<SeriesPlan> {
  const { width, height, units } = reference.file;
  const dayObs = dayObsOf(placed[0].surveyed);
  const frames = placed.map((one, index) => seriesFrame(one, dayObs, index + 1));
  const { wcs, scaleArcsec } = referenceSky(reference);
  const band = bandOf(reference.file.header.filter);
  const folder = seriesPaths.folder(dataDir, instrument), templatePath = seriesPaths.template(dataDir, instrument);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const own = seriesFrame({ surveyed: reference, registration: IN_PLACE }, dayObs, 0);
  // A reference from elsewhere is no visit, but as good for the template as any.
  const candidates = frames.some(({ checksum }) => checksum === own.checksum) ? frames : [own, ...frames];
  if (candidates.length === 1) throw new Error(`only ${own.file} can be used, and nothing to compare it with`);
  const chosen = chooseTemplateFrames(candidates).map((index) => candidates[index]);
  const outcome = await pool.run(
    'template',
    { frames: chosen, reference: own, referenceWcs: wcs, overrides, width, height, band, path: templatePath },
  );
  if (outcome.status === 'failed') throw new Error(`no template can be made: ${outcome.failure.message}`);
  const { checksum, fwhmPx, psfStarCount } = outcome.result;
  noteAssumptions(reference, scaleArcsec);
  note(`template of ${chosen.length} frames, FWHM ${fwhmPx.toFixed(2)} px, PSF of ${psfStarCount} stars, `
    + `on the pixels of ${own.file}`);
  const manifest: SeriesManifest = {
    version: 1, instrument, dayObs, reference: own.file, referenceWcs: wcs,
    pointing: pixelToSky(wcs, (width - 1) / 2, (height - 1) / 2),
    camera: seriesCamera(
      instrument, width, height, scaleArcsec, units, new Map(frames.map((f) => [f.physicalFilter, f.band])),
    ),
    overrides, associate: associationOf(frames, scaleArcsec), frames,
    template: { file: basename(templatePath), checksum, frames: chosen.map(({ file }) => file), fwhmPx },
  };
  return { manifest, manifestDigest: writeManifest(dataDir, manifest), frameCount, rejected };
}

const IN_PLACE: Registration = {
  toReference: { a: 1, b: 0, c: 0, d: 0, e: 1, f: 0 }, pairCount: 0, rmsPx: 0, fluxRatio: 1,
};

function seriesFrame(
  { surveyed: { file, stars }, registration }: Placed, dayObs: DayObs, sequence: number,
): SeriesFrame {
  const { header, path, checksum, bytes } = file;
  return {
    file: basename(path), path, checksum, bytes,
    visit: visitOf(dayObs, sequence), exposure: exposureOf(dayObs, sequence),
    group: `${dayObs}-${String(sequence).padStart(5, '0')}`,
    midMjd: header.midMjd, midpointMjdTai: header.midpointMjdTai,
    exposureSeconds: header.exposureSeconds, band: bandOf(header.filter), physicalFilter: header.filter ?? 'unknown',
    fwhmPx: stars.fwhmPx, skyAdu: stars.skyAdu, skySigmaAdu: stars.skySigmaAdu,
    toReference: registration.toReference, fluxRatio: registration.fluxRatio,
  };
}

/**
 * Night of the first frame. Ids hold days from 2010 on: an older series is numbered from there, its times stay true.
 */
function dayObsOf({ file }: SurveyedFrame): DayObs {
  const dayObs = dayObsOfMjdTai(file.header.midpointMjdTai);
  if (dayObs >= FIRST_DAY && dayObs <= LAST_DAY) return dayObs;
  note(`night ${dayObs} cannot be part of an id; the visits are numbered as of ${FIRST_DAY}`);
  return FIRST_DAY;
}

/** The reference's own WCS without its distortion, or north up about its pointing at the pixel scale known. */
function referenceSky({ file }: SurveyedFrame): { wcs: Wcs; scaleArcsec: number } {
  const { header, width, height } = file, scaleArcsec = header.pixelScaleArcsec ?? 1, scaleDeg = scaleArcsec / 3600;
  const { raDeg, decDeg } = header.pointing ?? { raDeg: 0, decDeg: 0 };
  const plain: Wcs = {
    crval: [raDeg, decDeg], crpix: [(width - 1) / 2, (height - 1) / 2], cd: [-scaleDeg, 0, 0, scaleDeg], sip: null,
  };
  return { wcs: header.wcs ? { ...header.wcs, sip: null } : plain, scaleArcsec };
}

/**
 * Seeing and registration decide how far from its object a source is found, not the arcseconds of a survey telescope.
 */
function associationOf(frames: readonly SeriesFrame[], scaleArcsec: number): SeriesManifest['associate'] {
  const { matchRadiusFwhm, sigmaFloorPx, sigmaFallbackFwhm } = seriesConfig.association;
  const fwhmArcsec = median(frames.map(({ fwhmPx }) => fwhmPx)) * scaleArcsec;
  return {
    matchRadiusArcsec: matchRadiusFwhm * fwhmArcsec, sigmaFloorArcsec: sigmaFloorPx * scaleArcsec,
    sigmaFallbackArcsec: sigmaFallbackFwhm * fwhmArcsec,
  };
}

function noteAssumptions({ file }: SurveyedFrame, scaleArcsec: number): void {
  const { header, units } = file, assumed: string[] = [];
  if (header.gainElectronsPerAdu === null) assumed.push(`gain ${units.gainElectronsPerAdu} e⁻/ADU`);
  if (header.readNoiseElectrons === null) assumed.push(`read noise ${units.readNoiseElectrons} e⁻`);
  const { saturationAdu } = units;
  const saturation = saturationAdu === Infinity ? 'no saturation' : `saturation ${Math.round(saturationAdu)} ADU`;
  if (header.saturationAdu === null) assumed.push(saturation);
  if (header.pixelScaleArcsec === null && header.wcs === null) assumed.push(`${scaleArcsec}″ a pixel`);
  if (header.pointing === null && header.wcs === null) assumed.push('pointing 0, 0');
  if (header.filter === null) assumed.push('band r');
  if (assumed.length > 0) note(`headers do not tell, assumed: ${assumed.join(', ')}`);
}
