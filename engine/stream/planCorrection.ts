/**
 * What a correction changes, worked out from the APDB as of one commit: the new versions of the rows concerned, as the
 * entry of COMMITS carries them.
 */
import type { Apdb, ObjectHistory } from '../../apdb/apdb.ts';
import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit,
  encodeSsSource,
} from '../../schemas/avro.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import type { DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import type { CommitPosition } from '../../schemas/ids.ts';
import { lightCurveOf } from '../../schemas/lightCurve.ts';
import { mpcOrbitRow } from '../ephemerides/orbit.ts';
import { ssSourceRow } from '../ephemerides/ssSourceRow.ts';
import { associateConfig } from '../stages/associate/config.ts';
import { correctedDiaObject } from '../stages/associate/features.ts';
import { localFrame, separationArcsec } from '../stages/associate/position.ts';
import { historyStart } from './associateDetector.ts';
import { streamConfig } from './config.ts';
import type { NearBody } from './knownBodies.ts';

export type CorrectionRequest = Readonly<{ reason: string }> & (
  | Readonly<{ kind: 'reassignedToObject'; diaSourceIds: readonly bigint[]; toDiaObjectId: bigint }>
  | Readonly<{
    kind: 'reassignedToBody'; diaSourceIds: readonly bigint[]; toSsObjectId: bigint;
    /** Where the body was when the source was seen. @throws when its orbit does not tell. */
    bodyAt: (source: DiaSource) => Promise<NearBody>;
  }>
  | Readonly<{ kind: 'withdrawn'; diaSourceIds: readonly bigint[] }>
  | Readonly<{ kind: 'closed'; diaObjectIds: readonly bigint[] }>
  | Readonly<{ kind: 'merged'; toDiaObjectId: bigint; diaObjectIds: readonly bigint[] }>);

/** An object as it is, and all its sources by id. */
export type Held = Readonly<{ history: ObjectHistory; row: DiaObject; sources: Map<bigint, Uint8Array> }>;

/**
 * The correction that a request asks for.
 *
 * An object that loses its last source is closed with it. Forced measurements stay with the object whose position they
 * were taken at.
 *
 * @param position Where the APDB stands.
 * @throws Error of one line when an id is not there, a source is already where it should go, or an object lies too far
 *   away to have the source.
 */
export async function planCorrection(
  apdb: Apdb, position: CommitPosition, request: CorrectionRequest, correctedMjdTai: number,
): Promise<SkyCorrected> {
  const named = await heldObjects(apdb, position, 'diaObjectIds' in request ? request.diaObjectIds : []);
  const ids = 'diaSourceIds' in request ? request.diaSourceIds
    : request.kind === 'merged' ? [...named.values()].flatMap(({ sources }) => [...sources.keys()]) : [];
  const rows = await storedSources(apdb, ids);
  const to = 'toDiaObjectId' in request ? request.toDiaObjectId : null;
  if (to !== null && named.has(to)) throw new Error(`diaObject ${to} cannot be merged with itself`);
  const held = new Map([...named, ...await heldObjects(apdb, position, [
    ...new Set([...rows.flatMap(({ diaObjectId }) => diaObjectId ?? []), ...to === null ? [] : [to]]),
  ].filter((id) => !named.has(id)))]);
  const bodies = await bodiesOf(request, rows);
  const next = rows.map((row) => changedRow(row, request, to, held, correctedMjdTai));
  rows.forEach((row, k) => {
    if (row.diaObjectId !== null) held.get(row.diaObjectId)?.sources.delete(row.diaSourceId);
    if (to !== null) held.get(to)?.sources.set(row.diaSourceId, next[k]);
  });
  const isClosed = ({ history, sources }: Held) => named.has(history.diaObjectId) || sources.size === 0;
  const objects = [...held.values()].sort((a, b) => (a.row.diaObjectId < b.row.diaObjectId ? -1 : 1));
  return {
    kind: request.kind, reason: request.reason, correctedMjdTai, toDiaObjectId: to,
    toSsObjectId: request.kind === 'reassignedToBody' ? request.toSsObjectId : null,
    moved: rows.map(({ diaSourceId, diaObjectId }) => ({ diaSourceId, fromDiaObjectId: diaObjectId })),
    closedDiaObjectIds: objects.filter(isClosed).map(({ row }) => row.diaObjectId),
    diaSources: next,
    diaObjects: objects.filter((object) => !isClosed(object)).map((object) => nextVersion(object, [], correctedMjdTai)),
    ...bodies, diaForcedSources: [], precoveredDiaObjectIds: [],
  };
}

async function storedSources(apdb: Apdb, ids: readonly bigint[]): Promise<DiaSource[]> {
  if (ids.length > streamConfig.correctedSourcesMax) {
    throw new Error(`${ids.length} sources are more than the ${streamConfig.correctedSourcesMax} of one correction`);
  }
  const stored = (await apdb.loadSources(ids)).map(({ payload }) => decodeDiaSource(payload));
  const found = new Set(stored.map(({ diaSourceId }) => diaSourceId));
  const missing = ids.find((id) => !found.has(id));
  if (missing !== undefined) throw new Error(`diaSource ${missing} is not in the APDB`);
  return stored;
}

