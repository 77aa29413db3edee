/** The index of one night in memory, for many look-ups: read once, and afterwards only what was added. */
import { open, type FileHandle } from 'node:fs/promises';
import { angularDistanceArcsec } from '../filters/helpers.ts';
import type { Cone } from './archive.ts';
import type { ArchivePaths } from './layout.ts';
import { decodeEntry, isIndexHeader, RECORD_BYTES, type ArchiveEntry } from './layout.ts';

/** Bytes read at a time: 64 k records. */
const CHUNK_BYTES = 4 * 1024 ** 2;
/**
 * Records at the end of what was read whose checksums are looked at: more than the writer writes at once
 * (`archiveBatchMax`), because only those can still be in the writing.
 */
const CHECKED_RECORDS = 1024;

export type PlacedEntry = Readonly<{ entry: ArchiveEntry; place: number }>;

/** What is looked for; null leaves it open. Both limits of the time, MJD TAI of the exposure, are included. */
export type NightSearch = Readonly<{ cone: Cone | null; fromMjdTai: number | null; toMjdTai: number | null }>;

/**
 * Ids are kept as pairs of 32-bit words, positions as float32, times whole: a night of 10,000,000 alerts takes 320 MB,
 * and the scan for an id 10 ms.
 */
type Words = { low: Int32Array; high: Int32Array };

export class NightIndex {
  readonly #paths: ArchivePaths;
  #count = 0;
  #inode = 0n;
  #sources: Words = emptyWords();
  #objects: Words = emptyWords();
  /** Degrees; exact positions stand in the file. */
  #raDeg = new Float32Array(0);
  #decDeg = new Float32Array(0);
  #mjdTai = new Float64Array(0);
  #reading: Promise<void> = Promise.resolve();

  constructor(paths: ArchivePaths) {
    this.#paths = paths;
  }

  /** Records held. */
  get count(): number {
    return this.#count;
  }

  /**
   * The entry of an alert and its place in the index, or null. Looks at the file only when the alert is not known yet,
   * and to read the entry.
   */
  async findSource(diaSourceId: bigint): Promise<PlacedEntry | null> {
    return this.#find(() => this.#sources, diaSourceId, (entry) => entry.diaSourceId);
  }

