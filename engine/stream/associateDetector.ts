/**
 * One visit-detector against the sky that the associator holds: what the pure stage needs, and its result as commit
 * rows.
 */
import { encodeMpcOrbit, encodeSsSource } from '../../schemas/avro.ts';
import type { AssociatedRowBytes, DiaSourcesAssociated, SolarSystemRowBytes } from '../../schemas/commit.ts';
import type { DiaObject } from '../../schemas/diaRows.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import type { LightCurve } from '../../schemas/lightCurve.ts';
import { mpcOrbitRow } from '../ephemerides/orbit.ts';
import { ssSourceRow } from '../ephemerides/ssSourceRow.ts';
import { associate, type AssociationWarning } from '../stages/associate/associate.ts';
import { associateConfig, type AssociateConfig } from '../stages/associate/config.ts';
import type { KnownDiaObject } from '../stages/associate/features.ts';
import type { SkyPosition } from '../stages/associate/position.ts';
import { matchBodies, type BodyMatch, type PredictedBody } from '../stages/associate/knownBodies.ts';
import { engineConfig } from '../config.ts';
import type { SkyCone } from '../preload.ts';
import type { CommitNames, DetectorMeasurements, KnownPosition } from '../workers/detectorTask.ts';
import type { HeldObject } from './heldObject.ts';
import type { KnownBodies, NearBody } from './knownBodies.ts';
import type { SkyState } from './skyState.ts';

/** What withholds alerts by policy when they are committed; `digest` names it in the commit's inputs. */
export type Withholding = Readonly<{
  digest: string;
  /** The rule that withholds a source, by its encoded row; null when none does. */
  ruleOf(diaSource: Uint8Array): string | null;
}>;

/** Begins the reason of what is withheld by a rule; the rule's name follows. */
export const POLICY_REASON = 'policy:';

export type DetectorAssociation = Readonly<{
  rows: AssociatedRowBytes; withheld: DiaSourcesAssociated['withheld']; newDiaObjects: number;
  /** The sources that may have a packet, at once or when a policy releases it. */
  packedIds: ReadonlySet<bigint>;
  warnings: readonly AssociationWarning[];
}>;

/**
 * Associates the measurements of one detector with the sky as of the last commit that `state` has applied.
 *
 * @param footprint Cone that holds the detector with its padding; objects beyond it cannot be within the match radius.
 * @param bodies    Solar-system objects of the night, which are matched first; null without orbits.
 * @param withholding Rules of the policy in force; null without any.
 */
export function associateDetector(
  task: CommitNames, measurements: DetectorMeasurements, state: SkyState, footprint: SkyCone,
  timeProcessedMjdTai: number,
  config: AssociateConfig = associateConfig, bodies: KnownBodies | null = null, withholding: Withholding | null = null,
): DetectorAssociation {
  const near = bodies?.near(footprint, task.midpointMjdTai) ?? [];
  const matches = matchBodies(measurements.measured, near.map(predictedBody), config);
  const sinceMjdTai = historyStart(task.midpointMjdTai);
  const known = state.objectsIn(footprint).map(({ object }) => new KnownHeldObject(object, sinceMjdTai));
  // An object may have been closed since its position was given out to be measured.
  const forced = measurements.forced.filter(({ diaObjectId }) => (state.get(diaObjectId)?.closedBy ?? null) === null)
    .map(({ raDeg, decDeg, ...fluxes }) => ({ ...fluxes, ra: raDeg, dec: decDeg }));
  const result = associate(measurements.measured, known, {
    visit: task.visit, detector: task.detector, band: task.band, midpointMjdTai: task.midpointMjdTai,
    timeProcessedMjdTai, forced, bodies: new Map(matches.map((match) => [match.diaSourceId, match.ssObjectId])),
  }, config);
  const diaSources = result.diaSources.map(({ payload }) => payload);
  const withoutObject = new Set(result.withheld.map(({ diaSourceId }) => diaSourceId));
  return {
    rows: {
      diaSources,
      diaObjects: result.diaObjects.map(({ payload }) => payload),
      diaForcedSources: result.diaForcedSources.map(({ payload }) => payload),
      ...solarSystemRows(matches, near, measurements.measured),
    },
    withheld: withPolicy(result.withheld.map(({ index, reason }) => ({ index, reason })), diaSources, withholding),
    newDiaObjects: result.diaSources.filter(({ isNew }) => isNew).length,
    packedIds: new Set(
      result.diaSources.flatMap(({ diaSourceId }) => (withoutObject.has(diaSourceId) ? [] : [diaSourceId]))),
    warnings: result.warnings,
  };
}

/** What is withheld already, and what the policy withholds of the rest; in the order of the sources. */
function withPolicy(
  withheld: DetectorAssociation['withheld'], diaSources: readonly Uint8Array[], withholding: Withholding | null,
): DetectorAssociation['withheld'] {
  if (withholding === null) return withheld;
  const before = new Set(withheld.map(({ index }) => index));
  const byPolicy = diaSources.flatMap((row, index) => {
    const rule = before.has(index) ? null : withholding.ruleOf(row);
    return rule === null ? [] : [{ index, reason: `${POLICY_REASON}${rule}` }];
  });
  return [...withheld, ...byPolicy].sort((a, b) => a.index - b.index);
}

function predictedBody({ ssObjectId, seen }: NearBody): PredictedBody {
  // Catalogues tell no covariance: the association's fallback stands for the prediction's error.
  return { ssObjectId, ra: seen.raDeg, dec: seen.decDeg, raErr: null, decErr: null, ra_dec_Cov: null };
}

/** An ssSource for each match, in the order of the sources, and the orbit of each body once. */
function solarSystemRows(
  matches: readonly BodyMatch[], near: readonly NearBody[], measured: DetectorMeasurements['measured'],
): SolarSystemRowBytes {
  const bodyOf = new Map(near.map((body) => [body.ssObjectId, body]));
  const sourceOf = new Map(measured.map((source) => [source.diaSourceId, source]));
  const pairs = matches.map(({ diaSourceId, ssObjectId, distanceRank }) => {
    const body = bodyOf.get(ssObjectId), source = sourceOf.get(diaSourceId);
    if (!body || !source) throw new Error(`diaSource ${diaSourceId} was matched with ${ssObjectId}, which is not here`);
    const { orbit, seen } = body, { designation, h, g } = orbit;
    return { orbit, row: ssSourceRow(source, { ssObjectId, designation, h, g, seen }, distanceRank) };
  });
  return {
    ssSources: pairs.map(({ row }) => encodeSsSource(row)),
    mpcOrbits: pairs.map(({ orbit }) => encodeMpcOrbit(mpcOrbitRow(orbit))),
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

/** Row and histories are asked for when a source has been matched: half of the objects in a detector's cone lie beside it. */
class KnownHeldObject implements KnownDiaObject {
  readonly diaObjectId: bigint;
  readonly place: SkyPosition;
  readonly #object: HeldObject;
  readonly #sinceMjdTai: number;

  constructor(object: HeldObject, sinceMjdTai: number) {
    this.diaObjectId = object.diaObjectId;
    this.place = object.latest.place;
    this.#object = object;
    this.#sinceMjdTai = sinceMjdTai;
  }

  get last(): DiaObject { return this.#object.latest.row; }
  get sources(): LightCurve { return this.#object.sources.since(this.#sinceMjdTai); }
  get forced(): LightCurve { return this.#object.forcedSources.since(this.#sinceMjdTai); }
}
