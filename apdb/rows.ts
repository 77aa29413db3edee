/** What a store needs to know of committed rows: decoded fields, sky pixel, and the bytes themselves. */
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../schemas/avro.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from '../schemas/diaRows.ts';
import type { CommitPosition } from '../schemas/ids.ts';
import type { Committed, CommittedRows } from './apdb.ts';
import { pixelOf } from './pixelization.ts';
import { decodeBodies, type DecodedBodies } from './solarSystem.ts';

export type DecodedRow<Row> = Readonly<{ row: Row; pixelId: number; payload: Uint8Array }>;

export type DecodedCommit = Readonly<{
  position: CommitPosition;
  visit: bigint;
  detector: number;
  midpointMjdTai: number;
  diaSources: readonly DecodedRow<DiaSource>[];
  diaObjects: readonly DecodedRow<DiaObject>[];
  diaForcedSources: readonly DecodedRow<DiaForcedSource>[];
  bodies: DecodedBodies;
  /** JSON with its names sorted, so that equal figures are equal bytes. */
  summaryJson: string;
}>;

/** @throws when the commits are not in strictly ascending order of position. */
export function assertAscending(commits: readonly Committed[]): void {
  for (let i = 1; i < commits.length; i++) {
    if (!(commits[i].position > commits[i - 1].position)) {
      throw new Error(`commit ${commits[i].position} comes after commit ${commits[i - 1].position}, out of order`);
    }
  }
}

/** @throws an Error that names the commit and the row when a row does not decode, lies nowhere, or is doubled. */
export function decodeCommit(commit: CommittedRows): DecodedCommit {
  try {
    const diaObjects = commit.diaObjects.map((payload) => decodedAt(decodeDiaObject(payload), payload));
    if (new Set(diaObjects.map(({ row }) => row.diaObjectId)).size < diaObjects.length) {
      throw new Error('two rows of one diaObject');
    }
    return {
      position: commit.position,
      visit: BigInt(commit.visit),
      detector: commit.detector,
      midpointMjdTai: commit.midpointMjdTai,
      diaSources: commit.diaSources.map((payload) => decodedAt(decodeDiaSource(payload), payload)),
      diaObjects,
      diaForcedSources: commit.diaForcedSources.map((payload) => decodedAt(decodeDiaForcedSource(payload), payload)),
      bodies: decodeBodies(commit),
      summaryJson: canonicalJson(commit.summary),
    };
  } catch (cause) {
    throw new Error(`commit ${commit.position}: ${(cause as Error).message}`, { cause });
  }
}

/** A decoded row with its place. @throws when it lies nowhere. */
export function decodedAt<Row extends Readonly<{ ra: number; dec: number }>>(
  row: Row, payload: Uint8Array,
): DecodedRow<Row> {
  return { row, pixelId: pixelOf(row.ra, row.dec), payload };
}

function canonicalJson(summary: Readonly<Record<string, number>>): string {
  const names = Object.keys(summary).sort();
  for (const name of names) {
    if (!Number.isFinite(summary[name])) throw new Error(`summary figure ${name} is ${summary[name]}`);
  }
  return `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(summary[name])}`).join(',')}}`;
}
