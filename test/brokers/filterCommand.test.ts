import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from './sampleAlerts.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vesper-filter-'));
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  // Their SNR counts from 0 to 19.
  await archive.append(
    Array.from({ length: 20 }, (_, i) => readPacket({ packet: samplePacket(i), sequence: i + 1 })),
  );
  await archive.close();
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const vesper = (...words: readonly string[]): { status: number | null; stdout: string; stderr: string } => spawnSync(
  process.execPath, [join(import.meta.dirname, '../../engine/main.ts'), ...words, '--data-dir', dataDir],
  { encoding: 'utf8' },
);

test('filter test counts matches in the newest archive and refuses with exit 1 what passes too much', () => {
  const passed = vesper('filter', 'test', 'mine', '--expression', 'diaSource.snr > 15.0',
    '--rank', 'diaSource.snr', '--json');
  expect(passed).toMatchObject({ status: 0, stderr: '' });
  const trial = JSON.parse(passed.stdout);
  expect(trial).toMatchObject({ dayObs: NIGHT, evaluated: 20, matched: 4, share: 0.2, refusal: null });
  expect(trial.samples[0]).toMatchObject({ diaSourceId: String(sampleId(19)), rank: 19 });
  const refused = vesper('filter', 'test', 'mine', '--expression', 'diaSource.snr > 1.0', '--night', String(NIGHT));
  expect(refused.status).toBe(1);
  expect(refused.stdout).toMatch(/refused: it passes 90\.0 % of the alerts, more than the 25 % allowed\n$/);
});

test('filter explain tells each clause of a filter that ships', () => {
  const { status, stdout } = vesper('filter', 'explain', 'bright', String(sampleId(9)));
  expect(status).toBe(0);
  expect(stdout).toMatch(/does not match vesper\.bright@1\n/);
  expect(stdout).toMatch(/^false {7}diaSource\.snr > 10\.0 {4}\[diaSource\.snr = 9\]$/m);
});

test.each([
  ['there is no such filter', ['explain', 'nope', String(sampleId(1))], /there is no filter "nope"/],
  ['the expression is wrong', ['test', 'x', '--expression', 'diaSource.nope > 1.0'], /me\.x@1: column 11: .*nope/],
  ['the alert is not there', ['explain', 'bright', String(sampleId(99))], /is not in an archive/],
  ['the night is not there', ['test', 'bright', '--night', '20261119'], /night 20261119 is not in an archive/],
] as const)('when %s, one line says so and the exit is 2', (_, words, message) => {
  const { status, stdout, stderr } = vesper('filter', ...words);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^vesper: [^\n]+\n$/);
  expect(stderr).toMatch(message);
});
