// Types of the command line, one shape per command. The table itself is commands.mjs; a test keeps the two together.

interface JsonOption { readonly json: boolean }
interface DataDirOption {
  /** Absolute. */
  readonly dataDir: string;
}
interface InstrumentOption { readonly instrument: string | null }
interface RecordedOptions extends JsonOption, DataDirOption, InstrumentOption {}

export interface NightOptions extends JsonOption, DataDirOption {
  readonly visits: number;
  readonly cadence: number;
  readonly camera: string;
  readonly seed: number;
  readonly keepRunning: boolean;
  /** 0 takes any free port. */
  readonly dashboardPort: number;
  readonly dashboardHost: string;
  /** Files, absolute. */
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
  /** Folder of a recorded night to tell in place of performing one. */
  readonly from: string | null;
  readonly follow: boolean;
  readonly standby: boolean;
  readonly pace: number;
  /** Folder whose products serve the night. */
  readonly products: string | null;
  /** Part of a visit's detectors that get synthetic sources after its alerts have left. */
  readonly fakes: number;
  readonly noPrecovery: boolean;
  /** Seconds that the end of the night gives it. */
  readonly precoveryWait: number;
}
export interface BenchOptions extends JsonOption, DataDirOption {
  readonly orbits: number;
  readonly objects: number;
  readonly sourcesPerObject: number;
}
export interface ApdbQueryOptions extends RecordedOptions {
  readonly format: 'table' | 'csv' | 'json' | 'parquet';
  /** Absolute. */
  readonly out: string | null;
}
export interface ApdbConeOptions extends ApdbQueryOptions {
  /** A commit position, decimal. */
  readonly asOf: string | null;
}
export interface ApdbObjectOptions extends ApdbConeOptions { readonly what: 'object' | 'sources' | 'forced' }
export interface ApdbSourcesOptions extends ApdbQueryOptions { readonly since: number; readonly limit: number }
export interface ApdbRebuildOptions extends RecordedOptions { readonly night: number | null }
export interface ApdbMaintainOptions extends RecordedOptions {
  /** Null keeps all. */
  readonly keepDays: number | null;
}
export interface ApdbPrecoverOptions extends RecordedOptions { readonly night: number | null; readonly days: number }
export interface ApdbCorrectOptions extends RecordedOptions { readonly reason: string; readonly dryRun: boolean }
export interface ApdbReassignOptions extends ApdbCorrectOptions {
  /** A diaObjectId, decimal. */
  readonly toObject: string | null;
  readonly toBody: string | null;
}
export interface ApdbChangesOptions extends RecordedOptions {
  /** A commit position, decimal. */
  readonly since: string;
  readonly limit: number;
}
export interface SeriesOptions extends JsonOption, DataDirOption {
  /** As given: a name in the directory, or a path from where the user stands. */
  readonly reference: string | null;
  readonly pixelScale: number | null;
  readonly gain: number | null;
  readonly readNoise: number | null;
  readonly saturation: number | null;
}

export interface DifferenceOptions extends JsonOption {
  /** Files, absolute. */
  readonly scienceMask: string | null;
  readonly scienceVariance: string | null;
  readonly templateMask: string | null;
  readonly templateVariance: string | null;
  readonly register: boolean;
  readonly gain: number | null;
  readonly readNoise: number | null;
  readonly saturation: number | null;
  readonly templateGain: number | null;
  readonly templateReadNoise: number | null;
  readonly templateSaturation: number | null;
  /** Absolute. */
  readonly outDir: string | null;
}

/** Of every command that renders frames. */
export interface RenderingOptions extends JsonOption {
  readonly camera: string;
  readonly detectors: string;
  /** YYYYMMDD, a day of the calendar. */
  readonly start: number;
  readonly seed: number;
  /** Absolute. */
  readonly out: string;
  readonly effects: string;
  readonly compression: 'none' | 'rice';
  readonly threads: number | null;
}
interface SkyOptions { readonly sky: 'survey' | 'demonstration'; readonly references: boolean }
export interface SimulateNightOptions extends RenderingOptions, SkyOptions, DataDirOption {
  readonly visits: number | null;
  readonly bands: string | null;
  readonly snaps: number;
  readonly calibrations: boolean;
  readonly engineering: number;
  readonly faults: string | null;
  readonly products: boolean;
  readonly publish: boolean;
  readonly pace: number;
}
export interface SimulateExposureOptions extends RenderingOptions, SkyOptions {
  readonly pointing: string;
  readonly angle: number;
  readonly band: string;
  readonly exposureSeconds: number;
  readonly mjd: number | null;
}
export interface SimulateCalibrationsOptions extends RenderingOptions {
  readonly biases: number;
  readonly darks: number;
  readonly darkSeconds: number;
  readonly flatLevels: string;
  readonly band: string;
}
export interface IsrOptions extends JsonOption {
  /** Absolute, as all paths. */
  readonly calibrations: string;
  readonly camera: string | null;
  readonly out: string;
}
export interface CalibrationsOptions extends JsonOption {
  readonly camera: string | null;
  readonly out: string;
}
export interface CalibrateOptions extends JsonOption {
  readonly references: string;
  readonly out: string;
}
export interface DetectOptions extends JsonOption {
  readonly threshold: number;
  readonly matched: boolean;
  readonly catalog: string | null;
}
export interface CameraOptions extends JsonOption {
  /** Absolute. */
  readonly svg: string | null;
}
export interface TruthOptions extends JsonOption {
  readonly detector: string;
  /** A decimal number. */
  readonly exposure: string | null;
  readonly what: 'changed' | 'sources' | 'artifacts';
}

