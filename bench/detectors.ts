/**
 * What does a detector cost from its raw file to rows and cutouts, and how long would all 189 of LSSTCam take on the
 * cores of this machine? Detectors of a rendered night go through the pool of workers as in a night; their products are
 * checked before, as a night does while the shutter is open. Association, packets and streams have their own benches.
 *
 * CPU time is the whole process's, its other threads included; wall time counts only on free cores.
 *
 *     vesper simulate night --camera LSSTCam --detectors R22 --visits 2 --products --out night/
 *     node bench/detectors.ts night/ [--threads 2] [--json] [--keep]
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ProductCatalog } from '../engine/archive/productCatalog.ts';
import { runDigests } from '../engine/cli/digests.ts';
import { detectorProcess, warmProducts } from '../engine/cli/processDetector.ts';
import { readRecordedNight } from '../engine/cli/recordedNight.ts';
import { boresightOf } from '../engine/preload.ts';
import { createFileChecker } from '../engine/workers/fileChecker.ts';
import { createDetectorPool } from '../engine/workers/pool.ts';
import { loadCamera } from '../schemas/camera.ts';
import type { ObservatoryEvent } from '../schemas/events.ts';
import type { CommitPosition } from '../schemas/ids.ts';
import { benchResult, reportResult, spreadOf, type Spread } from './harness.ts';

const { values, positionals: [folder] } = parseArgs({ allowPositionals: true, options: {
  threads: { type: 'string', default: String(availableParallelism()) },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
if (folder === undefined) throw new Error('the folder of a rendered night with products is required');
/** Science detectors of LSSTCam. */
const WHOLE_CAMERA = 189;
const night = readRecordedNight(resolve(folder)), camera = loadCamera(night.opened.instrument);
const facts = night.events.map(({ event }) => event), threads = Number(values.threads);
const of = <T extends ObservatoryEvent['type']>(type: T) => facts.filter(
  (event): event is Extract<ObservatoryEvent, { type: T }> => event.type === type);
const announced = new Map(of('NextVisitAnnounced').map((visit) => [visit.groupId, visit]));
const ended = new Map(of('ExposureEnded').map((exposure) => [exposure.visit, exposure])), reads = of('DetectorRead');
const catalog = new ProductCatalog(night.folder, camera.name), checker = createFileChecker();
const pool = createDetectorPool(threads), samples: Record<string, number[]> = {};
const processDetector = detectorProcess(camera, night.folder, catalog, pool, runDigests(), checker);

/** Runs one detector; returns how many sources it has. */
async function measured(read: (typeof reads)[number]): Promise<number> {
  const exposure = ended.get(read.visit), visit = announced.get(read.group);
  if (exposure === undefined || visit === undefined) throw new Error(`visit ${read.visit} was not announced and exposed`);
  const outcome = await processDetector({
    ended: exposure, read, boresight: boresightOf(visit), attempt: 0, known: [], knownPosition: 0 as CommitPosition,
  });
  if (outcome.status === 'failed') throw new Error(`detector ${read.detector}: ${outcome.failure.message}`);
  for (const { event } of outcome.progress) {
    if ('durationMs' in event) (samples[`${event.type}, wall ms`] ??= []).push(event.durationMs);
  }
  return outcome.measurements.measured.length;
}

const figures: Record<string, Spread> = {};
let sources = 0;
try {
  const begunMs = performance.now();
  for (const visit of announced.values()) {
    await warmProducts(camera, catalog, checker, visit, boresightOf(visit), night.opened.dayObs);
  }
  figures['before readout: files checked, wall s a detector'] = spreadOf(
    [(performance.now() - begunMs) / 1000 / reads.length]);
  // Each worker compiles its kernels and its code.
  await Promise.all(reads.slice(0, 2 * threads).map(measured));
  for (const name of Object.keys(samples)) samples[name] = [];
  const cpu = process.cpuUsage(), startMs = performance.now();
  sources = (await Promise.all(reads.map(measured))).reduce((sum, count) => sum + count, 0);
  const { user, system } = process.cpuUsage(cpu), seconds = (performance.now() - startMs) / 1000;
  const cpuSeconds = (user + system) / 1e6 / reads.length;
  figures['CPU of a detector, s'] = spreadOf([cpuSeconds]);
  figures['wall of a detector, s'] = spreadOf([seconds / reads.length]);
  figures[`wall of ${WHOLE_CAMERA} detectors, s`] = spreadOf([(WHOLE_CAMERA * seconds) / reads.length]);
  figures[`CPU of ${WHOLE_CAMERA} detectors over ${threads} threads, s`] = spreadOf(
    [(WHOLE_CAMERA * cpuSeconds) / threads]);
  for (const [name, all] of Object.entries(samples)) figures[name] = spreadOf(all);
} finally {
  await Promise.all([pool.close(), checker.close()]);
}
reportResult(benchResult({
  bench: 'detectors', question: 'raw files of real-size detectors to rows and cutouts',
  size: { detectors: reads.length, threads, sources }, figures, checksum: String(sources),
}), { json: values.json, keep: values.keep });
