/** What the page shows of a night, computed from its view: plain JSON, times in seconds after the end of readout. */
import { sequenceNumberOf, asVisit } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import {
  readoutEndMs,
  STEPS,
  type Attempt,
  type DetectorFakes,
  type DetectorView,
  type Failure,
  type NightView,
  type Step,
  type VisitView,
} from './nightView.ts';

/** Counts of a night as `vesper verify` makes them, or as far as the events tell. */
export type NightCounts = Readonly<{
  detected: number;
  droppedByReason: Readonly<Record<string, number>>;
  associated: number;
  withheldByReason: Readonly<Record<string, number>>;
  packed: number;
  published: number;
  archived: number;
  /** By consumer. */
  delivered: Readonly<Record<string, number>>;
  owed: Readonly<Record<string, number>>;
}>;

/** Counts that were recomputed from the log, the APDB and the streams, and whether they close. */
export type VerifiedCounts = Readonly<{ counts: NightCounts; closes: boolean; violations: readonly string[] }>;

/** Over alerts, s. */
export type Latency = Readonly<{ p50: number; p95: number; p98: number; max: number }>;

export type VisitStatus = 'announced' | 'canceled' | 'exposing' | 'processing' | 'complete' | 'deferred';

export type Bar = Readonly<{ step: Step; startSeconds: number; endSeconds: number; rows: number }>;

export type DetectorStatus = 'waiting' | 'working' | 'done' | 'deferred';

export type DetectorRow = Readonly<{
  detector: number;
  status: DetectorStatus;
  attempt: number;
  bars: readonly Bar[];
  alerts: number;
  latencySeconds: number | null;
  /** Failures that did not end it, and the one that did. */
  failures: readonly Readonly<{ stage: string; code: string; reason: string; atSeconds: number; deferred: boolean }>[];
}>;

export type VisitSummary = Readonly<{
  group: string;
  visit: number | null;
  sequence: number | null;
  band: string | null;
  status: VisitStatus;
  readoutEndMs: number | null;
  announcedMs: number | null;
  preloadSeconds: number | null;
  expected: number;
  done: number;
  deferred: number;
  detected: number;
  diaSources: number;
  newDiaObjects: number;
  alerts: number;
  latencySeconds: Latency | null;
  /** Share of alerts that met the budget; null without alerts. */
  withinBudget: number | null;
  /** Median over detectors of the time between the end of readout and the first step, s: the wait for a worker. */
  medianWaitSeconds: number | null;
  /** Median over detectors of each step's duration, s: where the time went. */
  medianSteps: readonly Readonly<{ step: Step; seconds: number }>[];
  /** When the last detector ended, s after the end of readout. */
  endSeconds: number | null;
  reasons: readonly Readonly<{ detector: number; stage: string; code: string; reason: string }>[];
}>;

export type VisitDetail = Readonly<{ group: string; detectors: readonly DetectorRow[] }>;

export type NightSummary = Readonly<{
  instrument: string;
  dayObs: number;
  simulated: boolean;
  visitsPlanned: number | null;
  openedAtMs: number | null;
  closedAtMs: number | null;
  telemetry: NightView['telemetry'];
  lastCommand: NightView['lastCommand'];
  sampled: NightView['sampled'];
  precovery: Readonly<{ precovered: number; forcedSources: number; owed: number }> | null;
  malformed: number;
  budgetSeconds: number;
  live: NightCounts;
  latencySeconds: Latency | null;
  withinBudget: number | null;
  detectors: Readonly<{ expected: number; done: number; deferred: number }>;
  /** Synthetic sources that could be found, and were with a reliability of 0.5 or more; detectors dropped. */
  fakes: Readonly<{ usable: number; reliable: number; dropped: number }>;
}>;

/** A value and how many alerts it stands for. */
type Weighted = Readonly<{ seconds: number; weight: number }>;

