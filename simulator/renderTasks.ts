/** What the simulator's pool is asked to do, and what comes back. Plain data only: it crosses threads. */
import type { Camera } from '../schemas/camera.ts';
import type { DayObs, DetectorId } from '../schemas/ids.ts';
import type { Band } from '../schemas/units.ts';
import type { StagedFile } from './files.ts';
import type { SimulationModel } from './model.ts';
import type { FrameTask, RecordedFrame } from './recordTasks.ts';
import type { Field, PlannedVisit } from './schedule.ts';
import type { TruthRow } from './truth.ts';

/** Given to each worker once, when it starts. */
export type RenderWorkerData = Readonly<{
  dataDir: string; instrument: string; camera: Camera; seed: number;
  /** Of recordings; a night that is performed shows the demonstration. */
  model?: SimulationModel;
}>;

export type RenderTask =
  | Readonly<{ task: 'exposure'; dayObs: DayObs; detector: DetectorId; plan: PlannedVisit }>
  /** `path` is where the product goes, relative to the data directory. */
  | Readonly<{ task: 'biasAndFlat'; detector: DetectorId; biasPath: string; flatPath: string }>
  | Readonly<{ task: 'dark'; detector: DetectorId; path: string }>
  | Readonly<{ task: 'electronics'; detector: DetectorId; path: string }>
  | Readonly<{ task: 'fringe'; detector: DetectorId; band: Band; path: string }>
  | Readonly<{ task: 'template'; detector: DetectorId; field: Field; band: Band; path: string }>
  | Readonly<{ task: 'references'; field: Field; path: string }>
  | Readonly<{ task: 'objects'; detector: DetectorId; field: Field; path: string }>
  | Readonly<{ task: 'checksum'; path: string }>
  /** A frame of a recording, written whole with its truth. */
  | Readonly<{ task: 'frame'; detector: DetectorId; frame: FrameTask }>;

export type RenderResults = Readonly<{
  exposure: Readonly<{ file: StagedFile; truth: readonly TruthRow[]; renderMs: number }>;
  biasAndFlat: Readonly<{ biasChecksum: string; flatChecksum: string }>;
  dark: Readonly<{ checksum: string }>;
  electronics: Readonly<{ checksum: string }>;
  fringe: Readonly<{ checksum: string }>;
  template: Readonly<{ checksum: string }>;
  references: Readonly<{ checksum: string }>;
  objects: Readonly<{ checksum: string }>;
  /** Null when there is no such file. */
  checksum: Readonly<{ checksum: string | null }>;
  frame: RecordedFrame;
}>;
