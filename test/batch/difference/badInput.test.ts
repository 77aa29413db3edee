import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runDifference } from '../../../engine/cli/difference.ts';
import { differencePair, type PairDifference } from '../../../engine/batch/difference/differencePair.ts';
import type { ImageRequest } from '../../../engine/batch/difference/inputs.ts';
import { writePairProducts } from '../../../engine/batch/difference/products.ts';
import { StepClock } from '../../../engine/batch/difference/stepClock.ts';
import { allocateMaskedImage } from '../../../engine/image/maskedImage.ts';
import { pairStars, pairWcs } from '../../support/pairScene.ts';
import { counts, imageFile, scratchFolder } from './scene.ts';

const SIDE = 256, GAIN = 2, folder = scratchFolder();
const stars = pairStars(9, SIDE, 60, 3000, 60_000);
const pixels = (change: (value: number, j: number) => number, seed = 3): ReturnType<typeof counts> => {
  const planes = counts(SIDE, SIDE, stars, 1.7, seed);
  planes.image.set(planes.image.map(change));
  return planes;
};
const file = (name: string, planes: ReturnType<typeof counts>, gain: number | null = GAIN) =>
  imageFile(join(folder, name), planes, pairWcs(SIDE), GAIN, gain);
const science = file('science.fits', counts(SIDE, SIDE, stars, 2, 1));
const template = file('template.fits', counts(SIDE, SIDE, stars, 1.7, 2));
const plane = (name: string, value: number): string => {
  const planes = allocateMaskedImage(SIDE, SIDE);
  planes.image.fill(value * GAIN);
  return file(name, planes).path;
};
const subtract = (own: ImageRequest, other: ImageRequest): PairDifference =>
  differencePair({ science: own, template: other, isRegistered: false }, new StepClock(() => 0));

function refusal(own: ImageRequest, other: ImageRequest): string {
  try { subtract(own, other); } catch (error) { return (error as Error).message; } // Only Errors are thrown.
  return 'accepted';
}

describe('what cannot be subtracted is refused in one line that names the file and the number', () => {
  test.each<readonly [string, () => string, RegExp]>([
    ['a template that shows no sources', () => refusal(science, file('e.fits', counts(SIDE, SIDE, [], 2, 5))),
      /science\.fits − .*e\.fits: .*0 sources are bright in both images \((BAD_SUBTRACTION|NOT_ONE_SKY)\)$/],
    ['an image minus itself', () => refusal(science, science), /χ² a pixel is 0\.00 .*\(BAD_SUBTRACTION\)$/],
    ['a template turned negative', () => refusal(science, file('n.fits', pixels((value) => -value))),
      /n\.fits: the flux ratio is -(0\.9|1\.0)\d+, .*\(NEGATIVE_FLUX_RATIO\)$/],
    ['a template without data', () => refusal(science, file('i.fits', pixels((v, j) => (j % 50 === 0 ? Infinity : v)))),
      /i\.fits: the template covers 0\.0 % .*\(TEMPLATE_COVERAGE_TOO_SMALL\)$/],
    ['values whose squares overflow', () => refusal(file('v.fits', pixels((v, j) => (j === 77 ? -1e30 : v))), template),
      /v\.fits: a pixel is -5\.000e\+29, beyond ±1e\+16 .*\(VALUES_TOO_LARGE\)$/],
    ['half an image of one value', () => refusal(file('h.fits', pixels((v, j) => (j < SIDE * SIDE / 2 ? 500 : v))), template),
      /h\.fits: 8 of the 16 cells .*\(NO_NOISE\)$/],
    ['hardly any pixels', () => refusal(file('p.fits', pixels((v, j) => (j < 0.97 * SIDE * SIDE ? NaN : v))), template),
      /p\.fits: no part of the image shows the sky: no cell of 64 px has \d+ % .*\(NO_SKY\)$/],
    ['a variance too large', () => refusal({ ...science, variancePath: plane('v12.fits', 1e12) }, template),
      /science\.fits: the given variance of 1\.000e\+12 is 9\.\d+e\+9 times .*\(VARIANCE_ABSURD\)$/],
    ['a variance too small', () => refusal(science, { ...template, variancePath: plane('v-12.fits', 1e-12) }),
      /template\.fits: the given variance of 1\.000e-12 is 9\.\d+e-15 times .*\(VARIANCE_ABSURD\)$/],
    ['a negative variance', () => refusal(science, { ...template, variancePath: plane('v-1.fits', -1) }),
      /v-1\.fits: a variance is negative \(-1\)$/],
    ['an absurd read noise', () => refusal({ ...science, readNoise: 1e6 }, template),
      /science\.fits: a gain of 2 and read noise of 1000000 .*\(GAIN_ABSURD\)$/],
  ])('%s', (_, message, expected) => {
    const said = message();
    expect(said).toMatch(expected);
    expect(said).not.toContain('\n');
  });
});

