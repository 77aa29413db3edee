/** `vesper apdb changes`: what commits have changed since a position, for copies of the tables elsewhere; resumable. */
import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, decodeMpcOrbit, decodeSsSource,
} from '../../schemas/avro.ts';
import { commitPosition, partsOfCommitPosition, type CommitPosition } from '../../schemas/ids.ts';
import type { ApdbChangesOptions } from '../setup/arguments.mjs';
import { listRecordedNights, readRecorded } from '../stream/commitExport.ts';
import type { StoredEntry } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { rowsOf } from '../stream/projector.ts';
import { Spool } from '../stream/spool.ts';
import { print, printJson, toJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

/** Rows of one commit. A row of DiaObject ends the version before it; all others are added. */
type Change = Readonly<{
  position: CommitPosition; visit: number; detector: number; tables: Readonly<Record<string, readonly object[]>>;
}>;

/**
 * One line of JSON a commit, or one document with --json. Whoever has taken a line asks next for what is since its
 * position; a line that is taken twice changes nothing, because rows carry their keys and their position.
 */
export async function runApdbChanges(options: ApdbChangesOptions): Promise<number> {
  return withOpenStores(options.dataDir, 'apdb changes', async ({ log }) => {
    const { instrument } = await chooseNight(log, options.instrument, null);
    const since = Number(options.since) as CommitPosition; // Compared with positions only.
    const changes: Change[] = [];
    let next = since, count = 0;
    for await (const stored of entriesSince(log, options.dataDir, instrument, since)) {
      if (count >= options.limit) break;
      next = commitPosition(stored.entry.dayObs, stored.sequence);
      const change = changeOf(stored, new Spool(options.dataDir, instrument, stored.entry.dayObs));
      if (change === null) continue;
      count++;
      if (options.json) changes.push(change); else print(toJson(change));
    }
    if (options.json) printJson({ instrument, since, next, changes });
    return 0;
  });
}

async function* entriesSince(
  log: Log, dataDir: string, instrument: string, since: CommitPosition,
): AsyncGenerator<StoredEntry> {
  const done = partsOfCommitPosition(since);
  for (const dayObs of await listRecordedNights(log, dataDir, instrument)) {
    if (dayObs < done.dayObs) continue;
    yield* readRecorded(log, dataDir, instrument, dayObs, dayObs === done.dayObs ? done.sequence + 1 : 1);
  }
}

function changeOf({ entry, sequence }: StoredEntry, spool: Spool): Change | null {
  const associated = entry.associated;
  if (!associated) return null;
  const rows = rowsOf(associated, spool);
  return {
    position: commitPosition(entry.dayObs, sequence), visit: associated.visit, detector: associated.detector,
    tables: {
      DiaObject: rows.diaObjects.map(decodeDiaObject), DiaSource: rows.diaSources.map(decodeDiaSource),
      DiaForcedSource: rows.diaForcedSources.map(decodeDiaForcedSource),
      SSSource: rows.ssSources.map(decodeSsSource), mpc_orbits: rows.mpcOrbits.map(decodeMpcOrbit),
      DetectorVisitProcessingSummary: [associated.summary],
    },
  };
}
