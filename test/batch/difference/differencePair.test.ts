import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  differencePair, type PairDifference, type PairRequest,
} from '../../../engine/batch/difference/differencePair.ts';
import { StepClock } from '../../../engine/batch/difference/stepClock.ts';
import type { ImageRequest } from '../../../engine/batch/difference/inputs.ts';
import { pairStars, pairWcs, type PairSource } from '../../support/pairScene.ts';
import { allocateMaskedImage } from '../../../engine/image/maskedImage.ts';
import { counts, imageFile, scratchFolder } from './scene.ts';

const SIDE = 320, GAIN = 2, SHIFT_X = 0.4, SHIFT_Y = -0.3;
const folder = scratchFolder();
const stars = pairStars(5, SIDE, 90, 2000, 60_000);
/** Electrons of the science image's scale; at SNR of 30 and more, apart from stars. */
const risen: PairSource = { x: 101.3, y: 160.8, flux: 6000 }, gone: PairSource = { x: 210.6, y: 95.2, flux: 6000 };
const clear = (list: readonly PairSource[]): PairSource[] =>
  list.filter((star) => [risen, gone].every((t) => Math.hypot(star.x - t.x, star.y - t.y) > 20));
const moved = (list: readonly PairSource[], angleDeg = 0, dx = SHIFT_X, dy = SHIFT_Y): PairSource[] => {
  const c = Math.cos((angleDeg * Math.PI) / 180), s = Math.sin((angleDeg * Math.PI) / 180), m = (SIDE - 1) / 2;
  return list.map(({ x, y, flux }) => ({
    x: c * (x - m) - s * (y - m) + m + dx, y: s * (x - m) + c * (y - m) + m + dy, flux,
  }));
};

function scienceFile(name: string, wcs = true): ImageRequest {
  const planes = counts(SIDE, SIDE, [...clear(stars), risen], 2.0, 1);
  return imageFile(join(folder, name), planes, wcs ? pairWcs(SIDE) : null, GAIN);
}

function run(science: ImageRequest, template: ImageRequest, isRegistered = false): PairDifference {
  return differencePair({ science, template, isRegistered }, new StepClock(() => 0));
}

function refusal(request: PairRequest): string {
  try { differencePair(request, new StepClock(() => 0)); } catch (error) {
    return (error as Error).message; // Only Errors are thrown.
  }
  return 'accepted';
}

const nearest = (pair: PairDifference, { x, y }: PairSource) =>
  pair.rows.find((row) => Math.hypot(row.x - x, row.y - y) < 1);

describe('two images with WCSs', () => {
  let pair: PairDifference;
  beforeAll(() => {
    const template = counts(SIDE, SIDE, moved([...clear(stars), gone]), 1.6, 2);
    const wcs = pairWcs(SIDE, SHIFT_X, SHIFT_Y);
    pair = run(scienceFile('a.fits'), imageFile(join(folder, 'b.fits'), template, wcs, GAIN));
  }, 120_000);

  test('what rose and what faded are found with their flux in the science file\'s unit', () => {
    for (const [source, sign] of [[risen, 1], [gone, -1]] as const) {
      const row = nearest(pair, source);
      expect(row).toBeDefined();
      expect(Math.abs((row?.psfFlux ?? NaN) - (sign * source.flux) / GAIN)).toBeLessThan(5 * (row?.psfFluxErr ?? NaN));
    }
  });

  test('nothing else is found: noise gives 0.04 false detections on this many pixels', () => {
    expect(pair.rows.length).toBe(2);
  });

  test('noise is what the variance says, to what the pixels can tell', () => {
    const { image, variance, mask } = pair.difference, squares: number[] = [];
    for (let j = 0; j < image.length; j++) if (mask[j] === 0) squares.push(image[j] ** 2 / variance[j]);
    const chi2 = squares.reduce((sum, value) => sum + value, 0) / squares.length;
    // χ² a pixel of n pixels scatters by √(2/n) = 0.5 %; bright stars' cores and interpolation add up to 3 %.
    expect(Math.abs(chi2 - 1)).toBeLessThan(0.05);
  });

  test('gain and read noise of the headers are used', () => {
    expect(pair.report.noise.science).toMatchObject({ source: 'gain and read noise', gain: GAIN, notes: [] });
    expect(pair.report.alignment.method).toBe('wcs');
  });
});

describe('images without WCSs', () => {
  test.each([0, 35])('are aligned by their stars when one is turned by %s degrees', (angle) => {
    const template = counts(SIDE, SIDE, moved([...clear(stars), gone], angle, 6.2, -4.7), 1.6, 3);
    const pair = run(scienceFile('c.fits', false), imageFile(join(folder, 'd.fits'), template, null, GAIN), true);
    expect(nearest(pair, risen)?.isNegative).toBe(false);
    expect(nearest(pair, gone)?.isNegative).toBe(true);
    expect(pair.skyWcs).toBeNull();
  }, 120_000);

  test('are refused without --register, which the message names', () => {
    const science = scienceFile('e.fits', false);
    const message = refusal({ science, template: science, isRegistered: false });
    expect(message).toMatch(/e\.fits: has no WCS; --register.*NO_WCS/);
  });
});

