/** FITS data to planes: turning bytes round is all that most files need. */
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { decodeFloat32Twin, decodeScaled16Twin, decodeUnsigned16Twin, encodeUnsigned16Twin } from './twins/decode.ts';

/**
 * Bytes that are brought into the memory at a time, when they come from elsewhere: they stay in the second-level cache.
 */
const CHUNK_BYTES = 256 * 1024;
/** A stored number that 16 bits cannot hold. */
const NO_BLANK = 0x10000;

type Decode = (kernels: Kernels, from: number, to: number, count: number) => void;

/**
 * Decodes BITPIX 16 with BSCALE 1 and BZERO 32768: unsigned counts.
 *
 * @param bytes Big-endian data, 2 bytes a number, in any memory; at least as many as `out` needs. Read only.
 * @param out   Overwritten.
 */
export function decodeUnsigned16(bytes: Uint8Array, out: Uint16Array): void {
  requireBytes(bytes, out.length * 2);
  const kernels = kernelsOf(out);
  if (kernels === null) { decodeUnsigned16Twin(bytes, out); return; }
  inChunks(kernels, bytes, out, 2, ({ compiled }, from, to, count) => { compiled.decodeUnsigned16(from, to, count); });
}

/**
 * Decodes BITPIX −32 without scaling; bits are kept, NaN included. Otherwise as `decodeUnsigned16`, with 4 bytes a
 * number.
 */
export function decodeFloat32(bytes: Uint8Array, out: Float32Array): void {
  requireBytes(bytes, out.length * 4);
  const kernels = kernelsOf(out);
  if (kernels === null) { decodeFloat32Twin(bytes, out); return; }
  inChunks(kernels, bytes, out, 4, ({ compiled }, from, to, count) => { compiled.decodeFloat32(from, to, count); });
}

/**
 * Decodes BITPIX 16: stored × scale + zero, computed in double precision. Otherwise as `decodeUnsigned16`.
 *
 * @param blank Stored number that means "no value" and becomes NaN; null for none.
 */
export function decodeScaled16(
  bytes: Uint8Array, scale: number, zero: number, blank: number | null, out: Float32Array,
): void {
  requireBytes(bytes, out.length * 2);
  const kernels = kernelsOf(out);
  if (kernels === null) { decodeScaled16Twin(bytes, scale, zero, blank, out); return; }
  const isPossible = blank !== null && Number.isInteger(blank) && blank >= -32768 && blank <= 32767;
  inChunks(kernels, bytes, out, 2, ({ compiled }, from, to, count) => {
    compiled.decodeScaled16(from, to, count, scale, zero, isPossible ? blank : NO_BLANK);
  });
}

/**
 * Turns a plane's numbers into what FITS stores of them, where they lie: big-endian float32, or unsigned 16 bits with
 * BZERO 32768. As numbers of this machine they then mean nothing.
 *
 * @returns The plane's bytes.
 */
export function encodeInPlace(plane: Float32Array | Uint16Array): Uint8Array {
  const bytes = new Uint8Array(plane.buffer, plane.byteOffset, plane.byteLength), kernels = kernelsOf(plane);
  if (plane instanceof Float32Array) decodeFloat32(bytes, plane); // Turning round is its own opposite.
  else if (kernels === null) encodeUnsigned16Twin(plane);
  else kernels.compiled.encodeUnsigned16(pointerTo(kernels, plane), pointerTo(kernels, plane), plane.length);
  return bytes;
}

function requireBytes(bytes: Uint8Array, wanted: number): void {
  if (bytes.length < wanted) throw new Error(`${bytes.length} bytes of data, ${wanted} required`);
}

/** Where the bytes are not in the kernels' memory they pass through its work area. */
function inChunks(
  kernels: Kernels, bytes: Uint8Array, out: Uint16Array | Float32Array, storedBytes: number, decode: Decode,
): void {
  if (bytes.buffer === kernels.memory.buffer) { decode(kernels, bytes.byteOffset, out.byteOffset, out.length); return; }
  const chunk = layOutWork(kernels, { chunk: CHUNK_BYTES })?.chunk;
  if (chunk === undefined) throw new Error('the kernels’ work area is smaller than a chunk');
  const staging = new Uint8Array(kernels.memory.buffer, chunk, CHUNK_BYTES), total = out.length * storedBytes;
  for (let start = 0; start < total; start += CHUNK_BYTES) {
    const end = Math.min(start + CHUNK_BYTES, total), first = start / storedBytes;
    staging.set(bytes.subarray(start, end));
    decode(kernels, chunk, out.byteOffset + first * out.BYTES_PER_ELEMENT, (end - start) / storedBytes);
  }
}
