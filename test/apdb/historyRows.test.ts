import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HistoryCollector } from '../../apdb/historyRows.ts';
import { decodeDiaSource, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import { POINT, SOURCE_POINT_SIZE } from '../../schemas/lightCurve.ts';

function encoded(id: bigint, midpointMjdTai: number, psfFlux: number | null): Buffer {
  return encodeDiaSource(newDiaSource({
    diaSourceId: id, visit: 1n, detector: 3, midpointMjdTai, ra: 1.5, dec: -2.5, x: 1, y: 2, bboxSize: 9,
    timeProcessedMjdTai: midpointMjdTai, psfFlux, band: 'g',
  }));
}

test('rows taken in any order come by object, position and id, each with its own payload', () => {
  const rowArbitrary = fc.record({
    object: fc.nat(3), id: fc.bigInt({ min: -5n, max: 2n ** 62n }),
    position: fc.integer({ min: 0, max: 4 }), midpointMjdTai: fc.double({ min: 50_000, max: 70_000, noNaN: true }),
  });
  fc.assert(fc.property(fc.uniqueArray(rowArbitrary, { selector: ({ id }) => id }), (rows) => {
    const payloads = rows.map(({ id, object, midpointMjdTai }) => (
      encoded(id, midpointMjdTai, object === 0 ? null : object)));
    const collector = new HistoryCollector('source', 4);
    // Two blocks: the first row alone, the others one behind the other.
    let offset = 0;
    rows.forEach(({ object, id, midpointMjdTai, position }, k) => {
      collector.add(object, id, midpointMjdTai, position, k === 0 ? 0 : 1, offset, payloads[k].length);
      if (k > 0) offset += payloads[k].length;
    });
    const histories = collector.finish([payloads[0] ?? Buffer.alloc(0), Buffer.concat(payloads.slice(1))]);
    histories.forEach((history, object) => {
      const expected = rows.filter((row) => row.object === object)
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
  const collector = new HistoryCollector('source', 2);
  const rows = [encoded(1n, 61000, 1), encoded(2n, 61000, 1)];
  collector.add(0, 1n, 61000, 5, 0, 0, rows[0].length);
  collector.add(1, 2n, 61000, 5, 1, 0, rows[1].length);
  const [first] = collector.finish(rows);
  expect(first.length).toBe(1);
  expect(() => first.id(1)).toThrow('row 1 of 1');
  expect(() => first.payload(-1)).toThrow('row -1 of 1');
});
