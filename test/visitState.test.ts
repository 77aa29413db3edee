/** A visit-detector's state is a fold of its events: one terminal entry, repeats harmless. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AWAITED, evolve, isTerminal, type DetectorEvent } from '../engine/visitState.ts';
import { asDayObs, asDetectorId, exposureOf, visitOf } from '../schemas/ids.ts';
import type { CommitEntry } from '../schemas/commit.ts';

const dayObs = asDayObs(20261001), visit = visitOf(dayObs, 1), exposure = exposureOf(dayObs, 1);
const detector = asDetectorId(3);
const names = { instrument: 'minicam', group: 'g', visit, exposure, detector, attempt: 0 };
const read = (checksum: string): DetectorEvent => ({
  type: 'DetectorRead', instrument: 'minicam', dayObs, group: 'g', visit, exposure, snap: 0, detector, uri: 'x',
  bytes: 1, checksum, readoutEndedMs: 0,
});
const failed = (stage: 'ingest' | 'isr'): DetectorEvent => ({
  ...names, type: 'StageFailed', stage, code: 'X', reason: 'r', disposition: 'reject',
});
const deferred: DetectorEvent = { type: 'EntryCommitted', sequence: 4, entry: {
  instrument: 'minicam', dayObs, associated: null, corrected: null, sealed: null,
  deferred: {
    group: 'g', visit, exposure, detector, attempt: 0, stage: 'isr', code: 'X', reason: 'r', deferredMjdTai: 0,
    readoutEndedMs: null,
  },
} satisfies CommitEntry };
const committed: DetectorEvent = {
  ...names, type: 'DiaSourcesAssociated', durationMs: 1, diaSources: 5, newDiaObjects: 1, commitSequence: 9,
};
const event = fc.constantFrom<DetectorEvent>(
  read('a'), read('b'), failed('ingest'), failed('isr'), deferred, committed,
  { ...names, type: 'ExposureIngested', bytes: 1 }, { ...names, type: 'AlertsPacked', alerts: 5, durationMs: 1 },
  { ...names, type: 'AlertsDistributed', alerts: 5, durationMs: 1, latencyMs: 1 },
  { ...names, type: 'AlertsArchived', alerts: 5 },
);
const fold = (events: readonly DetectorEvent[]) => events.reduce(evolve, AWAITED);

test('whatever comes after, the first terminal entry stays', () => {
  fc.assert(fc.property(fc.array(event), fc.array(event), (before, after) => {
    const state = fold(before);
    fc.pre(isTerminal(state));
    expect(fold([...before, ...after]).commitSequence).toBe(state.commitSequence);
  }));
});

test('a fact that comes twice in a row changes nothing the second time', () => {
  fc.assert(fc.property(fc.array(event), event, (before, last) => {
    // A damaged file's checksum is noted once a failure; the rest is the same.
    const once = fold([...before, last]), twice = evolve(once, last);
    expect({ ...twice, badChecksums: new Set(twice.badChecksums) })
      .toEqual({ ...once, badChecksums: new Set(once.badChecksums) });
  }));
});

test('a truncated file does not end a detector: a good one sent again counts, the same bad one does not', () => {
  const bad = fold([read('bad'), { ...names, type: 'ExposureIngested', bytes: 1 }, failed('ingest')]);
  expect(bad.status).toBe('failed');
  expect(evolve(bad, read('bad'))).toBe(bad);
  expect(evolve(bad, read('good'))).toMatchObject({ status: 'read', checksum: 'good', attempts: 1 });
});

test('a second readout of a detector that is under way or done is ignored', () => {
  const ingested = fold([read('a'), { ...names, type: 'ExposureIngested', bytes: 1 }]);
  expect(evolve(ingested, read('b'))).toBe(ingested);
  const done = fold([read('a'), committed]);
  expect(evolve(done, read('b'))).toBe(done);
});
