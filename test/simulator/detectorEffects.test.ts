import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readElectronics, type Electronics } from '../../engine/image/electronics.ts';
import { FitsError } from '../../engine/image/fits.ts';
import { loadCamera, type Amp, type Camera, type Detector } from '../../schemas/camera.ts';
import { makeDark, makeFringe } from '../../simulator/calibrations.ts';
import { calibrationFrame, type CalibrationLight } from '../../simulator/calibrationFrames.ts';
import { calibrationConfig, detectorConfig } from '../../simulator/config.ts';
import { makeElectronics } from '../../simulator/electronics.ts';
import { EFFECT_SETS, EFFECTS, parseEffects, type Effects, type SimulationModel } from '../../simulator/model.ts';
import { transferInefficiency } from '../../simulator/readoutEffects.ts';
import { fringesOf, hotPixelsOf, repel } from '../../simulator/silicon.ts';
import { fullWellElectrons, readDetector } from '../../simulator/detector.ts';

const SEED = 12, COUPLING = 2e-3, CURVATURE = 4e-7;
const minicam = loadCamera('minicam');

/** Minicam whose amps talk to each other and bend, both far more than real ones, so that one frame shows it. */
const amps = minicam.detectors[0].amps.map((amp, k): Amp => ({
  ...amp, linearityPolynomial: [CURVATURE, 0], crosstalk: [0, 1, 2, 3].map((j) => (j === k ? 0 : COUPLING * (j + 1))),
}));
const detector: Detector = { ...minicam.detectors[0], amps };
const camera: Camera = { ...minicam, detectors: [detector] };

const model = (text: string): SimulationModel => ({ sky: 'survey', effects: parseEffects(text), compression: 'none' });
const only = (...names: (keyof Effects)[]): Effects => parseEffects(names.length === 0 ? 'none' : names.join(','));

/** Imaging pixels of an amp's readout, ADU above its bias level, in the order of reading. */
function imaging(amp: Amp, raw: Uint16Array): Float64Array {
  const { x0, x1, y0, y1 } = amp.rawData, out = new Float64Array((x1 - x0) * (y1 - y0));
  for (let y = y0, i = 0; y < y1; y++) {
    for (let x = x0; x < x1; x++) out[i++] = raw[y * amp.rawWidth + x] - amp.biasLevelAdu;
  }
  return out;
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

function variance(values: ArrayLike<number>): number {
  const middle = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - middle) ** 2;
  return sum / (values.length - 1);
}

/** Half the variance of the difference of two frames: what noise alone gives, whatever the pattern. */
function pairVariance(a: Float64Array, b: Float64Array): number {
  return variance(a.map((value, i) => value - b[i])) / 2;
}

const frame = (light: CalibrationLight, exposure: number, effects: string): Uint16Array[] =>
  calibrationFrame(SEED, camera, detector, light, exposure, model(effects)).amps;
const flat = (electrons: number, exposure: number, effects: string): Uint16Array[] =>
  frame({ type: 'flat', seconds: electrons / 10_000, electrons }, exposure, effects);

test('the read noise of two biases is the one of the camera', () => {
  const [a, b] = [1, 2].map(
    (exposure) => frame({ type: 'bias', seconds: 0, electrons: 0 }, exposure, 'readNoise,biasStructure'),
  );
  amps.forEach((amp, k) => {
    const noise = Math.sqrt(pairVariance(imaging(amp, a[k]), imaging(amp, b[k]))) * amp.gainElectronsPerAdu;
    // Rounding adds a variance of 1/12 ADU²; the scatter of n values is known to 1/√(2 n).
    const expected = Math.hypot(amp.readNoiseElectrons, amp.gainElectronsPerAdu / Math.sqrt(12));
    expect(Math.abs(noise / expected - 1)).toBeLessThan(5 / Math.sqrt(2 * 512 * 512));
  });
});

