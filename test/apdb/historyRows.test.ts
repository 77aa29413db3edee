import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HistoryCollector } from '../../apdb/historyRows.ts';

test('rows taken in any order come by object, position and id, each with its own payload', () => {
  const rowArbitrary = fc.record({
    object: fc.nat(3), id: fc.bigInt({ min: -5n, max: 2n ** 62n }),
    position: fc.integer({ min: 0, max: 4 }), midpointMjdTai: fc.double({ noNaN: true }),
  });
  fc.assert(fc.property(fc.uniqueArray(rowArbitrary, { selector: ({ id }) => id }), (rows) => {
    const payloads = rows.map(({ id, object }) => Buffer.from(`${object}:${id}`));
    const collector = new HistoryCollector(4, rows.length);
    let offset = 0;
    rows.forEach(({ object, id, midpointMjdTai, position }, k) => {
      collector.add(object, id, midpointMjdTai, position, offset, payloads[k].length);
      offset += payloads[k].length;
    });
    const histories = collector.finish(Buffer.concat(payloads));
    histories.forEach((history, object) => {
      const expected = rows.filter((row) => row.object === object)
        .sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
      const given = [...history];
      expect(given.map(({ payload, ...row }) => ({ ...row, object }))).toEqual(expected);
      expect(given.map(({ payload }) => Buffer.from(payload))).toEqual(history.payloads());
      expect(history.payloads().map(String)).toEqual(expected.map(({ id }) => `${object}:${id}`));
    });
  }));
});

test('a row beyond the window is an error, not a row of the next object', () => {
  const collector = new HistoryCollector(2, 2);
  collector.add(0, 1n, 61000, 5, 0, 1);
  collector.add(1, 2n, 61000, 5, 1, 1);
  const [first] = collector.finish(Buffer.from('ab'));
  expect(first.length).toBe(1);
  expect(() => first.id(1)).toThrow('row 1 of 1');
  expect(() => first.payload(-1)).toThrow('row -1 of 1');
});
