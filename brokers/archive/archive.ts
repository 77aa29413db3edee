/** The alert archive of one night, open for writing: an Avro container of packets as sent, and an index beside it. */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { ALERT_SCHEMA_ID, ALERT_SCHEMA_VERSION, alertSchemaJson } from '../../schemas/alertSchema.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { containerBlock, containerHeader, SYNC_BYTES } from '../../schemas/container.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { frame, FRAME_BYTES, splitPacket, unframe } from '../../schemas/packet.ts';
import { archivePaths, encodeEntry, RECORD_BYTES, syncMarker, type ArchiveEntry, type WriteAll } from './layout.ts';
import { encodeNeighbourRecord, NEIGHBOUR_RECORD_BYTES, readNeighbourRecord } from './neighbourFile.ts';
import { recoverArchive } from './recovery.ts';

/** A packet to be kept: the framed bytes as sent, its sequence in ALERTS, and its encoded neighbours where told. */
export type ArchiveInput = Readonly<{ packet: Uint8Array; sequence: number; neighbours?: Uint8Array | null }>;

/** A circle on the sky: centre and radius. */
export type Cone = Readonly<{ raDeg: number; decDeg: number; radiusArcsec: number }>;

/** An input with what the index says of it, except where it lies. */
export type ReadPacket = ArchiveInput & Readonly<{ facts: Omit<ArchiveEntry, 'offset' | 'length' | 'sequence'> }>;

/**
 * Opens (or makes) the archive of a night and repairs what a crash has left: a torn tail is cut off, whole packets
 * that the index lacks are put into it.
 *
 * One writer at a time: the lock of the data directory sees to it.
 * @throws Error of one line that names the file when it is no archive of this night, or cannot be read.
 */
export async function openArchive(
  dataDir: string,
  instrument: string,
  dayObs: DayObs,
  writeAll: WriteAll = writeAllBytes,
): Promise<Archive> {
  const paths = archivePaths(dataDir, instrument, dayObs);
  await mkdir(paths.directory, { recursive: true });
  const container = await open(paths.container, 'a+').then(reopen(paths.container));
  const index = await open(paths.index, 'a+').then(reopen(paths.index));
  const neighbours = await open(paths.neighbours, 'a+').then(reopen(paths.neighbours));
  const sync = syncMarker(instrument, dayObs);
  const header = containerHeader(alertSchemaJson(ALERT_SCHEMA_VERSION), sync);
  try {
    const recovered = await recoverArchive({ paths, container, index, header, sync, writeAll });
    await syncDirectory(paths.directory);
    return new Archive(paths.container, { container, index, neighbours }, sync, recovered, writeAll);
  } catch (error) {
    for (const file of [container, index, neighbours]) await file.close();
    throw error;
  }
}

/**
 * What the index needs of a packet.
 *
 * @throws Error that says what is wrong with the packet: damaged, or of a schema that the container is not of.
 */
export function readPacket(input: ArchiveInput): ReadPacket {
  const { version } = unframe(input.packet);
  if (version !== ALERT_SCHEMA_VERSION)
    throw new Error(`packet of schema ${version} in an archive of ${ALERT_SCHEMA_VERSION}`);
  const source = decodeDiaSource(splitPacket(input.packet).diaSource);
  const { diaSourceId, diaObjectId, ra, dec, midpointMjdTai } = source;
  return { ...input, facts: { diaSourceId, diaObjectId, raDeg: ra, decDeg: dec, mjdTai: midpointMjdTai } };
}

