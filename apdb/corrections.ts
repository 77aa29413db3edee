/** Day-time work as the stores take it: new versions of stored rows, objects that end, forced sources that come late. */
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../schemas/avro.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from '../schemas/diaRows.ts';
import type { CommitPosition } from '../schemas/ids.ts';
import type { Committed, CommittedCorrection } from './apdb.ts';
import { decodeCommit, decodedAt, type DecodedCommit, type DecodedRow } from './rows.ts';
import { decodeBodies, type DecodedBodies } from './solarSystem.ts';

export type DecodedCorrection = Readonly<{
  position: CommitPosition;
  /** When the closed objects cease to be valid, MJD TAI. */
  closedMjdTai: number;
  closed: readonly bigint[];
  diaSources: readonly DecodedRow<DiaSource>[];
  diaObjects: readonly DecodedRow<DiaObject>[];
  diaForcedSources: readonly DecodedRow<DiaForcedSource>[];
  bodies: DecodedBodies;
}>;

/** Commits that follow each other, or one correction: what one statement of a store can take. */
export type DecodedRun =
  | Readonly<{ commits: readonly DecodedCommit[]; correction: null }>
  | Readonly<{ commits: null; correction: DecodedCorrection }>;

/** @throws an Error that names the commit and the row when one does not decode, or contradicts another. */
export function decodeRuns(commits: readonly Committed[]): readonly DecodedRun[] {
  const runs: DecodedRun[] = [];
  let open: DecodedCommit[] | null = null;
  for (const commit of commits) {
    if ('corrected' in commit) {
      runs.push({ commits: null, correction: decodeCorrection(commit) });
      open = null;
    } else if (open === null) {
      runs.push({ commits: open = [decodeCommit(commit)], correction: null });
    } else {
      open.push(decodeCommit(commit));
    }
  }
  return runs;
}

/** Runs without the sources of earlier times: they were dropped, and are not brought back by being projected again. */
export function withoutDropped(runs: readonly DecodedRun[], retainedFromMjdTai: number): readonly DecodedRun[] {
  if (retainedFromMjdTai === -Infinity) return runs;
  const isKept = ({ row }: Readonly<{ row: Readonly<{ midpointMjdTai: number }> }>) => (
    row.midpointMjdTai >= retainedFromMjdTai);
  return runs.map(({ commits, correction }) => (correction === null
    ? { correction, commits: commits.map((commit) => ({
      ...commit, diaSources: commit.diaSources.filter(isKept), diaForcedSources: commit.diaForcedSources.filter(isKept),
    })) }
    : { commits, correction: {
      ...correction, diaSources: correction.diaSources.filter(isKept),
      diaForcedSources: correction.diaForcedSources.filter(isKept),
    } }));
}

function decodeCorrection({ position, corrected }: CommittedCorrection): DecodedCorrection {
  try {
    const diaObjects = corrected.diaObjects.map((payload) => decodedAt(decodeDiaObject(payload), payload));
    const diaSources = corrected.diaSources.map((payload) => decodedAt(decodeDiaSource(payload), payload));
    const objects = [...corrected.closedDiaObjectIds, ...diaObjects.map(({ row }) => row.diaObjectId)];
    if (new Set(objects).size < objects.length) throw new Error('a diaObject that comes twice');
    if (new Set(diaSources.map(({ row }) => row.diaSourceId)).size < diaSources.length) {
      throw new Error('a diaSource that comes twice');
    }
    if (!Number.isFinite(corrected.correctedMjdTai)) throw new Error(`its time is ${corrected.correctedMjdTai}`);
    return {
      position, closedMjdTai: corrected.correctedMjdTai, closed: corrected.closedDiaObjectIds, diaSources, diaObjects,
      diaForcedSources: corrected.diaForcedSources.map((payload) => decodedAt(decodeDiaForcedSource(payload), payload)),
      bodies: decodeBodies({ position, ...corrected }),
    };
  } catch (cause) {
    throw new Error(`commit ${position}: ${(cause as Error).message}`, { cause });
  }
}

/** The message of a correction of what is not there. */
export function missingRow({ position }: DecodedCorrection, what: 'diaSource' | 'diaObject', id: bigint): Error {
  return new Error(`commit ${position}: a correction of ${what} ${id}, which ${
    what === 'diaSource' ? 'is not stored' : 'does not exist'}`);
}
