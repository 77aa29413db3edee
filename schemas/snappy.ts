/** Snappy's block format as Avro containers use it: small enough to be kept here, and read only. */

/** Most bytes of one block once decompressed: a damaged length must not ask for more memory than there is. */
const BYTES_MAX = 256 * 1024 ** 2;

/**
 * The bytes of a compressed block (without Avro's checksum behind it).
 *
 * Format: the size as a varint, then elements. The two low bits of an element's first byte tell its kind: 0 a literal, of
 * up to 60 bytes by the six high bits, or with 1–4 bytes of size behind; 1–3 a copy from what was written before.
 *
 * @throws Error of one line when the block is damaged.
 */
export function decompressSnappy(block: Uint8Array): Buffer {
  let at = 0, size = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= block.length || shift > 28) throw new Error('snappy: the size does not end');
    const byte = block[at++];
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (size > BYTES_MAX) throw new Error(`snappy: a block of ${size} bytes`);
  const out = Buffer.allocUnsafe(size);
  let end = 0;
  const little = (bytes: number): number => {
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (block[at + i] ?? 0);
    at += bytes;
    return value;
  };
  while (at < block.length) {
    const tag = block[at++], kind = tag & 3;
    let length: number, from = -1;
    if (kind === 0) {
      length = 1 + (tag >> 2);
      if (length > 60) length = 1 + little(length - 60);
      if (at + length > block.length) throw new Error('snappy: a literal beyond the end');
    } else if (kind === 1) {
      length = 4 + ((tag >> 2) & 7);
      from = end - ((tag >> 5) * 256 + little(1));
    } else {
      length = 1 + (tag >> 2);
      from = end - little(kind === 2 ? 2 : 4);
    }
    if (end + length > size) throw new Error('snappy: more bytes than announced');
    if (kind === 0) {
      out.set(block.subarray(at, at + length), end);
      at += length;
    } else {
      if (from < 0 || from >= end) throw new Error('snappy: a copy from before the start');
      // Byte by byte: a copy may run into what it writes.
      for (let i = 0; i < length; i++) out[end + i] = out[from + i];
    }
    end += length;
  }
  if (end !== size) throw new Error(`snappy: ${end} bytes, ${size} announced`);
  return out;
}

/** The same bytes as literals: valid, if not smaller. */
export function storeSnappy(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = [varint(bytes.length)];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const literal = bytes.subarray(at, at + 65_536);
    const size = Buffer.alloc(3); // Tag 61: the size, less one, in two bytes.
    size[0] = 61 << 2;
    size.writeUInt16LE(literal.length - 1, 1);
    parts.push(size, literal);
  }
  return Buffer.concat(parts);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.of(...bytes, rest);
    bytes.push((rest % 128) | 0x80);
  }
}
