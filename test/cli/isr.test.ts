/** `vesper isr` and `vesper calibrate`, as a person uses them: one raw file in, one product out. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readFits, requireNumber, stringCard, writeFits } from '../../engine/image/fits.ts';
import { readImageProduct } from '../../engine/image/imageProduct.ts';
import { pixelToSky } from '../../engine/image/wcs.ts';
import { detectorOf, loadCamera } from '../../schemas/camera.ts';
import { encodeCalibration, makeBias, makeFlat } from '../../simulator/calibrations.ts';
import { runVesper, type Outcome } from '../support/vesper.ts';

const hasAstropy = spawnSync('/usr/bin/python3', ['-c', 'import astropy']).status === 0;
const camera = loadCamera('minicam'), detector = detectorOf(camera, 4);

// Rendering an exposure and its calibrations takes seconds, and processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let folder = '', raw = '', calibrations = '', references = '', postIsr = '', visit = '', bias: Float32Array;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vesper-isr-'));
  const { code, stderr } = await runVesper([
    'simulate', 'exposure', '--camera', 'minicam', '--detectors', '4', '--sky', 'demonstration', '--effects', 'basic',
    '--references', '--start', '20260915', '--out', at('night'), '--threads', '1',
  ]);
  expect(code, stderr).toBe(0);
  const find = (pattern: RegExp): string => {
    const found = readdirSync(at('night'), { recursive: true, encoding: 'utf8' }).find((name) => pattern.test(name));
    return join(at('night'), found ?? 'missing');
  };
  [raw, references] = [find(/\.fits$/), find(/references.*\.csv$/)];
  calibrations = at('calibrations');
  mkdirSync(join(calibrations, 'deep'), { recursive: true });
  bias = makeBias(1, detector);
  writeFileSync(join(calibrations, 'b.fits'), encodeCalibration('bias', detector, bias));
  writeFileSync(join(calibrations, 'deep', 'f.fits'), encodeCalibration('flat', detector, makeFlat(1, camera, detector, bias)));
  writeFileSync(join(calibrations, 'notes.fits'), 'not a FITS file');
  [postIsr, visit] = [at('postisr.fits'), at('visit.fits')];
  await succeed(['isr', raw, '--calibrations', calibrations, '--out', postIsr]);
  await succeed(['calibrate', postIsr, '--references', references, '--out', visit]);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function succeed(args: readonly string[]): Promise<Outcome> {
  const outcome = await runVesper(args);
  expect(outcome.code, outcome.stderr).toBe(0);
  return outcome;
}

/** One line on stderr, exit 2, nothing on stdout, no output and nothing half-written. */
async function refuse(args: readonly string[], line: RegExp): Promise<void> {
  const out = at('refused.fits'), { code, stdout, stderr } = await runVesper([...args, '--out', out, '--json']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^vesper: [^\n]+\n$/);
  expect(stderr).toMatch(line);
  expect(readdirSync(folder).filter((name) => name.startsWith('refused'))).toEqual([]);
}

