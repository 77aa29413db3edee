/** What `isr`, `calibrate` and `detect` share: timed steps, what a file was made from, and errors that name the file. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { StageError } from '../errors.ts';
import type { FitsCard } from '../image/fits.ts';
import { runDigests } from './digests.ts';

/** Wall-clock time of a command's steps, in the order in which they ran. */
export type StepTime = Readonly<{ step: string; ms: number }>;

export class Steps {
  readonly #times: { step: string; ms: number }[] = [];

  run<T>(step: string, work: () => T): T {
    const start = performance.now();
    const result = work();
    this.#times.push({ step, ms: rounded(performance.now() - start) });
    return result;
  }

  get times(): readonly StepTime[] { return this.#times; }
  get totalMs(): number { return rounded(this.#times.reduce((sum, { ms }) => sum + ms, 0)); }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** Runs a stage on a file's pixels; its expected failures then name the file. */
export function onFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StageError) throw new Error(`${path}: ${error.message} (${error.code})`, { cause: error });
    throw error;
  }
}

/** @throws Error of one line when the output would replace one of the inputs. */
export function requireOtherFile(option: string, out: string, inputs: readonly string[]): void {
  if (inputs.some((input) => resolve(input) === resolve(out))) {
    throw new Error(`--${option} ${out} would replace an input`);
  }
}

export type NamedInput = Readonly<{ kind: string; path: string }>;

/**
 * What made a product: program, code, runtime, and each input's name and digest. Neither dates nor folders, so that
 * equal inputs give equal files.
 */
export function provenanceCards(inputs: readonly NamedInput[]): FitsCard[] {
  const { code, node } = runDigests();
  const cards: FitsCard[] = [
    ['CREATOR', `vesper ${version()}`], ['NODEVER', node, 'runtime'], ['CODESHA', code],
  ];
  inputs.forEach(({ kind, path }, i) => {
    const name = basename(path).replace(/[^\x20-\x7e]|'/g, '?').slice(-60);
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    cards.push([`IN${i + 1}KIND`, kind], [`IN${i + 1}NAME`, name], [`IN${i + 1}SHA`, digest]);
  });
  return cards;
}

function version(): string {
  const path = join(import.meta.dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version; // Our own file.
}

/** Settings or figures as cards, camelCase names as PREFIX_UPPER_SNAKE; what has no finite value is left out. */
export function namedCards(prefix: string, values: Readonly<Record<string, unknown>>): FitsCard[] {
  return Object.entries(values).flatMap(([name, value]): FitsCard[] => {
    const keyword = `${prefix}_${name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`;
    if (typeof value === 'boolean' || typeof value === 'string') return [[keyword, value]];
    if (typeof value === 'number') return Number.isFinite(value) ? [[keyword, value]] : [];
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return [];
    return namedCards(keyword, value as Readonly<Record<string, unknown>>); // A plain record of settings.
  });
}

/** Figures for JSON: null where there is no finite value. */
export function figuresOf(values: Readonly<Record<string, number>>): Record<string, number | null> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number.isFinite(value) ? value : null]),
  );
}

/** Lines for people: one figure a line. */
export function formatFigures(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).filter(([, value]) => Number.isFinite(value))
    .map(([name, value]) => `  ${name} ${Number.isInteger(value) ? value : Number(value.toPrecision(6))}`);
}
