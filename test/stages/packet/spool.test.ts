import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectCutoutSide } from '../../../engine/stages/packet/cutoutSide.ts';
import { cutoutsDigest, decodeCutouts, encodeCutouts, selectCutouts, type Cutouts } from '../../../engine/stages/packet/spool.ts';

const cutoutBytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
const spools = fc.uniqueArray(
  fc.tuple(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.record({
    difference: cutoutBytes, science: cutoutBytes, template: cutoutBytes, neighbours: cutoutBytes,
  })),
  { selector: ([id]) => id, maxLength: 8 },
);

function plain(cutouts: ReadonlyMap<bigint, Cutouts>): unknown {
  const list = (bytes: Uint8Array | null): number[] | null => bytes && [...bytes];
  return [...cutouts].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, c]) => [id, list(c.difference), list(c.science), list(c.template), list(c.neighbours)]);
}

describe('a cutout spool', () => {
  test('gives back what went in, null told from empty', () => {
    fc.assert(fc.property(spools, (entries) => {
      const cutouts = new Map(entries);
      const bytes = encodeCutouts(cutouts);
      expect(plain(decodeCutouts(bytes, cutoutsDigest(bytes)))).toEqual(plain(cutouts));
    }), { numRuns: 300, seed: 20261120 });
  });

  test('has the same bytes in whatever order the sources came', () => {
    fc.assert(fc.property(spools, (entries) => {
      expect(encodeCutouts(new Map([...entries].reverse()))).toEqual(encodeCutouts(new Map(entries)));
    }), { numRuns: 100, seed: 20261120 });
  });

  test('of some sources is the spool of those alone, and none of none', () => {
    fc.assert(fc.property(spools, fc.infiniteStream(fc.boolean()), (entries, choice) => {
      const some = entries.filter(() => choice.next().value);
      const selected = selectCutouts(encodeCutouts(new Map(entries)), new Set(some.map(([id]) => id)));
      if (some.length === 0) expect(selected).toBeNull();
      else expect(selected).toEqual(encodeCutouts(new Map(some)));
    }), { numRuns: 200, seed: 20261121 });
    const bytes = encodeCutouts(new Map([[5n, { difference: null, science: null, template: null, neighbours: null }],
      [6n, { difference: null, science: null, template: null, neighbours: null }]]));
    expect(() => selectCutouts(bytes, new Set([7n]))).toThrow('diaSource 7 has no cutouts');
  });

  test('is refused when any byte of it has changed, or is missing', () => {
    fc.assert(fc.property(spools, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, place, change) => {
      const bytes = encodeCutouts(new Map(entries));
      const digest = cutoutsDigest(bytes);
      const damaged = Buffer.from(bytes);
      damaged[place % bytes.length] ^= change;
      expect(() => decodeCutouts(damaged, digest)).toThrow(/cutout spool/);
      expect(() => decodeCutouts(bytes.subarray(0, place % bytes.length), digest)).toThrow(/cutout spool/);
    }), { numRuns: 300, seed: 20261120 });
  });

  const science = Uint8Array.of(1, 2, 3);
  const alone = { difference: null, science, template: null, neighbours: null };
  const sound = encodeCutouts(new Map([[5n, alone], [6n, alone]]));
  const with32 = (offset: number, value: number): Buffer => {
    const bytes = Buffer.from(sound);
    bytes.writeUInt32LE(value, offset);
    return bytes;
  };

  test.each([
    ['another kind of file', Buffer.from('SIMPLE  =                    T'), /does not begin as one does/],
    ['a file of 3 bytes', sound.subarray(0, 3), /3 bytes are less than a header/],
    ['another version', with32(8, 3), /version 3/],
    ['a table longer than the file', with32(12, 1000), /table of 1000 entries/],
    ['a cutout cut off', sound.subarray(0, sound.length - 1), /science of 6 ends at byte 70, the file at 69/],
    ['bytes behind the end', Buffer.concat([sound, Buffer.of(0)]), /1 bytes after the last cutout/],
    ['ids out of order', with32(16, 7), /id 6 stands behind 7/],
    ['a pixel changed', (() => { const b = Buffer.from(sound); b[b.length - 1] ^= 1; return b; })(), /its digest is/],
  ])('names the damage: %s', (_, bytes, message) => {
    expect(() => decodeCutouts(bytes, cutoutsDigest(sound))).toThrow(message);
  });
});

test('a spool of version 1, which has no neighbours, is still read', () => {
  const bytes = Buffer.alloc(16 + 20 + 2);
  bytes.write('VSPCUTS\n', 'latin1');
  bytes.writeUInt32LE(1, 8);
  bytes.writeUInt32LE(1, 12);
  bytes.writeBigInt64LE(5n, 16);
  [0xffff_ffff, 2, 0].forEach((length, k) => bytes.writeUInt32LE(length, 24 + 4 * k));
  bytes.set([7, 8], 36);
  expect(plain(decodeCutouts(bytes, cutoutsDigest(bytes)))).toEqual([[5n, null, [7, 8], [], null]]);
});

describe('selectCutoutSide', () => {
  test('is the bounding box, kept between 30 and 102 pixels', () => {
    expect([0, 29, 30, 31, 101, 102, 103, 4000].map((size) => selectCutoutSide(size)))
      .toEqual([30, 30, 30, 31, 101, 102, 102, 102]);
    for (const size of [NaN, 30.5, -1, Infinity]) expect(() => selectCutoutSide(size)).toThrow(/not a count of pixels/);
  });
});
