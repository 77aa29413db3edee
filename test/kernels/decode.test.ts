import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeFloat32, decodeScaled16, decodeUnsigned16 } from '../../engine/kernels/decode.ts';
import { decodeFloat32Twin, decodeScaled16Twin, decodeUnsigned16Twin } from '../../engine/kernels/twins/decode.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

/** Stored bytes of any content, and the odd offsets at which a FITS file may have them. */
const stored = fc.record({
  bytes: fc.uint8Array({ maxLength: 600 }), skew: fc.integer({ min: 0, max: 15 }), isShared: fc.boolean(),
});

describe('decoding kernels give the bits of their twins', () => {
  test('decodeUnsigned16', () => {
    fc.assert(fc.property(stored, ({ bytes, skew, isShared }) => {
      arena.reset();
      const count = bytes.length >> 1, expected = new Uint16Array(count),
        out = arena.words(new Uint16Array(count), skew);
      decodeUnsigned16Twin(bytes, expected);
      decodeUnsigned16(isShared ? arena.bytes(bytes, skew) : bytes, out);
      expect(firstDifference(out, expected)).toBe(-1);
    }));
  });

  test('decodeFloat32, NaN payloads included', () => {
    fc.assert(fc.property(stored, ({ bytes, skew, isShared }) => {
      arena.reset();
      const count = bytes.length >> 2, expected = new Float32Array(count),
        out = arena.floats(new Float32Array(count), skew);
      decodeFloat32Twin(bytes, expected);
      decodeFloat32(isShared ? arena.bytes(bytes, skew) : bytes, out);
      const bitsOf = (plane: Float32Array) => new Uint32Array(plane.buffer, plane.byteOffset, plane.length);
      expect(firstDifference(bitsOf(out), bitsOf(expected))).toBe(-1);
    }));
  });

  test('decodeScaled16, blanks and scales included', () => {
    const numbers = fc.double({ noNaN: true, min: -1e6, max: 1e6 });
    const blanks = fc.constantFrom(null, 0, -32768, 32767, 70000, 0.5);
    fc.assert(fc.property(stored, numbers, numbers, blanks, ({ bytes, skew, isShared }, scale, zero, blank) => {
      arena.reset();
      const count = bytes.length >> 1, expected = new Float32Array(count),
        out = arena.floats(new Float32Array(count), skew);
      decodeScaled16Twin(bytes, scale, zero, blank, expected);
      decodeScaled16(isShared ? arena.bytes(bytes, skew) : bytes, scale, zero, blank, out);
      expect(firstDifference(out, expected)).toBe(-1);
    }));
  });

  test('data larger than a chunk of the work area', () => {
    arena.reset();
    const bytes = Uint8Array.from({ length: 600_001 }, (_, i) => (i * 7919) >> 3), count = 300_000;
    const expected = new Uint16Array(count), out = arena.words(new Uint16Array(count));
    decodeUnsigned16Twin(bytes, expected);
    decodeUnsigned16(bytes, out);
    expect(firstDifference(out, expected)).toBe(-1);
  });
});

test('decoding writes nothing beyond the plane', () => {
  arena.reset();
  const plane = arena.words(new Uint16Array(40).fill(7));
  decodeUnsigned16(new Uint8Array(100), plane.subarray(3, 36));
  expect([...plane.subarray(0, 3), ...plane.subarray(36)]).toEqual([7, 7, 7, 7, 7, 7, 7]);
});

test('too few bytes are refused', () => {
  arena.reset();
  expect(() => { decodeFloat32(new Uint8Array(7), arena.floats(new Float32Array(2))); }).toThrow(
    '7 bytes of data, 8 required');
});
