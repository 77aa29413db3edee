/** What every bench shares: statistics, the machine it ran on, and a result that can be read later. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';

/** Minimum, median and 99th percentile (nearest rank) of a figure's samples. */
export type Spread = Readonly<{ min: number; median: number; p99: number; samples: number }>;

export type BenchResult = Readonly<{
  bench: string; question: string; size: Readonly<Record<string, number>>;
  figures: Readonly<Record<string, Spread>>;
  /** Digest of the answer: the same input must give the same, whatever the speed. Null when the answer holds times. */
  checksum: string | null;
  machine: Readonly<{ cpu: string; cores: number; node: string; commit: string }>;
}>;

/** @throws Error over nothing. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('a spread of no samples');
  const sorted = [...values].sort((a, b) => a - b);
  const at = (fraction: number) => sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  return { min: sorted[0], median: at(0.5), p99: at(0.99), samples: sorted.length };
}

/**
 * Runs a function several times after warm-up and returns CPU milliseconds of this process, user and system.
 *
 * @returns Milliseconds of each run, and the answer of the last one, for the checksum.
 */
export function measureCpuMs<T>(runs: number, warmUps: number, work: () => T): { cpuMs: number[]; answer: T } {
  let answer = work();
  for (let i = 1; i < warmUps; i++) answer = work();
  const cpuMs: number[] = [];
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    answer = work();
    const { user, system } = process.cpuUsage(before);
    cpuMs.push((user + system) / 1000);
  }
  return { cpuMs, answer };
}

export function benchResult(parts: Omit<BenchResult, 'machine'>): BenchResult {
  return {
    ...parts,
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), node: process.versions.node,
      commit: commitName(),
    },
  };
}

/** Prints a result for people, or as JSON; keeps it in `results/` when asked. */
export function reportResult(result: BenchResult, options: Readonly<{ json: boolean; keep: boolean }>): void {
  if (options.keep) keepResult(result);
  if (options.json) { process.stdout.write(`${JSON.stringify(result)}\n`); return; }
  const { machine } = result;
  process.stdout.write(`${result.bench}: ${result.question}\n`);
  process.stdout.write(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}\n`);
  for (const [name, { min, median, p99, samples }] of Object.entries(result.figures)) {
    process.stdout.write(
      `  ${name.padEnd(28)} min ${min.toFixed(3)}  median ${median.toFixed(3)}  p99 ${p99.toFixed(3)}  (${samples})\n`,
    );
  }
  if (result.checksum !== null) process.stdout.write(`  checksum ${result.checksum}\n`);
}

/** Writes a result into `results/`, in place of the one before. */
export function keepResult(result: BenchResult): void {
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${result.bench}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

function commitName(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch { return 'unknown'; } // Not a checkout.
}
