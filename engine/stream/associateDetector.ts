/**
 * One visit-detector against the sky that the associator holds: what the pure stage needs, and its result as commit
 * rows.
 */
import type { CommittedRowBytes, DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { associate, type AssociationWarning } from '../stages/associate/associate.ts';
import { associateConfig, type AssociateConfig } from '../stages/associate/config.ts';
import type { KnownDiaObject } from '../stages/associate/features.ts';
import { engineConfig } from '../config.ts';
import type { SkyCone } from '../preload.ts';
import type { CommitNames, DetectorMeasurements, KnownPosition } from '../workers/detectorTask.ts';
import type { HeldObject } from './heldObject.ts';
import type { SkyState } from './skyState.ts';

export type DetectorAssociation = Readonly<{
  rows: CommittedRowBytes; withheld: DiaSourcesAssociated['withheld']; newDiaObjects: number;
  warnings: readonly AssociationWarning[];
}>;

/**
 * Associates the measurements of one detector with the sky as of the last commit that `state` has applied.
 *
 * @param footprint Cone that holds the detector with its padding; objects beyond it cannot be within the match radius.
 */
export function associateDetector(
  task: CommitNames, measurements: DetectorMeasurements, state: SkyState, footprint: SkyCone,
  timeProcessedMjdTai: number,
  config: AssociateConfig = associateConfig,
): DetectorAssociation {
  const sinceMjdTai = historyStart(task.midpointMjdTai);
  const known = state.objectsIn(footprint).map(({ object }) => knownDiaObject(object, sinceMjdTai));
  const forced = measurements.forced.map(({ raDeg, decDeg, ...fluxes }) => ({ ...fluxes, ra: raDeg, dec: decDeg }));
  const result = associate(measurements.measured, known, {
    visit: task.visit, detector: task.detector, band: task.band, midpointMjdTai: task.midpointMjdTai,
    timeProcessedMjdTai, forced,
  }, config);
  return {
    rows: {
      diaSources: result.diaSources.map(({ payload }) => payload),
      diaObjects: result.diaObjects.map(({ payload }) => payload),
      diaForcedSources: result.diaForcedSources.map(({ payload }) => payload),
    },
    withheld: result.withheld.map(({ index, reason }) => ({ index, reason })),
    newDiaObjects: result.diaSources.filter(({ isNew }) => isNew).length,
    warnings: result.warnings,
  };
}

/** Beginning of the history that a visit sees, MJD TAI: the same live and in a replay. */
export function historyStart(midpointMjdTai: number): number {
  return midpointMjdTai - engineConfig.historyDays;
}

/** Objects for forced photometry on one detector, with their positions as of a commit. */
export function knownPositions(state: SkyState, footprint: SkyCone, asOf: CommitPosition): KnownPosition[] {
  return state.objectsIn(footprint, asOf)
    .map(({ object, version }) => ({ diaObjectId: object.diaObjectId, raDeg: version.ra, decDeg: version.dec }));
}

function knownDiaObject(object: HeldObject, sinceMjdTai: number): KnownDiaObject {
  return {
    last: object.latest.row,
    sources: object.sources.since(sinceMjdTai), forced: object.forcedSources.since(sinceMjdTai),
  };
}
