/** Neighbours of a night's archived alerts: one record for each record of the index, at the same place. */
import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { NEIGHBOURS_BYTES } from '../../schemas/neighbours.ts';

/** diaSourceId, the neighbours, and a CRC-32 of both. Where none were told the record is zero, or beyond the end. */
const ID_BYTES = 8;
export const NEIGHBOUR_RECORD_BYTES = ID_BYTES + NEIGHBOURS_BYTES + 4;
const CRC_OFFSET = NEIGHBOUR_RECORD_BYTES - 4;

/** A record; zeros for null. */
export function encodeNeighbourRecord(diaSourceId: bigint, neighbours: Uint8Array | null): Buffer {
  const record = Buffer.alloc(NEIGHBOUR_RECORD_BYTES);
  if (neighbours === null) return record;
  record.writeBigInt64LE(diaSourceId, 0);
  record.set(neighbours, ID_BYTES);
  record.writeUInt32LE(crc32(record.subarray(0, CRC_OFFSET)), CRC_OFFSET);
  return record;
}

/** Encoded neighbours of the alert at a place of the index; null when they are not known (or damaged). */
export async function readNeighbourRecord(
  file: FileHandle, place: number, diaSourceId: bigint,
): Promise<Uint8Array | null> {
  const record = Buffer.alloc(NEIGHBOUR_RECORD_BYTES);
  const { bytesRead } = await file.read(record, 0, record.length, NEIGHBOUR_RECORD_BYTES * place);
  const isSound = bytesRead === record.length && record.readBigInt64LE(0) === diaSourceId
    && crc32(record.subarray(0, CRC_OFFSET)) === record.readUInt32LE(CRC_OFFSET);
  return isSound ? record.subarray(ID_BYTES, CRC_OFFSET) : null;
}

/** The same of a file that may not be there: nights of before there were neighbours have none. */
export async function neighboursAt(path: string, place: number, diaSourceId: bigint): Promise<Uint8Array | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return await readNeighbourRecord(file, place, diaSourceId);
  } finally {
    await file.close();
  }
}
