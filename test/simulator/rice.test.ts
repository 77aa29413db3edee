import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFits } from '../../simulator/fitsWriter.ts';
import { normal, randomStream } from '../../simulator/random.ts';
import { riceCompress } from '../../simulator/riceCompression.ts';
import { readFitsBytes } from './readFits.ts';

const hasFunpack = spawnSync('funpack', ['-H']).error === undefined;

/** Decodes one row by the text of the standard (§10.4.1), bit by bit. */
function decodeRow(bytes: Uint8Array, width: number): number[] {
  let at = 0;
  const bit = (): number => { const value = (bytes[at >> 3] >> (7 - (at & 7))) & 1; at++; return value; };
  const bits = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 2 + bit();
    return value;
  };
  let last = bits(16);
  const row: number[] = [];
  while (row.length < width) {
    const count = Math.min(32, width - row.length), code = bits(4);
    for (let j = 0; j < count; j++) {
      let mapped = 0;
      if (code === 15) mapped = bits(16);
      else if (code > 0) {
        let zeros = 0;
        while (bit() === 0) zeros++;
        mapped = zeros * 2 ** (code - 1) + bits(code - 1);
      }
      last = (last + (mapped % 2 === 0 ? mapped / 2 : -(mapped + 1) / 2)) & 0xffff;
      row.push(last);
    }
  }
  return row.map((value) => value ^ 0x8000);
}

test('any 16-bit row comes back from its compressed form', () => {
  fc.assert(fc.property(fc.uint16Array({ minLength: 1, maxLength: 200 }), fc.nat(16), (values, quiet) => {
    const row = values.map((value) => 30_000 + (value >> quiet)); // From noise of all bits to none.
    const { heap, lengths } = riceCompress(row, row.length, 1);
    expect(lengths[0]).toBe(heap.length);
    expect(decodeRow(heap, row.length)).toEqual([...row]);
  }));
});

test('rows are apart: each decodes alone, and a noisy sky takes its entropy', () => {
  const width = 200, height = 30, random = randomStream(1, 'rice');
  const pixels = Uint16Array.from({ length: width * height }, () => 1500 + Math.round(12 * normal(random)));
  const { heap, lengths } = riceCompress(pixels, width, height);
  let at = 0;
  for (let y = 0; y < height; y++) {
    expect(
      decodeRow(heap.subarray(at, at + lengths[y]), width),
    ).toEqual([...pixels.subarray(y * width, (y + 1) * width)]);
    at += lengths[y];
  }
  // A difference of normal values of σ = 17 has log2(17 √(2πe)) = 6.1 bits; Rice codes stay within half a bit of it.
  expect((8 * heap.length) / pixels.length).toBeLessThan(6.1 + 0.5 + 20 / width * 2);
});

test.skipIf(!hasFunpack)('funpack gives back the very pixels of the uncompressed file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-rice-'));
  try {
    const random = randomStream(2, 'rice file'), width = 150, height = 40;
    const pixels = Uint16Array.from(
      { length: width * height }, (_, i) => (i % 97 === 0 ? 65_535 : Math.round(1200 + 8 * normal(random))),
    );
    const hdus = [
      { cards: [], image: null }, { cards: [['EXTNAME', 'C00', 'amp']] as const, image: { width, height, pixels } },
    ];
    writeFileSync(join(folder, 'packed.fits'), encodeFits(hdus, 'rice'));
    execFileSync('funpack', ['-O', join(folder, 'plain.fits'), join(folder, 'packed.fits')]);
    const [, plain] = readFitsBytes(readFileSync(join(folder, 'plain.fits')));
    expect([plain.width, plain.height, plain.cards.get('EXTNAME')]).toEqual([width, height, 'C00']);
    expect(plain.pixels).toEqual(Float64Array.from(pixels));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
