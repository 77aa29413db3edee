/** Twins of the decoding kernels. Bytes are big-endian, as FITS stores them. */

/** Signed 16 bits with BZERO 32768, the usual form of unsigned counts. */
export function decodeUnsigned16Twin(bytes: Uint8Array, out: Uint16Array): void {
  for (let i = 0, b = 0; i < out.length; i++, b += 2) out[i] = ((bytes[b] ^ 0x80) << 8) | bytes[b + 1];
}

/** In place. */
export function encodeUnsigned16Twin(plane: Uint16Array): void {
  for (let i = 0; i < plane.length; i++) plane[i] = ((plane[i] << 8) & 0xff00) | ((plane[i] >> 8) ^ 0x80);
}

export function decodeFloat32Twin(bytes: Uint8Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, b = 0; i < bits.length; i++, b += 4) {
    bits[i] = (bytes[b] << 24) | (bytes[b + 1] << 16) | (bytes[b + 2] << 8) | bytes[b + 3];
  }
}

/** stored × scale + zero in double precision; NaN where the stored number is `blank`. */
export function decodeScaled16Twin(
  bytes: Uint8Array, scale: number, zero: number, blank: number | null, out: Float32Array,
): void {
  for (let i = 0, b = 0; i < out.length; i++, b += 2) {
    const stored = ((bytes[b] << 24) >> 16) | bytes[b + 1];
    out[i] = stored === blank ? NaN : stored * scale + zero;
  }
}
