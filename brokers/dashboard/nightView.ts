/**
 * A night as the dashboard sees it: the fold of OBSERVATORY and PIPELINE events, in whatever order they come.
 *
 * Every fact is kept under its own name (visit, detector, event, attempt) and the earliest telling of it wins, so that
 * repeated messages change nothing and the two streams may be read side by side.
 */
import {
  assertNever,
  type NextVisit,
  type ObservatoryEvent,
  type PipelineEvent,
  type StageName,
} from '../../schemas/events.ts';
import { dayObsOfVisit, type DayObs } from '../../schemas/ids.ts';

/** The steps of a detector that events tell of, in their order. */
export const STEPS = [
  'ingest',
  'isr',
  'calibrate',
  'difference',
  'detect',
  'measure',
  'associate',
  'packet',
  'distribute',
  'archive',
] as const;
export type Step = (typeof STEPS)[number];

/** A step that ended: when, how long it took (0 when the event does not say), and how many rows it gave. */
export type StepDone = Readonly<{ endMs: number; durationMs: number; rows: number }>;
export type Failure = Readonly<{ atMs: number; stage: StageName; code: string; reason: string }>;

/** One attempt at a detector. */
export type Attempt = Readonly<{
  steps: Readonly<Partial<Record<Step, StepDone>>>;
  newDiaObjects: number;
  droppedByReason: Readonly<Record<string, number>>;
  /** From the end of the visit's readout to the acknowledgement of the last packet, ms. */
  latencyMs: number | null;
  failures: readonly Failure[];
  deferred: Failure | null;
}>;

export type DetectorView = Readonly<{
  detector: number;
  readAtMs: number | null;
  attempts: Readonly<Record<number, Attempt>>;
}>;

/** Synthetic sources of a detector's second pass: how many could be found, and were. */
export type DetectorFakes = Readonly<{ usable: number; reliable: number; isDropped: boolean }>;

/** One group of the control system: announced, then observed as a visit. */
export type VisitView = Readonly<{
  group: string;
  visit: number | null;
  announced: Readonly<{
    atMs: number;
    startTaiSeconds: number;
    filters: string;
    raDeg: number;
    decDeg: number;
    survey: string;
  }> | null;
  canceled: boolean;
  preloadMs: number | null;
  exposureStartedMs: number | null;
  exposureEndedMs: number | null;
  band: string | null;
  expectedDetectors: readonly number[];
  detectors: Readonly<Record<number, DetectorView>>;
  completed: Readonly<{ atMs: number; readoutEndedMs: number; deferred: number; latencyMsMax: number | null }> | null;
  /** By detector. */
  fakes: Readonly<Record<number, DetectorFakes>>;
}>;

export type NightView = Readonly<{
  instrument: string;
  dayObs: DayObs;
  openedAtMs: number | null;
  simulated: boolean;
  visitsPlanned: number | null;
  closedAtMs: number | null;
  /** By group. */
  visits: Readonly<Record<string, VisitView>>;
  /** What the summit said last, and what it was last told to do. */
  telemetry: Extract<ObservatoryEvent, { type: 'TelemetrySampled' }> | null;
  lastCommand: Extract<ObservatoryEvent, { type: 'ControlCommanded' }> | null;
  /** Consumers and filters as they were told of last; null before. */
  sampled: Pick<Extract<PipelineEvent, { type: 'ConsumersSampled' }>, 'consumers' | 'filters'> | null;
  /** How far precovery has come, as told last; null before. */
  precovery: Extract<PipelineEvent, { type: 'ObjectsPrecovered' }> | null;
  /** Events that could not be read. */
  malformed: number;
}>;

export function emptyNight(instrument: string, dayObs: DayObs): NightView {
  return {
    instrument,
    dayObs,
    openedAtMs: null,
    simulated: false,
    visitsPlanned: null,
    closedAtMs: null,
    visits: {},
    telemetry: null,
    sampled: null,
    precovery: null,
    lastCommand: null,
    malformed: 0,
  };
}

