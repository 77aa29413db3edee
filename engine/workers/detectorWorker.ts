/**
 * A worker of the detector pool: reads a detector's files into its arena, runs the pipeline, and returns rows, never
 * pixels.
 */
import { Piscina, transferableSymbol, valueSymbol } from 'piscina';
import { loadCamera, detectorOf, type Camera, type Detector } from '../../schemas/camera.ts';
import type { PipelineEvent, StageName } from '../../schemas/events.ts';
import { engineConfig } from '../config.ts';
import { StageError } from '../errors.ts';
import { arenaViews, createArena, planArena, type ArenaPlan, type ArenaViews } from '../image/arena.ts';
import { readElectronics } from '../image/electronics.ts';
import { readCalibrationPlane } from '../image/calibrationPlane.ts';
import { FitsError } from '../image/fits.ts';
import { setCheckpoint } from '../kernels/bands.ts';
import { loadKernels } from '../kernels/kernels.ts';
import { rawPixelCount, readRawExposure } from '../image/rawExposure.ts';
import { readObjectCatalogue, type ObjectCatalogue } from '../image/objectCatalogue.ts';
import { openReferences, ReferenceError, type ReferenceCatalogue, type ReferenceStar } from '../image/references.ts';
import { readTemplate, readTemplateSize } from '../image/template.ts';
import { DETECTOR_PIPELINE, FAKES_PIPELINE, type DetectorInputs, type DetectorRun, type PipelineStep } from '../pipeline.ts';
import { declinationsOf, detectorFootprint, insideOf } from '../preload.ts';
import type {
  DetectorMeasurements, DetectorOutcome, DetectorTask, InputFile, TaskFailure, TimedEvent, WorkerSetting,
} from './detectorTask.ts';
import { ChecksumError, requireChecksum, requireChecksumOnce } from './inputFiles.ts';
import { lowestPriority } from './priority.ts';

// The pool's own setting.
if ((Piscina.workerData as WorkerSetting | undefined)?.isBackground) lowestPriority();

/** Runs one task; the cutouts' bytes are handed over, not copied. */
export default function runDetectorTask(task: DetectorTask): unknown {
  const outcome = processDetector(task);
  const cutouts = outcome.status === 'measured' ? outcome.measurements.cutouts : null;
  if (cutouts === null || cutouts.byteLength !== cutouts.buffer.byteLength) return outcome;
  const moved = { [transferableSymbol]: [cutouts.buffer], [valueSymbol]: outcome };
  return Piscina.move(moved as unknown as ArrayBuffer); // Its own type names symbols that it does not export.
}

/** Runs one task. Expected failures are results; anything else is a bug and ends the worker. */
function processDetector(task: DetectorTask): DetectorOutcome {
  const progress: TimedEvent[] = [];
  let stage: StageName = 'ingest';
  try {
    const run = ingest(task);
    for (const step of task.fakes ? FAKES_PIPELINE : DETECTOR_PIPELINE) {
      stage = step.stage;
      requireTime(task);
      const startMs = performance.now();
      const figures = step.run(run);
      const event = progressOf(task, step, run, figures, performance.now() - startMs);
      if (event) progress.push({ event, atMs: Date.now() });
    }
    return {
      status: 'measured', knownPosition: task.knownPosition, measurements: measurementsOf(task, run), progress,
    };
  } catch (error) {
    return { status: 'failed', failure: failureOf(error, stage), progress };
  }
}

const cameras = new Map<string, Camera>();

function cameraOf(name: string): Camera {
  let camera = cameras.get(name);
  if (!camera) cameras.set(name, camera = loadCamera(name));
  return camera;
}

