/**
 * READ FIRST. The prompt database as the rest of the system sees it: a projection of the commit log.
 *
 * Rows enter in commit order together with the position they were committed at, and every read can be "as of commit
 * n", so that a packet's history is the same whenever it is read. Behind the log is allowed; wrong is not: a read as
 * of a commit that has not been projected yet is refused with `ApdbBehindError`, never answered in part.
 *
 * Stores: `memory/` for tests, `postgres/` for nights. One contract suite runs against both (`test/apdb/contract.ts`).
 */
import type { SkyCorrected } from '../schemas/correction.ts';
import type { CommitPosition, DayObs } from '../schemas/ids.ts';
import { partsOfCommitPosition } from '../schemas/ids.ts';
import type { ObjectPair } from './closePairs.ts';
import type { HistoryRows } from './historyRows.ts';
import type { Maintained } from './retention.ts';
import type { CommittedBodies, SolarSystemTables } from './solarSystem.ts';

/** The rows of one commit: encoded rows of alert schema 11.0, exactly as they stand in the log. */
export type CommittedRows = Readonly<{
  position: CommitPosition;
  visit: bigint | number;
  detector: number;
  midpointMjdTai: number;
  diaSources: readonly Uint8Array[];
  /** New objects, and new versions of known ones: at most one row of an object. */
  diaObjects: readonly Uint8Array[];
  diaForcedSources: readonly Uint8Array[];
  /** Named figures of the visit-detector; finite. */
  summary: Readonly<Record<string, number>>;
}> & CommittedBodies;

/** Day-time work on stored rows; its rows end those that they replace, and as of earlier commits these still hold. */
export type CommittedCorrection = Readonly<{ position: CommitPosition; corrected: SkyCorrected }>;

/** What an entry of the log brings. */
export type Committed = CommittedRows | CommittedCorrection;

/** A circle on the sky, ICRS degrees; its edge is inside. A radius of 180 and more is the whole sky. */
export type Cone = Readonly<{ raDeg: number; decDeg: number; radiusDeg: number }>;

/** One object as of the position asked for, with the rows of its light curve since the time asked for. */
export type ObjectHistory = Readonly<{
  diaObjectId: bigint;
  /** Encoded row of the version that held. Read only; may share memory with others of the same read. */
  diaObject: Uint8Array;
  ra: number;
  dec: number;
  sources: HistoryRows;
  forcedSources: HistoryRows;
}>;

/** Objects by ascending id, and the position of the last commit that went into them. */
export type RegionSnapshot = Readonly<{ position: CommitPosition; objects: readonly ObjectHistory[] }>;

export const APDB_TABLES = [
  'DiaObject', 'DiaObjectLast', 'DiaSource', 'DiaSourceHistory', 'DiaForcedSource', 'DetectorVisitProcessingSummary',
  'SSSource', 'SSSourceHistory', 'mpc_orbits',
] as const;
export type ApdbTable = (typeof APDB_TABLES)[number];

/** A place in the order of diaSources by time. */
export type SourceCursor = Readonly<{ midpointMjdTai: number; diaSourceId: bigint }>;

export type StoredSource = SourceCursor & Readonly<{ position: CommitPosition; payload: Uint8Array }>;

/** `bytes` on disk, indexes included, where the store knows them; DiaObject's are those of its ended versions. */
export type ApdbStats = Readonly<{
  position: CommitPosition; dayObs: number; sequence: number;
  tables: Readonly<Record<string, Readonly<{ rows: number; bytes: number }>>>;
  /** Of DiaSource. */
  partitions: number; partitionDays: number; firstMjdTai: number | null; lastMjdTai: number | null;
  /** Bound of `maintain`. */
  retainedFromMjdTai: number | null;
}>;

/** What the commits of one night added; corrected rows count for the night that first brought them. */
export type NightCounts = Readonly<{
  diaSources: number; diaObjectsNew: number; diaForcedSources: number; visitDetectors: number;
  ssSources: number;
}>;

/**
 * A store of one instrument. Every method fails with a one-line Error that names the server when that cannot be
 * reached or gives up; nothing is half done then, and the same call may be made again.
 */
