/** What is withheld, from whom, and for how long: set by the operator in one file of the data directory. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeDiaSource } from '../schemas/avro.ts';
import { diaSourceOnly } from './filters/lazyAlert.ts';
import type { Withholding } from '../engine/stream/associateDetector.ts';
import { unixMsOfMjdTai } from '../schemas/time.ts';
import { compileFilter, type CompiledFilter } from './filters/expression.ts';

/** Alerts that are not sent before some time has passed: artificial satellites, say. */
export type WithholdRule = Readonly<{
  /** Letters, digits, - and _: it stands in the counts. */
  name: string;
  /** CEL, as in filters, over the diaSource alone. */
  expression: string;
  /** From the exposure or, later, its processing, hours; then `vesper alerts release` sends them. */
  hours: number;
}>;

export type Policy = Readonly<{
  /**
   * For so long after a detector was processed its pixels are for those entitled (`vesper access grant --pixels`); 0
   * withholds none. Hours.
   */
  pixelEmbargoHours: number;
  withhold: readonly WithholdRule[];
}>;

/** Of operations; at most 81 (DMS-REQ-0402 … 0404). */
export const PIXEL_EMBARGO_HOURS = 80;
const DEFAULT_POLICY: Policy = { pixelEmbargoHours: PIXEL_EMBARGO_HOURS, withhold: [] };
/** A month is what commissioning data are held; a rule that never ends would be a loss. */
const HOURS_MAX = 31 * 24;
const RULES_MAX = 20;

export function policyPath(dataDir: string): string {
  return join(dataDir, 'policy.json');
}

/** The policy in force. @throws Error of one line that names the file, and the rule, when it cannot be used. */
export function readPolicy(dataDir: string): Policy {
  const path = policyPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return DEFAULT_POLICY;
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
  return parsePolicy(text, path);
}

/** @throws Error of one line that begins with `path`. */
export function parsePolicy(text: string, path: string): Policy {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isRecord(told)) throw new Error(`${path} is not a policy`);
  const foreign = Object.keys(told).find((key) => !['pixelEmbargoHours', 'withhold'].includes(key));
  if (foreign !== undefined) throw new Error(`${path}: a policy has no ${JSON.stringify(foreign.slice(0, 40))}`);
  const { pixelEmbargoHours = PIXEL_EMBARGO_HOURS, withhold = [] } = told;
  if (!isHours(pixelEmbargoHours, 0)) throw new Error(`${path}: pixelEmbargoHours is to be from 0 to ${HOURS_MAX}`);
  if (!Array.isArray(withhold) || withhold.length > RULES_MAX) {
    throw new Error(`${path}: withhold is to be a list of at most ${RULES_MAX} rules`);
  }
  const rules = withhold.map((rule: unknown) => ruleOf(rule, path));
  if (new Set(rules.map(({ name }) => name)).size < rules.length) throw new Error(`${path}: two rules of one name`);
  return { pixelEmbargoHours, withhold: rules };
}

function ruleOf(rule: unknown, path: string): WithholdRule {
  const { name, expression, hours } = isRecord(rule) ? rule : {};
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,40}$/.test(name) || typeof expression !== 'string') {
    throw new Error(`${path}: a rule has a name (letters, digits, - and _) and an expression`);
  }
  if (!isHours(hours, 1)) throw new Error(`${path}: ${name}: hours are to be from 1 to ${HOURS_MAX}`);
  const made = { name, expression, hours };
  try {
    compiledRule(made);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
  return made;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHours(value: unknown, min: number): value is number {
  return typeof value === 'number' && value >= min && value <= HOURS_MAX;
}

function compiledRule({ name, expression }: WithholdRule): CompiledFilter {
  const filter = compileFilter({ user: 'policy', name, version: 1, expression });
  const other = [...RECORDS].find((record) => filter.reads.has(record));
  if (other !== undefined) throw new Error(`filter ${filter.label}: a policy sees the diaSource alone, not ${other}`);
  return filter;
}

const RECORDS: ReadonlySet<string> = new Set([
  'prvDiaSources', 'prvDiaForcedSources', 'diaObject', 'ssSource', 'mpc_orbits', 'nearestStars', 'nearestGalaxies',
]);

/** Null without rules. A source for which a rule cannot be evaluated is withheld: what is held can be released. */
export function withholdingOf({ withhold }: Policy): Withholding | null {
  if (withhold.length === 0) return null;
  const rules = withhold.map((rule) => ({ name: rule.name, filter: compiledRule(rule) }));
  return {
    digest: digestOf(withhold),
    ruleOf(diaSource) {
      const alert = diaSourceOnly(decodeDiaSource(diaSource));
      const found = rules.find(({ filter }) => ['matched', 'failed'].includes(filter.evaluate(alert).outcome));
      return found?.name ?? null;
    },
  };
}

/** Keeps the rules in force, so that a replay finds those of a night by the digest that its commits name. */
export function recordRules(dataDir: string, { withhold }: Policy): void {
  if (withhold.length === 0) return;
  const folder = join(dataDir, 'policies'), path = join(folder, `${digestOf(withhold)}.json`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${path}.part`, JSON.stringify({ withhold }));
  renameSync(`${path}.part`, path);
}

/** The rules of a digest. @throws Error of one line when they are not kept here, or were changed. */
export function recordedRules(dataDir: string, digest: string): Policy {
  const path = join(dataDir, 'policies', `${digest}.json`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`the policy of a commit is missing: ${(error as Error).message}`, { cause: error });
  }
  const policy = parsePolicy(text, path);
  if (digestOf(policy.withhold) !== digest) throw new Error(`${path} was changed`);
  return policy;
}

function digestOf(rules: readonly WithholdRule[]): string {
  const told = rules.map(({ name, expression, hours }) => ({ name, expression, hours }));
  return createHash('sha256').update(JSON.stringify(told)).digest('hex');
}

/** Of a diaSource. */
export type ObservedTimes = Readonly<{ midpointMjdTai: number; timeProcessedMjdTai: number }>;

function endOf({ midpointMjdTai, timeProcessedMjdTai }: ObservedTimes, hours: number): number {
  return unixMsOfMjdTai(Math.max(midpointMjdTai, timeProcessedMjdTai) + hours / 24);
}

/**
 * When the embargo on an alert's pixels ends, Unix ms; null when it has. It counts from the exposure or, later, its
 * processing: a recorded night that is told again is withheld as if it were new.
 */
export function embargoEndMs(
  { pixelEmbargoHours }: Policy, times: ObservedTimes, nowMs: number,
): number | null {
  const endMs = endOf(times, pixelEmbargoHours);
  return pixelEmbargoHours === 0 || endMs <= nowMs ? null : endMs;
}

/** Whether what a rule has withheld is not to be sent yet. A rule that is no longer there withholds nothing. */
export function isHeld({ withhold }: Policy, rule: string, times: ObservedTimes, nowMs: number): boolean {
  const hours = withhold.find(({ name }) => name === rule)?.hours;
  return hours !== undefined && nowMs < endOf(times, hours);
}
