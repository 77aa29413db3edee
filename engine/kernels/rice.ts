/** Rice-compressed counts to planes. */
import { kernelsOf, layOutWork, type Kernels } from './kernels.ts';
import { decodeRiceRowsTwin } from './twins/rice.ts';

export { decodeRiceTileTwin as decodeRiceTile } from './twins/rice.ts';

/** Bytes brought into the work area at a time: most amps pass in one go. */
const CHUNK_BYTES = 4 * 1024 ** 2;

/**
 * Decodes an image whose tiles are its rows, 16-bit numbers in blocks (RICE_1, BYTEPIX 2).
 *
 * @param heap   Holds the tiles. Read only.
 * @param places [2 × rows]: first byte of each row's tile in `heap`, and its length; within the heap.
 * @param flip   Exclusive-or of every number: 0x8000 where BZERO is 32768.
 * @param out    [rows × width], overwritten.
 * @returns −1, or the first row whose bytes do not end where its last pixel does: a damaged one. Rows from it on have
 *          any contents.
 */
export function decodeRiceRows(
  heap: Uint8Array, places: Int32Array, width: number, blockSize: number, flip: number, out: Uint16Array,
): number {
  const kernels = kernelsOf(out);
  return (kernels && decodeCompiled(kernels, heap, places, width, blockSize, flip, out))
    ?? decodeRiceRowsTwin(heap, places, width, blockSize, flip, out);
}

/** Null when the work area has no room for the longest run of rows. */
function decodeCompiled(
  kernels: Kernels, heap: Uint8Array, places: Int32Array, width: number, blockSize: number, flip: number,
  out: Uint16Array,
): number | null {
  const rows = places.length >> 1;
  // Eight bytes more, as the decoder reads ahead.
  const work = layOutWork(kernels, { heap: CHUNK_BYTES + 8, places: places.byteLength });
  if (work === null) return null;
  const { buffer } = kernels.memory, staged = new Int32Array(buffer, work.places, places.length);
  const bytes = new Uint8Array(buffer, work.heap, CHUNK_BYTES);
  for (let row = 0; row < rows;) {
    let used = 0, end = row;
    for (; end < rows && used + places[2 * end + 1] <= CHUNK_BYTES; end++) {
      const start = places[2 * end], length = places[2 * end + 1];
      bytes.set(heap.subarray(start, start + length), used);
      staged[2 * (end - row)] = used;
      staged[2 * (end - row) + 1] = length;
      used += length;
    }
    if (end === row) return null;
    const bad = kernels.compiled.decodeRiceRows(
      work.heap, work.places, end - row, width, blockSize, flip, out.byteOffset + 2 * row * width,
    );
    if (bad >= 0) return row + bad;
    row = end;
  }
  return -1;
}
