/**
 * Facts in the past tense, as CloudEvents 1.0 JSON (DESIGN §4).
 *
 * Observatory events tell what the control system and the camera did; pipeline events tell people and metrics how far
 * a visit-detector has got. Neither carries pixels, and neither is the commit: that is `commit.ts`.
 */
import type { DayObs, DetectorId, Exposure, Visit } from './ids.ts';
import type { Band } from './units.ts';

/** What a night of the simulator was started with; recorded so that it can be resumed with the same. */
export type NightArguments = Readonly<{
  visits: number; cadenceSeconds: number; camera: string; seed: number;
  /** Whether it is told from a recording, so that nobody performs its rest; left out when it is performed. */
  source?: 'recorded';
}>;

/** Fields of Rubin's `ScriptQueue.logevent_nextVisit`, so that a real summit can drive the engine. */
export type NextVisit = Readonly<{
  salIndex: number; scriptSalIndex: number;
  groupId: string;
  /** 1 NONE, 2 ICRS, 3 OBSERVED, 4 MOUNT. Only ICRS has a sky position that can be preloaded. */
  coordinateSystem: number;
  /** Longitude and latitude, degrees; right ascension and declination when ICRS. */
  position: readonly [number, number];
  /** Expected start of the first exposure, seconds since 1970-01-01 TAI. */
  startTime: number;
  /** 1 NONE, 2 SKY, 3 HORIZON, 4 MOUNT. */
  rotationSystem: number;
  /** Position angle of the focal plane's +y axis, degrees east of north, when the rotation system is SKY. */
  cameraAngle: number;
  filters: string;
  dome: number;
  /** Seconds that the script takes, not the exposure. */
  duration: number;
  /** Snaps expected; 0 is unknown. */
  nimages: number;
  instrument: string; survey: string; totalCheckpoints: number;
  /** When it was sent, seconds since 1970-01-01 TAI. */
  private_sndStamp: number;
}>;

export type ExposureNames = Readonly<{
  instrument: string; dayObs: DayObs; group: string; visit: Visit; exposure: Exposure; snap: number;
}>;

export const SUMMIT_COMPONENTS = ['mount', 'camera', 'dome', 'scheduler'] as const;
export type SummitComponent = (typeof SUMMIT_COMPONENTS)[number];

export type ObservatoryEvent =
  | Readonly<{
    type: 'NightOpened'; instrument: string; dayObs: DayObs; simulated: boolean; arguments: NightArguments;
  }>
  | (NextVisit & Readonly<{ type: 'NextVisitAnnounced'; dayObs: DayObs }>)
  | Readonly<{ type: 'NextVisitCanceled'; instrument: string; dayObs: DayObs; groupId: string }>
  | (ExposureNames & Readonly<{
      type: 'ExposureStarted'; band: Band; physicalFilter: string; exposureSeconds: number; startMjdTai: number;
    }>)
  | (ExposureNames & Readonly<{
      type: 'ExposureEnded'; band: Band; physicalFilter: string; exposureSeconds: number; midpointMjdTai: number;
      /** Detectors that were exposed and so will be read. */
      detectors: readonly DetectorId[];
    }>)
  | (ExposureNames & Readonly<{
      type: 'DetectorRead'; detector: DetectorId;
      /** Raw file: an absolute path, or one relative to the data directory. */
      uri: string; bytes: number;
      /** SHA-256 of the file, hexadecimal. */
      checksum: string;
      /** Wall clock at the end of this readout, Unix ms: the zero of the visit's latency when it is the last. */
      readoutEndedMs: number;
    }>)
  /** An order that the control system gave to a part of the summit; the engine's own orders are not told here. */
  | Readonly<{
      type: 'ControlCommanded'; instrument: string; dayObs: DayObs; commandedMjdTai: number;
      component: SummitComponent; command: string; parameters: Readonly<Record<string, string | number>>;
    }>
  /** What the summit's sensors and the mount's encoders said at one moment. */
  | Readonly<{
      type: 'TelemetrySampled'; instrument: string; dayObs: DayObs; sampledMjdTai: number;
      outsideTemperatureC: number; mirrorTemperatureC: number; cameraTemperatureC: number;
      /** Direction that the wind comes from and azimuth: degrees, 0 north, 90 east. */
      windSpeedMetrePerSecond: number; windDirectionDeg: number; humidityPercent: number; pressureHpa: number;
      mountAltitudeDeg: number; mountAzimuthDeg: number; trackingErrorArcsec: number;
    }>
  /** No further visit will be announced tonight. */
  | Readonly<{ type: 'NightClosed'; instrument: string; dayObs: DayObs; visits: number }>;

/**
 * A synthetic source of a second pass: where it was put (pixels), its flux (nJy, negative for a fading one), the SNR of
 * an ideal fit on the difference at its place, and the diaSource that it was found as.
 */
export type FakeSource = Readonly<{
  x: number; y: number; fluxNJy: number; snr: number; isHosted: boolean;
  /** Its pixel cannot be measured: it counts neither as found nor as lost. */
  isMasked: boolean;
  found: Readonly<{ psfFlux: number | null; psfFluxErr: number | null; reliability: number | null }> | null;
}>;

export type StageName =
  | 'process' | 'ingest' | 'isr' | 'calibrate' | 'difference' | 'detect' | 'measure' | 'forced'
  | 'associate' | 'packet' | 'distribute';

