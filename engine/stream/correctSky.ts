/** Day-time work: a correction appended to COMMITS behind the fence of every writer, and projected. */
import type { Apdb } from '../../apdb/apdb.ts';
import { encodeCommitEntry } from '../../schemas/commit.ts';
import type { SkyCorrected } from '../../schemas/correction.ts';
import { commitPosition, nextDayObs, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { mjdTaiOfUnixMs } from '../../schemas/time.ts';
import { engineConfig } from '../config.ts';
import { correctionId } from './associator.ts';
import { listRecordedNights } from './commitExport.ts';
import { CommitLog, CommitRefused, isNightSealed } from './commitLog.ts';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';
import { planCorrection, type CorrectionRequest } from './planCorrection.ts';
import { catchUp } from './projector.ts';

export type OpenedSky = Readonly<{ log: Log; apdb: Apdb; instrument: string; dataDir: string; now: () => number }>;

/** A correction and the entry that it became; null as long as it was only planned. */
export type CorrectedSky = Readonly<{ corrected: SkyCorrected; position: CommitPosition | null }>;

/** Makes the correction that a request asks for. @param isTrial Nothing is written. */
export async function correctSky(
  opened: OpenedSky, request: CorrectionRequest, isTrial: boolean,
): Promise<CorrectedSky> {
  return appendCorrection(opened, (position, correctedMjdTai) => (
    planCorrection(opened.apdb, position, request, correctedMjdTai)), isTrial);
}

/**
 * Plans an entry from the APDB as of the end of the log and appends it; when another writer appends meanwhile, it is
 * planned anew.
 *
 * It goes into the night that is open. A sealed night takes nothing more: then it is the first entry of the next one,
 * which is observed behind it.
 *
 * @param isTrial Nothing is written.
 */
export async function appendCorrection(
  { log, apdb, instrument, dataDir, now }: OpenedSky,
  plan: (position: CommitPosition, correctedMjdTai: number) => Promise<SkyCorrected>, isTrial: boolean,
): Promise<CorrectedSky> {
  const dayObs = await openNight(log, dataDir, instrument);
  for (let attempt = 1; ; attempt++) {
    const position = await catchUp(log, apdb, instrument, dataDir);
    const corrected = await plan(position, mjdTaiOfUnixMs(now()));
    if (isTrial) return { corrected, position: null };
    const commits = await CommitLog.open(log, instrument, dayObs, () => undefined);
    // What was appended since the rows were worked out may have changed them.
    const isBehind = commits.lastSequence > 0 && position < commitPosition(dayObs, commits.lastSequence);
    try {
      if (!isBehind) {
        const entry = { instrument, dayObs, associated: null, deferred: null, sealed: null, corrected } as const;
        const bytes = encodeCommitEntry(entry);
        if (bytes.length > streamConfig.inlineRowsBytesMax) {
          throw new Error(`a correction of ${bytes.length} bytes does not fit an entry: correct fewer at once`);
        }
        const stored = await commits.append(entry, correctionId(entry));
        await catchUp(log, apdb, instrument, dataDir);
        return { corrected, position: commitPosition(dayObs, stored.sequence) };
      }
    } catch (error) {
      if (!(error instanceof CommitRefused)) throw error;
    }
    if (attempt >= engineConfig.commitAttemptsMax) {
      throw new Error(`other writers appended to COMMITS of ${dayObs} before each of ${attempt} tries`);
    }
  }
}

/** The night that takes entries: the last one, or when that is sealed the one after it. */
async function openNight(log: Log, dataDir: string, instrument: string): Promise<DayObs> {
  const last = (await listRecordedNights(log, dataDir, instrument)).at(-1);
  if (last === undefined) throw new Error(`there is no night of ${instrument}`);
  return await isNightSealed(log, instrument, last) === false ? last : nextDayObs(last);
}