export interface EfficiencyOptions extends RecordedOptions {
  readonly night: number | null;
  /** Whether the second pass is run again. */
  readonly fresh: boolean;
  readonly detectors: number;
  readonly count: number;
  readonly seed: number;
  /** Absolute. */
  readonly out: string | null;
}

export interface TrainOptions extends JsonOption {
  /** Absolute. */
  readonly out: string;
  readonly seed: number;
  readonly pairs: number;
  readonly skies: number;
  readonly unseen: number;
}

/** Of the commands that take a filter: its definition, when it is not one that ships. */
interface OwnFilterOptions { readonly expression: string | null; readonly rank: string | null }
export interface FilterExplainOptions extends RecordedOptions, OwnFilterOptions {}
export interface FilterTestOptions extends RecordedOptions, OwnFilterOptions {
  readonly night: number | null;
  readonly shareMax: number;
}

export interface FilterActorOptions extends JsonOption, DataDirOption {
  readonly user: string | null;
  readonly operator: boolean;
}
export interface FilterDefineOptions extends FilterActorOptions {
  readonly expression: string;
  readonly rank: string | null;
  readonly summary: string | null;
  /** A file, absolute. */
  readonly region: string | null;
}
export interface FilterActivateOptions extends FilterActorOptions, InstrumentOption {
  readonly version: number | null;
  readonly shareMax: number;
  readonly night: number | null;
}
export interface AccessGrantOptions extends JsonOption, DataDirOption {
  readonly operator: boolean;
  readonly pixels: boolean;
  /** A file, absolute. */
  readonly natsSeed: string | null;
}

export interface OrbitsImportOptions extends JsonOption, DataDirOption {
  readonly instrument: string;
  readonly from: number;
  readonly skipBad: boolean;
}
export interface BodiesListOptions extends RecordedOptions { readonly object: string | null }
export interface EphemerisOptions extends JsonOption {
  readonly object: string | null;
  readonly field: string | null;
  readonly mjd: number;
  readonly days: number;
  readonly stepHours: number;
  readonly camera: string;
  readonly site: string | null;
}

export interface AlertsReplayOptions extends RecordedOptions {
  readonly from: string;
  readonly to: string;
  readonly filter: string | null;
  readonly pace: 'original' | 'max';
  readonly toSubject: string;
}
export interface FilterDeliverOptions extends RecordedOptions {
  readonly webhook: string | null;
  /** A file, absolute. */
  readonly digest: string | null;
  readonly follow: boolean;
  readonly night: number | null;
}
export type BenchName =
  'night' | 'simulator' | 'ephemerides' | 'apdb' | 'packets' | 'filters' | 'consumers' | 'archive';

interface Parsed<C extends string, O, P = Record<string, never>> {
  readonly kind: 'run';
  readonly command: C;
  readonly options: O;
  /** Names of the options that were on the command line; the others hold their defaults. */
  readonly given: readonly string[];
  readonly positionals: P;
  readonly setup: 'none' | 'packages' | 'servers';
  readonly needs: 'none' | 'stores';
}

