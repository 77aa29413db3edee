import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openArchive, readPacket } from '../../brokers/archive/archive.ts';
import { INSTRUMENT, NIGHT, samplePacket } from '../brokers/sampleAlerts.ts';
import { newDataDir, runVesper } from '../support/vesper.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = newDataDir();
  mkdirSync(join(dataDir, 'nats'));
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  await archive.append(Array.from({ length: 20 }, (_, i) => readPacket({ packet: samplePacket(i), sequence: i + 1 })));
  await archive.close();
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

const vesper = (...words: readonly string[]) => runVesper([...words, '--data-dir', dataDir]);

test('a filter is created, refused, edited, activated, explained by its label and listed', async () => {
  const region = join(dataDir, 'region.json');
  writeFileSync(region, JSON.stringify({ kind: 'cone', ra: 150, dec: -2.5, radiusArcsec: 3600 }));
  const created = await vesper('filter', 'create', 'mine', '--user', 'ana', '--expression', 'diaSource.snr > 1.0',
    '--region', region, '--json');
  expect(created).toMatchObject({ code: 0 });
  const refused = await vesper('filter', 'activate', 'mine', '--user', 'ana');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/ana\.mine@1 is refused: it passes 90\.0 %/);
  expect(await vesper('filter', 'edit', 'mine', '--user', 'ana', '--expression', 'diaSource.snr > 15.0'))
    .toMatchObject({ code: 0 });
  const { code, stdout } = await vesper('filter', 'activate', 'mine', '--user', 'ana', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ active: 2, trial: { matched: 4, evaluated: 20 } });
  expect((await vesper('filter', 'test', 'ana.mine@1')).stdout).toMatch(/ana\.mine@1 on 20 alerts .*: 18 match/);
  const { stdout: listed } = await vesper('filter', 'status');
  expect(listed).toMatch(/ana\.mine +2 +@2 +20\.0 % of 20/);
  const wrong = await vesper('filter', 'edit', 'mine', '--user', 'ana', '--expression', 'diaSource.nope > 1.0');
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  const digest = join(dataDir, 'digest.jsonl');
  expect(await vesper('filter', 'deliver', 'ana.other', '--digest', digest))
    .toMatchObject({ code: 2, stderr: expect.stringContaining('there is no filter ana.other') as string });
  expect(existsSync(digest)).toBe(false);
}, 60_000);
