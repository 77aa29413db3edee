/** The solar-system tables in memory, for tests. */
import { decodeSsObject } from '../../schemas/avro.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import {
  bodyHistories, changedOrbits, type DecodedBodies, type SolarSystemTables, type StoredOrbit, type StoredSsSource,
} from '../solarSystem.ts';

export type BodyTables = Readonly<{
  ssSources: readonly StoredSsSource[];
  /** Those whose diaSource was corrected. */
  endedSsSources: readonly (StoredSsSource & Readonly<{ commitTo: CommitPosition }>)[];
  orbits: readonly StoredOrbit[]; objects: readonly Uint8Array[];
}>;

export const NO_BODIES: BodyTables = { ssSources: [], endedSsSources: [], orbits: [], objects: [] };

/** Ends the ssSources of diaSources that a correction at `by` replaces. */
export function endedBodies(tables: BodyTables, diaSourceIds: ReadonlySet<bigint>, by: CommitPosition): BodyTables {
  const ended = tables.ssSources.filter(({ diaSourceId }) => diaSourceIds.has(diaSourceId));
  return {
    ...tables, ssSources: tables.ssSources.filter((source) => !ended.includes(source)),
    endedSsSources: [...tables.endedSsSources, ...ended.map((source) => ({ ...source, commitTo: by }))],
  };
}

/** @throws when a diaSource has an ssSource already. */
export function foldedBodies(tables: BodyTables, commits: readonly DecodedBodies[]): BodyTables {
  const added = commits.flatMap(({ ssSources }) => ssSources);
  const ids = new Set(tables.ssSources.map(({ diaSourceId }) => diaSourceId));
  for (const { diaSourceId } of added) {
    if (ids.has(diaSourceId)) throw new Error(`SSSource has a row ${diaSourceId} already`);
    ids.add(diaSourceId);
  }
  const brought = commits.flatMap(({ orbits }) => orbits);
  return {
    ...tables, ssSources: [...tables.ssSources, ...added],
    orbits: [...tables.orbits, ...changedOrbits(newestOrbits(tables.orbits), brought)],
  };
}

function newestOrbits(orbits: readonly StoredOrbit[]): Map<bigint, Uint8Array> {
  return new Map(orbits.map(({ ssObjectId, payload }) => [ssObjectId, payload])); // The last one of each stays.
}

/** @param current The tables as they are when a method is called. */
export function memoryBodies(current: () => BodyTables, replace: (tables: BodyTables) => void): SolarSystemTables {
  return {
    bodies: async () => bodyHistories(
      current().ssSources.map(({ row, payload, commitFrom: _, ...source }) => ({
        ...source, ssSource: payload, ssObjectId: row.ssObjectId, designation: row.designation,
      })),
      newestOrbits(current().orbits),
    ),
    replaceObjects: async (rows) => {
      const objects = rows.map((payload) => ({ payload, id: decodeSsObject(payload).ssObjectId }))
        .sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ payload }) => payload);
      replace({ ...current(), objects });
    },
    objects: async () => current().objects,
  };
}
