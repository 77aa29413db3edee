/** A body whose orbit was not known when it was seen: its orbit is imported by day, and its source given to it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { NightAudit } from '../../engine/cli/countNight.ts';
import { newDataDir, runVesper } from '../support/vesper.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-bodies-')), dataDir = newDataDir();
afterAll(() => { for (const path of [folder, dataDir]) rmSync(path, { recursive: true, force: true }); });

type Source = Readonly<{
  diaSourceId: string; diaObjectId: string | null; ssObjectId: string | null; ra: number; dec: number;
  midpointMjdTai: number;
}>;

/** What a command prints as JSON; fails with its own words. */
async function answer<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runVesper([...args, '--json', '--data-dir', dataDir]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T; // The command's own document.
}

const sources = () => answer<Source[]>('apdb', 'sources', '--since', '0');

test('orbits imported after the night: the source moves to its body, and everything rebuilds the same', async () => {
  const rendered = await runVesper([
    'simulate', 'night', '--camera', 'minicam', '--detectors', '0', '--visits', '1', '--bands', 'r',
    '--sky', 'demonstration', '--effects', 'basic', '--products', '--out', folder,
  ]);
  expect(rendered.code, rendered.stderr).toBe(0);
  // Of the night's bodies only the last is known when it begins.
  const known = join(folder, 'products', 'minicam', 'sky1-seed1', 'orbits_20261001.csv'), all = join(folder, 'all.csv');
  const [header, ...lines] = readFileSync(known, 'utf8').trimEnd().split('\n');
  writeFileSync(all, [header, ...lines, ''].join('\n'));
  writeFileSync(join(folder, 'few.csv'), [header, lines[lines.length - 1], ''].join('\n'));
  const importOrbits = (file: string, into: string) => runVesper([
    'orbits', 'import', file, '--instrument', 'minicam', '--from', '20261001', '--data-dir', into,
  ]);
  expect(await importOrbits(join(folder, 'few.csv'), folder)).toMatchObject({ code: 0 });
  await answer('night', '--from', folder, '--pace', '50', '--fakes', '0', '--no-precovery');

  // A body that the truth tells of, and the source and object that it was taken for.
  const truth = readFileSync(join(folder, 'truth', 'minicam', '20261001', '2026100100001.csv'), 'utf8').split('\n')
    .map((line) => line.split(',')).filter((cells) => cells[3] === 'mainBelt');
  const [raDeg, decDeg] = [Number(truth[0][4]), Number(truth[0][5])];
  const seen = (await sources()).find(({ ra, dec }) => (
    Math.hypot((ra - raDeg) * Math.cos((decDeg * Math.PI) / 180), dec - decDeg) < 1 / 3600));
  if (!seen?.diaObjectId) throw new Error('the body was not seen, or known');
  const unknown = await runVesper([
    'apdb', 'reassign', seen.diaSourceId, '--to-body', 'D1bb30', '--reason', 'too early', '--data-dir', dataDir]);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(/^vesper: no orbit of a body D1bb30 leads within 1° of diaSource \d+\n$/m);

  expect(await importOrbits(all, dataDir)).toMatchObject({ code: 0 });
  const { stdout } = await runVesper([
    'ephemeris', all, '--field', `${raDeg},${decDeg},0.0003`, '--mjd', String(seen.midpointMjdTai),
    '--camera', 'minicam', '--json']);
  const designation = /"designation":"([^"]+)"/.exec(stdout)?.[1] ?? '';
  const reassign = ['apdb', 'reassign', seen.diaSourceId, '--to-body', designation, '--reason', 'known now'];
  const tried = await answer<{ written: boolean }>(...reassign, '--dry-run');
  expect(tried.written).toBe(false);
  const done = await answer<{
    written: boolean; toSsObjectId: string; closedDiaObjectIds: string[];
    ssSources: { designation: string; ephOffsetArcsec: number }[];
  }>(...reassign);
  // Its only source gone, the object is closed. The orbit is the one that it was drawn by: 1″ is a mistaken body.
  expect(done).toMatchObject({ written: true, closedDiaObjectIds: [seen.diaObjectId], ssSources: [{ designation }] });
  expect(done.ssSources[0].ephOffsetArcsec).toBeLessThan(1);
  const after = (await sources()).find(({ diaSourceId }) => diaSourceId === seen.diaSourceId);
  expect(after).toMatchObject({ diaObjectId: null, ssObjectId: done.toSsObjectId });
  const closed = await runVesper(['apdb', 'object', seen.diaObjectId, '--data-dir', dataDir]);
  expect(closed).toMatchObject({ code: 2, stdout: '' });
  const body = await answer<{ designation: string; sources: { diaSourceId: string }[] }>(
    'bodies', 'list', '--object', designation);
  expect(body).toMatchObject({ designation, sources: [{ diaSourceId: seen.diaSourceId }] });
  const again = await runVesper([...reassign, '--data-dir', dataDir]);
  expect(again).toMatchObject({ code: 2, stdout: '' });
  expect(again.stderr).toMatch(/^vesper: diaSource \d+ is of solar-system object \d+ already\n$/m);

  const rebuilt = await answer<{ equal: boolean; tables: unknown[] }>('apdb', 'rebuild');
  expect(rebuilt.tables.length).toBeGreaterThan(5);
  expect(rebuilt.equal).toBe(true);
  expect((await answer<NightAudit>('verify')).violations).toEqual([]);
  expect(await answer('replay', 'last')).toMatchObject({ rowsEqual: true, packetsEqual: true });
}, 240_000);