export class Archive {
  readonly #path: string;
  readonly #container: FileHandle;
  readonly #index: FileHandle;
  readonly #neighbours: FileHandle;
  readonly #sync: Uint8Array;
  readonly #writeAll: WriteAll;
  readonly #entries: ArchiveEntry[];
  /** Place in `#entries` by diaSourceId. */
  readonly #places: Map<bigint, number>;
  #containerBytes: number;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(
    path: string,
    files: Readonly<Record<'container' | 'index' | 'neighbours', FileHandle>>,
    sync: Uint8Array,
    recovered: Readonly<{ entries: readonly ArchiveEntry[]; containerBytes: number }>,
    writeAll: WriteAll,
  ) {
    this.#path = path;
    this.#container = files.container;
    this.#index = files.index;
    this.#neighbours = files.neighbours;
    this.#sync = sync;
    this.#writeAll = writeAll;
    this.#entries = [...recovered.entries];
    this.#places = new Map(this.#entries.map((entry, place) => [entry.diaSourceId, place]));
    this.#containerBytes = recovered.containerBytes;
  }

  /**
   * Keeps packets, in the order given; those whose diaSourceId is here already are passed over. When it resolves
   * all of them are on the disk (all files synced). Resolves to the entries that were added. Neighbours of a packet
   * that is here already are kept where a crash has left it without.
   *
   * @throws Error that names the file and the reason (a full disk, say); nothing of the batch is kept then.
   */
  append(packets: readonly ReadPacket[]): Promise<readonly ArchiveEntry[]> {
    const work = this.#writing.then(() => this.#append(packets));
    this.#writing = work.catch(() => undefined); // The caller has the error; the next batch starts from a clean tail.
    return work;
  }

  /** The framed packet as sent, or null when this night has no such alert. */
  async get(diaSourceId: bigint): Promise<Buffer | null> {
    const place = this.#places.get(diaSourceId);
    return place === undefined ? null : readDatum(this.#container, this.#path, this.#entries[place]);
  }

  has(diaSourceId: bigint): boolean {
    return this.#places.has(diaSourceId);
  }

  /** All entries in the order of arrival. */
  list(): readonly ArchiveEntry[] {
    return this.#entries;
  }

  count(): number {
    return this.#entries.length;
  }

  async close(): Promise<void> {
    await this.#writing;
    for (const file of [this.#container, this.#index, this.#neighbours]) await file.close();
  }

  async #append(packets: readonly ReadPacket[]): Promise<readonly ArchiveEntry[]> {
    const blocks: Buffer[] = [];
    const added = new Map<bigint, ArchiveEntry>();
    let end = this.#containerBytes;
    const beside: (Uint8Array | null)[] = [];
    for (const { packet, sequence, facts, neighbours = null } of packets) {
      if (added.has(facts.diaSourceId)) continue;
      if (this.#places.has(facts.diaSourceId)) {
        await this.#completeNeighbours(facts.diaSourceId, neighbours);
        continue;
      }
      const { datum } = unframe(packet);
      const block = containerBlock(datum, this.#sync);
      const offset = end + block.length - SYNC_BYTES - datum.length;
      added.set(facts.diaSourceId, { ...facts, offset, length: datum.length, sequence });
      blocks.push(block);
      beside.push(neighbours);
      end += block.length;
    }
    if (added.size === 0) return [];
    const entries = [...added.values()];
    const indexBytes = RECORD_BYTES * (1 + this.#entries.length);
    try {
      // The container first: an index never points at what is not there.
      await this.#writeAll(this.#container, Buffer.concat(blocks), this.#containerBytes);
      await this.#container.datasync();
      await this.#writeNeighbours(entries, beside);
      await this.#writeAll(this.#index, Buffer.concat(entries.map(encodeEntry)), indexBytes);
      await this.#index.datasync();
    } catch (cause) {
      await this.#container.truncate(this.#containerBytes);
      await this.#index.truncate(indexBytes);
      throw new Error(`archive ${this.#path}: ${(cause as Error).message}`, { cause });
    }
    for (const entry of entries) {
      this.#places.set(entry.diaSourceId, this.#entries.length);
      this.#entries.push(entry);
    }
    this.#containerBytes = end;
    return entries;
  }

  /** Records of new entries, before the index names them; without any neighbours nothing is written. */
  async #writeNeighbours(entries: readonly ArchiveEntry[], beside: readonly (Uint8Array | null)[]): Promise<void> {
    if (beside.every((each) => each === null)) return;
    const records = entries.map(({ diaSourceId }, i) => encodeNeighbourRecord(diaSourceId, beside[i]));
    await this.#writeAll(this.#neighbours, Buffer.concat(records), NEIGHBOUR_RECORD_BYTES * this.#entries.length);
    await this.#neighbours.datasync();
  }

  async #completeNeighbours(diaSourceId: bigint, neighbours: Uint8Array | null): Promise<void> {
    const place = this.#places.get(diaSourceId);
    if (neighbours === null || place === undefined) return;
    if (await readNeighbourRecord(this.#neighbours, place, diaSourceId) !== null) return;
    const record = encodeNeighbourRecord(diaSourceId, neighbours);
    await this.#writeAll(this.#neighbours, record, NEIGHBOUR_RECORD_BYTES * place);
    await this.#neighbours.datasync();
  }
}

/** One packet of a container, its frame before it. Throws when the file is shorter than its index says. */
export async function readDatum(container: FileHandle, path: string, entry: ArchiveEntry): Promise<Buffer> {
  // Read into its place behind the frame: a second buffer of 90 kB would double the work of the garbage collector.
  const packet = Buffer.allocUnsafeSlow(FRAME_BYTES + entry.length);
  frame(NOTHING, ALERT_SCHEMA_ID).copy(packet);
  const { bytesRead } = await container.read(packet, FRAME_BYTES, entry.length, entry.offset);
  if (bytesRead < entry.length) {
    throw new Error(`archive ${path}: ends within alert ${entry.diaSourceId} at byte ${entry.offset + bytesRead}`);
  }
  return packet;
}

const NOTHING = new Uint8Array(0);

/** Bytes of a framed packet that an entry stands for. */
export function packetBytes(entry: ArchiveEntry): number {
  return FRAME_BYTES + entry.length;
}

async function writeAllBytes(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

/** `a+` makes the file when it is missing, but would also ignore positions: once it is there, open it for update. */
function reopen(path: string): (made: FileHandle) => Promise<FileHandle> {
  return async (made) => {
    await made.close();
    return open(path, 'r+');
  };
}

/** New names in a directory survive a power cut only when the directory is synced too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
