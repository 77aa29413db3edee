/** The bench of the simulator runs at its smallest size, so that it does not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const BENCH = join(import.meta.dirname, '..', '..', 'bench', 'simulator.ts');

test('bench/simulator prints CPU and memory of a frame, and checks that two threads write what one does', () => {
  const stdout = execFileSync(process.execPath, [
    BENCH, '--camera', 'minicam', '--detectors', '0,1', '--runs', '1', '--json',
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const { size, figures, checksum } = JSON.parse(stdout) as BenchResult; // The bench's own document.
  expect(size).toMatchObject({ width: 1024, height: 1024, detectors: 2 });
  expect(size['stars']).toBeGreaterThan(0);
  for (const name of ['cpuSeconds', 'memoryGigabytesMax', 'costOfTwiceTheDetectors', 'recordedCpuSecondsEachOnTwo']) {
    expect(figures[name].min, name).toBeGreaterThan(0);
  }
  expect(checksum).toMatch(/^[0-9a-f]{16}$/);
}, 120_000);
