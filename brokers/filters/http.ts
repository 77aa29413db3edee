/** Filters over HTTP: looked at by everyone, changed by their owners and by operators, while the night runs. */
import { asDayObs } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import { activateFilter, newestNight, tryOnNight, type TrialNight } from './activation.ts';
import { FilterCompileError } from './expression.ts';
import type { FilterRecord } from './filterBook.ts';
import { FilterChangeRefused, type Actor, type FilterLog, type FilterText } from './filterLog.ts';
import type { SkyRegion } from './region.ts';
import { refusalOf } from './trial.ts';

/** Where filters are recorded, and where the nights are that they are tried on. */
export type FilterPlace = Readonly<{ filters: FilterLog; dataDir: string; instrument: string }>;

export type FilterAnswer = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' } as const;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether a request is about filters. */
export function isFilterPath(path: string): boolean {
  return /^\/filters([/?]|$)/.test(path);
}

/**
 * Answers
 * - `GET /filters`, `GET /filters/{user}/{name}`;
 * - `PUT /filters/{user}/{name}` with `{"expression", "rank"?, "summary"?, "region"?}`: a new filter or its next version;
 * - `POST /filters/{user}/{name}/test` with `{"version"?, "night"?}`: what it makes of a past night;
 * - `POST …/activate` with `{"version"?, "night"?, "shareMax"?}`: the same, and to work when that allows it;
 * - `POST …/deactivate`.
 *
 * @param actor Whoever asks; null when only looking is allowed.
 * @param readBody The body as text; called only when one is wanted.
 */
export async function answerFilterRequest(
  place: FilterPlace, method: string, url: string, actor: Actor | null, readBody: () => Promise<string>,
): Promise<FilterAnswer> {
  try {
    const segments = url.split('?', 1)[0].split('/').slice(2);
    if (segments.some((segment) => !NAME.test(segment)) || ![0, 2, 3].includes(segments.length)) {
      throw new FilterChangeRefused(404, 'not found');
    }
    const [user, name, action] = segments;
    await place.filters.refresh();
    if (method === 'GET' && segments.length < 3) {
      return answer(200, user === undefined
        ? { filters: place.filters.list().map(shown), problems: place.filters.problems }
        : shown(place.filters.find(user, name)));
    }
    if (user === undefined || (method !== 'PUT') === (action === undefined) || !['PUT', 'POST'].includes(method)) {
      return { ...answer(405, { error: 'GET, PUT or POST' }), headers: { ...JSON_TYPE, allow: 'GET, PUT, POST' } };
    }
    if (actor === null) throw new FilterChangeRefused(401, 'a change needs the token of its owner');
    const body = parseBody(await readBody());
    return await change(place, actor, user, name, action ?? 'define', body);
  } catch (error) {
    if (error instanceof FilterCompileError) return answer(422, { error: error.message });
    if (error instanceof FilterChangeRefused) return answer(error.status, { error: error.message });
    throw error;
  }
}

async function change(
  place: FilterPlace, actor: Actor, user: string, name: string, action: string, body: Body,
): Promise<FilterAnswer> {
  const { filters } = place;
  switch (action) {
    case 'define': {
      assertFields(body, ['expression', 'rank', 'summary', 'region']);
      const isNew = !filters.list().some((each) => each.user === user && each.name === name);
      return answer(isNew ? 201 : 200, shown(await filters.define(actor, user, name, isNew, textOf(body))));
    }
    case 'test':
    case 'activate': {
      assertFields(body, action === 'test' ? ['version', 'night'] : ['version', 'night', 'shareMax']);
      const definition = filters.definition(user, name, wholeNumber(body, 'version'));
      const night = await nightOf(place, wholeNumber(body, 'night'));
      const shareMax = share(body);
      if (!actor.isOperator && shareMax > brokersConfig.filterShareMax) {
        throw new FilterChangeRefused(403, `only an operator may allow more than ${brokersConfig.filterShareMax}`);
      }
      return inTurn(async () => {
        if (action === 'activate') {
          const { record, trial } = await activateFilter(filters, actor, definition, night, shareMax);
          return answer(200, { ...shown(record), trial });
        }
        if (night === null) throw new FilterChangeRefused(409, 'there is no night in the archive to try it on');
        const trial = await tryOnNight(definition, night);
        return answer(200, { night: night.dayObs, ...trial, refusal: refusalOf(trial, shareMax) });
      });
    }
    case 'deactivate':
      assertFields(body, []);
      return answer(200, shown(await filters.deactivate(actor, user, name)));
    default:
      throw new FilterChangeRefused(404, 'not found');
  }
}

let trials = 0;

/** A trial is a second of work: few at once, so that nobody can hold up the others. */
async function inTurn(work: () => Promise<FilterAnswer>): Promise<FilterAnswer> {
  if (trials >= brokersConfig.filterTrialsMax) throw new FilterChangeRefused(503, 'too many trials at once');
  trials++;
  try {
    return await work();
  } finally {
    trials--;
  }
}

type Body = Readonly<Record<string, unknown>>;

function parseBody(text: string): Body {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text);
    // Every entry is looked at before it is used.
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
  } catch {
    // Told below.
  }
  throw new FilterChangeRefused(400, 'the body is not a JSON record');
}

function assertFields(body: Body, known: readonly string[]): void {
  if (Object.keys(body).every((key) => known.includes(key))) return;
  throw new FilterChangeRefused(400, known.length === 0 ? 'the body is to be empty' : `the body has ${known.join(', ')}`);
}

function textOf(body: Body): FilterText {
  const { expression, rank, summary = '', region } = body;
  if (typeof expression !== 'string') throw new FilterChangeRefused(400, 'expression is not a text');
  if (typeof summary !== 'string') throw new FilterChangeRefused(400, 'summary is not a text');
  if (rank !== undefined && typeof rank !== 'string') throw new FilterChangeRefused(400, 'rank is not a text');
  return {
    expression, summary, ...(rank === undefined ? {} : { rank }),
    ...(region === undefined ? {} : { region: region as SkyRegion }), // Compiled, and so checked, by `define`.
  };
}

function wholeNumber(body: Body, name: string): number | null {
  const value = body[name];
  if (value === undefined) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw new FilterChangeRefused(400, `${name} is not a whole number`);
}

function share(body: Body): number {
  const value = body['shareMax'] ?? brokersConfig.filterShareMax;
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw new FilterChangeRefused(400, 'shareMax is not a number from 0 to 1');
}

async function nightOf({ dataDir, instrument }: FilterPlace, asked: number | null): Promise<TrialNight | null> {
  if (asked === null) return newestNight(dataDir, instrument);
  try {
    return { dataDir, instrument, dayObs: asDayObs(asked) };
  } catch {
    throw new FilterChangeRefused(400, 'night is not a date YYYYMMDD');
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

function answer(status: number, value: unknown): FilterAnswer {
  const body = JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each));
  return { status, headers: JSON_TYPE, body };
}
