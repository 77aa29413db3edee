import fc from 'fast-check';
import { EvaluationError, Environment } from '@marcbachmann/cel-js';
import { expect, test } from 'vitest';
import { compileFilter, type FilterableAlert } from '../../brokers/filters/expression.ts';
import { compileTree, Nothing } from '../../brokers/filters/evaluator.ts';
import { HELPERS, registerHelpers } from '../../brokers/filters/helpers.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilters } from '../../brokers/filters/predefined.ts';
import { alertProjection } from '../../brokers/filters/projectedAlert.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit, encodeSsSource } from '../../schemas/avro.ts';
import { assemblePacket, decodeAlert, splitPacket } from '../../schemas/packet.ts';
import { anyAlert } from '../schemas/alertArbitraries.ts';
import { samplePacket } from './sampleAlerts.ts';

/** The library's own interpreter over rows of doubles that may be absent, an int and a text. */
const rowClass = class DiaSourceRow {};
const library = new Environment()
  .registerType('diaSource', { ctor: rowClass, fields: {
    a: 'double', b: 'double', n: 'int', t: 'string', psfFlux: 'double', midpointMjdTai: 'double', band: 'string',
  } })
  .registerType('diaObject', { ctor: class DiaObject {}, fields: { firstDiaSourceMjdTai: 'double' } })
  .registerVariable('diaSource', 'diaSource').registerVariable('prvDiaSources', 'list<diaSource>');
registerHelpers(library);

const number = fc.constantFrom('diaSource.a', 'diaSource.b', '1.5', '-0.5', 'abMag(diaSource.a)', 'double(diaSource.n)',
  'riseRate(prvDiaSources, diaSource)', '(diaSource.n > 1 ? diaSource.a : 2.0)', 'nearestArcsec(1.0, 2.0, [1.0, 2.5])');
const whole = fc.constantFrom('diaSource.n', '3', 'size(prvDiaSources)', 'int(diaSource.b)', 'abs(diaSource.n - 2)',
  'diaSource.n / (diaSource.n - 1)', '7 % diaSource.n', 'prvDiaSources.filter(s, s.a > 0.0).size()', '-diaSource.n',
  '9223372036854775807 + diaSource.n');
const order = fc.constantFrom('<', '<=', '>', '>=', '==', '!=');
const test1 = fc.oneof(
  fc.tuple(number, order, number).map((parts) => parts.join(' ')),
  fc.tuple(whole, order, whole).map((parts) => parts.join(' ')),
  fc.tuple(number, fc.constantFrom('+', '-', '*', '/'), number, order, number).map((parts) => parts.join(' ')),
  fc.tuple(whole, fc.constantFrom('<', '>='), number).map((parts) => parts.join(' ')),
  fc.constantFrom('has(diaSource.a)', '!has(diaSource.t)', 'diaSource.t == "g"', 'diaSource.t in ["g", "r"]',
    'diaSource.n in [1, 2]', 'diaSource.t.startsWith("g")', 'diaSource.t + "x" != "gx"',
    'prvDiaSources.all(s, s.a > diaSource.a)', 'prvDiaSources.exists(s, s.t == diaSource.t && s.b > 0.0)',
    'prvDiaSources.exists_one(s, s.a > 0.0)', 'prvDiaSources.map(s, s.a).exists(x, x > 1.0)',
    'prvDiaSources.all(s, prvDiaSources.exists(r, r.b >= s.b))', 'prvDiaSources.map(s, has(s.t), s.b).all(x, x < 1.0)'),
);
const expression = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof({ maxDepth: 3 }, test1,
    fc.tuple(tie('any'), fc.constantFrom('&&', '||'), tie('any')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('any').map((a) => `!(${a})`), fc.tuple(tie('any'), test1, test1).map(([a, b, c]) => `((${a}) ? (${b}) : (${c}))`)),
})).any;
const value = fc.constantFrom(null, -2, 0, 0.5, 3, 1e6);
const anyRow = fc.record({
  a: value, b: value, n: fc.constantFrom(null, 0, 1, 2), t: fc.constantFrom(null, 'g', 'r', 'x'),
  psfFlux: value, midpointMjdTai: fc.constantFrom(1, 2, 3), band: fc.constantFrom(null, 'g', 'r'),
});

