/** Where one visit-detector has got to: a fold of its events, always rebuildable from them. */
import { assertNever, type ObservatoryEvent, type PipelineEvent, type StageName } from '../schemas/events.ts';
import type { CommitEntry } from '../schemas/commit.ts';

/** Facts of one visit-detector: its readout, its progress, and its entry in COMMITS. */
export type DetectorEvent =
  | Extract<ObservatoryEvent, { type: 'DetectorRead' }>
  | Extract<PipelineEvent, { detector: number }>
  | Readonly<{ type: 'EntryCommitted'; entry: CommitEntry; sequence: number }>;

export type VisitDetectorState = Readonly<{
  status:
    | 'awaited' | 'read' | 'ingested' | 'signatureRemoved' | 'calibrated' | 'differenced' | 'detected' | 'measured'
    | 'failed' | 'committed' | 'packed' | 'distributed' | 'archived' | 'deferred';
  /** Attempts begun; a detector has at most one open at a time. */
  attempts: number;
  /** Checksum of the raw that the last attempt used or will use. */
  checksum: string | null;
  /** Checksums that cannot be used: truncated or damaged files. */
  badChecksums: readonly string[];
  failure: Readonly<{ stage: StageName; code: string; reason: string }> | null;
  diaSources: number; alerts: number; commitSequence: number | null;
}>;

export const AWAITED: VisitDetectorState = {
  status: 'awaited', attempts: 0, checksum: null, badChecksums: [], failure: null, diaSources: 0, alerts: 0,
  commitSequence: null,
};

/**
 * A visit-detector with a terminal entry takes no further work: a second readout or a late failure changes nothing.
 */
export function isTerminal(state: VisitDetectorState): boolean {
  return state.commitSequence !== null;
}

export function evolve(state: VisitDetectorState, event: DetectorEvent): VisitDetectorState {
  switch (event.type) {
    case 'DetectorRead':
      if (isTerminal(state) || state.badChecksums.includes(event.checksum)) return state;
      if (state.status !== 'awaited' && state.status !== 'failed') return state;
      return { ...state, status: 'read', checksum: event.checksum };
    case 'ExposureIngested': return progress(state, {
      status: 'ingested', attempts: Math.max(state.attempts, event.attempt + 1),
    });
    case 'InstrumentSignatureRemoved': return progress(state, { status: 'signatureRemoved' });
    case 'VisitImageCalibrated': return progress(state, { status: 'calibrated' });
    case 'ImageDifferenced': return progress(state, { status: 'differenced' });
    case 'DiaSourcesDetected': return progress(state, { status: 'detected' });
    case 'DiaSourcesMeasured': return progress(state, { status: 'measured' });
    case 'StageFailed': return progress(state, {
      status: 'failed', attempts: Math.max(state.attempts, event.attempt + 1),
      failure: { stage: event.stage, code: event.code, reason: event.reason },
      badChecksums: event.stage === 'ingest' && state.checksum !== null
        ? [...state.badChecksums, state.checksum] : state.badChecksums,
    });
    case 'EntryCommitted': return committed(state, event.entry, event.sequence);
    case 'DiaSourcesAssociated': return state.commitSequence === null
      ? { ...state, status: 'committed', diaSources: event.diaSources, commitSequence: event.commitSequence } : state;
    case 'AlertsPacked': return { ...state, status: later(state, 'packed'), alerts: event.alerts };
    case 'AlertsDistributed': return { ...state, status: later(state, 'distributed') };
    case 'FakesMeasured': case 'FakesDropped': return state;
    case 'AlertsArchived': return { ...state, status: later(state, 'archived') };
    case 'DetectorDeferred': return isTerminal(state) ? state : {
      ...state, status: 'deferred', failure: { stage: event.stage, code: event.code, reason: event.reason },
    };
    default: return assertNever(event);
  }
}

/** Steps before the commit: ignored once there is a terminal entry. */
function progress(state: VisitDetectorState, change: Partial<VisitDetectorState>): VisitDetectorState {
  return isTerminal(state) ? state : { ...state, ...change };
}

function committed(state: VisitDetectorState, entry: CommitEntry, sequence: number): VisitDetectorState {
  if (state.commitSequence !== null) return state;
  if (entry.associated) {
    return {
      ...state, status: 'committed', diaSources: entry.associated.diaSourceCount, commitSequence: sequence,
      failure: null,
    };
  }
  if (entry.deferred) {
    const { stage, code, reason } = entry.deferred;
    const failure = { stage: stage as StageName, code, reason }; // Written from a StageName.
    return { ...state, status: 'deferred', commitSequence: sequence, failure };
  }
  return state;
}

const AFTER_COMMIT = ['committed', 'packed', 'distributed', 'archived'] as const;

/** The later of two steps after the commit: progress events may arrive twice or out of order. */
function later(state: VisitDetectorState, step: (typeof AFTER_COMMIT)[number]): VisitDetectorState['status'] {
  const now = AFTER_COMMIT.findIndex((name) => name === state.status);
  return AFTER_COMMIT.indexOf(step) > now ? step : state.status;
}
