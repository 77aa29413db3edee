import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the bench of streaks finds bright ones whole and masks nothing where there is none', () => {
  const bench = join(import.meta.dirname, '..', '..', 'bench', 'streaks.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench, '--side', '512', '--fields', '2', '--json'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { figures } = JSON.parse(stdout) as { figures: Record<string, { min: number; p99: number }> };
  expect(figures['no streak: share of pixels masked'].p99).toBe(0);
  expect(figures['score 6, width 5 px: share of its length masked'].min).toBeGreaterThan(0.98);
});
