import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FitsError, numberCard, parseFits, readFits, readImageInto, requireHdu, stringCard,
} from '../../engine/image/fits.ts';
import { decodeRiceRows, decodeRiceTile } from '../../engine/kernels/rice.ts';
import { encodeFits } from '../../simulator/fitsWriter.ts';
import { riceCompress } from '../../simulator/riceCompression.ts';
import { testArena, type TestArena } from '../kernels/memory.ts';
import { firstDifference, randomOf } from '../kernels/planes.ts';

const PYTHON = '/usr/bin/python3', hasAstropy = spawnSync(PYTHON, ['-c', 'import astropy']).status === 0;

let arena: TestArena, folder = '';
beforeAll(async () => {
  arena = await testArena(2 * 1024 ** 2);
  folder = mkdtempSync(join(tmpdir(), 'vesper-tiles-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Counts of every kind that a code has a case for: equal, quiet, noisy, jumping through the whole range. */
const counts = fc.record({
  width: fc.integer({ min: 1, max: 90 }), height: fc.integer({ min: 1, max: 6 }), seed: fc.integer(),
  spread: fc.constantFrom(0, 1, 3, 40, 3000, 65536), spikes: fc.constantFrom(0, 0.05, 0.5),
}).map(({ width, height, seed, spread, spikes }) => {
  const random = randomOf(seed);
  const pixels = Uint16Array.from({ length: width * height },
    () => (random() < spikes ? 65536 * random() : Math.min(65535, 1000 + spread * random())));
  return { width, height, pixels };
});

function placesOf(lengths: Uint32Array): Int32Array {
  const places = new Int32Array(2 * lengths.length);
  let at = 0;
  lengths.forEach((length, row) => { places.set([at, length], 2 * row); at += length; });
  return places;
}

/** A file whose extension AMP is that image, Rice-compressed by the simulator's own encoder. */
const compressedFile = (width: number, height: number, pixels: Uint16Array): Buffer => encodeFits([
  { cards: [], image: null }, { cards: [['EXTNAME', 'AMP'], ['GAIN', 1.5]], image: { width, height, pixels } },
], 'rice');

describe('Rice-compressed counts', () => {
  test('compiled and twin give back every count', () => {
    fc.assert(fc.property(counts, ({ width, height, pixels }) => {
      arena.reset();
      const { heap, lengths } = riceCompress(pixels, width, height), places = placesOf(lengths);
      const out = arena.words(new Uint16Array(pixels.length)), twin = new Uint16Array(pixels.length);
      expect(decodeRiceRows(heap, places, width, 32, 0x8000, out)).toBe(-1);
      expect(decodeRiceRows(heap, places, width, 32, 0x8000, twin)).toBe(-1);
      expect(firstDifference(out, pixels)).toBe(-1);
      expect(firstDifference(twin, pixels)).toBe(-1);
    }), { numRuns: 300 });
  });

  test('compiled and twin find the same rows damaged, and the same counts in sound ones, whatever the bytes', () => {
    const noises = fc.uint8Array({ minLength: 1, maxLength: 12 }), cuts = fc.integer({ min: -3, max: 3 });
    fc.assert(fc.property(counts, noises, fc.nat(), cuts, fc.boolean(),
      ({ width, height, pixels }, noise, place, cut, isNoise) => {
        arena.reset();
        const { heap, lengths } = riceCompress(pixels, width, height), places = placesOf(lengths);
        const damaged = Uint8Array.from(heap), row = place % height;
        if (isNoise) noise.forEach((byte, k) => { damaged[(place + k) % damaged.length] ^= byte; });
        else places[2 * row + 1] = Math.max(0, Math.min(places[2 * row + 1] - cut, damaged.length - places[2 * row]));
        const out = arena.words(new Uint16Array(pixels.length)), twin = new Uint16Array(pixels.length);
        const bad = decodeRiceRows(damaged, places, width, 32, 0x8000, twin);
        expect(decodeRiceRows(damaged, places, width, 32, 0x8000, out)).toBe(bad);
        if (!isNoise && cut > 0) expect(bad).toBe(row);
        const sound = bad < 0 ? pixels.length : bad * width;
        expect(firstDifference(out.subarray(0, sound), twin.subarray(0, sound))).toBe(-1);
      }), { numRuns: 400 });
  });

  test('a compressed raw reads as the image that it was, with its header, in shared memory and elsewhere', () => {
    fc.assert(fc.property(counts, ({ width, height, pixels }) => {
      arena.reset();
      const hdu = requireHdu(parseFits(compressedFile(width, height, pixels), 'raw.fits'), 'AMP');
      expect([hdu.axes, hdu.bitpix]).toEqual([[width, height], 16]);
      expect([numberCard(hdu.header, 'GAIN'), numberCard(hdu.header, 'ZBITPIX')]).toEqual([1.5, null]);
      expect(stringCard(hdu.header, 'TFORM1')).toBeNull();
      const own = new Uint16Array(pixels.length);
      for (const out of [arena.words(own), own, new Float32Array(pixels.length)]) {
        readImageInto(hdu, out);
        expect(firstDifference(out, pixels)).toBe(-1);
      }
    }), { numRuns: 50 });
  });

  test('damage is a FITS error of one line, or counts that the code allows; never anything else', () => {
    let found = 0;
    const bytes = fc.integer({ min: 1, max: 255 });
    fc.assert(fc.property(counts, fc.nat(), bytes, ({ width, height, pixels }, place, byte) => {
      const file = compressedFile(width, height, pixels), start = file.length - Math.ceil((8 * height) / 2880) * 2880;
      file[start + (place % (file.length - start))] ^= byte;
      try {
        readImageInto(requireHdu(parseFits(file, 'raw.fits'), 'AMP'), new Uint16Array(pixels.length));
      } catch (error) {
        found++;
        expect(error).toBeInstanceOf(FitsError);
        expect((error as FitsError).message).toMatch(/^raw\.fits: compressed image AMP is damaged: tile \d+/);
      }
    }), { numRuns: 300 });
    // Descriptors and unary codes are much of a small file.
    expect(found).toBeGreaterThan(10);
  });

  test('a method that is not supported is named', () => {
    const file = compressedFile(8, 8, new Uint16Array(64));
    const text = file.toString('latin1').replace("'RICE_1  '", "'PLIO_1  '");
    expect(() => parseFits(Buffer.from(text, 'latin1'), 'raw.fits')).toThrow('raw.fits: compression PLIO_1 is not supported');
  });
});

test('decodeRiceTile reads numbers of 1 and of 4 bytes', () => {
  // By hand: 8 bits of 5; code 0 + 1 (3 bits): low 0; differences 0, +1, −1, as 1, 001, 01.
  expect(decodeOne([0b00000101, 0b00110010, 0b10000000], 1, 3)).toEqual([5, 6, 5]);
  // 32 bits of −2; code 0 (5 bits): all equal.
  expect(decodeOne([255, 255, 255, 254, 0], 4, 3)).toEqual([-2, -2, -2]);
});

function decodeOne(bytes: readonly number[], numberBytes: number, count: number): number[] {
  const out = new Int32Array(count);
  expect(decodeRiceTile(Uint8Array.from(bytes), 32, numberBytes, out)).toBe(true);
  return [...out];
}

test.skipIf(!hasAstropy)('reads what astropy compresses, as astropy reads it (skipped without astropy)', () => {
  const script = `
import sys, numpy as np
from astropy.io import fits
folder = sys.argv[1]
rng = np.random.default_rng(7)
sky = rng.normal(1000, 20, (37, 53)).astype('f4'); sky[5, 6] = np.nan; sky[9, 9] = 0
counts = rng.poisson(900, (37, 53)).astype('u2')
signed = rng.normal(0, 1e5, (37, 53)).astype('i4')
cases = [
  ('rice16', counts, dict(compression_type='RICE_1')), ('rice32', signed, dict(compression_type='RICE_1')),
  ('gzip16', counts, dict(compression_type='GZIP_1')),
  ('gzip32', signed, dict(compression_type='GZIP_2', tile_shape=(10, 20))),
  ('floatRice', sky, dict(compression_type='RICE_1')),
  ('floatDither1', sky, dict(compression_type='RICE_1', quantize_method=1, dither_seed=77)),
  ('floatDither2', sky, dict(compression_type='RICE_1', quantize_method=2, dither_seed=9990, tile_shape=(16, 16))),
  ('floatGzip', sky, dict(compression_type='GZIP_2', quantize_level=0)),
  ('floatGzip1', sky, dict(compression_type='GZIP_1')),
  ('double', sky.astype('f8'), dict(compression_type='GZIP_1', quantize_level=0)),
]
for name, data, options in cases:
    path = folder + '/' + name + '.fits'
    fits.CompImageHDU(data, name='X', **options).writeto(path, checksum=name.endswith('16'))
    fits.open(path)['X'].data.astype('<f8').tofile(path + '.truth')
print(','.join(c[0] for c in cases))`;
  const names = execFileSync(PYTHON, ['-c', script, folder], { encoding: 'utf8' }).trim().split(',');
  expect(names).toHaveLength(10);
  for (const name of names) {
    const path = join(folder, `${name}.fits`), out = new Float64Array(37 * 53), bytes = readFileSync(`${path}.truth`);
    readImageInto(requireHdu(readFits(path), 'X'), out);
    const truth = new Float64Array(bytes.buffer, bytes.byteOffset, out.length);
    // astropy gives quantized floats in single precision: half a unit of the last place of 1,000.
    const isQuantized = name.startsWith('float') && name !== 'floatGzip';
    const isAlike = (a: number, b: number) => Object.is(a, b) || Math.abs(a - b) <= (isQuantized ? 6.2e-5 : 0);
    const off = out.findIndex((value, i) => !isAlike(value, truth[i]));
    expect({ name, off, value: out[off] }).toEqual({ name, off: -1, value: undefined });
  }
  const damaged = readFileSync(join(folder, 'rice16.fits'));
  damaged[damaged.length - 2880 + 20] ^= 4;
  writeFileSync(join(folder, 'damaged.fits'), damaged);
  expect(() => readImageInto(requireHdu(readFits(join(folder, 'damaged.fits')), 'X'), new Uint16Array(37 * 53)))
    .toThrow(/damaged\.fits: compressed image X is damaged: its bytes do not have their DATASUM/);
});
