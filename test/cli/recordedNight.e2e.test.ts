/** A night that was rendered to disk runs through the engine: told from its folder, and followed as it is published. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NightSummary } from '../../engine/cli/nightSummary.ts';
import { readRecordedNight } from '../../engine/cli/recordedNight.ts';
import type { ReplayResult } from '../../engine/stream/replayNight.ts';
import { newDataDir, runVesper, startVesper, untilPrinted } from '../support/vesper.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-recorded-')), dataDirs = [newDataDir(), newDataDir()];
const RENDER = [
  'simulate', 'night', '--camera', 'minicam', '--detectors', '0', '--visits', '1', '--bands', 'r',
  '--sky', 'demonstration', '--effects', 'basic', '--products', '--out', folder,
];
beforeAll(async () => {
  const { code, stderr } = await runVesper(RENDER);
  expect(code, stderr).toBe(0);
}, 120_000);
afterAll(() => { for (const path of [folder, ...dataDirs]) rmSync(path, { recursive: true, force: true }); });

const json = <T>(stdout: string): T => JSON.parse(stdout) as T; // The command's own document.

test('told from its folder a night finds its changes and replays to equal bytes; told again it is refused', async () => {
  const args = ['night', '--from', folder, '--pace', '50', '--json', '--data-dir', dataDirs[0]];
  const { code, stdout, stderr } = await runVesper(args);
  expect(code, stderr).toBe(0);
  const night = json<NightSummary>(stdout);
  expect(night).toMatchObject({ countsClose: true, totals: { visits: 1, detectors: 1, committed: 1 } });
  expect(night.totals.alertsPublished).toBeGreaterThan(0);
  expect(night.truth.injected).toBeGreaterThan(0);

  const replayed = await runVesper(['replay', 'last', '--json', '--data-dir', dataDirs[0]]);
  expect(json<ReplayResult>(replayed.stdout)).toMatchObject({ rowsEqual: true, packetsEqual: true, commits: 1 });

  const again = await runVesper(args);
  expect(again.code).toBe(2);
  expect(again.stderr).toMatch(/vesper: night 20261001 of minicam is sealed in [^\n]*\n$/);
}, 240_000);

test('a night that somebody publishes is followed: its raws are taken from where DetectorRead says', async () => {
  const following = startVesper(['night', '--follow', '--products', folder, '--json', '--data-dir', dataDirs[1]]);
  await untilPrinted(following, /waiting for a night of minicam/);
  const publishing = await runVesper([...RENDER, '--publish', '--pace', '50', '--data-dir', dataDirs[1]]);
  expect(publishing.stderr).toMatch(/told (\d+) of \1 events/);
  const { code, stdout, stderr } = await following.outcome;
  expect(code, stderr).toBe(0);
  expect(json<NightSummary>(stdout)).toMatchObject({ countsClose: true, totals: { visits: 1, committed: 1 } });
}, 240_000);

test('a folder without a night, or with a damaged one, is refused in one line', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'vesper-recorded-'));
  try {
    expect(() => readRecordedNight(empty)).toThrow(/holds no recording, or one that was not finished$/);
    writeFileSync(join(empty, 'recording.json'), '{}');
    expect(() => readRecordedNight(empty)).toThrow(/is not the recording of a night: it has no events.jsonl$/);
    writeFileSync(join(empty, 'events.jsonl'), '{"mjdTai": 1, "id": "x", "event": {"type": "NightOpened"}}\n');
    expect(() => readRecordedNight(empty)).toThrow(/events.jsonl line 1: malformed event: [^\n]*$/);
  } finally {
    rmSync(empty, { recursive: true });
  }
});