/** Files into planes. Each file must be the one that was named, by its digest. */
function ingest(task: DetectorTask): DetectorRun {
  const camera = cameraOf(task.camera), detector = detectorOf(camera, task.detector);
  requireChecksum(task.raw);
  for (const file of [
    task.bias, task.flat, task.dark, task.fringe, task.electronics, task.template, task.references, task.objects,
  ]) {
    if (file) requireChecksumOnce(file);
  }
  const planes = arenaFor(detector, readTemplateSize(task.template.path));
  // Long kernels look up between two bands of rows, so that no stage outlives its detector's time.
  setCheckpoint(planes.visit.image, () => { requireTime(task); });
  const raw = readRawExposure(task.raw.path, detector, planes.raw);
  if (raw.exposure !== task.exposure) {
    throw new StageError({
      code: 'RAW_OF_ANOTHER_EXPOSURE', disposition: 'reject',
      message: `${task.raw.path} is of exposure ${raw.exposure}, expected ${task.exposure}`,
    });
  }
  const { template, wcs: templateWcs } = readTemplate(task.template.path, () => planes.template);
  const inputs: DetectorInputs = {
    visit: task.visit, camera, detector, band: task.band, exposureSeconds: task.exposureSeconds,
    midpointMjdTai: task.midpointMjdTai,
    boresight: task.boresight, observation: { target: raw.target, reason: raw.reason }, rawAmps: raw.amps,
    bias: readCalibrationPlane(task.bias.path, detector, planes.bias),
    flat: readCalibrationPlane(task.flat.path, detector, planes.flat),
    dark: task.dark && readCalibrationPlane(task.dark.path, detector, planes.dark),
    fringe: task.fringe && readCalibrationPlane(task.fringe.path, detector, planes.fringe),
    electronics: task.electronics && readElectronics(task.electronics.path, detector),
    references: referencesOf(task, camera, detector), objects: task.objects && objectsOf(task.objects),
    template, templateWcs,
    known: task.known, ...(task.fakes && { fakes: task.fakes }),
  };
  return { inputs, planes };
}

/**
 * The arena of this worker: one detector is in flight here at a time, so it is used again while the sizes stay the
 * same.
 */
let arena: { plan: ArenaPlan; views: ArenaViews } | null = null;

function arenaFor(detector: Detector, template: Readonly<{ width: number; height: number }>): ArenaViews {
  const plan = planArena(detector.width, detector.height, template.width, template.height, rawPixelCount(detector));
  const { width, height, templateWidth, templateHeight, rawPixels } = plan;
  const isSame = arena !== null && arena.plan.width === width && arena.plan.height === height
    && arena.plan.rawPixels === rawPixels
    && arena.plan.templateWidth === templateWidth && arena.plan.templateHeight === templateHeight;
  if (arena === null || !isSame) {
    const memory = createArena(plan);
    loadKernels(memory, plan.planes.kernelWork.offset);
    arena = { plan, views: arenaViews(memory, plan) };
  }
  return arena.views;
}

/** The last catalogue opened: detectors of a visit share it. */
let lastReferences: { key: string; catalogue: ReferenceCatalogue } | null = null;

/** The stars about a detector. */
function referencesOf(task: DetectorTask, camera: Camera, detector: Detector): ReferenceStar[] {
  const key = `${task.references.checksum} ${task.band}`;
  if (lastReferences?.key !== key) {
    lastReferences = { key, catalogue: openReferences(task.references.path, task.band) };
  }
  const footprint = detectorFootprint(camera, detector, task.boresight);
  const cone = { ...footprint, radiusDeg: footprint.radiusDeg + engineConfig.referencePaddingArcsec / 3600 };
  return lastReferences.catalogue.stars(insideOf(cone), declinationsOf(cone));
}

/** The catalogues read last, by digest: a field's detectors come by turns, visit after visit. */
const objectCatalogues = new Map<string, ObjectCatalogue>();
/** At 40 bytes an object and 10,000 of them a detector: 13 MB. */
const OBJECT_CATALOGUES_HELD = 32;

function objectsOf({ path, checksum }: InputFile): ObjectCatalogue {
  const held = objectCatalogues.get(checksum) ?? readObjectCatalogue(path);
  objectCatalogues.delete(checksum); // Put again, it is the last to be dropped.
  objectCatalogues.set(checksum, held);
  const [oldest] = objectCatalogues.keys();
  if (objectCatalogues.size > OBJECT_CATALOGUES_HELD) objectCatalogues.delete(oldest);
  return held;
}

function requireTime(task: DetectorTask): void {
  if (Atomics.load(task.cancel, 0) === 0) return;
  throw new StageError({
    code: 'DETECTOR_OUT_OF_TIME', disposition: 'reject',
    message: `detector ${task.detector} of visit ${task.visit} was out of time`,
  });
}