/** An event and when it was told: wall clock, Unix ms. */
export type TimedEvent = Readonly<{ event: ObservatoryEvent | PipelineEvent; timeMs: number }>;

/** The night after one more event, told at `timeMs`. Events of other nights change nothing. */
export function evolve(night: NightView, event: ObservatoryEvent | PipelineEvent, timeMs: number): NightView {
  return evolveAll(night, [{ event, timeMs }]);
}

/** The night after several events: one copy of its list of visits for all of them, which a long night is glad of. */
export function evolveAll(night: NightView, events: readonly TimedEvent[]): NightView {
  const concerned = events.filter(({ event }) => event.instrument === night.instrument && isOfNight(night, event));
  if (concerned.length === 0) return night;
  const draft = { ...night, visits: { ...night.visits } };
  for (const { event, timeMs } of concerned) apply(draft, event, timeMs);
  return draft;
}

/** A night that is being made and that nobody else holds yet; its visits are never changed, only replaced. */
type Draft = { -readonly [Key in keyof NightView]: NightView[Key] } & { visits: Record<string, VisitView> };

function apply(night: Draft, event: ObservatoryEvent | PipelineEvent, timeMs: number): void {
  switch (event.type) {
    case 'NightOpened':
      night.openedAtMs = earlier(night.openedAtMs, timeMs);
      night.simulated = event.simulated;
      night.visitsPlanned = event.arguments.visits;
      return;
    case 'NightClosed':
      night.closedAtMs = earlier(night.closedAtMs, timeMs);
      return;
    case 'TelemetrySampled':
      if (event.sampledMjdTai > (night.telemetry?.sampledMjdTai ?? -Infinity)) night.telemetry = event;
      return;
    case 'ConsumersSampled':
      // The stream of progress goes on from night to night.
      if (event.dayObs === night.dayObs) night.sampled = { consumers: event.consumers, filters: event.filters };
      return;
    case 'ObjectsPrecovered':
      if (event.dayObs === night.dayObs && event.commitSequence > (night.precovery?.commitSequence ?? -1)) {
        night.precovery = event;
      }
      return;
    case 'ControlCommanded':
      if (isLaterCommand(event, night.lastCommand)) night.lastCommand = event;
      return;
    case 'NextVisitAnnounced':
      return changeVisit(night, event.groupId, (visit) => ({
        ...visit,
        announced: visit.announced ?? announcement(event, timeMs),
      }));
    case 'NextVisitCanceled':
      return changeVisit(night, event.groupId, (visit) => ({ ...visit, canceled: true }));
    case 'VisitPreloaded':
      // The stream of progress goes on from night to night.
      if (event.dayObs !== night.dayObs) return;
      return changeVisit(night, event.group, (visit) => ({
        ...visit,
        preloadMs: visit.preloadMs ?? event.durationMs,
      }));
    case 'ExposureStarted':
      return changeVisit(night, event.group, (visit) => ({
        ...visit,
        visit: event.visit,
        band: event.band,
        exposureStartedMs: earlier(visit.exposureStartedMs, timeMs),
      }));
    case 'ExposureEnded':
      return changeVisit(night, event.group, (visit) => ({
        ...visit,
        visit: event.visit,
        band: event.band,
        exposureEndedMs: later(visit.exposureEndedMs, timeMs),
        expectedDetectors: union(visit.expectedDetectors, event.detectors),
      }));
    case 'DetectorRead':
      return changeDetector(night, event, (detector) => ({
        ...detector,
        readAtMs: later(detector.readAtMs, event.readoutEndedMs),
      }));
    case 'VisitCompleted': {
      const { readoutEndedMs, deferred, latencyMsMax } = event;
      return changeVisit(night, event.group, (visit) => ({
        ...visit,
        visit: event.visit,
        completed: visit.completed ?? { atMs: timeMs, readoutEndedMs, deferred, latencyMsMax },
      }));
    }
    case 'FakesMeasured':
    case 'FakesDropped':
      return changeVisit(night, event.group, (visit) => ({
        ...visit,
        fakes: { ...visit.fakes, [event.detector]: fakesOf(visit.fakes[event.detector], event) },
      }));
    default:
      return changeAttempt(night, event, (attempt) => evolveAttempt(attempt, event, timeMs));
  }
}

