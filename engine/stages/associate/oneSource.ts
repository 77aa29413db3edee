import { readSourcePoint, SOURCE_POINT_SIZE, viewOf, type LightCurve } from '../../../schemas/lightCurve.ts';

/** A light curve of one diaSource, filled again for each of a visit's ten thousand: whoever takes it copies at once. */
export class OneSource implements LightCurve {
  readonly length = 1;
  readonly #point = new Float64Array(SOURCE_POINT_SIZE);
  #id = 0n;

  /** @param payload The encoded row. */
  set(id: bigint, payload: Uint8Array): this {
    readSourcePoint(payload, viewOf(payload), 0, this.#point, 0);
    this.#id = id;
    return this;
  }

  copyTo(points: Float64Array, ids: BigInt64Array, row: number): void {
    for (let k = 0; k < SOURCE_POINT_SIZE; k++) points[row * SOURCE_POINT_SIZE + k] = this.#point[k];
    ids[row] = this.#id;
  }
}
