/** `vesper filter status|create|edit|activate|deactivate`: filters as they are recorded, also while a night runs. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { activateFilter } from '../../brokers/filters/activation.ts';
import type { FilterRecord } from '../../brokers/filters/filterBook.ts';
import { FilterChangeRefused, FilterLog, type Actor } from '../../brokers/filters/filterLog.ts';
import type { SkyRegion } from '../../brokers/filters/region.ts';
import type { FilterActivateOptions, FilterActorOptions, FilterDefineOptions } from '../setup/arguments.mjs';
import { formatTrial, nightOf } from './filter.ts';
import { note, print, printJson, table } from './output.ts';
import { withOpenStores } from './stores.ts';

export async function runFilterStatus(options: Readonly<{ dataDir: string; json: boolean }>): Promise<number> {
  const { filters, problems } = await withFilters(options.dataDir, async (log) => ({
    filters: log.list(), problems: log.problems,
  }));
  if (options.json) printJson({ filters: filters.map(shown), problems });
  else if (filters.length === 0) print('no filters are recorded; "vesper filter create" makes one');
  else print(table(['filter', 'versions', 'active', 'trial', 'summary'], filters.map(row)));
  for (const problem of problems) note(`vesper: ${problem}`);
  return 0;
}

export async function runFilterDefine(name: string, isNew: boolean, options: FilterDefineOptions): Promise<number> {
  const actor = actorOf(options), user = options.user ?? actor.user;
  const text = {
    expression: options.expression, summary: options.summary ?? '',
    ...(options.rank === null ? {} : { rank: options.rank }),
    ...(options.region === null ? {} : { region: readRegion(options.region) }),
  };
  const record = await withFilters(options.dataDir, (log) => log.define(actor, user, name, isNew, text));
  if (options.json) printJson(shown(record));
  else {
    const { version } = record.versions[record.versions.length - 1].definition;
    const activate = `vesper filter activate ${name}${options.user === null ? '' : ` --user ${user}`}`;
    print(`${user}.${name}@${version} is recorded; "${activate}" puts it to work`);
  }
  return 0;
}

export async function runFilterActivate(name: string, options: FilterActivateOptions): Promise<number> {
  const actor = actorOf(options), user = options.user ?? actor.user;
  return withFilters(options.dataDir, async (log) => {
    const definition = log.definition(user, name, options.version);
    const night = { dataDir: options.dataDir, ...await nightOf(options) };
    try {
      const { record, trial } = await activateFilter(log, actor, definition, night, options.shareMax);
      if (options.json) printJson({ ...shown(record), trial });
      else print(`${formatTrial(night.instrument, night.dayObs, trial, null)}\n${trial.filter} is at work`);
      return 0;
    } catch (error) {
      if (!(error instanceof FilterChangeRefused) || error.status !== 409) throw error;
      if (options.json) printJson({ user, name, refusal: error.message });
      note(`vesper: ${error.message}`);
      return 1;
    }
  });
}

export async function runFilterDeactivate(name: string, options: FilterActorOptions): Promise<number> {
  const actor = actorOf(options), user = options.user ?? actor.user;
  const record = await withFilters(options.dataDir, (log) => log.deactivate(actor, user, name));
  if (options.json) printJson(shown(record)); else print(`${user}.${name} is off`);
  return 0;
}

/** Whoever can write the data directory may act for anyone; `--operator` says that this is meant. */
function actorOf({ user, operator }: FilterActorOptions): Actor {
  return { user: user ?? userInfo().username.replace(/[^A-Za-z0-9_-]/g, '_'), isOperator: operator };
}

async function withFilters<T>(dataDir: string, work: (filters: FilterLog) => Promise<T>): Promise<T> {
  return withOpenStores(dataDir, 'filter', async ({ log }) => work(await FilterLog.open(log)));
}

function readRegion(path: string): SkyRegion {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    return JSON.parse(text) as SkyRegion; // Compiled, and so checked, before it is recorded.
  } catch {
    throw new Error(`${path} is not JSON`);
  }
}

function shown({ versions, ...record }: FilterRecord): object {
  return {
    ...record,
    versions: versions.map(({ definition, summary, by, timeNanos }) => ({
      ...definition, summary, by, definedAt: new Date(Number(timeNanos / 1_000_000n)).toISOString(),
    })),
  };
}

function row({ user, name, versions, active, trial }: FilterRecord): readonly string[] {
  const share = trial === null ? '-' : `${(100 * trial.share).toFixed(1)} % of ${trial.evaluated} on ${trial.dayObs}`;
  return [
    `${user}.${name}`, String(versions.length), active === null ? '-' : `@${active}`, share,
    versions.at(-1)?.summary ?? '',
  ];
}
