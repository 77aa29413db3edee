import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource } from '../../../schemas/avro.ts';
import { newDiaForcedSource } from '../../../schemas/diaRows.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from '../../../schemas/diaRows.ts';
import { diaSourceIdOf } from '../../../schemas/ids.ts';
import type { DetectorId, Visit } from '../../../schemas/ids.ts';
import type { Band } from '../../../schemas/units.ts';
import { associateConfig } from './config.ts';
import type { AssociateConfig } from './config.ts';
import { firstDiaObject, updatedDiaObject } from './features.ts';
import type { KnownDiaObject } from './features.ts';
import { matchMinimumCost } from './matching.ts';
import { gatedPairs, unmatchedCost } from './pairs.ts';
import type { SkyPosition } from './position.ts';
import { asStored } from './storedRow.ts';

/** A diaSource as measurement leaves it: what association decides is not there yet. */
export type MeasuredDiaSource = Omit<DiaSource, 'diaObjectId' | 'ssObjectId' | 'timeProcessedMjdTai'>;

/** Fluxes forced at a diaObject's position as it was when the visit was preloaded. nJy; degrees. */
export type ForcedFlux = Pick<DiaForcedSource,
  'diaObjectId' | 'ra' | 'dec' | 'psfFlux' | 'psfFluxErr' | 'scienceFlux' | 'scienceFluxErr'>;

/** The visit-detector, what was forced on it, and the processing time, drawn once by the caller and recorded. */
export type AssociationContext = Readonly<{
  visit: Visit; detector: DetectorId; band: Band; midpointMjdTai: number; timeProcessedMjdTai: number;
  forced: readonly ForcedFlux[];
}>;

/** A row and its Avro bytes; the row equals what the bytes decode to. */
export type EncodedRow<Row> = Readonly<{ row: Row; payload: Uint8Array }>;

/** A diaSource that is kept but makes no alert; `index` is its row's in `diaSources`. */
export type WithheldSource = Readonly<{ index: number; diaSourceId: bigint; reason: `noObject:${string}` }>;

export type AssociationWarning = Readonly<{
  code: 'NEW_OBJECTS_MANY'; newObjects: number; newObjectsWarningCount: number;
}>;

