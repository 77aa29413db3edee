/** The bench of the APDB runs at small size, so that it does not rot. Its limits are for a quiet machine. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const BENCH = join(import.meta.dirname, '..', '..', 'bench', 'apdb.ts');
const run = (...more: string[]) => spawnSync(process.execPath, [BENCH, ...more], { encoding: 'utf8' });

test('bench/apdb fills its own store and prints its figures, and nothing else, as one document', () => {
  const { stdout, stderr, status } = run('--objects', '300', '--sources-per-object', '13', '--json');
  const result = JSON.parse(stdout) as Record<string, number>;
  expect(Object.keys(result)).toEqual(['objects', 'sources', 'preloadColdSeconds', 'preloadWarmSeconds',
    'associateSeconds', 'visibleSeconds', 'growthRatio']);
  expect([result['objects'], result['sources']]).toEqual([300, 3900]);
  for (const [name, value] of Object.entries(result)) expect(value, name).toBeGreaterThan(0);
  // 1 only with the reason.
  expect(status === 0 ? '' : stderr).toMatch(status === 0 ? /^$/ : /missed: \w+ is above/);
}, 240_000);

test('bench/cone finds the same objects as q3c, or says that q3c is missing', () => {
  const bench = join(import.meta.dirname, '..', '..', 'bench', 'cone.ts');
  const { stdout, stderr, status } = spawnSync(
    process.execPath, [bench, '--objects', '2000', '--cones', '3', '--json'], { encoding: 'utf8' });
  if (status === 2) {
    expect(stderr).toMatch(/^bench cone: [^\n]*extension "q3c" is not available\n$/);
    return;
  }
  const { compared } = JSON.parse(stdout) as { compared: { found: number; ratio: number }[] };
  expect(compared).toHaveLength(4);
  expect(compared[3].found).toBeGreaterThan(0);
}, 240_000);

test('bench/apdb refuses sizes that it cannot make, in one line', () => {
  const { stderr, status } = run('--objects', '3');
  expect([status, stderr.trim().split('\n')]).toEqual([2, [expect.stringMatching(/^bench apdb: 10 or more objects/)]]);
});
