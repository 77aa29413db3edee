import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// Each command is a process of its own, slow to start on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const MAIN = new URL('../../engine/main.ts', import.meta.url).pathname;
let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-commands-')); });
afterAll(() => rmSync(folder, { recursive: true }));

function vesper(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
}

test('camera describes itself in JSON and draws its focal plane', () => {
  const svg = join(folder, 'focal-plane.svg'), { status, stdout } = vesper('camera', 'LSSTCam', '--svg', svg, '--json');
  const about = JSON.parse(stdout) as { detectors: unknown; detectorList: unknown[] };
  expect(
    [status, about.detectors, about.detectorList.length],
  ).toEqual([0, { science: 189, guide: 8, wavefront: 8 }, 205]);
  expect(readFileSync(svg, 'utf8').startsWith('<svg ')).toBe(true);
});

test('an exposure is rendered, and its truth is printed whole as CSV and as JSON', () => {
  const out = join(folder, 'exposure');
  const done = vesper('simulate', 'exposure', '--detectors', 'S11', '--out', out, '--json', '--threads', '1');
  const { sources, frames } = JSON.parse(done.stdout) as { sources: number; frames: number };
  expect([done.status, frames]).toEqual([0, 1]);
  const csv = vesper('truth', out, '--detector', '4', '--what', 'sources').stdout.trim().split('\n');
  expect(csv.length).toBe(sources + 1);
  expect(
    (JSON.parse(vesper('truth', out, '--detector', 'S11', '--what', 'sources', '--json').stdout) as unknown[]).length,
  ).toBe(sources);
  const [artifacts] = JSON.parse(
    vesper('truth', out, '--detector', 'S11', '--what', 'artifacts', '--json').stdout,
  ) as [{ effects: string[] }];
  expect(artifacts.effects).toContain('crosstalk');
  expect(vesper('truth', out, '--detector', 'S12').stderr).toBe(
    'vesper: the recording has no detector S12; it has 4\n',
  );
});

test.each([
  ['simulate exposure --pointing 9,80', 'the telescope reaches down to 20°'],
  ['simulate exposure --pointing 400,0', '--pointing must be right ascension'],
  ['simulate exposure --band q', 'camera minicam has no band "q"'],
  ['simulate exposure --camera hubble', 'unknown camera "hubble"'],
  ['simulate night --start 20160101', 'outside the ephemeris'],
  ['simulate night --detectors R99', 'camera minicam has no detector "R99"'],
  ['simulate calibrations --flat-levels x', '--flat-levels must be electrons'],
])('`vesper %s` is refused in one line with exit 2, and leaves nothing', (line, reason) => {
  const out = join(folder, 'refused'), { status, stdout, stderr } = vesper(...line.split(' '), '--out', out);
  expect([status, stdout, stderr.split('\n').length]).toEqual([2, '', 2]);
  expect(stderr).toContain(reason);
  expect(existsSync(out)).toBe(false);
});
