/** Runs the `vesper` command as a user would, on this Node. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '..', '..', 'engine', 'main.ts');

export type Outcome = Readonly<{ code: number | null; stdout: string; stderr: string }>;
export type Running = Readonly<{ child: ChildProcess; stderr: () => string; outcome: Promise<Outcome> }>;

/** An empty data directory that Postgres' own account may enter. */
export function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'vesper-e2e-'));
  chmodSync(dataDir, 0o755);
  return dataDir;
}

/** @param within A command that runs the one that follows its own words, in its own process. */
export function startVesper(args: readonly string[], within: readonly string[] = []): Running {
  const [program, ...words] = [...within, process.execPath, MAIN, ...args];
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output.stdout += chunk; });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { output.stderr += chunk; });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
  return { child, stderr: () => output.stderr, outcome };
}

export function runVesper(args: readonly string[]): Promise<Outcome> {
  return startVesper(args).outcome;
}

/** Resolves when stderr matches; fails with what was printed when the command ends before. */
export async function untilPrinted(running: Running, pattern: RegExp): Promise<void> {
  let hasEnded = false;
  void running.outcome.then(() => { hasEnded = true; });
  while (!pattern.test(running.stderr())) {
    if (hasEnded) throw new Error(`ended without printing ${pattern}:\n${running.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
