/**
 * The night's bookkeeping with the pixels, the log and the clock played: what is read is processed once, what fails
 * ends.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { engineConfig } from '../../engine/config.ts';
import { NightEngine, type NightPorts } from '../../engine/stream/nightEngine.ts';
import type { Deferral } from '../../engine/stream/associator.ts';
import type { DetectorOutcome } from '../../engine/workers/detectorTask.ts';
import { loadCamera } from '../../schemas/camera.ts';
import type { NextVisit, ObservatoryEvent } from '../../schemas/events.ts';
import { asDayObs, asDetectorId, exposureOf, visitOf, type CommitPosition } from '../../schemas/ids.ts';

const dayObs = asDayObs(20261001), group = 'g1', visit = visitOf(dayObs, 1), exposure = exposureOf(dayObs, 1);
const names = { instrument: 'minicam', dayObs, group, visit, exposure, snap: 0 };
const next: NextVisit = {
  salIndex: 1, scriptSalIndex: 1, groupId: group, coordinateSystem: 2, position: [10, -44], startTime: 1.79e9,
  rotationSystem: 2, cameraAngle: 0, filters: 'r_mini', dome: 2, duration: 34, nimages: 1, instrument: 'minicam',
  survey: 'wide', totalCheckpoints: 1, private_sndStamp: 1.79e9,
};
const announced: ObservatoryEvent = { ...next, type: 'NextVisitAnnounced', dayObs };
const ended = (detectors: number[]): ObservatoryEvent => ({
  ...names, type: 'ExposureEnded', band: 'r', physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61314.9,
  detectors: detectors.map(asDetectorId),
});
const read = (detector: number, checksum = 'a'): ObservatoryEvent => ({
  ...names, type: 'DetectorRead', detector: asDetectorId(detector), uri: 'x', bytes: 1, checksum: checksum.repeat(64),
  readoutEndedMs: 1000,
});
const measured: DetectorOutcome = {
  status: 'measured', knownPosition: 0 as CommitPosition, progress: [],
  measurements: {
    outcome: 'alerts', measured: [], forced: [], detected: 0, droppedByReason: {}, cutouts: null, summary: {},
    inputs: {},
  },
};
const failed = (stage: 'ingest' | 'process' | 'difference', disposition: 'retry' | 'reject'): DetectorOutcome => ({
  status: 'failed', progress: [], failure: { stage, code: 'CODE', message: 'reason', disposition, details: {} },
});

type Played = {
  processed: string[]; committed: number[]; deferred: Deferral[]; released: string[]; failures: Error[];
  completed: number; notes: string[];
  /** Detectors of each visit that went on to its second pass. */
  handedOn: number[][];
};

/** An engine whose `process` answers in turn; commits and deferrals come back as entries, as the log's would. */
function play(
  answer: (call: number, checksum: string) => DetectorOutcome | Promise<DetectorOutcome>,
): { engine: NightEngine; seen: Played } {
  const seen: Played = { processed: [], committed: [], deferred: [], released: [], failures: [], completed: 0, notes: [], handedOn: [] };
  let sequence = 0;
  const ports: NightPorts = {
    preload: async () => undefined, release: (key) => { seen.released.push(key); },
    process: async (_, { detector, checksum }) => {
      seen.processed.push(`${detector}${checksum[0]}`);
      return answer(seen.processed.length, checksum[0]);
    },
    commit: async (_, { detector }) => {
      seen.committed.push(detector);
      engine.onPublished(visit, detector, 0, 0, 5);
    },
    defer: async (deferral) => {
      seen.deferred.push(deferral);
      const deferred = { ...deferral, deferredMjdTai: 0 };
      engine.onEntry({ instrument: 'minicam', dayObs, associated: null, corrected: null, sealed: null, deferred }, ++sequence);
    },
    completed: (visit) => { seen.handedOn.push(visit.reads.map(({ detector }) => detector)); },
    report: (event) => { if (event.type === 'VisitCompleted') seen.completed++; },
    now: () => Date.now(), rawWaitMs: engineConfig.rawWaitMs, note: (line) => { seen.notes.push(line); },
    fail: (error) => { seen.failures.push(error); },
  };
  const engine = new NightEngine(loadCamera('minicam'), 'minicam', ports);
  return { engine, seen };
}

