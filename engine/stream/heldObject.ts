/** One diaObject as the associator holds it: versions and light curve in commit order, without a record a row. */
import { decodeDiaObject } from '../../schemas/avro.ts';
import type { DiaObject } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, type CommitPosition } from '../../schemas/ids.ts';
import {
  FORCED_POINT_SIZE, POINT, readForcedPoint, readSourcePoint, SOURCE_POINT_SIZE, viewOf, type LightCurve,
} from '../../schemas/lightCurve.ts';
import { compileFieldReader } from '../../schemas/rowCodec.ts';
import type { SkyPosition } from '../stages/associate/position.ts';
import type { ObjectHistory } from '../../apdb/apdb.ts';
import type { HistoryRows } from '../../apdb/historyRows.ts';

const readPosition = compileFieldReader('diaObject', ['ra', 'dec', 'raErr', 'decErr', 'ra_dec_Cov']);
const positionRead = new Float64Array(5);

function measured(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** One version of a diaObject and the commit that made it. */
export class HeldVersion {
  readonly position: CommitPosition;
  readonly ra: number;
  readonly dec: number;
  readonly #payload: Uint8Array;
  #place: SkyPosition | null = null;

  constructor(position: CommitPosition, payload: Uint8Array, ra: number, dec: number) {
    this.position = position;
    this.ra = ra;
    this.dec = dec;
    this.#payload = payload;
  }

  /** Where it is, and how well that is known. */
  get place(): SkyPosition {
    if (this.#place === null) {
      readPosition(this.#payload, viewOf(this.#payload), 0, positionRead, 0);
      this.#place = {
        ra: positionRead[0], dec: positionRead[1],
        raErr: measured(positionRead[2]), decErr: measured(positionRead[3]), ra_dec_Cov: measured(positionRead[4]),
      };
    }
    return this.#place;
  }

  /** Decoded at each call: kept, the rows of a field would be the larger part of its memory. */
  get row(): DiaObject {
    return decodeDiaObject(this.#payload);
  }
}

/** A row that was committed since the region was loaded. */
type AddedRow = Readonly<{ position: CommitPosition; id: bigint; payload: Uint8Array; point: Float64Array }>;

const NOTHING_ADDED: readonly AddedRow[] = [];

/** A row as packets take it. */
export type HeldRow = Readonly<{ id: bigint; midpointMjdTai: number; payload: Uint8Array }>;

/**
 * Rows of one table in commit order: those of the preload as columns, and those that commits have added. As a light
 * curve it has all of them; `since` leaves out those that corrections have ended.
 */
export class HeldRows implements LightCurve {
  readonly #loaded: HistoryRows | null;
  readonly #kind: 'source' | 'forced';
  /** Null before the first: of a field's objects most get none. */
  #added: AddedRow[] | null = null;
  /** The corrections that ended rows, by index; nearly always none, and then without a map for each object. */
  #endedBy: Map<number, CommitPosition> | null = null;

  constructor(kind: 'source' | 'forced', loaded: HistoryRows | null) {
    this.#kind = kind;
    this.#loaded = loaded;
  }

  get length(): number { return this.#loadedCount + (this.#added?.length ?? 0); }
  get #loadedCount(): number { return this.#loaded?.length ?? 0; }

  push(position: CommitPosition, id: bigint, payload: Uint8Array): void {
    const point = new Float64Array(this.#kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE);
    (this.#kind === 'source' ? readSourcePoint : readForcedPoint)(payload, viewOf(payload), 0, point, 0);
    (this.#added ??= []).push({ position, id, payload, point });
  }

  /** Ends the row of an id that holds: as of `by` and later it is not here. */
  end(id: bigint, by: CommitPosition): void {
    for (let index = this.length - 1; index >= 0; index--) {
      if (this.#id(index) !== id || this.#endedBy?.has(index)) continue;
      this.#endedBy ??= new Map();
      this.#endedBy.set(index, by);
      return;
    }
  }

  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void {
    this.#loaded?.copyTo(points, ids, row);
    let place = row + this.#loadedCount;
    for (const { id, point } of this.#added ?? NOTHING_ADDED) {
      points.set(point, place * point.length);
      ids[place++] = id;
    }
  }

  /** Rows of commits up to and including `asOf` that held then. */
  upTo(asOf: CommitPosition): HeldRow[] {
    let count = this.length;
    while (count > 0 && this.#position(count - 1) > asOf) count--;
    const rows: HeldRow[] = [];
    for (let index = 0; index < count; index++) {
      const endedBy = this.#endedBy?.get(index);
      if (endedBy === undefined || endedBy > asOf) rows.push(this.#row(index));
    }
    return rows;
  }

  /** The rows since a time that hold now. */
  since(mjdTai: number): LightCurve {
    const isWhole = this.#endedBy === null && (this.#loaded?.isSince(mjdTai) ?? true)
      && (this.#added ?? NOTHING_ADDED).every(({ point }) => point[POINT.time] >= mjdTai);
    if (isWhole) return this;
    const size = this.#kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE;
    const points = new Float64Array(this.length * size), ids = new BigInt64Array(this.length);
    this.copyTo(points, ids, 0);
    let kept = 0;
    for (let row = 0; row < this.length; row++) {
      if (points[row * size + POINT.time] < mjdTai || this.#endedBy?.has(row)) continue;
      points.copyWithin(kept * size, row * size, (row + 1) * size);
      ids[kept++] = ids[row];
    }
    return {
      length: kept,
      copyTo: (out, outIds, row) => {
        out.set(points.subarray(0, kept * size), row * size);
        outIds.set(ids.subarray(0, kept), row);
      },
    };
  }

  #row(index: number): HeldRow {
    const loaded = index < this.#loadedCount ? this.#loaded : null;
    if (loaded) {
      return { id: loaded.id(index), midpointMjdTai: loaded.midpointMjdTai(index), payload: loaded.payload(index) };
    }
    const { id, point, payload } = this.#addedAt(index);
    return { id, midpointMjdTai: point[POINT.time], payload };
  }

  #id(index: number): bigint {
    return index < this.#loadedCount && this.#loaded
      ? this.#loaded.id(index) : this.#addedAt(index).id;
  }

  #position(index: number): CommitPosition {
    return index < this.#loadedCount && this.#loaded
      ? this.#loaded.position(index) : this.#addedAt(index).position;
  }

  #addedAt(index: number): AddedRow {
    const row = this.#added?.[index - this.#loadedCount];
    if (row === undefined) throw new Error(`row ${index} of ${this.length}`);
    return row;
  }
}

export class HeldObject {
  readonly diaObjectId: bigint;
  readonly versions: HeldVersion[] = [];
  /** The correction that closed it, or null while it is valid. */
  closedBy: CommitPosition | null = null;
  readonly sources: HeldRows;
  readonly forcedSources: HeldRows;

  /** @param history What the APDB holds of it; null for one that is born. */
  constructor(diaObjectId: bigint, history: ObjectHistory | null) {
    this.diaObjectId = diaObjectId;
    this.sources = new HeldRows('source', history?.sources ?? null);
    this.forcedSources = new HeldRows('forced', history?.forcedSources ?? null);
    if (history) this.versions.push(new HeldVersion(BEFORE_EVERYTHING, history.diaObject, history.ra, history.dec));
  }

  get latest(): HeldVersion {
    return this.versions[this.versions.length - 1];
  }

  /** The version that held at a commit, or null when the object was not born yet, or closed. */
  versionAt(asOf: CommitPosition): HeldVersion | null {
    if (this.closedBy !== null && this.closedBy <= asOf) return null;
    let k = this.versions.length - 1;
    while (k >= 0 && this.versions[k].position > asOf) k--;
    return k < 0 ? null : this.versions[k];
  }
}
