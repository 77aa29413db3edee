/**
 * Ids of exposures, visits, detectors and rows. Ids are derived, never drawn: the same raw frames give the same ids.
 *
 * JSON and CSV carry 64-bit ids as decimal strings; `dayObs` is a number YYYYMMDD.
 */

type Branded<T, Name extends string> = T & { readonly __brand: Name };

/** Observing night: the calendar date at TAI − 12 h, as YYYYMMDD. Never the UTC date. */
export type DayObs = Branded<number, 'DayObs'>;
/** One pointing: dayObs × 100000 + sequence number of its first exposure. */
export type Visit = Branded<number, 'Visit'>;
/** One shutter opening: dayObs × 100000 + sequence number. */
export type Exposure = Branded<number, 'Exposure'>;
/** Number of a detector in its camera, 0 … 255. */
export type DetectorId = Branded<number, 'DetectorId'>;

/** The names of one piece of work: a visit seen by one detector. */
export type DataId = Readonly<{ instrument: string; visit: Visit; detector: DetectorId }>;

const SEQUENCE_LIMIT = 100_000;
const DAY_MS = 86_400_000;
/** Day zero of `diaSourceId`: 2010-01-01. 14 bits of days reach into the year 2054. */
const ID_EPOCH_MS = Date.UTC(2010, 0, 1);

/** @throws when `value` is not a calendar date YYYYMMDD. */
export function asDayObs(value: number): DayObs {
  const ms = dayObsMs(value);
  if (!Number.isInteger(value) || Number.isNaN(ms) || dayObsOfMs(ms) !== value) {
    throw new Error(`dayObs ${value} is not a date YYYYMMDD`);
  }
  return value as DayObs; // Checked above.
}

/** @throws when `value` is not an integer in 0 … 255. */
export function asDetectorId(value: number): DetectorId {
  if (!Number.isInteger(value) || value < 0 || value > 255) throw new Error(`detector ${value} is not in 0 … 255`);
  return value as DetectorId; // Checked above.
}

/** @throws when `value` does not have the form dayObs × 100000 + sequence number. */
export function asVisit(value: number): Visit {
  if (!Number.isSafeInteger(value)) throw new Error(`visit ${value} is not an integer`);
  asDayObs(Math.floor(value / SEQUENCE_LIMIT));
  return value as Visit; // Checked above.
}

export function visitOf(dayObs: DayObs, sequenceNumber: number): Visit {
  if (!Number.isInteger(sequenceNumber) || sequenceNumber < 0 || sequenceNumber >= SEQUENCE_LIMIT) {
    throw new Error(`sequence number ${sequenceNumber} is not in 0 … ${SEQUENCE_LIMIT - 1}`);
  }
  return (dayObs * SEQUENCE_LIMIT + sequenceNumber) as Visit; // Built from checked parts.
}

export function exposureOf(dayObs: DayObs, sequenceNumber: number): Exposure {
  return visitOf(dayObs, sequenceNumber) as number as Exposure; // Same packing by definition.
}

export function dayObsOfVisit(visit: Visit): DayObs {
  return Math.floor(visit / SEQUENCE_LIMIT) as DayObs; // A visit is built on a dayObs.
}

export function sequenceNumberOf(visit: Visit): number {
  return visit % SEQUENCE_LIMIT;
}

export function nextDayObs(dayObs: DayObs): DayObs {
  return dayObsOfMs(dayObsMs(dayObs) + DAY_MS);
}

/** Whole days from `a` to `b`; negative when `b` is earlier. */
export function daysBetween(a: DayObs, b: DayObs): number {
  return Math.round((dayObsMs(b) - dayObsMs(a)) / DAY_MS);
}

/**
 * Id of a diaSource: days since 2010-01-01 of dayObs (14 bits), sequence number (17), detector (8), counter (24).
 *
 * @param counter Rank of the detection when sorted by (y, x) on its detector.
 * @throws when a part does not fit.
 */
export function diaSourceIdOf(visit: Visit, detector: DetectorId, counter: number): bigint {
  const days = Math.round((dayObsMs(dayObsOfVisit(visit)) - ID_EPOCH_MS) / DAY_MS);
  if (days < 0 || days >= 1 << 14) throw new Error(`dayObs of visit ${visit} is outside 2010 … 2054`);
  if (counter < 0 || counter >= 1 << 24) throw new Error(`counter ${counter} does not fit 24 bits`);
  return (BigInt(days) << 49n) | (BigInt(sequenceNumberOf(visit)) << 32n)
    | (BigInt(detector) << 24n) | BigInt(counter);
}

/** The parts that `diaSourceIdOf` packed. */
export function partsOfDiaSourceId(id: bigint): { visit: Visit; detector: DetectorId; counter: number } {
  const dayObs = dayObsOfMs(ID_EPOCH_MS + Number(id >> 49n) * DAY_MS);
  return {
    visit: visitOf(dayObs, Number((id >> 32n) & 0x1ffffn)),
    detector: asDetectorId(Number((id >> 24n) & 0xffn)),
    counter: Number(id & 0xffffffn),
  };
}

/**
 * Place of a commit in an instrument's whole log: dayObs × 10⁸ + stream sequence of its COMMITS stream.
 * Positions of different nights compare rightly, and a person can read them. 0 is before everything.
 */
export type CommitPosition = Branded<number, 'CommitPosition'>;

export const BEFORE_EVERYTHING = 0 as CommitPosition; // Below every dayObs.

export function commitPosition(dayObs: DayObs, sequence: number): CommitPosition {
  if (!Number.isInteger(sequence) || sequence < 0 || sequence >= 1e8) {
    throw new Error(`commit sequence ${sequence} is not in 0 … 1e8`);
  }
  return (dayObs * 1e8 + sequence) as CommitPosition; // Built from checked parts; below 2^53.
}

export function partsOfCommitPosition(position: CommitPosition): { dayObs: DayObs; sequence: number } {
  return { dayObs: Math.floor(position / 1e8) as DayObs, sequence: position % 1e8 };
}

/** Midnight of the calendar date, ms since 1970-01-01; NaN when it is none. */
export function dayObsMs(dayObs: number): number {
  return Date.UTC(Math.floor(dayObs / 10000), (Math.floor(dayObs / 100) % 100) - 1, dayObs % 100);
}

/** The calendar date that holds a time, ms since 1970-01-01. */
export function dayObsOfMs(ms: number): DayObs {
  const date = new Date(ms);
  // A real date.
  return (date.getUTCFullYear() * 10000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate()) as DayObs;
}
