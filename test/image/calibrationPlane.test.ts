import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { calibrationHdu, readCalibrationPlane } from '../../engine/image/calibrationPlane.ts';
import { writeFits } from '../../engine/image/fits.ts';
import { isScaled, valueAt } from '../../engine/kernels/scaled.ts';
import { encodeFits } from '../../simulator/fitsWriter.ts';
import { scaledPixels } from '../../simulator/scaledPixels.ts';
import { readFitsBytes } from '../simulator/readFits.ts';
import { skyRandom } from '../support/skyRandom.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-calibration-'));
afterAll(() => { rmSync(folder, { recursive: true }); });

const WIDTH = 120, HEIGHT = 90, NOISE = 0.1, size = { width: WIDTH, height: HEIGHT };

/** A dark: noise, a missing pixel, and hot ones, of which the second is beyond 16 bits of sixteenths of the noise. */
function dark(): Float32Array {
  const random = skyRandom(4), plane = Float32Array.from({ length: WIDTH * HEIGHT }, () => 0.2 + NOISE * random.normal());
  plane[77] = NaN;
  plane[500] = 150;
  plane[501] = 1500;
  return plane;
}

test.each([
  ['the engine', (plane: Float32Array) => writeFits(null, [
    { data: null }, calibrationHdu(plane, WIDTH, HEIGHT, [['BUNIT', 'electron/s']]),
  ])],
  ['the simulator', (plane: Float32Array) => {
    const { pixels, cards } = scaledPixels(plane);
    return encodeFits([{ cards: [], image: null }, { cards: [['EXTNAME', 'IMAGE'], ...cards], image: { ...size, pixels } }]);
  }],
])('16 bits of %s keep a plane to half a step, a 32nd of its noise, and hot pixels hot', (_, encode) => {
  const plane = dark(), bytes = Buffer.from(encode(plane)), path = join(folder, 'dark.fits');
  writeFileSync(path, bytes);
  const read = readCalibrationPlane(path, size, new Float32Array(plane.length));
  expect(isScaled(read)).toBe(true);
  // By the standard's text alone, in double precision: 205 / 2²⁴ for each of two roundings.
  const { pixels, cards } = readFitsBytes(bytes)[1], blank = Number(cards.get('BLANK')), scale = Number(cards.get('BSCALE'));
  for (let i = 0; i < plane.length; i++) {
    const value = valueAt(read, i);
    if (i === 77) {
      expect(value).toBeNaN();
      expect((pixels[i] - Number(cards.get('BZERO'))) / scale).toBeCloseTo(blank, 6);
      continue;
    }
    expect(Math.abs(value - pixels[i])).toBeLessThan(3e-5);
    if (i !== 501) expect(Math.abs(value - plane[i])).toBeLessThan(0.5 * scale + 3e-5);
  }
  // The median of 43 differences tells the noise to 0.15 of it.
  expect(Math.abs(16 * scale / NOISE - 1)).toBeLessThan(0.5);
  expect(valueAt(read, 501)).toBeGreaterThan(150);
});

test('a plane whose range fits is kept to half a step of that range; one that is the same everywhere, as it is', () => {
  const of = (plane: Float32Array) => {
    const path = join(folder, 'plane.fits');
    writeFits(path, [{ data: null }, calibrationHdu(plane, WIDTH, HEIGHT, [])]);
    return readCalibrationPlane(path, size, new Float32Array(plane.length));
  };
  const flat = Float32Array.from({ length: WIDTH * HEIGHT }, (_, i) => 0.4 + 0.7 * ((i * 7919) % 1000) / 1000);
  const read = of(flat), step = 0.7 / 65534;
  flat.forEach((value, i) => { expect(Math.abs(valueAt(read, i) - value)).toBeLessThan(0.51 * step + 2e-7); });
  for (const level of [0, 1, -3.25]) {
    expect(valueAt(of(new Float32Array(WIDTH * HEIGHT).fill(level)), 99)).toBe(level);
  }
  expect(valueAt(of(new Float32Array(WIDTH * HEIGHT).fill(NaN)), 99)).toBeNaN();
});

test('float32 files, and 16 bits whose blank is another, are read as float32', () => {
  const path = join(folder, 'other.fits'), plane = dark(), room = new Float32Array(plane.length);
  writeFits(path, [{ data: null }, { name: 'IMAGE', data: plane, ...size }]);
  expect(readCalibrationPlane(path, size, room)).toBe(room);
  expect(Buffer.from(room.buffer).equals(Buffer.from(plane.buffer))).toBe(true);
  const data = Int16Array.from(plane, (_, i) => (i === 5 ? -1 : i === 6 ? -32768 : i));
  writeFits(path, [{ data: null }, { name: 'IMAGE', data, ...size, cards: [['BSCALE', 0.5], ['BZERO', 3], ['BLANK', -1]] }]);
  expect(readCalibrationPlane(path, size, room)).toBe(room);
  expect([...room.subarray(4, 8)]).toEqual([5, NaN, -16381, 6.5]);
});
