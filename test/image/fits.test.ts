import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FitsError, cardValue, firstImageHdu, parseFits, readFits, readImageInto, requireHdu, requireSize, writeFits,
  type FitsCard, type FitsValue,
} from '../../engine/image/fits.ts';
import { formatCard, parseCard } from '../../engine/image/fitsHeader.ts';

let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-fits-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ramp = (n: number) => Float32Array.from({ length: n }, (_, i) => i * 1.5 - 3);

/** The code and message with which reading `bytes` fails. */
function failure(bytes: Uint8Array): FitsError {
  try {
    const file = parseFits(bytes, 'frame.fits');
    readImageInto(firstImageHdu(file), new Float32Array(12));
  } catch (error) {
    if (error instanceof FitsError) return error;
    throw error;
  }
  throw new Error('the file was read');
}

describe('fits cards', () => {
  const value: fc.Arbitrary<FitsValue> = fc.oneof(
    fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0), fc.maxSafeInteger(),
    fc.bigInt({ min: 1n << 60n, max: 1n << 62n }),
    fc.string({ maxLength: 30, unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) =>
      String.fromCharCode(c)) }).map((s) => s.trimEnd()),
  );
  test('a number beyond 2⁵³ reads back as a number, and a bigint as a bigint', () => {
    for (const number of [2 ** 53, -(2 ** 60), 2n ** 53n]) expect(parseCard(formatCard(['KEY_1', number]))[1]).toBe(number);
  });
  test('a card reads back as it was written, quotes and slashes included', () => {
    fc.assert(fc.property(value, (v) => {
      const text = formatCard(['KEY_1', v, 'a comment']);
      expect(text).toHaveLength(80);
      expect(parseCard(text)[1]).toStrictEqual(Object.is(v, -0) ? 0 : v);
    }));
  });
  test('a value that FITS cannot hold is refused', () => {
    expect(() => formatCard(['KEY', NaN])).toThrow('KEY');
    expect(() => formatCard(['lower', 1])).toThrow('lower');
    expect(() => formatCard(['KEY', 'x'.repeat(70)])).toThrow('does not fit');
    expect(() => formatCard(['KEY', 'é'])).toThrow('characters');
  });
  test('free-format values, Fortran exponents and HIERARCH cards are understood', () => {
    expect(parseCard('GAIN    = 1.5D+01 / gain'.padEnd(80))).toEqual(['GAIN', 15, 'gain']);
    expect(parseCard("NAME    ='O''Brien / x' / c".padEnd(80))).toEqual(['NAME', "O'Brien / x", 'c']);
    expect(parseCard('HIERARCH ESO DET NAME = 4'.padEnd(80))).toEqual(['ESO DET NAME', 4]);
    expect(parseCard('COMMENT = not a value'.padEnd(80))[0]).toBe('COMMENT');
  });
});

