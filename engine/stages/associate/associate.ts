import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, encodeDiaForcedSource, encodeDiaObject, encodeDiaSource,
} from '../../../schemas/avro.ts';
import { newDiaForcedSource } from '../../../schemas/diaRows.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from '../../../schemas/diaRows.ts';
import { diaSourceIdOf } from '../../../schemas/ids.ts';
import type { DetectorId, Visit } from '../../../schemas/ids.ts';
import { lightCurveOf, NO_LIGHT_CURVE } from '../../../schemas/lightCurve.ts';
import type { Band } from '../../../schemas/units.ts';
import { associateConfig } from './config.ts';
import type { AssociateConfig } from './config.ts';
import { firstDiaObject, updatedDiaObject } from './features.ts';
import type { KnownDiaObject } from './features.ts';
import { matchMinimumCost } from './matching.ts';
import { OneSource } from './oneSource.ts';
import { gatedPairs, unmatchedCost } from './pairs.ts';
import type { SkyPosition } from './position.ts';
import { EncodedRow } from './encodedRow.ts';

/** A diaSource as measurement leaves it: what association decides is not there yet. */
export type MeasuredDiaSource = Omit<DiaSource, 'diaObjectId' | 'ssObjectId' | 'timeProcessedMjdTai'>;

/** Fluxes forced at a diaObject's position as it was when the visit was preloaded. nJy; degrees. */
export type ForcedFlux = Pick<DiaForcedSource,
  'diaObjectId' | 'ra' | 'dec' | 'psfFlux' | 'psfFluxErr' | 'scienceFlux' | 'scienceFluxErr'>;

/** The visit-detector, what was forced on it, and the processing time, drawn once by the caller and recorded. */
export type AssociationContext = Readonly<{
  visit: Visit; detector: DetectorId; band: Band; midpointMjdTai: number; timeProcessedMjdTai: number;
  forced: readonly ForcedFlux[];
  /** ssObjectId of the sources that are known bodies, by diaSourceId (`matchBodies`); none without. */
  bodies?: ReadonlyMap<bigint, bigint>;
}>;

const oneSource = new OneSource();

/** A diaSource with its diaObject, if it has one. */
export class AssociatedSource extends EncodedRow<DiaSource> {
  readonly diaSourceId: bigint;
  /** Whether it made its diaObject. */
  readonly isNew: boolean;

  constructor(diaSourceId: bigint, isNew: boolean, payload: Uint8Array) {
    super(payload, decodeDiaSource);
    this.diaSourceId = diaSourceId;
    this.isNew = isNew;
  }
}

/** A diaSource that is kept but makes no alert; `index` is its row's in `diaSources`. */
export type WithheldSource = Readonly<{ index: number; diaSourceId: bigint; reason: `noObject:${string}` }>;

export type AssociationWarning = Readonly<{
  code: 'NEW_OBJECTS_MANY'; newObjects: number; newObjectsWarningCount: number;
}>;

/**
 * Rows in order of their ids; they are what their bytes decode to. `diaObjects` holds the new and the
 * updated: one a source that is neither withheld nor a known body.
 */
export type AssociationResult = Readonly<{
  diaSources: readonly AssociatedSource[];
  diaObjects: readonly EncodedRow<DiaObject>[];
  diaForcedSources: readonly EncodedRow<DiaForcedSource>[];
  withheld: readonly WithheldSource[];
  warnings: readonly AssociationWarning[];
}>;

/** Flags that keep a source from making a diaObject (Rubin's ap_association); the first that is set is reported. */
const NO_OBJECT_FLAGS = [
  'centroid_flag', 'pixelFlags_crCenter', 'pixelFlags_nodataCenter', 'pixelFlags_interpolatedCenter',
  'pixelFlags_saturatedCenter', 'pixelFlags_suspectCenter', 'pixelFlags_streakCenter', 'glint_trail',
] as const;

/** diaForcedSourceIds have the top bit of the counter set, so that no diaSource of the detector has the same id. */
export const FORCED_COUNTER_BASE = 1 << 23;

