import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readElectronics, writeElectronics, type Electronics } from '../../../engine/image/electronics.ts';
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