describe('input that cannot be used is refused in one line with its numbers', () => {
  const template = () => imageFile(
    join(folder, 'f.fits'), counts(SIDE, SIDE, moved(clear(stars)), 1.6, 2), pairWcs(SIDE, SHIFT_X, SHIFT_Y), GAIN,
  );
  const blank = (name: string, level: number, seed: number | null) => {
    const planes = seed === null ? allocateMaskedImage(SIDE, SIDE) : counts(SIDE, SIDE, [], 2, seed);
    if (seed === null) planes.image.fill(level);
    return imageFile(join(folder, name), planes, pairWcs(SIDE), GAIN);
  };
  const refused = (science: ImageRequest, other: ImageRequest, isRegistered = false): string => {
    const message = refusal({ science, template: other, isRegistered });
    expect(message).not.toContain('\n');
    return message;
  };

  test('no overlap', () => {
    const planes = counts(SIDE, SIDE, moved(clear(stars)), 1.6, 2);
    const far = imageFile(join(folder, 'far.fits'), planes, pairWcs(SIDE, 5000, 0), GAIN);
    expect(refused(scienceFile('g.fits'), far)).toMatch(/covers 0\.0 %.*10 % required \(NO_OVERLAP\)/);
  });

  test('pixels of another size', () => {
    const wide = pairWcs(SIDE), planes = counts(SIDE, SIDE, moved(clear(stars)), 1.6, 2);
    const cd = wide.cd.map((value) => 5 * value) as unknown as typeof wide.cd; // As many numbers as before.
    const coarse = imageFile(join(folder, 'coarse.fits'), planes, { ...wide, cd }, GAIN);
    expect(refused(scienceFile('h.fits'), coarse)).toMatch(/0\.2000 arcsec.*1\.000.*SCALES_DIFFER/);
  });

  test('a file that is not there', () => {
    const missing = { ...template(), path: join(folder, 'none.fits') };
    expect(refused(scienceFile('i.fits'), missing)).toMatch(/none\.fits: no such file/);
  });

  test('no stars', () => {
    expect(refused(blank('empty.fits', 0, 4), template())).toMatch(/empty\.fits: .*NO_STARS/);
  });

  test('a constant image', () => {
    const flat = blank('flat.fits', 7, null);
    expect(refused(flat, template())).toMatch(/flat\.fits: every pixel is 3\.5 \(CONSTANT_IMAGE\)/);
    expect(refused(scienceFile('j.fits'), blank('flat2.fits', 7, null))).toMatch(/flat2\.fits.*CONSTANT_IMAGE/);
  });

  test('a mask of everything, or of another size', () => {
    const all = allocateMaskedImage(SIDE, SIDE), small = allocateMaskedImage(SIDE - 1, SIDE);
    all.image.fill(1);
    const maskPath = imageFile(join(folder, 'mask.fits'), all, null).path;
    expect(refused({ ...scienceFile('k.fits'), maskPath }, template())).toMatch(/0 of 102400 pixels.*ALL_MASKED/);
    const smallPath = imageFile(join(folder, 'small.fits'), small, null).path;
    expect(refused({ ...scienceFile('k.fits'), maskPath: smallPath }, template()))
      .toMatch(/319 × 320 pixels, expected 320 × 320/);
  });

  test('a gain that the sky\'s noise contradicts', () => {
    expect(refused({ ...scienceFile('l.fits'), gain: 1e6 }, template())).toMatch(/a gain of 1000000 .*GAIN_ABSURD/);
    expect(refused({ ...scienceFile('l.fits'), gain: 1e-4 }, template())).toMatch(/a gain of 0\.0001 .*GAIN_ABSURD/);
  });

  test('fields that have no star in common', () => {
    const other = counts(SIDE, SIDE, pairStars(77, SIDE, 90, 2000, 60_000), 1.6, 2);
    const elsewhere = imageFile(join(folder, 'elsewhere.fits'), other, null, GAIN);
    expect(refused(scienceFile('m.fits', false), elsewhere, true)).toMatch(/elsewhere\.fits onto.*NOT_REGISTERED/);
  });
});

test.each([1000, null])('with a gain of %s in the header the sky\'s own noise is used and reported', (gain) => {
  const science = counts(SIDE, SIDE, [...clear(stars), risen], 2.0, 1);
  const template = counts(SIDE, SIDE, moved(clear(stars)), 1.6, 2);
  const pair = run(
    imageFile(join(folder, 'n.fits'), science, pairWcs(SIDE), GAIN, gain),
    imageFile(join(folder, 'o.fits'), template, pairWcs(SIDE, SHIFT_X, SHIFT_Y), GAIN),
  );
  const { source, gain: told, notes } = pair.report.noise.science;
  expect(source).toBe('sky scatter and gain');
  // The sky's level over its variance, (400 / 2) / ((400 + 36) / 4), and 5 % for the sky's estimate from 16 cells.
  expect(Math.abs((told ?? NaN) / 1.835 - 1)).toBeLessThan(0.05);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain('n.fits');
  expect(nearest(pair, risen)?.isNegative).toBe(false);
}, 120_000);