/**
 * Associate the diaSources of one visit-detector with known diaObjects and make new ones of the rest.
 *
 * Sources are matched within 1″, unless their errors speak against it, at least total cost (`pairs.ts`). One that stays
 * alone makes a diaObject with its own id unless a flag or its reliability speaks against it: then it is kept without a
 * diaObject, and withheld. A flagged source near a known diaObject is matched like any other. A known body has an
 * ssObjectId and no diaObject: it has moved on when the next visit comes. Sources = alerts to pack + withheld, always.
 *
 * The result is a function of the values alone: the order of `measured`, `known`, its histories and `forced` does
 * not matter.
 *
 * @param known Every diaObject within the match radius of any source, as of the last commit; more do no harm.
 * @throws Error, naming the row, when a position is not on the sky, an id comes twice, or a source belongs to another
 *   visit.
 */
export function associate(
  measured: readonly MeasuredDiaSource[], known: readonly KnownDiaObject[], context: AssociationContext,
  config: AssociateConfig = associateConfig,
): AssociationResult {
  const sources = soundSources(measured, context);
  const objects = soundObjects(known);
  const objectOf = matchObjects(sources.filter((source) => source.ssObjectId === null), objects, config);
  const diaForcedSources = forcedRows(context);
  const forcedByObject = new Map(diaForcedSources.map(({ diaObjectId, id, encoded }) => (
    [diaObjectId, lightCurveOf('forced', [{ id, payload: encoded.payload }])])));
  const knownIds = new Set(objects.map(({ diaObjectId }) => diaObjectId));

  const diaSources: AssociatedSource[] = [];
  const diaObjects: DiaObject[] = [];
  const withheld: WithheldSource[] = [];
  sources.forEach((source, i) => {
    const { diaSourceId } = source;
    const matched = objectOf.get(diaSourceId) ?? null, isBody = source.ssObjectId !== null;
    const obstacle = matched === null && !isBody ? obstacleToNewObject(source, config) : null;
    const isNew = matched === null && !isBody && obstacle === null;
    if (obstacle !== null) withheld.push({ index: i, diaSourceId, reason: `noObject:${obstacle}` });
    if (isNew && knownIds.has(diaSourceId)) throw new Error(`diaObject ${diaSourceId} exists already`);
    const diaObjectId = matched?.diaObjectId ?? (isNew ? diaSourceId : null);
    source.diaObjectId = diaObjectId;
    const payload = encodeDiaSource(source);
    diaSources.push(new AssociatedSource(diaSourceId, isNew, payload));
    if (diaObjectId === null) return;
    const added = oneSource.set(diaSourceId, payload);
    diaObjects.push(matched === null ? firstDiaObject(added, context.timeProcessedMjdTai, config) : updatedDiaObject(
      matched, added, forcedByObject.get(diaObjectId) ?? NO_LIGHT_CURVE, context.timeProcessedMjdTai, config));
  });
  const objectRows = inIdOrder('diaObject', diaObjects, (row) => row.diaObjectId);
  return {
    diaSources,
    diaObjects: objectRows.map((row) => new EncodedRow(encodeDiaObject(row), decodeDiaObject)),
    diaForcedSources: diaForcedSources.map(({ encoded }) => encoded),
    withheld,
    warnings: warningsOf(diaSources.filter(({ isNew }) => isNew).length, config),
  };
}

/** The known diaObject of each source that has one, by diaSourceId. */
function matchObjects(
  sources: readonly DiaSource[], objects: readonly KnownDiaObject[], config: AssociateConfig,
): Map<bigint, KnownDiaObject> {
  const pairs = gatedPairs(sources, objects.map(({ place }) => place), config);
  const objectOfSource = matchMinimumCost(pairs, unmatchedCost(config));
  return new Map(sources.flatMap(({ diaSourceId }, i) =>
    (objectOfSource[i] < 0 ? [] : [[diaSourceId, objects[objectOfSource[i]]] as const])));
}

/** The field that forbids a new diaObject, or null. What was not measured forbids nothing. */
export function obstacleToNewObject(
  source: MeasuredDiaSource, config: AssociateConfig = associateConfig,
): string | null {
  const flag = NO_OBJECT_FLAGS.find((name) => source[name] === true);
  if (flag !== undefined) return flag;
  return source.reliability !== null && source.reliability < config.reliabilityMin ? 'reliability' : null;
}

/**
 * Rows of the forced fluxes, in order of diaObjectId. Ids are packed as a diaSourceId is, the counter being 2²³ plus
 * the rank of the diaObject among those forced on the detector, by id: the same inputs give the same ids.
 */
