/** A night whose database and cache are killed in the middle: alerts leave, the projection catches up, counts close. */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { NightAudit } from '../engine/cli/countNight.ts';
import type { NightSummary } from '../engine/cli/nightSummary.ts';
import { newDataDir, runVesper, startVesper, untilPrinted } from './support/vesper.ts';

const dataDir = newDataDir();
afterAll(() => { rmSync(dataDir, { recursive: true, force: true }); });

/** The one process of a server that was started for the data directory; its children have other words or none. */
function serverOf(program: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== program) return false;
      // Redis writes its title over its words.
      return words.includes(dataDir)
        || (program === 'redis-server' && readlinkSync(`/proc/${pid}/cwd`).includes(dataDir));
    } catch { return false; } // It has ended since.
  });
  if (pids.length !== 1) throw new Error(`${pids.length} processes of ${program} work on ${dataDir}`);
  return Number(pids[0]);
}

test('killing Postgres and Redis in mid-night delays nothing for long, loses nothing and doubles nothing', async () => {
  const args = ['night', '--visits', '2', '--cadence', '8', '--seed', '5', '--json', '--data-dir', dataDir];
  const running = startVesper(args);
  await untilPrinted(running, /visit \d+1 r: 9 detectors read/);
  process.kill(serverOf('postgres'), 'SIGKILL');
  process.kill(serverOf('redis-server'), 'SIGKILL');
  await untilPrinted(running, /visit \d+2 \w: 9 detectors read/);
  process.kill(serverOf('postgres'), 'SIGKILL');
  const { code, stdout, stderr } = await running.outcome;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/postgres\.log\); it is started again, the night goes on/);
  expect(stderr).toMatch(/redis\.log\); the night goes on without it/);
  const night = JSON.parse(stdout) as NightSummary; // The command's own document.
  expect(night.totals).toMatchObject({ visits: 2, detectors: 18, committed: 18, failed: 0 });
  expect(night.countsClose).toBe(true);
  const verified = await runVesper(['verify', '--json', '--data-dir', dataDir]);
  expect((JSON.parse(verified.stdout) as NightAudit).violations).toEqual([]);
}, 600_000);
