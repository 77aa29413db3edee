/**
 * Avro's long: zigzag, then base 128 with the low group first. avsc has the same inside, but not for bigint
 * and not for a buffer that the caller has sized; packets and containers are written by place.
 */

/** Bytes that `value` takes, 1 to 10. */
export function longSize(value: bigint): number {
  let rest = zigzag(value) >> 7n;
  let size = 1;
  for (; rest > 0n; rest >>= 7n) size++;
  return size;
}

/** Write `value` at `offset`; returns the offset after it. Throws RangeError beyond 64 bits. */
export function writeLong(out: Uint8Array, offset: number, value: bigint): number {
  let rest = zigzag(value);
  for (; rest > 0x7fn; rest >>= 7n) out[offset++] = Number(rest & 0x7fn) | 0x80;
  out[offset++] = Number(rest);
  return offset;
}

/** Bytes that a length or count takes as a long. `count` is an integer ≥ 0 and < 2^31. */
export function countSize(count: number): number {
  let size = 1;
  for (let rest = count * 2; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Write a length or count (an integer ≥ 0 and < 2^31) at `offset`; returns the offset after it. */
export function writeCount(out: Uint8Array, offset: number, count: number): number {
  let rest = count * 2;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out[offset++] = (rest % 128) | 0x80;
  out[offset++] = rest;
  return offset;
}

/** Offset after the long that starts at `offset`. Throws when it does not end before `end` or within 10 bytes. */
export function skipLong(bytes: Uint8Array, offset: number, end: number): number {
  const limit = Math.min(end, offset + 10);
  for (let i = offset; i < limit; i++) {
    if (bytes[i] < 0x80) return i + 1;
  }
  throw new Error(`byte ${offset}: a number that does not end`);
}

/** The long that takes the bytes from `offset` up to `next` (as `skipLong` found it). */
export function longAt(bytes: Uint8Array, offset: number, next: number): bigint {
  // Four groups fit a number; a bigint for every group would take ten times as long.
  const low = groupsAt(bytes, offset, Math.min(next, offset + 4));
  if (next <= offset + 4) return BigInt((low >>> 1) ^ -(low & 1));
  const middle = groupsAt(bytes, offset + 4, Math.min(next, offset + 8));
  const high = groupsAt(bytes, offset + 8, next);
  const rest = (BigInt(high) << 56n) | (BigInt(middle) << 28n) | BigInt(low);
  return BigInt.asIntN(64, (rest >> 1n) ^ -(rest & 1n));
}

/** At most four groups of seven bits, the low one first. */
function groupsAt(bytes: Uint8Array, offset: number, next: number): number {
  let value = 0;
  for (let i = next - 1; i >= offset; i--) value = (value << 7) | (bytes[i] & 0x7f);
  return value;
}

function zigzag(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit in 64 bits`);
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}
