/** Which night a run of the engine is about: one that it performs, one that it is told from a recording, or follows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NightArguments } from '../../schemas/events.ts';
import { asDayObs, nextDayObs, type DayObs } from '../../schemas/ids.ts';
import { streams } from '../../schemas/subjects.ts';
import { engineConfig } from '../config.ts';
import type { NightOptions } from '../setup/arguments.mjs';
import { listRecordedNights } from '../stream/commitExport.ts';
import { isNightSealed } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { lastNightOpened, readObservatory } from '../stream/observatory.ts';
import { listInstruments, listNights } from '../stream/streams.ts';
import { isSimulated } from './instruments.ts';
import { note } from './output.ts';
import type { RecordedNight } from './recordedNight.ts';

/** Reason for which alerts of the simulator are marked as tests. */
export const SIMULATED = 'simulated';

export type NightPlan = Readonly<{
  instrument: string; dayObs: DayObs; arguments: NightArguments; isResumed: boolean;
  /** Where its facts come from: the simulator in this process, a folder, or whoever publishes them. */
  source: 'performed' | 'recorded' | 'followed';
  /** Whether the sky is the simulator's. */
  isSimulated: boolean;
}>;

/** The night that an empty data directory begins with; a fixed one, so that the same seed sees the same sky. */
const FIRST_NIGHT = asDayObs(20261001);

/** The one camera whose nights are performed while they are observed; others are rendered first, then told. */
const PERFORMED_CAMERA = 'minicam';

/**
 * The night to perform: an unsealed simulated one, of whatever camera, with its recorded arguments; else the next
 * unused one of the camera asked for.
 *
 * @throws Error of one line when an unsealed night came from elsewhere, or the camera is too large to be performed.
 */
export async function planPerformedNight(log: Log, options: NightOptions): Promise<NightPlan> {
  const asked = { visits: options.visits, cadenceSeconds: options.cadence, camera: options.camera, seed: options.seed };
  for (const instrument of (await listInstruments(log)).filter(isSimulated)) {
    const dayObs = (await listNights(log, instrument)).at(-1);
    if (dayObs === undefined || await isNightSealed(log, instrument, dayObs)) continue;
    const opened = await lastNightOpened(log, instrument), isOpened = opened?.dayObs === dayObs;
    if (isOpened && (!opened.simulated || opened.arguments.source === 'recorded')) {
      throw new Error(`night ${dayObs} of ${instrument} was told from elsewhere and is not sealed: `
        + `end it with --follow --camera ${instrument} or --from DIR`);
    }
    if (isOpened) {
      const told = opened.arguments;
      return { instrument, dayObs, arguments: told, isResumed: true, source: 'performed', isSimulated: true };
    }
    if (instrument === options.camera) {
      return { instrument, dayObs, arguments: asked, isResumed: true, source: 'performed', isSimulated: true };
    }
  }
  if (options.camera !== PERFORMED_CAMERA) {
    throw new Error(`only nights of ${PERFORMED_CAMERA} are performed; render one of ${options.camera} with `
      + '"vesper simulate night … --products --out DIR" and give --from DIR');
  }
  const instrument = options.camera, last = (await listRecordedNights(log, options.dataDir, instrument)).at(-1);
  const dayObs = last === undefined ? FIRST_NIGHT : nextDayObs(last);
  return { instrument, dayObs, arguments: asked, isResumed: false, source: 'performed', isSimulated: true };
}

/** The night of a recording. @throws Error of one line when it cannot follow the nights that are there. */
export async function planRecordedNight(
  log: Log, dataDir: string, { manifest, opened }: RecordedNight,
): Promise<NightPlan> {
  const { instrument, dayObs } = manifest;
  const isResumed = await requireNext(log, dataDir, instrument, dayObs);
  return {
    instrument, dayObs, arguments: opened.arguments, isResumed, source: 'recorded', isSimulated: opened.simulated,
  };
}

/**
 * The night that somebody else publishes: the last one that the log tells of when it is not sealed, or the next one.
 * Null when `signal` ended the wait.
 */
export async function planFollowedNight(
  log: Log, dataDir: string, instrument: string, signal: AbortSignal,
): Promise<NightPlan | null> {
  for (let asked = false; !signal.aborted; asked = true) {
    const opened = await lastNightOpened(log, instrument);
    const isSealed = opened !== null && (await listRecordedNights(log, dataDir, instrument)).includes(opened.dayObs)
      && await isNightSealed(log, instrument, opened.dayObs) !== false;
    if (opened && !isSealed) {
      const { dayObs, arguments: told } = opened;
      const isResumed = await requireNext(log, dataDir, instrument, dayObs);
      return { instrument, dayObs, arguments: told, isResumed, source: 'followed', isSimulated: opened.simulated };
    }
    if (!asked) note(`waiting for a night of ${instrument} to be opened in ${streams.observatory(instrument)}`);
    await sleep(engineConfig.nightPollMs, undefined, { signal }).catch(() => undefined);
  }
  return null;
}

/** Nights follow each other in the database: one that is sealed, or lies before another, cannot be observed. */
async function requireNext(log: Log, dataDir: string, instrument: string, dayObs: DayObs): Promise<boolean> {
  const last = (await listRecordedNights(log, dataDir, instrument)).at(-1);
  if (last === undefined || dayObs > last) return false;
  if (dayObs < last) throw new Error(`night ${dayObs} of ${instrument} lies before ${last}, which ${dataDir} holds`);
  if (await isNightSealed(log, instrument, dayObs) === false) return true;
  throw new Error(`night ${dayObs} of ${instrument} is sealed in ${dataDir}; give another --data-dir`);
}

/** Whether the sky of a recorded night was the simulator's, as the log tells it; else it is not. */
export async function isNightSimulated(log: Log, instrument: string, dayObs: DayObs): Promise<boolean> {
  const facts = await readObservatory(log, instrument, dayObs, () => undefined);
  return facts.some(({ event }) => event.type === 'NightOpened' && event.simulated);
}
