import { expect, test } from 'vitest';
import { loadCamera } from '../../schemas/camera.ts';
import { encodeRaw } from '../../simulator/rawFile.ts';
import { addShotNoise, bleed, fullWellElectrons, readDetector } from '../../simulator/detector.ts';
import { planNight } from '../../simulator/schedule.ts';
import { randomStream } from '../../simulator/random.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { readFitsBytes, sectionOf } from './readFits.ts';
import { TINY_SIZE, tinyCamera } from './tinyCamera.ts';

const camera = loadCamera('minicam');
const detector = camera.detectors[0];

/** A flat of that level without any pattern of response: the difference of two has only noise. */
function flatPair(level: number): [Uint16Array[], Uint16Array[]] {
  const frame = (exposure: number): Uint16Array[] => {
    const electrons = new Float32Array(detector.width * detector.height).fill(level);
    addShotNoise(electrons, randomStream(5, 'test flat', exposure, level));
    return readDetector(5, detector, electrons, 'test read', exposure);
  };
  return [frame(1), frame(2)];
}

test('photon transfer of a flat pair recovers gain and read noise of every amp', () => {
  const dark = flatPair(0), bright = flatPair(20_000);
  detector.amps.forEach((amp, index) => {
    const { x0, x1, y0, y1 } = amp.rawData, count = (x1 - x0) * (y1 - y0);
    const pairOf = ([a, b]: [Uint16Array[], Uint16Array[]]): { mean: number; variance: number } => {
      let sum = 0, sumA = 0, square = 0;
      for (let y = y0; y < y1; y++) {
        for (let x = x0; x < x1; x++) {
          const i = y * amp.rawWidth + x, difference = a[index][i] - b[index][i];
          sum += difference; square += difference * difference; sumA += (a[index][i] + b[index][i]) / 2;
        }
      }
      return { mean: sumA / count, variance: (square - (sum * sum) / count) / (count - 1) / 2 };
    };
    const low = pairOf(dark), high = pairOf(bright);
    const gain = (high.mean - low.mean) / (high.variance - low.variance);
    // Relative error of a variance from n pairs is √(2/n) = 0.28 %; five of them, and the drift of the rows (0.12
    // ADU²) of 8,000.
    expect(Math.abs(gain / amp.gainElectronsPerAdu - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    // Rounding to ADU adds 1/12 ADU²; rows drift by σ²/(1 − 0.9²) = 0.118 ADU².
    const readVariance = (low.variance - 1 / 12 - 0.15 ** 2 / (1 - 0.81)) * amp.gainElectronsPerAdu ** 2;
    // 0.14 % noise, drift 1 %/2.
    expect(Math.abs(Math.sqrt(readVariance) / amp.readNoiseElectrons - 1)).toBeLessThan(0.01);
  });
});

test('bleeding moves charge along the column and neither makes nor loses any', () => {
  const [tiny] = tinyCamera(1).detectors, amp = tiny.amps[0];
  const electrons = new Float32Array(TINY_SIZE * TINY_SIZE).fill(100);
  const saturated = new Uint8Array(electrons.length);
  const full = fullWellElectrons(amp);
  electrons[20 * TINY_SIZE + 10] = 5.5 * full;
  const before = electrons.reduce((sum, value) => sum + value, 0);
  bleed(electrons, saturated, TINY_SIZE, amp);
  const after = electrons.reduce((sum, value) => sum + value, 0);
  expect(Math.abs(after / before - 1)).toBeLessThan(1e-6); // Float32 holds 24 bits.
  const column = Array.from({ length: TINY_SIZE }, (_, y) => electrons[y * TINY_SIZE + 10]);
  expect(Math.max(...column)).toBeLessThanOrEqual(Math.fround(full));
  expect(column.filter((value) => value > 0.9 * full).length).toBe(5); // 2.25 wells of excess go each way.
  expect(electrons[20 * TINY_SIZE + 11]).toBe(100);
  expect(saturated[20 * TINY_SIZE + 10]).toBe(1);
});

test('charge that bleeds to the edge of an amp does not cross the middle of the detector', () => {
  const [tiny] = tinyCamera(1).detectors, amp = tiny.amps[0];
  const electrons = new Float32Array(TINY_SIZE * TINY_SIZE);
  electrons[47 * TINY_SIZE + 10] = 20 * fullWellElectrons(amp);
  bleed(electrons, new Uint8Array(electrons.length), TINY_SIZE, amp);
  expect(electrons[48 * TINY_SIZE + 10]).toBe(0);
});

test('a raw file puts each electron where DETSEC says, on amps of every direction of reading', () => {
  const tiny = tinyCamera(1), [described] = tiny.detectors;
  const electrons = Float32Array.from({ length: TINY_SIZE ** 2 }, (_, i) =>
    2000 + 100 * (i % TINY_SIZE) + 10_000 * (Math.floor(i / TINY_SIZE) % 3));
  const amps = readDetector(1, described, electrons, 'test', 1);
  const [plan] = planNight({ dayObs: asDayObs(20260915), visitCount: 1, seed: 1, camera: tiny });
  const hdus = readFitsBytes(encodeRaw('tinycam', asDayObs(20260915), described, plan, amps));
  expect(hdus.length).toBe(5);
  for (const hdu of hdus.slice(1)) {
    const data = sectionOf(String(hdu.cards.get('DATASEC'))), bias = sectionOf(String(hdu.cards.get('BIASSEC')));
    const place = sectionOf(String(hdu.cards.get('DETSEC')));
    let worst = 0;
    for (let y = data.y0; y < data.y1; y++) {
      let level = 0;
      for (let x = bias.x0; x < bias.x1; x++) level += hdu.pixels[y * hdu.width + x] / 16;
      const row = place.flipY ? place.y1 - 1 - y : place.y0 + y;
      for (let x = data.x0; x < data.x1; x++) {
        const column = place.flipX ? place.x1 - 1 - (x - 3) : place.x0 + x - 3;
        const measured = (hdu.pixels[y * hdu.width + x] - level) * Number(hdu.cards.get('GAIN'));
        worst = Math.max(worst, Math.abs(measured - electrons[row * TINY_SIZE + column]));
      }
    }
    // Read noise 6 e⁻ (6 σ, pixel and overscan) and bias pattern (6 + 3 · 0.8 ADU, gain 1.7): 36 + 9 + 15. One column
    // is 100.
    expect(worst).toBeLessThan(60);
  }
});

test('a raw file has the keywords that products.ts names', () => {
  const tiny = tinyCamera(1), [described] = tiny.detectors;
  const [plan] = planNight({ dayObs: asDayObs(20260915), visitCount: 1, seed: 1, camera: tiny });
  const amps = readDetector(1, described, null, 'test', 1);
  const hdus = readFitsBytes(encodeRaw('tinycam', asDayObs(20260915), described, plan, amps));
  const names = ['INSTRUME', 'DAYOBS', 'SEQNUM', 'OBSID', 'GROUPID', 'EXPOSURE', 'SNAP', 'DETECTOR', 'DETNAME',
    'FILTER', 'BAND', 'EXPTIME', 'TIMESYS', 'MJD-BEG', 'MJD-MID', 'RA', 'DEC', 'ROTPA'];
  expect(names.filter((name) => !hdus[0].cards.has(name))).toEqual([]);
  expect(hdus[0].cards.get('MJD-MID')).toBe(plan.midpointMjdTai);
  expect(hdus[0].cards.get('EXPOSURE')).toBe(2026091500001);
  expect(hdus[0].cards.get('RA')).toBe(plan.commanded.raDeg);
  const ampNames = ['EXTNAME', 'GAIN', 'RDNOISE', 'SATURATE', 'DATASEC', 'BIASSEC', 'POSCSEC', 'DETSEC'];
  for (const hdu of hdus.slice(1)) expect(ampNames.filter((name) => !hdu.cards.has(name))).toEqual([]);
});
