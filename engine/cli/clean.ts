/**
 * `vesper clean --older-than DAYS`: removes sealed nights, their COMMITS exported first. Unsealed nights are never
 * touched.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { daysBetween, type DayObs } from '../../schemas/ids.ts';
import { dayObsOfMjdTai, mjdTaiOfUnixMs } from '../../schemas/time.ts';
import { streams } from '../../schemas/subjects.ts';
import { encodeExportEntry, encodeExportHeader, exportPath } from '../stream/commitExport.ts';
import { isNightSealed, readCommits } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { lastSequence, listInstruments, listNights } from '../stream/streams.ts';
import { catchUp } from '../stream/projector.ts';
import { Spool } from '../stream/spool.ts';
import { print, printJson } from './output.ts';
import { withOpenStores } from './stores.ts';
import { countNight, heldByPolicy } from './countNight.ts';

type Removed = Readonly<{ instrument: string; dayObs: DayObs; exported: string }>;
type Kept = Readonly<{ instrument: string; dayObs: DayObs; reason: string }>;

/** Nights are counted from the newest night of their instrument: a simulated night's date is not today's. */
export async function runClean(
  options: Readonly<{ dataDir: string; olderThan: number; json: boolean }>,
): Promise<number> {
  const removed: Removed[] = [], kept: Kept[] = [];
  await withOpenStores(options.dataDir, 'clean', async ({ log, openApdb }) => {
    for (const instrument of await listInstruments(log)) {
      const nights = await listNights(log, instrument);
      const today = dayObsOfMjdTai(mjdTaiOfUnixMs(Date.now()));
      const newest = nights.at(-1) ?? today;
      for (const dayObs of nights) {
        if (daysBetween(dayObs, newest) < options.olderThan) {
          kept.push({ instrument, dayObs, reason: 'young' });
          continue;
        }
        if (!await isNightSealed(log, instrument, dayObs)) {
          kept.push({ instrument, dayObs, reason: 'not sealed' });
          continue;
        }
        const apdb = await openApdb(instrument);
        // The projection must hold what the stream will not tell any more.
        await catchUp(log, apdb, instrument, options.dataDir);
        // A night that was exported before was found sound then; this goes on where that was interrupted.
        if (!existsSync(exportPath(options.dataDir, instrument, dayObs))) {
          const audit = await countNight({ log, apdb, dataDir: options.dataDir, instrument, dayObs });
          if (!audit.closes) {
            kept.push({ instrument, dayObs, reason: `counts do not close: ${audit.violations[0]}` });
            continue;
          }
          const held = heldByPolicy(audit.counts);
          if (held > 0) {
            const reason = `${held} alerts are withheld: "vesper alerts release" comes first`;
            kept.push({ instrument, dayObs, reason });
            continue;
          }
        }
        const exported = await exportCommits(log, options.dataDir, instrument, dayObs);
        await removeNight(log, options.dataDir, instrument, dayObs);
        removed.push({ instrument, dayObs, exported });
      }
    }
  });
  if (options.json) { printJson({ removed, kept }); return 0; }
  for (const { instrument, dayObs, exported } of removed) {
    print(`${instrument} ${dayObs}: removed; its commits are in ${exported}`);
  }
  for (const { instrument, dayObs, reason } of kept) print(`${instrument} ${dayObs}: kept, ${reason}`);
  return 0;
}

/** Writes a sealed night's entries to `exports/`, synced, before its stream may go. */
async function exportCommits(log: Log, dataDir: string, instrument: string, dayObs: DayObs): Promise<string> {
  const path = exportPath(dataDir, instrument, dayObs);
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(`${path}.part`, 'w');
  try {
    writeSync(file, encodeExportHeader(instrument, dayObs));
    for await (const { sequence, bytes } of readCommits(log, instrument, dayObs)) {
      const record = encodeExportEntry(sequence, bytes);
      for (let done = 0; done < record.length;) done += writeSync(file, record, done);
    }
    fsyncSync(file);
  } finally { closeSync(file); }
  renameSync(`${path}.part`, path);
  return path;
}

/** COMMITS goes last: a clean that is interrupted finds the night again. */
async function removeNight(log: Log, dataDir: string, instrument: string, dayObs: DayObs): Promise<void> {
  const rowSpools = new Set<string>();
  for await (const { entry } of readCommits(log, instrument, dayObs)) {
    if (entry.associated?.rowsSpool) rowSpools.add(entry.associated.rowsSpool.digest);
  }
  new Spool(dataDir, instrument, dayObs).clear(rowSpools);
  for (const folder of ['raw', 'truth']) {
    const path = join(dataDir, folder, instrument, String(dayObs));
    if (existsSync(path)) rmSync(path, { recursive: true });
  }
  for (const stream of [streams.filtered, streams.lite, streams.released, streams.alerts, streams.commits]) {
    const name = stream(instrument, dayObs);
    if (await lastSequence(log, name) !== null) await log.jsm.streams.delete(name);
  }
}