const settle = () => vi.advanceTimersByTimeAsync(1);
beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

test('each detector that is read is processed once, however often and in whatever order its facts come', async () => {
  const { engine, seen } = play(() => measured);
  for (const event of [read(0), announced, ended([0, 1]), read(1), read(0), ended([0, 1]), announced, read(1)]) {
    engine.onObservatory(event);
  }
  await settle();
  expect(seen.processed.sort()).toEqual(['0a', '1a']);
  expect(seen.committed.sort()).toEqual([0, 1]);
  expect(seen).toMatchObject({ deferred: [], failures: [], completed: 1, released: [group], handedOn: [[0, 1]] });
});

test('a damaged raw waits for a good one; when none comes, it is deferred with its own reason, once', async () => {
  const { engine, seen } = play((_, checksum) => (checksum === 'b' ? failed('ingest', 'retry') : measured));
  for (const event of [announced, ended([0, 1]), read(0, 'b'), read(1, 'b')]) engine.onObservatory(event);
  await settle();
  expect(seen.deferred).toEqual([]);
  engine.onObservatory(read(0, 'c'));
  await settle();
  expect(seen.committed).toEqual([0]);
  await vi.advanceTimersByTimeAsync(engineConfig.rawWaitMs);
  expect(seen.deferred).toMatchObject([{ detector: 1, stage: 'ingest', code: 'CODE', reason: 'reason' }]);
  expect(seen.completed).toBe(1);
});

test('a detector that is never read is deferred after the wait, and the visit goes on without it', async () => {
  const { engine, seen } = play(() => measured);
  for (const event of [announced, ended([0, 5]), read(0)]) engine.onObservatory(event);
  await vi.advanceTimersByTimeAsync(engineConfig.rawWaitMs);
  expect(seen.deferred).toMatchObject([{ detector: 5, code: 'RAW_MISSING', readoutEndedMs: null }]);
  expect(seen).toMatchObject({ committed: [0], completed: 1 });
});

test('a failure that may pass is tried again, one that cannot is deferred at once', async () => {
  const passing = play((call) => (call === 1 ? failed('process', 'retry') : measured));
  for (const event of [announced, ended([0]), read(0)]) passing.engine.onObservatory(event);
  await settle();
  expect(passing.seen).toMatchObject({ processed: ['0a', '0a'], committed: [0], deferred: [] });

  const lasting = play(() => failed('difference', 'reject'));
  for (const event of [announced, ended([0]), read(0)]) lasting.engine.onObservatory(event);
  await settle();
  expect(lasting.seen).toMatchObject({
    processed: ['0a'], committed: [], deferred: [{ detector: 0, stage: 'difference', code: 'CODE' }],
  });
});

test('a visit that was not announced with a sky position is deferred, not processed', async () => {
  const { engine, seen } = play(() => measured);
  engine.onObservatory({ ...next, type: 'NextVisitAnnounced', dayObs, coordinateSystem: 4 });
  for (const event of [ended([0]), read(0)]) engine.onObservatory(event);
  await settle();
  expect(seen).toMatchObject({ processed: [], deferred: [{ code: 'POINTING_UNKNOWN' }] });
});

test('a cancelled visit releases what was preloaded at once', async () => {
  const { engine, seen } = play(() => measured);
  engine.onObservatory(announced);
  engine.onObservatory({ type: 'NextVisitCanceled', instrument: 'minicam', dayObs, groupId: group });
  await settle();
  expect(seen.released).toEqual([group]);
});

