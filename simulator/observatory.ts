/**
 * Performs a night: announces visits, exposes, reads out, and writes what a real observatory would have written.
 *
 * It knows nothing of transports: `publish` takes each event with its message id. The clock is handed in as well;
 * times of the survey (38 s from visit to visit) shrink by `cadenceSeconds` / 38. Frames are rendered while the sky
 * is "exposed", and when that takes longer the schedule slips: no frame is announced before it is there.
 */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { Camera } from '../schemas/camera.ts';
import type { ObservatoryEvent } from '../schemas/events.ts';
import type { DayObs, DetectorId } from '../schemas/ids.ts';
import { productPaths } from '../schemas/products.ts';
import { subjectToken } from '../schemas/subjects.ts';
import { mjdTaiOfDayObs } from '../schemas/time.ts';
import type { Band } from '../schemas/units.ts';
import { nightConfig } from './config.ts';
import {
  checkFaultRates, detectorFault, isVisitCanceled, NO_FAULTS, readCount, type DetectorFault, type FaultRates,
} from './faults.ts';
import { discardStaged, publishStaged, removeStaged, writeWhole } from './files.ts';
import { DEMONSTRATION, type SimulationModel } from './model.ts';
import { NOTHING_DONE, timesDone, timesRead, type NightProgress } from './nightProgress.ts';
import { createEventMaker, type IdentifiedEvent } from './observatoryEvents.ts';
import { createProductStore } from './productStore.ts';
import { createRenderer } from './render.ts';
import type { RenderResults } from './renderTasks.ts';
import { distinctFields, planNight, type Field, type PlannedVisit } from './schedule.ts';
import { exposureCommands, openingCommands, telemetryAt, type SummitNight } from './summit.ts';
import { encodeTruth } from './truth.ts';

export type ObservatoryOptions = Readonly<{
  dataDir: string; instrument: string; camera: Camera; seed: number; dayObs: DayObs; visits: number;
  /** Wall-clock seconds from the start of one visit to the next. */
  cadenceSeconds: number;
  /** Resolves when the event is safely in the log. */
  publish: (event: ObservatoryEvent, messageId: string) => Promise<void>;
  /** Unix ms. */
  now: () => number;
  sleepUntil: (unixMs: number) => Promise<void>;
  /** What the log already holds of this night: `progressOf(events)`. */
  alreadyDone?: NightProgress;
  faults?: Partial<FaultRates>;
  bands?: readonly Band[]; fields?: readonly Field[];
  /** Sky and effects; the demonstration's without. */
  model?: SimulationModel;
  /** Threads of the render pool. */
  threads?: number;
  /** One line of progress for people. */
  report?: (line: string) => void;
  /** Ends the night early: no further visit is begun, the night is not closed. */
  signal?: AbortSignal;
}>;

export type Observatory = Readonly<{
  plan: readonly PlannedVisit[];
  /** Resolves when NightClosed is published, or `signal` stopped the night. May be called once. */
  run: () => Promise<void>;
  /** Ends the pool's threads and removes frames that were rendered but not read. */
  close: () => Promise<void>;
}>;

/** The summit is made ready five minutes before the first exposure. */
const OPENING_DAYS = 300 / 86400;

type Frame = RenderResults['exposure'];

