/** The bench of a night runs at its smallest size, so that it does not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const BENCH = join(import.meta.dirname, '..', '..', 'bench', 'night.ts');

test('bench/night prints latencies over the visits of a night, in order, and the machine it ran on', () => {
  const stdout = execFileSync(process.execPath, [BENCH, '--visits', '1', '--cadence', '5', '--json'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { size, figures, machine } = JSON.parse(stdout) as BenchResult; // The bench's own document.
  expect(size).toMatchObject({ visits: 1, detectors: 9 });
  expect(size['alerts']).toBeGreaterThan(0);
  const { latencyP50Seconds: p50, latencyMaxSeconds: max } = figures;
  expect(p50.median).toBeGreaterThan(0);
  expect(p50.median).toBeLessThanOrEqual(max.median);
  expect(machine.node).toBe(process.versions.node);
}, 240_000);
