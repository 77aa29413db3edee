/** The second pass with pixels and log played: what it takes up, in which order, and how it lets go. */
import { expect, test } from 'vitest';
import { engineConfig } from '../../engine/config.ts';
import type { Ended, Read } from '../../engine/stream/nightEngine.ts';
import { SecondPass, type CompletedVisit } from '../../engine/stream/secondPass.ts';
import type { DetectorOutcome } from '../../engine/workers/detectorTask.ts';
import type { FakeSource, PipelineEvent } from '../../schemas/events.ts';
import { asDayObs, asDetectorId, exposureOf, visitOf, type CommitPosition } from '../../schemas/ids.ts';

const dayObs = asDayObs(20261001);

function visitOfDetectors(sequence: number, detectors: number): CompletedVisit {
  const names = {
    instrument: 'minicam', dayObs, group: `g${sequence}`, visit: visitOf(dayObs, sequence),
    exposure: exposureOf(dayObs, sequence), snap: 0,
  };
  const reads = Array.from({ length: detectors }, (_, n): Read => ({
    ...names, type: 'DetectorRead', detector: asDetectorId(n), uri: 'x', bytes: 1, checksum: 'a', readoutEndedMs: 0,
  }));
  const ended: Ended = {
    ...names, type: 'ExposureEnded', band: 'r', physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61314.9,
    detectors: reads.map(({ detector }) => detector),
  };
  return { ended, reads, boresight: { raDeg: 10, decDeg: -44, cameraAngleDeg: 0 } };
}

const source: FakeSource = {
  x: 10.123456789, y: 20, fluxNJy: -900, snr: 9, isHosted: false, isMasked: false,
  found: { psfFlux: -880, psfFluxErr: 100, reliability: 0.9 },
};
const recovered = [source, { ...source, found: { ...source.found!, reliability: 0.2 } }, { ...source, isMasked: true },
  { ...source, found: null }];
const outcome: DetectorOutcome = {
  status: 'measured', knownPosition: 0 as CommitPosition, progress: [],
  measurements: {
    outcome: 'alerts', measured: [], forced: [], detected: 0, droppedByReason: {}, cutouts: null, summary: {},
    inputs: {}, recovered,
  },
};

function play(
  share: number, answer: () => DetectorOutcome | Promise<DetectorOutcome>, idle = async (): Promise<void> => undefined,
) {
  const seen = { processed: [] as number[], seeds: [] as number[], events: [] as PipelineEvent[] };
  const pass = new SecondPass({
    process: async ({ read, fakes }) => {
      seen.processed.push(read.detector);
      seen.seeds.push(fakes.seed);
      return answer();
    },
    idle, position: () => 0 as CommitPosition, report: (event) => { seen.events.push(event); }, now: () => 0,
  }, { share, seed: 1 });
  const codes = () => seen.events.map((event) => (event.type === 'FakesDropped' ? event.code : event.type));
  return { pass, seen, codes };
}

test('a share of the detectors of each visit, others from visit to visit, each with a seed of its own', async () => {
  const { pass, seen } = play(0.3, () => outcome);
  for (const sequence of [0, 1, 2]) pass.add(visitOfDetectors(sequence, 9));
  await pass.finish(1000);
  expect(seen.processed).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(new Set(seen.seeds).size).toBe(9);
});

test('what was put in and found is told; masked ones are not counted as lost', async () => {
  const { pass, seen } = play(0.1, () => outcome);
  pass.add(visitOfDetectors(1, 9));
  await pass.finish(1000);
  expect(seen.events).toMatchObject([
    { type: 'FakesMeasured', injected: 4, masked: 1, found: 2, reliable: 1, band: 'r', seed: 1, detector: 1 },
  ]);
  expect(seen.events[0]).toHaveProperty('sources.0.x', 10.12346);
});

test('it begins only when the engine has nothing to do', async () => {
  const gate = Promise.withResolvers<void>();
  const { pass, seen } = play(0.1, () => outcome, () => gate.promise);
  pass.add(visitOfDetectors(1, 9));
  await Promise.resolve();
  expect(seen.processed).toEqual([]);
  gate.resolve();
  await pass.finish(1000);
  expect(seen.processed).toEqual([1]);
});

test('more than may wait push out the oldest; each that is dropped is told', async () => {
  const gate = Promise.withResolvers<void>(), visits = Math.ceil(engineConfig.fakesQueueMax / 8) + 1;
  const { pass, seen, codes } = play(1, () => outcome, () => gate.promise);
  for (let n = 0; n < visits; n++) pass.add(visitOfDetectors(n, 8));
  gate.resolve();
  await pass.finish(1000);
  expect(codes().filter((code) => code === 'QUEUE_FULL')).toHaveLength(8);
  expect(seen.processed).toHaveLength(8 * visits - 8);
});

test('an ending night drops what is not done, a failure only its own detector', async () => {
  const slow = play(1, () => new Promise(() => undefined));
  slow.pass.add(visitOfDetectors(1, 3));
  await slow.pass.finish(5);
  expect(slow.codes()).toEqual(['NIGHT_ENDED', 'NIGHT_ENDED']);
  slow.pass.add(visitOfDetectors(2, 3));
  expect(slow.seen.processed).toHaveLength(1);

  let calls = 0;
  const failing = play(1, () => {
    if (++calls === 1) throw new Error('the pool is gone');
    return outcome;
  });
  failing.pass.add(visitOfDetectors(1, 2));
  await failing.pass.finish(1000);
  expect(failing.codes()).toEqual(['SECOND_PASS_BROKE', 'FakesMeasured']);
});

test('a stopped night wants no result of what is still at work', async () => {
  const work = Promise.withResolvers<DetectorOutcome>(), { pass, codes } = play(1, () => work.promise);
  pass.add(visitOfDetectors(1, 2));
  await new Promise((resolve) => setImmediate(resolve));
  pass.stop();
  work.resolve(outcome);
  await new Promise((resolve) => setImmediate(resolve));
  expect(codes()).toEqual(['STOPPED', 'STOPPED']);
});
