import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { formatCsv } from '../../engine/cli/detectCatalog.ts';
import { writeFits } from '../../engine/image/fits.ts';
import { renderField, strewnStars, type SkyField } from '../support/skyField.ts';
import { runVesper } from '../support/vesper.ts';

const DATA = join(import.meta.dirname, '..', '..', '..', 'shared', 'data');
const SAAO = join(DATA, 'saao-mb13475'), SEP = join(DATA, 'sep-image', 'image.fits');
const hasData = existsSync(SAAO) && existsSync(SEP);
const hasExtractor = spawnSync('source-extractor', ['--version']).status === 0;
const hasAstropy = spawnSync('/usr/bin/python3', ['-c', 'import astropy']).status === 0;

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let folder = '', field: SkyField, fieldPath = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vesper-detect-'));
  const stars = strewnStars(11, 150, 400, 300, 3000, 2e5, 14, 12);
  field = renderField({ seed: 12, width: 400, height: 300, fwhmPx: 3.5, sky: 400, readNoise: 5, stars });
  fieldPath = join(folder, 'field.fits');
  writeFits(fieldPath, [{ data: field.image, width: 400, height: 300, cards: [['GAIN', 1]] }]);
});
afterAll(() => rmSync(folder, { recursive: true }));

type Row = Readonly<Record<string, number>>;

function rowsOf(csv: string): Row[] {
  const [header, ...lines] = csv.trimEnd().split('\n'), names = header.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i], cell === '' ? NaN : Number(cell)])));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Pairs of rows nearer than 1.5 px. */
function pairsOf(a: readonly Row[], b: readonly Row[]): { one: Row; other: Row; distance: number }[] {
  return a.flatMap((one) => {
    const near = b.map((other) => ({ one, other, distance: Math.hypot(one['x'] - other['x'], one['y'] - other['y']) }))
      .sort((p, q) => p.distance - q.distance)[0];
    return near !== undefined && near.distance < 1.5 ? [near] : [];
  });
}

/** source-extractor's catalogue with its own defaults and the threshold asked for, pixels made 0-based. */
function extracted(image: string, threshold: number): Row[] {
  const columns = ['X_IMAGE', 'Y_IMAGE', 'FLUX_AUTO', 'FLUX_ISO'];
  writeFileSync(join(folder, 'p'), columns.join('\n'));
  writeFileSync(join(folder, 'c'), 'CONV NORM\n1 2 1\n2 4 2\n1 2 1\n');
  const options: Readonly<Record<string, string>> = {
    PARAMETERS_NAME: 'p', FILTER_NAME: 'c', FILTER: 'Y', DETECT_THRESH: String(threshold),
    ANALYSIS_THRESH: String(threshold), DETECT_MINAREA: '5', CATALOG_NAME: 'cat', CATALOG_TYPE: 'ASCII', VERBOSE_TYPE: 'QUIET',
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`-${name}`, value]);
  execFileSync('source-extractor', [image, '-c', '/dev/null', ...words], { cwd: folder, stdio: 'ignore' });
  return readFileSync(join(folder, 'cat'), 'utf8').trimEnd().split('\n').map((line) => {
    const [x, y, flux, fluxIso] = line.trim().split(/\s+/).map(Number);
    return { x: x - 1, y: y - 1, flux, fluxIso };
  });
}

test.skipIf(!hasData || !hasExtractor).each(['sep-image', 'AKB13475I0001', 'AKB13475I0104'])(
  'agrees with source-extractor on %s in number, place and flux (skipped without it or ../shared/data)', async (name) => {
    const image = join(folder, `${name}.fits`), catalog = join(folder, `${name}.csv`);
    writeFileSync(image, name === 'sep-image' ? readFileSync(SEP) : gunzipSync(readFileSync(join(SAAO, `${name}.fits.gz`))));
    const { code, stderr } = await runVesper(['detect', image, '--catalog', catalog]);
    expect(code, stderr).toBe(0);
    const ours = rowsOf(readFileSync(catalog, 'utf8')), theirs = extracted(image, 5), pairs = pairsOf(ours, theirs);
    // The limits are those that were asked for: 5 % in number, 0.1 px, 2 % in flux.
    expect(Math.abs(ours.length / theirs.length - 1)).toBeLessThanOrEqual(0.05);
    expect(pairs.length / theirs.length).toBeGreaterThanOrEqual(0.95);
    expect(median(pairs.map(({ distance }) => distance))).toBeLessThanOrEqual(0.1);
    for (const flux of ['flux', 'fluxIso']) {
      expect(Math.abs(median(pairs.map(({ one, other }) => one[flux] / other[flux])) - 1)).toBeLessThanOrEqual(0.02);
    }
  },
);

