/** The benches of calibration run at their smallest size, and one detector is as good as asked for. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

function run(bench: string, ...args: string[]): unknown {
  const path = join(import.meta.dirname, '..', '..', 'bench', bench);
  return JSON.parse(execFileSync(process.execPath, [path, ...args, '--json'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
  }));
}

test('bench/calibrate times every step of a detector', () => {
  // The bench's own document.
  const { figures, checksum, size } = run('calibrate.ts', '--camera', 'minicam', '--detector', '4', '--runs', '1') as BenchResult;
  for (const step of ['isr', 'calibrate: stars', 'calibrate: psf', 'calibrate: astrometry', 'extract, whole']) {
    expect(figures[`${step}, ms`].median).toBeGreaterThan(0);
  }
  expect(size['sources']).toBeGreaterThan(100);
  expect(checksum).toMatch(/^[0-9a-f]{16}$/);
}, 120_000);

test('a detector comes out with the PSF, the places and the fluxes of the truth', () => {
  const [quality] = run('calibrateQuality.ts', '--camera', 'minicam', '--detectors', '4') as Record<string, number>[];
  // What was asked for: sizes to 0.5 % (the worst place of a detector of 60 stars to twice that), ellipticities to
  // 0.005, wings to 1e-3 of the peak, places to 10 mas, the zero point to 5 mmag beside its statistical error.
  expect(Math.abs(quality['sizeResidualMean'])).toBeLessThan(0.005);
  expect(quality['sizeResidualWorst']).toBeLessThan(0.01);
  expect(quality['ellipticityRms']).toBeLessThan(0.005);
  expect(quality['wingWorst']).toBeLessThan(1e-3);
  expect(quality['wcsErrorRmsMas']).toBeLessThan(10);
  expect(Math.abs(quality['zeroPointMmag'])).toBeLessThan(5 + 3 * quality['zeroPointErrMmag']);
}, 120_000);
