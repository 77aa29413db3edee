/** `vesper filter list|explain|test`: filters as their authors want to see them. Reads the archive; needs no server. */
import {
  archivedAlerts, archivedInstruments, archivedNights, findArchivedAlert,
} from '../../brokers/archive/reader.ts';
import { explainFilter, type Clause, type ClauseValue, type Explanation } from '../../brokers/filters/explain.ts';
import { compileFilter, type FilterDefinition } from '../../brokers/filters/expression.ts';
import { FilterLog } from '../../brokers/filters/filterLog.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilter, predefinedFilters, type PredefinedFilter } from '../../brokers/filters/predefined.ts';
import { refusalOf, tryFilter, type Trial } from '../../brokers/filters/trial.ts';
import { asDayObs, partsOfDiaSourceId, type DayObs } from '../../schemas/ids.ts';
import type { FilterExplainOptions, FilterTestOptions } from '../setup/arguments.mjs';
import { isSimulated } from './instruments.ts';
import { note, print, printJson, table } from './output.ts';
import { withOpenStores } from './stores.ts';

export async function runFilterList(options: Readonly<{ json: boolean }>): Promise<number> {
  const filters: readonly PredefinedFilter[] = Object.values(predefinedFilters);
  if (options.json) { printJson(filters); return 0; }
  const width = Math.max(...filters.map(({ name }) => name.length));
  for (const { name, summary, rank } of filters) {
    print(`${name.padEnd(width)}  ${summary}${rank === undefined ? '' : `; ranked by ${rank}`}`);
  }
  return 0;
}

export async function runFilterExplain(
  names: Readonly<{ filter: string; diaSourceId: string }>, options: FilterExplainOptions,
): Promise<number> {
  const definition = await definitionOf(names.filter, options);
  compileFilter(definition);
  const id = BigInt(names.diaSourceId);
  partsOfDiaSourceId(id);
  const instruments = options.instrument === null ? await archivedInstruments(options.dataDir) : [options.instrument];
  for (const instrument of instruments) {
    const alert = await findArchivedAlert(options.dataDir, instrument, id);
    if (alert === null) continue;
    const explanation = explainFilter(definition, lazyAlert(alert.packet, alert.neighbours));
    if (options.json) printJson({ diaSourceId: id, instrument, ...explanation });
    else print(formatExplanation(id, explanation));
    return 0;
  }
  note(`vesper: alert ${id} is not in an archive of ${options.dataDir}`);
  return 2;
}

export async function runFilterTest(name: string, options: FilterTestOptions): Promise<number> {
  const filter = compileFilter(await definitionOf(name, options));
  const { instrument, dayObs } = await nightOf(options);
  const trial = await tryFilter(filter, archivedAlerts(options.dataDir, instrument, dayObs));
  const refusal = refusalOf(trial, options.shareMax);
  if (options.json) printJson({ instrument, dayObs, shareMax: options.shareMax, refusal, ...trial });
  else print(formatTrial(instrument, dayObs, trial, refusal));
  return refusal === null ? 0 : 1;
}

/**
 * A filter by its words, one that ships, or a recorded one: for that alone the stores are looked at.
 *
 * @throws Error of one line when there is none.
 */
async function definitionOf(
  name: string,
  { expression, rank, dataDir }: Readonly<{ expression: string | null; rank: string | null; dataDir: string }>,
): Promise<FilterDefinition> {
  if (expression !== null) {
    return { user: 'me', name, version: 1, expression, ...(rank === null ? {} : { rank }) };
  }
  if (rank !== null) throw new Error('--rank needs --expression');
  const found = predefinedFilter(name);
  if (found !== null) return found;
  const [, user, own, version] = /^([\w-]+)\.([\w-]+)(?:@(\d{1,6}))?$/.exec(name) ?? [];
  if (user !== undefined) {
    return withOpenStores(dataDir, 'filter', async ({ log }) =>
      (await FilterLog.open(log)).definition(user, own, version === undefined ? null : Number(version)));
  }
  throw new Error(`there is no filter ${JSON.stringify(name)}: "vesper filter list" names them, or give --expression`);
}

