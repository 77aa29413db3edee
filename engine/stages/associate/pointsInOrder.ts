import { POINT, type LightCurve } from '../../../schemas/lightCurve.ts';

const ROWS_AT_FIRST = 256;

/**
 * The points of some light curves together, in order of time, then id: sums over them then do not depend on the order
 * in which the rows were stored. Memory is kept from one use to the next.
 */
export class PointsInOrder {
  /** [length × size] row-major, one point a row (`schemas/lightCurve.ts`). Valid until the next `gather`. */
  values: Float64Array;
  length = 0;
  readonly size: number;
  #given: Float64Array;
  #ids: BigInt64Array;
  #order: Int32Array;

  /** @param size Doubles of a point. */
  constructor(size: number) {
    this.size = size;
    this.values = new Float64Array(ROWS_AT_FIRST * size);
    this.#given = new Float64Array(ROWS_AT_FIRST * size);
    this.#ids = new BigInt64Array(ROWS_AT_FIRST);
    this.#order = new Int32Array(ROWS_AT_FIRST);
  }

  gather(curves: readonly LightCurve[]): this {
    this.length = 0;
    for (const curve of curves) this.length += curve.length;
    if (this.length > this.#ids.length) this.#grow(2 * this.length);
    let row = 0;
    for (const curve of curves) {
      for (let i = 0; i < curve.length; i++, row++) {
        curve.copyPoint(i, this.#given, row * this.size);
        this.#ids[row] = curve.id(i);
        this.#insert(row);
      }
    }
    for (let place = 0; place < this.length; place++) {
      const from = this.#order[place] * this.size;
      for (let k = 0; k < this.size; k++) this.values[place * this.size + k] = this.#given[from + k];
    }
    return this;
  }

  holdsBand(code: number): boolean {
    for (let row = 0; row < this.length; row++) {
      if (this.values[row * this.size + POINT.band] === code) return true;
    }
    return false;
  }

  /** Insertion: rows come nearly in order, and then it is linear. */
  #insert(row: number): void {
    const time = this.#given[row * this.size + POINT.time];
    let place = row;
    for (; place > 0; place--) {
      const before = this.#order[place - 1];
      const timeBefore = this.#given[before * this.size + POINT.time];
      if (timeBefore < time || (timeBefore === time && this.#ids[before] < this.#ids[row])) break;
      this.#order[place] = before;
    }
    this.#order[place] = row;
  }

  #grow(rows: number): void {
    this.values = new Float64Array(rows * this.size);
    this.#given = new Float64Array(rows * this.size);
    this.#ids = new BigInt64Array(rows);
    this.#order = new Int32Array(rows);
  }
}