export type ParsedCommand =
  | Parsed<'night', NightOptions>
  | Parsed<'series', SeriesOptions, { readonly directory: string }>
  | Parsed<'difference', DifferenceOptions, { readonly science: string; readonly template: string }>
  | Parsed<'verify', RecordedOptions & { readonly night: number | null }>
  | Parsed<'replay', RecordedOptions, { readonly night: number | 'last' }>
  | Parsed<'alerts tail', RecordedOptions & { readonly fromStart: boolean; readonly count: number | null }>
  | Parsed<'alerts get', RecordedOptions & { readonly raw: boolean }, { readonly diaSourceId: string }>
  | Parsed<'alerts export', RecordedOptions & { readonly out: string; readonly limit: number | null }>
  | Parsed<'alerts replay', AlertsReplayOptions>
  | Parsed<'alerts release', RecordedOptions & { readonly night: number | null }>
  | Parsed<'alerts quality', RecordedOptions & { readonly night: number | null }>
  | Parsed<'alerts voevent', DataDirOption & InstrumentOption, { readonly diaSourceId: string }>
  | Parsed<'filter list', JsonOption>
  | Parsed<'filter explain', FilterExplainOptions, { readonly filter: string; readonly diaSourceId: string }>
  | Parsed<'filter test', FilterTestOptions, { readonly filter: string }>
  | Parsed<'filter status', JsonOption & DataDirOption>
  | Parsed<'filter create' | 'filter edit', FilterDefineOptions, { readonly name: string }>
  | Parsed<'filter activate', FilterActivateOptions, { readonly name: string }>
  | Parsed<'filter deliver', FilterDeliverOptions, { readonly filter: string }>
  | Parsed<'filter deactivate', FilterActorOptions, { readonly name: string }>
  | Parsed<'schema list', JsonOption>
  | Parsed<'schema check', JsonOption, { readonly file: string }>
  | Parsed<'schema add', JsonOption & { readonly from: string }, { readonly version: string }>
  | Parsed<'access grant', AccessGrantOptions, { readonly user: string }>
  | Parsed<'access revoke', JsonOption & DataDirOption, { readonly user: string }>
  | Parsed<'access list', JsonOption & DataDirOption>
  | Parsed<'isr', IsrOptions, { readonly raw: string }>
  | Parsed<'calibrations', CalibrationsOptions, { readonly directory: string }>
  | Parsed<'calibrate', CalibrateOptions, { readonly image: string }>
  | Parsed<'detect', DetectOptions, { readonly image: string }>
  | Parsed<'camera', CameraOptions, { readonly camera: string }>
  | Parsed<'simulate night', SimulateNightOptions>
  | Parsed<'simulate exposure', SimulateExposureOptions>
  | Parsed<'simulate calibrations', SimulateCalibrationsOptions>
  | Parsed<'truth', TruthOptions, { readonly directory: string }>
  | Parsed<'efficiency', EfficiencyOptions>
  | Parsed<'train reliability', TrainOptions>
  | Parsed<'doctor' | 'status' | 'stop', JsonOption & DataDirOption>
  | Parsed<'clean', JsonOption & DataDirOption & { readonly olderThan: number }>
  | Parsed<'orbits import', OrbitsImportOptions, { readonly file: string }>
  | Parsed<'bodies update', RecordedOptions>
  | Parsed<'bodies list', BodiesListOptions>
  | Parsed<'ephemeris', EphemerisOptions, { readonly file: string }>
  | Parsed<'apdb object', ApdbObjectOptions, { readonly diaObjectId: string }>
  | Parsed<'apdb cone', ApdbConeOptions, { readonly ra: number; readonly dec: number; readonly radius: number }>
  | Parsed<'apdb sources', ApdbSourcesOptions>
  | Parsed<'apdb maintain', ApdbMaintainOptions>
  | Parsed<'apdb precover', ApdbPrecoverOptions>
  | Parsed<'apdb reassign', ApdbReassignOptions, { readonly diaSourceIds: string }>
  | Parsed<'apdb withdraw', ApdbCorrectOptions, { readonly diaSourceIds: string }>
  | Parsed<'apdb close', ApdbCorrectOptions, { readonly diaObjectIds: string }>
  | Parsed<'apdb merge', ApdbCorrectOptions, { readonly diaObjectId: string; readonly diaObjectIds: string }>
  | Parsed<'apdb stats', RecordedOptions>
  | Parsed<'apdb duplicates', RecordedOptions & { readonly radius: number }>
  | Parsed<'apdb rebuild', ApdbRebuildOptions>
  | Parsed<'apdb changes', ApdbChangesOptions>
  | Parsed<'bench', BenchOptions, { readonly bench: BenchName }>
  | Parsed<'version', Record<string, never>>;

export type ParsedArguments =
  | ParsedCommand
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'usage'; readonly message: string };

/** Top directory of the checkout. */
export const REPOSITORY: string;

/** Read a command line, without node and script. Never throws for what a user may type. */
export function parseArguments(argv: readonly string[], options?: { readonly directory?: string }): ParsedArguments;

/** Where the user stands: `INIT_CWD` under `npm start`, else the working directory. */
export function userDirectory(env?: Readonly<Record<string, string | undefined>>): string;
