/** Where the alert archive keeps a night, and how one record of its index is laid out. */
import type { FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { SYNC_BYTES } from '../../schemas/container.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { subjectToken } from '../../schemas/subjects.ts';

/**
 * One alert of the archive, as its index knows it. `offset` is where the datum begins in the container file,
 * `length` its size; the framed packet is 5 bytes longer. `mjdTai` is the diaSource's midpoint.
 */
export type ArchiveEntry = Readonly<{
  diaSourceId: bigint;
  diaObjectId: bigint | null;
  raDeg: number;
  decDeg: number;
  mjdTai: number;
  offset: number;
  length: number;
  /** Sequence in ALERTS; 0 when the index was rebuilt from the container, which does not hold it. */
  sequence: number;
}>;

export type ArchivePaths = Readonly<{ directory: string; container: string; index: string; neighbours: string }>;

/** Writes all of `bytes` at `position`; replaced in tests to play a full disk. */
export type WriteAll = (file: FileHandle, bytes: Uint8Array, position: number) => Promise<void>;

/** Bytes of an index record: ids, position and time 5 × 8, offset 8, sequence 8, length 4, CRC-32 of those 60. */
export const RECORD_BYTES = 64;
const CRC_OFFSET = 60;
/** First record of every index: what it is, and of which version. The rest is zero, the CRC as in the others. */
const MAGIC = 'VESPER ALERT INDEX 1';

/** The folder that holds one folder an instrument. */
export function archiveFolder(dataDir: string): string {
  return join(dataDir, 'archive');
}

export function archivePaths(dataDir: string, instrument: string, dayObs: DayObs): ArchivePaths {
  const directory = join(archiveFolder(dataDir), subjectToken(instrument));
  const [container, index, neighbours] = ['avro', 'index', 'neighbours']
    .map((kind) => join(directory, `${dayObs}.${kind}`));
  return { directory, container, index, neighbours };
}

/** The container's sync marker: the same night gives the same file. */
export function syncMarker(instrument: string, dayObs: DayObs): Uint8Array {
  return createHash('sha256').update(`vesper alert archive ${instrument} ${dayObs}`).digest().subarray(0, SYNC_BYTES);
}

export function indexHeader(): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record.write(MAGIC, 'latin1');
  return withCrc(record);
}

export function isIndexHeader(record: Uint8Array): boolean {
  return Buffer.compare(record, indexHeader()) === 0;
}

export function encodeEntry(entry: ArchiveEntry): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeBigInt64LE(entry.diaSourceId, 0);
  record.writeBigInt64LE(entry.diaObjectId ?? 0n, 8); // Ids are positive: 0 is "none".
  record.writeDoubleLE(entry.raDeg, 16);
  record.writeDoubleLE(entry.decDeg, 24);
  record.writeDoubleLE(entry.mjdTai, 32);
  record.writeBigUInt64LE(BigInt(entry.offset), 40);
  record.writeBigUInt64LE(BigInt(entry.sequence), 48);
  record.writeUInt32LE(entry.length, 56);
  return withCrc(record);
}

/** The entry at byte `at` of `records`, or null when it is torn or damaged. */
export function decodeEntry(records: Buffer, at: number): ArchiveEntry | null {
  if (at + RECORD_BYTES > records.length) return null;
  const record = records.subarray(at, at + RECORD_BYTES);
  if (crc32(record.subarray(0, CRC_OFFSET)) !== record.readUInt32LE(CRC_OFFSET)) return null;
  const diaObjectId = record.readBigInt64LE(8);
  return {
    diaSourceId: record.readBigInt64LE(0),
    diaObjectId: diaObjectId === 0n ? null : diaObjectId,
    raDeg: record.readDoubleLE(16),
    decDeg: record.readDoubleLE(24),
    mjdTai: record.readDoubleLE(32),
    offset: Number(record.readBigUInt64LE(40)),
    sequence: Number(record.readBigUInt64LE(48)),
    length: record.readUInt32LE(56),
  };
}

/** Entries of a whole index file up to the first that is torn or damaged; null when it does not begin as one. */
export function decodeIndex(bytes: Buffer): ArchiveEntry[] | null {
  if (bytes.length < RECORD_BYTES || !isIndexHeader(bytes.subarray(0, RECORD_BYTES))) return null;
  const entries: ArchiveEntry[] = [];
  for (let at = RECORD_BYTES; ; at += RECORD_BYTES) {
    const entry = decodeEntry(bytes, at);
    if (entry === null) return entries;
    entries.push(entry);
  }
}

function withCrc(record: Buffer): Buffer {
  record.writeUInt32LE(crc32(record.subarray(0, CRC_OFFSET)), CRC_OFFSET);
  return record;
}
