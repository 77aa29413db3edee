/**
 * Records frames to a folder: rendered once, whole or not at all, the same bytes whenever and on however many cores.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Camera, Detector } from '../schemas/camera.ts';
import type { DayObs, DetectorId, Exposure } from '../schemas/ids.ts';
import { makeReferencesOf } from './calibrations.ts';
import { detectorFault, isVisitCanceled, type NightFaults } from './faults.ts';
import { readIfPresent, removeStaged, writeWhole } from './files.ts';
import { effectNames, type SimulationModel } from './model.ts';
import { nightEvents, type RecordedFile } from './recordEvents.ts';
import { EVENTS, MANIFEST, recordPaths } from './recordPaths.ts';
import type { FrameTask, RecordedFrame } from './recordTasks.ts';
import { createProductStore } from './productStore.ts';
import { createRenderer, type Renderer } from './render.ts';
import { distinctFields, type PlannedVisit } from './schedule.ts';
import { encodeTruth } from './truth.ts';

export type RecordingOptions = Readonly<{
  outDir: string; camera: Camera; detectors: readonly Detector[]; seed: number; dayObs: DayObs; model: SimulationModel;
  threads: number;
  /**
   * What the recording was asked for beyond the above: kept in the manifest, so that another one is not mistaken for
   * it.
   */
  request: Readonly<Record<string, unknown>>;
  faults: NightFaults | null; hasReferences: boolean;
  /** Also makes bias, flat, templates and references of every field and band, with their index. */
  hasProducts: boolean;
  /** One line of progress for people. */
  report?: (line: string) => void;
  signal?: AbortSignal;
}>;

export type Manifest = Readonly<{
  format: 1; camera: string; instrument: string; seed: number; dayObs: DayObs; sky: string; effects: readonly string[];
  compression: string;
  detectors: readonly DetectorId[]; request: Readonly<Record<string, unknown>>;
  exposures: readonly Readonly<{
    exposure: Exposure; visit: number; snap: number; observationType: string; band: string; exposureSeconds: number;
    startMjdTai: number; raDeg: number; decDeg: number;
  }>[];
  files: readonly Readonly<{
    path: string; bytes: number; checksum: string; exposure: Exposure; detector: DetectorId;
  }>[];
}>;

/** What was done, for people: times are no part of the files. */
export type RecordingSummary = Readonly<{
  manifest: Manifest; wasThere: boolean; frames: number; bytes: number; sources: number; changed: number;
  cpuSeconds: number;
}>;

export type FrameOrder = Omit<FrameTask, 'dayObs'>;

/**
 * Renders and writes every frame, then truth, events and last the manifest. A folder whose manifest says that the same
 * is there is left as it is.
 *
 * @throws Error of one line: the folder holds another recording, a place that cannot be observed, a disk that is full.
 */
