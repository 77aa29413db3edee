/** The bench of the ephemerides runs at a small size, so that it does not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const BENCH = join(import.meta.dirname, '..', '..', 'bench', 'ephemerides.ts');

test('bench/ephemerides prints what a night and a query cost, and the same answer each time', () => {
  const run = (): BenchResult => JSON.parse(execFileSync(process.execPath, [BENCH, '--orbits', '3000', '--json'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
  })) as BenchResult; // The bench's own document.
  const { size, figures, checksum } = run();
  expect(size).toMatchObject({ orbits: 3000, lost: 0 });
  expect(figures['nightSeconds'].min).toBeGreaterThan(0);
  expect(figures['querySeconds'].median).toBeGreaterThan(0);
  expect(figures['bodiesFound'].p99).toBeGreaterThan(0);
  expect(run().checksum).toBe(checksum);
}, 60_000);
