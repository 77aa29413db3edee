/** A second process waits beside the night; the first is killed: no gap, no double. */
import { rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { NightAudit } from '../engine/cli/countNight.ts';
import type { NightSummary } from '../engine/cli/nightSummary.ts';
import { newDataDir, runVesper, startVesper, untilPrinted } from './support/vesper.ts';

const dataDir = newDataDir();
afterAll(() => { rmSync(dataDir, { recursive: true, force: true }); });

test('a stand-by takes the night over from a process that is killed, and another has nothing to do', async () => {
  const args = ['night', '--visits', '1', '--seed', '6', '--json', '--data-dir', dataDir];
  const first = startVesper(args);
  await untilPrinted(first, /visit \d+1 r: 9 detectors read/);
  const standBy = startVesper([...args, '--standby']);
  await untilPrinted(standBy, /stand-by: data directory .* is in use/);
  await untilPrinted(standBy, /stand-by: reads night 20261001 of minicam along/);
  first.child.kill('SIGKILL');
  const { code, stdout, stderr } = await standBy.outcome;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/night 20261001 of minicam goes on/);
  expect(stderr).toMatch(/stand-by: at work \d+\.\d+ s after its turn came, \d+ entries and \d+ objects in memory/);
  const night = JSON.parse(stdout) as NightSummary; // The command's own document.
  expect(night.totals).toMatchObject({ visits: 1, detectors: 9, committed: 9, failed: 0 });
  const verified = await runVesper(['verify', '--json', '--data-dir', dataDir]);
  expect((JSON.parse(verified.stdout) as NightAudit).violations).toEqual([]);
  const idle = await runVesper([...args, '--standby']);
  expect(idle.code, idle.stderr).toBe(0);
  expect(idle.stderr).toMatch(/stand-by: no night is left open, there is nothing to take over/);
}, 600_000);
