/** The acceptance test of the issue on real frames: MOA-2013-BLG-475 from the SAAO 1.0 m. */
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { SeriesObject, SeriesSummary } from '../../engine/cli/seriesSummary.ts';
import { newDataDir, runVesper } from '../support/vesper.ts';

const FRAMES = fileURLToPath(new URL('../../../shared/data/saao-mb13475', import.meta.url));
const isPresent = existsSync(FRAMES);
if (!isPresent) console.warn('skipped: ../shared/data/saao-mb13475 is absent, so no test on real frames');

test.skipIf(!isPresent)('the event of the SAAO frames is the strongest object, and fades as it did', async () => {
  const dataDir = newDataDir();
  try {
    const { code, stdout, stderr } = await runVesper(
      ['series', FRAMES, '--reference', 'AKB13475I0104.fits.gz', '--json', '--data-dir', dataDir]
    );
    expect(code, stderr).toBe(0);
    const summary = JSON.parse(stdout) as SeriesSummary, [event] = summary.objects as readonly SeriesObject[];
    expect(summary.frames).toBe(44);
    expect(summary.used).toBeGreaterThanOrEqual(40);
    expect(Math.hypot(event.x - 270.55, event.y - 219.55)).toBeLessThan(1.5);
    const points = event.lightCurve.map(({ file, flux }) => ({ number: Number(file.slice(9, 13)), flux: flux ?? NaN }));
    const fluxOf = (number: number) => points.find((point) => point.number === number)?.flux ?? NaN;
    const brightest = points.reduce((best, point) => (point.flux > best.flux ? point : best));
    expect(brightest.number).toBeGreaterThanOrEqual(91);
    expect(brightest.number).toBeLessThanOrEqual(108);
    const fading = points.filter(({ number }) => number >= 104 && number <= 160).map(({ flux }) => flux);
    for (let i = 1; i < fading.length; i++) expect(fading[i]).toBeLessThan(fading[i - 1]);
    for (const { number, flux } of points) if (number >= 140) expect(fluxOf(104) - flux).toBeGreaterThan(40_000);
    // The limits of real sky: noise, constant stars, and a curve that is smooth within its errors (2 is 4 σ of 16 points).
    expect(summary.quality.scatterWorst).toBeLessThanOrEqual(1.15);
    expect(summary.quality.strongWorst).toBeLessThan(5);
    for (const { chi2 } of summary.quality.smoothness) expect(chi2).toBeLessThan(2);
    // One star, one object.
    expect(summary.objects.filter(({ x, y }) => Math.hypot(x - event.x, y - event.y) < 3)).toHaveLength(1);
  } finally { rmSync(dataDir, { recursive: true, force: true }); }
}, 600_000);
