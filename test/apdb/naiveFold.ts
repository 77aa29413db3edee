/** What a read must give, worked out from the list of commits alone: the definition that the stores are held to. */
import type { Committed, Cone, ObjectHistory } from '../../apdb/apdb.ts';
import type { HistoryRows } from '../../apdb/historyRows.ts';
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';

/** Comparable by `toEqual`: bytes as hexadecimal, ids as text. */
export type PlainHistory = { id: string; object: string; sources: string[]; forcedSources: string[] };

export function naiveHistories(commits: readonly Committed[], sinceMjdTai: number, asOf: number): PlainHistory[] {
  const { objects, sources, forcedSources } = naiveSky(commits.filter(({ position }) => position <= asOf));
  const rowsOf = (id: bigint, rows: readonly NaiveRow[]) => rows
    .filter((row) => row.diaObjectId === id && row.midpointMjdTai >= sinceMjdTai)
    .map(({ position, midpointMjdTai, payload }) => plainRow(position, midpointMjdTai, payload));
  return [...objects.keys()].sort((a, b) => Number(a - b)).map((id) => ({
    id: String(id), object: hex(objects.get(id) ?? new Uint8Array()),
    sources: rowsOf(id, sources), forcedSources: rowsOf(id, forcedSources),
  }));
}

export type NaiveRow = Readonly<{
  position: number; payload: Uint8Array; diaObjectId: bigint | null; midpointMjdTai: number;
}>;
export type NaiveSource = NaiveRow & Readonly<{ diaSourceId: bigint }>;

/** What holds after these commits: objects by id, and rows in the order in which they came. */
export function naiveSky(commits: readonly Committed[]) {
  const objects = new Map<bigint, Uint8Array>(), forcedSources: NaiveRow[] = [];
  let sources: NaiveSource[] = [];
  for (const commit of commits) {
    const { position } = commit, brought = 'corrected' in commit ? commit.corrected : commit;
    const added = brought.diaSources.map((payload) => ({ position, payload, ...decodeDiaSource(payload) }));
    sources = sources.filter(({ diaSourceId }) => !added.some((row) => row.diaSourceId === diaSourceId));
    sources.push(...added.sort((a, b) => Number(a.diaSourceId - b.diaSourceId)));
    for (const row of brought.diaObjects) objects.set(decodeDiaObject(row).diaObjectId, row);
    if ('corrected' in commit) for (const id of commit.corrected.closedDiaObjectIds) objects.delete(id);
    forcedSources.push(...brought.diaForcedSources.map((payload) => (
      { position, payload, ...decodeDiaForcedSource(payload) })));
  }
  return { objects, sources, forcedSources };
}

/** Whether an object lies in a cone, by the angle between unit vectors. */
export function isObjectInCone(history: PlainHistory, cone: Cone): boolean {
  const { ra, dec } = decodeDiaObject(Buffer.from(history.object, 'hex'));
  const [a, b] = [unitVector(ra, dec), unitVector(cone.raDeg, cone.decDeg)];
  const cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  return Math.acos(Math.min(1, Math.max(-1, cosine))) * 180 / Math.PI <= cone.radiusDeg;
}

export function plainHistory(history: ObjectHistory): PlainHistory {
  return {
    id: String(history.diaObjectId), object: hex(history.diaObject),
    sources: plainRows(history.sources), forcedSources: plainRows(history.forcedSources),
  };
}

function plainRows(rows: HistoryRows): string[] {
  return [...rows].map(({ position, midpointMjdTai, payload }) => plainRow(position, midpointMjdTai, payload));
}

function plainRow(position: number, midpointMjdTai: number, payload: Uint8Array): string {
  return `${position} ${midpointMjdTai} ${hex(payload)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function unitVector(raDeg: number, decDeg: number): [number, number, number] {
  const [ra, dec] = [raDeg * Math.PI / 180, decDeg * Math.PI / 180];
  return [Math.cos(dec) * Math.cos(ra), Math.cos(dec) * Math.sin(ra), Math.sin(dec)];
}
