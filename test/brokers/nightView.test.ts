import fc from 'fast-check';
import { expect, test } from 'vitest';
import { detailVisit, summarizeNight, summarizeVisit } from '../../brokers/dashboard/nightSummary.ts';
import { emptyNight, evolve, evolveAll, type NightView, type TimedEvent } from '../../brokers/dashboard/nightView.ts';
import { asDayObs, asDetectorId, exposureOf, visitOf } from '../../schemas/ids.ts';
import { INSTRUMENT, NIGHT } from './sampleAlerts.ts';
import { FIRST_READOUT_MS, sampleNightEvents } from './sampleNight.ts';

const fold = (events: readonly TimedEvent[], from: NightView = emptyNight(INSTRUMENT, NIGHT)): NightView =>
  events.reduce((night, { event, timeMs }) => evolve(night, event, timeMs), from);

const ofSummit = (mjd: number): TimedEvent[] => [
  ...(['mount', 'camera'] as const).map((component): TimedEvent => ({
    timeMs: FIRST_READOUT_MS,
    event: {
      type: 'ControlCommanded',
      instrument: INSTRUMENT,
      dayObs: NIGHT,
      commandedMjdTai: mjd,
      component,
      command: 'enable',
      parameters: {},
    },
  })),
  {
    timeMs: FIRST_READOUT_MS,
    event: {
      type: 'TelemetrySampled',
      instrument: INSTRUMENT,
      dayObs: NIGHT,
      sampledMjdTai: mjd,
      outsideTemperatureC: mjd - 61364,
      mirrorTemperatureC: 9.6,
      cameraTemperatureC: -100,
      windSpeedMetrePerSecond: 6,
      windDirectionDeg: 350,
      humidityPercent: 25,
      pressureHpa: 742,
      mountAltitudeDeg: 61,
      mountAzimuthDeg: 180,
      trackingErrorArcsec: 0.05,
    },
  },
];

const secondPass = (sequence: number, detector: number): TimedEvent[] => {
  const names = {
    instrument: INSTRUMENT, group: `fakes${sequence}`, visit: visitOf(NIGHT, sequence),
    exposure: exposureOf(NIGHT, sequence), detector: asDetectorId(detector), attempt: 0,
  };
  return [
    { timeMs: FIRST_READOUT_MS, event: { ...names, type: 'FakesDropped', code: 'STOPPED', reason: 'stopped' } },
    {
      timeMs: FIRST_READOUT_MS + 1,
      event: {
        ...names, type: 'FakesMeasured', durationMs: 900, band: 'r', seed: 1,
        injected: 50, masked: 4, found: 40, reliable: 38, sources: [],
      },
    },
  ];
};

const precovered = (commitSequence: number): TimedEvent => ({ timeMs: FIRST_READOUT_MS + commitSequence, event: {
  type: 'ObjectsPrecovered', instrument: INSTRUMENT, dayObs: NIGHT, group: '', commitSequence,
  precovered: 2 * commitSequence, forcedSources: 3 * commitSequence, owed: 20 - commitSequence,
} });

const events = [
  precovered(9), precovered(7), ...sampleNightEvents({ visits: 2, detectors: 3 }), ...ofSummit(61366), ...ofSummit(61365),
  ...secondPass(1, 0), ...secondPass(1, 1), ...secondPass(2, 0).slice(0, 1),
];

test('synthetic sources add up over detectors; one that was dropped and measured later counts as measured', () => {
  expect(summarizeNight(fold(events)).fakes).toEqual({ usable: 92, reliable: 76, dropped: 1 });
});

test('precovery is shown as of its last entry, in whatever order entries are told', () => {
  expect(summarizeNight(fold(events)).precovery).toEqual({ precovered: 18, forcedSources: 27, owed: 11 });
});

test('the summit is shown as it was last, whatever was told last', () => {
  const { telemetry, lastCommand } = summarizeNight(fold(events));
  expect(telemetry?.outsideTemperatureC).toBe(2);
  expect(lastCommand).toMatchObject({ commandedMjdTai: 61366, component: 'mount', command: 'enable' });
});