describe('vesper isr', () => {
  test('writes electrons with a nominal WCS, mask, variance, digests of its inputs, and no date', () => {
    const product = readImageProduct(postIsr), { planes, unit, header } = product;
    expect(unit).toBe('electron');
    expect([planes.width, planes.height]).toEqual([detector.width, detector.height]);
    const sky = Float32Array.from(planes.image).filter(Number.isFinite).sort(), level = sky[sky.length >> 1];
    const noise = Float32Array.from(planes.variance).filter(Number.isFinite).sort();
    // Shot noise of the sky and about 5.1² of read noise: the usual pixel's variance.
    expect(noise[noise.length >> 1] / (level + 26)).toBeCloseTo(1, 1);
    const text = (keyword: string) => stringCard(header, keyword);
    expect([text('IN1KIND'), text('IN2KIND'), text('IN3KIND')]).toEqual(['raw', 'bias', 'flat']);
    expect(text('IN2NAME')).toBe('b.fits');
    expect(text('IN1SHA')).toMatch(/^[0-9a-f]{64}$/);
    expect(text('CREATOR')).toMatch(/^vesper \d/);
    expect(header.filter(([keyword]) => keyword.startsWith('DATE'))).toEqual([]);
    expect(requireNumber(header, 'ISR_OVERSCAN_SMOOTHING_ROWS', postIsr)).toBeGreaterThan(0);
  });

  test('gives the same bytes again, from another place, and tells figures and times', async () => {
    const copy = at('elsewhere.fits'), again = at('again.fits');
    copyFileSync(raw, copy);
    const { stdout } = await succeed(['isr', copy, '--calibrations', calibrations, '--out', again, '--json']);
    const one = readFits(again), other = readFits(postIsr);
    for (const [i, hdu] of one.hdus.entries()) {
      expect(Buffer.compare(hdu.bytes, other.hdus[i].bytes)).toBe(0);
      // Only the name of the raw differs.
      expect(hdu.header.filter(([name]) => name !== 'IN1NAME')).toEqual(other.hdus[i].header.filter(([name]) => name !== 'IN1NAME'));
    }
    const document = JSON.parse(stdout) as {
      figures: Record<string, number>; amps: object[]; steps: { step: string; ms: number }[]; degraded: string[];
    };
    expect(document.figures['skyElectrons']).toBeGreaterThan(0);
    expect(document.amps).toHaveLength(detector.amps.length);
    expect(document.steps.map(({ step }) => step)).toEqual([
      'find', 'read', 'findCalibrations', 'readCalibrations', 'isr.overscan', 'isr.sampledRows', 'isr.sky',
      'isr.assemble', 'isr.masks', 'isr.ampSteps',
      'isr.cosmicRays', 'isr.interpolate', 'write',
    ]);
    // The camera has no crosstalk on file, and no dark or electronics lie there.
    expect(document.degraded).toEqual(['dark', 'electronics', 'crosstalk']);
    expect(stringCard(one.hdus[0].header, 'DEGRADED')).toBe('dark,electronics,crosstalk');
  });

  test('refuses calibrations that are missing, of another detector, of another size, or ambiguous', async () => {
    await refuse(['isr', raw, '--calibrations', at('nowhere')], /nowhere: no such directory/);
    mkdirSync(at('other'));
    const stranger = detectorOf(camera, 5);
    writeFileSync(at('other/b.fits'), encodeCalibration('bias', stranger, new Float32Array(stranger.width * stranger.height)));
    await refuse(['isr', raw, '--calibrations', at('other')], /no bias of detector S11 \(4\)/);
    mkdirSync(at('small'));
    for (const kind of ['bias', 'flat']) {
      writeFits(at(`small/${kind}.fits`), [
        { data: null, cards: [['DETECTOR', 4], ['OBSTYPE', kind]] },
        { name: 'IMAGE', data: new Float32Array(100), width: 10, height: 10 },
      ]);
    }
    await refuse(['isr', raw, '--calibrations', at('small')], /10 × 10 pixels, expected 1024 × 1024/);
    copyFileSync(join(calibrations, 'b.fits'), at('small/second.fits'));
    await refuse(['isr', raw, '--calibrations', at('small')], /2 files are a bias of detector S11 \(4\): bias\.fits, second\.fits/);
  });

  test('refuses a raw that is missing, cut off, without an amp, blank, or no raw at all', async () => {
    const bytes = readFileSync(raw), file = readFits(raw);
    await refuse(['isr', at('nothing.fits'), '--calibrations', calibrations], /nothing\.fits: no such file/);
    writeFileSync(at('cut.fits'), bytes.subarray(0, 0.4 * bytes.length));
    await refuse(['isr', at('cut.fits'), '--calibrations', calibrations], /cut\.fits: truncated/);
    // Primary header, then HDUs of one size: without the last, an amp is missing.
    const [lastAmp] = file.hdus.slice(-1), hduBytes = 2880 + Math.ceil(lastAmp.bytes.length / 2880) * 2880;
    writeFileSync(at('three.fits'), bytes.subarray(0, bytes.length - hduBytes));
    await refuse(['isr', at('three.fits'), '--calibrations', calibrations], /three\.fits: .*C11/);
    const blank = Buffer.from(bytes);
    for (const hdu of file.hdus.slice(1)) blank.fill(0, hdu.bytes.byteOffset, hdu.bytes.byteOffset + hdu.bytes.length);
    writeFileSync(at('blank.fits'), blank);
    await refuse(['isr', at('blank.fits'), '--calibrations', calibrations], /blank\.fits: .*FRAME_CONSTANT/);
    await refuse(['isr', join(calibrations, 'b.fits'), '--calibrations', calibrations], /b\.fits: header has no string INSTRUME/);
  });

  test('never replaces an input', async () => {
    const before = readFileSync(raw);
    const { code, stderr } = await runVesper(['isr', raw, '--calibrations', calibrations, '--out', raw]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/would replace an input/) });
    expect(readFileSync(raw).equals(before)).toBe(true);
  });
});