  /** The entry of the object's alert that came last, or null. Always looks for what was added. */
  async findNewestOfObject(diaObjectId: bigint): Promise<ArchiveEntry | null> {
    await this.#refresh();
    return (await this.#find(() => this.#objects, diaObjectId, (entry) => entry.diaObjectId))?.entry ?? null;
  }

  /**
   * Alerts in a cone and a span of time, in the order of arrival: the first `limit`, and how many there are.
   */
  async search(
    { cone, fromMjdTai, toMjdTai }: NightSearch, limit: number,
  ): Promise<Readonly<{ found: number; entries: readonly ArchiveEntry[] }>> {
    await this.#refresh();
    const from = fromMjdTai ?? -Infinity, to = toMjdTai ?? Infinity, near = cone === null ? null : roughly(cone);
    const places: number[] = [];
    for (let i = 0; i < this.#count; i++) {
      if (this.#mjdTai[i] < from || this.#mjdTai[i] > to) continue;
      if (near === null || near(this.#raDeg[i], this.#decDeg[i])) places.push(i);
    }
    const entries: ArchiveEntry[] = [];
    let found = 0;
    await this.#withFile((file) => eachEntry(file, places, (entry) => {
      const { raDeg, decDeg } = entry;
      const isIn = cone === null
        || angularDistanceArcsec(raDeg, decDeg, cone.raDeg, cone.decDeg) <= cone.radiusArcsec;
      if (isIn && found++ < limit) entries.push(entry);
    }));
    return { found, entries };
  }

  async #find(
    words: () => Words, id: bigint, idOf: (entry: ArchiveEntry) => bigint | null,
  ): Promise<PlacedEntry | null> {
    // Twice: what was held may be of before a recovery, which writes the end of the file anew.
    for (let tries = 0; tries < 2; tries++) {
      let at = lastIndexOf(words(), this.#count, id);
      if (at < 0) {
        await this.#refresh();
        at = lastIndexOf(words(), this.#count, id);
        if (at < 0) return null;
      }
      const entry = await this.#entryAt(at);
      if (entry !== null && idOf(entry) === id) return { entry, place: at };
      this.#count = 0;
    }
    return null;
  }

  async #entryAt(at: number): Promise<ArchiveEntry | null> {
    const record = Buffer.alloc(RECORD_BYTES);
    await this.#withFile(async (file) => {
      await file.read(record, 0, RECORD_BYTES, RECORD_BYTES * (1 + at));
    });
    return decodeEntry(record, 0);
  }

  /** Reads what the file has beyond what is held; all of it when it is another file or has become shorter. */
  #refresh(): Promise<void> {
    const work = this.#reading.then(() => this.#withFile((file) => this.#readOn(file)));
    this.#reading = work.catch(() => undefined); // The caller has the error.
    return work;
  }

  async #readOn(file: FileHandle): Promise<void> {
    const { size, ino } = await file.stat({ bigint: true });
    const available = Math.max(0, Math.floor(Number(size) / RECORD_BYTES) - 1);
    if (ino !== this.#inode || available < this.#count) this.#count = 0;
    this.#inode = ino;
    if (available === this.#count) return;
    if (this.#count === 0) {
      const header = Buffer.alloc(RECORD_BYTES);
      await file.read(header, 0, RECORD_BYTES, 0);
      if (!isIndexHeader(header)) return;
    }
    this.#sources = grown(this.#sources, available);
    this.#objects = grown(this.#objects, available);
    this.#raDeg = grownColumn(this.#raDeg, available, Float32Array);
    this.#decDeg = grownColumn(this.#decDeg, available, Float32Array);
    this.#mjdTai = grownColumn(this.#mjdTai, available, Float64Array);
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, RECORD_BYTES * (available - this.#count)));
    while (this.#count < available) {
      const wanted = Math.min(chunk.length, RECORD_BYTES * (available - this.#count));
      const { bytesRead } = await file.read(chunk, 0, wanted, RECORD_BYTES * (1 + this.#count));
      const whole = Math.floor(bytesRead / RECORD_BYTES);
      if (whole === 0 || !this.#take(chunk, whole, available)) return;
    }
  }

  /** Takes records over; false at the first that is still in the writing. */
  #take(chunk: Buffer, records: number, available: number): boolean {
    for (let i = 0; i < records; i++) {
      const at = RECORD_BYTES * i;
      if (available - this.#count <= CHECKED_RECORDS && decodeEntry(chunk, at) === null) return false;
      this.#sources.low[this.#count] = chunk.readInt32LE(at);
      this.#sources.high[this.#count] = chunk.readInt32LE(at + 4);
      this.#objects.low[this.#count] = chunk.readInt32LE(at + 8);
      this.#objects.high[this.#count] = chunk.readInt32LE(at + 12);
      this.#raDeg[this.#count] = chunk.readDoubleLE(at + 16);
      this.#decDeg[this.#count] = chunk.readDoubleLE(at + 24);
      this.#mjdTai[this.#count] = chunk.readDoubleLE(at + 32);
      this.#count++;
    }
    return true;
  }

  /** Nothing is done when the night has no index. */
  async #withFile(work: (file: FileHandle) => Promise<void>): Promise<void> {
    let file: FileHandle;
    try {
      file = await open(this.#paths.index, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#count = 0;
      return;
    }
    try {
      await work(file);
    } finally {
      await file.close();
    }
  }
}

/** Positions are rounded to float32, at most 1.5e-5 degrees off. */
const ROUNDING_DEG = 2e-5;

/** True of every position in a cone, and of some beside it. */
function roughly({ raDeg, decDeg, radiusArcsec }: Cone): (ra: number, dec: number) => boolean {
  const radius = radiusArcsec / 3600 + ROUNDING_DEG;
  const cosDec = Math.cos(((Math.abs(decDeg) + radius) * Math.PI) / 180);
  // By how much right ascension differs at most: sin Δα = sin r / cos δ; near the poles it may be anything.
  const sinRa = Math.sin((radius * Math.PI) / 180) / Math.cos((decDeg * Math.PI) / 180);
  const raReach = cosDec <= 0.01 || Math.abs(decDeg) + radius >= 89 || sinRa >= 1
    ? 360 : (Math.asin(sinRa) * 180) / Math.PI + ROUNDING_DEG;
  return (ra, dec) => {
    if (Math.abs(dec - decDeg) > radius) return false;
    const apart = Math.abs(ra - raDeg);
    return apart <= raReach || 360 - apart <= raReach;
  };
}

/** Entries at places of the index, ascending: single records when they are few, else the file in chunks. */
async function eachEntry(
  file: FileHandle, places: readonly number[], take: (entry: ArchiveEntry) => void,
): Promise<void> {
  const chunk = Buffer.allocUnsafe(places.length > FEW_RECORDS ? CHUNK_BYTES : RECORD_BYTES);
  let start = 0, end = 0; // Places that the chunk holds.
  for (const place of places) {
    if (place >= end) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, RECORD_BYTES * (1 + place));
      start = place;
      end = place + Math.floor(bytesRead / RECORD_BYTES);
      if (end === place) return; // Shorter than it was.
    }
    const entry = decodeEntry(chunk, RECORD_BYTES * (place - start));
    if (entry !== null) take(entry);
  }
}

/** A read costs some 50 µs, a chunk of 64 k records a millisecond. */
const FEW_RECORDS = 64;

/** Place of the last record with an id among the first `count`; −1 when there is none. */
function lastIndexOf({ low, high }: Words, count: number, id: bigint): number {
  const wantedLow = Number(BigInt.asIntN(32, id)), wantedHigh = Number(BigInt.asIntN(32, id >> 32n));
  for (let i = count - 1; i >= 0; i--) if (low[i] === wantedLow && high[i] === wantedHigh) return i;
  return -1;
}

function emptyWords(): Words {
  return { low: new Int32Array(0), high: new Int32Array(0) };
}

/** Room for `count`, with a half more, so that a growing night is copied seldom. */
function grown(words: Words, count: number): Words {
  if (words.low.length >= count) return words;
  const made = { low: new Int32Array(count + (count >> 1)), high: new Int32Array(count + (count >> 1)) };
  made.low.set(words.low);
  made.high.set(words.high);
  return made;
}

function grownColumn<Column extends Float32Array | Float64Array>(
  column: Column, count: number, Make: new (length: number) => Column,
): Column {
  if (column.length >= count) return column;
  const made = new Make(count + (count >> 1));
  made.set(column);
  return made;
}