/** What a night needs of a visit; kept while the visit stays the same record, as nearly all do from event to event. */
type VisitFacts = Readonly<{
  rows: Readonly<Record<Step, number>>;
  droppedByReason: Readonly<Record<string, number>>;
  latencies: readonly Weighted[];
  expected: number;
  done: number;
  deferred: number;
  /** Associated sources of packed detectors that made no alert. */
  withheld: number;
  fakes: readonly DetectorFakes[];
}>;

const knownFacts = new WeakMap<VisitView, VisitFacts>();

export function summarizeNight(night: NightView): NightSummary {
  const facts = Object.values(night.visits).map(factsOf);
  const withheld = sum(facts.map((visit) => visit.withheld));
  const rowsOf = (step: Step): number => sum(facts.map(({ rows }) => rows[step]));
  const latencies = facts.flatMap((visit) => visit.latencies);
  const fakes = facts.flatMap((visit) => visit.fakes);
  return {
    instrument: night.instrument,
    dayObs: night.dayObs,
    simulated: night.simulated,
    visitsPlanned: night.visitsPlanned,
    openedAtMs: night.openedAtMs,
    closedAtMs: night.closedAtMs,
    telemetry: night.telemetry,
    lastCommand: night.lastCommand,
    sampled: night.sampled,
    precovery: night.precovery && {
      precovered: night.precovery.precovered, forcedSources: night.precovery.forcedSources, owed: night.precovery.owed,
    },
    malformed: night.malformed,
    budgetSeconds: brokersConfig.latencyBudgetSeconds,
    live: {
      detected: rowsOf('detect'),
      droppedByReason: addUp(facts.map(({ droppedByReason }) => droppedByReason)),
      associated: rowsOf('associate'),
      withheldByReason: withheld > 0 ? { policy: withheld } : {},
      packed: rowsOf('packet'),
      published: rowsOf('distribute'),
      archived: rowsOf('archive'),
      delivered: {},
      owed: {},
    },
    latencySeconds: percentiles(latencies),
    withinBudget: shareWithin(latencies, brokersConfig.latencyBudgetSeconds),
    detectors: {
      expected: sum(facts.map(({ expected }) => expected)),
      done: sum(facts.map(({ done }) => done)),
      deferred: sum(facts.map(({ deferred }) => deferred)),
    },
    fakes: {
      usable: sum(fakes.map(({ usable }) => usable)),
      reliable: sum(fakes.map(({ reliable }) => reliable)),
      dropped: fakes.filter(({ isDropped }) => isDropped).length,
    },
  };
}

function factsOf(visit: VisitView): VisitFacts {
  const known = knownFacts.get(visit);
  if (known !== undefined) return known;
  const attempts = finalAttempts(visit).map(({ attempt }) => attempt);
  const rows = STEPS.map((step) => [step, sum(attempts.map((attempt) => attempt.steps[step]?.rows ?? 0))] as const);
  const facts: VisitFacts = {
    rows: Object.fromEntries(rows) as Record<Step, number>, // One entry for each of STEPS.
    droppedByReason: addUp(attempts.map((attempt) => attempt.droppedByReason)),
    latencies: alertLatencies(visit),
    withheld: sum(attempts.map(({ steps }) => (steps.packet ? (steps.associate?.rows ?? 0) - steps.packet.rows : 0))),
    expected: Math.max(visit.expectedDetectors.length, Object.keys(visit.detectors).length),
    done: attempts.filter(isDone).length,
    deferred: attempts.filter((attempt) => attempt.deferred !== null).length,
    fakes: Object.values(visit.fakes),
  };
  knownFacts.set(visit, facts);
  return facts;
}

