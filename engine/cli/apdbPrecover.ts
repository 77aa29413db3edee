/** `vesper apdb precover`: a night's new objects on the visits before (DMS-REQ-0287). */
import { availableParallelism } from 'node:os';
import type { ApdbPrecoverOptions } from '../setup/arguments.mjs';
import { readObservatory } from '../stream/observatory.ts';
import { precoverNight, type PrecoveryResult } from '../stream/precovery.ts';
import { createDetectorPool } from '../workers/pool.ts';
import { note, print, printJson } from './output.ts';
import { recordedPixels } from './recordedPixels.ts';
import { chooseNight, withOpenStores } from './stores.ts';

/** Reasons that are shown one by one. */
const UNMEASURED_SHOWN = 5;

export async function runApdbPrecover(options: ApdbPrecoverOptions, signal: AbortSignal): Promise<number> {
  const { dataDir, days, json } = options, threads = Math.max(1, availableParallelism());
  const pool = createDetectorPool(threads);
  try {
    const result = await withOpenStores(dataDir, 'apdb precover', async ({ log, openApdb }) => {
      const { instrument, dayObs } = await chooseNight(log, options.instrument, options.night);
      const isTerminal = process.stderr.isTTY;
      return precoverNight({
        log, apdb: await openApdb(instrument), instrument, dataDir, dayObs, days, threads, signal, now: Date.now,
        pixels: (night, facts) => recordedPixels(dataDir, instrument, night, facts, pool),
        facts: async (night) => (await readObservatory(log, instrument, night, note)).map(({ event }) => event),
        onProgress: (done, of) => {
          if (isTerminal || done === of) note(`precovery of ${dayObs}: ${done} of ${of} detectors`);
        },
      });
    });
    if (json) printJson(result); else print(formatResult(result));
    return result.unmeasured.length === 0 ? 0 : 1;
  } finally {
    await pool.close();
  }
}

function formatResult(result: PrecoveryResult): string {
  const { dayObs, days, objects, precovered, visitDetectors, forcedSources, positions, unmeasured } = result;
  const more = unmeasured.length - UNMEASURED_SHOWN;
  return [
    `night ${dayObs}: ${precovered} of ${objects} new diaObjects precovered over ${days} days: `
      + `${forcedSources} fluxes on ${visitDetectors} detectors, in ${positions.length} entries of the log`,
    ...unmeasured.slice(0, UNMEASURED_SHOWN).map(({ visit, detector, reason }) => (
      `  visit ${visit}, detector ${detector}: ${reason}`)),
    ...more > 0 ? [`  and ${more} more detectors could not be measured`] : [],
  ].join('\n');
}
