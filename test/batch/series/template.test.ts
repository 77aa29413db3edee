import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seriesConfig } from '../../../engine/batch/series/config.ts';
import { readFrame } from '../../../engine/batch/series/frame.ts';
import { findFrameStars, frameWcs, registerFrame } from '../../../engine/batch/series/registration.ts';
import { subtractTemplate, psfOnFrame } from '../../../engine/batch/series/subtract.ts';
import { chooseTemplateFrames, combineFrames, templatePsf } from '../../../engine/batch/series/template.ts';
import { allocateMaskedImage, asProduct } from '../../../engine/image/maskedImage.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import { evaluatePsf, type PsfModel } from '../../../engine/image/psf.ts';
import type { Wcs } from '../../../engine/image/wcs.ts';
import { forcedFlux } from '../../../engine/stages/forced/forced.ts';
import { fieldStars, placeOn, writeFrame, type FrameLook } from './seriesField.ts';

const SIDE = 320, SCALE = 1 / 3600, NONE = { gain: null, readNoise: null, saturation: null, pixelScale: null };
const WCS: Wcs = { crval: [10, -30], crpix: [(SIDE - 1) / 2, (SIDE - 1) / 2], cd: [-SCALE, 0, 0, SCALE], sip: null };
let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-template-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('chooseTemplateFrames leaves blurred and noisy frames out, deep ones first', () => {
  const frame = (fwhmPx: number, skySigmaAdu: number, fluxRatio: number) => ({ fwhmPx, skySigmaAdu, fluxRatio });
  const frames = [frame(4, 20, 1), frame(4.2, 30, 2), frame(8, 20, 1), frame(4.1, 90, 1), frame(4.3, 20, 1)];
  expect(chooseTemplateFrames(frames)).toEqual([1, 0, 4]);
});

test('chooseTemplateFrames takes three frames even when only one is sharp', () => {
  const frames = [9, 3, 8, 7].map((fwhmPx) => ({ fwhmPx, skySigmaAdu: 20, fluxRatio: 1 }));
  expect(chooseTemplateFrames(frames)).toEqual([1, 3, 2]);
});

test('combineFrames leaves a cosmic ray out, and keeps a star that was brighter once', () => {
  const inputs = Array.from({ length: 5 }, (_, i) => {
    const planes = allocateMaskedImage(64, 64);
    planes.image.fill(100);
    planes.variance.fill(25);
    if (i === 2) planes.image[20 * 64 + 20] += 5000;
    for (let k = 0; i === 3 && k < 81; k++) {
      const x = (k % 9) - 4, y = Math.floor(k / 9) - 4;
      planes.image[(40 + y) * 64 + 40 + x] += 900 * Math.exp(-(x * x + y * y) / 16);
    }
    return { planes, wcs: WCS, weight: 1 };
  });
  const { image, variance } = combineFrames(inputs, WCS, 64, 64);
  expect(image[20 * 64 + 20]).toBeCloseTo(100, 3); // All frames lie in place: the taps are a delta function.
  expect(image[40 * 64 + 40]).toBeCloseTo(100 + 900 / 5, 2);
  expect(variance[30 * 64 + 30]).toBeCloseTo(25 / 5, 3);
  expect(variance[20 * 64 + 20]).toBeCloseTo(25 / 4, 3);
});

test('combineFrames says where no frame has data', () => {
  const planes = allocateMaskedImage(64, 64);
  planes.variance.fill(1);
  const shifted = { ...WCS, crpix: [WCS.crpix[0] + 10, WCS.crpix[1]] as const };
  const { image, mask } = combineFrames([{ planes, wcs: shifted, weight: 1 }], WCS, 64, 64);
  expect(mask[30 * 64 + 63] & maskBits('NO_DATA')).not.toBe(0);
  expect(image[30 * 64 + 63]).toBeNaN();
  expect(mask[30 * 64 + 30]).toBe(0);
});

test('combineFrames marks what is saturated in one frame of three, not what is in none', () => {
  const inputs = [0, 1, 2].map((i) => {
    const planes = allocateMaskedImage(64, 64);
    planes.image.fill(100);
    planes.variance.fill(25);
    if (i === 1) planes.mask[30 * 64 + 30] = maskBits('SAT');
    return { planes, wcs: WCS, weight: 1 };
  });
  const { image, mask } = combineFrames(inputs, WCS, 64, 64);
  expect(mask[30 * 64 + 30] & maskBits('SAT')).not.toBe(0);
  expect(image[30 * 64 + 30]).toBeCloseTo(100, 3);
  expect(mask[40 * 64 + 40]).toBe(0);
});

