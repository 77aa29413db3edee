/**
 * The associator's memory of the sky: known diaObjects with their history, as of the last commit read, and — because
 * every row carries the commit that made it — as of any earlier one.
 *
 * Regions come from the APDB with the position of their snapshot; the tail of commits above that position is merged
 * in.
 */
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';
import type { CommittedRowBytes } from '../../schemas/commit.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, type CommitPosition } from '../../schemas/ids.ts';
import type { ObjectHistory, RegionSnapshot } from '../../apdb/apdb.ts';
import { isInside, type SkyCone } from '../preload.ts';

/** A row, its Avro bytes, and the commit that made it. */
export type HeldRow<Row> = Readonly<{ position: CommitPosition; row: Row; payload: Uint8Array }>;

/** One diaObject with its rows in commit order. */
export type HeldObject = Readonly<{
  diaObjectId: bigint;
  versions: HeldRow<DiaObject>[]; sources: HeldRow<DiaSource>[]; forcedSources: HeldRow<DiaForcedSource>[];
}>;

type TailEntry = Readonly<{ position: CommitPosition; rows: CommittedRowBytes }>;

export class SkyState {
  readonly #objects = new Map<bigint, HeldObject>();
  readonly #regions = new Map<string, SkyCone>();
  /** Commits that the APDB's snapshots may not hold yet, in order. */
  #tail: TailEntry[] = [];
  #position: CommitPosition = BEFORE_EVERYTHING;

  /** Position of the last commit applied. */
  get position(): CommitPosition { return this.#position; }
  get objectCount(): number { return this.#objects.size; }

  /**
   * Merges a preloaded region; `key` names it until `release`. Objects that are held already know more and are kept.
   */
  mergeRegion(key: string, cone: SkyCone, snapshot: RegionSnapshot): void {
    this.#regions.set(key, cone);
    const added = new Set<bigint>();
    for (const history of snapshot.objects) {
      if (this.#objects.has(history.diaObjectId)) continue;
      this.#objects.set(history.diaObjectId, heldObject(history));
      added.add(history.diaObjectId);
    }
    const held = new Set([...this.#objects.keys()].filter((id) => !added.has(id)));
    for (const { position, rows } of this.#tail) {
      if (position > snapshot.position) this.#addRows(position, rows, (id) => !held.has(id));
    }
  }

  /** Forgets a region, and every object that lies in no other one. */
  release(key: string): void {
    if (!this.#regions.delete(key)) return;
    const regions = [...this.#regions.values()];
    for (const [id, object] of this.#objects) {
      const { ra, dec } = latest(object);
      if (!regions.some((cone) => isInside(cone, ra, dec))) this.#objects.delete(id);
    }
  }

  /** Applies one commit, in order. Entries without rows only move the position. */
  apply(position: CommitPosition, rows: CommittedRowBytes | null): void {
    if (position <= this.#position) return;
    this.#position = position;
    if (!rows) return;
    this.#tail.push({ position, rows });
    this.#addRows(position, rows, () => true);
  }

  /** Drops the tail that every later snapshot is sure to hold. */
  trimTail(projected: CommitPosition): void {
    const keep = this.#tail.findIndex((entry) => entry.position > projected);
    this.#tail = keep < 0 ? [] : this.#tail.slice(keep);
  }

  /** Objects inside a cone as of a commit, sorted by id; each with the version that held then. */
  objectsIn(cone: SkyCone, asOf: CommitPosition = this.#position): { object: HeldObject; version: DiaObject }[] {
    const found: { object: HeldObject; version: DiaObject }[] = [];
    for (const object of this.#objects.values()) {
      const version = versionAt(object, asOf);
      if (version && isInside(cone, version.ra, version.dec)) found.push({ object, version });
    }
    return found.sort((a, b) => (a.object.diaObjectId < b.object.diaObjectId ? -1 : 1));
  }

  get(id: bigint): HeldObject | null {
    return this.#objects.get(id) ?? null;
  }

  /** Adds rows to objects that are held, and holds those that are born here; of others not all would be known. */
  #addRows(position: CommitPosition, rows: CommittedRowBytes, isWanted: (id: bigint) => boolean): void {
    for (const payload of rows.diaObjects) {
      const row = decodeDiaObject(payload);
      if (!isWanted(row.diaObjectId)) continue;
      const object = this.#objects.get(row.diaObjectId) ?? (isBirth(row) ? this.#hold(row.diaObjectId) : null);
      object?.versions.push({ position, row, payload });
    }
    for (const payload of rows.diaSources) {
      const row = decodeDiaSource(payload);
      if (row.diaObjectId !== null && isWanted(row.diaObjectId)) {
        this.#objects.get(row.diaObjectId)?.sources.push({ position, row, payload });
      }
    }
    for (const payload of rows.diaForcedSources) {
      const row = decodeDiaForcedSource(payload);
      if (isWanted(row.diaObjectId)) {
        this.#objects.get(row.diaObjectId)?.forcedSources.push({ position, row, payload });
      }
    }
  }

  #hold(id: bigint): HeldObject {
    const object: HeldObject = { diaObjectId: id, versions: [], sources: [], forcedSources: [] };
    this.#objects.set(id, object);
    return object;
  }
}

/** Whether a version is the first of its diaObject: it was made of one diaSource. */
function isBirth(row: DiaObject): boolean {
  return row.nDiaSources === 1;
}

/** A history from the APDB in the form that is held. */
export function heldObject(history: ObjectHistory): HeldObject {
  const { diaObjectId, diaObject } = history;
  return {
    diaObjectId,
    versions: [{ position: BEFORE_EVERYTHING, row: decodeDiaObject(diaObject), payload: diaObject }],
    sources: Array.from(
      history.sources, ({ position, payload }) => ({ position, row: decodeDiaSource(payload), payload }),
    ),
    forcedSources: Array.from(
      history.forcedSources, ({ position, payload }) => ({ position, row: decodeDiaForcedSource(payload), payload }),
    ),
  };
}

/** Rows of commits up to and including `asOf`; rows are in commit order. */
export function rowsUpTo<Row>(rows: readonly HeldRow<Row>[], asOf: CommitPosition): readonly HeldRow<Row>[] {
  let end = rows.length;
  while (end > 0 && rows[end - 1].position > asOf) end--;
  return end === rows.length ? rows : rows.slice(0, end);
}

/** The row of a diaObject that held at a commit, or null when it was not born yet. */
export function versionAt(object: HeldObject, asOf: CommitPosition): DiaObject | null {
  return rowsUpTo(object.versions, asOf).at(-1)?.row ?? null;
}

function latest(object: HeldObject): DiaObject {
  return object.versions[object.versions.length - 1].row;
}
