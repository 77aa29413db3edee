/** Names of subjects, streams and messages (DESIGN §4). They are built here and nowhere else. */
import type { DayObs, Visit } from './ids.ts';

const TOKEN = /^[A-Za-z0-9_-]+$/;

/** @throws when `name` cannot be one token of a subject. */
export function subjectToken(name: string): string {
  if (!TOKEN.test(name)) throw new Error(`"${name}" cannot be part of a subject: letters, digits, "-" and "_" only`);
  return name;
}

export const streams = {
  /** Facts from the control system, the camera and the simulator; one stream per instrument, old events expire. */
  observatory: (instrument: string) => `OBSERVATORY_${subjectToken(instrument)}`,
  /** Progress, for people and metrics. */
  pipeline: (instrument: string) => `PIPELINE_${subjectToken(instrument)}`,
  commits: (instrument: string, dayObs: DayObs) => `COMMITS_${subjectToken(instrument)}_${dayObs}`,
  alerts: (instrument: string, dayObs: DayObs) => `ALERTS_${subjectToken(instrument)}_${dayObs}`,
  /** Alerts without their cutouts, for those from whom pixels are withheld. */
  lite: (instrument: string, dayObs: DayObs) => `LITE_${subjectToken(instrument)}_${dayObs}`,
  /** Alerts that a policy had withheld for a time. */
  released: (instrument: string, dayObs: DayObs) => `RELEASED_${subjectToken(instrument)}_${dayObs}`,
  filtered: (instrument: string, dayObs: DayObs) => `FILTERED_${subjectToken(instrument)}_${dayObs}`,
  /** Who has defined, activated and deactivated which alert filter, of all nights and instruments; never expires. */
  filterChanges: () => 'FILTERS',
} as const;

export const subjects = {
  observatory: (instrument: string, event: string) => `obs.${subjectToken(instrument)}.${subjectToken(event)}`,
  observatoryAll: (instrument: string) => `obs.${subjectToken(instrument)}.>`,
  pipeline: (instrument: string, visit: Visit, detector: number | 'all', event: string) =>
    `ap.${subjectToken(instrument)}.${visit}.${detector}.${subjectToken(event)}`,
  /** One kind of progress event of all visits and detectors. */
  pipelineEvents: (instrument: string, event: string) => `ap.${subjectToken(instrument)}.*.*.${subjectToken(event)}`,
  pipelineAll: (instrument: string) => `ap.${subjectToken(instrument)}.>`,
  commits: (instrument: string, dayObs: DayObs) => `commit.${subjectToken(instrument)}.${dayObs}`,
  alerts: (instrument: string, dayObs: DayObs, band: string) =>
    `alerts.${subjectToken(instrument)}.${dayObs}.${subjectToken(band)}`,
  alertsAll: (instrument: string, dayObs: DayObs) => `alerts.${subjectToken(instrument)}.${dayObs}.>`,
  lite: (instrument: string, dayObs: DayObs, band: string) =>
    `lite.${subjectToken(instrument)}.${dayObs}.${subjectToken(band)}`,
  liteAll: (instrument: string, dayObs: DayObs) => `lite.${subjectToken(instrument)}.${dayObs}.>`,
  released: (instrument: string, dayObs: DayObs, band: string) =>
    `released.${subjectToken(instrument)}.${dayObs}.${subjectToken(band)}`,
  releasedAll: (instrument: string, dayObs: DayObs) => `released.${subjectToken(instrument)}.${dayObs}.>`,
  filtered: (user: string, filter: string, instrument: string, dayObs: DayObs) =>
    `filtered.${subjectToken(user)}.${subjectToken(filter)}.${subjectToken(instrument)}.${dayObs}`,
  filteredAll: (instrument: string, dayObs: DayObs) => `filtered.*.*.${subjectToken(instrument)}.${dayObs}`,
  filterChanges: (user: string, filter: string) => `filter.${subjectToken(user)}.${subjectToken(filter)}`,
  filterChangesAll: () => 'filter.*.*',
  command: (instrument: string, command: string) => `cmd.${subjectToken(instrument)}.${subjectToken(command)}`,
  telemetry: (instrument: string, topic: string) => `tel.${subjectToken(instrument)}.${subjectToken(topic)}`,
} as const;

/** Night that a stream named by `streams.*` belongs to, or null. */
export function dayObsOfStream(stream: string): DayObs | null {
  const match = /_(\d{8})$/.exec(stream);
  return match ? (Number(match[1]) as DayObs) : null; // Streams are only named from a DayObs.
}

/** The parts of a derived message id: complete, so that the same fact always has the same id. */
export type MessageIdParts = Readonly<{
  instrument: string; group: string; exposure: number; snap: number; detector: number | 'all'; event: string;
  attempt: number;
}>;

export function messageId(parts: MessageIdParts, checksum?: string): string {
  const { instrument, group, exposure, snap, detector, event, attempt } = parts;
  const id = `${instrument}.${group}.${exposure}.${snap}.${detector}.${event}.${attempt}`;
  return checksum === undefined ? id : `${id}.${checksum}`;
}

/** Headers of a published alert, so that a consumer can pre-filter without decoding. */
export const alertHeaders = {
  schemaId: 'schema-id', visit: 'visit', detector: 'detector', ra: 'ra', dec: 'dec', band: 'band',
  diaSourceId: 'dia-source-id', diaObjectId: 'dia-object-id', snr: 'snr', reliability: 'reliability',
  /** Present on messages that are no real alerts, with the reason (`simulated`): consumers pass over them by it. */
  testMessage: 'test-message',
  publishedAt: 'published-at', commitSequence: 'commit-seq', commitIndex: 'commit-index',
  /** Catalogued stars and galaxies nearby, one line of JSON (`schemas/neighbours.ts`); absent without a catalogue. */
  neighbours: 'neighbours',
} as const;
