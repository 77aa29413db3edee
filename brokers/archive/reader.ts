/** Reading archives without owning them: the writer may be at work, and nothing is repaired here. */
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DayObs } from '../../schemas/ids.ts';
import { asDayObs, dayObsOfVisit, partsOfDiaSourceId } from '../../schemas/ids.ts';
import { decodeNeighbours, neighboursJson } from '../../schemas/neighbours.ts';
import { brokersConfig } from '../config.ts';
import { readDatum } from './archive.ts';
import { archiveFolder, archivePaths, decodeIndex, type ArchiveEntry } from './layout.ts';
import { neighboursAt } from './neighbourFile.ts';
import { NightIndex, type NightSearch } from './nightIndex.ts';

/**
 * The framed packet of an alert as sent, or null when the night that its id names has no such alert.
 *
 * @throws Error when the id is not one of ours, or the archive is damaged.
 */
export async function findAlert(dataDir: string, instrument: string, diaSourceId: bigint): Promise<Buffer | null> {
  const dayObs = dayObsOfVisit(partsOfDiaSourceId(diaSourceId).visit);
  const found = await indexOf(dataDir, instrument, dayObs).findSource(diaSourceId);
  return found === null ? null : readEntry(dataDir, instrument, dayObs, found.entry);
}

/** An archived alert: the packet as sent, and what stands beside it (`neighboursJson`); null when that is not known. */
export type ArchivedAlert = Readonly<{ packet: Buffer; neighbours: string | null }>;

/** As `findAlert`, with its neighbours. */
export async function findArchivedAlert(
  dataDir: string, instrument: string, diaSourceId: bigint,
): Promise<ArchivedAlert | null> {
  const dayObs = dayObsOfVisit(partsOfDiaSourceId(diaSourceId).visit);
  const found = await indexOf(dataDir, instrument, dayObs).findSource(diaSourceId);
  if (found === null) return null;
  const { entry, place } = found;
  return {
    packet: await readEntry(dataDir, instrument, dayObs, entry),
    neighbours: await neighboursOf(dataDir, instrument, dayObs, entry, place),
  };
}

/** Neighbours of the entry at a place of the index, as the alert's header had them; null when they are not known. */
export async function neighboursOf(
  dataDir: string, instrument: string, dayObs: DayObs, { diaSourceId }: ArchiveEntry, place: number,
): Promise<string | null> {
  const bytes = await neighboursAt(archivePaths(dataDir, instrument, dayObs).neighbours, place, diaSourceId);
  return bytes === null ? null : neighboursJson(decodeNeighbours(bytes));
}

/** Alerts of a night in the order of arrival: all, or `most` of them, spread evenly. */
export async function* archivedAlerts(
  dataDir: string, instrument: string, dayObs: DayObs, most = Infinity,
): AsyncGenerator<ArchivedAlert> {
  const entries = await listArchive(dataDir, instrument, dayObs);
  const count = Math.min(most, entries.length);
  for (let i = 0; i < count; i++) {
    const place = count === entries.length ? i : Math.floor((i * entries.length) / count);
    yield {
      packet: await readEntry(dataDir, instrument, dayObs, entries[place]),
      neighbours: await neighboursOf(dataDir, instrument, dayObs, entries[place], place),
    };
  }
}

/** The framed packet of an object's newest alert, of the newest night that has one; null when no night has. */
export async function findNewestOfObject(
  dataDir: string,
  instrument: string,
  diaObjectId: bigint,
): Promise<Buffer | null> {
  for (const dayObs of (await archivedNights(dataDir, instrument)).toReversed()) {
    const entry = await indexOf(dataDir, instrument, dayObs).findNewestOfObject(diaObjectId);
    if (entry !== null) return readEntry(dataDir, instrument, dayObs, entry);
  }
  return null;
}

/** All entries of a night in the order of arrival; none when there is no archive of it. */
export async function listArchive(
  dataDir: string,
  instrument: string,
  dayObs: DayObs,
): Promise<readonly ArchiveEntry[]> {
  return decodeIndex(await indexBytes(dataDir, instrument, dayObs)) ?? [];
}

/** Alerts of a night in a cone and a span of time: the first `limit` in the order of arrival, and how many there are. */
export async function searchNight(
  dataDir: string, instrument: string, dayObs: DayObs, search: NightSearch, limit: number,
): Promise<Readonly<{ found: number; entries: readonly ArchiveEntry[] }>> {
  return indexOf(dataDir, instrument, dayObs).search(search, limit);
}

/** The framed packet of an entry that `listArchive` gave. */
export async function readEntry(
  dataDir: string,
  instrument: string,
  dayObs: DayObs,
  entry: ArchiveEntry,
): Promise<Buffer> {
  const path = archivePaths(dataDir, instrument, dayObs).container;
  const container = await open(path, 'r');
  try {
    return await readDatum(container, path, entry);
  } finally {
    await container.close();
  }
}

/**
 * Indices that were used last, by path. Reading the whole file for every fetch costs little in the median (0.6 ms of
 * 20,000 alerts), but the megabytes that it leaves to the garbage collector stop everything for 30 ms now and then.
 */
const indices = new Map<string, NightIndex>();

function indexOf(dataDir: string, instrument: string, dayObs: DayObs): NightIndex {
  const paths = archivePaths(dataDir, instrument, dayObs);
  const index = indices.get(paths.index) ?? new NightIndex(paths);
  indices.delete(paths.index); // Put again, it is the last to be dropped.
  indices.set(paths.index, index);
  const [oldest] = indices.keys();
  if (indices.size > brokersConfig.archiveNightsHeld && oldest !== undefined) indices.delete(oldest);
  return index;
}

/** The index of a night as it is now; empty when there is none. */
async function indexBytes(dataDir: string, instrument: string, dayObs: DayObs): Promise<Buffer> {
  try {
    return await readFile(archivePaths(dataDir, instrument, dayObs).index);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Instruments that have an archive in a data directory, by name. */
export async function archivedInstruments(dataDir: string): Promise<readonly string[]> {
  return (await namesIn(archiveFolder(dataDir))).sort();
}

/** Nights of an instrument that have an archive, oldest first. */
export async function archivedNights(dataDir: string, instrument: string): Promise<readonly DayObs[]> {
  const names = await namesIn(join(archiveFolder(dataDir), instrument));
  return names.filter((name) => /^\d{8}\.avro$/.test(name)).map((name) => asDayObs(Number(name.slice(0, 8)))).sort();
}

/** Names in a folder; none when it is not there. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
