import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readElectronics, writeElectronics, type Electronics } from '../../../engine/image/electronics.ts';
import { allocateMaskedImage, type MaskedImage } from '../../../engine/image/maskedImage.ts';
import type { RawAmp } from '../../../engine/image/rawExposure.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import {
  addTalkSamples, createTalkSamples, fitCrosstalk, usableCrosstalk,
} from '../../../engine/batch/calibrations/crosstalk.ts';
import { combineFringes, countPlaces, skyResidual } from '../../../engine/batch/calibrations/fringes.ts';
import { fitLinearity } from '../../../engine/batch/calibrations/linearity.ts';
import { fitRepulsion, measureCovariances } from '../../../engine/batch/calibrations/repulsion.ts';
import { addToStack, createStack, finishStack } from '../../../engine/batch/calibrations/stack.ts';
import { measureTransfers } from '../../../engine/batch/calibrations/transfers.ts';
import { detectorOf, loadCamera } from '../../../schemas/camera.ts';
import { twoAmpDetector } from '../../support/skyRaw.ts';
import { skyRandom } from '../../support/skyRandom.ts';

let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-production-')); });
afterAll(() => rmSync(folder, { recursive: true }));

describe('measurements of flats', () => {
  test('fitLinearity finds the polynomial of an amp that bends', () => {
    const upTo = (max: number) => fc.double({ min: -max, max, noNaN: true });
    fc.assert(fc.property(upTo(2e-7), upTo(3e-12),
      (c2, c3) => {
        // What reads as S stands for S + c₂ S² + c₃ S³ of a lamp of 9,000 ADU a second.
        const levels = [1000, 5000, 12_000, 25_000, 40_000, 55_000].map((s) =>
          ({ signalAdu: s, seconds: (s + c2 * s * s + c3 * s ** 3) / 9000 }));
        const fit = fitLinearity(levels);
        // Exact data: what is left is rounding, and the solver's.
        expect(fit?.residual).toBeLessThan(1e-9);
        expect(Math.abs((fit?.polynomial[0] ?? NaN) - c2)).toBeLessThan(1e-12);
        expect(Math.abs((fit?.polynomial[1] ?? NaN) - c3)).toBeLessThan(1e-16);
      }), { numRuns: 50 });
    expect(fitLinearity([{ seconds: 1, signalAdu: 1 }, { seconds: 2, signalAdu: 2 }])).toBeNull();
  });

  test('covariances of a pair tell how much charge repels along x and y, cosmic rays or not', () => {
    const width = 512, height = 512, n = width * height, level = 60_000, flow = { x: 8e-8, y: 5e-8 };
    const flat = (seed: number): Float32Array => {
      const random = skyRandom(seed), noise = Math.sqrt(level);
      const q = Float64Array.from({ length: n }, () => level + noise * random.normal());
      return Float32Array.from(q, (value, i) => {
        const x = i % width, y = (i - x) / width, moved = (k: number, inside: boolean) =>
          (inside ? value * value - q[k] * q[k] : 0);
        return value - flow.x * (moved(i - 1, x > 0) + moved(i + 1, x + 1 < width))
          - flow.y * (moved(i - width, y > 0) + moved(i + width, y + 1 < height));
      });
    };
    const a = flat(1), b = flat(2), mask = new Uint16Array(n);
    for (let k = 0; k < 40; k++) a[1000 + 7 * k] += 9000;
    const box = { x0: 0, y0: 0, x1: width, y1: height };
    const found = fitRepulsion([measureCovariances(a, b.map((value) => 0.99 * value), [mask, mask], width, box, 5)]);
    // A correlation of n pixels is good to 1/√n, of 2 × 2 f μ = 4 f μ: 5 sigma of it, of f.
    const tolerance = (5 / Math.sqrt(n)) / (4 * level);
    expect(Math.abs((found?.x ?? NaN) - flow.x)).toBeLessThan(tolerance);
    expect(Math.abs((found?.y ?? NaN) - flow.y)).toBeLessThan(tolerance);
    expect(tolerance).toBeLessThan(4.1e-8);
  });

  test('measureTransfers tells what trails into the overscan', () => {
    const [amp] = twoAmpDetector(256, 256).amps, { rawWidth, rawHeight, rawData } = amp, cti = 4e-5;
    const pixels = new Uint16Array(rawWidth * rawHeight).fill(1000);
    for (let y = 0; y < rawHeight; y++) {
      for (let x = rawData.x0; x < rawData.x1; x++) pixels[y * rawWidth + x] = 41_000;
      pixels[y * rawWidth + rawData.x1] += Math.round(40_000 * cti * rawData.x1);
    }
    const { serial, parallel } = measureTransfers({ name: 'A', width: rawWidth, height: rawHeight, pixels }, amp);
    // 209.6 ADU, rounded to 210.
    expect(Math.abs(serial / cti - 1)).toBeLessThan(0.003);
    expect(parallel).toBeNull();
  });
});

