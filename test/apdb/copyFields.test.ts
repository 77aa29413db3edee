/** Fields out of a COPY that arrives in pieces, against the writer of the same format. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyBinaryWriter } from '../../apdb/postgres/copyBinary.ts';
import { CopyFieldStream } from '../../apdb/postgres/copyFields.ts';

test('fields come whole, in order and with their nulls, wherever the answer is cut', () => {
  const row = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.uint8Array({ maxLength: 40 }), fc.option(fc.double({ noNaN: true })));
  fc.assert(fc.property(fc.array(row, { maxLength: 8 }), fc.integer({ min: 1, max: 30 }), (rows, pieceBytes) => {
    const out = new CopyBinaryWriter(64);
    for (const [name, bytes, value] of rows) {
      out.row(3);
      out.integer(name);
      out.bytes(bytes);
      out.double(value);
    }
    const all = out.finish(), taken: unknown[] = [];
    const stream = new CopyFieldStream(3, ([name, bytes, value]) => {
      taken.push([name?.readInt32BE(0), Uint8Array.from(bytes ?? []), value?.readDoubleBE(0) ?? null]);
    });
    const lent = Buffer.alloc(pieceBytes); // The pieces are read over, as the socket's are.
    for (let at = 0; at < all.length; at += pieceBytes) {
      stream.take(lent.subarray(0, all.copy(lent, 0, at, at + pieceBytes)));
    }
    expect(taken).toEqual(rows);
  }));
});

test('rows of another number of fields are refused', () => {
  const out = new CopyBinaryWriter(64);
  out.row(2);
  expect(() => new CopyFieldStream(3, () => undefined).take(out.finish())).toThrow('rows of 2 columns');
});