test('the fold of a night is the same in any order and with any events repeated', () => {
  const expected = fold(events);
  const disordered = fc
    .array(fc.constantFrom(...events), { maxLength: 60 })
    .chain((repeats) => fc.shuffledSubarray([...events, ...repeats], { minLength: events.length + repeats.length }));
  fc.assert(
    fc.property(disordered, (told) => {
      expect(fold(told)).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});

test('events folded all at once give what they give one by one', () => {
  expect(evolveAll(emptyNight(INSTRUMENT, NIGHT), events)).toEqual(fold(events));
});

test('an event told again changes nothing at all', () => {
  const night = fold(events);
  for (const each of events) expect(fold([each], night)).toEqual(night);
});

test('a visit that an event does not concern stays the same record', () => {
  const night = fold(events);
  const last = events.findLast(({ event }) => 'visit' in event && event.visit === visitOf(NIGHT, 2));
  if (last === undefined) throw new Error('no event of visit 2');
  expect(fold([last], night).visits['group-1']).toBe(night.visits['group-1']);
});

test('events of another night or instrument are left out', () => {
  const night = fold(events);
  const other = asDayObs(20261121);
  const base = {
    group: 'x',
    visit: visitOf(other, 1),
    exposure: exposureOf(other, 1),
    detector: asDetectorId(0),
    attempt: 1,
  };
  expect(evolve(night, { ...base, instrument: INSTRUMENT, type: 'AlertsPacked', alerts: 9, durationMs: 1 }, 1)).toBe(
    night,
  );
  expect(evolve(night, { instrument: 'other', dayObs: NIGHT, type: 'NightClosed', visits: 2 }, 1)).toBe(night);
});

test('counts are the sums over detectors, and latencies are weighted by alerts', () => {
  const summary = summarizeNight(fold(events));
  expect(summary.live).toMatchObject({
    detected: 36,
    droppedByReason: { edge: 6 },
    associated: 30,
    packed: 30,
    published: 30,
    archived: 30,
  });
  expect(summary.detectors).toEqual({ expected: 6, done: 6, deferred: 0 });
  // Detectors are out after 1, 2 and 3 s with equal counts: the median is 2 s, the upper percentiles are 3 s.
  expect(summary.latencySeconds).toEqual({ p50: 2, p95: 3, p98: 3, max: 3 });
  expect(summary.withinBudget).toBe(1);
});

test('a visit’s bars end where its events say, in seconds after the end of readout of its last detector', () => {
  const { detectors } = detailVisit(fold(events).visits['group-1']);
  expect(detectors[1].bars.find(({ step }) => step === 'isr')).toEqual({
    step: 'isr',
    startSeconds: 1.2,
    endSeconds: 1.3,
    rows: 0,
  });
  expect(detectors[2]).toMatchObject({ status: 'done', alerts: 5, latencySeconds: 3 });
});

test('a deferred detector is told with its reason, and a later attempt that succeeds replaces it', () => {
  const visit = visitOf(NIGHT, 1);
  const of = {
    instrument: INSTRUMENT,
    group: 'group-1',
    visit,
    exposure: exposureOf(NIGHT, 1),
    detector: asDetectorId(7),
  };
  const why = { stage: 'calibrate', code: 'STARS_TOO_FEW', reason: '3 stars, 10 required' } as const;
  const deferred = fold(
    [{ event: { ...of, ...why, attempt: 1, type: 'DetectorDeferred' }, timeMs: FIRST_READOUT_MS + 500 }],
    fold(events),
  );
  expect(summarizeVisit(deferred.visits['group-1'])).toMatchObject({
    status: 'deferred',
    deferred: 1,
    reasons: [{ detector: 7, ...why }],
  });
  const again = fold(
    [
      {
        event: {
          ...of,
          attempt: 2,
          type: 'DiaSourcesAssociated',
          durationMs: 1,
          diaSources: 0,
          newDiaObjects: 0,
          commitSequence: 9,
        },
        timeMs: FIRST_READOUT_MS + 900,
      },
    ],
    deferred,
  );
  expect(summarizeVisit(again.visits['group-1'])).toMatchObject({ status: 'complete', deferred: 0, done: 4 });
});

test('a night without alerts has no latency, not a latency of zero', () => {
  const summary = summarizeNight(emptyNight(INSTRUMENT, NIGHT));
  expect(summary.latencySeconds).toBeNull();
  expect(summary.withinBudget).toBeNull();
});