describe('vesper calibrate', () => {
  test('writes nJy with WCS and PSF that come back as they were, good to the limits of a visit', () => {
    const { unit, psf, wcs, header } = readImageProduct(visit);
    expect(unit).toBe('nJy');
    expect(wcs).not.toBeNull();
    expect(psf?.coefficients.length).toBe((psf?.size ?? 0) ** 2 * ((psf?.order ?? 0) + 1) * ((psf?.order ?? 0) + 2) / 2);
    const sum = psf?.coefficients.subarray(0, psf.size ** 2).reduce((total, value) => total + value, 0);
    expect(sum).toBeGreaterThan(0.8);
    // LSST's limit of a visit's astrometry.
    expect(requireNumber(header, 'QA_WCS_RMS_MAS', visit)).toBeLessThan(50);
    expect(requireNumber(header, 'QA_WCS_STANDARD_COUNT', visit)).toBeGreaterThanOrEqual(5);
  });

  test.skipIf(!hasAstropy)('its files open in astropy, which finds the same sky (skipped without astropy)', () => {
    const script = 'import sys, json, warnings; from astropy.io import fits; from astropy.wcs import WCS; '
      + 'h = fits.open(sys.argv[1]); h.verify("exception"); w = WCS(h["IMAGE"].header); '
      + 'print(json.dumps([[x.name for x in h], h["MASK"].header["MP_SAT"], str(h["MASK"].data.dtype), '
      + '[float(v) for v in w.all_pix2world(100, 900, 0)]]))';
    for (const [path, names] of [
      [postIsr, ['PRIMARY', 'IMAGE', 'MASK', 'VARIANCE']], [visit, ['PRIMARY', 'IMAGE', 'MASK', 'VARIANCE', 'PSF']],
    ] as const) {
      const [found, bit, type, [ra, dec]] = JSON.parse(
        execFileSync('/usr/bin/python3', ['-c', script, path], { encoding: 'utf8' }),
      ) as [string[], number, string, [number, number]];
      expect([found, bit, type]).toEqual([names, 1, 'uint16']);
      const { wcs } = readImageProduct(path), sky = wcs === null ? null : pixelToSky(wcs, 100, 900);
      // Doubles through decimal cards: a microarcsecond.
      expect(sky?.raDeg).toBeCloseTo(ra, 9);
      expect(sky?.decDeg).toBeCloseTo(dec, 9);
    }
  });

  test('its image serves detect, with the PSF of the file', async () => {
    const { stdout } = await succeed(['detect', visit, '--matched', '--json', '--catalog', at('c.csv')]);
    const document = JSON.parse(stdout) as { unit: string; figures: Record<string, number>; steps: { step: string }[] };
    expect(document.unit).toBe('nJy');
    expect(document.steps.map(({ step }) => step)).toEqual(['read', 'stars', 'detect', 'measure', 'write']);
    expect(document.figures['sources']).toBeGreaterThan(requireNumber(readImageProduct(visit).header, 'QA_STAR_COUNT', visit) / 2);
  });

  test('refuses another field, a catalogue without columns or file, an image without stars, and a calibrated one', async () => {
    const [header, ...lines] = readFileSync(references, 'utf8').trimEnd().split('\n');
    const moved = lines.map((line) => line.split(',')).map(([id, ra, dec, ...rest]) => [id, Number(ra) + 3, dec, ...rest].join(','));
    writeFileSync(at('moved.csv'), [header, ...moved].join('\n'));
    await refuse(['calibrate', postIsr, '--references', at('moved.csv')], /postisr\.fits: 0 standards .*WCS_STARS_TOO_FEW/);
    writeFileSync(at('columns.csv'), 'a,b\n1,2\n');
    await refuse(['calibrate', postIsr, '--references', at('columns.csv')], /columns\.csv: has no column ra/);
    await refuse(['calibrate', postIsr, '--references', at('none.csv')], /none\.csv: .*no such file|none\.csv/);
    await refuse(['calibrate', visit, '--references', references], /visit\.fits: is calibrated already/);
    await refuse(['calibrate', raw, '--references', references], /has no image extension IMAGE/);
    const empty = readFits(postIsr), length = detector.width * detector.height;
    const image = empty.hdus.find(({ name }) => name === 'IMAGE');
    const pick = (names: readonly string[]) => [...empty.hdus[0].header, ...(image?.header ?? [])].filter(([name]) => names.includes(name));
    const noise = Float32Array.from({ length }, (_, i) => 500 + 20 * Math.sin(i * i)), size = { width: detector.width, height: detector.height };
    writeFits(at('starless.fits'), [
      { data: null, cards: pick(['BAND', 'EXPTIME']) },
      { name: 'IMAGE', data: noise, ...size, cards: pick(['BUNIT', 'CTYPE1', 'CTYPE2', 'CRVAL1', 'CRVAL2', 'CRPIX1', 'CRPIX2', 'CD1_1', 'CD1_2', 'CD2_1', 'CD2_2']) },
      { name: 'MASK', data: new Uint16Array(length), ...size }, { name: 'VARIANCE', data: new Float32Array(length).fill(200), ...size },
    ]);
    await refuse(['calibrate', at('starless.fits'), '--references', references], /starless\.fits: too few stars/);
    expect(existsSync(at('refused.fits'))).toBe(false);
  });
});
