/** The entry of COMMITS that late forced photometry becomes. */
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaForcedSource, encodeDiaForcedSource } from '../../schemas/avro.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import { newDiaForcedSource, type DiaForcedSource } from '../../schemas/diaRows.ts';
import { asDetectorId, diaSourceIdOf, type CommitPosition, type Visit } from '../../schemas/ids.ts';
import { FORCED_COUNTER_BASE } from '../stages/associate/associate.ts';
import { nextVersion, openObjects, type Held } from './planCorrection.ts';

/** A forced measurement of a visit that was committed without it; nJy, degrees. */
export type LateFlux = Pick<DiaForcedSource,
  | 'diaObjectId' | 'ra' | 'dec' | 'visit' | 'detector' | 'band' | 'midpointMjdTai'
  | 'psfFlux' | 'psfFluxErr' | 'scienceFlux' | 'scienceFluxErr'>;

export type PrecoveryPlan = Readonly<{
  ids: readonly bigint[];
  /** Of these objects and others. */
  late: ReadonlyMap<bigint, readonly LateFlux[]>;
  /** diaForcedSources of each visit-detector so far, by `visitDetectorKey`. */
  forcedCounts: ReadonlyMap<string, number>;
  /** Whether nothing of an object is left to be measured. */
  isComplete: (id: bigint) => boolean;
  reason: string;
}>;

/**
 * Rows of the fluxes, and new versions of the objects that got some; objects that were closed meanwhile get none.
 *
 * diaForcedSourceIds go on where those of their visit-detector end.
 *
 * @param position Where the APDB stands.
 */
export async function planPrecovery(
  apdb: Apdb, position: CommitPosition, { ids, late, forcedCounts, isComplete, reason }: PrecoveryPlan,
  processedMjdTai: number,
): Promise<SkyCorrected> {
  const counts = new Map(forcedCounts), held = await openObjects(apdb, position, ids);
  const rows = [...held.values()].map((object) => ({
    object, payloads: unmeasured(object, late.get(object.row.diaObjectId) ?? []).map((flux) => (
      encodeDiaForcedSource(newDiaForcedSource({
        ...flux, diaForcedSourceId: nextId(counts, flux), timeProcessedMjdTai: processedMjdTai,
      })))),
  }));
  return {
    kind: 'precovered', reason, correctedMjdTai: processedMjdTai, toDiaObjectId: null, toSsObjectId: null,
    moved: [], closedDiaObjectIds: [], diaSources: [], ssSources: [], mpcOrbits: [],
    diaObjects: rows.filter(({ payloads }) => payloads.length > 0)
      .map(({ object, payloads }) => nextVersion(object, payloads, processedMjdTai)),
    diaForcedSources: rows.flatMap(({ payloads }) => payloads),
    precoveredDiaObjectIds: [...held.keys()].filter(isComplete),
  };
}

/** A second flux of one visit-detector could not be projected, and an entry is for ever: it is left out. */
function unmeasured({ history }: Held, late: readonly LateFlux[]): LateFlux[] {
  const measured = new Set(Array.from(history.forcedSources, ({ payload }) => {
    const { visit, detector } = decodeDiaForcedSource(payload);
    return visitDetectorKey(visit, detector);
  }));
  return late.filter(({ visit, detector }) => {
    const key = visitDetectorKey(visit, detector), isNew = !measured.has(key);
    measured.add(key);
    return isNew;
  });
}

export function visitDetectorKey(visit: number | bigint, detector: number): string {
  return `${visit} ${detector}`;
}

function nextId(counts: Map<string, number>, { visit, detector }: LateFlux): bigint {
  const key = visitDetectorKey(visit, detector), count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  // A visit that a row holds is one.
  return diaSourceIdOf(Number(visit) as Visit, asDetectorId(detector), FORCED_COUNTER_BASE + count);
}