async function heldObjects(apdb: Apdb, position: CommitPosition, ids: readonly bigint[]): Promise<Map<bigint, Held>> {
  const held = await openObjects(apdb, position, ids);
  const missing = ids.find((id) => !held.has(id));
  if (missing !== undefined) throw new Error(`diaObject ${missing} is not in the APDB, or closed`);
  return held;
}

/** Those of the objects that are valid. */
export async function openObjects(
  apdb: Apdb, position: CommitPosition, ids: readonly bigint[],
): Promise<Map<bigint, Held>> {
  const held = new Map<bigint, Held>();
  for (const history of await apdb.loadObjects(ids, -Infinity, position)) {
    const sources = new Map(Array.from(history.sources, ({ id, payload }) => [id, payload]));
    held.set(history.diaObjectId, { history, row: decodeDiaObject(history.diaObject), sources });
  }
  return held;
}

function changedRow(
  row: DiaSource, request: CorrectionRequest, to: bigint | null, held: ReadonlyMap<bigint, Held>,
  correctedMjdTai: number,
): Uint8Array {
  const { diaSourceId, timeWithdrawnMjdTai } = row;
  if (timeWithdrawnMjdTai !== null) {
    throw new Error(`diaSource ${diaSourceId} was withdrawn at MJD ${timeWithdrawnMjdTai}`);
  }
  switch (request.kind) {
    case 'withdrawn':
      return encodeDiaSource({ ...row, diaObjectId: null, ssObjectId: null, timeWithdrawnMjdTai: correctedMjdTai });
    case 'reassignedToBody':
      if (row.ssObjectId === request.toSsObjectId) {
        throw new Error(`diaSource ${diaSourceId} is of solar-system object ${row.ssObjectId} already`);
      }
      return encodeDiaSource({ ...row, diaObjectId: null, ssObjectId: request.toSsObjectId });
    default: {
      const object = to === null ? undefined : held.get(to);
      if (!object) throw new Error(`a correction ${request.kind} of diaSource ${diaSourceId} to no object`);
      if (row.diaObjectId === to) throw new Error(`diaSource ${diaSourceId} is of diaObject ${to} already`);
      const away = separationArcsec(localFrame(row.ra, row.dec), localFrame(object.row.ra, object.row.dec));
      if (away > streamConfig.correctionRadiusArcsec) {
        throw new Error(`diaSource ${diaSourceId} lies ${away.toFixed(1)}″ from diaObject ${to}, `
          + `more than ${streamConfig.correctionRadiusArcsec}″: another id?`);
      }
      return encodeDiaSource({ ...row, diaObjectId: to, ssObjectId: null });
    }
  }
}

async function bodiesOf(
  request: CorrectionRequest, rows: readonly DiaSource[],
): Promise<Pick<SkyCorrected, 'ssSources' | 'mpcOrbits'>> {
  if (request.kind !== 'reassignedToBody') return { ssSources: [], mpcOrbits: [] };
  const seen: NearBody[] = [];
  for (const row of rows) seen.push(await request.bodyAt(row));
  return {
    // Whoever asked has said that no other source is nearer.
    ssSources: rows.map((row, k) => {
      const { ssObjectId, orbit: { designation, h, g }, seen: apparition } = seen[k];
      return encodeSsSource(ssSourceRow(row, { ssObjectId, designation, h, g, seen: apparition }, 1));
    }),
    mpcOrbits: seen.slice(0, 1).map(({ orbit }) => encodeMpcOrbit(mpcOrbitRow(orbit))),
  };
}

/**
 * The row of an object with the sources that it has now.
 *
 * @param late Encoded diaForcedSources that come with this version.
 */
export function nextVersion(
  { row, history, sources }: Held, late: readonly Uint8Array[], correctedMjdTai: number,
): Uint8Array {
  const rows = [...sources].map(([id, payload]) => ({ id, payload, time: decodeDiaSource(payload).midpointMjdTai }));
  const times = rows.map(({ time }) => time);
  const lastDiaSourceMjdTai = Math.max(...times), sinceMjdTai = historyStart(lastDiaSourceMjdTai);
  const forced = [...Array.from(history.forcedSources, ({ payload }) => payload), ...late].map((payload) => {
    const { diaForcedSourceId, midpointMjdTai } = decodeDiaForcedSource(payload);
    return { id: diaForcedSourceId, payload, time: midpointMjdTai };
  });
  const inWindow = ({ time }: Readonly<{ time: number }>) => time >= sinceMjdTai;
  // What retention has dropped is counted on: the store holds fewer sources than the object has had.
  const dropped = row.nDiaSources - history.sources.length;
  return encodeDiaObject(correctedDiaObject(row, {
    window: lightCurveOf('source', rows.filter(inWindow)), forced: lightCurveOf('forced', forced.filter(inWindow)),
    nDiaSources: rows.length + Math.max(0, dropped), lastDiaSourceMjdTai,
    firstDiaSourceMjdTai: dropped > 0 ? Math.min(row.firstDiaSourceMjdTai ?? Infinity, ...times) : Math.min(...times),
  }, correctedMjdTai, associateConfig));
}