/** `count` more events that could not be read: shown, never hidden. */
export function evolveMalformed(night: NightView, count: number): NightView {
  return count === 0 ? night : { ...night, malformed: night.malformed + count };
}

/** t = 0 of a visit: end of readout of its last detector, Unix ms. Null before anything was read. */
export function readoutEndMs(visit: VisitView): number | null {
  if (visit.completed !== null) return visit.completed.readoutEndedMs;
  const reads = Object.values(visit.detectors).flatMap(({ readAtMs }) => (readAtMs === null ? [] : [readAtMs]));
  return reads.length === 0 ? null : Math.max(...reads);
}

type FakesEvent = Extract<PipelineEvent, { type: 'FakesMeasured' | 'FakesDropped' }>;

/** What was measured stands, whether it was dropped before or after by another run. */
function fakesOf(known: DetectorFakes | undefined, event: FakesEvent): DetectorFakes {
  if (known !== undefined && !known.isDropped) return known;
  if (event.type === 'FakesDropped') return { usable: 0, reliable: 0, isDropped: true };
  return { usable: event.injected - event.masked, reliable: event.reliable, isDropped: false };
}

type DetectorEvent = Exclude<
  PipelineEvent, FakesEvent | { type: 'VisitPreloaded' | 'VisitCompleted' | 'ConsumersSampled' | 'ObjectsPrecovered' }
>;

function evolveAttempt(attempt: Attempt, event: DetectorEvent, timeMs: number): Attempt {
  switch (event.type) {
    case 'ExposureIngested':
      return withStep(attempt, 'ingest', timeMs, 0, 0);
    case 'InstrumentSignatureRemoved':
      return withStep(attempt, 'isr', timeMs, event.durationMs, 0);
    case 'VisitImageCalibrated':
      return withStep(attempt, 'calibrate', timeMs, event.durationMs, 0);
    case 'ImageDifferenced':
      return withStep(attempt, 'difference', timeMs, event.durationMs, 0);
    case 'DiaSourcesDetected':
      return withStep(attempt, 'detect', timeMs, event.durationMs, event.detected);
    case 'DiaSourcesMeasured':
      return {
        ...withStep(attempt, 'measure', timeMs, event.durationMs, event.measured),
        droppedByReason: event.droppedByReason,
      };
    case 'DiaSourcesAssociated':
      return {
        ...withStep(attempt, 'associate', timeMs, event.durationMs, event.diaSources),
        newDiaObjects: event.newDiaObjects,
      };
    case 'AlertsPacked':
      return withStep(attempt, 'packet', timeMs, event.durationMs, event.alerts);
    case 'AlertsDistributed':
      return {
        ...withStep(attempt, 'distribute', timeMs, event.durationMs, event.alerts),
        latencyMs: attempt.latencyMs ?? event.latencyMs,
      };
    case 'AlertsArchived':
      return withStep(attempt, 'archive', timeMs, 0, event.alerts);
    case 'StageFailed':
      return { ...attempt, failures: withFailure(attempt.failures, failureOf(event, timeMs)) };
    case 'DetectorDeferred':
      return { ...attempt, deferred: earlierFailure(attempt.deferred, failureOf(event, timeMs)) };
    default:
      return assertNever(event);
  }
}

function withStep(attempt: Attempt, step: Step, endMs: number, durationMs: number, rows: number): Attempt {
  const known = attempt.steps[step];
  if (known !== undefined && known.endMs <= endMs) return attempt;
  return { ...attempt, steps: { ...attempt.steps, [step]: { endMs, durationMs, rows } } };
}

