/** The bench of the filters runs at a small size, so that it does not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const BENCH = join(import.meta.dirname, '..', '..', 'bench', 'filters.ts');

test('bench/filters prints evaluations and decodes a second, and the same answer in every run', () => {
  const run = (): BenchResult => JSON.parse(execFileSync(
    process.execPath, [BENCH, '--alerts', '60', '--filters', '12', '--runs', '2', '--json'], { encoding: 'utf8' },
  )) as BenchResult; // The bench's own document.
  const { size, figures, checksum } = run();
  expect(size).toMatchObject({ alerts: 60, filters: 12 });
  for (const name of ['allCpuSeconds', 'evaluationsPerSecond', 'projectedDecodesPerSecond']) {
    expect(figures[name].min, name).toBeGreaterThan(0);
  }
  expect(run().checksum).toBe(checksum);
});
