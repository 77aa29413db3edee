/**
 * The file that a sealed night's COMMITS is exported to: an 8-byte magic, the instrument and night as one line of JSON
 * behind its length, then records of (sequence uint32, length uint32, entry bytes), little-endian, ending with the
 * seal.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeCommitEntry } from '../../schemas/commit.ts';
import { asDayObs, type DayObs } from '../../schemas/ids.ts';
import { readCommits, type StoredEntry } from './commitLog.ts';
import type { Log } from './log.ts';
import { listNights } from './streams.ts';

const MAGIC = Buffer.from('VSPCMTS\n', 'latin1');

export function encodeExportHeader(instrument: string, dayObs: DayObs): Buffer {
  const names = Buffer.from(JSON.stringify({ instrument, dayObs }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(names.length);
  return Buffer.concat([MAGIC, length, names]);
}

export function encodeExportEntry(sequence: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(sequence, 0);
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

/** @throws Error of one line when the file is not an export or ends within an entry. */
export function readExport(path: string): StoredEntry[] {
  const file = readFileSync(path);
  if (file.length < 12 || !file.subarray(0, 8).equals(MAGIC)) throw new Error(`${path} is not an export of commits`);
  const entries: StoredEntry[] = [];
  for (let at = 12 + file.readUInt32LE(8); at < file.length;) {
    const end = at + 8 <= file.length ? at + 8 + file.readUInt32LE(at + 4) : Infinity;
    if (end > file.length) throw new Error(`${path} ends within an entry at byte ${at}`);
    const bytes = file.subarray(at + 8, end);
    entries.push({ sequence: file.readUInt32LE(at), entry: decodeCommitEntry(bytes), bytes });
    at = end;
  }
  return entries;
}

export function exportPath(dataDir: string, instrument: string, dayObs: DayObs): string {
  return join(dataDir, 'exports', instrument, `${dayObs}.commits`);
}

/** Nights of an instrument whose commits can be read, oldest first: those in the log, and those that were exported. */
export async function listRecordedNights(log: Log, dataDir: string, instrument: string): Promise<DayObs[]> {
  const folder = join(dataDir, 'exports', instrument);
  const exported = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.commits')) : [];
  const removed = exported.map((name) => asDayObs(Number(name.slice(0, 8))));
  return [...new Set([...await listNights(log, instrument), ...removed])].sort((a, b) => a - b);
}

/** Entries of a night in order, from the log or, when it was removed from there, from its export. */
export async function* readRecorded(
  log: Log, dataDir: string, instrument: string, dayObs: DayObs, from = 1,
): AsyncGenerator<StoredEntry> {
  if ((await listNights(log, instrument)).includes(dayObs)) {
    yield* readCommits(log, instrument, dayObs, from);
    return;
  }
  for (const stored of readExport(exportPath(dataDir, instrument, dayObs))) if (stored.sequence >= from) yield stored;
}