function withFailure(failures: readonly Failure[], failure: Failure): readonly Failure[] {
  const isKnown = failures.some(
    ({ stage, code, atMs }) => stage === failure.stage && code === failure.code && atMs === failure.atMs,
  );
  if (isKnown) return failures;
  return [...failures, failure].sort(
    (a, b) => a.atMs - b.atMs || a.stage.localeCompare(b.stage) || a.code.localeCompare(b.code),
  );
}

function earlierFailure(known: Failure | null, failure: Failure): Failure {
  return known !== null && known.atMs <= failure.atMs ? known : failure;
}

function failureOf(event: Extract<DetectorEvent, { reason: string }>, atMs: number): Failure {
  return { atMs, stage: event.stage, code: event.code, reason: event.reason };
}

function announcement(event: NextVisit, atMs: number): VisitView['announced'] {
  const {
    startTime,
    filters,
    position: [raDeg, decDeg],
    survey,
  } = event;
  return { atMs, startTaiSeconds: startTime, filters, raDeg, decDeg, survey };
}

type Command = NonNullable<NightView['lastCommand']>;

/** By name where they were given at one moment, so that the order of telling does not matter. */
function isLaterCommand(a: Command, b: Command | null): boolean {
  if (b === null) return true;
  if (a.commandedMjdTai !== b.commandedMjdTai) return a.commandedMjdTai > b.commandedMjdTai;
  return `${a.component} ${a.command}` > `${b.component} ${b.command}`;
}

/** Preloading is told by group alone: it is of this night when the group is, or will turn out to be. */
function isOfNight(night: NightView, event: ObservatoryEvent | PipelineEvent): boolean {
  if ('dayObs' in event) return event.dayObs === night.dayObs;
  return 'visit' in event ? dayObsOfVisit(event.visit) === night.dayObs : true;
}

function changeVisit(night: Draft, group: string, change: (visit: VisitView) => VisitView): void {
  const known = Object.hasOwn(night.visits, group) ? night.visits[group] : newVisit(group);
  night.visits[group] = change(known);
}

function changeDetector(
  night: Draft,
  event: Readonly<{ group: string; visit: number; detector: number }>,
  change: (detector: DetectorView) => DetectorView,
): void {
  changeVisit(night, event.group, (visit) => {
    const known = visit.detectors[event.detector] ?? { detector: event.detector, readAtMs: null, attempts: {} };
    return { ...visit, visit: event.visit, detectors: { ...visit.detectors, [event.detector]: change(known) } };
  });
}

function changeAttempt(night: Draft, event: DetectorEvent, change: (attempt: Attempt) => Attempt): void {
  changeDetector(night, event, (detector) => {
    const known = detector.attempts[event.attempt] ?? NEW_ATTEMPT;
    return { ...detector, attempts: { ...detector.attempts, [event.attempt]: change(known) } };
  });
}

const NEW_ATTEMPT: Attempt = {
  steps: {},
  newDiaObjects: 0,
  droppedByReason: {},
  latencyMs: null,
  failures: [],
  deferred: null,
};

function newVisit(group: string): VisitView {
  return {
    group,
    visit: null,
    announced: null,
    canceled: false,
    preloadMs: null,
    exposureStartedMs: null,
    exposureEndedMs: null,
    band: null,
    expectedDetectors: [],
    detectors: {},
    completed: null,
    fakes: {},
  };
}

function union(a: readonly number[], b: readonly number[]): readonly number[] {
  return [...new Set([...a, ...b])].sort((x, y) => x - y);
}

function earlier(known: number | null, timeMs: number): number {
  return known === null ? timeMs : Math.min(known, timeMs);
}

function later(known: number | null, timeMs: number): number {
  return known === null ? timeMs : Math.max(known, timeMs);
}
