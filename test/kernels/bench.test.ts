import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('the bench of pixel kernels runs, and finds every kernel\'s result to be its twin\'s', () => {
  const json = execFileSync(process.execPath, ['bench/kernels.ts', '--side', '150', '--runs', '1', '--json'],
    { encoding: 'utf8' });
  // The harness's own form.
  const { figures, checksum } = JSON.parse(json) as { figures: Record<string, unknown>; checksum: string };
  expect(Object.keys(figures).length).toBeGreaterThan(10);
  expect(checksum).toMatch(/^[0-9a-f]{16}$/);
});
