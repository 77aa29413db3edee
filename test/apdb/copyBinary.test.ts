import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyBinaryReader, CopyBinaryWriter } from '../../apdb/postgres/copyBinary.ts';

const bigint64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const rowArbitrary = fc.record({
  integer: fc.integer(), bigint: fc.option(bigint64), number: fc.option(fc.maxSafeInteger()),
  real: fc.option(fc.float({ noNaN: true })), double: fc.option(fc.double({ noNaN: true })),
  text: fc.option(fc.string({ unit: 'grapheme' })), bytes: fc.uint8Array({ maxLength: 300 }),
});

test('what the writer wrote, the reader reads, from any first size of the buffer', () => {
  fc.assert(fc.property(fc.array(rowArbitrary), fc.nat(2000), (rows, capacityBytes) => {
    const writer = new CopyBinaryWriter(capacityBytes);
    for (const row of rows) {
      writer.row(7);
      writer.integer(row.integer);
      writer.bigint(row.bigint);
      writer.bigintOfNumber(row.number);
      writer.real(row.real);
      writer.double(row.double);
      writer.text(row.text);
      writer.bytes(row.bytes);
    }
    const reader = new CopyBinaryReader(writer.finish());
    expect(reader.countRows()).toBe(rows.length);
    for (const row of rows) {
      expect(reader.next()).toBe(true);
      expect(reader.integer()).toBe(row.integer);
      expect(reader.skipNull() ? null : reader.bigint()).toBe(row.bigint);
      expect(reader.skipNull() ? null : reader.numberOfBigint()).toBe(zeroWithoutSign(row.number));
      expect(reader.skipNull() ? null : reader.real()).toBe(row.real);
      expect(reader.skipNull() ? null : reader.double()).toBe(row.double);
      expect(reader.skipNull() ? null : Buffer.from(reader.sized()).toString()).toBe(row.text?.toWellFormed() ?? null);
      expect(Buffer.from(reader.sized()).equals(row.bytes)).toBe(true);
    }
    expect(reader.next()).toBe(false);
  }));
});

test('the bytes are those of the manual: signature, header, counts, lengths, trailer', () => {
  const writer = new CopyBinaryWriter(0);
  writer.row(3);
  writer.smallint(-2);
  writer.text(null);
  writer.bigintOfNumber(2 ** 32 + 5);
  expect(writer.finish().toString('hex')).toBe([
    '5047434f50590aff0d0a00', '00000000', '00000000',
    '0003', '00000002', 'fffe', 'ffffffff', '00000008', '0000000100000005', 'ffff',
  ].join(''));
});

test('a number beyond 2^53 is refused where a safe integer is written', () => {
  expect(() => new CopyBinaryWriter(64).bigintOfNumber(2 ** 53)).toThrow('not a safe integer');
  expect(() => new CopyBinaryWriter(64).bigintOfNumber(0.5)).toThrow('not a safe integer');
});

test('the reader refuses other bytes, a field of another size, and a row left half read', () => {
  expect(() => new CopyBinaryReader(Buffer.from('id,ra,dec\n1,2,3\n4,5,6\n'))).toThrow('not a binary COPY');
  const writer = new CopyBinaryWriter(64);
  writer.row(2);
  writer.integer(1);
  writer.integer(2);
  writer.row(1);
  writer.integer(3);
  const reader = new CopyBinaryReader(writer.finish());
  reader.next();
  expect(() => reader.bigint()).toThrow('4 bytes where 8 were expected');
  expect(() => reader.next()).toThrow('1 fields of the row were not read');
  reader.skipSized();
  expect(() => reader.integer()).toThrow('no further field');
});

function zeroWithoutSign(value: number | null): number | null {
  return value === 0 ? 0 : value; // −0 is 0 as an integer.
}
