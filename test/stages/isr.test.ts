import { describe, expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import { allocateMaskedImage, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import type { RawAmp } from '../../engine/image/rawExposure.ts';
import { isrConfig, type IsrConfig } from '../../engine/stages/isr/config.ts';
import { removeInstrumentSignature, type IsrCalibrations } from '../../engine/stages/isr/isr.ts';
import { measureOverscan } from '../../engine/stages/isr/overscan.ts';
import { renderField, strewnStars, type FieldStar } from '../support/skyField.ts';
import { readOut, twoAmpDetector } from '../support/skyRaw.ts';
import { skyRandom } from '../support/skyRandom.ts';

const WIDTH = 256, HEIGHT = 256, PIXELS = WIDTH * HEIGHT;
const detector = twoAmpDetector(WIDTH, HEIGHT);
const ones = new Float32Array(PIXELS).fill(1), zeros = new Float32Array(PIXELS);

function sky(seed: number, level: number, stars: readonly FieldStar[] = []) {
  return renderField({ seed, width: WIDTH, height: HEIGHT, fwhmPx: 4, sky: level, readNoise: 0, stars });
}

function run(raw: readonly RawAmp[], calibrations: IsrCalibrations = { bias: zeros, flat: ones },
  config: IsrConfig = isrConfig) {
  const out = allocateMaskedImage(WIDTH, HEIGHT);
  return removeInstrumentSignature(raw, detector, calibrations, config, out, {
    indices: new Int32Array(PIXELS),
  });
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StageError) return `${error.code} ${error.disposition}`;
    throw error;
  }
  return 'none';
}

/** Mean of the unmasked pixels of a plane. */
function mean({ mask }: MaskedImage, value: (i: number) => number): number {
  let sum = 0, count = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) { sum += value(i); count++; }
  return sum / count;
}

