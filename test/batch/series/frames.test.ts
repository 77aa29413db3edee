import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FrameRejected, readFrame } from '../../../engine/batch/series/frame.ts';
import { findFrameStars, frameWcs, registerFrame } from '../../../engine/batch/series/registration.ts';
import { applyAffine } from '../../../engine/image/affine.ts';
import { writeFits } from '../../../engine/image/fits.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import { pixelToSky, separationArcsec, type Wcs } from '../../../engine/image/wcs.ts';
import type { SeriesFrame } from '../../../engine/batch/series/manifest.ts';
import { visitPlanes } from '../../../engine/batch/series/measureFrame.ts';
import { fieldStars, GAIN, placeOn, READ_NOISE, renderFrame, writeFrame, type FrameLook } from './seriesField.ts';

const SIDE = 256, NONE = { gain: null, readNoise: null, saturation: null, pixelScale: null };
const STARS = fieldStars(SIDE, 500, 5);
const REFERENCE: FrameLook = { dx: 0, dy: 0, fwhmPx: 4, depth: 1, skyAdu: 600, seed: 1 };
let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-frames-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function frameOf(name: string, look: FrameLook) {
  const path = join(folder, name);
  writeFrame(path, look, SIDE, STARS, 56507.8, 200);
  return readFrame(path, NONE);
}

const starsOf = (name: string, look: FrameLook) => findFrameStars(frameOf(name, look).planes);

test.each([
  ['shifted by tens of pixels', { dx: 31.4, dy: -47.7, fwhmPx: 5, depth: 1.4, skyAdu: 900 }],
  ['turned by a quarter of a degree', { dx: -8.2, dy: 3.6, rotationDeg: 0.25, fwhmPx: 4.5, depth: 0.8, skyAdu: 500 }],
  ['of twice the seeing', { dx: 12.3, dy: 9.9, fwhmPx: 8, depth: 2, skyAdu: 2000 }],
])('a frame %s is registered to a tenth of a pixel', (_what, difference) => {
  const reference = starsOf('reference.fits', REFERENCE), look = { ...difference, seed: 2 };
  const registration = registerFrame(starsOf('frame.fits', look), reference, SIDE, SIDE);
  for (const [x, y] of [[60, 60], [128, 128], [200, 90], [70, 190]]) {
    const from = placeOn(look, SIDE, x, y), back = applyAffine(registration.toReference, from.x, from.y);
    // More than 40 stars of centroid error ≤ 0.2 FWHM among neighbours: 0.2 × 8 / √40 = 0.25 px at worst, 0.1 px in
    // good seeing.
    expect(Math.hypot(back.x - x, back.y - y)).toBeLessThan(look.fwhmPx > 6 ? 0.25 : 0.13);
  }
  // Blends count differently in different seeing: the kernel makes this exact later.
  expect(registration.fluxRatio / look.depth).toBeGreaterThan(0.8);
  expect(registration.fluxRatio / look.depth).toBeLessThan(1.25);
});

test('a frame taken upside down is registered', () => {
  const upright = frameOf('upright.fits', { dx: 9.3, dy: -4.1, fwhmPx: 4.4, depth: 1, skyAdu: 600, seed: 8 }).planes;
  const turned = {
    ...upright, image: upright.image.slice().reverse(), variance: upright.variance.slice().reverse(),
    mask: upright.mask.slice().reverse(),
  };
  const { toReference } = registerFrame(findFrameStars(turned), starsOf('reference.fits', REFERENCE), SIDE, SIDE);
  const there = placeOn({ ...REFERENCE, dx: 9.3, dy: -4.1 }, SIDE, 80, 170);
  const back = applyAffine(toReference, SIDE - 1 - there.x, SIDE - 1 - there.y);
  expect(Math.hypot(back.x - 80, back.y - 170)).toBeLessThan(0.13); // As above.
});

test('time and gain in the primary header hold for an image in an extension', () => {
  const data = Float32Array.from({ length: 64 * 64 }, (_, j) => 100 + (j % 7)), path = join(folder, 'extension.fits');
  writeFits(
    path, [{ data: null, cards: [['MJD-OBS', 56507], ['GAIN', 1.7]] }, { name: 'SCI', data, width: 64, height: 64 }],
  );
  expect(readFrame(path, NONE).file.header).toMatchObject({ gainElectronsPerAdu: 1.7, midMjd: 56507 });
});

test('a border filled with zeros has no data', () => {
  const data = Float32Array.from(
    { length: 64 * 64 }, (_, j) => (j < 128 ? 0 : 500 + (j % 7)),
  ), path = join(folder, 'border.fits');
  writeFits(path, [{ data, width: 64, height: 64, cards: [['MJD-OBS', 56507]] }]);
  const { mask } = readFrame(path, NONE).planes, noData = maskBits('NO_DATA');
  expect(mask.filter((bits) => (bits & noData) !== 0)).toHaveLength(128);
});