describe('what is worth less is degraded, with the number that says so', () => {
  test('an image whose sky contradicts the header\'s gain', () => {
    const { report: { faults } } = subtract(file('g.fits', counts(SIDE, SIDE, stars, 2, 1), 1e9), template);
    expect(faults).toEqual([expect.objectContaining({ code: 'NOISE_CONTRADICTED', limit: 0.1 })]);
    expect(faults[0].value).toBeLessThan(1e-8);
    expect(faults[0].message).toMatch(/g\.fits: gain and read noise of the header give /);
  });

  test('a sliver of overlap, with few stamps', () => {
    const shifted = stars.map((star) => ({ ...star, x: star.x + 215 }));
    const sliver = imageFile(
      join(folder, 'sliver.fits'), counts(SIDE, SIDE, shifted, 1.7, 2), pairWcs(SIDE, 215, 0), GAIN,
    );
    const { report: { faults, figures } } = subtract(science, sliver);
    expect(faults).toEqual([expect.objectContaining({ code: 'STAMPS_FEW', value: figures['stampsUsed'], limit: 12 })]);
  });

  test('a good pair is not', () => {
    expect(subtract(science, template).report.faults).toEqual([]);
  });
});

describe('files', () => {
  const folderOf = (name: string): string => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  };

  test('of an earlier run that have no successor are gone, and nothing half-written stays', () => {
    const out = folderOf('out');
    writeFileSync(join(out, 'triplets.png'), 'old');
    const pair = subtract(science, template);
    expect(pair.rows).toEqual([]);
    expect(writePairProducts(out, pair).triplets).toBeNull();
    expect(readdirSync(out).sort()).toEqual(['diaSources.csv', 'difference.fits']);
  });

  test('that cannot take their place leave nothing half-written, told in one line', () => {
    const out = folderOf('taken');
    mkdirSync(join(out, 'diaSources.csv', 'kept'), { recursive: true }); // No file replaces a folder.
    expect(() => writePairProducts(out, subtract(science, template))).toThrow(/taken: cannot be written \([^\n]*\)$/);
    expect(readdirSync(out)).toEqual(['diaSources.csv']);
    expect(existsSync(join(out, 'diaSources.csv', 'kept'))).toBe(true);
  });

  test('are never written over an input', () => {
    const out = folderOf('inputs'), input = file('inputs/difference.fits', counts(SIDE, SIDE, stars, 2, 1)).path;
    expect(() => runDifference(input, template.path, {
      scienceMask: null, scienceVariance: null, templateMask: null, templateVariance: null, gain: null, readNoise: null,
      saturation: null, templateGain: null, templateReadNoise: null, templateSaturation: null, register: false,
      outDir: out, json: true,
    })).toThrow(/would replace the input .*difference\.fits$/);
    expect(readdirSync(out)).toEqual(['difference.fits']);
  });
});