test('the photon transfer curve of flat pairs gives each amp its gain', () => {
  const effects = 'shotNoise,readNoise,prnu,vignetting';
  const low = [flat(2000, 11, effects), flat(2000, 12, effects)];
  const high = [flat(40_000, 13, effects), flat(40_000, 14, effects)];
  amps.forEach((amp, k) => {
    const of = ([a, b]: Uint16Array[][]): [number, number] => {
      const one = imaging(amp, a[k]), two = imaging(amp, b[k]);
      return [(mean(one) + mean(two)) / 2, pairVariance(one, two)];
    };
    const [lowMean, lowVariance] = of(low), [highMean, highVariance] = of(high);
    const gain = (highMean - lowMean) / (highVariance - lowVariance);
    // A variance of n pixels is known to √(2/n); the low point adds a twentieth of that.
    expect(Math.abs(gain / amp.gainElectronsPerAdu - 1)).toBeLessThan(5 * 1.1 * Math.sqrt(2 / (512 * 512)));
  });
});

test('brighter-fatter takes 8 k Q off a flat\'s variance and gives 2 k Q to the covariance of neighbours', () => {
  const electrons = 60_000, size = 512, k = detectorConfig.brighterFatterPerElectron;
  const pair = [21, 22].map((exposure) => {
    const { amps: read } = calibrationFrame(
      SEED, camera, detector, { type: 'flat', seconds: 6, electrons }, exposure, model('shotNoise,brighterFatter'),
    );
    return imaging(amps[0], read[0]).map((value) => value * amps[0].gainElectronsPerAdu);
  });
  const difference = pair[0].map((value, i) => value - pair[1][i]);
  let covariance = 0, count = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 1; x < size; x++, count++) covariance += difference[y * size + x] * difference[y * size + x - 1];
  }
  const quantum = amps[0].gainElectronsPerAdu ** 2 / 12;
  // δ' = δ − 4 k Q δ + k Q Σ neighbours: variance (1 − 4 k Q)² + 4 (k Q)², covariance 2 k Q (1 − 4 k Q), of the mean.
  const kq = k * electrons, expectedVariance = electrons * ((1 - 4 * kq) ** 2 + 4 * kq * kq) + quantum;
  const expectedCovariance = electrons * 2 * kq * (1 - 4 * kq);
  expect(Math.abs(variance(difference) / 2 - expectedVariance)).toBeLessThan(5 * electrons * Math.sqrt(2) / size);
  expect(Math.abs(covariance / count / 2 - expectedCovariance)).toBeLessThan(5 * electrons / size);
});

test('repulsion neither makes nor loses charge', () => {
  const plane = Float32Array.from({ length: 20 * 30 }, (_, i) => 1000 + 90_000 * Math.exp(-(((i % 20) - 9) ** 2) / 4));
  const before = mean(plane);
  repel(plane, 20, 30);
  expect(Math.abs(mean(plane) / before - 1)).toBeLessThan(1e-6); // Float32.
});

test('the charge that trails into the overscan tells the transfer inefficiency', () => {
  const electrons = new Float32Array(detector.width * detector.height).fill(50_000);
  const read = readDetector(SEED, detector, electrons, 'cti', 1, only('serialCti', 'parallelCti', 'readNoise'));
  amps.forEach((amp, k) => {
    const cti = transferInefficiency(SEED, detector, k), { x0, x1, y0, y1 } = amp.rawData;
    const full = 50_000 / amp.gainElectronsPerAdu;
    const meanOf = (x: readonly [number, number], y: readonly [number, number]): number => {
      let sum = 0;
      for (let row = y[0]; row < y[1]; row++) {
        for (let column = x[0]; column < x[1]; column++) sum += read[k][row * amp.rawWidth + column];
      }
      return sum / ((x[1] - x[0]) * (y[1] - y[0])) - amp.biasLevelAdu;
    };
    // 512 pixels of read noise; read noise of 3 counts makes rounding even. The last packet has met x1 (y1) transfers.
    const tolerance = (5 * amp.readNoiseElectrons) / amp.gainElectronsPerAdu / Math.sqrt(512);
    const serial = meanOf([x1, x1 + 1], [y0, y1]), parallel = meanOf([x0, x1], [y1, y1 + 1]);
    expect(Math.abs(serial - full * x1 * cti.serial)).toBeLessThan(tolerance);
    expect(Math.abs(parallel - full * y1 * cti.parallel)).toBeLessThan(tolerance);
    expect(serial).toBeGreaterThan(2 * tolerance);
  });
});