export function summarizeVisit(visit: VisitView): VisitSummary {
  const zeroMs = readoutEndMs(visit);
  const finals = finalAttempts(visit);
  const attempts = finals.map(({ attempt }) => attempt);
  const { rows, latencies, expected, done, deferred } = factsOf(visit);
  const ends = attempts.flatMap((attempt) => endMsOf(attempt) ?? []);
  return {
    group: visit.group,
    visit: visit.visit,
    sequence: visit.visit === null ? null : sequenceNumberOf(asVisit(visit.visit)),
    band: visit.band ?? visit.announced?.filters ?? null,
    status: statusOf(visit, expected, done, deferred),
    readoutEndMs: zeroMs,
    announcedMs: visit.announced?.atMs ?? null,
    preloadSeconds: visit.preloadMs === null ? null : visit.preloadMs / 1000,
    expected,
    done,
    deferred,
    detected: rows.detect,
    diaSources: rows.associate,
    newDiaObjects: sum(attempts.map(({ newDiaObjects }) => newDiaObjects)),
    alerts: rows.distribute,
    latencySeconds: percentiles(latencies),
    withinBudget: shareWithin(latencies, brokersConfig.latencyBudgetSeconds),
    medianWaitSeconds: medianWait(attempts, zeroMs),
    medianSteps: STEPS.flatMap((step) => {
      const seconds = attempts.flatMap((attempt) =>
        attempt.steps[step] ? [attempt.steps[step].durationMs / 1000] : [],
      );
      return seconds.length === 0 ? [] : [{ step, seconds: median(seconds) }];
    }),
    endSeconds: zeroMs === null || ends.length === 0 ? null : (Math.max(...ends) - zeroMs) / 1000,
    reasons: finals.flatMap(({ detector, attempt: { deferred: why } }) =>
      why === null ? [] : [{ detector, stage: why.stage, code: why.code, reason: why.reason }],
    ),
  };
}

/** The waterfall of a visit: a row for each detector that is expected or was heard of. */
export function detailVisit(visit: VisitView): VisitDetail {
  const zeroMs = readoutEndMs(visit) ?? 0;
  const numbers = new Set([...visit.expectedDetectors, ...Object.keys(visit.detectors).map(Number)]);
  const detectors = [...numbers]
    .sort((a, b) => a - b)
    .map((number): DetectorRow => {
      const view = visit.detectors[number];
      const final = view === undefined ? null : finalAttempt(view);
      if (final === null) {
        return {
          detector: number,
          status: 'waiting',
          attempt: 0,
          bars: [],
          alerts: 0,
          latencySeconds: null,
          failures: [],
        };
      }
      return detectorRow(number, final.number, final.attempt, zeroMs);
    });
  return { group: visit.group, detectors };
}

function detectorRow(detector: number, number: number, attempt: Attempt, zeroMs: number): DetectorRow {
  const failureRow = (failure: Failure, deferred: boolean): DetectorRow['failures'][number] => ({
    stage: failure.stage,
    code: failure.code,
    reason: failure.reason,
    atSeconds: (failure.atMs - zeroMs) / 1000,
    deferred,
  });
  const status: DetectorStatus = attempt.deferred !== null ? 'deferred' : isDone(attempt) ? 'done' : 'working';
  return {
    detector,
    status,
    attempt: number,
    bars: STEPS.flatMap((step) => {
      const done = attempt.steps[step];
      if (done === undefined) return [];
      const endSeconds = (done.endMs - zeroMs) / 1000;
      return [{ step, startSeconds: endSeconds - done.durationMs / 1000, endSeconds, rows: done.rows }];
    }),
    alerts: attempt.steps.distribute?.rows ?? 0,
    latencySeconds: attempt.latencyMs === null ? null : attempt.latencyMs / 1000,
    failures: [
      ...attempt.failures.map((failure) => failureRow(failure, false)),
      ...(attempt.deferred === null ? [] : [failureRow(attempt.deferred, true)]),
    ],
  };
}

function statusOf(visit: VisitView, expected: number, done: number, deferred: number): VisitStatus {
  if (visit.canceled) return 'canceled';
  const isComplete = visit.completed !== null || (expected > 0 && done + deferred >= expected);
  if (isComplete) return deferred > 0 ? 'deferred' : 'complete';
  if (Object.keys(visit.detectors).length > 0) return 'processing';
  return visit.exposureStartedMs === null && visit.exposureEndedMs === null ? 'announced' : 'exposing';
}