/** As the library wants rows: absent for null, ints as bigint. */
function typed(row: Readonly<Record<string, unknown>>): object {
  return Object.assign(new rowClass(), Object.fromEntries(Object.entries(row)
    .filter(([, each]) => each !== null).map(([key, each]) => [key, key === 'n' ? BigInt(each as number) : each])));
}

test('what is compiled decides as the interpreter of the library does, absent values and faults included', () => {
  let decided = 0;
  fc.assert(fc.property(expression, anyRow, fc.array(anyRow, { maxLength: 3 }), (text, row, rows) => {
    const parsed = library.parse(text);
    expect(parsed.check().valid, text).toBe(true);
    const compiled = compileTree(parsed.ast);
    if (compiled === null) throw new Error(`${text} is not compiled`);
    const alert = { diaSource: row, prvDiaSources: rows } as unknown as FilterableAlert;
    const found = compiled({ alert, rows: [] });
    let wanted: unknown;
    try {
      wanted = parsed({ diaSource: typed(row), prvDiaSources: rows.map(typed) });
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      expect(found, text).toBeInstanceOf(Nothing);
      // Which of two faults is told may differ in order only when both are of one kind.
      const isAbsent = ['no_such_key', 'unknown_variable', 'no_value'].includes(error.code);
      expect((found as Nothing).reason === null, `${text}: ${error.code}`).toBe(isAbsent);
      return;
    }
    decided++;
    expect(found, text).toBe(wanted);
  }), { numRuns: 1500, seed: 20261120 });
  expect(decided).toBeGreaterThan(500);
});

test('what is not compiled is interpreted, with the same meaning of null', () => {
  const filter = compileFilter({
    user: 'ana', name: 'f', version: 1, expression: '{"a": diaSource.snr}["a"] > 3.0 && string(diaSource.detector) == "4"',
  });
  expect(filter.evaluate(lazyAlert(samplePacket(7)))).toEqual({ outcome: 'matched' });
  expect(filter.evaluate(lazyAlert(samplePacket(7, { snr: null })))).toEqual({ outcome: 'undecided' });
});

test('a projection holds of any alert what decoding it whole gives', () => {
  const all = ['diaObject', 'ssSource', 'mpc_orbits', 'prvDiaSources', 'prvDiaForcedSources', 'diaSource', 'band', 'snr',
    'psfFlux', 'midpointMjdTai', 'nDiaSources', 'ephOffset', 'isDipole', 'detector', 'diaObjectId', 'visit', 'a', 'e',
    'observation_reason', 'timeWithdrawnMjdTai', 'diaForcedSourceId', 'pixelFlags', 'bboxSize', 'ssObjectId'];
  const project = alertProjection(all);
  fc.assert(fc.property(anyAlert, (alert) => {
    const packet = assemblePacket({
      diaSourceId: alert.diaSourceId, observationReason: alert.observation_reason, targetName: alert.target_name,
      diaSource: encodeDiaSource(alert.diaSource), prvDiaSources: alert.prvDiaSources?.map(encodeDiaSource) ?? null,
      prvDiaForcedSources: alert.prvDiaForcedSources?.map(encodeDiaForcedSource) ?? null,
      diaObject: alert.diaObject && encodeDiaObject(alert.diaObject),
      ssSource: alert.ssSource && encodeSsSource(alert.ssSource), mpcOrbit: alert.mpc_orbits && encodeMpcOrbit(alert.mpc_orbits),
      cutoutDifference: null, cutoutScience: null, cutoutTemplate: null,
    });
    const whole = decodeAlert(packet), projected = project(packet);
    const compare = (found: object | null, wanted: object | null): void => {
      if (found === null || wanted === null) { expect(found).toBe(wanted); return; }
      expect(wanted).toMatchObject(found);
      const missing = Object.keys(wanted).filter((key) => all.includes(key) && !(key in found));
      expect(missing).toEqual([]);
    };
    expect(projected.diaSourceId).toBe(whole.diaSourceId);
    expect(projected.observation_reason).toBe(whole.observation_reason);
    for (const name of ['diaSource', 'diaObject', 'ssSource', 'mpc_orbits'] as const) compare(projected[name], whole[name]);
    for (const name of ['prvDiaSources', 'prvDiaForcedSources'] as const) {
      expect(projected[name]?.length).toBe(whole[name]?.length);
      projected[name]?.forEach((row, i) => compare(row, whole[name]?.[i] ?? null));
    }
  }), { numRuns: 150, seed: 3 });
});