/** @throws Error of one line when the arguments ask for what the camera or the sky does not have. */
export function createObservatory(options: ObservatoryOptions): Observatory {
  const { dataDir, instrument, camera, seed, dayObs, now, sleepUntil, cadenceSeconds } = options;
  checkArguments(options);
  const rates = { ...NO_FAULTS, ...options.faults };
  checkFaultRates(rates);
  const plan = planNight({
    dayObs, visitCount: options.visits, seed, camera,
    ...(options.bands && { bands: options.bands }), ...(options.fields && { fields: options.fields }),
  });
  const done = options.alreadyDone ?? NOTHING_DONE;
  const events = createEventMaker(instrument, camera, dayObs), night: SummitNight = { instrument, dayObs, seed };
  const model = options.model ?? DEMONSTRATION;
  const renderer = createRenderer({ dataDir, instrument, camera, seed, model }, options.threads);
  const products = createProductStore({
    dataDir, instrument, camera, seed, dayObs, renderer, model, fields: distinctFields(plan),
  });
  const scale = cadenceSeconds / nightConfig.cadenceSeconds;
  const wallMs = (surveySeconds: number): number => surveySeconds * scale * 1000;
  const stragglers: Promise<void>[] = [];

  const faultOf = (visit: PlannedVisit, detector: DetectorId): DetectorFault =>
    detectorFault(rates, seed, visit.exposure, detector);
  const isCanceled = (visit: PlannedVisit): boolean => isVisitCanceled(rates, seed, visit.exposure);

  async function publishOnce({ event, id }: IdentifiedEvent): Promise<void> {
    if (timesDone(done, event) === 0) await options.publish(event, id);
  }

  function isFinished(visit: PlannedVisit): boolean {
    if (isCanceled(visit)) return timesDone(done, events.nextVisitCanceled(visit).event) > 0;
    if (timesDone(done, events.exposureEnded(visit).event) === 0) return false;
    return camera.detectors.every(({ id }) => timesRead(done, visit.group, id) >= readCount(faultOf(visit, id)));
  }

  /** Renders every detector of a visit, also those already read: truth is of the whole visit. */
  async function renderVisit(visit: PlannedVisit): Promise<Frame[]> {
    return Promise.all(camera.detectors.map(({ id }) =>
      renderer.run<'exposure'>({ task: 'exposure', dayObs, detector: id, plan: visit })));
  }

  /** Products first, then the frames: the former gate the announcement, the latter the readout. */
  function prepare(visit: PlannedVisit): { products: Promise<void>; frames: Promise<Frame[]> } {
    const ready = products.ensure(visit.field, visit.band);
    const frames = isCanceled(visit) ? Promise.resolve([]) : ready.then(() => renderVisit(visit));
    frames.catch(() => undefined); // Whoever awaits `frames` sees the failure; until then it is not unhandled.
    return { products: ready, frames };
  }

  /**
   * Resolves with the earliest moment at which the visit may start: when its products are late, so is its
   * announcement.
   */
  async function announce(visit: PlannedVisit, ready: Promise<void>, startMs: number): Promise<number> {
    await ready;
    await sleepUntil(startMs - wallMs(nightConfig.announceAheadSeconds));
    const announcedMs = now();
    await publishOnce(events.nextVisitAnnounced(visit));
    return Math.max(startMs, announcedMs + wallMs(nightConfig.announceAheadMinSeconds));
  }

  async function readDetector(visit: PlannedVisit, detector: DetectorId, { file }: Frame): Promise<void> {
    const fault = faultOf(visit, detector), already = timesRead(done, visit.group, detector);
    if (already >= readCount(fault)) return discardStaged(file);
    const later = (): Promise<void> => sleepUntil(now() + wallMs(nightConfig.lateSeconds));
    const send = async (sent: Readonly<{ bytes: number; checksum: string }>, attempt: number): Promise<void> => {
      const { event, id } = events.detectorRead(visit, detector, sent, now(), attempt);
      await options.publish(event, id);
    };
    if (fault === 'late') await later();
    if (fault === 'truncated' && already === 0) {
      const half = writeWhole(file.path, readFileSync(file.staged).subarray(0, Math.floor(file.bytes / 2)));
      await send(half, 1);
      await later();
    }
    publishStaged(file);
    const attempt = fault === 'truncated' ? 2 : 1;
    if (fault !== 'twice' || already === 0) await send(file, attempt);
    if (fault === 'twice') {
      await later();
      await send(file, 2);
    }
  }

  async function readOut(visit: PlannedVisit, frames: readonly Frame[]): Promise<void> {
    const rows = frames.flatMap((frame) => frame.truth);
    writeWhole(join(dataDir, productPaths.truth(instrument, dayObs, visit.visit)), encodeTruth(rows));
    const prompt: Promise<void>[] = [];
    camera.detectors.forEach(({ id }, i) => {
      const fault = faultOf(visit, id);
      if (fault === 'neverRead') return discardStaged(frames[i].file);
      const read = readDetector(visit, id, frames[i]);
      (fault === 'none' ? prompt : stragglers).push(read);
      read.catch(() => undefined); // Awaited below, or at the night's end.
    });
    await Promise.all(prompt);
  }

  /** What the summit is told for a visit, and what it measures while the shutter is open. */
  async function publishSummit(visit: PlannedVisit): Promise<void> {
    const { filter, slew, take } = exposureCommands(night, visit, plan[plan.indexOf(visit) - 1]?.band ?? null);
    const facts = [filter, slew, take, telemetryAt(night, visit.actual, visit.midpointMjdTai)];
    for (const fact of facts) if (fact) await publishOnce(fact);
  }

  async function observe(visit: PlannedVisit, startMs: number, frames: Promise<Frame[]>): Promise<void> {
    await publishSummit(visit);
    await publishOnce(events.exposureStarted(visit));
    await sleepUntil(startMs + wallMs(visit.exposureSeconds));
    await publishOnce(events.exposureEnded(visit));
    await sleepUntil(startMs + wallMs(visit.exposureSeconds + nightConfig.readoutSeconds));
    const rendered = await frames;
    await readOut(visit, rendered);
    const renderMs = rendered.reduce((sum, frame) => sum + frame.renderMs, 0) / Math.max(1, rendered.length);
    const count = `${rendered.length} detectors read`;
    options.report?.(`visit ${visit.visit} ${visit.band}: ${count}, ${renderMs.toFixed(0)} ms to render each`);
  }

  async function run(): Promise<void> {
    removeStagedFiles(options); // Of a process that was killed.
    const { visits, seed: nightSeed } = options;
    await publishOnce(events.nightOpened({ visits, cadenceSeconds, camera: camera.name, seed: nightSeed }));
    for (const order of openingCommands(night, mjdTaiOfDayObs(dayObs) + nightConfig.eveningHours / 24 - OPENING_DAYS)) {
      await publishOnce(order);
    }
    const todo = plan.filter((visit) => !isFinished(visit));
    let prepared = todo.length > 0 ? prepare(todo[0]) : null;
    if (prepared) await prepared.products;
    let startMs = now() + wallMs(nightConfig.announceAheadSeconds);
    let announced = prepared ? announce(todo[0], prepared.products, startMs) : Promise.resolve(startMs);
    for (const [index, visit] of todo.entries()) {
      startMs = await announced;
      if (options.signal?.aborted || !prepared) break;
      if (isCanceled(visit)) await publishOnce(events.nextVisitCanceled(visit));
      await sleepUntil(startMs);
      const begunMs = Math.max(startMs, now());
      const frames = prepared.frames, next = todo[index + 1];
      startMs = begunMs + cadenceSeconds * 1000;
      prepared = next ? prepare(next) : null;
      if (next && prepared) announced = announce(next, prepared.products, startMs);
      announced.catch(() => undefined); // Awaited at the head of the loop.
      if (!isCanceled(visit)) await observe(visit, begunMs, frames);
    }
    await Promise.all(stragglers);
    if (options.signal?.aborted) return;
    await publishOnce(events.nightClosed(plan.length));
  }

  return {
    plan, run,
    close: async () => {
      await renderer.close();
      removeStagedFiles(options);
    },
  };
}

function removeStagedFiles({ dataDir, instrument, dayObs }: ObservatoryOptions): void {
  removeStaged(join(dataDir, 'raw', instrument, String(dayObs)));
  removeStaged(join(dataDir, 'truth', instrument, String(dayObs)));
  removeStaged(join(dataDir, 'products', instrument));
}

function checkArguments({ instrument, visits, cadenceSeconds, seed }: ObservatoryOptions): void {
  subjectToken(instrument);
  if (!Number.isInteger(visits) || visits < 0) throw new Error(`visits ${visits} is not a count`);
  if (!(cadenceSeconds > 0)) throw new Error(`cadence ${cadenceSeconds} s is not positive`);
  if (!Number.isSafeInteger(seed)) throw new Error(`seed ${seed} is not an integer`);
}