test('a ray on a frame is marked and filled from beside it, and no star is', () => {
  const path = join(folder, 'ray.fits'), data = renderFrame(REFERENCE, SIDE, STARS), noise = Math.sqrt(600 / GAIN);
  const ray = [[100, 90], [101, 90], [102, 91]].map(([x, y]) => y * SIDE + x), before = ray.map((j) => data[j]);
  for (const j of ray) data[j] += 4000;
  writeFits(path, [{ data, width: SIDE, height: SIDE, cards: [['MJD-OBS', 56507], ['GAIN', GAIN], ['RDNOISE', READ_NOISE]] }]);
  const { checksum } = readFrame(path, NONE).file;
  const frame = { path, checksum, fluxRatio: 1, skyAdu: 0, fwhmPx: REFERENCE.fwhmPx } as SeriesFrame; // All that is read.
  const { image, mask } = visitPlanes(frame, { overrides: NONE }, 1), marked = maskBits('CR');
  ray.forEach((j, n) => {
    expect(mask[j] & marked).toBe(marked);
    // Filled along the row: noise, and what the light of stars changes over a few pixels.
    expect(Math.abs(image[j] - before[n])).toBeLessThan(10 * noise);
  });
  expect(mask.filter((bits) => (bits & marked) !== 0).length).toBeLessThanOrEqual(ray.length + 2);
});

test('a star has one place on the sky whichever frame shows it', () => {
  const scale = 2 / 3600, wcs: Wcs = {
    crval: [273.87, -25.285], crpix: [127.5, 127.5], cd: [-scale, 0, 0, scale], sip: null,
  };
  const toReference = { a: 0.9999, b: 0.004, c: 31.2, d: -0.004, e: 1.0001, f: -12.7 };
  const own = frameWcs(wcs, toReference);
  for (const [x, y] of [[0, 0], [255, 10], [100, 240]]) {
    const there = applyAffine(toReference, x, y), a = pixelToSky(own, x, y), b = pixelToSky(wcs, there.x, there.y);
    // Both are linear in front of one projection: equal to rounding, 1e-13 of a degree times a few operations.
    expect(separationArcsec(a.raDeg, a.decDeg, b.raDeg, b.decDeg)).toBeLessThan(1e-7);
  }
});

test('a frame of another field cannot be registered', () => {
  const path = join(folder, 'elsewhere.fits');
  writeFrame(path, { ...REFERENCE, seed: 3 }, SIDE, fieldStars(SIDE, 500, 99), 56507.8, 200);
  const reference = starsOf('reference.fits', REFERENCE), elsewhere = findFrameStars(readFrame(path, NONE).planes);
  expect(() => registerFrame(elsewhere, reference, SIDE, SIDE)).toThrow(/cannot be registered/);
});

test('saturated pixels and their neighbours are masked, the others are not', () => {
  const data = Float32Array.from({ length: 64 * 64 }, (_, j) => 100 + (j % 7));
  data[20 * 64 + 30] = 60000;
  const path = join(folder, 'saturated.fits');
  writeFits(path, [{ data, width: 64, height: 64, cards: [['MJD-OBS', 56507], ['SATURATE', 50000]] }]);
  const { mask } = readFrame(path, NONE).planes, sat = maskBits('SAT');
  expect(mask.filter((bits) => (bits & sat) !== 0)).toHaveLength(9);
  expect(mask[20 * 64 + 30] & sat).not.toBe(0);
});

test('variance is photon noise of the counts plus read noise, in ADU', () => {
  const { planes } = frameOf('variance.fits', REFERENCE), j = 100 * SIDE + 100;
  // (I g + r²) / g² with g = 2, r = 5, and 1/12 of digitisation; float32 keeps 7 digits.
  expect(planes.variance[j]).toBeCloseTo(planes.image[j] / 2 + 6.25 + 1 / 12, 2);
});

const broken: readonly (readonly [string, () => string, RegExp])[] = [
  ['that is missing', () => join(folder, 'nowhere.fits'), /^no such file$/],
  ['that is no FITS file', () => written('text.fits', Buffer.from('hello')), /^not a FITS file/],
  ['that is truncated', () => {
    writeFrame(join(folder, 'whole.fits'), REFERENCE, SIDE, [], 56507, 1);
    return written('half.fits', readFileSync(join(folder, 'whole.fits')).subarray(0, 100_000));
  }, /^truncated/],
  ['without light', () => constant('dark.fits', 700), /^no light: every pixel is 700$/],
  ['without values', () => constant('nan.fits', NaN), /have no value$/],
  ['without stars', () => {
    writeFrame(join(folder, 'sky.fits'), REFERENCE, SIDE, [], 56507, 1);
    return join(folder, 'sky.fits');
  }, /^fewer than 5 stars$/],
];

test.each(broken)('a frame %s is rejected with its reason', (_what, make, reason) => {
  const attempt = () => findFrameStars(readFrame(make(), NONE).planes);
  expect(attempt).toThrow(FrameRejected);
  expect(attempt).toThrow(reason);
});

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function constant(name: string, value: number): string {
  writeFits(
    join(folder, name),
    [{ data: new Float32Array(SIDE * SIDE).fill(value), width: SIDE, height: SIDE, cards: [['MJD-OBS', 56507]] }],
  );
  return join(folder, name);
}
