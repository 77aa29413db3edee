import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordFields } from '../../schemas/alertSchema.ts';
import {
  alertType,
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, decodeMpcOrbit, decodeSsObject, decodeSsSource,
  encodeDiaForcedSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit, encodeSsObject, encodeSsSource,
} from '../../schemas/avro.ts';
import { countSize, longAt, longSize, skipLong, writeCount, writeLong } from '../../schemas/avroLong.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import type { DiaSource } from '../../schemas/diaRows.ts';
import {
  anyAlert, anyDiaForcedSource, anyDiaObject, anyDiaSource, anyMpcOrbit, anySsObject, anySsSource,
} from './alertArbitraries.ts';

const runs = { numRuns: 50 };
const row = newDiaSource({
  diaSourceId: 2n ** 62n + 1n, visit: 2026112000001n, detector: 3, midpointMjdTai: 61364.25, ra: 10.5, dec: -30.25,
  x: 100.5, y: 200.25, timeProcessedMjdTai: 61364.3, bboxSize: 31,
});

describe('each codec gives back every row that it was given, 64-bit ids exact', () => {
  test('diaSource', () => roundTrips(anyDiaSource, encodeDiaSource, decodeDiaSource));
  test('diaObject', () => roundTrips(anyDiaObject, encodeDiaObject, decodeDiaObject));
  test('diaForcedSource', () => roundTrips(anyDiaForcedSource, encodeDiaForcedSource, decodeDiaForcedSource));
  test('ssSource', () => roundTrips(anySsSource, encodeSsSource, decodeSsSource));
  test('mpc_orbits', () => roundTrips(anyMpcOrbit, encodeMpcOrbit, decodeMpcOrbit));
  test('ssObject', () => roundTrips(anySsObject, encodeSsObject, decodeSsObject));
  test('a whole alert', () => roundTrips(
    anyAlert, (alert) => alertType.toBuffer(alert), (bytes) => alertType.fromBuffer(Buffer.from(bytes))));
});

test.each([NaN, Infinity, -Infinity])('%d in a float or double field is an error that names the field', (bad) => {
  expect(() => encodeDiaSource({ ...row, psfFlux: bad })).toThrow(/^diaSource\.psfFlux: .*not a finite float32$/);
  expect(() => encodeDiaSource({ ...row, ra: bad })).toThrow(/^diaSource\.ra: .*not a finite number$/);
});

test('a number beyond float32 is refused in a float field and accepted in a double field', () => {
  expect(() => encodeDiaSource({ ...row, psfFlux: 1e39 })).toThrow('diaSource.psfFlux');
  expect(decodeDiaSource(encodeDiaSource({ ...row, trailRa: 1e39 })).trailRa).toBe(1e39);
});

test('a value of the wrong type, out of range or missing is an error that names the field', () => {
  const { band: _, ...withoutBand } = row;
  const wrong: readonly [object, string][] = [
    [{ ...row, diaSourceId: 5 }, 'diaSource.diaSourceId'], [{ ...row, visit: 2n ** 63n }, 'diaSource.visit'],
    [{ ...row, detector: 1.5 }, 'diaSource.detector'], [{ ...row, bboxSize: 2 ** 31 }, 'diaSource.bboxSize'],
    [{ ...row, isNegative: 1 }, 'diaSource.isNegative'], [{ ...row, x: null }, 'diaSource.x'],
    [withoutBand, 'diaSource.band'],
  ];
  for (const [bad, field] of wrong) expect(() => encodeDiaSource(bad as DiaSource)).toThrow(field);
});

test('a time outside the years 1 … 9999, on which Python’s clients fail, is an error that names the field', () => {
  const [orbit] = fc.sample(anyMpcOrbit, { numRuns: 1, seed: 1 });
  const last = 253_402_300_799_999_999n; // date -u -d 9999-12-31T23:59:59 +%s999999
  expect(decodeMpcOrbit(encodeMpcOrbit({ ...orbit, updated_at: last })).updated_at).toBe(last);
  expect(() => encodeMpcOrbit({ ...orbit, updated_at: last + 1n })).toThrow('mpc_orbits.updated_at');
});

test('the bytes of a row do not depend on the order of its keys', () => {
  const reversed = Object.fromEntries(Object.entries(row).reverse()) as unknown as DiaSource;
  expect(encodeDiaSource(reversed)).toEqual(encodeDiaSource(row));
});

test('a float comes back as the nearest float32', () => {
  expect(decodeDiaSource(encodeDiaSource({ ...row, psfFlux: 0.1 })).psfFlux).toBe(Math.fround(0.1));
});

test('a row cut short at any byte, or with a byte too many, is refused', () => {
  const bytes = encodeDiaSource(row);
  for (let size = 0; size < bytes.length; size++) {
    expect(() => decodeDiaSource(bytes.subarray(0, size))).toThrow(/^diaSource: /);
  }
  expect(() => decodeDiaSource(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(/^diaSource: .*trailing/);
});

test('decoding does not care where in a larger buffer the bytes lie', () => {
  const bytes = encodeDiaSource(row);
  const larger = new Uint8Array(bytes.length + 9);
  larger.set(bytes, 7);
  expect(decodeDiaSource(larger.subarray(7, 7 + bytes.length))).toEqual(decodeDiaSource(bytes));
});

test('decoded rows hold the fields in the order of the schema', () => {
  const names = recordFields('diaSource', '11.0').map((field) => field.name);
  expect(Object.keys(decodeDiaSource(encodeDiaSource(row)))).toEqual(names);
});

test('a long takes the bytes that avsc gives it, and is read back', () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
    const out = new Uint8Array(longSize(value));
    expect(writeLong(out, 0, value)).toBe(out.length);
    expect(skipLong(out, 0, out.length)).toBe(out.length);
    expect(longAt(out, 0, out.length)).toBe(value);
    // The first field of a diaSource is a long.
    expect(encodeDiaSource({ ...row, diaSourceId: value }).subarray(0, out.length)).toEqual(Buffer.from(out));
  }), { examples: [[0n], [-1n], [63n], [64n], [-64n], [-65n], [2n ** 63n - 1n], [-(2n ** 63n)]] });
});

test('a count takes the same bytes as the long of its value', () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 31 - 1 }), (count) => {
    const asCount = new Uint8Array(countSize(count));
    const asLong = new Uint8Array(longSize(BigInt(count)));
    writeCount(asCount, 0, count);
    writeLong(asLong, 0, BigInt(count));
    expect(asCount).toEqual(asLong);
  }), { examples: [[0], [63], [64], [8191], [8192], [2 ** 30], [2 ** 31 - 1]] });
});

test('a long beyond 64 bits is refused, and so is one that does not end', () => {
  expect(() => writeLong(new Uint8Array(11), 0, 2n ** 63n)).toThrow(RangeError);
  expect(() => skipLong(new Uint8Array(11).fill(0x80), 0, 11)).toThrow('byte 0');
  expect(() => skipLong(Uint8Array.of(0x80), 0, 1)).toThrow('byte 0');
});

function roundTrips<Row>(
  rows: fc.Arbitrary<Row>, encode: (row: Row) => Buffer, decode: (bytes: Uint8Array) => Row,
): void {
  fc.assert(fc.property(rows, (given) => {
    const bytes = encode(given);
    const decoded = decode(bytes);
    expect(decoded).toEqual(given);
    expect(encode(decoded)).toEqual(bytes);
  }), runs);
}
