/** `vesper replay last|DAYOBS`: runs a recorded night again and compares rows and packets byte by byte. */
import { availableParallelism } from 'node:os';
import type { DayObs } from '../../schemas/ids.ts';
import { listRecordedNights, readRecorded } from '../stream/commitExport.ts';
import { readCommits, type StoredEntry } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { readObservatory } from '../stream/observatory.ts';
import { replayNight, type ReplayResult } from '../stream/replayNight.ts';
import { createDetectorPool } from '../workers/pool.ts';
import { note, print, printJson } from './output.ts';
import { recordedPixels } from './recordedPixels.ts';
import { chooseNight, withOpenStores } from './stores.ts';

type Options = Readonly<{ dataDir: string; instrument: string | null; json: boolean }>;

export async function runReplay(night: number | 'last', options: Options, signal: AbortSignal): Promise<number> {
  const threads = Math.max(1, availableParallelism());
  const pool = createDetectorPool(threads);
  try {
    const result = await withOpenStores(options.dataDir, 'replay', async ({ log }) => {
      const { instrument, dayObs } = await chooseNight(log, options.instrument, night);
      const entries: StoredEntry[] = [];
      for await (const stored of readCommits(log, instrument, dayObs)) entries.push(stored);
      const facts = (await readObservatory(log, instrument, dayObs, note)).map(({ event }) => event);
      const pixels = recordedPixels(options.dataDir, instrument, dayObs, facts, pool);
      const isTerminal = globalThis.process.stderr.isTTY;
      return replayNight({
        log, instrument, dayObs, dataDir: options.dataDir, ...pixels, entries, facts, lookahead: 2 * threads, signal,
        earlier: earlierEntries(log, options.dataDir, instrument, dayObs),
        onProgress: (done, of) => {
          if (isTerminal || done === of) note(`replay ${dayObs}: ${done} of ${of} entries`);
        },
      });
    });
    if (options.json) printJson(result); else print(formatReplay(result));
    return result.rowsEqual && result.packetsEqual ? 0 : 1;
  } finally {
    await pool.close();
  }
}

/** Commits of earlier nights: from the log, or from the exports of nights that were removed. */
async function* earlierEntries(
  log: Log, dataDir: string, instrument: string, before: DayObs,
): AsyncGenerator<StoredEntry> {
  for (const night of await listRecordedNights(log, dataDir, instrument)) {
    if (night < before) yield* readRecorded(log, dataDir, instrument, night);
  }
}

function formatReplay({ dayObs, commits, packets, rowsEqual, packetsEqual, firstDifference }: ReplayResult): string {
  const verdict = (isEqual: boolean) => (isEqual ? 'equal' : 'DIFFERENT');
  const lines = [`night ${dayObs}: ${commits} commits replayed, rows ${verdict(rowsEqual)}; `
    + `${packets} packets, bytes ${verdict(packetsEqual)}`];
  if (firstDifference) {
    const { commit, visit, detector, what } = firstDifference;
    lines.push(`first difference: commit ${commit}, visit ${visit}, detector ${detector}: ${what}`);
  }
  return lines.join('\n');
}