test('a bright spot appears in the other amps by the crosstalk matrix, where they are read at the same moment', () => {
  const electrons = new Float32Array(detector.width * detector.height), box = amps[2].detectorBox;
  const at = { column: 37, row: 55 };
  const x = amps[2].flipX ? box.x1 - 1 - at.column : box.x0 + at.column;
  const y = amps[2].flipY ? box.y1 - 1 - at.row : box.y0 + at.row;
  electrons[y * detector.width + x] = 60_000;
  const read = readDetector(SEED, detector, electrons, 'crosstalk', 1, only('crosstalk'));
  const valueOf = (k: number): number =>
    read[k][(amps[k].rawData.y0 + at.row) * amps[k].rawWidth + amps[k].rawData.x0 + at.column] - amps[k].biasLevelAdu;
  // Two roundings.
  for (const k of [0, 1, 3]) expect(Math.abs(valueOf(k) - valueOf(2) * COUPLING * 3)).toBeLessThanOrEqual(1);
  expect(imaging(amps[0], read[0]).filter((value) => value !== 0).length).toBe(1);
});

test('the linearity polynomial brings readings back to the light that fell', () => {
  for (const level of [1000, 20_000, 80_000]) {
    const electrons = new Float32Array(detector.width * detector.height).fill(level);
    const read = readDetector(SEED, detector, electrons, 'linearity', 1, only('nonlinearity'));
    amps.forEach((amp, k) => {
      const s = mean(imaging(amp, read[k])), corrected = s + CURVATURE * s * s, truth = level / amp.gainElectronsPerAdu;
      // Rounded to half a count; the series leaves 5 c³ T⁴.
      expect(Math.abs(corrected - truth)).toBeLessThan(
        0.5 * (1 + 2 * CURVATURE * truth) + 6 * CURVATURE ** 3 * truth ** 4,
      );
    });
  }
});

test('a dark shows its current and its hot pixels', () => {
  // Short enough that no hot pixel reaches the converter's end.
  const seconds = 40, pixels = detector.width * detector.height;
  const read = frame({ type: 'dark', seconds, electrons: 0 }, 31, 'darkCurrent,hotPixels,shotNoise,readNoise');
  const hot = hotPixelsOf(SEED, detector);
  const hotCharge = hot.reduce((sum, { electronsPerSecond }) => sum + electronsPerSecond * seconds, 0);
  expect(hot.length).toBeGreaterThan(20);
  const total = amps.reduce(
    (sum, amp, k) => sum + mean(imaging(amp, read[k])) * 512 * 512 * amp.gainElectronsPerAdu, 0,
  );
  const expected = detectorConfig.darkElectronsPerSecond * seconds * pixels + hotCharge;
  const readNoise = Math.max(...amps.map((amp) => amp.readNoiseElectrons));
  expect(Math.abs(total - expected)).toBeLessThan(5 * Math.sqrt(expected + pixels * readNoise ** 2));
});

test('the dark product has the current and the hot pixels, electrons a second', () => {
  const dark = makeDark(SEED, detector, model('darkCurrent,hotPixels,shotNoise,readNoise'));
  const { darkFrames, darkSeconds, biasFrames } = calibrationConfig, total = darkFrames * darkSeconds;
  const hot = hotPixelsOf(SEED, detector);
  const hotCharge = hot.reduce((sum, h) => sum + h.electronsPerSecond, 0);
  const charge = detectorConfig.darkElectronsPerSecond + hotCharge / dark.length;
  const readNoise = Math.max(...amps.map((amp) => amp.readNoiseElectrons));
  // Noise of a pixel's sum: its own charge, its readings, and those of the bias taken off as often.
  const pixel = Math.sqrt(charge * total + readNoise ** 2 * (darkFrames + darkFrames ** 2 / biasFrames)) / total;
  expect(Math.abs(mean(dark) - charge)).toBeLessThan(5 * pixel / Math.sqrt(dark.length) + 0.002 * charge);
  const { x, y, electronsPerSecond } = hot.reduce((a, b) => (a.electronsPerSecond < b.electronsPerSecond ? a : b));
  expect(Math.abs(dark[y * detector.width + x] - electronsPerSecond)).toBeLessThan(
    5 * Math.hypot(pixel, Math.sqrt(electronsPerSecond / total)) + detectorConfig.darkElectronsPerSecond,
  );
});

