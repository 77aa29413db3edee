/** A night whose database runs out of disk in the middle of a visit: alerts leave, and the tables catch up later. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { NightAudit } from '../engine/cli/countNight.ts';
import type { NightSummary } from '../engine/cli/nightSummary.ts';
import { newDataDir, runVesper, startVesper, untilPrinted } from './support/vesper.ts';

const dataDir = newDataDir(), tables = join(dataDir, 'postgres');
afterAll(() => { rmSync(dataDir, { recursive: true, force: true }); });

/** Runs a command with a small file system of its own for the tables; nobody else sees that mount. */
const MOUNT = [
  'sh', '-c', 'mkdir -p "$1" && mount -t tmpfs -o size=160m,mode=755 tmpfs "$1" && shift && exec "$@"', '--',
];
/** As root, and as a user of a kernel that gives every user namespaces. */
const WAYS = [['unshare', '-m'], ['unshare', '-m', '--map-current-user', '--keep-caps']];
const way = WAYS.find((words) => (
  spawnSync(words[0], [...words.slice(1), ...MOUNT, tables, 'true'], { stdio: 'ignore' }).status === 0));

/** Leaves no room on the file system that holds a file. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const bytes of [1 << 20, 4096, 1]) {
      const block = Buffer.alloc(bytes);
      try { for (;;) writeSync(file, block); } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

test.skipIf(way === undefined)('a full disk delays no alert, loses nothing, and is told in a line', async () => {
  const args = [
    'night', '--visits', '1', '--seed', '7', '--fakes', '0', '--no-precovery', '--json', '--data-dir', dataDir,
  ];
  const running = startVesper(args, [...way ?? [], ...MOUNT, tables]);
  // The mount is seen through the process that has it.
  const filler = `/proc/${running.child.pid}/root${tables}/filler`;
  await untilPrinted(running, /visit \d+1 r: 9 detectors read/);
  fill(filler);
  await untilPrinted(running, /visit \d+1: 9\/9 detectors, \d+ alerts/);
  await untilPrinted(running, /alerts go on without it|postgres.*; it is started again, the night goes on/);
  rmSync(filler);
  const { code, stdout, stderr } = await running.outcome;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/^[^\n]*No space left on device/m);
  expect(stderr).toMatch(/the APDB is back; its projection catches up/);
  const night = JSON.parse(stdout) as NightSummary; // The command's own document.
  expect(night.totals).toMatchObject({ visits: 1, detectors: 9, committed: 9, failed: 0 });
  expect(night).toMatchObject({ countsClose: true, withinBudgetFraction: 1 });
  // The small file system went with its process: from the log alone the tables come back.
  const rebuilt = await runVesper(['apdb', 'rebuild', '--data-dir', dataDir]);
  expect(rebuilt.code, rebuilt.stderr).toBe(0);
  const verified = await runVesper(['verify', '--json', '--data-dir', dataDir]);
  expect((JSON.parse(verified.stdout) as NightAudit).violations).toEqual([]);
}, 600_000);

test.runIf(way === undefined)('a night with a full disk: no file system can be mounted here', (context) => {
  context.skip('unshare(1) can neither mount as root nor in a namespace of the user');
});