test('an engine that is stopped commits and defers nothing more, so that the next run takes the work up', async () => {
  const answer = Promise.withResolvers<DetectorOutcome>();
  const { engine, seen } = play(() => answer.promise);
  for (const event of [announced, ended([0, 1]), read(0)]) engine.onObservatory(event);
  await settle();
  engine.stop();
  answer.resolve(failed('difference', 'reject'));
  await vi.advanceTimersByTimeAsync(2 * engineConfig.rawWaitMs);
  expect(seen).toMatchObject({ processed: ['0a'], committed: [], deferred: [], failures: [] });
});

test('a visit-detector that COMMITS holds already is not processed again by a new engine', async () => {
  const { engine, seen } = play(() => measured);
  engine.onEntry({ instrument: 'minicam', dayObs, associated: null, corrected: null, sealed: null, deferred: {
    group, visit, exposure, detector: asDetectorId(0), attempt: 0, stage: 'isr', code: 'X', reason: 'r',
    deferredMjdTai: 0, readoutEndedMs: null,
  } }, 1);
  for (const event of [announced, ended([0, 1]), read(0), read(1)]) engine.onObservatory(event);
  await settle();
  expect(seen).toMatchObject({ processed: ['1a'], committed: [1], completed: 1 });
});

test('the night is settled when it is closed and every visit is complete, not before', async () => {
  const { engine } = play(() => measured);
  let isSettled = false;
  void engine.settled().then(() => { isSettled = true; });
  for (const event of [announced, ended([0])]) engine.onObservatory(event);
  engine.onObservatory({ type: 'NightClosed', instrument: 'minicam', dayObs, visits: 1 });
  await settle();
  expect(isSettled).toBe(false);
  engine.onObservatory(read(0));
  await settle();
  expect(isSettled).toBe(true);
});

test('a good file that comes while the damaged one is read is used when the damage is known', async () => {
  const first = Promise.withResolvers<DetectorOutcome>();
  const { engine, seen } = play((_, checksum) => (checksum === 'b' ? first.promise : measured));
  for (const event of [announced, ended([0]), read(0, 'b')]) engine.onObservatory(event);
  await settle();
  engine.onObservatory(read(0, 'c'));
  await settle();
  expect(seen.processed).toEqual(['0b']);
  first.resolve(failed('ingest', 'retry'));
  await settle();
  expect(seen).toMatchObject({ processed: ['0b', '0c'], committed: [0], deferred: [] });
});

test('a readout whose exposure never ended does not keep the night open for ever: it is deferred by name', async () => {
  const { engine, seen } = play(() => measured);
  let isSettled = false;
  void engine.settled().then(() => { isSettled = true; });
  for (const event of [announced, read(0)]) engine.onObservatory(event);
  engine.onObservatory({ type: 'NightClosed', instrument: 'minicam', dayObs, visits: 1 });
  await settle();
  expect(isSettled).toBe(false);
  await vi.advanceTimersByTimeAsync(engineConfig.rawWaitMs);
  expect(isSettled).toBe(true);
  expect(seen.deferred).toMatchObject([{ detector: 0, code: 'EXPOSURE_END_MISSING' }]);
});

test('a visit that was cancelled and read all the same is deferred, and the night can end', async () => {
  const { engine, seen } = play(() => measured);
  engine.onObservatory(announced);
  engine.onObservatory({ type: 'NextVisitCanceled', instrument: 'minicam', dayObs, groupId: group });
  for (const event of [ended([0]), read(0)]) engine.onObservatory(event);
  await settle();
  expect(seen).toMatchObject({ processed: [], deferred: [{ detector: 0, code: 'VISIT_CANCELED' }], completed: 1 });
});

test('a detector that the camera does not have is named and passed over', async () => {
  const { engine, seen } = play(() => measured);
  for (const event of [announced, ended([0, 99]), read(99), read(0)]) engine.onObservatory(event);
  await settle();
  expect(seen).toMatchObject({ committed: [0], completed: 1, failures: [] });
  expect(seen.notes).toEqual([expect.stringMatching(/no detectors 99/), expect.stringMatching(/no detector 99/)]);
});
