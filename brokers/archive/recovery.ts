/** Brings the two files of an archive to a common sound end. */
import type { FileHandle } from 'node:fs/promises';
import { ALERT_SCHEMA_VERSION } from '../../schemas/alertSchema.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { skipLong, longAt } from '../../schemas/avroLong.ts';
import { containerBlockAt, SYNC_BYTES } from '../../schemas/container.ts';
import { frame, splitPacket } from '../../schemas/packet.ts';
import {
  decodeIndex,
  encodeEntry,
  indexHeader,
  RECORD_BYTES,
  type ArchiveEntry,
  type ArchivePaths,
  type WriteAll,
} from './layout.ts';

/** Bytes of a block before its datum: two longs of at most 10 bytes. */
const BLOCK_START_BYTES = 20;

type Files = Readonly<{
  paths: ArchivePaths;
  container: FileHandle;
  index: FileHandle;
  header: Buffer;
  sync: Uint8Array;
  writeAll: WriteAll;
}>;

/**
 * The entries that both files hold, and where the container ends.
 *
 * The container is the truth. Index records are kept up to the first that is damaged or points beyond it; whole
 * blocks after those are indexed again (without their ALERTS sequence, which only the index knew); what follows
 * the last whole block is cut off: it was never synced, so never acknowledged, and will be delivered again.
 *
 * @throws Error that names the file when the container begins as that of another night or schema.
 */
export async function recoverArchive(
  files: Files,
): Promise<Readonly<{ entries: ArchiveEntry[]; containerBytes: number }>> {
  await assureHeader(files);
  const containerBytes = (await files.container.stat()).size;
  const kept = await soundEntries(files, containerBytes);
  const indexed = kept.length;
  let end = indexed === 0 ? files.header.length : endOf(kept[indexed - 1]);
  while (end < containerBytes) {
    const entry = await entryAt(files, end, containerBytes);
    if (entry === null) break;
    kept.push(entry);
    end = endOf(entry);
  }
  if (end < containerBytes) {
    await files.container.truncate(end);
    await files.container.datasync();
  }
  await rewriteIndexTail(files, kept, indexed);
  return { entries: kept, containerBytes: end };
}

async function assureHeader({ paths, container, header, writeAll }: Files): Promise<void> {
  const found = Buffer.alloc(header.length);
  const { bytesRead } = await container.read(found, 0, header.length, 0);
  if (Buffer.compare(found.subarray(0, bytesRead), header.subarray(0, bytesRead)) !== 0) {
    throw new Error(
      `archive ${paths.container}: not the container of this night with alert schema ${ALERT_SCHEMA_VERSION}`,
    );
  }
  if (bytesRead === header.length) return;
  await writeAll(container, header, 0); // Empty, or torn while it was made.
  await container.datasync();
}

/** Index records that are whole and follow each other within the container without a gap. */
async function soundEntries(files: Files, containerBytes: number): Promise<ArchiveEntry[]> {
  const entries = decodeIndex(await files.index.readFile()) ?? [];
  let end = files.header.length;
  let sound = 0;
  for (const entry of entries) {
    const datumStartMax = end + BLOCK_START_BYTES;
    if (entry.offset <= end || entry.offset > datumStartMax || endOf(entry) > containerBytes) break;
    end = endOf(entry);
    sound++;
  }
  const kept = entries.slice(0, sound);
  // A last block that was lost in part (a power cut) shows in its marker.
  while (kept.length > 0 && !(await endsWithSync(files, kept[kept.length - 1]))) kept.pop();
  return kept;
}

async function endsWithSync({ container, sync }: Files, entry: ArchiveEntry): Promise<boolean> {
  const marker = Buffer.alloc(SYNC_BYTES);
  await container.read(marker, 0, SYNC_BYTES, entry.offset + entry.length);
  return Buffer.compare(marker, sync) === 0;
}

/** The entry of the block at `start`, from the packet in it; null when the block is torn or damaged. */
async function entryAt(
  { container, sync }: Files,
  start: number,
  containerBytes: number,
): Promise<ArchiveEntry | null> {
  const begin = Buffer.alloc(Math.min(BLOCK_START_BYTES, containerBytes - start));
  await container.read(begin, 0, begin.length, start);
  const span = blockSpan(begin);
  if (span === null || span.bytes > containerBytes - start) return null;
  const bytes = Buffer.allocUnsafe(span.bytes);
  await container.read(bytes, 0, bytes.length, start);
  try {
    const { data } = containerBlockAt(bytes, 0, sync);
    const source = decodeDiaSource(splitPacket(frame(data)).diaSource);
    return {
      diaSourceId: source.diaSourceId,
      diaObjectId: source.diaObjectId,
      raDeg: source.ra,
      decDeg: source.dec,
      mjdTai: source.midpointMjdTai,
      offset: start + span.datumStart,
      length: data.length,
      sequence: 0,
    };
  } catch {
    return null; // Neither a block of this container nor a packet: what a torn write leaves behind.
  }
}

/** Where the datum of a block starts and how many bytes the whole block takes, from its first bytes. */
function blockSpan(begin: Buffer): Readonly<{ datumStart: number; bytes: number }> | null {
  try {
    const sizeStart = skipLong(begin, 0, begin.length);
    const datumStart = skipLong(begin, sizeStart, begin.length);
    const size = longAt(begin, sizeStart, datumStart);
    if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) return null;
    return { datumStart, bytes: datumStart + Number(size) + SYNC_BYTES };
  } catch {
    return null; // A number that does not end.
  }
}

async function rewriteIndexTail(
  { index, writeAll }: Files,
  entries: readonly ArchiveEntry[],
  indexed: number,
): Promise<void> {
  const wantedBytes = RECORD_BYTES * (1 + entries.length);
  const { size } = await index.stat();
  if (indexed === entries.length && size === wantedBytes) return;
  const isNew = size < RECORD_BYTES || indexed === 0;
  const from = isNew ? 0 : indexed;
  const records = entries.slice(from).map(encodeEntry);
  await index.truncate(isNew ? 0 : RECORD_BYTES * (1 + indexed));
  await writeAll(
    index,
    Buffer.concat(isNew ? [indexHeader(), ...records] : records),
    isNew ? 0 : RECORD_BYTES * (1 + indexed),
  );
  await index.datasync();
}

function endOf(entry: ArchiveEntry): number {
  return entry.offset + entry.length + SYNC_BYTES;
}
