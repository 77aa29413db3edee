import { createHash } from 'node:crypto';

/** Three FITS files of one diaSource; null where there is none. */
export type Cutouts = Readonly<{
  difference: Uint8Array | null; science: Uint8Array | null; template: Uint8Array | null;
}>;

/**
 * Cutouts of one visit-detector as one string of bytes, which a commit names by digest. Little-endian:
 *
 *     0   8 bytes   "VSPCUTS\n"
 *     8   uint32    version, 1
 *     12  uint32    count of diaSources
 *     16  count ×   int64 diaSourceId (strictly ascending), then the lengths of difference, science and template,
 *                   uint32 each; 0xFFFFFFFF is null
 *     …             the cutouts' bytes in the order of the table, nothing between them and nothing after
 *
 * Cutouts are not compressed: the packets carry them so, and hashes are over uncompressed bytes.
 */
const MAGIC = Buffer.from('VSPCUTS\n', 'latin1');
const VERSION = 1;
const HEADER_BYTES = 16;
const ENTRY_BYTES = 20;
const NULL_LENGTH = 0xffff_ffff;
const KINDS = ['difference', 'science', 'template'] as const;

/** The bytes of a spool file. They depend on ids and cutouts alone, not on the order of the map. */
export function encodeCutouts(cutouts: ReadonlyMap<bigint, Cutouts>): Buffer {
  const entries = [...cutouts].sort(([a], [b]) => (a < b ? -1 : 1));
  let size = HEADER_BYTES + ENTRY_BYTES * entries.length;
  for (const [, entry] of entries) for (const kind of KINDS) size += entry[kind]?.length ?? 0;
  const out = Buffer.alloc(size);
  MAGIC.copy(out, 0);
  out.writeUInt32LE(VERSION, 8);
  out.writeUInt32LE(entries.length, 12);
  let row = HEADER_BYTES;
  let place = HEADER_BYTES + ENTRY_BYTES * entries.length;
  for (const [diaSourceId, entry] of entries) {
    out.writeBigInt64LE(diaSourceId, row);
    KINDS.forEach((kind, k) => {
      const bytes = entry[kind];
      out.writeUInt32LE(bytes === null ? NULL_LENGTH : bytes.length, row + 8 + 4 * k);
      if (bytes === null) return;
      out.set(bytes, place);
      place += bytes.length;
    });
    row += ENTRY_BYTES;
  }
  return out;
}

/**
 * The cutouts in a spool file, by diaSourceId, as views into `bytes`.
 *
 * @param digest What `cutoutsDigest` gave when the file was written: the commit's.
 * @throws Error that says what is damaged: the magic, the version, the table, the length, or (all else) the digest.
 */
export function decodeCutouts(bytes: Uint8Array, digest: string): Map<bigint, Cutouts> {
  const name = `cutout spool ${digest.slice(0, 12)}`;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER_BYTES) throw new Error(`${name}: ${buffer.length} bytes are less than a header`);
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error(`${name}: does not begin as one does`);
  const version = buffer.readUInt32LE(8);
  if (version !== VERSION) throw new Error(`${name}: version ${version}, only ${VERSION} is read here`);
  const count = buffer.readUInt32LE(12);
  const dataStart = HEADER_BYTES + ENTRY_BYTES * count;
  if (dataStart > buffer.length) throw new Error(`${name}: a table of ${count} entries in ${buffer.length} bytes`);
  const entries = readTable(buffer, count, dataStart, name);
  const actual = cutoutsDigest(buffer);
  if (actual !== digest) throw new Error(`${name}: its digest is ${actual}`);
  return entries;
}

/** SHA-256 of a spool file, hexadecimal. */
export function cutoutsDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readTable(buffer: Buffer, count: number, dataStart: number, name: string): Map<bigint, Cutouts> {
  const entries = new Map<bigint, Cutouts>();
  let place = dataStart;
  let previous: bigint | null = null;
  for (let i = 0; i < count; i++) {
    const row = HEADER_BYTES + ENTRY_BYTES * i;
    const diaSourceId = buffer.readBigInt64LE(row);
    if (previous !== null && diaSourceId <= previous) {
      throw new Error(`${name}: id ${diaSourceId} stands behind ${previous}`);
    }
    previous = diaSourceId;
    const take = (k: number): Uint8Array | null => {
      const length = buffer.readUInt32LE(row + 8 + 4 * k);
      if (length === NULL_LENGTH) return null;
      const end = place + length;
      if (end > buffer.length) {
        throw new Error(`${name}: ${KINDS[k]} of ${diaSourceId} ends at byte ${end}, the file at ${buffer.length}`);
      }
      const view = buffer.subarray(place, end);
      place = end;
      return view;
    };
    entries.set(diaSourceId, { difference: take(0), science: take(1), template: take(2) });
  }
  if (place !== buffer.length) throw new Error(`${name}: ${buffer.length - place} bytes after the last cutout`);
  return entries;
}
