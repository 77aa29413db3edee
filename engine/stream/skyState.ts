/**
 * The associator's memory of the sky: known diaObjects with their history, as of the last commit read, and — because
 * every row carries the commit that made it — as of any earlier one.
 *
 * Regions come from the APDB with the position of their snapshot; the tail of commits above that position is merged
 * in.
 */
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';
import type { CommittedRowBytes } from '../../schemas/commit.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import type { DiaObject } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, type CommitPosition } from '../../schemas/ids.ts';
import type { RegionSnapshot } from '../../apdb/apdb.ts';
import { isInside, type SkyCone } from '../preload.ts';
import { HeldObject, HeldVersion } from './heldObject.ts';
import { SkyGrid } from './skyGrid.ts';

/** What an entry of the log changes in the sky. */
export type SkyChange =
  | Readonly<{ rows: CommittedRowBytes; corrected: null }> | Readonly<{ rows: null; corrected: SkyCorrected }>;
type TailEntry = SkyChange & Readonly<{ position: CommitPosition }>;

export class SkyState {
  readonly #objects = new Map<bigint, HeldObject>();
  readonly #grid = new SkyGrid<HeldObject>();
  readonly #regions = new Map<string, SkyCone>();
  /** Commits that the APDB's snapshots may not hold yet, in order. */
  #tail: TailEntry[] = [];
  #position: CommitPosition = BEFORE_EVERYTHING;

  /** Position of the last commit applied. */
  get position(): CommitPosition { return this.#position; }
  get objectCount(): number { return this.#objects.size; }

  /** Whether a region is held. */
  hasRegion(key: string): boolean {
    return this.#regions.has(key);
  }

  /**
   * Merges a preloaded region; `key` names it until `release`. Objects that are held already know more and are kept.
   */
  mergeRegion(key: string, cone: SkyCone, snapshot: RegionSnapshot): void {
    this.#regions.set(key, cone);
    const added = new Set<bigint>();
    for (const history of snapshot.objects) {
      if (this.#objects.has(history.diaObjectId)) continue;
      const object = new HeldObject(history.diaObjectId, history);
      this.#objects.set(history.diaObjectId, object);
      this.#grid.add(object, history.ra, history.dec);
      added.add(history.diaObjectId);
    }
    const tail = this.#tail.filter(({ position }) => position > snapshot.position);
    if (tail.length === 0) return;
    const held = new Set([...this.#objects.keys()].filter((id) => !added.has(id)));
    for (const entry of tail) this.#change(entry.position, entry, (id) => !held.has(id));
  }

  /** Forgets a region, and every object that lies in no other one. */
  release(key: string): void {
    if (!this.#regions.delete(key)) return;
    const regions = [...this.#regions.values()];
    for (const [id, object] of this.#objects) {
      const { ra, dec } = object.latest;
      if (!regions.some((cone) => isInside(cone, ra, dec))) this.#objects.delete(id);
    }
    this.#grid.keep(({ diaObjectId }) => this.#objects.has(diaObjectId));
  }

  /** Applies one entry, in order. Those that change nothing only move the position. */
  apply(position: CommitPosition, change: SkyChange | null): void {
    if (position <= this.#position) return;
    this.#position = position;
    if (!change) return;
    this.#tail.push({ ...change, position });
    this.#change(position, change, () => true);
  }

  /** Drops the tail that every later snapshot is sure to hold. */
  trimTail(projected: CommitPosition): void {
    const keep = this.#tail.findIndex((entry) => entry.position > projected);
    this.#tail = keep < 0 ? [] : this.#tail.slice(keep);
  }

  /** Objects inside a cone as of a commit, sorted by id; each with the version that held then. */
  objectsIn(cone: SkyCone, asOf: CommitPosition = this.#position): { object: HeldObject; version: HeldVersion }[] {
    const found: { object: HeldObject; version: HeldVersion }[] = [];
    for (const object of this.#grid.near(cone)) {
      const version = object.versionAt(asOf);
      if (version && isInside(cone, version.ra, version.dec)) found.push({ object, version });
    }
    return found.sort((a, b) => (a.object.diaObjectId < b.object.diaObjectId ? -1 : 1));
  }

  get(id: bigint): HeldObject | null {
    return this.#objects.get(id) ?? null;
  }

  #change(position: CommitPosition, { rows, corrected }: SkyChange, isWanted: (id: bigint) => boolean): void {
    if (corrected === null) this.#addRows(position, rows, isWanted);
    else this.#correct(position, corrected, isWanted);
  }

  /** Takes rows from objects and gives them to others, where these are held. Corrections make no objects. */
  #correct(position: CommitPosition, corrected: SkyCorrected, isWanted: (id: bigint) => boolean): void {
    const held = (id: bigint | null) => (id !== null && isWanted(id) ? this.#objects.get(id) : undefined);
    for (const { diaSourceId, fromDiaObjectId } of corrected.moved) {
      held(fromDiaObjectId)?.sources.end(diaSourceId, position);
    }
    for (const payload of corrected.diaSources) {
      const { diaObjectId, diaSourceId } = decodeDiaSource(payload);
      held(diaObjectId)?.sources.push(position, diaSourceId, payload);
    }
    for (const payload of corrected.diaForcedSources) {
      const { diaObjectId, diaForcedSourceId } = decodeDiaForcedSource(payload);
      held(diaObjectId)?.forcedSources.push(position, diaForcedSourceId, payload);
    }
    for (const payload of corrected.diaObjects) {
      const row = decodeDiaObject(payload), object = held(row.diaObjectId);
      if (!object) continue;
      object.versions.push(new HeldVersion(position, payload, row.ra, row.dec));
      this.#grid.add(object, row.ra, row.dec);
    }
    for (const id of corrected.closedDiaObjectIds) {
      const object = held(id);
      if (object) object.closedBy = position;
    }
  }

  /** Adds rows to objects that are held, and holds those that are born here; of others not all would be known. */
  #addRows(position: CommitPosition, rows: CommittedRowBytes, isWanted: (id: bigint) => boolean): void {
    for (const payload of rows.diaObjects) {
      const row = decodeDiaObject(payload);
      if (!isWanted(row.diaObjectId)) continue;
      const object = this.#objects.get(row.diaObjectId) ?? (isBirth(row) ? this.#hold(row.diaObjectId) : null);
      if (!object) continue;
      object.versions.push(new HeldVersion(position, payload, row.ra, row.dec));
      this.#grid.add(object, row.ra, row.dec);
    }
    for (const payload of rows.diaSources) {
      const { diaObjectId, diaSourceId } = decodeDiaSource(payload);
      if (diaObjectId !== null && isWanted(diaObjectId)) {
        this.#objects.get(diaObjectId)?.sources.push(position, diaSourceId, payload);
      }
    }
    for (const payload of rows.diaForcedSources) {
      const { diaObjectId, diaForcedSourceId } = decodeDiaForcedSource(payload);
      if (isWanted(diaObjectId)) {
        this.#objects.get(diaObjectId)?.forcedSources.push(position, diaForcedSourceId, payload);
      }
    }
  }

  #hold(id: bigint): HeldObject {
    const object = new HeldObject(id, null);
    this.#objects.set(id, object);
    return object;
  }
}

/** Whether a version is the first of its diaObject: it was made of one diaSource. */
function isBirth(row: DiaObject): boolean {
  return row.nDiaSources === 1;
}
