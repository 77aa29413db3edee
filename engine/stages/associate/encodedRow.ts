/** A row as Avro bytes, decoded only for those who ask: of 10,000 rows a visit nobody reads most. */
export class EncodedRow<Row> {
  readonly payload: Uint8Array;
  readonly #decode: (payload: Uint8Array) => Row;

  constructor(payload: Uint8Array, decode: (payload: Uint8Array) => Row) {
    this.payload = payload;
    this.#decode = decode;
  }

  /** What the bytes decode to, anew at each call. */
  get row(): Row {
    return this.#decode(this.payload);
  }
}
