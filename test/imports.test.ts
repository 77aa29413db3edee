/** The import rules of the layout hold, and the tool that keeps them is awake. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, expect, test } from 'vitest';

type Cruise = {
  summary: { violations: { rule: { name: string }; from: string; to: string }[]; totalCruised: number };
};

const FOLDERS = ['schemas', 'simulator', 'engine', 'apdb', 'brokers', 'bench', 'test'];
const planted: string[] = [];
afterAll(() => { for (const folder of planted) rmSync(folder, { recursive: true, force: true }); });

function cruise(folders: readonly string[]): Cruise['summary'] {
  const arguments_ = [
    'node_modules/dependency-cruiser/bin/dependency-cruise.mjs', '--config', '.dependency-cruiser.mjs',
    '--output-type', 'json', ...folders,
  ];
  const json = execFileSync(process.execPath, arguments_, { encoding: 'utf8', maxBuffer: 256 * 1024 ** 2 });
  return (JSON.parse(json) as Cruise).summary; // The tool's own format.
}

function plant(folder: string, code: string): string {
  const made = mkdtempSync(`${folder}/planted-`);
  planted.push(made);
  writeFileSync(`${made}/planted.ts`, code);
  return basename(made);
}

test('no module imports what its layer may not', () => {
  const summary = cruise(FOLDERS);
  expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
  // A tool that cannot read the language sees next to nothing and finds no fault: fewer modules than this is such a
  // case.
  expect(summary.totalCruised).toBeGreaterThan(100);
}, 120_000);

test('a planted import of another stage, and one of the engine by the simulator, are found', () => {
  const stage = plant(
    'engine/stages', `import { associate } from '../associate/associate.ts';\nexport const planted = associate;\n`,
  );
  const simulator = plant(
    'simulator', `import { StageError } from '../../engine/errors.ts';\nexport const planted = StageError;\n`,
  );
  const rules = cruise([`engine/stages/${stage}`, `simulator/${simulator}`]).violations.map(({ rule }) => rule.name);
  expect(rules).toContain('stages-are-pure');
  expect(rules).toContain('simulator-imports-schemas');
}, 120_000);
