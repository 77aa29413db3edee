import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeFits, type FitsHduOut } from '../../engine/image/fits.ts';
import { streamFits } from '../../engine/image/fitsStream.ts';

const directory = mkdtempSync(join(tmpdir(), 'vesper-stream-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('a streamed file has the bytes of one written at once, of every kind of plane and past a chunk', () => {
  const width = 301, height = 257, values = Array.from({ length: width * height }, (_, j) => (j * 7919) % 65521);
  const planes = [
    Float32Array.from(values), Float64Array.from(values), Uint16Array.from(values), Int32Array.from(values),
    Uint8Array.from(values, (value) => value & 0xff),
  ];
  const hdus: FitsHduOut[] = [
    { data: null }, ...planes.map((data, i) => ({ name: `P${i}`, data, width, height, cards: [['N', i]] as const })),
  ];
  const path = join(directory, 'a.fits');
  streamFits(path, hdus);
  expect(readFileSync(path).equals(writeFits(null, hdus))).toBe(true);
  expect(readdirSync(directory)).toEqual(['a.fits']);
  const whole = readFileSync(path);
  streamFits(path, hdus.map((hdu) => ({ ...hdu, isUsedUp: true })));
  expect(readFileSync(path).equals(whole)).toBe(true);
});
