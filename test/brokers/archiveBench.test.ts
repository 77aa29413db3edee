import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the archive bench runs at small size, finds every alert, and gives the same answer twice', () => {
  const run = (): { checksum: string; figures: Record<string, { samples: number }> } => JSON.parse(execFileSync(
    process.execPath,
    [join(import.meta.dirname, '../../bench/archive.ts'),
      '--alerts', '1200', '--bytes', '2000', '--fetches', '40', '--json'],
    { encoding: 'utf8' },
  ));
  const first = run();
  expect(first.figures).toMatchObject({ fetchByIdMs: { samples: 40 }, fetchByObjectMs: { samples: 40 } });
  expect(run().checksum).toBe(first.checksum);
});