function forcedRows(
  context: AssociationContext,
): Readonly<{ diaObjectId: bigint; id: bigint; encoded: EncodedRow<DiaForcedSource> }>[] {
  const { visit, detector, band, midpointMjdTai, timeProcessedMjdTai } = context;
  const forced = inIdOrder('forced flux at diaObject', context.forced, (flux) => flux.diaObjectId);
  return forced.map((flux, rank) => {
    const { diaObjectId, ra, dec, psfFlux, psfFluxErr, scienceFlux, scienceFluxErr } = flux;
    assertOnSky('forced flux at diaObject', diaObjectId, flux);
    const id = diaSourceIdOf(visit, detector, FORCED_COUNTER_BASE + rank);
    const payload = encodeDiaForcedSource(newDiaForcedSource({
      diaForcedSourceId: id, diaObjectId, ra, dec, visit: BigInt(visit), detector, psfFlux, psfFluxErr, midpointMjdTai,
      scienceFlux, scienceFluxErr, band, timeProcessedMjdTai,
    }));
    return { diaObjectId, id, encoded: new EncodedRow(payload, decodeDiaForcedSource) };
  });
}

/** A copy of a source that is filled as association goes on: one of 98 fields is enough. */
type OwnSource = Omit<DiaSource, 'diaObjectId'> & { diaObjectId: bigint | null };

/** The sources in order of id; errors of positions as float32, so that all that follows is what anyone would decode. */
function soundSources(measured: readonly MeasuredDiaSource[], context: AssociationContext): OwnSource[] {
  const { visit, detector, timeProcessedMjdTai, bodies } = context;
  const sources = inIdOrder('diaSource', measured, (source) => source.diaSourceId);
  const ownVisit = BigInt(visit);
  return sources.map((source) => {
    assertOnSky('diaSource', source.diaSourceId, source);
    if (source.visit !== ownVisit || source.detector !== detector) {
      throw new Error(`diaSource ${source.diaSourceId} is of visit ${source.visit}, detector ${source.detector}, `
        + `not ${visit}, ${detector}`);
    }
    return {
      ...source, raErr: rounded(source.raErr), decErr: rounded(source.decErr), ra_dec_Cov: rounded(source.ra_dec_Cov),
      diaObjectId: null, ssObjectId: bodies?.get(source.diaSourceId) ?? null, timeProcessedMjdTai,
    };
  });
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.fround(value);
}

function soundObjects(known: readonly KnownDiaObject[]): readonly KnownDiaObject[] {
  const objects = inIdOrder('diaObject', known, ({ diaObjectId }) => diaObjectId);
  for (const { diaObjectId, place } of objects) assertOnSky('diaObject', diaObjectId, place);
  return objects;
}

function warningsOf(newObjects: number, { newObjectsWarningCount }: AssociateConfig): AssociationWarning[] {
  if (newObjects <= newObjectsWarningCount) return [];
  return [{ code: 'NEW_OBJECTS_MANY', newObjects, newObjectsWarningCount }];
}

/** The rows in order of id: themselves when they are. Throws when an id comes twice: a row would be lost silently. */
function inIdOrder<Row>(name: string, rows: readonly Row[], idOf: (row: Row) => bigint): readonly Row[] {
  const ids = rows.map(idOf);
  if (ids.every((id, i) => i === 0 || ids[i - 1] < id)) return rows;
  const sorted = [...rows].sort((a, b) => (idOf(a) < idOf(b) ? -1 : idOf(a) > idOf(b) ? 1 : 0));
  for (let i = 1; i < sorted.length; i++) {
    if (idOf(sorted[i]) === idOf(sorted[i - 1])) throw new Error(`${name} ${idOf(sorted[i])} comes twice`);
  }
  return sorted;
}

function assertOnSky(
  name: string, id: bigint, position: Partial<SkyPosition> & Readonly<{ ra: number; dec: number }>,
): void {
  const { ra, dec, raErr = null, decErr = null, ra_dec_Cov = null } = position;
  const errorsAreSound = isError(raErr) && isError(decErr) && (ra_dec_Cov === null || Number.isFinite(ra_dec_Cov));
  if (Number.isFinite(ra) && Math.abs(dec) <= 90 && errorsAreSound) return;
  throw new Error(
    `${name} ${id} has no position: ra ${ra} ± ${raErr}, dec ${dec} ± ${decErr}, covariance ${ra_dec_Cov}`,
  );
}

function isError(error: number | null): boolean {
  return error === null || (Number.isFinite(error) && error >= 0);
}