test('psfOnFrame gives at a frame’s pixel the PSF of the reference there', () => {
  const n = 25, coefficients = Float32Array.from({ length: 6 * n }, (_, j) => (j < n ? 1 : 0.1) + ((j * 7) % 5) / 50);
  const psf: PsfModel = { size: 5, width: 200, height: 100, order: 2, coefficients };
  const toReference = {
    a: 1.001, b: 0.004, c: 23, d: -0.004, e: 0.999, f: -17,
  }, own = psfOnFrame(psf, toReference, 220, 130);
  const here = new Float32Array(n), there = new Float32Array(n);
  for (const [x, y] of [[0, 0], [150, 40], [219, 129]]) {
    evaluatePsf(own, x, y, here);
    evaluatePsf(psf, 1.001 * x + 0.004 * y + 23, -0.004 * x + 0.999 * y - 17, there);
    for (let j = 0; j < n; j++) expect(here[j]).toBeCloseTo(there[j], 5); // Coefficients are float32.
  }
});

test('a variable’s flux comes out in ADU of the reference, whatever the frame’s depth and seeing', () => {
  const stars = fieldStars(SIDE, 700, 21), place = { x: 150.3, y: 171.6 }, amplitude = 40_000;
  const quiet: FrameLook[] = [4, 4.2, 4.1, 4.3].map(
    (fwhmPx, i) => ({ dx: 3 * i, dy: -2 * i, fwhmPx, depth: 1 + 0.2 * i, skyAdu: 600, seed: 10 + i })
  );
  const bright: FrameLook[] = [
    {
      dx: -7.4, dy: 11.2, fwhmPx: 4.4, depth: 0.6, skyAdu: 500, seed: 30,
    }, { dx: 14.9, dy: 6.1, fwhmPx: 6.5, depth: 2.1, skyAdu: 1500, seed: 31 },
  ];
  const read = (look: FrameLook, flux: number) => {
    const path = join(folder, `${look.seed}.fits`);
    writeFrame(path, look, SIDE, flux === 0 ? stars : [...stars, { ...place, flux }], 56507, 100);
    const { planes } = readFrame(path, NONE), found = findFrameStars({ ...planes, image: planes.image.slice() });
    return { look, planes, found };
  };
  const quietFrames = quiet.map((look) => read(look, 0)), reference = quietFrames[0].found;
  const prepare = ({ planes, found }: ReturnType<typeof read>) => {
    const { toReference, fluxRatio } = registerFrame(found, reference, SIDE, SIDE);
    for (let j = 0; j < planes.image.length; j++) {
      planes.image[j] = (planes.image[j] - found.skyAdu) / fluxRatio;
      planes.variance[j] /= fluxRatio ** 2;
    }
    return { planes, toReference, wcs: frameWcs(WCS, toReference) };
  };
  const template = combineFrames(quietFrames.map((frame) => ({ ...prepare(frame), weight: 1 })), WCS, SIDE, SIDE);
  const { psf } = templatePsf(template);
  const again = prepare(read(quiet[0], 0));
  const { scale } = subtractTemplate(again.planes, WCS, template, WCS, psf, again.toReference);
  for (let j = 0; j < template.image.length; j++) { template.image[j] *= scale; template.variance[j] *= scale * scale; }
  for (const look of bright) {
    const { planes, toReference, wcs } = prepare(read(look, amplitude));
    const { difference, differencePsf } = subtractTemplate(planes, wcs, template, WCS, psf, toReference);
    const at = placeOn(look, SIDE, place.x, place.y);
    const { flux, fluxErr } = forcedFlux(
      asProduct('differenceImage', difference), differencePsf, at.x, at.y, seriesConfig.forced,
    );
    // Kernel sum and PSF of a crowded field: 3 % of the flux, beside the noise. An exposure that was ignored would be
    // off by 40 % or more.
    expect(Math.abs((flux ?? 0) - amplitude)).toBeLessThan(0.03 * amplitude + 4 * (fluxErr ?? 0));
    expect(fluxErr).toBeLessThan(0.05 * amplitude);
  }
});
