/**
 * What passes between the engine and a detector worker: names, numbers and rows; pixels stay in the arena's shared
 * memory.
 */
import type { CommitPosition, DetectorId, Exposure, Visit } from '../../schemas/ids.ts';
import type { Observation } from '../../schemas/commit.ts';
import type { Band } from '../../schemas/units.ts';
import type { PipelineEvent, StageName } from '../../schemas/events.ts';
import type { FakeOrder, RecoveredSource } from '../stages/inject/inject.ts';
import type { MeasuredDiaSource } from '../stages/measure/measure.ts';

/** A diaObject to be measured by forced photometry. */
export type KnownPosition = Readonly<{ diaObjectId: bigint; raDeg: number; decDeg: number }>;

/** A file and the SHA-256 that it must have. */
export type InputFile = Readonly<{
  path: string; checksum: string;
  /** State of the file, as `fileState` has it, when it was found to have that digest; null when nobody looked. */
  checkedState?: string | null;
}>;

export type DetectorTask = Readonly<{
  instrument: string; camera: string;
  group: string; visit: Visit; exposure: Exposure; detector: DetectorId; attempt: number;
  band: Band; physicalFilter: string; exposureSeconds: number; midpointMjdTai: number;
  /** Pointing as announced, ICRS degrees; angle as in `schemas/camera.ts`. */
  boresight: Readonly<{ raDeg: number; decDeg: number; cameraAngleDeg: number }>;
  dark: InputFile | null; fringe: InputFile | null; electronics: InputFile | null; objects: InputFile | null;
  raw: InputFile; bias: InputFile; flat: InputFile; references: InputFile; template: InputFile;
  /** Digests of code and runtime, recorded with the result. */
  digests: Readonly<Record<string, string>>;
  known: readonly KnownPosition[]; knownPosition: CommitPosition;
  /** Makes this a second pass with synthetic sources, whose rows are never committed. */
  fakes?: FakeOrder;
  /** Shared int32: non-zero asks the task to stop before its next stage. */
  cancel: Int32Array;
}>;

/** What a worker is told when it starts. */
export type WorkerSetting = Readonly<{
  /** Whether its thread gets the lowest priority: it then takes what nobody else on the machine wants. */
  isBackground: boolean;
}>;

/** The part of a task that its commit carries. */
export type CommitNames = Pick<DetectorTask,
  | 'group' | 'visit' | 'exposure' | 'detector' | 'attempt' | 'band' | 'physicalFilter' | 'exposureSeconds'
  | 'midpointMjdTai' | 'knownPosition'>;

/** A forced measurement at a known diaObject; nJy. */
export type ForcedMeasurement = Readonly<{
  diaObjectId: bigint; raDeg: number; decDeg: number;
  psfFlux: number | null; psfFluxErr: number | null; scienceFlux: number | null; scienceFluxErr: number | null;
}>;

/** Everything about a visit-detector that association and packets need. */
export type DetectorMeasurements = Readonly<{
  outcome: 'alerts' | 'singleFrame' | 'isr';
  measured: readonly MeasuredDiaSource[]; forced: readonly ForcedMeasurement[];
  detected: number; droppedByReason: Readonly<Record<string, number>>;
  /** Left out where nothing is known of it. */
  observation?: Observation;
  /** Encoded cutouts of all measured sources, as they go into the spool; null when there are none. */
  cutouts: Uint8Array | null;
  /** Figures of the detector-visit: names end in the unit. */
  summary: Readonly<Record<string, number>>;
  inputs: Readonly<Record<string, string>>;
  /** Of a second pass: its synthetic sources. Such measurements are never committed. */
  recovered?: readonly RecoveredSource[];
}>;

export type TaskFailure = Readonly<{
  stage: StageName; code: string; message: string; disposition: 'retry' | 'reject';
  details: Readonly<Record<string, number | string>>;
}>;

/** A step's event with the wall clock at its end, Unix ms. */
export type TimedEvent = Readonly<{ event: PipelineEvent; atMs: number }>;

export type DetectorOutcome =
  | Readonly<{
    status: 'measured'; knownPosition: CommitPosition; measurements: DetectorMeasurements;
    progress: readonly TimedEvent[];
  }>
  | Readonly<{ status: 'failed'; failure: TaskFailure; progress: readonly TimedEvent[] }>;