type OfDetector = Readonly<{
  instrument: string; group: string; visit: Visit; exposure: Exposure; detector: DetectorId; attempt: number;
}>;
type OfVisit = Readonly<{ instrument: string; group: string; visit: Visit; exposure: Exposure }>;

/** Named figures of a step: numbers only, names end in their unit. */
export type Figures = Readonly<Record<string, number>>;

/** A durable consumer of ALERTS, FILTERED or LITE as the server sees it. */
export type ConsumerFigures = Readonly<{
  stream: string;
  consumer: string;
  /** Stream sequence up to which everything was acknowledged. */
  acknowledgedUpTo: number;
  /** Not sent yet: the lag. */
  pending: number;
  /** Sent, and not acknowledged yet. */
  unacknowledged: number;
  /** Of those, sent more than once. */
  redelivered: number;
  /** Requests for messages that wait at the server: 0 when the consumer is not reading. */
  waitingRequests: number;
}>;

/** An alert filter at work tonight. matched = published + dropped + late + waiting. */
export type FilterFigures = Readonly<{
  /** `user.name@version`. */
  filter: string;
  evaluated: number; matched: number; published: number;
  /** Matches beyond the user's cap, and matches that came after their visit's selection. */
  dropped: number; late: number;
  errors: number;
  /** Mean of a sample of its evaluations, µs; null before the first. */
  evaluationMicroseconds: number | null;
}>;

export type PipelineEvent =
  | (Omit<OfVisit, 'visit' | 'exposure'> & Readonly<{
      type: 'VisitPreloaded'; dayObs: DayObs; objects: number; templates: number; durationMs: number;
    }>)
  | (OfDetector & Readonly<{ type: 'ExposureIngested'; bytes: number }>)
  | (OfDetector & Readonly<{ type: 'InstrumentSignatureRemoved'; durationMs: number; figures: Figures }>)
  | (OfDetector & Readonly<{ type: 'VisitImageCalibrated'; durationMs: number; figures: Figures }>)
  | (OfDetector & Readonly<{ type: 'ImageDifferenced'; durationMs: number; figures: Figures }>)
  | (OfDetector & Readonly<{ type: 'DiaSourcesDetected'; durationMs: number; detected: number }>)
  | (OfDetector & Readonly<{
      type: 'DiaSourcesMeasured'; durationMs: number; measured: number;
      droppedByReason: Readonly<Record<string, number>>;
    }>)
  | (OfDetector & Readonly<{
      type: 'DiaSourcesAssociated'; durationMs: number; diaSources: number; newDiaObjects: number;
      commitSequence: number;
    }>)
  | (OfDetector & Readonly<{ type: 'AlertsPacked'; alerts: number; durationMs: number }>)
  | (OfDetector & Readonly<{ type: 'AlertsDistributed'; alerts: number; durationMs: number; latencyMs: number }>)
  | (OfDetector & Readonly<{ type: 'AlertsArchived'; alerts: number }>)
  | (OfDetector & Readonly<{
      type: 'StageFailed'; stage: StageName; code: string; reason: string; disposition: 'retry' | 'reject';
    }>)
  | (OfDetector & Readonly<{ type: 'DetectorDeferred'; stage: StageName; code: string; reason: string }>)
  /** A second pass with synthetic sources has ended; its visit's alerts had left before it began. */
  | (OfDetector & Readonly<{
      type: 'FakesMeasured'; durationMs: number; band: Band; seed: number;
      /** Found with a reliability of 0.5 or more are `reliable`; masked ones count in `injected` alone. */
      injected: number; masked: number; found: number; reliable: number;
      sources: readonly FakeSource[];
    }>)
  | (OfDetector & Readonly<{ type: 'FakesDropped'; code: string; reason: string }>)
  /** Who is owed what, when that has changed. `group` is empty: it is about the night. */
  | Readonly<{
      type: 'ConsumersSampled'; instrument: string; dayObs: DayObs; group: string;
      consumers: readonly ConsumerFigures[]; filters: readonly FilterFigures[];
    }>
  /** How far precovery has come: sums of this run, as of the entry that it has just appended. */
  | Readonly<{
      type: 'ObjectsPrecovered'; instrument: string; dayObs: DayObs; group: string; commitSequence: number;
      /** New diaObjects of which nothing is left to be measured, fluxes, and new diaObjects that are owed yet. */
      precovered: number; forcedSources: number; owed: number;
    }>
  | (OfVisit & Readonly<{
      type: 'VisitCompleted'; detectors: number; committed: number; deferred: number;
      diaSources: number; alerts: number; readoutEndedMs: number; latencyMsMax: number | null;
    }>);

/** CloudEvents 1.0 envelope (https://cloudevents.io), structured JSON. */
export type CloudEvent<Data> = Readonly<{
  specversion: '1.0'; id: string; source: string; type: string; time: string; datacontenttype: 'application/json';
  data: Data;
}>;

/** Wraps an event; `timeMs` is the wall clock of the fact, Unix ms. */
export function envelope<Data extends { type: string; instrument: string }>(
  id: string, data: Data, timeMs: number,
): CloudEvent<Data> {
  return {
    specversion: '1.0', id, source: `/vesper/${data.instrument}`, type: `vesper.${data.type}`,
    time: new Date(timeMs).toISOString(), datacontenttype: 'application/json', data,
  };
}

export function encodeEvent(event: CloudEvent<unknown>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(event));
}

export function assertNever(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
