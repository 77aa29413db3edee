/**
 * How long after the end of readout do alerts reach the stream? A simulated night at steady cadence in a data
 * directory of its own; latencies of all alerts from the stream's own times.
 *
 *     node bench/night.ts [--visits N] [--cadence S] [--json] [--keep]
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { NightSummary } from '../engine/cli/nightSummary.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  visits: { type: 'string', default: '6' }, cadence: { type: 'string', default: '10' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const dataDir = mkdtempSync(join(tmpdir(), 'vesper-bench-'));
try {
  const started = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, '..', 'engine', 'main.ts'),
    'night', '--visits', values.visits, '--cadence', values.cadence, '--json', '--data-dir', dataDir,
  ], { maxBuffer: 64 * 1024 ** 2 });
  const wallSeconds = (performance.now() - started) / 1000;
  const night = JSON.parse(stdout) as NightSummary; // The command's own document.
  const visits = night.visits.filter((visit) => visit.alerts > 0);
  const over = (pick: (latency: NightSummary['visits'][number]['latencySeconds']) => number | null) =>
    spreadOf(visits.map((visit) => pick(visit.latencySeconds) ?? 0));
  reportResult(benchResult({
    bench: 'night', question: 'seconds from the end of readout to the alert in the stream, over the visits of a night',
    size: {
      visits: night.totals.visits, detectors: night.totals.detectors, alerts: night.totals.alertsPublished,
      cadenceSeconds: Number(values.cadence),
    },
    figures: {
      latencyP50Seconds: over(({ p50 }) => p50), latencyP98Seconds: over(({ p98 }) => p98),
      latencyMaxSeconds: over(({ max }) => max),
      wholeCommandSeconds: spreadOf([wallSeconds]),
    },
    checksum: null,
  }), { json: values.json, keep: values.keep });
  if (!night.countsClose) process.exitCode = 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