describe('vesper detect', () => {
  test('with --matched finds the stars of SNR 10 and more, places and weighs them by the PSF of the image', async () => {
    const { code, stdout, stderr } = await runVesper(['detect', fieldPath, '--matched']);
    expect(code, stderr).toBe(0);
    const rows = rowsOf(stdout), pairs = pairsOf(field.stars.map((star): Row => ({ ...star })), rows);
    // The faintest, 3000 e on a noise of 21 e a pixel over 4π 1.49² = 28 px, has an SNR of 3000 / (21 √28) = 27.
    expect(pairs).toHaveLength(field.stars.length);
    // Noise alone exceeds 5 σ 0.01 times on such an image; a bright star's wings may hold some.
    expect(rows.length - pairs.length).toBeLessThanOrEqual(3);
    const pulls = pairs.map(({ one, other }) => Math.abs(one['x'] - other['x']) / other['xErr']);
    // Median of |normal| is 0.67; the PSF's own error comes on top for the brightest.
    expect(median(pulls)).toBeLessThan(1);
    expect(Math.abs(median(pairs.map(({ one, other }) => other['flux'] / one['flux'])) - 1)).toBeLessThan(0.02);
  });

  test('prints CSV to stdout, the same as it writes, and figures with times as JSON', async () => {
    const catalog = join(folder, 'same.csv');
    const printed = await runVesper(['detect', fieldPath]);
    const written = await runVesper(['detect', fieldPath, '--catalog', catalog, '--json']);
    expect(printed.stdout).toBe(readFileSync(catalog, 'utf8'));
    expect(printed.stdout.split('\n')[0]).toMatch(/^x,y,flux,fluxErr,snr,a,b,theta,flags,/);
    const document = JSON.parse(written.stdout) as { figures: Row; steps: { step: string; ms: number }[] };
    expect(document.figures['sources']).toBe(rowsOf(printed.stdout).length);
    expect(document.steps.map(({ step }) => step)).toEqual(['read', 'extract', 'write']);
  });

  test.skipIf(!hasAstropy)('writes a FITS table that astropy reads as the CSV (skipped without astropy)', async () => {
    const table = join(folder, 'sources.fits'), csv = join(folder, 'sources.csv');
    for (const path of [table, csv]) expect((await runVesper(['detect', fieldPath, '--catalog', path])).code).toBe(0);
    const script = 'import sys, json; from astropy.io import fits; h = fits.open(sys.argv[1]); h.verify("exception"); '
      + 't = h["SOURCES"].data; print(json.dumps({n: [float(v) for v in t[n]] for n in t.names}))';
    const read = JSON.parse(execFileSync('/usr/bin/python3', ['-c', script, table], { encoding: 'utf8' })) as Record<string, number[]>;
    const rows = rowsOf(readFileSync(csv, 'utf8'));
    for (const name of Object.keys(rows[0])) {
      expect(read[name]).toHaveLength(rows.length);
      // CSV holds 4 decimals of positions and 7 digits of the rest.
      rows.forEach((row, i) => expect(Math.abs(read[name][i] - row[name])).toBeLessThanOrEqual(6e-5 + 1e-6 * Math.abs(row[name])));
    }
  });

  test.each([
    ['a file that is not there', 'nothing.fits', null, /nothing\.fits: no such file/],
    ['a text', 'text.fits', () => Buffer.from('no image'), /text\.fits: not a FITS file/],
    ['a truncated file', 'cut.fits', () => readFileSync(fieldPath).subarray(0, 20_000), /cut\.fits: truncated/],
    ['a file without an image', 'empty.fits', () => writeFits(null, [{ data: null }]), /no 2-dimensional image/],
    ['a constant image', 'flat.fits', () => constant(5), /flat\.fits: the image is constant .*IMAGE_CONSTANT/],
    ['an image of NaN', 'nan.fits', () => constant(NaN), /nan\.fits: no pixel has a value/],
  ] as const)('%s ends in one line, exit 2 and no catalogue', async (_what, name, bytes, line) => {
    const path = join(folder, name), catalog = join(folder, 'none.csv');
    if (bytes !== null) writeFileSync(path, bytes());
    const { code, stdout, stderr } = await runVesper(['detect', path, '--catalog', catalog, '--json']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^vesper: [^\n]+\n$/);
    expect(stderr).toMatch(line);
    expect(existsSync(catalog)).toBe(false);
  });

  test('too few stars for a PSF end --matched in one line, and a catalogue never replaces its image', async () => {
    const path = join(folder, 'poor.fits');
    const poor = renderField({ seed: 3, width: 200, height: 200, fwhmPx: 3.5, sky: 400, readNoise: 5, stars: [{ x: 90, y: 80, flux: 1e5 }] });
    writeFits(path, [{ data: poor.image, width: 200, height: 200 }]);
    const before = readFileSync(path);
    expect(await runVesper(['detect', path, '--matched'])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/too few stars/) });
    expect(await runVesper(['detect', path, '--catalog', path])).toMatchObject({ code: 2, stderr: expect.stringMatching(/would replace/) });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('staged') || name.includes('.part'))).toEqual([]);
  });
});

function constant(value: number): Uint8Array {
  return writeFits(null, [{ data: new Float32Array(100 * 100).fill(value), width: 100, height: 100 }]);
}

test('a catalogue without sources has its header, and what has no value is an empty cell', () => {
  expect(formatCsv(['x', 'flags'], [])).toBe('x,flags\n');
  const row = { x: 1.25, y: 2, flux: 3, fluxErr: 1, snr: 3, a: NaN, b: NaN, theta: NaN, flags: 32 };
  expect(formatCsv(['x', 'flux', 'a', 'flags'], [row])).toBe('x,flux,a,flags\n1.2500,3,,32\n');
});