test('a stack leaves a cosmic ray out and keeps what is there always', () => {
  const random = skyRandom(3), n = 5000, sum = new Float32Array(n), highest = new Float32Array(n);
  const stack = createStack(sum, highest), noise = 6;
  for (let k = 0; k < 5; k++) {
    const frame = Float32Array.from({ length: n }, (_, i) => (i === 7 ? 3000 : 10) + noise * random.normal());
    if (k === 2) frame[100] += 500;
    if (k === 4) frame[200] = NaN;
    addToStack(stack, frame, 1);
  }
  const left = finishStack(stack, 5, () => noise);
  expect(left).toBe(1);
  expect(Math.abs(sum[100] - 10)).toBeLessThan((5 * noise) / Math.sqrt(4));
  expect(Math.abs(sum[7] - 3000)).toBeLessThan((5 * noise) / Math.sqrt(5));
  expect(sum[200]).toBeNaN();
});

describe('electronics', () => {
  const detector = twoAmpDetector(64, 64), path = (name: string) => join(folder, name);
  const electronics: Electronics = {
    amps: ['A', 'B'].map((name, k) => ({
      name, crosstalk: [0, 1e-4 * k], polynomial: [1e-7 * (k + 1), -1e-12],
      table: { values: Float32Array.of(0, 1, 2 + k), perAdu: 1e-4 }, serialCti: 2e-6, parallelCti: 1e-6,
    })),
    repulsion: { x: 6e-8, y: 7e-8 },
  };

  test('come back from their file as they were written, with what was not measured absent', () => {
    writeElectronics(path('whole.fits'), 'test', detector, electronics, [['NFRAMES', 3]]);
    expect(readElectronics(path('whole.fits'), detector)).toEqual(electronics);
    const bare: Electronics = {
      repulsion: null, amps: electronics.amps.map(({ name }) =>
        ({ name, crosstalk: null, polynomial: null, table: null, serialCti: 0, parallelCti: 0 })),
    };
    writeElectronics(path('bare.fits'), 'test', detector, bare, []);
    expect(readElectronics(path('bare.fits'), detector)).toEqual(bare);
  });

  test('of another detector or of other amps are refused', () => {
    writeElectronics(path('other.fits'), 'test', detector, electronics, []);
    const minicam = detectorOf(loadCamera('minicam'), 3);
    expect(() => readElectronics(path('other.fits'), minicam)).toThrow(/AMP1 is A, expected C00/);
    expect(() => readElectronics(path('other.fits'), detectorOf(loadCamera('minicam'), 4))).toThrow(/is of detector 3/);
  });
});

describe('fringe frames', () => {
  const width = 160, height = 120, n = width * height, sky = 5000, amplitude = 0.01;
  const truth = Float32Array.from({ length: n }, (_, i) =>
    amplitude * Math.sin((2 * Math.PI * ((i % width) + 0.5 * Math.floor(i / width))) / 40));

  /** A sloping sky with fringes, its noise, and stars that lie elsewhere in each exposure. */
  function exposure(seed: number, fringes: number): MaskedImage {
    const random = skyRandom(seed), planes = allocateMaskedImage(width, height), noise = Math.sqrt(sky);
    for (let i = 0; i < n; i++) {
      planes.image[i] = sky * (1 + fringes * truth[i]) + 3 * (i % width) + noise * random.normal();
    }
    for (let k = 0; k < 60; k++) planes.image[Math.floor(n * random.uniform())] += 20_000;
    planes.mask.fill(maskBits('SAT'), 900 * (seed % 7), 900 * (seed % 7) + 50);
    planes.image.fill(60_000, 900 * (seed % 7), 900 * (seed % 7) + 50);
    return planes;
  }
  const residualOf = (planes: MaskedImage): Float32Array => skyResidual(planes)?.plane ?? new Float32Array(0);

  test('come out of exposures of different places to the noise that smoothing leaves, and a plain sky has none', () => {
    const { plane, rms, noise } = combineFringes([1, 2, 3, 4, 5, 6].map((seed) => residualOf(exposure(seed, 1))), width, height);
    // The median of six has 1.2 of a mean's noise: 1.2 / √(6 × 5000) a pixel, of which the Gaussian keeps 0.094.
    const expected = (1.2 / Math.sqrt(6 * sky)) * 0.094;
    expect(noise / expected).toBeGreaterThan(0.8);
    expect(noise / expected).toBeLessThan(1.25);
    // A Gaussian of 3 px takes 1 − exp(−½ (2π × 3 × 1.118 / 40)²) = 13 % of a wave of 40 px along x and 80 along y.
    const attenuation = Math.exp(-0.5 * ((2 * Math.PI * 3) / 40) ** 2 * 1.25);
    let left = 0, count = 0;
    for (let y = 12; y < height - 12; y++) {
      for (let x = 12; x < width - 12; x++, count++) {
        left += (plane[y * width + x] - attenuation * truth[y * width + x]) ** 2;
      }
    }
    // Noise is known to a fourth above; the quadratic sky takes some of the waves, a twentieth at most of these four.
    expect(Math.sqrt(left / count)).toBeLessThan(Math.hypot(1.25 * expected, 0.05 * amplitude));
    expect(Math.abs(rms / (attenuation * amplitude / Math.SQRT2) - 1)).toBeLessThan(0.1);
    const plain = combineFringes([11, 12, 13, 14].map((seed) => residualOf(exposure(seed, 0))), width, height);
    expect(plain.rms).toBeLessThan(3 * plain.noise);
  });

  test('are not asked of a dark frame, and the same place counts once', () => {
    const dark = allocateMaskedImage(width, height);
    dark.image.fill(3);
    expect(skyResidual(dark)).toBeNull();
    expect(countPlaces([
      { raDeg: 359.9999, decDeg: -44 }, { raDeg: 0.0001, decDeg: -44 }, { raDeg: 0.01, decDeg: -44 },
      { raDeg: 0.01, decDeg: -43.9 },
    ])).toBe(3);
  });
});