test('filters that ship decide alike over projected and whole alerts', () => {
  const filters = Object.values(predefinedFilters).map(compileFilter);
  const project = alertProjection(filters.flatMap(({ reads }) => [...reads]));
  fc.assert(fc.property(anyAlert, (alert) => {
    const packet = assemblePacket({
      ...splitPacket(samplePacket(1)), diaSourceId: alert.diaSourceId, diaSource: encodeDiaSource(alert.diaSource),
      prvDiaSources: alert.prvDiaSources?.map(encodeDiaSource) ?? null,
      diaObject: alert.diaObject && encodeDiaObject(alert.diaObject),
    });
    for (const filter of filters) {
      expect(filter.evaluate(project(packet)), filter.label).toEqual(filter.evaluate(decodeAlert(packet)));
      expect(filter.rankOf(project(packet)), filter.label).toBe(filter.rankOf(decodeAlert(packet)));
    }
  }), { numRuns: 150, seed: 4 });
});

test('a damaged packet is told by its field, wherever it is cut', () => {
  const packet = samplePacket(7);
  const project = alertProjection(['diaObject', 'snr']);
  for (let size = 6; size < packet.length - 6; size += 7) {
    expect(() => project(packet.subarray(0, size)), `${size} bytes`).toThrow(/byte|bytes|ends/);
  }
});

test('helpers have no value rather than a wrong one', () => {
  const row = (mjd: number, band: string, psfFlux: number): object =>
    ({ ...newDiaSource({ diaSourceId: 1n, visit: 1n, detector: 1, midpointMjdTai: mjd, ra: 1, dec: 1, x: 1, y: 1,
      timeProcessedMjdTai: 1, bboxSize: 1 }), band, psfFlux });
  const call = (name: string, ...values: unknown[]) =>
    HELPERS.find((each) => each.name === name)?.call(...(values as never[]));
  const history = [row(1, 'g', 1000), row(2, 'r', 500), row(3, 'g', 100)];
  // A factor of ten in flux is 2.5 mag, in two days.
  expect(call('riseRate', history, row(5, 'g', 1000))).toBeCloseTo(1.25, 12);
  expect(call('riseRate', history, row(5, 'i', 1000))).toBeNull();
  expect(call('riseRate', history, row(5, 'g', -1))).toBeNull();
  expect(call('colour', history, row(5, 'g', 5000), 'g', 'r')).toBeCloseTo(-2.5, 12);
  expect(call('colour', history, row(5, 'g', 5000), 'g', 'z')).toBeNull();
  expect(call('daysSincePrevious', history, row(5, 'g', 1))).toBe(2);
  expect(call('daysSincePrevious', [], row(5, 'g', 1))).toBeNull();
  expect(call('nearestArcsec', 10, 0, [20, 0, 10, 1])).toBeCloseTo(3600, 6);
  expect(call('nearestArcsec', 10, 0, [20])).toBeNull();
});
