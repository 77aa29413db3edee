/** Corrections for tests: valid ones of whatever the commits before them have left. */
import fc from 'fast-check';
import type { Committed, CommittedCorrection } from '../../apdb/apdb.ts';
import {
  decodeDiaObject, decodeDiaSource, encodeDiaForcedSource, encodeDiaObject, encodeDiaSource,
} from '../../schemas/avro.ts';
import type { CorrectionKind, SkyCorrected } from '../../schemas/correction.ts';
import { newDiaForcedSource, type DiaSource } from '../../schemas/diaRows.ts';
import {
  asDayObs, asDetectorId, commitPosition, diaSourceIdOf, partsOfCommitPosition, visitOf, type CommitPosition,
} from '../../schemas/ids.ts';
import { commitsArbitrary, NEXT_NIGHT, NIGHT } from './commits.ts';
import { naiveSky } from './naiveFold.ts';

export const NO_CORRECTION: SkyCorrected = {
  kind: 'withdrawn', reason: 'a test', correctedMjdTai: 61366.25, toDiaObjectId: null, toSsObjectId: null, moved: [],
  closedDiaObjectIds: [], diaSources: [], diaObjects: [], ssSources: [], mpcOrbits: [], diaForcedSources: [],
  precoveredDiaObjectIds: [],
};

/** Gives the stored sources other fields, and their objects new versions. */
export function correctionOf(
  position: CommitPosition, before: readonly Committed[], ids: readonly bigint[], changed: Partial<DiaSource>,
  more: Partial<SkyCorrected> = {},
): CommittedCorrection {
  const { objects, sources } = naiveSky(before);
  const rows = sources.filter(({ diaSourceId }) => ids.includes(diaSourceId));
  const closed = more.closedDiaObjectIds ?? [];
  const concerned = new Set([...rows, changed].flatMap(({ diaObjectId }) => diaObjectId ?? []));
  return { position, corrected: {
    ...NO_CORRECTION, ...more,
    moved: rows.map(({ diaSourceId, diaObjectId }) => ({ diaSourceId, fromDiaObjectId: diaObjectId })),
    diaSources: rows.map(({ payload }) => encodeDiaSource({ ...decodeDiaSource(payload), ...changed })),
    diaObjects: [...concerned].filter((id) => !closed.includes(id)).map((id) => {
      const object = decodeDiaObject(objects.get(id) ?? new Uint8Array());
      return encodeDiaObject({ ...object, nDiaSources: object.nDiaSources + 100, validityStartMjdTai: 61366.25 });
    }),
  } };
}

/** One of the kinds, of sources and objects that `choice` picks; null where there are none. */
function anyCorrection(
  position: CommitPosition, before: readonly Committed[], kind: CorrectionKind, choice: number,
): CommittedCorrection | null {
  const { objects, sources } = naiveSky(before);
  const ids = [...objects.keys()];
  const held = sources.filter(({ diaObjectId }) => diaObjectId !== null && objects.has(diaObjectId));
  if (ids.length === 0) return null;
  const object = ids[choice % ids.length], other = ids[(choice + 1) % ids.length];
  const source = held[choice % Math.max(1, held.length)];
  if (kind === 'closed') return correctionOf(position, before, [], {}, { kind, closedDiaObjectIds: [object] });
  if (kind === 'precovered') {
    return { position, corrected: { ...NO_CORRECTION, kind, precoveredDiaObjectIds: [object], diaForcedSources: [
      lateForcedSource(position, object)] } };
  }
  if (kind === 'merged') {
    if (object === other) return null;
    const moved = held.filter(({ diaObjectId }) => diaObjectId === other).map(({ diaSourceId }) => diaSourceId);
    return correctionOf(position, before, moved, { diaObjectId: object }, { kind, closedDiaObjectIds: [other] });
  }
  if (source === undefined) return null;
  if (kind === 'withdrawn') {
    return correctionOf(position, before, [source.diaSourceId], { diaObjectId: null, timeWithdrawnMjdTai: 61366.25 });
  }
  return source.diaObjectId === object ? null
    : correctionOf(position, before, [source.diaSourceId], { diaObjectId: object }, { kind });
}

/** A flux of an object on a visit before all others; each correction has a visit of its own. */
export function lateForcedSource(position: CommitPosition, object: bigint): Uint8Array {
  const visit = visitOf(asDayObs(20261101), partsOfCommitPosition(position).sequence), detector = asDetectorId(3);
  return encodeDiaForcedSource(newDiaForcedSource({
    diaForcedSourceId: diaSourceIdOf(visit, detector, 7), diaObjectId: object, ra: 0.125, dec: -10, psfFlux: 4.5,
    visit: BigInt(visit), detector, midpointMjdTai: 61345.5 + partsOfCommitPosition(position).dayObs % 2,
    timeProcessedMjdTai: 61366.25,
  }));
}

/** Two nights of commits, each with corrections behind it. */
export const correctedArbitrary: fc.Arbitrary<Committed[]> = fc.tuple(commitsArbitrary, fc.array(fc.record({
  isNextNight: fc.boolean(), choice: fc.nat(50),
  kind: fc.constantFrom<CorrectionKind>('reassignedToObject', 'withdrawn', 'closed', 'merged', 'precovered'),
}), { maxLength: 4 })).map(([commits, wishes]) => {
  const all: Committed[] = [];
  for (const night of [NIGHT, NEXT_NIGHT]) {
    const { objects: known } = naiveSky(all), born = new Set(known.keys());
    const gone = all.flatMap((commit) => ('corrected' in commit ? commit.corrected.closedDiaObjectIds : []));
    for (const commit of commits.filter(({ position }) => partsOfCommitPosition(position).dayObs === night)) {
      const objects = commit.diaObjects.map((row) => decodeDiaObject(row).diaObjectId);
      const named = commit.diaSources.map((row) => decodeDiaSource(row).diaObjectId);
      // No store takes rows of an object that has ended, or that was to be born in a commit left out.
      if ([...objects, ...named].some((id) => id !== null && gone.includes(id))) continue;
      if (named.some((id) => id !== null && !born.has(id) && !objects.includes(id))) continue;
      objects.forEach((id) => born.add(id));
      all.push(commit);
    }
    wishes.filter(({ isNextNight }) => isNextNight === (night === NEXT_NIGHT)).forEach(({ kind, choice }, k) => {
      const correction = anyCorrection(commitPosition(night, 1000 + k), all, kind, choice);
      if (correction) all.push(correction);
    });
  }
  return all;
});
