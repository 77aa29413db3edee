/** The solar-system tables of the APDB: who was seen, on which orbit, and what that sums up to. */
import { decodeDiaSource, decodeMpcOrbit, decodeSsSource } from '../schemas/avro.ts';
import type { DiaSource } from '../schemas/diaRows.ts';
import type { CommitPosition } from '../schemas/ids.ts';
import type { MpcOrbit, SsSource } from '../schemas/ssRows.ts';

/** Encoded rows that a commit may bring besides its dia rows: an ssSource a known body, and the orbits of these. */
export type CommittedBodies = Readonly<{ ssSources?: readonly Uint8Array[]; mpcOrbits?: readonly Uint8Array[] }>;

/** One source of a body. `ssSource` is its encoded row. */
export type BodyObservation = Readonly<{ ssSource: Uint8Array }>
  & Pick<DiaSource, 'diaSourceId' | 'midpointMjdTai' | 'band' | 'psfFlux' | 'psfFluxErr' | 'extendedness'>;

/** A body with all its observations by time, and the newest orbit that a commit brought of it, encoded. */
export type BodyHistory = Readonly<{
  ssObjectId: bigint; designation: string | null; orbit: Uint8Array | null;
  observations: readonly BodyObservation[];
}>;

export type SolarSystemTables = Readonly<{
  /** Every body that was seen, by ascending id, as of the last commit projected. */
  bodies(): Promise<readonly BodyHistory[]>;

  /** Put these encoded rows in the place of all SSObjects; day-time work, so no commit and no part of the digest. */
  replaceObjects(objects: readonly Uint8Array[]): Promise<void>;

  /** The encoded SSObjects by ascending id. */
  objects(): Promise<readonly Uint8Array[]>;
}>;

/** A row of SSSource, with what of its diaSource later sums need. */
export type StoredSsSource = Readonly<{ commitFrom: CommitPosition; row: SsSource; payload: Uint8Array }>
  & Omit<BodyObservation, 'ssSource'>;
/** A row of mpc_orbits: an orbit from the commit on that brought it. */
export type StoredOrbit = Readonly<{
  commitFrom: CommitPosition; ssObjectId: bigint; row: MpcOrbit; payload: Uint8Array;
}>;

export type DecodedBodies = Readonly<{ ssSources: readonly StoredSsSource[]; orbits: readonly StoredOrbit[] }>;

/**
 * The solar-system rows of a commit.
 *
 * @throws when an ssSource has no diaSource in its commit, or an orbit no ssSource: none could be found again.
 */
export function decodeBodies(
  { position, diaSources, ssSources = [], mpcOrbits = [] }: CommittedBodies & Readonly<{
    position: CommitPosition; diaSources: readonly Uint8Array[];
  }>,
): DecodedBodies {
  if (ssSources.length === 0 && mpcOrbits.length === 0) return { ssSources: [], orbits: [] };
  const sources = new Map(diaSources.map((payload) => {
    const row = decodeDiaSource(payload);
    return [row.diaSourceId, row];
  }));
  const rows = ssSources.map((payload): StoredSsSource => {
    const row = decodeSsSource(payload), source = sources.get(row.diaSourceId);
    if (!source || source.ssObjectId !== row.ssObjectId) {
      throw new Error(`ssSource of ${row.ssObjectId} has no diaSource ${row.diaSourceId}`);
    }
    const { diaSourceId, midpointMjdTai, band, psfFlux, psfFluxErr, extendedness } = source;
    return {
      commitFrom: position, row, payload, diaSourceId, midpointMjdTai, band, psfFlux, psfFluxErr, extendedness,
    };
  });
  const idOf = new Map(rows.map(({ row }) => [row.designation, row.ssObjectId]));
  const orbits = mpcOrbits.map((payload): StoredOrbit => {
    const row = decodeMpcOrbit(payload), ssObjectId = idOf.get(row.designation);
    if (ssObjectId === undefined) throw new Error(`the orbit of ${row.designation} has no ssSource`);
    return { commitFrom: position, ssObjectId, row, payload };
  });
  return { ssSources: rows, orbits };
}

/** Orbits that say something new: of equal ones in a row the first stays. In order of commit. */
export function changedOrbits(
  stored: ReadonlyMap<bigint, Uint8Array>, brought: readonly StoredOrbit[],
): readonly StoredOrbit[] {
  const newest = new Map(stored);
  return brought.filter(({ ssObjectId, payload }) => {
    const before = newest.get(ssObjectId);
    if (before !== undefined && Buffer.compare(before, payload) === 0) return false;
    newest.set(ssObjectId, payload);
    return true;
  });
}

/** Bodies with their observations. @param orbits The newest of each. */
export function bodyHistories(
  sources: readonly (BodyObservation & Readonly<{ ssObjectId: bigint; designation: string | null }>)[],
  orbits: ReadonlyMap<bigint, Uint8Array>,
): BodyHistory[] {
  const byBody = new Map<bigint, (typeof sources)[number][]>();
  for (const source of sources) {
    const known = byBody.get(source.ssObjectId);
    if (known) known.push(source); else byBody.set(source.ssObjectId, [source]);
  }
  return [...byBody].sort(([a], [b]) => (a < b ? -1 : 1)).map(([ssObjectId, own]) => ({
    ssObjectId, designation: own[0].designation, orbit: orbits.get(ssObjectId) ?? null,
    observations: own.map(({ ssObjectId: _id, designation: _name, ...observation }) => observation)
      .sort((a, b) => a.midpointMjdTai - b.midpointMjdTai || (a.diaSourceId < b.diaSourceId ? -1 : 1)),
  }));
}
