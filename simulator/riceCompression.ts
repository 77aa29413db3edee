/**
 * RICE_1 compression of 16-bit images (FITS Standard 4.0, §10.4.1): each row is a tile; differences of neighbours, in
 * blocks of 32, are coded with as many low bits as their mean asks for. Lossless.
 */

const BLOCK_PIXELS = 32;
/** Bits that tell a block's number of low bits; 14 low bits and more are written as they are. */
const CODE_BITS = 4, LOW_BITS_MAX = 14, PIXEL_BITS = 16;
/** A block that does not compress costs 4 bits more than it has; the first pixel comes on top. */
const rowBytesMax = (width: number): number =>
  2 + Math.ceil((width * PIXEL_BITS + Math.ceil(width / BLOCK_PIXELS) * CODE_BITS) / 8) + 8;

export type CompressedRows = Readonly<{
  /** All rows one after another. */
  heap: Uint8Array;
  /** Bytes of each row. */
  lengths: Uint32Array;
}>;

/** @param pixels [height × width] row-major, unsigned; stored signed, less 32,768. Read only. */
export function riceCompress(pixels: Uint16Array, width: number, height: number): CompressedRows {
  let heap = new Uint8Array(Math.ceil(1.1 * pixels.length) + rowBytesMax(width)), used = 0;
  const lengths = new Uint32Array(height), differences = new Uint16Array(BLOCK_PIXELS);
  for (let y = 0; y < height; y++) {
    if (heap.length - used < rowBytesMax(width)) {
      const larger = new Uint8Array(heap.length * 2 + rowBytesMax(width));
      larger.set(heap);
      heap = larger;
    }
    lengths[y] = compressRow(pixels, y * width, width, differences, heap, used);
    used += lengths[y];
  }
  return { heap: heap.subarray(0, used), lengths };
}

/** @returns Bytes written at `start` of `out`. */
function compressRow(
  pixels: Uint16Array, first: number, width: number, differences: Uint16Array, out: Uint8Array, start: number,
): number {
  let at = start, bits = 0, pending = 0; // `pending` holds fewer than 8 bits between writes.
  const put = (value: number, count: number): void => { // Up to 16 bits.
    pending = (pending << count) | value;
    bits += count;
    while (bits >= 8) {
      bits -= 8;
      out[at++] = pending >>> bits;
    }
    pending &= (1 << bits) - 1;
  };
  let last = pixels[first];
  put(last ^ 0x8000, PIXEL_BITS);
  for (let block = 0; block < width; block += BLOCK_PIXELS) {
    const count = Math.min(BLOCK_PIXELS, width - block);
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const next = pixels[first + block + j], difference = ((next - last) << 16) >> 16; // Wraps as 16 bits do.
      differences[j] = difference < 0 ? ~(difference << 1) : difference << 1;
      sum += differences[j];
      last = next;
    }
    let lowBits = 0;
    for (let mean = Math.trunc(Math.max(0, (sum - (count >> 1) - 1) / count)) >> 1; mean > 0; mean >>= 1) lowBits++;
    if (lowBits >= LOW_BITS_MAX) {
      put(LOW_BITS_MAX + 1, CODE_BITS);
      for (let j = 0; j < count; j++) put(differences[j], PIXEL_BITS);
    } else if (lowBits === 0 && sum === 0) {
      put(0, CODE_BITS);
    } else {
      put(lowBits + 1, CODE_BITS);
      const lowMask = (1 << lowBits) - 1;
      for (let j = 0; j < count; j++) {
        let zeros = differences[j] >> lowBits;
        for (; zeros >= 16; zeros -= 16) put(0, 16);
        put(1, zeros + 1);
        if (lowBits > 0) put(differences[j] & lowMask, lowBits);
      }
    }
  }
  if (bits > 0) out[at++] = pending << (8 - bits);
  return at - start;
}