/** The night asked for, else the newest: of the instrument given, else of a simulated one. */
export async function nightOf(
  { dataDir, instrument, night }: Pick<FilterTestOptions, 'dataDir' | 'instrument' | 'night'>,
): Promise<Readonly<{ instrument: string; dayObs: DayObs }>> {
  const wanted = night === null ? null : asDayObs(night);
  const instruments = instrument === null ? (await archivedInstruments(dataDir)).filter(isSimulated) : [instrument];
  let best: Readonly<{ instrument: string; dayObs: DayObs }> | null = null;
  for (const name of instruments) {
    for (const dayObs of await archivedNights(dataDir, name)) {
      if ((wanted === null || wanted === dayObs) && (best === null || dayObs > best.dayObs)) {
        best = { instrument: name, dayObs };
      }
    }
  }
  if (best !== null) return best;
  throw new Error(
    wanted === null ? `there is no night in an archive of ${dataDir}`
      : `night ${wanted} is not in an archive of ${dataDir}`,
  );
}

function formatExplanation(id: bigint, { filter, outcome, rank, clause }: Explanation): string {
  const verdict = {
    matched: 'matches', notMatched: 'does not match', undecided: 'does not match: it depends on a value that is null',
    failed: 'could not be evaluated',
  }[outcome];
  const ranked = rank === null
    ? []
    : [`rank    ${rank.expression} = ${rank.value ?? 'no value'}${formatValues(rank.values, rank.expression)}`];
  return [`alert ${id} ${verdict} ${filter}`, ...formatClause(clause, 0), ...ranked].join('\n');
}

const JOINED = { all: 'all of', any: 'any of', not: 'not', choice: 'if, then, else' } as const;

function formatClause({ text, kind, truth, reason, values, clauses }: Clause, depth: number): string[] {
  const begin = `${truth.padEnd(9)} ${'  '.repeat(depth)}`;
  if (kind === 'test') return [`${begin}${text}${formatValues(values, text)}${reason === null ? '' : `: ${reason}`}`];
  return [`${begin}${JOINED[kind]}`, ...clauses.flatMap((each) => formatClause(each, depth + 1))];
}

/** What a clause read; a value is not repeated when it is the clause itself. */
function formatValues(values: readonly ClauseValue[], text: string): string {
  const shown = values.filter(({ name }) => name !== text)
    .map(({ name, value }) => `${name} = ${typeof value === 'string' ? JSON.stringify(value) : value}`);
  return shown.length === 0 ? '' : `    [${shown.join(', ')}]`;
}

export function formatTrial(instrument: string, dayObs: DayObs, trial: Trial, refusal: string | null): string {
  const { filter, evaluated, matched, undecided, errors, share, visits, matchedPerVisitMax } = trial;
  const perVisit = visits === 0 ? 0 : matched / visits;
  const lines = [
    `${filter} on ${evaluated} alerts of ${instrument} ${dayObs}: ${matched} match (${(100 * share).toFixed(1)} %), `
    + `${undecided} undecided, ${errors} failed`,
    `${perVisit.toFixed(1)} a visit, at most ${matchedPerVisitMax}; `
    + `${trial.evaluationMicroseconds.toFixed(1)} µs an evaluation`,
  ];
  if (trial.samples.length > 0) {
    lines.push(table(['diaSourceId', 'visit/detector', 'ra', 'dec', 'band', 'flux nJy', 'SNR', 'rank'],
      trial.samples.map((each) => [
        String(each.diaSourceId), `${each.visit}/${each.detector}`, each.ra.toFixed(5), each.dec.toFixed(5),
        each.band ?? '-', each.psfFlux?.toFixed(0) ?? '-', each.snr?.toFixed(1) ?? '-',
        each.rank?.toPrecision(4) ?? '-',
      ])));
  }
  lines.push(refusal === null ? 'it may be activated' : `refused: ${refusal}`);
  return lines.join('\n');
}