/** Rows in order of their ids. `diaObjects` holds the new and the updated: one a source that is not withheld. */
export type AssociationResult = Readonly<{
  diaSources: readonly (EncodedRow<DiaSource> & Readonly<{ isNew: boolean }>)[];
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
const FORCED_COUNTER_BASE = 1 << 23;

/**
 * Associate the diaSources of one visit-detector with known diaObjects and make new ones of the rest.
 *
 * Sources are matched within 1″ at least total cost (`pairs.ts`). One that stays alone makes a diaObject with its own
 * id unless a flag or its reliability speaks against it: then it is kept without a diaObject, and withheld. A flagged
 * source near a known diaObject is matched like any other. Sources = alerts to pack + withheld, always.
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
  const pairs = gatedPairs(sources, objects.map((object) => object.last), config);
  const objectOfSource = matchMinimumCost(pairs, unmatchedCost(config));
  const diaForcedSources = forcedRows(context);
  const forcedByObject = new Map(diaForcedSources.map((row) => [row.diaObjectId, row]));

  const diaSources: (EncodedRow<DiaSource> & { isNew: boolean })[] = [];
  const diaObjects: DiaObject[] = [];
  const withheld: WithheldSource[] = [];
  const knownIds = new Set(objects.map((object) => object.last.diaObjectId));
  let newObjects = 0;
  sources.forEach((source, i) => {
    const matched = objectOfSource[i] < 0 ? null : objects[objectOfSource[i]];
    const obstacle = matched === null ? obstacleToNewObject(source, config) : null;
    const isNew = matched === null && obstacle === null;
    if (obstacle !== null) withheld.push({ index: i, diaSourceId: source.diaSourceId, reason: `noObject:${obstacle}` });
    const object = matched !== null
      ? updatedDiaObject(matched, source, forcedPoints(forcedByObject, matched), context.timeProcessedMjdTai, config)
      : isNew ? firstDiaObject(source, context.timeProcessedMjdTai, config) : null;
    if (object !== null) diaObjects.push(object);
    if (isNew && knownIds.has(source.diaSourceId)) throw new Error(`diaObject ${source.diaSourceId} exists already`);
    if (isNew) newObjects++;
    const row = { ...source, diaObjectId: object?.diaObjectId ?? null };
    diaSources.push({ row, payload: encodeDiaSource(row), isNew });
  });
  const objectRows = inIdOrder('diaObject', diaObjects, (row) => row.diaObjectId);
  return {
    diaSources,
    diaObjects: objectRows.map((row) => ({ row, payload: encodeDiaObject(row) })),
    diaForcedSources: diaForcedSources.map((row) => ({ row, payload: encodeDiaForcedSource(row) })),
    withheld,
    warnings: warningsOf(newObjects, config),
  };
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
function forcedRows(context: AssociationContext): DiaForcedSource[] {
  const { visit, detector, band, midpointMjdTai, timeProcessedMjdTai } = context;
  const forced = inIdOrder('forced flux at diaObject', context.forced, (flux) => flux.diaObjectId);
  return forced.map((flux, rank) => {
    assertOnSky(`forced flux at diaObject ${flux.diaObjectId}`, flux);
    return asStored('diaForcedSource', newDiaForcedSource({
      diaForcedSourceId: diaSourceIdOf(visit, detector, FORCED_COUNTER_BASE + rank),
      diaObjectId: flux.diaObjectId, ra: flux.ra, dec: flux.dec, visit: BigInt(visit), detector,
      psfFlux: flux.psfFlux, psfFluxErr: flux.psfFluxErr, midpointMjdTai,
      scienceFlux: flux.scienceFlux, scienceFluxErr: flux.scienceFluxErr, band, timeProcessedMjdTai,
    }));
  });
}

function forcedPoints(byObject: ReadonlyMap<bigint, DiaForcedSource>, object: KnownDiaObject): DiaForcedSource[] {
  const row = byObject.get(object.last.diaObjectId);
  return row === undefined ? [] : [row];
}

function soundSources(measured: readonly MeasuredDiaSource[], context: AssociationContext): DiaSource[] {
  const { visit, detector, timeProcessedMjdTai } = context;
  const sources = inIdOrder('diaSource', measured, (source) => source.diaSourceId);
  return sources.map((source) => {
    const name = `diaSource ${source.diaSourceId}`;
    assertOnSky(name, source);
    if (source.visit !== BigInt(visit) || source.detector !== detector) {
      throw new Error(`${name} is of visit ${source.visit}, detector ${source.detector}, not ${visit}, ${detector}`);
    }
    return asStored('diaSource', { ...source, diaObjectId: null, ssObjectId: null, timeProcessedMjdTai });
  });
}

function soundObjects(known: readonly KnownDiaObject[]): KnownDiaObject[] {
  const objects = inIdOrder('diaObject', known, (object) => object.last.diaObjectId);
  for (const { last } of objects) assertOnSky(`diaObject ${last.diaObjectId}`, last);
  return objects;
}

function warningsOf(newObjects: number, { newObjectsWarningCount }: AssociateConfig): AssociationWarning[] {
  if (newObjects <= newObjectsWarningCount) return [];
  return [{ code: 'NEW_OBJECTS_MANY', newObjects, newObjectsWarningCount }];
}

/** A sorted copy. Throws when an id comes twice: a row would be lost silently. */
function inIdOrder<Row>(name: string, rows: readonly Row[], idOf: (row: Row) => bigint): Row[] {
  const sorted = [...rows].sort((a, b) => (idOf(a) < idOf(b) ? -1 : idOf(a) > idOf(b) ? 1 : 0));
  for (let i = 1; i < sorted.length; i++) {
    if (idOf(sorted[i]) === idOf(sorted[i - 1])) throw new Error(`${name} ${idOf(sorted[i])} comes twice`);
  }
  return sorted;
}

function assertOnSky(name: string, position: Partial<SkyPosition> & Readonly<{ ra: number; dec: number }>): void {
  const { ra, dec, raErr = null, decErr = null, ra_dec_Cov = null } = position;
  const errorsAreSound = [raErr, decErr].every((error) => error === null || (Number.isFinite(error) && error >= 0))
    && (ra_dec_Cov === null || Number.isFinite(ra_dec_Cov));
  if (Number.isFinite(ra) && Math.abs(dec) <= 90 && errorsAreSound) return;
  throw new Error(`${name} has no position: ra ${ra} ± ${raErr}, dec ${dec} ± ${decErr}, covariance ${ra_dec_Cov}`);
}
