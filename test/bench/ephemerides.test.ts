/** The bench of the ephemerides runs at a small size, so that it does not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const benchOf = (name: string) => join(import.meta.dirname, '..', '..', 'bench', name);

function runBench(name: string, orbits: number): BenchResult {
  return JSON.parse(execFileSync(process.execPath, [benchOf(name), '--orbits', String(orbits), '--json'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
  })) as BenchResult; // The bench's own document.
}

test('bench/chebyshev finds the conics of midnight and polynomials of the night at the same places', () => {
  const { figures } = runBench('chebyshev.ts', 400);
  // The conics' promise: 0.001 arcsec in the main belt, and ten times that where a body passes near.
  expect(figures['conicErrorMas'].median).toBeLessThan(1);
  expect(figures['conicErrorMaxMas'].min).toBeLessThan(10);
  expect(figures['table6ErrorMas'].median).toBeLessThan(1);
}, 60_000);

test('bench/ephemerides prints what a night and a query cost, and the same answer each time', () => {
  const run = () => runBench('ephemerides.ts', 3000);
  const { size, figures, checksum } = run();
  expect(size).toMatchObject({ orbits: 3000, lost: 0 });
  expect(figures['nightSeconds'].min).toBeGreaterThan(0);
  expect(figures['querySeconds'].median).toBeGreaterThan(0);
  expect(figures['bodiesFound'].p99).toBeGreaterThan(0);
  expect(run().checksum).toBe(checksum);
}, 60_000);
