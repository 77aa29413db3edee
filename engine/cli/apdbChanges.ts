/** `vesper apdb changes`: what commits have changed since a position, for copies of the tables elsewhere; resumable. */
import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, decodeMpcOrbit, decodeSsSource,
} from '../../schemas/avro.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import { commitPosition, partsOfCommitPosition, type CommitPosition } from '../../schemas/ids.ts';
import type { ApdbChangesOptions } from '../setup/arguments.mjs';
import { listRecordedNights, readRecorded } from '../stream/commitExport.ts';
import type { StoredEntry } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { rowsOf } from '../stream/projector.ts';
import { Spool } from '../stream/spool.ts';
import { print, printJson, toJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

type Tables = Readonly<Record<string, readonly object[]>>;

/**
 * Rows of one entry. Of a commit: a row of DiaObject ends the version before it, all others are added. Of a correction:
 * each row of DiaSource takes the place of the one with its id, whose SSSource ends with it, each of DiaObject ends the
 * version before it, the closed diaObjects are valid until `correctedMjdTai`, and SSSource and mpc_orbits are added.
 */
type Change =
  | Readonly<{ position: CommitPosition; visit: number; detector: number; correction: null; tables: Tables }>
  | Readonly<{
    position: CommitPosition; visit: null; detector: null; tables: Tables;
    correction: Pick<SkyCorrected, 'kind' | 'reason' | 'correctedMjdTai' | 'toDiaObjectId' | 'toSsObjectId' | 'moved'
      | 'closedDiaObjectIds'>;
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
  const { associated, corrected } = entry, position = commitPosition(entry.dayObs, sequence);
  if (corrected) return changeOfCorrection(position, corrected);
  if (!associated) return null;
  const rows = rowsOf(associated, spool);
  return {
    position, visit: associated.visit, detector: associated.detector, correction: null,
    tables: {
      DiaObject: rows.diaObjects.map(decodeDiaObject), DiaSource: rows.diaSources.map(decodeDiaSource),
      DiaForcedSource: rows.diaForcedSources.map(decodeDiaForcedSource),
      SSSource: rows.ssSources.map(decodeSsSource), mpc_orbits: rows.mpcOrbits.map(decodeMpcOrbit),
      DetectorVisitProcessingSummary: [associated.summary],
    },
  };
}

function changeOfCorrection(position: CommitPosition, corrected: SkyCorrected): Change {
  const { diaSources, diaObjects, diaForcedSources, ssSources, mpcOrbits, ...correction } = corrected;
  return {
    position, visit: null, detector: null, correction,
    tables: {
      DiaObject: diaObjects.map(decodeDiaObject), DiaSource: diaSources.map(decodeDiaSource),
      DiaForcedSource: diaForcedSources.map(decodeDiaForcedSource),
      SSSource: ssSources.map(decodeSsSource), mpc_orbits: mpcOrbits.map(decodeMpcOrbit),
    },
  };
}
