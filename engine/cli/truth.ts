/** `vesper truth`: what a recorded detector really saw, as CSV or JSON. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCamera, type Camera } from '../../schemas/camera.ts';
import type { DetectorId } from '../../schemas/ids.ts';
import { readManifest, type Manifest } from '../../simulator/recording.ts';
import { recordPaths } from '../../simulator/recordPaths.ts';
import type { TruthOptions } from '../setup/arguments.mjs';
import { toJson } from './output.ts';

export async function runTruth(directory: string, options: TruthOptions): Promise<number> {
  const manifest = readManifest(directory);
  if (!manifest) throw new Error(`${directory} holds no recording; vesper simulate writes one`);
  const detector = detectorNamed(loadCamera(manifest.camera), manifest, options.detector);
  const exposures = manifest.exposures.filter(
    ({ exposure }) => options.exposure === null || String(exposure) === options.exposure,
  );
  if (exposures.length === 0) throw new Error(`${directory} holds no exposure ${options.exposure}`);
  if (options.what === 'artifacts') {
    const documents = exposures.flatMap(({ exposure }) => {
      const text = readText(
        join(directory, recordPaths(manifest.instrument, manifest.dayObs).artifacts(exposure, detector)),
      );
      return text === null ? [] : [JSON.parse(text) as unknown]; // Written by the simulator as a whole.
    });
    await write(options.json ? [toJson(documents)] : documents.map((document) => JSON.stringify(document, null, 1)));
    return 0;
  }
  const rows = exposures.filter(
    ({ observationType }) => observationType === 'science' || observationType === 'engineering',
  )
    .flatMap(({ exposure }) => rowsOf(directory, manifest, exposure, detector, options.what));
  await write(options.json ? [toJson(rows.map((row) => row.values))] : csvOf(rows));
  return 0;
}

type Row = Readonly<{ values: Readonly<Record<string, string | number>> }>;

/** Ids stay text: they have 64 bits. */
const TEXT_COLUMNS = new Set(['sourceId', 'kind']);

function rowsOf(
  directory: string, manifest: Manifest, exposure: Manifest['exposures'][number]['exposure'], detector: DetectorId,
  what: TruthOptions['what'],
): Row[] {
  const paths = recordPaths(manifest.instrument, manifest.dayObs);
  const text = readText(
    join(directory, what === 'changed' ? paths.changed(exposure) : paths.sources(exposure, detector)),
  );
  if (text === null) return [];
  const [header, ...lines] = text.trim().split('\n'), names = header.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    const values: Record<string, string | number> = { exposure };
    names.forEach((name, i) => { values[name] = TEXT_COLUMNS.has(name) ? cells[i] : Number(cells[i]); });
    return { values };
  }).filter(({ values }) => what === 'sources' || values['detector'] === detector);
}

function csvOf(rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  return [
    Object.keys(rows[0].values), ...rows.map(({ values }) => Object.values(values)),
  ].map((cells) => cells.join(','));
}

/** Waits until all has left: a pipe holds 64 kB, and the process ends right after its command. */
async function write(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await new Promise<void>((resolve, reject) => {
    const ended = (error?: Error | null): void => {
      // A reader that has seen enough, as `head` has, is no fault.
      if (error && !('code' in error && error.code === 'EPIPE')) reject(error); else resolve();
    };
    process.stdout.once('error', ended);
    process.stdout.write(`${lines.join('\n')}\n`, ended);
  });
}

function detectorNamed(camera: Camera, manifest: Manifest, text: string): DetectorId {
  const detector = camera.detectors.find(({ id, name }) => name === text || String(id) === text);
  if (!detector) throw new Error(`camera ${camera.name} has no detector "${text}"`);
  if (!manifest.detectors.includes(detector.id)) {
    throw new Error(`the recording has no detector ${text}; it has ${manifest.detectors.join(', ')}`);
  }
  return detector.id;
}

function readText(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}