export async function record(options: RecordingOptions, orders: readonly FrameOrder[]): Promise<RecordingSummary> {
  const { outDir, camera, detectors, dayObs } = options;
  const head = manifestHead(options, orders), present = readManifest(outDir);
  if (present) {
    const { files, ...presentHead } = present;
    if (JSON.stringify(presentHead) !== JSON.stringify(head)) {
      throw new Error(`${outDir} holds another recording; give an empty --out`);
    }
    return { ...summaryOf(present, []), wasThere: true, frames: files.length };
  }
  const paths = recordPaths(camera.name, dayObs), frames: RecordedFrame[] = [], files: Manifest['files'][number][] = [];
  const truncated = new Map<string, RecordedFile>();
  const renderer = createRenderer(
    { dataDir: outDir, instrument: camera.name, camera, seed: options.seed, model: options.model }, options.threads,
  );
  try {
    if (options.hasProducts) await makeProducts(options, orders, renderer);
    for (const [index, order] of orders.entries()) {
      if (options.signal?.aborted) throw new Error('stopped before the end; start again to begin afresh');
      const { plan } = order, exposed = detectors.filter(({ id }) => isExposed(options, plan, id));
      const done = await Promise.all(
        exposed.map(({ id }) => renderer.run<'frame'>({ task: 'frame', detector: id, frame: { dayObs, ...order } })),
      );
      done.forEach(({ path, bytes, checksum }, i) => {
        files.push({ path, bytes, checksum, exposure: plan.exposure, detector: exposed[i].id });
        if (
          options.faults && detectorFault(options.faults, options.seed, plan.exposure, exposed[i].id) === 'truncated'
        ) {
          truncated.set(path, writeTruncated(outDir, path, bytes));
        }
      });
      if (!order.light) {
        writeWhole(join(outDir, paths.changed(plan.exposure)), encodeTruth(done.flatMap(({ truth }) => truth)));
      }
      if (!order.light && options.hasReferences) {
        writeWhole(
          join(outDir, paths.references(plan.exposure)),
          makeReferencesOf(options.seed, camera, exposed, plan, options.model.sky),
        );
      }
      // Rows of truth are on disk now; a night of them would fill the memory.
      frames.push(...done.map((frame) => ({ ...frame, truth: [], changed: frame.truth.length })));
      options.report?.(
        `exposure ${plan.exposure} ${order.observationType} ${plan.band}: ${done.length} detectors, `
        + `${index + 1} of ${orders.length}`,
      );
    }
  } finally {
    await renderer.close();
    removeStaged(outDir);
  }
  const manifest: Manifest = { ...head, files };
  const plans = orders.filter(({ light }) => light === null).map(({ plan }) => plan);
  if (options.faults) {
    writeEvents(options, plans, new Map(files.map((file) => [`${file.exposure}/${file.detector}`, file])), truncated);
  }
  writeWhole(join(outDir, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  return summaryOf(manifest, frames);
}

/** Once for each field and band of the night's visits. */
async function makeProducts(
  { outDir, camera, detectors, seed, dayObs, model, report, signal }: RecordingOptions, orders: readonly FrameOrder[],
  renderer: Renderer,
): Promise<void> {
  const store = createProductStore({
    dataDir: outDir, instrument: camera.name, camera, detectors, seed, dayObs, renderer, model,
    fields: distinctFields(orders.map(({ plan }) => plan)),
  });
  for (const { plan, observationType } of orders) {
    if (signal?.aborted || observationType !== 'science') continue;
    await store.ensure(plan.field, plan.band);
    report?.(`products of ${plan.field.name} ${plan.band}`);
  }
}

function manifestHead(
  { camera, detectors, seed, dayObs, model, request }: RecordingOptions, orders: readonly FrameOrder[],
): Omit<Manifest, 'files'> {
  return {
    format: 1, camera: camera.name, instrument: camera.name, seed, dayObs, sky: model.sky,
    effects: effectNames(model.effects), compression: model.compression,
    detectors: detectors.map(({ id }) => id), request,
    exposures: orders.map(({ plan, observationType }) => ({
      exposure: plan.exposure, visit: plan.visit, snap: plan.snap ?? 0, observationType, band: plan.band,
      exposureSeconds: plan.exposureSeconds,
      startMjdTai: plan.startMjdTai, raDeg: plan.commanded.raDeg, decDeg: plan.commanded.decDeg,
    })),
  };
}

/** The manifest of a finished recording, or null. @throws Error of one line when it is unreadable. */
export function readManifest(outDir: string): Manifest | null {
  const path = join(outDir, MANIFEST), bytes = readIfPresent(path);
  if (bytes === null) return null;
  try {
    return JSON.parse(bytes.toString('utf8')) as Manifest; // Written by this file alone, and as a whole.
  } catch (error) {
    throw new Error(`${path} is not the manifest of a recording`, { cause: error });
  }
}

function isExposed({ faults, seed }: RecordingOptions, plan: PlannedVisit, detector: DetectorId): boolean {
  if (!faults) return true;
  return !isVisitCanceled(faults, seed, plan.visit as number as Exposure) // A visit is numbered as its first exposure.
    && detectorFault(faults, seed, plan.exposure, detector) !== 'neverRead';
}

function writeTruncated(outDir: string, path: string, bytes: number): RecordedFile {
  const name = path.replace(/\.fits$/, '_truncated.fits');
  return {
    path: name, ...writeWhole(join(outDir, name), readFileSync(join(outDir, path)).subarray(0, Math.floor(bytes / 2))),
  };
}

function writeEvents(
  { outDir, camera, detectors, dayObs, seed, faults }: RecordingOptions, plans: readonly PlannedVisit[],
  files: ReadonlyMap<string, RecordedFile>, truncated: ReadonlyMap<string, RecordedFile>,
): void {
  if (!faults) return;
  const events = nightEvents({
    camera: { ...camera, detectors }, dayObs, seed, plans, faults,
    visits: new Set(plans.map(({ visit }) => visit)).size,
    fileOf: (exposure, detector, isTruncated) => {
      const good = files.get(`${exposure}/${detector}`) ?? null;
      return isTruncated && good ? truncated.get(good.path) ?? null : good;
    },
  });
  writeWhole(join(outDir, EVENTS), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
}

function summaryOf(
  manifest: Manifest, frames: readonly (RecordedFrame & Readonly<{ changed?: number }>)[],
): RecordingSummary {
  const sum = (pick: (frame: (typeof frames)[number]) => number): number =>
    frames.reduce((total, frame) => total + pick(frame), 0);
  return {
    manifest, wasThere: false, frames: frames.length,
    bytes: manifest.files.reduce((total, { bytes }) => total + bytes, 0),
    sources: sum((frame) => frame.sources), changed: sum((frame) => frame.changed ?? 0),
    cpuSeconds: sum((frame) => frame.cpuMs) / 1000,
  };
}
