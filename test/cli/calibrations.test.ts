/** `vesper calibrations` from frames to what `vesper isr` takes, as a person uses them; also with Rice-compressed raws. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runVesper } from '../support/vesper.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let folder = '';
const at = (name: string): string => join(folder, name);
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-calibrations-')); });
afterAll(() => rmSync(folder, { recursive: true }));

async function succeed(args: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await runVesper(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

type Report = Readonly<{ detectors: readonly Readonly<{
  bias: { frames: number }; dark: { medianElectronsPerSecond: number }; flats: readonly { band: string; frames: number }[];
  electronics: { repulsion: { x: number; y: number }; serialCtiMedian: number; residualMax: number };
}>[] }>;

type Fringes = Readonly<{ detectors: readonly Readonly<{
  fringes: readonly { band: string; frames: number; rmsOfSky: number; path: string }[]; notes: readonly string[];
}>[] }>;

test('frames become bias, dark, flat and electronics, with which a realistic exposure is cleaned', async () => {
  const render = [
    '--camera', 'minicam', '--detectors', '4', '--effects', 'realistic', '--threads', '1', '--compression', 'rice',
  ];
  await succeed(['simulate', 'calibrations', ...render, '--biases', '4', '--darks', '2', '--dark-seconds', '60',
    '--flat-levels', '8000,20000,35000,50000', '--out', at('frames')]);
  await succeed(['simulate', 'exposure', ...render, '--references', '--out', at('night')]);
  const report = JSON.parse(await succeed(['calibrations', at('frames'), '--out', at('made'), '--json'])) as Report;
  const [{ bias, dark, electronics, flats }] = report.detectors;
  expect(readdirSync(at('made')).sort()).toEqual(
    ['bias_004.fits', 'dark_004.fits', 'electronics_004.fits', 'flat_004_r.fits'],
  );
  expect([bias.frames, flats.length, flats[0].band]).toEqual([4, 1, 'r']);
  // A median of 1,050 pixels of two 60 s darks, of 6 e each: 6/√2/60 × 1.25/√1050 = 0.003 e/s.
  expect(Math.abs(dark.medianElectronsPerSecond - 0.03)).toBeLessThan(5 * 0.003);
  // Half of the simulator's 1.25e-7 passes per squared electron. Two pairs of a million pixels at 35,000 and 50,000
  // electrons: 1/√1e6 / (4 × 50,000) = 5e-9 each.
  expect(Math.abs(electronics.repulsion.x - 6.25e-8)).toBeLessThan(5 * 5e-9);
  expect(electronics.residualMax).toBeLessThan(1e-3);
  const raw = readdirSync(at('night'), { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.fits')) ?? '';
  const isr = JSON.parse(await succeed([
    'isr', at(`night/${raw}`), '--calibrations', at('made'), '--out', at('clean.fits'), '--json',
  ])) as { degraded: string[]; figures: Record<string, number>; calibrations: Record<string, string | null> };
  // The camera's crosstalk is not on file; the frames tell nothing of it.
  expect(isr.degraded).toEqual(['crosstalk']);
  expect(isr.calibrations['electronics']).toBe(at('made/electronics_004.fits'));
  expect(isr.figures['skyElectrons']).toBeGreaterThan(100);
  // Four amps meet; a step would be an overscan or a gain gone wrong.
  expect(isr.figures['ampStepElectrons'] / isr.figures['skyElectrons']).toBeLessThan(0.02);
});

test('exposures of four places give the fringe frame of a band that has fringes, and of fewer a line that says why', async () => {
  const render = ['--camera', 'minicam', '--detectors', '4', '--band', 'y', '--threads', '1'];
  await succeed(['simulate', 'calibrations', ...render, '--biases', '3', '--darks', '0', '--flat-levels', '20000',
    '--out', at('sky/flats')]);
  const made = async (): Promise<Fringes> => JSON.parse(
    await succeed(['calibrations', at('sky'), '--out', at('skyMade'), '--json'])) as Fringes; // The command's own form.
  for (const [k, pointing] of ['9.45,-44.02', '9.5,-44.02', '9.45,-44.07', '9.5,-44.07'].entries()) {
    if (k === 3) expect((await made()).detectors[0]).toMatchObject({
      fringes: [], notes: [
        expect.stringMatching(/^no crosstalk of 3 exposures: .*, 1e-5 required$/),
        'no fringe frame in y: 3 exposures with a sky, of 3 places, 4 places required',
      ],
    });
    await succeed(['simulate', 'exposure', ...render, '--pointing', pointing, '--out', at(`sky/${k}`)]);
  }
  const { fringes: [{ band, frames, rmsOfSky, path }], notes } = (await made()).detectors[0];
  expect([band, frames, path, notes.length]).toEqual(['y', 4, at('skyMade/fringe_004_y.fits'), 1]);
  // Amplitude 1.5 % of the sky: 1.06 % rms of a sine, of which the Gaussian takes 3 % at a period of 73 px.
  expect(Math.abs(rmsOfSky / 0.0103 - 1)).toBeLessThan(0.15);
});

test('the benches of the ISR run on them', () => {
  const raw = readdirSync(at('night'), { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.fits')) ?? '';
  const bench = (name: string, args: readonly string[]): Readonly<Record<string, Record<string, unknown>>> => {
    const script = join(import.meta.dirname, '..', '..', 'bench', `${name}.ts`);
    const { stdout } = spawnSync(process.execPath, [script, '--calibrations', at('made'), '--json', ...args]);
    return JSON.parse(stdout.toString()) as Readonly<Record<string, Record<string, unknown>>>; // Their own form.
  };
  expect(Object.keys(bench('isr', ['--raw', at(`night/${raw}`), '--runs', '1'])['figures'])).toContain('assemble, ms');
  const references = readdirSync(at('night/references'), { recursive: true, encoding: 'utf8' })
    .find((name) => name.endsWith('.csv')) ?? '';
  const images = bench('visitImages', [
    '--raw', at(`night/${raw}`), '--references', at(`night/references/${references}`), '--tasks', '1',
  ]);
  // One zero point, however many work.
  expect(images['checksum']).toMatch(/^[0-9.]+$/);
  const { figures } = bench('isrQuality', ['--camera', 'minicam', '--detector', '4', '--exposures', '1']);
  // A million pixels' mean square is good to 0.14 %; four biases add 36/4 of some 1,800 electrons² to a pixel.
  expect(Math.abs(Number(figures['varianceRatio']) - 1)).toBeLessThan(0.02);
  expect(Number(figures['repulsionLeft'])).toBeLessThan(0.3);
});

test('a folder without frames, and one with too few, are told', async () => {
  const { code, stderr } = await runVesper(['calibrations', at('made'), '--out', at('none')]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/no raw frame of a bias, dark or flat\n$/) });
  await succeed(['simulate', 'calibrations', '--camera', 'minicam', '--detectors', '4', '--threads', '1', '--biases', '2',
    '--darks', '0', '--flat-levels', '20000', '--out', at('few')]);
  expect((await runVesper(['calibrations', at('few'), '--out', at('none')])).code).toBe(1);
});
