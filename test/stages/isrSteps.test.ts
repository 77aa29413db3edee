/** The steps of the ISR beyond bias and flat, each on a small detector. */
import { describe, expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import { allocateMaskedImage } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import type { RawAmp } from '../../engine/image/rawExposure.ts';
import { measureAmpSteps, solveAmpOffsets, subtractAmpOffsets } from '../../engine/stages/isr/ampOffset.ts';
import type { AmpElectronics } from '../../engine/image/electronics.ts';
import type { IsrCalibrations } from '../../engine/stages/isr/calibrations.ts';
import { isrConfig, type IsrConfig } from '../../engine/stages/isr/config.ts';
import { fringeScale, gridOf } from '../../engine/stages/isr/fringe.ts';
import { removeInstrumentSignature } from '../../engine/stages/isr/isr.ts';
import { measureColumns } from '../../engine/stages/isr/overscan.ts';
import { skyRandom } from '../support/skyRandom.ts';
import { readOut, twoAmpDetector } from '../support/skyRaw.ts';

const SIDE = 256, PIXELS = SIDE * SIDE, detector = twoAmpDetector(SIDE, SIDE), [left, right] = detector.amps;
const ones = new Float32Array(PIXELS).fill(1), zeros = new Float32Array(PIXELS);
const calm: IsrConfig = { ...isrConfig, isCosmicRayRejected: false, isInterpolated: false };

/** Without noise: what differs is what a step left. */
function read(electrons: Float32Array): RawAmp[] {
  return readOut({ seed: 1, detector, electrons, readNoiseElectrons: 0 });
}

function run(raw: readonly RawAmp[], more: Partial<IsrCalibrations> = {}, config = calm, darkSeconds: number | null = 30) {
  return removeInstrumentSignature(raw, detector, { bias: zeros, flat: ones, ...more }, config,
    allocateMaskedImage(SIDE, SIDE), { indices: new Int32Array(PIXELS) }, { darkSeconds });
}

const plainAmp = (name: string): AmpElectronics =>
  ({ name, crosstalk: null, polynomial: null, table: null, serialCti: 0, parallelCti: 0 });

test('crosstalk of an amp read the other way is taken off where it fell, and marked if saturated', () => {
  const electrons = zeros.map(() => 500), part = 2e-3;
  electrons[100 * SIDE + 40] = 80_000;
  electrons[30 * SIDE + 20] = 200_000;
  const raw = read(electrons);
  // Equal places of the readouts talk: the second amp gets part of the first one's signal.
  for (let i = 0; i < raw[1].pixels.length; i++) {
    raw[1].pixels[i] += Math.round(part * (raw[0].pixels[i] - 1000));
  }
  const amps = [plainAmp('A'), { ...plainAmp('B'), crosstalk: [part, 0] }];
  const { image, report } = run(raw, { electronics: { amps, repulsion: null } });
  const mirrored = (x: number, y: number) => (SIDE - 1 - y) * SIDE + SIDE - 1 - x;
  // Two roundings of half an ADU each, in electrons.
  expect(Math.abs(image.image[mirrored(40, 100)] - 500)).toBeLessThan(1.01 * right.gainElectronsPerAdu);
  expect(image.mask[mirrored(20, 30)]).toBe(maskBits('CROSSTALK'));
  expect(report.figures.crosstalkPixelCount).toBe(1);
  expect(report.degraded).toEqual(['dark']);
  const untreated = run(raw).image;
  expect(untreated.image[mirrored(40, 100)] - 500).toBeGreaterThan(80);
});

test('a dark is scaled to the time, its hot pixels are bad, and without a time it is refused', () => {
  const dark = zeros.map((_, i) => (i === 777 ? 100 : 2)), electrons = zeros.map((_, i) => 500 + 60 + (i % 7));
  const { image, report } = run(read(electrons), { dark });
  expect(Math.abs(image.image[5000] - 500 - (5000 % 7))).toBeLessThan(1.01);
  expect(image.mask[777] & maskBits('BAD')).not.toBe(0);
  expect(report.degraded).not.toContain('dark');
  // 60 e of dark leave their noise behind.
  expect(Math.abs(image.variance[130 * SIDE + 60] - (503 + 60 + 36))).toBeLessThan(6);
  expect(() => run(read(electrons), { dark }, calm, null)).toThrow(StageError);
});

test('electronics of other amps, or with crosstalk of another count, are refused', () => {
  const raw = read(zeros.map(() => 500)), codeOf = (amps: readonly AmpElectronics[]): string => {
    try { run(raw, { electronics: { amps, repulsion: null } }); } catch (error) {
      if (error instanceof StageError) return `${error.code} ${error.disposition}`;
      throw error;
    }
    return 'none';
  };
  expect(codeOf([plainAmp('B'), plainAmp('A')])).toBe('CALIBRATION_MISMATCHED reject');
  expect(codeOf([plainAmp('A'), { ...plainAmp('B'), crosstalk: [1, 2, 3] }])).toBe('CALIBRATION_MISMATCHED reject');
});

test('a table straightens an amp that a polynomial does not fit, and replaces the camera’s polynomial', () => {
  const electrons = zeros.map((_, i) => 300 + 0.4 * i), values = Float32Array.of(0, 40, 10, 90);
  const raw = read(electrons), table = { values, perAdu: 3 / 60_000 };
  const place = (adu: number) => adu * table.perAdu, correction = (adu: number): number => {
    const node = Math.min(2, Math.floor(place(adu)));
    return values[node] + (place(adu) - node) * (values[node + 1] - values[node]);
  };
  const amps = ['A', 'B'].map((name) => ({ ...plainAmp(name), table }));
  const { image } = run(raw, { electronics: { amps, repulsion: null } });
  for (const i of [40 * SIDE + 30, 200 * SIDE + 60]) {
    const adu = electrons[i] / left.gainElectronsPerAdu;
    expect(Math.abs(image.image[i] - (electrons[i] + correction(adu) * left.gainElectronsPerAdu))).toBeLessThan(1.01);
  }
});

describe('masks', () => {
  test('a bleed spoils what is beside and beyond it, and at the register the first rows of its amp', () => {
    const electrons = zeros.map(() => 500);
    for (let y = 100; y < 140; y++) electrons[y * SIDE + 50] = 1e6;
    for (let x = 20; x < 24; x++) electrons[x] = 1e6;
    const { image, report } = run(read(electrons)), suspect = maskBits('SUSPECT');
    expect(report.figures.bleedColumnCount).toBe(1);
    for (const [x, y] of [[48, 120], [52, 101], [50, 98], [50, 141], [100, 9]]) {
      expect(image.mask[y * SIDE + x] & suspect, `${x}, ${y}`).toBe(suspect);
    }
    for (const [x, y] of [[45, 120], [50, 92], [100, 14], [200, 5]]) {
      expect(image.mask[y * SIDE + x] & suspect, `${x}, ${y}`).toBe(0);
    }
  });

  test('nearly saturated pixels are suspect, with their neighbours', () => {
    const electrons = zeros.map(() => 500);
    electrons[90 * SIDE + 60] = 0.95 * 59_000 * left.gainElectronsPerAdu;
    const { image } = run(read(electrons)), suspect = maskBits('SUSPECT');
    expect(image.mask.filter((bits) => (bits & suspect) !== 0).length).toBe((2 * isrConfig.suspectGrowthPx + 1) ** 2);
    expect(image.mask[90 * SIDE + 60] & maskBits('SAT')).toBe(0);
  });
});

test('fringes are taken off by as much as the sky has of them, sources notwithstanding', () => {
  const random = skyRandom(5), planes = allocateMaskedImage(SIDE, SIDE), sky = 2000, sigma = Math.sqrt(sky);
  const fringe = zeros.map((_, i) => 0.015 * Math.sin((i % SIDE) / 6 + Math.floor(i / SIDE) / 11));
  for (let i = 0; i < PIXELS; i++) {
    planes.image[i] = sky * (1 + fringe[i]) + 0.2 * (i % SIDE) + sigma * random.normal();
    if (random.uniform() < 0.02) planes.image[i] += 3000;
  }
  const scale = fringeScale(planes, fringe, gridOf(SIDE, 3), 0);
  // n samples of noise sigma tell the scale to sigma / (0.0106 √n), the fringe's rms being 0.015 / √2.
  const error = sigma / (0.0106 * Math.sqrt((SIDE / 3) ** 2));
  expect(Math.abs(scale - sky)).toBeLessThan(5 * error);
  expect(fringeScale(planes, zeros, gridOf(SIDE, 3), 0)).toBe(0);
});

test('steps between amps are measured to their noise, and levelled', () => {
  const random = skyRandom(6), planes = allocateMaskedImage(SIDE, SIDE), width = SIDE;
  for (let i = 0; i < PIXELS; i++) planes.image[i] = 1000 + (i % width < SIDE / 2 ? 0 : 8) + 30 * random.normal();
  planes.mask.fill(maskBits('BAD'), 0, 20 * width);
  planes.image.fill(9e9, 0, 20 * width);
  const [{ from, to, step, sigma }, ...rest] = measureAmpSteps(planes, detector.amps, 6, 0);
  expect([from, to, rest.length]).toEqual([0, 1, 0]);
  expect(Math.abs(step - 8)).toBeLessThan(5 * sigma);
  expect(sigma).toBeLessThan(3);
  subtractAmpOffsets(planes, detector.amps, solveAmpOffsets(2, measureAmpSteps(planes, detector.amps, 6, 0)));
  expect(Math.abs(measureAmpSteps(planes, detector.amps, 6, 0)[0].step)).toBeLessThan(0.01);
});

test('measureColumns takes columns that truly differ, and not those that bleed or only scatter', () => {
  const rows = 46, amp = {
    ...left, rawHeight: SIDE + rows,
    rawParallelOverscan: { x0: left.rawData.x0, x1: left.rawData.x1, y0: SIDE, y1: SIDE + rows },
  };
  const width = amp.rawWidth, columns = amp.rawData.x1 - amp.rawData.x0;
  const overscan = (structure: (x: number) => number): RawAmp => {
    const random = skyRandom(8), pixels = new Uint16Array(width * amp.rawHeight).fill(1000);
    for (let y = SIDE; y < SIDE + rows; y++) {
      for (let x = 0; x < columns; x++) {
        pixels[y * width + amp.rawData.x0 + x] = Math.round(1000 + structure(x) + 4 * random.normal());
      }
    }
    return { name: 'A', width, height: amp.rawHeight, pixels };
  };
  expect(measureColumns(overscan(() => 0), amp, isrConfig, 4)).toBeNull();
  expect(measureColumns(overscan((x) => (x === 60 ? 20_000 : 0)), amp, isrConfig, 4)).toBeNull();
  const found = measureColumns(overscan((x) => 6 * Math.sin(x / 5)), amp, isrConfig, 4);
  // A median of 44 rows of 4 ADU: 0.75, a fifth of what is there.
  expect(Math.abs((found?.[8] ?? NaN) - 6)).toBeLessThan(5 * 0.8);
});