/** A detector without alerts ends with its commit, as nothing is packed for it. */
function isDone(attempt: Attempt): boolean {
  if (attempt.deferred !== null) return false;
  const { associate, distribute } = attempt.steps;
  return distribute !== undefined || (associate !== undefined && associate.rows === 0);
}

function endMsOf(attempt: Attempt): number | null {
  const last = attempt.steps.distribute ?? attempt.steps.associate;
  return last?.endMs ?? attempt.deferred?.atMs ?? null;
}

/** Nothing is known of a step before its end, so the wait ends where the first step that took time began. */
function medianWait(attempts: readonly Attempt[], zeroMs: number | null): number | null {
  if (zeroMs === null) return null;
  const waits = attempts.flatMap(({ steps }) => {
    const starts = Object.values(steps).flatMap(({ endMs, durationMs }) =>
      durationMs > 0 ? [endMs - durationMs] : [],
    );
    return starts.length === 0 ? [] : [Math.max(0, Math.min(...starts) - zeroMs) / 1000];
  });
  return waits.length === 0 ? null : median(waits);
}

/** The attempt that counts: the last one. */
function finalAttempt(view: DetectorView): Readonly<{ number: number; attempt: Attempt }> | null {
  const numbers = Object.keys(view.attempts).map(Number);
  if (numbers.length === 0) return null;
  const number = Math.max(...numbers);
  return { number, attempt: view.attempts[number] };
}

function finalAttempts(visit: VisitView): Readonly<{ detector: number; attempt: Attempt }>[] {
  return Object.values(visit.detectors).flatMap((view) => {
    const final = finalAttempt(view);
    return final === null ? [] : [{ detector: view.detector, attempt: final.attempt }];
  });
}

/** Events tell a latency for each detector, that of its last packet; it stands for all alerts of the detector. */
function alertLatencies(visit: VisitView): Weighted[] {
  return finalAttempts(visit).flatMap(({ attempt }) => {
    const alerts = attempt.steps.distribute?.rows ?? 0;
    return attempt.latencyMs === null || alerts === 0 ? [] : [{ seconds: attempt.latencyMs / 1000, weight: alerts }];
  });
}

/** Latencies are counted in bins of 10 ms: a night has too many of them to be sorted four times a second. */
const BINS_PER_SECOND = 100;

/** Percentiles to the nearest 10 ms; the maximum is exact. */
function percentiles(values: readonly Weighted[]): Latency | null {
  if (values.length === 0) return null;
  const weights = new Map<number, number>();
  let total = 0;
  let max = -Infinity;
  for (const { seconds, weight } of values) {
    const bin = Math.round(seconds * BINS_PER_SECOND);
    weights.set(bin, (weights.get(bin) ?? 0) + weight);
    total += weight;
    max = Math.max(max, seconds);
  }
  const bins = [...weights].sort(([a], [b]) => a - b);
  const at = (fraction: number): number => {
    let below = 0;
    for (const [bin, weight] of bins) {
      below += weight;
      if (below >= fraction * total) return Math.min(max, bin / BINS_PER_SECOND);
    }
    return max;
  };
  return { p50: at(0.5), p95: at(0.95), p98: at(0.98), max };
}

function shareWithin(values: readonly Weighted[], limitSeconds: number): number | null {
  const total = sum(values.map(({ weight }) => weight));
  if (total === 0) return null;
  return sum(values.map(({ seconds, weight }) => (seconds <= limitSeconds ? weight : 0))) / total;
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total = new Map<string, number>();
  for (const each of counts)
    for (const [reason, count] of Object.entries(each)) total.set(reason, (total.get(reason) ?? 0) + count);
  return Object.fromEntries(total);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
