import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SeriesObject, SeriesSummary } from '../../engine/cli/seriesSummary.ts';
import { newDataDir, runVesper } from '../support/vesper.ts';
import { fieldStars, placeOn, writeFrame, type FrameLook } from '../batch/series/seriesField.ts';

/** Ids are strings in JSON. */
type Summary = Omit<SeriesSummary, 'objects'> & Readonly<{
  objects: readonly (Omit<SeriesObject, 'diaObjectId'> & { diaObjectId: string })[]
}>;

const SIDE = 256, PLACE = { x: 141.7, y: 98.2 }, PEAK = 60_000;
const STARS = fieldStars(SIDE, 500, 5);
const LOOKS: readonly FrameLook[] = Array.from({ length: 8 }, (_, i) => ({
  dx: 6 * Math.sin(i), dy: 5 * Math.cos(2 * i), fwhmPx: 4 + (i % 3) * 0.7, depth: 1 + (i % 4) * 0.3, skyAdu: 500
    + 100 * i, seed: 40 + i,
}));
/** Rises to the sixth frame, then is gone. */
const FLUXES = [0, 0, 0, 0.3 * PEAK, 0.7 * PEAK, PEAK, 0, 0];

let frames: string, dataDir: string;
beforeAll(() => {
  frames = mkdtempSync(join(tmpdir(), 'vesper-series-'));
  dataDir = newDataDir();
  LOOKS.forEach((look, i) => {
    const stars = FLUXES[i] === 0 ? STARS : [...STARS, { ...PLACE, flux: FLUXES[i] }];
    // Names run against time: the order must come from the headers.
    writeFrame(join(frames, `frame${9 - i}.fits${i % 2 ? '.gz' : ''}`), look, SIDE, stars, 59000.1 + i, 100);
  });
  writeFileSync(join(frames, 'broken.fit'), 'not a FITS file');
  writeFileSync(join(frames, 'notes.txt'), 'no frame');
  writeFrame(join(frames, 'other.fits'), LOOKS[0], 128, STARS, 59003, 100);
});
afterAll(() => { for (const folder of [frames, dataDir]) rmSync(folder, { recursive: true, force: true }); });

test('a variable star is the strongest object, in ADU of the reference; again, and in replay, the same', async () => {
  const args = ['series', frames, '--reference', 'frame9.fits', '--json', '--data-dir', dataDir];
  const first = await runVesper(args);
  expect(first.code, first.stderr).toBe(0);
  const summary = JSON.parse(first.stdout) as Summary;
  expect(summary).toMatchObject({ frames: 10, used: 8 });
  expect(summary.rejected).toEqual([
    { file: 'broken.fit', reason: 'not a FITS file (does not begin with SIMPLE)' },
    { file: 'other.fits', reason: '128 × 128 pixels, the reference has 256 × 256' },
  ]);
  expect(summary.alerts).toBeGreaterThanOrEqual(3);
  const [star] = summary.objects, at = placeOn(LOOKS[0], SIDE, PLACE.x, PLACE.y);
  // Centroids of sources of SNR > 50 and FWHM 5 px scatter by 5 / (2.35 × 50) = 0.05 px; registration adds 0.1.
  expect(Math.hypot(star.x - at.x, star.y - at.y)).toBeLessThan(0.3);
  expect(star.nDiaSources).toBeGreaterThanOrEqual(3);
  expect(star.lightCurve.map(({ file }) => file)).toEqual(
    LOOKS.map((_, i) => `frame${9 - i}.fits${i % 2 ? '.gz' : ''}`)
  );
  expect(star.lightCurve[2].mjd).toBeCloseTo(59002.1 + 50 / 86400, 8);
  const fluxes = star.lightCurve.map(({ flux }) => flux ?? NaN);
  for (const [i, flux] of fluxes.entries()) {
    // Differences are against the template; those between frames are the star's own. 4 % for scale, kernel and
    // neighbours, and noise.
    expect(
      Math.abs(flux - fluxes[0] - FLUXES[i] * LOOKS[0].depth)
    ).toBeLessThan(0.04 * PEAK + 4 * (star.lightCurve[i].fluxErr ?? NaN));
  }
  const instrument = /series-[0-9a-f]{8}/.exec(first.stderr)?.[0] ?? '';
  const second = await runVesper(args);
  expect(second.stdout).toBe(first.stdout);
  expect(second.stderr).toContain('begins afresh');
  const replay = await runVesper(['replay', 'last', '--instrument', instrument, '--json', '--data-dir', dataDir]);
  expect(JSON.parse(replay.stdout)).toMatchObject(
    { commits: 8, packets: summary.alerts, rowsEqual: true, packetsEqual: true, firstDifference: null }
  );
  const verify = await runVesper(['verify', '--instrument', instrument, '--json', '--data-dir', dataDir]);
  expect(JSON.parse(verify.stdout)).toMatchObject({ closes: true, violations: [] });
}, 300_000);

test.each([
  [
    'a directory that is not there', () => ['series', join(frames, 'nowhere')],
    /^vesper: .*nowhere: no such directory\n$/,
  ],
  [
    'a reference that is not there', () => ['series', frames, '--reference', 'none.fits'],
    /^vesper: --reference none\.fits: no such file .*\n$/,
  ],
])('%s ends the command with one line and 2', async (_what, args, line) => {
  const { code, stdout, stderr } = await runVesper([...args(), '--data-dir', dataDir]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(line);
});

test('a directory without a usable frame ends with its reason and 2', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-series-'));
  try {
    writeFileSync(join(folder, 'broken.fits'), 'not a FITS file');
    const { code, stderr } = await runVesper(['series', folder, '--data-dir', dataDir]);
    expect(code).toBe(2);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^vesper: no frame .*can be used/);
  } finally { rmSync(folder, { recursive: true, force: true }); }
}, 120_000);