test('the fringe product has the fringes of the band to the noise of its frames', () => {
  const fringe = makeFringe(SEED, detector, 'y'), truth = fringesOf(SEED, detector, 'y');
  const sigma = 1.2533 / Math.sqrt(calibrationConfig.fringeFrames * calibrationConfig.fringeSkyElectrons);
  const residuals = fringe.map((value, i) => value - truth!(i % detector.width, Math.floor(i / detector.width)));
  expect(Math.abs(mean(residuals))).toBeLessThan(5 * sigma / Math.sqrt(fringe.length));
  // The variance of n normal values scatters by √(2/n) of itself.
  expect(Math.abs(variance(residuals) / sigma ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / fringe.length));
});

test('the electronics product tells the engine charge transfer and repulsion, each if the model has it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-electronics-')), path = join(folder, 'electronics.fits');
  const readBack = (effects: string): Electronics => {
    writeFileSync(path, makeElectronics(SEED, detector, model(effects)));
    return readElectronics(path, detector);
  };
  try {
    // Four numbers an amp and two of the detector, each within five times the error of its measurement.
    const near = (value: number, truth: number): void => {
      expect(Math.abs(value / truth - 1)).toBeLessThan(5 * calibrationConfig.electronicsError);
    };
    const { amps: measured, repulsion } = readBack('serialCti,parallelCti,brighterFatter');
    measured.forEach(({ name, serialCti, parallelCti }, k) => {
      const { serial, parallel } = transferInefficiency(SEED, detector, k);
      expect(name).toBe(amps[k].name);
      near(serialCti, serial);
      near(parallelCti, parallel);
    });
    near(repulsion?.x ?? 0, detectorConfig.brighterFatterPerElectron / 2);
    near(repulsion?.y ?? 0, detectorConfig.brighterFatterPerElectron / 2);
    const serialAlone = readBack('serialCti');
    expect(serialAlone.repulsion).toBe(null);
    expect(serialAlone.amps.every(({ serialCti, parallelCti }) => serialCti > 0 && parallelCti === 0)).toBe(true);
    // Of another detector: refused in one line, as a damaged one is.
    expect(() => readElectronics(path, minicam.detectors[1])).toThrow(/is of detector 0$/);
    writeFileSync(path, makeElectronics(SEED, detector, model('serialCti')).subarray(0, 2880 + 2880 + 10));
    expect(() => readElectronics(path, detector)).toThrow(FitsError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('wells of known depth spill at that depth, and the converter clips before', () => {
  const deep = { ...amps[0], fullWellElectrons: 250_000 };
  expect(fullWellElectrons(deep)).toBe(250_000);
  expect(fullWellElectrons(amps[0])).toBeLessThan(
    65_535 * amps[0].gainElectronsPerAdu * detectorConfig.fullWellOverSaturate,
  );
});

test('each effect can be switched alone, and an unknown one is refused with the list', () => {
  for (const name of EFFECTS) {
    const effects = parseEffects(name);
    expect(EFFECTS.filter((other) => effects[other])).toEqual([name]);
    expect(parseEffects(`all,-${name}`)[name]).toBe(false);
  }
  expect(parseEffects('realistic')).toEqual(EFFECT_SETS.realistic);
  expect(() => parseEffects('realism')).toThrow(
    /^unknown effect "realism"; sets: none, basic, realistic, all; effects: skyBackground/,
  );
});
