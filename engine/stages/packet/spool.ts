import { createHash } from 'node:crypto';
import type { PlannedCutout } from '../../image/cutout.ts';

/** Three FITS files of one diaSource; null where there is none. */
export type Cutouts = Readonly<{
  difference: Uint8Array | null; science: Uint8Array | null; template: Uint8Array | null;
  /** What the object catalogue has near it (`schemas/neighbours.ts`); null where no catalogue was looked at. */
  neighbours: Uint8Array | null;
}>;

/** As `Cutouts`, of bytes that are there, and of such as are made where they go. */
export type PlannedCutouts = Readonly<Record<keyof Cutouts, Uint8Array | PlannedCutout | null>>;

/**
 * Cutouts of one visit-detector, and what else goes with its packets, as one string of bytes. A commit names by digest
 * that of its sources which may have a packet. Little-endian:
 *
 *     0   8 bytes   "VSPCUTS\n"
 *     8   uint32    version, 2
 *     12  uint32    count of diaSources
 *     16  count ×   int64 diaSourceId (strictly ascending), then the lengths of difference, science, template and
 *                   neighbours, uint32 each; 0xFFFFFFFF is null
 *     …             the cutouts' bytes in the order of the table, nothing between them and nothing after
 *
 * Version 1, which is still read, has no neighbours. Cutouts are not compressed: the packets carry them so, and hashes
 * are over uncompressed bytes.
 */
const MAGIC = Buffer.from('VSPCUTS\n', 'latin1');
const VERSION = 2;
const HEADER_BYTES = 16;
const NULL_LENGTH = 0xffff_ffff;
const KINDS = ['difference', 'science', 'template', 'neighbours'] as const;
const KINDS_BY_VERSION: ReadonlyMap<number, number> = new Map([[1, 3], [VERSION, KINDS.length]]);
const ENTRY_BYTES = entryBytes(KINDS.length);

function entryBytes(kinds: number): number {
  return 8 + 4 * kinds;
}

/** The bytes of a spool file. They depend on ids and cutouts alone, not on the order of the map. */
export function encodeCutouts(cutouts: ReadonlyMap<bigint, PlannedCutouts>): Buffer {
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
      const end = place + bytes.length;
      if (bytes instanceof Uint8Array) out.set(bytes, place); else bytes.writeInto(out.subarray(place, end));
      place = end;
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
  const name = `cutout spool ${digest.slice(0, 12)}`, entries = entriesOf(bytes, name), actual = cutoutsDigest(bytes);
  if (actual !== digest) throw new Error(`${name}: its digest is ${actual}`);
  return entries;
}

/**
 * Cutouts of some of the diaSources alone: what a spool file holds of those of a detector.
 *
 * @param bytes As of `encodeCutouts`. Read only; given back themselves when all are wanted.
 * @param ids   Each must be among them.
 * @returns Null when none is wanted.
 */
export function selectCutouts(bytes: Uint8Array, ids: ReadonlySet<bigint>): Uint8Array | null {
  if (ids.size === 0) return null;
  const entries = entriesOf(bytes, 'the cutouts of a detector');
  if (ids.size === entries.size) return bytes;
  return encodeCutouts(new Map([...ids].map((id) => {
    const entry = entries.get(id);
    if (entry === undefined) throw new Error(`diaSource ${id} has no cutouts`);
    return [id, entry];
  })));
}

function entriesOf(bytes: Uint8Array, name: string): Map<bigint, Cutouts> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER_BYTES) throw new Error(`${name}: ${buffer.length} bytes are less than a header`);
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error(`${name}: does not begin as one does`);
  const version = buffer.readUInt32LE(8);
  const kinds = KINDS_BY_VERSION.get(version);
  if (kinds === undefined) throw new Error(`${name}: version ${version}, only up to ${VERSION} are read here`);
  const count = buffer.readUInt32LE(12);
  const dataStart = HEADER_BYTES + entryBytes(kinds) * count;
  if (dataStart > buffer.length) throw new Error(`${name}: a table of ${count} entries in ${buffer.length} bytes`);
  return readTable(buffer, count, kinds, dataStart, name);
}

/** SHA-256 of a spool file, hexadecimal. */
export function cutoutsDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readTable(
  buffer: Buffer, count: number, kinds: number, dataStart: number, name: string,
): Map<bigint, Cutouts> {
  const entries = new Map<bigint, Cutouts>();
  let place = dataStart;
  let previous: bigint | null = null;
  for (let i = 0; i < count; i++) {
    const row = HEADER_BYTES + entryBytes(kinds) * i;
    const diaSourceId = buffer.readBigInt64LE(row);
    if (previous !== null && diaSourceId <= previous) {
      throw new Error(`${name}: id ${diaSourceId} stands behind ${previous}`);
    }
    previous = diaSourceId;
    const take = (k: number): Uint8Array | null => {
      if (k >= kinds) return null;
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
    entries.set(diaSourceId, { difference: take(0), science: take(1), template: take(2), neighbours: take(3) });
  }
  if (place !== buffer.length) throw new Error(`${name}: ${buffer.length - place} bytes after the last cutout`);
  return entries;
}
