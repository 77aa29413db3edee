/** A filter is tried on a past night before it is let loose on those to come. */
import { archivedAlerts, archivedNights } from '../archive/reader.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import { compileFilter, type FilterDefinition } from './expression.ts';
import { FilterChangeRefused, type Actor, type FilterLog } from './filterLog.ts';
import type { FilterRecord } from './filterBook.ts';
import { refusalOf, tryFilter, type Trial } from './trial.ts';

export type TrialNight = Readonly<{ dataDir: string; instrument: string; dayObs: DayObs }>;

/** The newest night of an instrument that has an archive, or null. */
export async function newestNight(dataDir: string, instrument: string): Promise<TrialNight | null> {
  const dayObs = (await archivedNights(dataDir, instrument)).at(-1);
  return dayObs === undefined ? null : { dataDir, instrument, dayObs };
}

/** Tries a filter on a night's archive: on all alerts, or on `filterTrialAlertsMax` of them, spread evenly. */
export async function tryOnNight(definition: FilterDefinition, night: TrialNight): Promise<Trial> {
  const { dataDir, instrument, dayObs } = night;
  const alerts = archivedAlerts(dataDir, instrument, dayObs, brokersConfig.filterTrialAlertsMax);
  return tryFilter(compileFilter(definition), alerts);
}

/**
 * Tries a version and puts it to work.
 *
 * @param night Null when there is none to try it on: then it is refused.
 * @throws FilterChangeRefused when the trial refuses it, or the actor may not.
 */
export async function activateFilter(
  filters: FilterLog, actor: Actor, definition: FilterDefinition, night: TrialNight | null,
  shareMax: number = brokersConfig.filterShareMax,
): Promise<Readonly<{ record: FilterRecord; trial: Trial }>> {
  const { user, name, version } = definition;
  if (night === null) throw new FilterChangeRefused(409, 'there is no night in the archive to try it on');
  const trial = await tryOnNight(definition, night);
  const refusal = refusalOf(trial, shareMax);
  if (refusal !== null) throw new FilterChangeRefused(409, `${trial.filter} is refused: ${refusal}`);
  const { evaluated, matched, share } = trial;
  const record = await filters.activate(actor, user, name, version, {
    instrument: night.instrument, dayObs: night.dayObs, evaluated, matched, share, shareMax,
  });
  return { record, trial };
}