export type Apdb = Readonly<{
  /** Last commit projected; `BEFORE_EVERYTHING` when there is none. */
  position(): Promise<CommitPosition>;

  /**
   * Add the rows of commits, in ascending order of position, in one transaction with the position of the last.
   * The caller leaves no commit out: positions have gaps where entries bring no rows, so a missing one does not show.
   * Commits at or below the stored position are skipped, so a repeated or restarted call is harmless.
   * A new row of a diaObject ends the validity of the one before; a corrected diaSource takes the place of the stored
   * one, and what its ssSource was ends with it. Durable when it returns. The whole batch is held in
   * memory and has the limits of `apdbConfig`: tens of thousands of rows take well under a second, a whole night is
   * to be cut into such pieces.
   * @throws when the list is not strictly ascending, a row does not decode, or a row contradicts stored ones (an id or
   *   visit-detector that another commit has brought, a diaObject that none has, a correction of what is not there).
   *   Nothing is written then.
   */
  project(commits: readonly Committed[]): Promise<void>;

  /**
   * Move the position over entries that bring no rows (deferrals, seals), and at the opening of a night to its
   * sequence 0, as of which its first commit is made. Never moves it back.
   */
  advance(position: CommitPosition): Promise<void>;

  /**
   * Every object in `cone` with its rows since `sinceMjdTai` (inclusive), from one snapshot.
   * @param asOf Commits above it are not seen; by default the last one projected.
   * @throws ApdbBehindError when `asOf` has not been projected yet.
   */
  loadRegion(cone: Cone, sinceMjdTai: number, asOf?: CommitPosition): Promise<RegionSnapshot>;

  /**
   * The objects asked for, in the order asked, as of commit `asOf`. Those that did not exist then are left out.
   * @throws ApdbBehindError when `asOf` has not been projected yet.
   */
  loadObjects(ids: readonly bigint[], sinceMjdTai: number, asOf: CommitPosition): Promise<readonly ObjectHistory[]>;

  /** Known bodies: what commits brought of them, and day-time sums. */
  solarSystem: SolarSystemTables;

  counts(dayObs: DayObs): Promise<NightCounts>;

  /** Ids of the diaSources that the commits of one night first brought, ascending. */
  diaSourceIds(dayObs: DayObs): Promise<readonly bigint[]>;

  /**
   * SHA-256, hexadecimal, over all columns of each table in the order of its key: the same for the same commits,
   * however they were batched. Comparable between stores of one kind only.
   */
  digest(): Promise<Readonly<Record<ApdbTable, string>>>;

  /**
   * Go back to where the store stood at commit `to`: rows of later commits are gone, versions that they ended hold
   * again.
   * Does nothing when it stands there or before. Day-time sums of solar-system objects are to be made
   * anew.
   */
  rewind(to: CommitPosition): Promise<void>;

  /** diaSources by id as of the last commit, by ascending id; those that are not stored are left out. */
  loadSources(ids: readonly bigint[]): Promise<readonly StoredSource[]>;

  /** diaSources by ascending (time, id) behind a cursor, `limit` of them at most. */
  sourcesAfter(after: SourceCursor, limit: number): Promise<readonly StoredSource[]>;

  /** Pairs of objects within a radius of at most 60″ as of the last commit, nearest first: the duplicate check. */
  pairsWithin(radiusArcsec: number): Promise<readonly ObjectPair[]>;

  /**
   * The work of the day: sources of partitions that end before `keepFromMjdTai` are dropped for good, and those of
   * finished months put into the order in which fields are read. Rows that are projected later are left out by the same
   * bound, which stays until a reset. Null drops nothing.
   */
  maintain(keepFromMjdTai: number | null): Promise<Maintained>;

  /** What there is, counted. */
  stats(): Promise<ApdbStats>;

  /** Drop everything: empty tables, position `BEFORE_EVERYTHING`. */
  reset(): Promise<void>;

  close(): Promise<void>;
}>;

/** The projection has not reached the commit that a read asked for. The same read succeeds once it has. */
export class ApdbBehindError extends Error {
  readonly asked: CommitPosition;
  readonly projected: CommitPosition;

  constructor(asked: CommitPosition, projected: CommitPosition) {
    super(`the APDB stands at commit ${nameOf(projected)}, before ${nameOf(asked)} that was asked for`);
    this.name = 'ApdbBehindError';
    this.asked = asked;
    this.projected = projected;
  }
}

/** `asOf` when the store has reached it; by default where the store stands. */
export function readablePosition(asOf: CommitPosition | undefined, projected: CommitPosition): CommitPosition {
  if (asOf !== undefined && asOf > projected) throw new ApdbBehindError(asOf, projected);
  return asOf ?? projected;
}

function nameOf(position: CommitPosition): string {
  const { dayObs, sequence } = partsOfCommitPosition(position);
  return position === 0 ? 'none' : `${sequence} of ${dayObs}`;
}
