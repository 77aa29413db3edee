/** One diaObject as the associator holds it: versions and light curve in commit order, without a record a row. */
import { decodeDiaObject } from '../../schemas/avro.ts';
import type { DiaObject } from '../../schemas/diaRows.ts';
import { BEFORE_EVERYTHING, type CommitPosition } from '../../schemas/ids.ts';
import {
  FORCED_POINT_SIZE, POINT, readForcedPoint, readSourcePoint, SOURCE_POINT_SIZE, viewOf, type LightCurve,
} from '../../schemas/lightCurve.ts';
import type { ObjectHistory } from '../../apdb/apdb.ts';
import type { HistoryRows } from '../../apdb/historyRows.ts';

/** One version of a diaObject and the commit that made it. */
export class HeldVersion {
  readonly position: CommitPosition;
  readonly ra: number;
  readonly dec: number;
  readonly #payload: Uint8Array;
  #row: DiaObject | null;

  /** @param row When it has been decoded already. */
  constructor(position: CommitPosition, payload: Uint8Array, ra: number, dec: number, row: DiaObject | null = null) {
    this.position = position;
    this.ra = ra;
    this.dec = dec;
    this.#payload = payload;
    this.#row = row;
  }

  get row(): DiaObject {
    this.#row ??= decodeDiaObject(this.#payload);
    return this.#row;
  }
}

/** A row that was committed since the region was loaded. */
type AddedRow = Readonly<{ position: CommitPosition; id: bigint; payload: Uint8Array; point: Float64Array }>;

/** Rows of one table in commit order: those of the preload as columns, and those that commits have added. */
export class HeldRows implements LightCurve {
  readonly #loaded: HistoryRows | null;
  readonly #kind: 'source' | 'forced';
  readonly #added: AddedRow[] = [];

  constructor(kind: 'source' | 'forced', loaded: HistoryRows | null) {
    this.#kind = kind;
    this.#loaded = loaded;
  }

  get length(): number { return this.#loadedCount + this.#added.length; }
  get #loadedCount(): number { return this.#loaded?.length ?? 0; }

  push(position: CommitPosition, id: bigint, payload: Uint8Array): void {
    const point = new Float64Array(this.#kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE);
    (this.#kind === 'source' ? readSourcePoint : readForcedPoint)(payload, viewOf(payload), 0, point, 0);
    this.#added.push({ position, id, payload, point });
  }

  id(index: number): bigint {
    return this.#loadedRow(index)?.id(index) ?? this.#addedRow(index).id;
  }

  position(index: number): CommitPosition {
    return this.#loadedRow(index)?.position(index) ?? this.#addedRow(index).position;
  }

  midpointMjdTai(index: number): number {
    return this.#loadedRow(index)?.midpointMjdTai(index) ?? this.#addedRow(index).point[POINT.time];
  }

  payload(index: number): Uint8Array {
    return this.#loadedRow(index)?.payload(index) ?? this.#addedRow(index).payload;
  }

  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void {
    this.#loaded?.copyTo(points, ids, row);
    this.#added.forEach(({ id, point }, i) => {
      const place = row + this.#loadedCount + i;
      points.set(point, place * point.length);
      ids[place] = id;
    });
  }

  /** Rows of commits up to and including `asOf`. */
  countUpTo(asOf: CommitPosition): number {
    let count = this.length;
    while (count > 0 && this.position(count - 1) > asOf) count--;
    return count;
  }

  /** The rows since a time. */
  since(mjdTai: number): LightCurve {
    if ((this.#loaded?.isSince(mjdTai) ?? true) && this.#added.every(({ point }) => point[POINT.time] >= mjdTai)) {
      return this;
    }
    const size = this.#kind === 'source' ? SOURCE_POINT_SIZE : FORCED_POINT_SIZE;
    const points = new Float64Array(this.length * size), ids = new BigInt64Array(this.length);
    this.copyTo(points, ids, 0);
    let kept = 0;
    for (let row = 0; row < this.length; row++) {
      if (points[row * size + POINT.time] < mjdTai) continue;
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

  #loadedRow(index: number): HistoryRows | null {
    return index < this.#loadedCount ? this.#loaded : null;
  }

  #addedRow(index: number): AddedRow {
    return this.#added[index - this.#loadedCount];
  }
}

export class HeldObject {
  readonly diaObjectId: bigint;
  readonly versions: HeldVersion[] = [];
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

  /** The version that held at a commit, or null when the object was not born yet. */
  versionAt(asOf: CommitPosition): HeldVersion | null {
    return this.versions.findLast(({ position }) => position <= asOf) ?? null;
  }
}
