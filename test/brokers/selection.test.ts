import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileFilter } from '../../brokers/filters/expression.ts';
import {
  decodeSelection, encodeSelection, selectAlerts, type Candidate, type FilterCandidates, type VisitSelection,
} from '../../brokers/filters/selection.ts';

const candidate = (id: number, rank: number | null, storedMs = 0): Candidate => ({
  diaSourceId: BigInt(id), alertSequence: id, rank, storedMs,
});
const filterOf = (name: string, candidates: readonly Candidate[]): FilterCandidates => ({
  name, filter: `ana.${name}@1`, expression: 'true', rank: 'diaSource.snr', candidates,
});
const idsOf = (filters: readonly FilterCandidates[], alertsMax: number): string[][] =>
  selectAlerts(filters, null, alertsMax).map(({ selected }) => selected.map(({ diaSourceId }) => diaSourceId));

test('the highest ranks are selected, equal ones by diaSourceId, those without a rank last', () => {
  const given = [candidate(4, null), candidate(9, 2), candidate(3, 2), candidate(1, 1), candidate(2, null)];
  expect(idsOf([filterOf('f', given)], 4)).toEqual([['3', '9', '1', '2']]);
});

test('filters of a user take turns, so that no filter starves another', () => {
  const many = Array.from({ length: 30 }, (_, i) => candidate(i + 1, 1000 - i));
  const few = [candidate(101, 0.5), candidate(102, 0.4)];
  expect(idsOf([filterOf('many', many), filterOf('few', few)], 5)).toEqual([['101', '102'], ['1', '2', '3']]);
});

test('what ALERTS stored after the closing is late, neither selected nor dropped', () => {
  const [result] = selectAlerts([filterOf('f', [candidate(1, 1, 100), candidate(2, 9, 101)])], 100, 20);
  expect(result).toMatchObject({ matched: 2, dropped: 0, late: 1 });
  expect(result.selected.map(({ diaSourceId }) => diaSourceId)).toEqual(['1']);
});

test('whatever the order of arrival the selection is the same and full, and every match is accounted for', () => {
  const candidates = fc.uniqueArray(
    fc.record({ id: fc.integer({ min: 1, max: 1e6 }), rank: fc.option(fc.integer({ min: 0, max: 5 })), ms: fc.nat(9) }),
    { selector: ({ id }) => id, maxLength: 40 },
  ).map((list) => list.map(({ id, rank, ms }) => candidate(id, rank, ms)));
  fc.assert(fc.property(
    candidates, candidates, fc.nat(25), fc.nat(9), fc.infiniteStream(fc.nat()),
    (a, b, alertsMax, closesAtMs, order) => {
      const result = selectAlerts([filterOf('a', a), filterOf('b', b)], closesAtMs, alertsMax);
      const shuffled = (list: readonly Candidate[]): Candidate[] =>
        list.map((each) => ({ each, key: order.next().value })).sort((x, y) => x.key - y.key).map(({ each }) => each);
      expect(selectAlerts([filterOf('b', shuffled(b)), filterOf('a', shuffled(a))], closesAtMs, alertsMax))
        .toEqual(result);
      const inTime = [...a, ...b].filter(({ storedMs }) => storedMs <= closesAtMs).length;
      expect(result.reduce((sum, { selected }) => sum + selected.length, 0)).toBe(Math.min(alertsMax, inTime));
      for (const { matched, selected, dropped, late } of result) expect(matched).toBe(selected.length + dropped + late);
    },
  ));
});

test('a selection survives its encoding, and what is no selection is refused in one line', () => {
  const selection: VisitSelection = {
    selectionVersion: 1, user: 'ana', visit: 2026112000001, closedBy: 'deadline', closesAtMs: 5, upTo: 9, resumeFrom: 3,
    alertsMax: 20, filters: selectAlerts([filterOf('f', [candidate(1, 1.5)])], 5),
  };
  expect(decodeSelection(encodeSelection(selection))).toEqual(selection);
  expect(() => decodeSelection(Buffer.from('{'))).toThrow(/^a selection on FILTERED is not JSON$/);
  expect(() => decodeSelection(Buffer.from('{"selectionVersion":2}'))).toThrow(/unknown version/);
});

test('a rank that is no number, and a name that only the service may use, are refused', () => {
  const base = { user: 'ana', name: 'f', version: 1, expression: 'true' };
  expect(() => compileFilter({ ...base, rank: 'diaSource.snr > 1.0' })).toThrow(/the rank is a bool, not a number/);
  expect(() => compileFilter({ ...base, rank: 'diaSource.nope' })).toThrow(/ana\.f@1 rank: column/);
  expect(() => compileFilter({ ...base, name: '_selection' })).toThrow(/cannot begin with "_"/);
});