describe('removeInstrumentSignature', () => {
  test('electrons come out where and as many as went in, through flips, gains, bias and flat', () => {
    const field = sky(1, 500, strewnStars(2, 12, WIDTH, HEIGHT, 1e4, 2e5, 20, 10)), random = skyRandom(3);
    const bias = Float32Array.from({ length: PIXELS }, (_, i) => 4 * Math.sin(i % WIDTH)),
      flat = ones.map(() => 1 + 0.02 * random.normal());
    const caught = field.image.map((value, i) => value * flat[i]);
    const { image, report } = run(readOut({ seed: 4, detector, electrons: caught, bias }), { bias, flat });
    // A pixel's difference is read noise, rounding (gain²/12) and the overscan's error over the flat; its mean over n
    // pixels:
    const pixel = Math.sqrt(36 + 1.8 ** 2 / 12), overscan = (1.2533 * 6) / Math.sqrt(32 * HEIGHT);
    const tolerance = 5 * Math.hypot(pixel / Math.sqrt(PIXELS), overscan);
    expect(Math.abs(mean(image, (i) => image.image[i] - field.image[i]))).toBeLessThan(tolerance);
    // No single unmasked pixel may be another's: a flip error would show as thousands of electrons at a star.
    for (let i = 0; i < PIXELS; i++) if (image.mask[i] === 0) expect(Math.abs(image.image[i] - field.image[i])).toBeLessThan(7 * pixel);
    expect(report.figures.saturatedCount).toBe(0);
    expect(report.figures.cosmicRayPixelCount).toBe(0);
  });

  test('overscan follows a level that drifts from row to row, and reports the read noise', () => {
    const electrons = sky(5, 300).image;
    const raw = readOut({ seed: 6, detector, electrons, level: (amp, row) => 1000 + 30 * amp + 3 * Math.sin(row / 5) });
    const { image, report } = run(raw);
    expect(Math.abs(mean(image, (i) => image.image[i] - electrons[i]))).toBeLessThan(0.5);
    // The sine of 3 ADU must be gone: what stays of it in a row is the shrinking's loss, noise² / total² = (0.9 /
    // 2.3)² of it.
    for (let y = 10; y < 240; y += 7) {
      let row = 0;
      for (let x = 10; x < 118; x++) row += image.image[y * WIDTH + x] - electrons[y * WIDTH + x];
      expect(Math.abs(row / 108)).toBeLessThan(5 * Math.hypot(6 / Math.sqrt(108), 1.25 * 6 / Math.sqrt(32)));
    }
    // MAD × 1.4826 of 32 values about their own median, over 256 rows: good to 2 % plus rounding to whole ADU.
    expect(report.amps[0].readNoiseElectrons).toBeGreaterThan(5.4);
    expect(report.amps[0].readNoiseElectrons).toBeLessThan(6.6);
    expect(report.amps[1].overscanLevelAdu - report.amps[0].overscanLevelAdu).toBeCloseTo(30, 0);
  });

  test('measureOverscan averages rows whose levels differ by noise only, and keeps those that truly differ', () => {
    const electrons = sky(7, 100).image, levels = new Float64Array(HEIGHT);
    const amp = detector.amps[0];
    const calm = measureOverscan(readOut({ seed: 8, detector, electrons })[0], amp, isrConfig, levels);
    // One row's median scatters by 1.25 × 4 ADU / √32 = 0.89 ADU; the mean of 31 by 0.16.
    const scatter = Math.sqrt(levels.reduce((sum, level) => sum + (level - 1000) ** 2, 0) / HEIGHT);
    expect(scatter).toBeLessThan(0.4);
    expect(calm.rowStructureFraction).toBeLessThan(0.4);
    const wild = measureOverscan(readOut({ seed: 9, detector, electrons, level: (_, row) => 1000
      + 20 * (row % 2) })[0], amp, isrConfig, levels);
    expect(wild.rowStructureFraction).toBeGreaterThan(0.98);
    expect(levels[101] - levels[100]).toBeGreaterThan(17);
  });

  test('variance is the expected light plus read noise, and does not follow the noise of faint pixels', () => {
    const field = sky(10, 400), { image } = run(readOut({ seed: 11, detector, electrons: field.image }));
    const expected = 400 + 36;
    expect(Math.abs(mean(image, (i) => image.variance[i]) / expected - 1)).toBeLessThan(0.01);
    // Correlation of noise and variance, which counts-based variances have as 400 / (436) of their own scatter: none
    // here but for the 1 in 1000 smoothed pixels above 3 σ.
    const up = mean(image, (i) => (image.image[i] > 400 ? image.variance[i] : expected)),
      down = mean(image, (i) => (image.image[i] < 400 ? image.variance[i] : expected));
    expect(Math.abs(up - down) / expected).toBeLessThan(0.002);
  });

  test('variance under a bright star is that of its light', () => {
    const star = { x: 60.3, y: 90.8, flux: 2e5 }, field = sky(12, 400, [star]);
    const { image } = run(readOut({ seed: 13, detector, electrons: field.image }));
    const i = 91 * WIDTH + 60;
    // Observed counts of 9,800 e are within 5 σ = 5 % of the expected ones.
    expect(Math.abs(image.variance[i] / (field.expected[i] + 36) - 1)).toBeLessThan(0.05);
  });

  test('saturated pixels and their neighbours are masked, others not', () => {
    const electrons = sky(14, 400).image.slice();
    electrons[100 * WIDTH + 50] = 200_000;
    const { image, report } = run(readOut({ seed: 15, detector, electrons }));
    expect(report.figures.saturatedCount).toBe(1);
    const sat = maskBits('SAT');
    let count = 0;
    for (let i = 0; i < PIXELS; i++) if ((image.mask[i] & sat) !== 0) count++;
    expect(count).toBe((2 * isrConfig.saturationGrowthPx + 1) ** 2);
    expect(image.mask[100 * WIDTH + 50] & sat).toBe(sat);
  });

  test('dead columns and NaN in calibrations are masked and filled from their neighbours', () => {
    const flat = ones.slice(), bias = zeros.slice();
    for (let y = 0; y < HEIGHT; y++) { flat[y * WIDTH + 77] = 0.1; flat[y * WIDTH + 30] = NaN; }
    bias[50 * WIDTH + 200] = 3000;
    const { image } = run(readOut({ seed: 16, detector, electrons: sky(17, 400).image }), { bias, flat });
    for (const i of [90 * WIDTH + 77, 90 * WIDTH + 30, 50 * WIDTH + 200]) {
      expect(image.mask[i] & maskBits('BAD', 'INTRP')).toBe(maskBits('BAD', 'INTRP'));
      expect(Math.abs(image.image[i] - 400)).toBeLessThan(7 * 21);
      expect(image.variance[i]).toBeGreaterThan(0);
    }
  });

  test('without interpolation a pixel without response is NaN with NO_DATA', () => {
    const flat = ones.slice();
    flat[5000] = 0;
    const { image, report } = run(readOut({ seed: 16, detector, electrons: sky(17, 400).image }),
      { bias: zeros, flat }, { ...isrConfig, isInterpolated: false });
    expect(image.image[5000]).toBeNaN();
    expect(image.variance[5000]).toBeNaN();
    expect(image.mask[5000] & maskBits('NO_DATA', 'BAD')).toBe(maskBits('NO_DATA', 'BAD'));
    expect(report.figures.noDataCount).toBe(1);
  });

  test('cosmic rays are found, stars of every brightness and seeing are not taken for them', () => {
    const stars = strewnStars(18, 60, WIDTH, HEIGHT, 300, 8e5, 8, 10);
    for (const fwhmPx of [2.4, 3.2, 5]) {
      const field = renderField({ seed: 19, width: WIDTH, height: HEIGHT, fwhmPx, sky: 400, readNoise: 0, stars });
      expect(run(readOut({ seed: 20, detector, electrons: field.image })).report.figures.cosmicRayPixelCount).toBe(0);
    }
    const electrons = sky(21, 400, stars.slice(0, 5)).image.slice(), track: number[] = [];
    for (let k = 0; k < 12; k++) track.push((150 + Math.round(0.4 * k)) * WIDTH + 180 + k);
    for (const i of track) electrons[i] += 1500;
    const { image } = run(readOut({ seed: 22, detector, electrons }));
    const found = track.filter((i) => (image.mask[i] & maskBits('CR')) !== 0).length;
    expect(found).toBeGreaterThanOrEqual(11);
    expect(image.image[track[5]]).toBeLessThan(400 + 7 * 21);
  });

  test('the flanks of saturated stars, of bleeds and beside dead columns are not cosmic rays', () => {
    const stars = [[60.2, 50.4, 3e6], [190.7, 60.1, 8e6], [60.5, 190.5, 2e7], [190.1, 190.8, 5e6]];
    const electrons = sky(29, 400, stars.map(([x, y, flux]) => ({ x, y, flux }))).image.map((value) => Math.min(value, 1e5));
    for (const [x, y] of stars) {
      for (let row = Math.round(y) - 8; row < y + 9; row++) electrons[row * WIDTH + Math.round(x)] = 1e5;
    }
    const flat = ones.slice();
    for (const [x] of stars) for (let y = 0; y < HEIGHT; y++) flat[y * WIDTH + Math.round(x) + 7] = 0.3;
    const raw = readOut({ seed: 30, detector, electrons: electrons.map((value, i) => value * flat[i]) });
    expect(run(raw, { bias: zeros, flat }).report.figures.cosmicRayPixelCount).toBe(0);
  });

  test('a constant amp costs its own pixels, a constant detector is refused', () => {
    const raw = readOut({ seed: 23, detector, electrons: sky(24, 400).image });
    raw[0].pixels.fill(1234);
    const { image, report } = run(raw);
    expect(report.amps.map((amp) => amp.isConstant)).toEqual([true, false]);
    expect(image.mask[100 * WIDTH + 60] & maskBits('NO_DATA')).not.toBe(0);
    raw[1].pixels.fill(1234);
    expect(codeOf(() => run(raw))).toBe('FRAME_CONSTANT reject');
  });

  test('frames that cannot be used are refused by name', () => {
    const raw = readOut({ seed: 25, detector, electrons: sky(26, 400).image });
    expect(codeOf(() => run(readOut({ seed: 25, detector, electrons: zeros })))).toBe('FRAME_WITHOUT_LIGHT reject');
    expect(codeOf(() => run(raw.slice(1)))).toBe('AMP_MISSING reject');
    expect(codeOf(() => run([raw[0], { ...raw[1], width: 7 }]))).toBe('RAW_SIZE_WRONG reject');
    expect(codeOf(() => run(raw, { bias: null, flat: ones }))).toBe('CALIBRATION_MISSING retry');
    expect(codeOf(() => run(raw, { bias: zeros, flat: ones.slice(1) }))).toBe('CALIBRATION_SIZE_WRONG reject');
    expect(codeOf(() => run(raw, { bias: zeros, flat: ones.map(() => NaN) }))).toBe('FRAME_NAN reject');
    expect(codeOf(() => run(readOut({ seed: 25, detector,
      electrons: ones.map(() => 1e6) })))).toBe('FRAME_CONSTANT reject');
    expect(codeOf(() => run(readOut({ seed: 25, detector,
      electrons: ones.map((_, i) => (i % 100 === 0 ? 400 : 1e6)) })))).toBe('FRAME_SATURATED reject');
  });

  test('every step can be switched off, and the result is the same each time', () => {
    const raw = readOut({ seed: 27, detector, electrons: sky(28, 400).image });
    const off: IsrConfig = {
      ...isrConfig, isOverscanSubtracted: false, isBiasSubtracted: false, isFlatDivided: false,
        isSaturationMasked: false,
      isCosmicRayRejected: false, isInterpolated: false, edgePx: 0,
    };
    const { image, report } = run(raw, { bias: null, flat: null }, off);
    expect(image.mask.every((bits) => bits === 0)).toBe(true);
    expect(report.figures.skyElectrons).toBeGreaterThan(1900); // Level 1000 ADU × gain, and the sky.
    const first = run(raw), second = run(raw);
    expect(Buffer.from(first.image.image.buffer).equals(Buffer.from(second.image.image.buffer))).toBe(true);
    expect(Buffer.from(first.image.variance.buffer).equals(Buffer.from(second.image.variance.buffer))).toBe(true);
  });
});
