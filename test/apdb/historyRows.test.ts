import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkOfRows, decodeHistoryChunk, encodeHistoryChunk } from '../../apdb/historyChunk.ts';
import { HistoryWindows } from '../../apdb/historyRows.ts';
import { decodeDiaSource, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import { POINT, SOURCE_POINT_SIZE } from '../../schemas/lightCurve.ts';

function encoded(id: bigint, midpointMjdTai: number, psfFlux: number | null, diaObjectId: bigint): Buffer {
  return encodeDiaSource(newDiaSource({
    diaSourceId: id, visit: 1n, detector: 3, midpointMjdTai, ra: 1.5, dec: -2.5, x: 1, y: 2, bboxSize: 9,
    timeProcessedMjdTai: midpointMjdTai, psfFlux, band: 'g', diaObjectId,
  }));
}

test('rows taken in any order come by object, position and id, each with its own payload', () => {
  const rowArbitrary = fc.record({
    object: fc.nat(3), id: fc.bigInt({ min: -5n, max: 2n ** 62n }),
    position: fc.integer({ min: 0, max: 4 }), midpointMjdTai: fc.double({ min: 50_000, max: 70_000, noNaN: true }),
  });
  const manyRows = fc.uniqueArray(rowArbitrary, { selector: ({ id }) => id });
  const since = fc.constantFrom(-Infinity, 60_000);
  fc.assert(fc.property(manyRows, since, fc.integer({ min: -1, max: 3 }), (rows, sinceMjdTai, through) => {
    const payloads = rows.map(({ id, object, midpointMjdTai }) => (
      encoded(id, midpointMjdTai, object === 0 ? null : object, BigInt(object))));
    const chunk = decodeHistoryChunk(encodeHistoryChunk(chunkOfRows('source',
      Float64Array.from(rows, ({ position }) => position), Uint32Array.from(payloads, ({ length }) => length),
      Buffer.concat(payloads))));
    // What was known and what is too old is left out, wherever it stands.
    const wanted = rows.filter((row) => row.position > through && row.midpointMjdTai >= sinceMjdTai);
    const windows = new HistoryWindows(new Map([0n, 1n, 2n, 3n].map((id, place) => [id, place])), sinceMjdTai);
    windows.add(chunk, through);
    const histories = windows.finish();
    histories.forEach((history, object) => {
      expect(history.isSince(sinceMjdTai)).toBe(true);
      const expected = wanted.filter((row) => row.object === object)
        .sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
      const given = [...history];
      expect(given.map(({ payload, ...row }) => ({ ...row, object }))).toEqual(expected);
      expect(given.map(({ payload }) => Buffer.from(payload))).toEqual(history.payloads());
      expect(history.payloads().map((payload) => decodeDiaSource(payload).diaSourceId))
        .toEqual(expected.map(({ id }) => id));
      const points = new Float64Array((expected.length + 1) * SOURCE_POINT_SIZE);
      const ids = new BigInt64Array(expected.length + 1);
      history.copyTo(points, ids, 1);
      expect([...ids.subarray(1)]).toEqual(expected.map(({ id }) => id));
      expected.forEach(({ midpointMjdTai }, row) => {
        const point = points.subarray((row + 1) * SOURCE_POINT_SIZE);
        expect([point[POINT.time], point[POINT.psfFlux], point[POINT.ra], point[POINT.dec], point[POINT.raErr]])
          .toEqual([midpointMjdTai, object === 0 ? NaN : object, 1.5, -2.5, NaN]);
        expect(String.fromCharCode(point[POINT.band])).toBe('g');
      });
    });
  }));
});

test('a row beyond the window is an error, not a row of the next object', () => {
  const rows = [encoded(1n, 61000, 1, 1n), encoded(2n, 61000, 1, 2n)];
  const windows = new HistoryWindows(new Map([[1n, 0], [2n, 1], [3n, 2]]), 0);
  windows.add(chunkOfRows('source', Float64Array.of(5, 5), Uint32Array.from(rows, ({ length }) => length),
    Buffer.concat(rows)), -1);
  const [first, , third] = windows.finish();
  expect([first.length, third.length]).toEqual([1, 0]);
  expect(() => first.id(1)).toThrow('row 1 of 1');
  expect(() => first.payload(-1)).toThrow('row -1 of 1');
});

test('bytes that are no chunk of history are refused', () => {
  const bytes = encodeHistoryChunk(chunkOfRows('forced', new Float64Array(0), new Uint32Array(0), Buffer.alloc(0)));
  expect(decodeHistoryChunk(bytes).objects).toHaveLength(0);
  expect(() => decodeHistoryChunk(bytes.subarray(0, 12))).toThrow('12 bytes are no chunk of history');
  expect(() => decodeHistoryChunk(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('no chunk');
  expect(() => chunkOfRows('forced', new Float64Array(0), new Uint32Array(0), Buffer.of(1))).toThrow('0 rows');
});

test('ids that differ in one half only are told apart, however many there are', () => {
  const ids = Array.from({ length: 3000 }, (_, k) => (k % 2 === 0 ? BigInt(k) : BigInt(k) << 32n));
  const rows = ids.map((id) => encoded(id, 61000, 1, id));
  const chunk = chunkOfRows('source', Float64Array.from(ids, () => 1), Uint32Array.from(rows, ({ length }) => length),
    Buffer.concat(rows));
  expect([...chunk.objects]).toEqual(ids);
  expect([...chunk.ids]).toEqual(ids);
});