describe('fits files', () => {
  test('planes of every supported type come back exactly, in order, with their names', () => {
    const cards: FitsCard[] = [['OBJECT', "it's"], ['EXPTIME', 30]];
    const bytes = writeFits(null, [
      { data: null, cards },
      { name: 'F4', data: ramp(12), width: 4, height: 3 },
      { name: 'U2', data: Uint16Array.of(0, 1, 32767, 32768, 65535, 7), width: 3, height: 2 },
      { name: 'F8', data: Float64Array.of(Math.PI, -1e300), width: 2, height: 1 },
      { name: 'I4', data: Int32Array.of(-2147483648, 5), width: 1, height: 2 },
      { name: 'U1', data: Uint8Array.of(0, 255), width: 2, height: 1 },
      { name: 'I2', data: Int16Array.of(-32768, 32767), width: 2, height: 1 },
    ]);
    expect(bytes.length % 2880).toBe(0);
    const file = parseFits(bytes, 'memory');
    expect(cardValue(file.hdus[0].header, 'OBJECT')).toBe("it's");
    const decode = (name: string, out: Float32Array | Float64Array | Uint16Array) =>
      { readImageInto(requireHdu(file, name), out); return Array.from(out); };
    expect(decode('F4', new Float32Array(12))).toEqual(Array.from(ramp(12)));
    expect(decode('U2', new Uint16Array(6))).toEqual([0, 1, 32767, 32768, 65535, 7]);
    expect(decode('U2', new Float32Array(6))).toEqual([0, 1, 32767, 32768, 65535, 7]);
    expect(decode('F8', new Float64Array(2))).toEqual([Math.PI, -1e300]);
    expect(decode('I4', new Float64Array(2))).toEqual([-2147483648, 5]);
    expect(decode('U1', new Float32Array(2))).toEqual([0, 255]);
    expect(decode('I2', new Float32Array(2))).toEqual([-32768, 32767]);
  });

  test('BLANK becomes NaN, and BSCALE and BZERO apply', () => {
    const bytes = writeFits(null, [{ data: Int16Array.of(-99, 10), width: 2, height: 1,
      cards: [['BSCALE', 0.5], ['BZERO', 100], ['BLANK', -99]] }]);
    const out = new Float32Array(2);
    readImageInto(parseFits(bytes, 'memory').hdus[0], out);
    expect(Array.from(out)).toEqual([NaN, 105]);
  });

  test('a scale that is no number, or 0, is refused and not taken as 1', () => {
    const decode = (cards: FitsCard[]): void => {
      const bytes = writeFits(null, [{ data: Int16Array.of(1, 2), width: 2, height: 1, cards }]);
      readImageInto(parseFits(bytes, 'memory').hdus[0], new Float32Array(2));
    };
    expect(() => decode([['BSCALE', 'nan']])).toThrow('memory: header has no number BSCALE');
    expect(() => decode([['BZERO', null]])).toThrow('memory: header has no number BZERO');
    expect(() => decode([['BSCALE', 0]])).toThrow('memory: BSCALE is 0');
  });

  test('a file is written atomically, compressed when named .gz, and twice with equal bytes', () => {
    const path = join(folder, 'sub', 'a.fits.gz');
    writeFits(path, [{ data: ramp(6), width: 3, height: 2 }]);
    const first = readFileSync(path);
    writeFits(path, [{ data: ramp(6), width: 3, height: 2 }]);
    expect(readFileSync(path).equals(first)).toBe(true);
    expect(readdirSync(join(folder, 'sub'))).toEqual(['a.fits.gz']);
    const out = new Float32Array(6);
    readImageInto(firstImageHdu(readFits(path)), out);
    expect(Array.from(out)).toEqual(Array.from(ramp(6)));
  });

  test('every way a file can be bad is named with the file in one line', () => {
    const good = writeFits(null, [{ data: ramp(12), width: 4, height: 3 }]);
    expect(failure(good.subarray(0, 2880 + 40))).toMatchObject({ code: 'FITS_TRUNCATED' });
    expect(failure(good.subarray(0, 100))).toMatchObject({ code: 'FITS_TRUNCATED' });
    expect(failure(new Uint8Array(0))).toMatchObject({ code: 'FITS_TRUNCATED' });
    expect(failure(Buffer.from('<html>not a frame</html>'))).toMatchObject({ code: 'FITS_NOT_FITS' });
    expect(failure(gzipSync(good).subarray(0, 60))).toMatchObject({ code: 'FITS_GZIP' });
    expect(failure(writeFits(null, [{ data: ramp(6), width: 3, height: 2 }]))).toMatchObject({ code: 'FITS_SIZE' });
    expect(failure(writeFits(null, [{ data: null }]))).toMatchObject({ code: 'FITS_NO_EXTENSION' });
    const error = failure(good.subarray(0, 2880 + 40));
    expect(error.message).toMatch(/^frame\.fits: truncated: [^\n]*$/);
    expect(() => readFits(join(folder, 'none.fits'))).toThrow(/none\.fits: no such file/);
    expect(() => readFits(folder)).toThrow(/cannot be read/);
  });

  test('an unsupported BITPIX is refused when pixels are asked for', () => {
    const big = Buffer.from(writeFits(null, [{ data: Float64Array.from(ramp(12)), width: 4, height: 3 }]));
    big.write('BITPIX  =                   64', 80, 'latin1');
    expect(failure(big)).toMatchObject({ code: 'FITS_BITPIX' });
  });

  test('a missing extension and a wrong size name what was expected', () => {
    const file = parseFits(writeFits(null, [{ name: 'A', data: ramp(6), width: 3, height: 2 }]), 'x.fits');
    expect(() => requireHdu(file, 'C00')).toThrow('x.fits: has no image extension C00');
    expect(() => requireSize(file.hdus[0], 5, 5)).toThrow('HDU A is 3 × 2 pixels, expected 5 × 5');
  });

  test('a failed write leaves neither the file nor a part of it', () => {
    const blocker = join(folder, 'file');
    writeFileSync(blocker, 'x');
    expect(() => writeFits(join(blocker, 'a.fits'), [{ data: null }])).toThrow(/cannot be written/);
    expect(readFileSync(blocker, 'utf8')).toBe('x');
  });

  test('any byte damage to a file gives a FitsError or pixels, never another error', () => {
    const good = writeFits(null, [{ data: null }, { name: 'A', data: ramp(12), width: 4, height: 3 }]);
    fc.assert(fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, cut) => {
      const bytes = Uint8Array.from(good.subarray(0, Math.max(cut, 2880)));
      if (at < bytes.length) bytes[at] = byte;
      try {
        readImageInto(firstImageHdu(parseFits(bytes, 'f')), new Float32Array(12));
      } catch (error) {
        return error instanceof FitsError;
      }
      return true;
    }), { numRuns: 500 });
  });
});
