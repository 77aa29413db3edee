import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the bench of real stamps rates changes as real and sparks as artefacts, or says that there are none', () => {
  const bench = join(import.meta.dirname, '..', '..', 'bench', 'ztfStamps.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench, '--json'], { encoding: 'utf8' });
  expect(status).toBe(0);
  if (stdout === '') {
    expect(stderr).toBe('skipped: there are no packets of ZTF\n');
    return;
  }
  const { figures } = JSON.parse(stdout) as { figures: Record<string, { min: number; p99: number }> };
  // The model's threshold: all packets were published as real by ZTF's own scores.
  expect(figures['reliability'].min).toBeGreaterThan(0.5);
  expect(figures['reliability of a spark'].p99).toBeLessThan(0.5);
});