/** The event of a step; the two last steps have none of their own. */
function progressOf(
  task: DetectorTask, step: PipelineStep, run: DetectorRun, figures: Readonly<Record<string, number>>,
  durationMs: number,
): PipelineEvent | null {
  const { instrument, group, visit, exposure, detector, attempt } = task;
  const names = { instrument, group, visit, exposure, detector, attempt, durationMs };
  switch (step.name) {
    case 'InstrumentSignatureRemoved': case 'VisitImageCalibrated': case 'ImageDifferenced':
      return { ...names, type: step.name, figures };
    case 'DiaSourcesDetected': return { ...names, type: step.name, detected: run.detections?.detected ?? 0 };
    case 'DiaSourcesMeasured': return {
      ...names, type: step.name, measured: run.measured?.rows.length ?? 0, droppedByReason: droppedByReason(run),
    };
    default: return null;
  }
}

function measurementsOf(task: DetectorTask, run: DetectorRun): DetectorMeasurements {
  const { calibrated, difference, detections, measured, recovered, forced = recovered && [] } = run;
  if (!calibrated || !difference || !detections || !measured || !forced) {
    throw new Error('the pipeline ended without its products');
  }
  return {
    outcome: 'alerts', measured: measured.rows, detected: detections.detected, droppedByReason: droppedByReason(run),
    forced: task.known.flatMap((known, i) => {
      // An object off the detector, or without a good pixel, has no measurement and so no row.
      const { psfFlux, scienceFlux } = forced[i];
      return psfFlux === null && scienceFlux === null ? [] : [{ ...known, ...forced[i] }];
    }),
    ...(run.inputs.observation && { observation: run.inputs.observation }),
    cutouts: run.cutouts ?? null, ...(recovered && { recovered }),
    summary: finite({
      ...isrSummary(run), ...calibrated.figures, ...difference.figures, noiseScale: detections.noiseScale,
      ...skySummary(run),
    }),
    inputs: {
      raw: task.raw.checksum, bias: task.bias.checksum, flat: task.flat.checksum, template: task.template.checksum,
      ...(task.dark && { dark: task.dark.checksum }), ...(task.fringe && { fringe: task.fringe.checksum }),
      ...(task.electronics && { electronics: task.electronics.checksum }),
      ...(task.objects && { objects: task.objects.checksum }),
      references: task.references.checksum, ...task.digests,
    },
  };
}

/** The steps of the ISR that depend on what was known of the detector, with their parameters. */
function isrSummary({ isrFigures }: DetectorRun): Record<string, number> {
  if (isrFigures === undefined) return {};
  const { serialCti, parallelCti, repulsionX, repulsionY, fringeSkyElectrons, degradedCount } = isrFigures;
  return {
    isrSerialCti: serialCti, isrParallelCti: parallelCti, isrRepulsionX: repulsionX, isrRepulsionY: repulsionY,
    isrFringeSkyElectrons: fringeSkyElectrons, isrStepsLeftOut: degradedCount,
  };
}

/** Level and noise of the difference where nothing was detected, by fluxes over their errors. */
function skySummary({ skySources }: DetectorRun): Record<string, number> {
  if (skySources === undefined) return {};
  const { count, meanPull, pullScatter } = skySources;
  return { skySources: count, skyMeanPull: meanPull ?? NaN, skyPullScatter: pullScatter ?? NaN };
}

/** What detection and measurement dropped, by reason. */
function droppedByReason({ detections, measured }: DetectorRun): Record<string, number> {
  const total: Record<string, number> = {};
  for (const reasons of [detections?.droppedByReason, measured?.droppedByReason]) {
    for (const [reason, count] of Object.entries(reasons ?? {})) total[reason] = (total[reason] ?? 0) + count;
  }
  return total;
}

/** A figure that could not be computed is left out: absent, not NaN. */
function finite(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)));
}

/** @throws what is no expected failure. */
function failureOf(error: unknown, stage: StageName): TaskFailure {
  if (error instanceof StageError) {
    const { code, message, disposition, details } = error;
    return { stage: error.stage ?? stage, code, message, disposition, details };
  }
  if (error instanceof FitsError || error instanceof ReferenceError || error instanceof ChecksumError) {
    return {
      stage: 'ingest', code: error instanceof FitsError ? error.code : error.name.toUpperCase(),
      message: error.message, disposition: 'retry', details: {},
    };
  }
  throw error;
}