describe('crosstalk of exposures', () => {
  const detector = twoAmpDetector(256, 256), [left, right] = detector.amps, part = 2e-4, noiseAdu = 6;

  /** Raw amps of a sky with stars; the second gets part of the first, where the converter has not clipped it yet. */
  function exposure(seed: number, faintCount = 0): RawAmp[] {
    const random = skyRandom(seed), { rawWidth: width, rawHeight: height } = left;
    const light = detector.amps.map(() => {
      const signal = new Float64Array(width * height).fill(800);
      for (let k = 0; k < 12 + faintCount; k++) {
        const x = 12 + Math.floor((width - 24) * random.uniform()), y = 4 + Math.floor((height - 8) * random.uniform());
        const peak = k < 12 ? 80_000 * random.uniform() : 40 / (0.02 + random.uniform());
        for (let v = -4; v <= 4; v++) {
          for (let u = -4; u <= 4; u++) signal[(y + v) * width + x + u] += peak * Math.exp(-(u * u + v * v) / 4);
        }
      }
      return signal;
    });
    return detector.amps.map(({ name, biasLevelAdu, saturationAdu }, k) => ({
      name, width, height, pixels: Uint16Array.from(light[k], (own, i) => Math.min(saturationAdu,
        Math.round(biasLevelAdu + own + (k === 1 ? part * light[0][i] : 0) + noiseAdu * random.normal()))),
    }));
  }

  test('is found to its error where an amp hears another, and is 0 where it does not', () => {
    const samples = createTalkSamples(detector);
    for (let seed = 1; seed <= 24; seed++) addTalkSamples(samples, exposure(seed), detector);
    const [[, unheard], [heard]] = fitCrosstalk(samples);
    // Noise of two pixels and of their means of eight over the signals' root of squares.
    const squares = samples[0].signals.reduce((sum, signal) => sum + signal * signal, 0);
    const expected = noiseAdu * Math.sqrt(2 * (1 + 1 / 8)) / Math.sqrt(squares);
    expect((heard?.error ?? 0) / expected).toBeGreaterThan(0.9);
    // A tenth of the pairs have a star of their own amp near, and shift by up to the clipping's four sigma: their
    // squares add up to 0.1 × 16 / 3 of the variance, a quarter of the error.
    expect((heard?.error ?? 0) / expected).toBeLessThan(1.3);
    expect(Math.abs((heard?.part ?? 0) - part)).toBeLessThan(5 * expected);
    expect(Math.abs(unheard?.part ?? 1)).toBeLessThan(5 * (unheard?.error ?? 0));
    const usable = usableCrosstalk(fitCrosstalk(samples), detector, 24);
    expect(usable?.rows[1][0]).toBe(heard?.part);
    expect(usable?.rows[0]).toEqual([0, 0]);
    expect(usable?.report).toMatchObject({ pairs: 2, significant: 1, exposures: 24 });
  });

  test('is not made of a crowded sky, whose pixels stand below the mean of their surroundings mostly', () => {
    const samples = createTalkSamples(detector);
    for (let seed = 101; seed <= 112; seed++) addTalkSamples(samples, exposure(seed, 600), detector);
    const [[, unheard], [heard]] = fitCrosstalk(samples);
    expect(Math.abs((unheard?.part ?? 1) / (unheard?.error ?? 0))).toBeLessThan(4);
    expect(Math.abs(((heard?.part ?? 1) - part) / (heard?.error ?? 0))).toBeLessThan(4);
  });

  test('is left to the camera where pixels are few', () => {
    const samples = createTalkSamples(detector);
    addTalkSamples(samples, exposure(3).map((amp) => ({ ...amp, pixels: amp.pixels.map((v) => Math.min(v, 3000)) })), detector);
    expect(fitCrosstalk(samples).flat().every((found) => found === null)).toBe(true);
    expect(usableCrosstalk(fitCrosstalk(samples), { ...detector, amps: [left, right] }, 1)).toBeNull();
  });
});
