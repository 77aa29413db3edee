import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { beforeAll, expect, test } from 'vitest';
import { imageSize, numberCard, readFits, requireHdu, stringCard } from '../../engine/image/fits.ts';
import { pairStars, pairWcs } from '../support/pairScene.ts';
import { counts, imageFile, scratchFolder } from '../batch/difference/scene.ts';

const SIDE = 256, folder = scratchFolder(), out = join(folder, 'out');
const stars = pairStars(9, SIDE, 60, 3000, 60_000), risen = { x: 128.4, y: 127.7, flux: 8000 };
const steady = stars.filter((star) => Math.hypot(star.x - risen.x, star.y - risen.y) > 20);
const main = join(import.meta.dirname, '..', '..', 'engine', 'main.ts');

const vesper = (...words: string[]) =>
  spawnSync(process.execPath, [main, 'difference', ...words], { encoding: 'utf8' });

let science = '', template = '';
beforeAll(() => {
  science = imageFile(join(folder, 's.fits'), counts(SIDE, SIDE, [...steady, risen], 2, 1), pairWcs(SIDE), 2).path;
  template = imageFile(join(folder, 't.fits'), counts(SIDE, SIDE, steady, 1.7, 2), pairWcs(SIDE), 2).path;
});

test('the command writes its files, says what it found as one JSON document, and touches no stores', () => {
  const { status, stdout, stderr } = vesper(science, template, '--out-dir', out, '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const summary = JSON.parse(stdout) as { cpuMs: Record<string, number> };
  expect(summary).toMatchObject({ unit: 'adu', sources: { count: 1, positive: 1, negative: 0, dipoles: 0 } });
  expect(summary.cpuMs['matchAndSubtract']).toBeGreaterThan(0);

  const file = readFits(join(out, 'difference.fits'));
  expect(file.hdus.map((hdu) => hdu.name))
    .toEqual(['', 'IMAGE', 'MASK', 'VARIANCE', 'SCORE', 'PSF', 'KERNEL', 'STAMPS', 'KERNELSHAPE']);
  for (const name of ['IMAGE', 'MASK', 'VARIANCE', 'SCORE']) {
    expect(imageSize(requireHdu(file, name))).toEqual({ width: SIDE, height: SIDE });
  }
  const mask = requireHdu(file, 'MASK').header;
  for (const plane of ['BAD', 'SAT', 'NO_DATA', 'EDGE', 'SAT_TEMPLATE', 'CR', 'INTRP']) {
    expect(numberCard(mask, `MP_${plane}`)).not.toBeNull();
  }
  expect(stringCard(requireHdu(file, 'IMAGE').header, 'BUNIT')).toBe('adu');

  const lines = readFileSync(join(out, 'diaSources.csv'), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  const [x, y] = lines[1].split(',').map(Number);
  expect(Math.hypot(x - risen.x, y - risen.y)).toBeLessThan(0.5);
  expect(PNG.sync.read(readFileSync(join(out, 'triplets.png'))).width).toBeGreaterThan(0);
}, 120_000);

test('bad input is told in one line on stderr with exit code 2, and nothing is written', () => {
  const nowhere = join(folder, 'nowhere');
  const { status, stdout, stderr } = vesper(science, join(folder, 'none.fits'), '--out-dir', nowhere, '--json');
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^vesper: [^\n]*none\.fits: no such file\n$/);
  expect(existsSync(nowhere)).toBe(false);
}, 120_000);

test('a degraded difference is written whole, with exit code 1 and its faults in the JSON', () => {
  const doubtful = imageFile(join(folder, 'g.fits'), counts(SIDE, SIDE, steady, 2, 3), pairWcs(SIDE), 2, 1e9).path;
  const { status, stdout, stderr } = vesper(doubtful, template, '--out-dir', join(folder, 'doubtful'), '--json');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^degraded: .*g\.fits: .*\(NOISE_CONTRADICTED\)$/m);
  expect(JSON.parse(stdout)).toMatchObject({ faults: [{ code: 'NOISE_CONTRADICTED', limit: 0.1 }] });
  expect(existsSync(join(folder, 'doubtful', 'difference.fits'))).toBe(true);
}, 120_000);
