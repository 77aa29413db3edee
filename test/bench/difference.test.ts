import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { counts, imageFile, scratchFolder } from '../batch/difference/scene.ts';
import { pairStars, pairWcs } from '../support/pairScene.ts';

test('the bench of the difference measures the command by step beside one convolution', () => {
  const folder = scratchFolder(), side = 256, stars = pairStars(9, side, 60, 3000, 60_000);
  imageFile(join(folder, 'sci.fits'), counts(side, side, stars, 2, 1), pairWcs(side), 2);
  imageFile(join(folder, 'tmpl.fits'), counts(side, side, stars, 1.7, 2), pairWcs(side), 2);
  const bench = join(import.meta.dirname, '..', '..', 'bench', 'difference.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench, folder, '--runs', '1', '--json'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { figures } = JSON.parse(stdout) as { figures: Record<string, { min: number }> };
  expect(Object.keys(figures)).toEqual(expect.arrayContaining([
    'one convolution, ms', 'matchAndSubtract, ms', 'total, ms', 'command over convolution',
  ]));
  expect(figures['command over convolution'].min).toBeGreaterThan(1);
});
