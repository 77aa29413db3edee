/** Twin of the Rice decoder, for numbers of 1, 2 or 4 bytes (White & Becker; FITS Standard 4.0, §10.4.1). */

/** How the three widths differ: bits of a block's code, and the code's value from which numbers are written whole. */
const WIDTHS: Readonly<Record<number, Readonly<{ codeBits: number; wholeFrom: number }>>> = {
  1: { codeBits: 3, wholeFrom: 6 }, 2: { codeBits: 4, wholeFrom: 14 }, 4: { codeBits: 5, wholeFrom: 25 },
};

/**
 * Decodes one tile to signed numbers.
 *
 * @param bytes The tile, whole. Read only.
 * @param numberBytes 1 (unsigned), 2 or 4 (signed).
 * @param out   Overwritten.
 * @returns Whether the bytes end where the last number does.
 */
export function decodeRiceTileTwin(
  bytes: Uint8Array, blockSize: number, numberBytes: number, out: Int32Array,
): boolean {
  const { codeBits, wholeFrom } = WIDTHS[numberBytes], bits = 8 * numberBytes, unused = 32 - bits;
  let at = 0, pending = 0, held = 0;
  const take = (count: number): number => {
    let value = 0, wanted = count;
    while (wanted > 0) {
      if (held === 0) { pending = at < bytes.length ? bytes[at] : 0; at++; held = 8; }
      const part = Math.min(wanted, held);
      value = (value << part) | ((pending >> (held - part)) & ((1 << part) - 1));
      held -= part;
      wanted -= part;
    }
    return value;
  };
  let last = take(bits);
  for (let start = 0; start < out.length; start += blockSize) {
    const end = Math.min(start + blockSize, out.length), low = take(codeBits) - 1;
    for (let i = start; i < end; i++) {
      let difference = 0;
      if (low >= wholeFrom) difference = take(bits);
      else if (low >= 0) {
        let zeros = 0;
        while (take(1) === 0) {
          if (at > bytes.length) return false;
          zeros++;
        }
        difference = (zeros << low) | take(low);
      }
      last = (last + ((difference >>> 1) ^ -(difference & 1))) | 0;
      out[i] = numberBytes === 1 ? last & 0xff : (last << unused) >> unused;
    }
  }
  return at === bytes.length;
}

/** Twin of `decodeRiceRows`. */
export function decodeRiceRowsTwin(
  heap: Uint8Array, places: Int32Array, width: number, blockSize: number, flip: number, out: Uint16Array,
): number {
  const row = new Int32Array(width);
  for (let y = 0; y < places.length >> 1; y++) {
    const start = places[2 * y];
    if (!decodeRiceTileTwin(heap.subarray(start, start + places[2 * y + 1]), blockSize, 2, row)) return y;
    for (let x = 0; x < width; x++) out[y * width + x] = row[x] ^ flip;
  }
  return -1;
}
