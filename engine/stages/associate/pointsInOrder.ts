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
  #sorted: Float64Array;
  #ids: BigInt64Array;
  #order: Int32Array;

  /** @param size Doubles of a point. */
  constructor(size: number) {
    this.size = size;
    this.values = new Float64Array(ROWS_AT_FIRST * size);
    this.#sorted = new Float64Array(ROWS_AT_FIRST * size);
    this.#ids = new BigInt64Array(ROWS_AT_FIRST);
    this.#order = new Int32Array(ROWS_AT_FIRST);
  }

  gather(curves: readonly LightCurve[]): this {
    this.length = 0;
    for (const curve of curves) this.length += curve.length;
    if (this.length > this.#ids.length) this.#grow(2 * this.length);
    let row = 0;
    for (const curve of curves) {
      curve.copyTo(this.values, this.#ids, row);
      row += curve.length;
    }
    if (!this.#isInOrder()) this.#sort();
    return this;
  }

  /** Id of a row as it was given; of a single row, its own. */
  get firstId(): bigint {
    return this.#ids[0];
  }

  holdsBand(code: number): boolean {
    for (let row = 0; row < this.length; row++) {
      if (this.values[row * this.size + POINT.band] === code) return true;
    }
    return false;
  }

  #isInOrder(): boolean {
    for (let row = 1; row < this.length; row++) if (!this.#isBefore(row - 1, row)) return false;
    return true;
  }

  /** Insertion: rows come nearly in order, and then it is linear. */
  #sort(): void {
    const order = this.#order;
    for (let row = 0; row < this.length; row++) {
      let place = row;
      for (; place > 0 && !this.#isBefore(order[place - 1], row); place--) order[place] = order[place - 1];
      order[place] = row;
    }
    for (let place = 0; place < this.length; place++) {
      const from = order[place] * this.size;
      for (let k = 0; k < this.size; k++) this.#sorted[place * this.size + k] = this.values[from + k];
    }
    [this.values, this.#sorted] = [this.#sorted, this.values];
  }

  #isBefore(a: number, b: number): boolean {
    const timeA = this.values[a * this.size + POINT.time], timeB = this.values[b * this.size + POINT.time];
    return timeA < timeB || (timeA === timeB && this.#ids[a] < this.#ids[b]);
  }

  #grow(rows: number): void {
    this.values = new Float64Array(rows * this.size);
    this.#sorted = new Float64Array(rows * this.size);
    this.#ids = new BigInt64Array(rows);
    this.#order = new Int32Array(rows);
  }
}
